//! Ending a connection: here at once, then at the provider, and saying honestly what was done where.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::manager::settings::back_off;
use crate::manager::{Connections, Inner};
use crate::model::{
    Actor, Connection, ConnectionId, EventKind, IssuedBy, Parameters, Principal, ProviderId, Status,
};
use crate::protocol::{Revocable, RevocationVerdict, revocation_requests, revocation_verdict};
use crate::provider::Revocation as Capability;
use crate::vault::{ConnectionQuery, Erasure, Settlement, Tokens};

/// What revoking did, in both places.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Revocation {
    /// The connection, revoked; its record stays as history.
    pub connection: Connection,
    /// Whether every file is free of the sealed tokens. Nothing can use them either way. Pending while a reader keeps the
    /// log, and while they are kept for upkeep because the provider has not answered. Of a connection that was revoked
    /// before, only the files are told of, not what still waits for its provider.
    pub here: Erasure,
    /// What the provider said.
    pub at_provider: AtProvider,
}

/// What became of the grant at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtProvider {
    /// The provider confirmed it.
    Revoked,
    /// The provider said yes, and it is not documented that the grant ends by it. The person can make sure at this page.
    Attempted {
        /// The page, if there is one.
        url: Option<String>,
    },
    /// The provider did not answer, or asks to try later. The grant may still live there; nothing here can use it.
    Unconfirmed {
        /// How long to wait, where that is known.
        retry_after: Option<Duration>,
    },
    /// The provider refused to revoke it. The grant may still live there; nothing here can use it.
    Refused,
    /// The provider has no way to revoke it by program; the person can do it at this page.
    ByUser {
        /// The page.
        url: String,
    },
    /// The provider has no way to revoke it.
    Unsupported,
    /// There was no token left to revoke.
    NothingLeft,
    /// Nothing was sent: these connections share the grant and go on with it. With the last of them it is revoked.
    StillUsedBy(Vec<ConnectionId>),
}

/// A grant to be ended at its provider: whose it was, and what is held of it.
#[derive(Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) provider: &'a ProviderId,
    pub(crate) issued_by: &'a IssuedBy,
    pub(crate) parameters: &'a Parameters,
    pub(crate) tokens: Revocable<'a>,
}

impl Inner {
    pub(crate) fn revoke(&self, connection: &Connection, by: &Actor) -> Result<Revocation> {
        let (tenant, id, now) = (&connection.tenant, connection.id, self.now());
        let revoked = if self.ends_by_program(connection) {
            // Kept sealed for upkeep in the same transaction: a crash between here and the provider loses nothing.
            self.vault
                .revoke_and_queue(tenant, id, Some(by), now, now + self.settings.revocation_patience)?
        } else {
            self.vault.revoke(tenant, id, Some(by), now)?
        };
        // From here on nothing resolves it, whatever the network does.
        let Some(revoked) = revoked else {
            // It was revoked before.
            let connection = self.vault.connection(tenant, id)?.ok_or(Error::NotFound)?;
            let here = self.vault.clear_residue()?;
            return Ok(Revocation {
                connection,
                here,
                at_provider: AtProvider::NothingLeft,
            });
        };
        if !revoked.still_used_by.is_empty() {
            self.emit_to_all(&revoked.connection, EventKind::Revoked);
            return Ok(Revocation {
                connection: revoked.connection,
                here: self.vault.clear_residue()?,
                at_provider: AtProvider::StillUsedBy(revoked.still_used_by),
            });
        }
        let access_token = revoked.tokens.as_ref().map(|tokens| &tokens.access_token);
        let current = revoked
            .tokens
            .as_ref()
            .and_then(|tokens| tokens.refresh_token.as_ref());
        let at_provider = self.end_at_provider(Ending {
            provider: &revoked.connection.provider,
            issued_by: &revoked.connection.issued_by,
            parameters: &revoked.connection.parameters,
            // One that was refused and put in quarantine may live all the same.
            tokens: Revocable {
                access_token,
                refresh_token: current.or(revoked.refused.as_ref()),
            },
        });
        let mut waits = false;
        if let Some(queued) = revoked.queued {
            let settlement = self.settlement(&at_provider, 1);
            waits = matches!(settlement, Settlement::Again { .. });
            self.vault
                .settle_revocation(tenant, queued, settlement, self.now())?;
        }
        let cleared = self.vault.clear_residue()?;
        let here = if waits { Erasure::Pending } else { cleared };
        if !connection.is_keeper {
            self.emit_to_all(connection, EventKind::Revoked);
        }
        Ok(Revocation {
            connection: revoked.connection,
            here,
            at_provider,
        })
    }

