//! Refreshes tokens before a turn has to wait for them.
//!
//! Work is divided fairly: each authorization server has its own queue, so a slow or dead server
//! does not delay the others. At one server, a failing client does not delay other clients.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::refresh;
use crate::engine::refresh::NotRefreshed;
use crate::engine::upkeep::budget::{Budget, STRIKES};
use crate::engine::upkeep::lane::lane;
use crate::engine::upkeep::rest::{Lane, Rest};
use crate::engine::workers;
use crate::error::{ConsentReason, Error, Misconfigured, Result};
use crate::model::{FailureCode, GrantId, ServerId};
use crate::trace::{self, About, Seam};
use crate::vault::{Claimed, DefinitionKind, DueQuery, RefreshFailure};

/// Upkeep refreshes access tokens that expire within this time: one minute more than `resolve`
/// considers due, so that a turn seldom waits.
const HORIZON: Duration = Duration::from_secs(6 * 60);

/// The result of refreshing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refreshes {
    pub(crate) refreshed: usize,
    pub(crate) failed: usize,
    pub(crate) passed_over: usize,
    /// True if the budget ran out before the work was done.
    pub(crate) spent: bool,
}

/// The grants of one server.
struct Queue {
    server: ServerId,
    /// The time after which an unused refresh token of this server expires.
    idle: Option<Duration>,
    /// Grants that this call has claimed but not begun to refresh.
    claimed: VecDeque<Claimed>,
    /// All grants that this call has claimed.
    seen: BTreeSet<GrantId>,
    /// The number of workers that serve this queue.
    workers: usize,
    /// Consecutive requests that the server did not answer.
    unanswered: u32,
    /// Consecutive failures, by client.
    strikes: HashMap<Lane, u32>,
    /// True once the call stops claiming grants of this server.
    ended: bool,
}

/// The state shared by the workers of one call.
struct Schedule {
    queues: Vec<Queue>,
    /// The index of the next queue in turn.
    turn: usize,
    /// The number of requests sent or in progress. A grant that cannot be tried does not count.
    requests: usize,
    done: Refreshes,
    /// The storage error that stops the call.
    failure: Option<Error>,
}

/// The cause of a failure: the server or the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// The server does not answer this client properly.
    Strike(FailureCode),
    /// The server refuses the client, and would refuse all its other grants as well.
    RefusesClient,
}

/// The outcome of one refresh.
enum Ended {
    Refreshed,
    /// Another caller was faster, or the connection was revoked meanwhile.
    Elsewhere,
    PassedOver(Option<Misconfigured>),
    Failed(Trouble),
    StoreFailed(Error),
}

/// Refreshes the grants that are due.
pub(crate) fn refresh_due(cx: &Context, budget: Budget, until: Instant) -> Result<Refreshes> {
    if budget.refreshes == 0 {
        return Ok(Refreshes::default());
    }
    let count = budget.workers.clamp(1, budget.refreshes);
    let schedule = Mutex::new(Schedule {
        queues: queues(cx)?,
        turn: 0,
        requests: 0,
        done: Refreshes::default(),
        failure: None,
    });
    let lock = || schedule.lock().unwrap_or_else(PoisonError::into_inner);
    // Most calls find no work and need no threads.
    if !fill(cx, &mut lock(), budget, count, until) {
        return schedule
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .result();
    }
    workers::run(count, || {
        loop {
            // The guard is dropped before the request is sent.
            let next = next(cx, &mut lock(), budget, count, until);
            let Some((queue, claimed)) = next else { return };
            let lane = lane(cx, &claimed.grant);
            let ended = match cx.resting.rest(&lane, cx.now()) {
                Some(rest) => put_off(cx, &claimed, &lane, rest),
                None => refresh_in_turn(cx, claimed),
            };
            tally(cx, &mut lock(), queue, &lane, ended);
        }
    });
    schedule
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .result()
}

/// Returns one queue for each server that is not paused. Each call starts with the next server.
fn queues(cx: &Context) -> Result<Vec<Queue>> {
    let now = cx.now();
    let known = cx.registry.servers();
    let known = known.map(|server| (server.id.clone(), server.refresh_token_idle));
    let mut servers: Vec<_> = known.collect();
    servers.extend(stored_servers(cx)?.into_iter().map(|id| (id, None)));
    let mut queues: Vec<_> = servers
        .into_iter()
        .filter(|(server, _)| {
            let lane = Lane::of_server(server.clone());
            cx.resting.rest(&lane, now).is_none()
        })
        .map(|(server, idle)| Queue {
            server,
            idle,
            claimed: VecDeque::new(),
            seen: BTreeSet::new(),
            workers: 0,
            unanswered: 0,
            strikes: HashMap::new(),
            ended: false,
        })
        .collect();
    let first = cx.first_server.fetch_add(1, Ordering::Relaxed);
    if !queues.is_empty() {
        let first = first % queues.len();
        queues.rotate_left(first);
    }
    Ok(queues)
}

