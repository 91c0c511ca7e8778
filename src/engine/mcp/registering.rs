//! Locks of registrations in progress, so that concurrent consents of one tenant at one issuer use
//! the same client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::TenantId;

/// The locks, by tenant and issuer.
#[derive(Debug, Default)]
pub(crate) struct Registering(Mutex<HashMap<Place, Arc<Mutex<()>>>>);

/// A tenant, and an issuer.
type Place = (TenantId, String);

impl Registering {
    pub(crate) fn of(&self, tenant: &TenantId, issuer: &str) -> Arc<Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nothing waits for are dropped.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry((tenant.clone(), issuer.to_owned())).or_default())
    }
}