    fn ends_by_program(&self, connection: &Connection) -> bool {
        let server = self.registry.server(connection.issued_by.server.as_str());
        server.is_some_and(|server| {
            matches!(
                server.revocation,
                Capability::Endpoint { .. } | Capability::DeleteWithBearer { .. }
            )
        })
    }

    /// Tries once, and says what came of it.
    pub(crate) fn end_at_provider(&self, ending: Ending<'_>) -> AtProvider {
        let unconfirmed = AtProvider::Unconfirmed { retry_after: None };
        let Ok(service) = self.service(ending.provider.as_str()) else {
            return unconfirmed;
        };
        match &service.server.revocation {
            Capability::ByUser { .. } => {
                let page = service.server.revocation_page(ending.parameters);
                return page.map_or(AtProvider::Unsupported, |url| AtProvider::ByUser {
                    url: url.into(),
                });
            }
            Capability::Unsupported => return AtProvider::Unsupported,
            Capability::Endpoint { .. } | Capability::DeleteWithBearer { .. } => {}
        }
        let Ok(endpoints) = service.server.endpoints(ending.parameters) else {
            return unconfirmed;
        };
        // As with a refresh: a token goes only where it came from.
        if endpoints.refresh.as_str() != ending.issued_by.token_endpoint {
            return unconfirmed;
        }
        let endpoint = endpoints.revocation.as_ref();
        let requests = revocation_requests(service.server, service.client, endpoint, ending.tokens);
        let Ok(requests) = requests else {
            return unconfirmed;
        };
        let mut outcome = AtProvider::NothingLeft;
        for mut request in requests {
            request.timeout = self.settings.http_timeout;
            let verdict = match self.http.send(request) {
                Ok(response) => revocation_verdict(&response),
                Err(_) => RevocationVerdict::Later(None),
            };
            outcome = worse(outcome, verdict);
        }
        if service.server.revocation_is_best_effort && outcome == AtProvider::Revoked {
            let page = service.server.revocation_page(ending.parameters);
            return AtProvider::Attempted {
                url: page.map(Into::into),
            };
        }
        outcome
    }

    /// Ends a token that must not be stored: now, or by upkeep if the provider does not answer.
    pub(crate) fn end_late_tokens(&self, connection: &Connection, tokens: &Tokens) {
        // A service may have left the grant for one of its own, and would lose that too where all end together.
        if connection.is_keeper
            && !self
                .shares_fate_with(connection)
                .is_ok_and(|others| others.is_empty())
        {
            return;
        }
        let outcome = self.end_at_provider(Ending {
            provider: &connection.provider,
            issued_by: &connection.issued_by,
            parameters: &connection.parameters,
            tokens: Revocable {
                access_token: Some(&tokens.access_token),
                refresh_token: tokens.refresh_token.as_ref(),
            },
        });
        if matches!(outcome, AtProvider::Unconfirmed { .. }) {
            let now = self.now();
            // Without room, or with a vault that fails, there is nothing left that could be done.
            let _ =
                self.vault
                    .queue_revocation(connection, tokens, now, now + self.settings.revocation_patience);
        }
    }

    /// Tries what an earlier attempt left open. Returns how many are settled.
    pub(crate) fn drain_outbox(&self, limit: usize) -> Result<usize> {
        let mut settled = 0;
        let lease = self.settings.refresh_lease;
        for pending in self.vault.take_revocations(self.now(), lease, limit)? {
            let outcome = self.end_at_provider(Ending {
                provider: &pending.provider,
                issued_by: &pending.issued_by,
                parameters: &pending.parameters,
                tokens: Revocable {
                    access_token: pending.access_token.as_ref(),
                    refresh_token: pending.refresh_token.as_ref(),
                },
            });
            let settlement = self.settlement(&outcome, pending.attempts);
            settled += usize::from(!matches!(settlement, Settlement::Again { .. }));
            self.vault
                .settle_revocation(&pending.tenant, pending.id, settlement, self.now())?;
        }
        Ok(settled)
    }

