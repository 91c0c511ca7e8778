//! The memory of a resolver between turns, which avoids repetition.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{ConnectionId, GrantId, Scopes, TenantId};
use crate::resolver::asked::AskedConsents;
use crate::resolver::token::ResolvedToken;

/// Earlier consent requests and refreshes. It avoids repetition and may be lost.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) asked: AskedConsents,
    pub(super) refreshed: RefreshedForApi,
    pub(super) step_ups: StepUps,
}

/// The maximum number of entries. The memory avoids repetition and guarantees nothing.
const REMEMBERED: usize = 4_096;

/// The generations that were created because an API refused the previous one.
#[derive(Debug, Default)]
pub(super) struct RefreshedForApi(Mutex<HashMap<(TenantId, GrantId), u64>>);

impl RefreshedForApi {
    pub(super) fn add(&self, tenant: &TenantId, token: &ResolvedToken) {
        let mut refreshed = self.lock();
        if refreshed.len() >= REMEMBERED {
            refreshed.clear();
        }
        refreshed.insert((tenant.clone(), token.grant), token.generation);
    }

    pub(super) fn contains(&self, tenant: &TenantId, token: &ResolvedToken) -> bool {
        self.lock().get(&(tenant.clone(), token.grant)) == Some(&token.generation)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TenantId, GrantId), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Scopes that APIs named but no descriptor lists, each reported once for a connection. The host
/// decides whether to ask the user for them, so they are not stored.
#[derive(Debug, Default)]
pub(super) struct StepUps(Mutex<HashSet<(TenantId, ConnectionId, Scopes)>>);

impl StepUps {
    /// Records the scopes. Returns whether they are new.
    pub(super) fn add(&self, tenant: &TenantId, connection: ConnectionId, scopes: &Scopes) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert((tenant.clone(), connection, scopes.clone()))
    }
}
