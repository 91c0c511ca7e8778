//! Fetched tokens that the vault could not store: retried, then kept in memory until it can.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{Actor, Grant, GrantId, Scopes, TenantId, Timestamp};
use crate::vault::{Claim, Refreshed, Tokens, VaultError};

/// The maximum number of token sets kept in memory, so that an unavailable vault does not exhaust
/// it.
const KEPT: usize = 1_000;

/// Refreshed tokens that are not yet stored.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The claimed grant.
    pub(crate) grant: Grant,
    pub(crate) claim: Claim,
    pub(crate) tokens: Tokens,
    pub(crate) granted: Option<Scopes>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) refresh_token_expires_at: Option<Timestamp>,
    pub(crate) at: Timestamp,
    pub(crate) by: Option<Actor>,
}

impl Fetched {
    pub(crate) const fn refreshed(&self) -> Refreshed<'_> {
        Refreshed {
            tokens: &self.tokens,
            granted: self.granted.as_ref(),
            expires_at: self.expires_at,
            lifetime: self.lifetime,
            refresh_token_expires_at: self.refresh_token_expires_at,
            at: self.at,
            by: self.by.as_ref(),
        }
    }

    fn is_of(&self, tenant: &TenantId, grant: GrantId) -> bool {
        self.grant.id == grant && self.grant.tenant == *tenant
    }
}

/// The fetched tokens that could not be stored. Their types wipe them on drop.
#[derive(Debug, Default)]
pub(crate) struct UnsavedTokens(Mutex<Vec<Fetched>>);

/// The result of storing the tokens kept for a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    /// No tokens were kept.
    Nothing,
    /// The tokens are stored, or others have replaced them.
    Settled,
}

impl UnsavedTokens {
    /// Keeps tokens that were not stored, unless storing them is impossible or there is no room.
    pub(crate) fn keep(&self, fetched: Fetched, error: &VaultError) {
        let mut kept = self.kept();
        if kept.len() < KEPT && !matches!(error, VaultError::TooLarge) {
            kept.push(fetched);
        }
    }

    /// Takes the tokens kept for a grant.
    pub(crate) fn take(&self, tenant: &TenantId, grant: GrantId) -> Option<Fetched> {
        let mut kept = self.kept();
        let at = kept.iter().position(|fetched| fetched.is_of(tenant, grant))?;
        Some(kept.swap_remove(at))
    }

    pub(crate) fn grants(&self) -> Vec<(TenantId, GrantId)> {
        let kept = self.kept();
        let names = kept.iter().map(|it| (it.grant.tenant.clone(), it.grant.id));
        names.collect()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Fetched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
