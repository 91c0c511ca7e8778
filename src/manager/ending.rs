//! Ends tokens at their provider, and keeps trying where it does not answer.

use url::Url;

use crate::error::Result;
use crate::manager::Inner;
use crate::manager::revocation::AtProvider;
use crate::manager::settings::back_off;
use crate::manager::unsaved::Fetched;
use crate::model::{Account, Connection, ConnectionId, Grant, GrantId, IssuedBy, Owner, Status, TenantId};
use crate::protocol::{Revocable, RevocationVerdict, revocation_requests, revocation_verdict};
use crate::provider::Revocation as Capability;
use crate::vault::{ConnectionQuery, LateTokens, Settlement, VaultError};

impl Inner {
    /// Tries once to end the tokens of a grant, and says what came of it.
    pub(crate) fn end_at_provider(&self, grant: &Grant, tokens: Revocable<'_>) -> AtProvider {
        let unconfirmed = AtProvider::Unconfirmed { retry_after: None };
        let Ok(service) = self.service(grant.provider.as_str()) else {
            return unconfirmed;
        };
        match &service.server.revocation {
            Capability::ByUser { .. } => {
                let page = service.server.revocation_page(&grant.parameters);
                return page.map_or(AtProvider::Unsupported, |url| AtProvider::ByUser {
                    url: url.into(),
                });
            }
            Capability::Unsupported => return AtProvider::Unsupported,
            Capability::Endpoint { .. } | Capability::DeleteWithBearer { .. } => {}
        }
        let Ok(endpoints) = service.endpoints(&grant.parameters) else {
            return unconfirmed;
        };
        let endpoint = endpoints.revocation.as_ref();
        // As with a refresh: tokens go only where they came from.
        let from = &grant.issued_by;
        let recorded = from.revocation_endpoint.as_deref();
        let same = service.server.id == from.server
            && endpoints.refresh.as_str() == from.refresh_endpoint
            && (recorded.is_none() || recorded == endpoint.map(Url::as_str));
        if !same {
            return unconfirmed;
        }
        let Ok(requests) = revocation_requests(service.server, service.client, endpoint, tokens) else {
            return unconfirmed;
        };
        // A refresh token alone is what is left of a grant that the server refused.
        let refused = tokens.access_token.is_none() && matches!(grant.status, Status::NeedsConsent(_));
        let held = tokens.access_token.is_some() || tokens.refresh_token.is_some();
        if requests.is_empty() && held && !refused {
            // The server takes no token of the kind that is held.
            return AtProvider::Unsupported;
        }
        let mut outcome = AtProvider::NothingLeft;
        for mut request in requests {
            request.timeout = self.settings.http_timeout;
            let verdict = match self.http.send(request) {
                Ok(response) => revocation_verdict(&response),
                Err(_) => RevocationVerdict::Later(None),
            };
            outcome = outcome.worse(match verdict {
                RevocationVerdict::Done => AtProvider::Revoked,
                RevocationVerdict::Later(retry_after) => AtProvider::Unconfirmed { retry_after },
                RevocationVerdict::Refused => AtProvider::Refused,
            });
        }
        if service.server.revocation_is_best_effort && outcome == AtProvider::Revoked {
            let page = service.server.revocation_page(&grant.parameters);
            return AtProvider::Attempted {
                url: page.map(Into::into),
            };
        }
        outcome
    }

    /// Ends tokens that came too late to be stored: now, or by upkeep if the provider does not answer.
    pub(super) fn end_late_tokens(&self, fetched: &Fetched) -> AtProvider {
        let mut grant = fetched.grant.clone();
        grant.generation = fetched.claim.generation.saturating_add(1);
        // Where everything of an account ends together, it ended with the revocation that these tokens missed. A
        // connection that was made since must not end with them.
        let others = self.ends_with(
            &grant.tenant,
            &grant.owner,
            &grant.issued_by,
            grant.account.as_ref(),
        );
        if !others.is_ok_and(|others| others.is_empty()) {
            return AtProvider::NothingLeft;
        }
        let outcome = self.end_at_provider(
            &grant,
            Revocable {
                access_token: Some(&fetched.tokens.access_token),
                refresh_token: fetched.tokens.refresh_token.as_ref(),
            },
        );
        if matches!(outcome, AtProvider::Unconfirmed { .. })
            && let Some(connection) = self.named_by(&grant.tenant, grant.id)
        {
            let now = self.now();
            // Without room, or with a vault that fails, there is nothing left that could be done.
            let _ = self.persist(|| {
                self.vault.queue_revocation(&LateTokens {
                    grant: &grant,
                    connection,
                    tokens: &fetched.tokens,
                    now,
                    give_up_at: now + self.settings.revocation_patience,
                })
            });
        }
        outcome
    }

    /// A connection that used the grant, revoked or not.
    fn named_by(&self, tenant: &TenantId, grant: GrantId) -> Option<ConnectionId> {
        let mut query = ConnectionQuery::of(tenant);
        query.grant = Some(grant);
        query.with_revoked = true;
        query.limit = 1;
        let found = self.vault.connections(&query).ok()?;
        found.first().map(|connection| connection.id)
    }

    /// Tries what earlier attempts left open. Returns how many are settled.
    pub(crate) fn drain_outbox(&self, limit: usize) -> Result<usize> {
        let mut settled = 0;
        let lease = self.settings.refresh_lease;
        for pending in self.vault.take_revocations(self.now(), lease, limit)? {
            let outcome = self.end_at_provider(
                &pending.grant,
                Revocable {
                    access_token: pending.access_token.as_ref(),
                    refresh_token: pending.refresh_token.as_ref(),
                },
            );
            let settlement = self.settlement(&outcome, pending.attempts);
            settled += usize::from(!matches!(settlement, Settlement::Again { .. }));
            self.vault
                .settle_revocation(&pending.grant.tenant, pending.id, settlement, self.now())?;
        }
        Ok(settled)
    }

    pub(super) fn settlement(&self, outcome: &AtProvider, attempts: u32) -> Settlement {
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

    /// The live connections of an owner that end with tokens of this account and issuer, because the provider revokes
    /// the access behind all of them at once.
    pub(super) fn ends_with(
        &self,
        tenant: &TenantId,
        owner: &Owner,
        issued_by: &IssuedBy,
        account: Option<&Account>,
    ) -> Result<Vec<Connection>, VaultError> {
        let server = self.registry.server(issued_by.server.as_str());
        let wide = server
            .is_some_and(|server| matches!(server.revocation, Capability::Endpoint { grant_wide: true, .. }));
        if !wide {
            return Ok(Vec::new());
        }
        let mut query = ConnectionQuery::of(tenant);
        query.owner = Some(owner);
        let mut others = self.vault.connections(&query)?;
        others.retain(|other| {
            let same_account = match (&other.account, account) {
                (Some(one), Some(other)) => one.id == other.id,
                // Where one of them is not known, it may be the same.
                _ => true,
            };
            other.issued_by.server == issued_by.server
                && other.issued_by.client_id == issued_by.client_id
                && same_account
        });
        Ok(others)
    }
}
