//! Fetched tokens that the vault could not store: retried, then kept in memory until it can.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::refresh::POLL;
use crate::model::{Actor, Grant, GrantId, Scopes, TenantId, Timestamp};
use crate::vault::{Claim, Refreshed, Tokens, VaultError};

/// A vault that stays away must not fill the memory: at most this many sets of tokens are kept.
const KEPT: usize = 1_000;

/// The longest pause between two attempts to store.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Refreshed tokens on their way into the vault.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The grant as it was claimed.
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

/// The fetched tokens that could not be stored. Their types wipe them when they are dropped.
#[derive(Debug, Default)]
pub(crate) struct UnsavedTokens(Mutex<Vec<Fetched>>);

/// What became of the tokens that were kept for a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    /// None were kept.
    Nothing,
    /// They are stored, or their place is taken by others.
    Settled,
}

impl UnsavedTokens {
    /// Keeps tokens that were not stored, unless they never can be or there is no room.
    pub(crate) fn keep(&self, fetched: Fetched, error: &VaultError) {
        let mut kept = self.kept();
        if kept.len() < KEPT && !matches!(error, VaultError::TooLarge) {
            kept.push(fetched);
        }
    }

    /// Takes the tokens that are kept for a grant.
    pub(crate) fn take(&self, tenant: &TenantId, grant: GrantId) -> Option<Fetched> {
        let mut kept = self.kept();
        let at = kept.iter().position(|fetched| fetched.is_of(tenant, grant))?;
        Some(kept.swap_remove(at))
    }

    fn grants(&self) -> Vec<(TenantId, GrantId)> {
        let kept = self.kept();
        let names = kept.iter().map(|it| (it.grant.tenant.clone(), it.grant.id));
        names.collect()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Fetched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Stores what cannot be requested twice: tried again while the vault cannot be written, for longer than a
    /// failover of its database takes.
    pub(crate) fn persist<T>(
        &self,
        mut write: impl FnMut() -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let patience = self.settings.store_patience.max(self.settings.refresh_lease);
        let deadline = Instant::now() + patience;
        let mut pause = POLL;
        loop {
            match write() {
                Err(error) if error.is_retryable() && Instant::now() + pause < deadline => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    /// Stores the tokens that were kept for a grant. Until they are, its old refresh token is not used: it may be
    /// good for nothing any more.
    pub(crate) fn save_unsaved(&self, tenant: &TenantId, grant: GrantId) -> Result<Saved, VaultError> {
        let Some(fetched) = self.unsaved.take(tenant, grant) else {
            return Ok(Saved::Nothing);
        };
        match self.store_fetched(&fetched) {
            Ok(outcome) => {
                // The caller reads what is stored.
                drop(self.committed(fetched, outcome));
                Ok(Saved::Settled)
            }
            Err(error) => {
                self.unsaved.keep(fetched, &error);
                Err(error)
            }
        }
    }

    /// Stores all tokens that were kept.
    pub(crate) fn save_all_unsaved(&self) -> Result<usize, VaultError> {
        let grants = self.unsaved.grants();
        for (tenant, grant) in &grants {
            self.save_unsaved(tenant, *grant)?;
        }
        Ok(grants.len())
    }
}
