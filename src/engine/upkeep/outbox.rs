//! Retries revocations that their provider has not confirmed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::engine::Context;
use crate::engine::revoke::at_provider;
use crate::engine::revoke::report::AtProvider;
use crate::engine::upkeep::budget::{Budget, STRIKES};
use crate::engine::upkeep::lane::lane;
use crate::engine::upkeep::rest::Lane;
use crate::engine::workers;
use crate::error::Result;
use crate::protocol::Revocable;
use crate::vault::{PendingRevocation, Settlement, VaultError};

/// The result of retrying pending revocations.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Drained {
    pub(crate) settled: usize,
    /// True if the budget ran out before the work was done.
    pub(crate) spent: bool,
}

/// The state shared by the workers of one call.
struct Work {
    pending: Vec<PendingRevocation>,
    /// Consecutive attempts without a result, by server and client.
    silent: HashMap<Lane, u32>,
    settled: usize,
    failure: Option<VaultError>,
}

/// Retries pending revocations. If a server does not answer a client, that client does not contact
/// it for the rest of the call.
pub(crate) fn drain_outbox(cx: &Context, budget: Budget, until: Instant) -> Result<Drained> {
    let limit = budget.refreshes;
    // Each worker must finish all that it has taken before the lease ends.
    let mut drained = Drained::default();
    let mut tried = 0;
    let mut silent = HashMap::new();
    while tried < limit && Instant::now() < until {
        let count = budget.workers.clamp(1, limit - tried);
        let pending = cx
            .vault
            .take_revocations(cx.now(), cx.settings.refresh_lease, count)?;
        if pending.is_empty() {
            return Ok(drained);
        }
        tried += pending.len();
        let work = Mutex::new(Work {
            pending,
            silent,
            settled: 0,
            failure: None,
        });
        workers::run(count, || while end_pending(cx, &work) {});
        let work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
        drained.settled += work.settled;
        silent = work.silent;
        if let Some(error) = work.failure {
            return Err(error.into());
        }
    }
    drained.spent = limit > 0;
    Ok(drained)
}

/// Retries one pending revocation. Returns whether there was one.
fn end_pending(cx: &Context, work: &Mutex<Work>) -> bool {
    let lock = || work.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(pending) = lock().pending.pop() else {
        return false;
    };
    let lane = lane(cx, &pending.grant);
    let asks = lock().silent.get(&lane).is_none_or(|count| *count < STRIKES);
    let outcome = if asks {
        at_provider::end_at_provider(
            cx,
            &pending.grant,
            Revocable {
                access_token: pending.access_token.as_ref(),
                refresh_token: pending.refresh_token.as_ref(),
            },
        )
    } else {
        AtProvider::Unconfirmed { retry_after: None }
    };
    let settlement = at_provider::settlement(cx, &outcome, pending.attempts);
    let waits = matches!(settlement, Settlement::Again { .. });
    let settled = cx
        .vault
        .settle_revocation(&pending.grant.tenant, pending.id, settlement, cx.now());
    let mut work = lock();
    let silent = work.silent.entry(lane).or_default();
    *silent = if waits { silent.saturating_add(1) } else { 0 };
    match settled {
        Ok(()) => work.settled += usize::from(!waits),
        Err(error) => _ = work.failure.get_or_insert(error),
    }
    true
}