    fn settlement(&self, outcome: &AtProvider, attempts: u32) -> Settlement {
        match outcome {
            AtProvider::Revoked | AtProvider::Attempted { .. } | AtProvider::NothingLeft => {
                Settlement::Confirmed
            }
            AtProvider::Refused => Settlement::Refused,
            AtProvider::ByUser { .. } | AtProvider::Unsupported | AtProvider::StillUsedBy(_) => {
                Settlement::GivenUp
            }
            AtProvider::Unconfirmed { retry_after } => Settlement::Again {
                at: self.now() + back_off(attempts, *retry_after),
            },
        }
    }

    /// The other live connections that end with this one, because the provider revokes the grant behind them all.
    fn shares_fate_with(&self, connection: &Connection) -> Result<Vec<Connection>> {
        if connection.shares.is_some() && self.family(connection)?.len() > 1 {
            // It leaves the grant to the others: nothing is sent.
            return Ok(Vec::new());
        }
        let service = self.service(connection.provider.as_str())?;
        if !matches!(
            service.server.revocation,
            Capability::Endpoint { grant_wide: true, .. }
        ) {
            return Ok(Vec::new());
        }
        let mut query = ConnectionQuery::of(&connection.tenant);
        query.owner = Some(&connection.owner);
        let others = self.vault.connections(&query)?;
        Ok(others
            .into_iter()
            .filter(|other| {
                let same_account = match (&other.account, &connection.account) {
                    (Some(one), Some(other)) => one.id == other.id,
                    // Where one of them is not known, it may be the same.
                    _ => true,
                };
                other.id != connection.id
                    && other.issued_by.server == connection.issued_by.server
                    && other.issued_by.client_id == connection.issued_by.client_id
                    && other.status != Status::Revoked
                    && same_account
            })
            .collect())
    }
}

impl Connections {
    /// The other connections that live by the same grant as this one: one consent serves them all. To revoke one leaves
    /// the grant to the others; [`revoke_grant`](Self::revoke_grant) ends them all.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the principal cannot see the connection; [`Error::Vault`] if the vault fails.
    pub fn sharing(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        let connection = self.inner().visible(by, id)?;
        let mut family = self.inner().family(&connection)?;
        family.retain(|other| other.id != id);
        Ok(family)
    }

    /// Revokes the whole grant of a connection: it and all that [share](Self::sharing) it, here at once, then at the
    /// provider. For one that shares with nobody, as [`revoke`](crate::ConnectionManager::revoke).
    ///
    /// # Errors
    ///
    /// As [`revoke`](crate::ConnectionManager::revoke).
    pub fn revoke_grant(&self, by: &dyn Principal, id: ConnectionId) -> Result<Revocation> {
        let connection = self.inner().managed(by, id)?;
        let Some(keeper) = connection.shares else {
            return self.inner().revoke(&connection, &by.actor());
        };
        let whole = self.inner().vault.connection(&connection.tenant, keeper)?;
        let family = self.inner().family(&connection)?;
        let mut revocation = self.inner().revoke(&whole.ok_or(Error::NotFound)?, &by.actor())?;
        for ended in &family {
            self.inner().emit_to_all(ended, EventKind::Revoked);
        }
        revocation.connection = self.inner().visible(by, id)?;
        Ok(revocation)
    }

    /// The connections of the same owner that would end with this one: their provider revokes the grant behind all
    /// services of the account at once (Google does). Ask before revoking, and tell the person.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the principal cannot see the connection; [`Error::Vault`] if the vault fails.
    pub fn revoked_together(&self, by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>> {
        let connection = self.inner().visible(by, id)?;
        self.inner().shares_fate_with(&connection)
    }
}

/// The outcome of several requests is that of the one which went worst.
fn worse(so_far: AtProvider, verdict: RevocationVerdict) -> AtProvider {
    match (so_far, verdict) {
        (AtProvider::Refused, _) | (_, RevocationVerdict::Refused) => AtProvider::Refused,
        (unconfirmed @ AtProvider::Unconfirmed { .. }, _) => unconfirmed,
        (_, RevocationVerdict::Later(retry_after)) => AtProvider::Unconfirmed { retry_after },
        (_, RevocationVerdict::Done) => AtProvider::Revoked,
    }
}
