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

/// The number of different sets of scopes that one operation may ask a user for.
const STEP_UPS: usize = 3;

/// Scopes that APIs named but no descriptor lists, each reported once for a connection. The host
/// decides whether to ask the user for them, so they are not stored.
#[derive(Debug, Default)]
pub(super) struct StepUps {
    told: Mutex<HashSet<(TenantId, ConnectionId, Scopes)>>,
    /// The sets of scopes that each operation of a connection asked for.
    asked: Mutex<HashMap<Operation, Vec<Scopes>>>,
}

type Operation = (TenantId, ConnectionId, String);

impl StepUps {
    /// Records the scopes. Returns whether they are new.
    pub(super) fn add(&self, tenant: &TenantId, connection: ConnectionId, scopes: &Scopes) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert((tenant.clone(), connection, scopes.clone()))
    }

    /// Returns whether an operation may ask for these scopes: it has asked for them before, or for
    /// less than [`STEP_UPS`] different sets.
    pub(super) fn allows(
        &self,
        tenant: &TenantId,
        connection: ConnectionId,
        operation: String,
        scopes: &Scopes,
    ) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED {
            asked.clear();
        }
        let sets = asked.entry((tenant.clone(), connection, operation)).or_default();
        if sets.contains(scopes) {
            return true;
        }
        if sets.len() >= STEP_UPS {
            return false;
        }
        sets.push(scopes.clone());
        true
    }
}
