//! Ending a connection: here at once, then at the provider, and saying honestly what was done where.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::manager::{Connections, Inner};
use crate::model::{Connection, ConnectionId, EventKind, Principal, Status};
use crate::protocol::{RevocationVerdict, revocation_requests, revocation_verdict};
use crate::provider::Revocation as Capability;
use crate::vault::{ConnectionQuery, Erasure, Tokens};

/// What revoking did, in both places.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Revocation {
    /// The connection, revoked; its record stays as history.
    pub connection: Connection,
    /// Whether every file is free of the sealed tokens. They are out of the database either way.
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
}

impl Inner {
    pub(crate) fn revoke(&self, connection: &Connection) -> Result<Revocation> {
        let revoked = self.vault.revoke(&connection.tenant, connection.id, self.now())?;
        // From here on nothing resolves it, whatever the network does.
        let here = self.vault.clear_residue()?;
        let Some(revoked) = revoked else {
            // It was revoked before.
            let connection = self
                .vault
                .connection(&connection.tenant, connection.id)?
                .ok_or(Error::NotFound)?;
            return Ok(Revocation {
                connection,
                here,
                at_provider: AtProvider::NothingLeft,
            });
        };
        let at_provider = match &revoked.tokens {
            Some(tokens) => self.revoke_there(&revoked.connection, tokens),
            None => AtProvider::NothingLeft,
        };
        let id = Some(connection.id);
        self.emit(
            &connection.tenant,
            connection.owner.user(),
            &connection.provider,
            id,
            EventKind::Revoked,
        );
        Ok(Revocation {
            connection: revoked.connection,
            here,
            at_provider,
        })
    }

    fn revoke_there(&self, connection: &Connection, tokens: &Tokens) -> AtProvider {
        let unconfirmed = AtProvider::Unconfirmed { retry_after: None };
        let Ok(service) = self.service(connection.provider.as_str()) else {
            return unconfirmed;
        };
        match &service.server.revocation {
            Capability::ByUser { .. } => {
                let page = service.server.revocation_page(&connection.parameters);
                return page.map_or(AtProvider::Unsupported, |url| AtProvider::ByUser {
                    url: url.into(),
                });
            }
            Capability::Unsupported => return AtProvider::Unsupported,
            Capability::Endpoint { .. } | Capability::DeleteWithBearer { .. } => {}
        }
        let Ok(endpoints) = service.server.endpoints(&connection.parameters) else {
            return unconfirmed;
        };
        // As with a refresh: a token goes only where it came from.
        if endpoints.refresh.as_str() != connection.issued_by.token_endpoint {
            return unconfirmed;
        }
        let requests = revocation_requests(
            service.server,
            service.client,
            endpoints.revocation.as_ref(),
            tokens,
        );
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
            let page = service.server.revocation_page(&connection.parameters);
            return AtProvider::Attempted {
                url: page.map(Into::into),
            };
        }
        outcome
    }

    /// The other live connections that end with this one, because the provider revokes the grant behind them all.
    fn shares_fate_with(&self, connection: &Connection) -> Result<Vec<Connection>> {
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
