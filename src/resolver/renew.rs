//! Another token for one that an API refused: a newer one that is stored already, or one that is refreshed.
//!
//! One refused token leads to one refresh at most, however often it is presented. An API that refuses the refreshed
//! token as well has answered; its answer is handed on, because refreshing and asking the person change nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::StatusCode;

use crate::engine::refresh::Wanted;
use crate::error::{ConsentReason, Error, Result};
use crate::model::{ActingUser, GrantId, Scopes, Status, TenantId};
use crate::resolver::{ResolvedToken, Resolver};
use crate::vault::{Attempt, Claim, Found, Of, RefreshFailure, StoredToken, TokenQuery};

/// More grants than this are not remembered: the memory is a help, not a promise.
const REMEMBERED: usize = 4_096;

/// The generations that were made because an API refused the one before.
#[derive(Debug, Default)]
pub(super) struct Renewed(Mutex<HashMap<(TenantId, GrantId), u64>>);

impl Renewed {
    fn add(&self, tenant: &TenantId, token: &ResolvedToken) {
        let mut renewed = self.lock();
        if renewed.len() >= REMEMBERED {
            renewed.clear();
        }
        renewed.insert((tenant.clone(), token.grant), token.generation);
    }

    fn contains(&self, tenant: &TenantId, token: &ResolvedToken) -> bool {
        self.lock().get(&(tenant.clone(), token.grant)) == Some(&token.generation)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TenantId, GrantId), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// Returns another token for one that the API refused, for hosts that send requests by a client of their own. `None`
    /// if there is none: the token cannot be refreshed, or was itself made because the one before was refused. The
    /// answer of the API stands then.
    ///
    /// If a newer token is stored already, that one is returned. Otherwise the token is refreshed, once for each
    /// generation: callers that present the same refused token at the same time share one request. A user can renew the
    /// token of a workspace connection in the same way.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if the connection is gone or out of this user's reach;
    /// [`ConsentRequired`](Error::ConsentRequired) if it needs a new consent by now;
    /// [`Unavailable`](Error::Unavailable), [`Misconfigured`](Error::Misconfigured) or [`Vault`](Error::Vault) as for
    /// [`resolve`](Self::resolve).
    pub fn renew(&self, acting_user: &ActingUser, refused: &ResolvedToken) -> Result<Option<ResolvedToken>> {
        let inner = self.connections.inner();
        let connection = inner.visible(acting_user, refused.connection)?;
        if connection.status == Status::Revoked {
            return Err(Error::NotFound);
        }
        let ends = Instant::now() + inner.settings.resolve_deadline;
        if self.renewed.contains(acting_user.tenant(), refused) {
            if let Some(newer) = self.newer(acting_user, refused)? {
                return Ok(Some(newer));
            }
            self.note_refused(acting_user, refused)?;
            return Ok(None);
        }
        self.another(acting_user, refused, ends)
    }

    /// Returns another token after an answer of the API with this status, if there is one.
    pub(super) fn another_after(
        &self,
        acting_user: &ActingUser,
        token: &ResolvedToken,
        status: StatusCode,
        ends: Instant,
    ) -> Result<Option<ResolvedToken>> {
        if token.provider.refuses_token(status.as_u16()) {
            self.another(acting_user, token, ends)
        } else if status.is_client_error() {
            // Some servers end the old token at a refresh and answer with a status of their own. Where a newer one is
            // stored, that is worth one more request.
            self.newer(acting_user, token)
        } else {
            Ok(None)
        }
    }

    /// Records that the API refuses a token that had just been refreshed.
    pub(super) fn note_refused(&self, acting_user: &ActingUser, token: &ResolvedToken) -> Result<()> {
        let inner = self.connections.inner();
        // No claim is held: only the generation counts.
        let claim = Claim {
            generation: token.generation,
            fence: 0,
        };
        let refusal = RefreshFailure::TokenRefused { at: inner.now() };
        let tenant = acting_user.tenant();
        inner.vault.fail_refresh(tenant, token.grant, &claim, &refusal)?;
        Ok(())
    }

    /// Returns a newer token that is stored, or one that is refreshed now.
    fn another(
        &self,
        acting_user: &ActingUser,
        refused: &ResolvedToken,
        ends: Instant,
    ) -> Result<Option<ResolvedToken>> {
        let Some(stored) = self.stored(acting_user, refused)? else {
            return Ok(None);
        };
        if is_newer(&stored, refused) {
            return Ok(refused.replaced_by(stored));
        }
        if stored.refresh.token_refused_at.is_some() || !stored.refreshable {
            return Ok(None);
        }
        let inner = self.connections.inner();
        let refreshed = inner.refresh(Wanted {
            tenant: acting_user.tenant(),
            connection: refused.connection,
            provider: &refused.provider.id,
            grant: refused.grant,
            generation: refused.generation,
            attempt: Attempt::Forced,
            by: None,
            deadline: ends.min(Instant::now() + inner.settings.resolve_deadline),
        });
        match refreshed {
            Ok(refreshed) => {
                let token = ResolvedToken {
                    access_token: refreshed.access_token,
                    generation: refreshed.generation,
                    expires_at: refreshed.expires_at,
                    provider: Arc::clone(&refused.provider),
                    connection: refused.connection,
                    grant: refused.grant,
                    shared: refused.shared,
                    parameters: refused.parameters.clone(),
                };
                self.renewed.add(acting_user.tenant(), &token);
                Ok(Some(token))
            }
            // There is nothing to refresh it by.
            Err(Error::ConsentRequired(need)) if need.reason == ConsentReason::Expired => Ok(None),
            Err(Error::ConsentRequired(need)) => Err((*need).of(refused.shared).into()),
            Err(error) => Err(error),
        }
    }

    /// Returns the stored token, if it is newer than one that was refused.
    fn newer(&self, acting_user: &ActingUser, refused: &ResolvedToken) -> Result<Option<ResolvedToken>> {
        let stored = self.stored(acting_user, refused)?;
        Ok(stored
            .filter(|stored| is_newer(stored, refused))
            .and_then(|stored| refused.replaced_by(stored)))
    }

    fn stored(&self, acting_user: &ActingUser, token: &ResolvedToken) -> Result<Option<StoredToken>> {
        let query = TokenQuery {
            tenant: acting_user.tenant(),
            of: Of::Id(token.connection),
            scopes: &Scopes::default(),
        };
        match self.connections.inner().vault.find_token(&query)? {
            Found::One(stored) => Ok(Some(stored)),
            Found::Nothing | Found::Several => Ok(None),
        }
    }
}

/// Returns whether other tokens are stored than the refused one, and can be used.
fn is_newer(stored: &StoredToken, refused: &ResolvedToken) -> bool {
    let moved = stored.grant != refused.grant || stored.generation > refused.generation;
    stored.status == Status::Active && moved
}

impl ResolvedToken {
    /// Returns the stored token of the same connection in the place of this one.
    fn replaced_by(&self, stored: StoredToken) -> Option<Self> {
        Some(Self {
            access_token: Arc::new(stored.access_token?),
            provider: Arc::clone(&self.provider),
            connection: self.connection,
            grant: stored.grant,
            generation: stored.generation,
            expires_at: stored.expires_at,
            shared: self.shared,
            parameters: stored.parameters,
        })
    }
}