/// The number of ids that are read at a time.
const PAGE: usize = 1_000;

/// Returns the ids of the servers that tenants added.
fn stored_servers(cx: &Context) -> Result<Vec<ServerId>> {
    let mut servers: Vec<ServerId> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let kind = DefinitionKind::Server;
        let page = cx.vault.definition_names(kind, after.as_deref(), PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().cloned();
        let added = page.into_iter().filter_map(|name| ServerId::new(name).ok());
        servers.extend(added.filter(|id| cx.registry.server(id.as_str()).is_none()));
        if is_last {
            return Ok(servers);
        }
    }
}

/// Takes the next grant to refresh, alternating between servers.
fn next(
    cx: &Context,
    schedule: &mut Schedule,
    budget: Budget,
    workers: usize,
    until: Instant,
) -> Option<(usize, Claimed)> {
    if !fill(cx, schedule, budget, workers, until) {
        return None;
    }
    let index = schedule.filled()?;
    let queue = &mut schedule.queues[index];
    queue.workers += 1;
    queue.claimed.pop_front().map(|claimed| (index, claimed))
}

/// Claims grants until at least one is claimed. Returns `false` if no work remains.
fn fill(cx: &Context, schedule: &mut Schedule, budget: Budget, workers: usize, until: Instant) -> bool {
    loop {
        // Claimed grants are refreshed even after the deadline: an abandoned claim makes others
        // wait.
        if schedule.filled().is_some() {
            return true;
        }
        let open = schedule.queues.iter().filter(|queue| !queue.ended).count();
        if open == 0 || schedule.failure.is_some() {
            return false;
        }
        if schedule.requests >= budget.refreshes || Instant::now() >= until {
            schedule.done.spent = true;
            return false;
        }
        let share = if open > 1 { workers.div_ceil(2) } else { workers };
        let Some(index) = schedule.turn_of(share) else {
            return false;
        };
        let room = share - schedule.queues[index].workers;
        let limit = room.min(budget.refreshes - schedule.requests);
        schedule.requests += claim_for(cx, schedule, index, limit);
    }
}

/// Claims grants of one server. Returns their number.
fn claim_for(cx: &Context, schedule: &mut Schedule, index: usize, limit: usize) -> usize {
    let queue = &mut schedule.queues[index];
    let now = cx.now();
    // An idle grant is refreshed after half of its idle lifetime.
    let idle = queue.idle;
    let claimed = cx.vault.claim_due(&DueQuery {
        server: &queue.server,
        holder: cx.holder,
        now,
        claim_time: cx.claim_time(),
        lease: cx.settings.refresh_lease,
        horizon: HORIZON,
        idle_since: idle.map(|idle| now.saturating_sub(idle / 2)),
        limit,
    });
    match claimed {
        Ok(claimed) => {
            // If a grant that this call refreshed is due again, its tokens live shorter than the
            // horizon. All grants that were due before have had their turn.
            let again = claimed.iter().any(|claimed| !queue.seen.insert(claimed.grant.id));
            queue.ended |= again || claimed.is_empty();
            let count = claimed.len();
            queue.claimed.extend(claimed);
            count
        }
        Err(error) => {
            schedule.failure.get_or_insert(error.into());
            0
        }
    }
}

fn refresh_in_turn(cx: &Context, claimed: Claimed) -> Ended {
    let (tenant, provider) = (claimed.grant.tenant.clone(), claimed.grant.provider.clone());
    let about = || About {
        tenant: Some(&tenant),
        provider: Some(&provider),
        ..About::default()
    };
    let mut ended = Ended::Refreshed;
    // The span records how it ended; so does `ended`, in the terms of upkeep.
    let _ = trace::within(Seam::Refresh, about, || {
        match refresh::refresh_claimed(cx, claimed) {
            Ok(_) => Ok(()),
            Err(NotRefreshed::Moved(_)) => {
                ended = Ended::Elsewhere;
                Ok(())
            }
            Err(failed) => {
                let error = failed.to_error(provider.clone().into());
                ended = Ended::of(failed);
                Err(error)
            }
        }
    });
    ended
}

