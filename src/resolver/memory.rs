//! What a resolver remembers between turns, to save repetitions.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{ConnectionId, GrantId, Scopes, TenantId};
use crate::resolver::asked::AskedConsents;
use crate::resolver::token::ResolvedToken;

/// What was asked for and refreshed earlier. It saves repetitions and may be lost.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) asked: AskedConsents,
    pub(super) refreshed: RefreshedForApi,
    pub(super) step_ups: StepUps,
}

/// More entries than this are not remembered: the memory saves repetitions and promises nothing.
const REMEMBERED: usize = 4_096;

/// The generations that were made because an API refused the one before.
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

/// The scopes that APIs named and no descriptor knows, each told once for a connection. Whether a
/// user is asked for them is the host's decision, so nothing of them is stored.
#[derive(Debug, Default)]
pub(super) struct StepUps(Mutex<HashSet<(TenantId, ConnectionId, Scopes)>>);

impl StepUps {
    /// Remembers the scopes. Returns whether they are new.
    pub(super) fn add(&self, tenant: &TenantId, connection: ConnectionId, scopes: &Scopes) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert((tenant.clone(), connection, scopes.clone()))
    }
}
