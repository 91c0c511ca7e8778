//! The numbers and the problems of a tenant's connections, counted in slices.
//!
//! No query of the vault counts connections by their state, because the state depends on the clock
//! and the configuration. A page therefore reads a bounded number of connections on. A tenant with
//! no more than that is counted anew for every page. For a larger one, the pages show the latest
//! complete count, which is at most as old as [`FRESH`] and the pages that it took.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Inner;
use crate::connections::StatusCounts;
use crate::engine::lists::ConnectionFilter;
use crate::error::Result;
use crate::model::{ConnectionId, Operator, Status, TenantId, Timestamp};

/// The number of connections that one page counts.
const SLICE: usize = 1_000;

/// The time for which a complete count of a large tenant is used.
const FRESH: Duration = Duration::from_secs(30);

/// The largest number of connections with a problem that are remembered.
const MOST_NEEDY: usize = 201;

/// A count of a tenant's connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Overview {
    pub(super) counts: StatusCounts,
    /// The first connections that need a consent.
    pub(super) needy: Vec<ConnectionId>,
}

/// A count in progress.
#[derive(Default)]
struct Count {
    so_far: Overview,
    after: Option<ConnectionId>,
}

/// The counts of one tenant.
#[derive(Default)]
struct Counted {
    latest: Option<(Timestamp, Overview)>,
    running: Count,
}

/// The counts of all tenants whose operators opened the list.
#[derive(Default)]
pub(super) struct Overviews(Mutex<HashMap<TenantId, Counted>>);

impl Overviews {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the count of a tenant after a change that its page must show.
    pub(super) fn forget(&self, tenant: &TenantId) {
        self.lock().remove(tenant);
    }
}

impl Inner {
    /// Returns the latest complete count of the operator's tenant, after counting one slice more.
    pub(super) fn overview(&self, operator: &Operator) -> Result<Option<Overview>> {
        let tenant = operator.acting_user().tenant();
        let now = self.now();
        let mut running = {
            let mut all = self.overviews.lock();
            let counted = all.entry(tenant.clone()).or_default();
            match &counted.latest {
                Some((at, latest)) if latest.counts.total() > SLICE && now.saturating_since(*at) < FRESH => {
                    return Ok(Some(latest.clone()));
                }
                _ => std::mem::take(&mut counted.running),
            }
        };
        // The vault is read without the lock: pages of other operators do not wait.
        let is_complete = self.count_slice(operator, &mut running)?;
        let mut all = self.overviews.lock();
        let counted = all.entry(tenant.clone()).or_default();
        if is_complete {
            counted.latest = Some((now, running.so_far));
        } else {
            counted.running = running;
        }
        Ok(counted.latest.as_ref().map(|(_, latest)| latest.clone()))
    }

    /// Counts one slice. Returns whether it was the last one.
    fn count_slice(&self, operator: &Operator, count: &mut Count) -> Result<bool> {
        let mut filter = ConnectionFilter::default().include_revoked().limit(SLICE);
        filter.after = count.after;
        let slice = self.connections.list(operator, &filter)?;
        count.after = slice.last().map(|connection| connection.id);
        for connection in &slice {
            count.so_far.counts.add(connection.status);
            let needs = matches!(connection.status, Status::NeedsConsent(_));
            if needs && count.so_far.needy.len() < MOST_NEEDY {
                count.so_far.needy.push(connection.id);
            }
        }
        Ok(slice.len() < SLICE)
    }
}