/// Ends the claim of a grant whose client is paused, so that upkeep processes other grants
/// meanwhile.
fn put_off(cx: &Context, claimed: &Claimed, lane: &Lane, rest: Rest) -> Ended {
    let code = match rest.failure {
        // This request was not sent, so the server has not acted on it.
        failure if failure.outcome_unknown() => FailureCode::Unreachable,
        failure => failure,
    };
    let setup = lane.client.as_ref().map(|(_, setup)| *setup);
    let failure = RefreshFailure::Transient {
        code,
        at: cx.now(),
        not_before: rest.until,
        setup: setup.filter(|_| code.needs_administrator()),
    };
    let grant = &claimed.grant;
    match cx
        .vault
        .fail_refresh(&grant.tenant, grant.id, &claimed.claim, &failure)
    {
        Ok(_) => Ended::PassedOver(None),
        Err(error) => Ended::StoreFailed(error.into()),
    }
}

fn tally(cx: &Context, schedule: &mut Schedule, index: usize, lane: &Lane, ended: Ended) {
    let queue = &mut schedule.queues[index];
    queue.workers -= 1;
    let mut trouble = Trouble::None;
    match ended {
        Ended::Refreshed => {
            schedule.done.refreshed += 1;
            queue.unanswered = 0;
            queue.strikes.remove(lane);
            cx.resting.remove(lane);
            cx.resting.remove(&Lane::of_server(queue.server.clone()));
        }
        Ended::Elsewhere => {}
        Ended::PassedOver(problem) => {
            schedule.done.passed_over += 1;
            schedule.requests -= 1;
            // If tenants have no clients of their own, this concerns every grant of the server.
            let no_client = matches!(problem, Some(Misconfigured::NoClient(_)));
            queue.ended |= no_client && lane.client.is_none();
        }
        Ended::Failed(what) => {
            schedule.done.failed += 1;
            trouble = what;
        }
        Ended::StoreFailed(error) => {
            schedule.done.failed += 1;
            schedule.failure.get_or_insert(error);
        }
    }
    rest_after(cx, queue, lane, trouble);
}

/// Pauses a failing client, or the whole server if it does not answer.
fn rest_after(cx: &Context, queue: &mut Queue, lane: &Lane, trouble: Trouble) {
    let now = cx.now();
    match trouble {
        Trouble::None => {}
        Trouble::RefusesClient => {
            if !queue.ended && cx.resting.rest(lane, now).is_none() {
                cx.resting.add(lane, FailureCode::ClientRejected, now);
            }
            queue.ended |= lane.client.is_none();
        }
        Trouble::Strike(failure) => {
            let strikes = queue.strikes.entry(lane.clone()).or_default();
            *strikes += 1;
            if *strikes == STRIKES {
                cx.resting.add(lane, failure, now);
                queue.ended |= lane.client.is_none();
            }
            queue.unanswered = if is_unanswered(failure) {
                queue.unanswered + 1
            } else {
                0
            };
            if queue.unanswered == STRIKES && lane.client.is_some() {
                cx.resting
                    .add(&Lane::of_server(queue.server.clone()), failure, now);
                queue.ended = true;
            }
        }
    }
}

/// Returns whether there was no answer, which is independent of the client.
const fn is_unanswered(failure: FailureCode) -> bool {
    matches!(
        failure,
        FailureCode::Unreachable | FailureCode::Untrusted | FailureCode::TimedOut | FailureCode::Interrupted
    )
}

impl Schedule {
    /// Returns a queue that has grants claimed but not begun.
    fn filled(&self) -> Option<usize> {
        self.queues.iter().position(|queue| !queue.claimed.is_empty())
    }

    fn result(self) -> Result<Refreshes> {
        match self.failure {
            Some(error) => Err(error),
            None => Ok(self.done),
        }
    }

    /// Returns the next queue in turn that can take another worker.
    fn turn_of(&mut self, share: usize) -> Option<usize> {
        let count = self.queues.len();
        let index = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|&index| !self.queues[index].ended && self.queues[index].workers < share)?;
        self.turn = index + 1;
        Some(index)
    }
}

impl Ended {
    fn of(failed: NotRefreshed) -> Self {
        match failed {
            NotRefreshed::Moved(_) => Self::Elsewhere,
            NotRefreshed::Untried(Error::Misconfigured(problem)) => Self::PassedOver(Some(problem)),
            NotRefreshed::Untried(_) => Self::PassedOver(None),
            NotRefreshed::Failed(error @ Error::Vault(_)) => Self::StoreFailed(error),
            NotRefreshed::Failed(Error::Unavailable { failure, .. }) => {
                Self::Failed(Trouble::Strike(failure))
            }
            NotRefreshed::Failed(Error::Misconfigured(Misconfigured::ClientRejected(_))) => {
                Self::Failed(Trouble::RefusesClient)
            }
            NotRefreshed::Failed(_) => Self::Failed(Trouble::None),
            NotRefreshed::NeedsConsent(ConsentReason::ClientChanged) => Self::PassedOver(None),
            NotRefreshed::NeedsConsent(_) => Self::Failed(Trouble::None),
        }
    }
}
