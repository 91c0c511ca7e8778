//! The revocation of many connections: all locally first, then at their providers.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::engine::Context;
use crate::engine::revoke::flow::{Local, Tally, end_tokens, locally, report};
use crate::engine::revoke::report::{AtProvider, RevocationReport};
use crate::engine::workers;
use crate::error::Result;
use crate::model::{Actor, Connection, ConnectionId};
use crate::vault::RevokeWhat;

/// The number of requests to providers at a time.
const WORKERS: usize = 8;

/// Revokes these connections. The reports have the order of the connections.
pub(crate) fn revoke_all(
    cx: &Context,
    connections: &[Connection],
    by: &Actor,
) -> Result<Vec<RevocationReport>> {
    let mut local = Vec::new();
    for connection in connections {
        let what = RevokeWhat::Connection(connection.id);
        local.push(locally(cx, connection, what, by)?);
    }
    let deadline = Instant::now() + cx.settings.resolve_deadline;
    let queue = Mutex::new(local.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    workers::run(WORKERS.min(connections.len()), || {
        while let Some((place, local)) = next() {
            let ended = at_provider(cx, local, deadline);
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((place, ended));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    let mut reports = Vec::new();
    for (connection, (_, ended)) in connections.iter().zip(done) {
        let (tally, still_used_by) = ended?;
        reports.push(report(cx, connection, tally, still_used_by)?);
    }
    settle_shared(&mut reports);
    Ok(reports)
}

fn at_provider(cx: &Context, local: Local, deadline: Instant) -> Result<(Tally, Vec<ConnectionId>)> {
    let mut tally = Tally::default();
    let still_used_by = end_tokens(cx, local, &|| Instant::now() < deadline, &mut tally)?;
    Ok((tally, still_used_by))
}

/// Corrects the reports of connections that shared a grant: when all of its users were revoked, the
/// outcome is that of the last one.
fn settle_shared(reports: &mut [RevocationReport]) {
    let outcomes: Vec<_> = reports
        .iter()
        .map(|report| (report.connection.id, report.at_provider.clone()))
        .collect();
    for report in reports {
        let AtProvider::StillUsedBy(others) = &report.at_provider else {
            continue;
        };
        // Each of the others was revoked later, so one of them was the last.
        let last = outcomes.iter().rev().find(|(id, _)| others.contains(id));
        let all = others
            .iter()
            .all(|other| outcomes.iter().any(|(id, _)| id == other));
        if let (Some((_, outcome)), true) = (last, all) {
            report.at_provider = outcome.clone();
        }
    }
}
