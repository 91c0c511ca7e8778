//! A state machine of a refresh, explored over every schedule of three holders, with all kinds of
//! servers, crashes, lost responses, lapsed claims, a revocation and a token that the API refuses.
//!
//! The decisions are the library's own ([`lifecycle`]). The store is a value, each step of a holder
//! is one transition, and the explorer tries all orders of the steps.

#![allow(clippy::print_stdout, reason = "a test tells how many cases it tried")]

mod state;

use std::collections::HashSet;
use std::time::Duration;

use valetkey::TenantId;
use valetkey::internals::provider::RotationClass;
use valetkey::internals::vault::change::lifecycle::{self, Decision, Lifecycle};
use valetkey::internals::vault::{Attempt, Claim, ClaimRequest, CommitOutcome, Holder, RefreshFailure};
use valetkey::model::{FailureCode, GrantId, NeedsConsent, Status, Timestamp};

use self::state::*;

const LEASE: Duration = Duration::from_secs(30);
const HOLDERS: usize = 3;

/// Returns all universes that one step leads to.
fn steps(universe: &Universe, rotation: RotationClass) -> Vec<Universe> {
    let mut next = Vec::new();
    for index in 0..HOLDERS {
        if let Some(stepped) = step(universe, index, rotation) {
            next.push(stepped);
        }
        let busy = matches!(universe.holders[index], At::Claimed { .. } | At::Answered { .. });
        if busy && universe.crashes > 0 {
            let mut crashed = universe.clone();
            crashed.crashes -= 1;
            crashed.holders[index] = At::Crashed;
            if let At::Claimed { token, .. } = universe.holders[index] {
                let mut sent = crashed.clone();
                sent.on_its_way = Some(token);
                next.push(sent);
            }
            next.push(crashed);
        }
    }
    if let Some(token) = universe.on_its_way {
        let mut arrived = universe.clone();
        arrived.on_its_way = None;
        arrived.server.refresh(rotation, token, universe.now);
        next.push(arrived);
    }
    for index in 0..HOLDERS {
        if universe.lost_answers > 0
            && let At::Answered { claim, .. } = universe.holders[index]
        {
            next.push(lose_answer(universe, index, claim));
        }
    }
    if universe.lapses > 0 && universe.stored.held.is_some() {
        let mut later = universe.clone();
        later.lapses -= 1;
        later.now += 31_000;
        next.push(later);
    }
    if universe.revocations > 0 && universe.stored.status != 3 {
        let mut revoked = universe.clone();
        revoked.revocations -= 1;
        let mut lifecycle = revoked.stored.lifecycle();
        assert!(lifecycle::revoke(&mut lifecycle));
        revoked.stored.keep(&lifecycle);
        revoked.stored.token = None;
        next.push(revoked);
    }
    if universe.refusals > 0 && universe.stored.status == 0 {
        next.push(refuse(universe));
    }
    next
}

/// A caller reports that the API refuses the access token of the first generation. If that token is
/// still stored, a new consent is needed.
fn refuse(universe: &Universe) -> Universe {
    let mut next = universe.clone();
    next.refusals -= 1;
    let mut lifecycle = next.stored.lifecycle();
    let claim = Claim {
        generation: 1,
        fence: 0,
    };
    let failure = RefreshFailure::ConsentNeeded {
        reason: NeedsConsent::Unexplained,
        at: Timestamp::from_unix_millis(next.now),
    };
    match lifecycle::fail(&mut lifecycle, &claim, &failure) {
        (CommitOutcome::Stored, keep) => {
            assert_eq!(keep, lifecycle::Keep::Nothing);
            next.stored.keep(&lifecycle);
            next.stored.token = None;
            next.refused = true;
        }
        (outcome, _) => {
            assert_eq!(outcome, CommitOutcome::Superseded);
            assert!(
                next.stored.generation > 1,
                "an active grant of that generation: {next:?}"
            );
        }
    }
    next
}

/// The server has acted, and its response never arrives.
fn lose_answer(universe: &Universe, index: usize, claim: (u64, u64)) -> Universe {
    let mut next = universe.clone();
    next.lost_answers -= 1;
    next.holders[index] = At::Done;
    let mut lifecycle = next.stored.lifecycle();
    let at = Timestamp::from_unix_millis(next.now);
    let failure = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::TimedOut,
        at,
        not_before: at,
    };
    let claim = Claim {
        generation: claim.0,
        fence: claim.1,
    };
    if lifecycle::fail(&mut lifecycle, &claim, &failure).0 == CommitOutcome::Stored {
        next.stored.keep(&lifecycle);
    }
    next
}

fn step(universe: &Universe, index: usize, rotation: RotationClass) -> Option<Universe> {
    let mut next = universe.clone();
    next.holders[index] = match universe.holders[index].clone() {
        At::Idle => claim(&mut next, index)?,
        At::Claimed {
            claim,
            token,
            unknown,
        } => {
            let answer = next.server.refresh(rotation, token, universe.now);
            At::Answered {
                claim,
                token,
                unknown,
                answer,
            }
        }
        At::Answered {
            claim,
            unknown,
            answer,
            ..
        } => {
            end(
                &mut next,
                Claim {
                    generation: claim.0,
                    fence: claim.1,
                },
                unknown,
                answer,
                rotation,
            );
            At::Done
        }
        At::Crashed | At::Done => return None,
    };
    Some(next)
}

fn claim(next: &mut Universe, index: usize) -> Option<At> {
    let tenant = TenantId::new("acme").unwrap();
    let mut lifecycle = next.stored.lifecycle();
    let request = ClaimRequest {
        tenant: &tenant,
        grant: GrantId::from_bytes([0; 16]),
        holder: holder(index),
        // Each holder found the first generation too old.
        generation: 1,
        attempt: Attempt::Forced,
        now: Timestamp::from_unix_millis(next.now),
        lease: LEASE,
    };
    let dead = next.stored.held.and_then(|(index, ..)| {
        let crashed = matches!(next.holders[usize::from(index)], At::Crashed);
        crashed.then(|| holder(index.into()))
    });
    match lifecycle::claim(&mut lifecycle, &request, dead) {
        Decision::Granted {
            claim,
            outcome_unknown,
        } => {
            next.stored.keep(&lifecycle);
            let token = next.stored.token.expect("a granted claim has a token");
            Some(At::Claimed {
                claim: (claim.generation, claim.fence),
                token,
                unknown: outcome_unknown,
            })
        }
        // It waits; the event that it waits for is a separate step.
        Decision::Held(_) => None,
        _ => Some(At::Done),
    }
}

fn end(next: &mut Universe, claim: Claim, unknown: bool, answer: Option<u32>, rotation: RotationClass) {
    let mut lifecycle = next.stored.lifecycle();
    if let Some(token) = answer {
        match lifecycle::commit(&mut lifecycle, &claim, true) {
            CommitOutcome::Stored => {
                next.stored.keep(&lifecycle);
                next.stored.token = Some(token);
            }
            CommitOutcome::Gone => next.returned.push(token),
            _ => {}
        }
        return;
    }
    let lost = unknown && !matches!(rotation, RotationClass::Static | RotationClass::OldStaysValid);
    let reason = if lost {
        NeedsConsent::LostInFlight
    } else {
        NeedsConsent::Rejected
    };
    let at = Timestamp::from_unix_millis(next.now);
    let failure = RefreshFailure::Rejected {
        reason,
        at,
        quarantined_until: None,
    };
    if lifecycle::fail(&mut lifecycle, &claim, &failure).0 == CommitOutcome::Stored {
        next.stored.keep(&lifecycle);
        next.stored.token = None;
    }
}

/// Checks the conditions of final states, and the invariants of all states.
fn check(before: &Universe, after: &Universe, rotation: RotationClass) {
    assert!(
        after.stored.generation >= before.stored.generation,
        "a generation went back: {after:?}"
    );
    // Every holder found the first generation too old: one of them increases it, and the tokens of
    // the others arrive too late.
    assert!(
        after.stored.generation <= 2,
        "a late answer was stored over a newer one: {after:?}"
    );
    assert!(
        after.stored.token.is_none() || after.stored.token >= before.stored.token,
        "an older token took the place of a newer one: {after:?}"
    );
    assert!(
        before.stored.status != 3 || after.stored.status == 3,
        "a revoked connection came back: {after:?}"
    );
    assert!(
        after.stored.status != 3 || after.stored.token.is_none(),
        "a revoked connection holds a token"
    );
    let dialling = after
        .holders
        .iter()
        .filter(|at| matches!(at, At::Claimed { .. }))
        .count();
    assert!(
        dialling <= 1 || after.lapses < before.lapses || has_lapsed(after),
        "two dial at once: {after:?}"
    );
    let crashed = after.holders.iter().any(|at| matches!(at, At::Crashed));
    // Without a crash or a claim that lapsed under its holder, no token is lost.
    let refused = after.refused && after.stored.generation == 1;
    if !refused && (after.stored.status == 1 || after.stored.status == 2) {
        let lost_answer = after.lost_answers == 0;
        assert!(
            crashed || lost_answer || has_lapsed(after),
            "lost without a cause: {after:?}"
        );
        let forgiving = matches!(
            rotation,
            RotationClass::Static | RotationClass::OldStaysValid | RotationClass::Grace(_)
        );
        assert!(
            !forgiving,
            "lost before a server that takes the old token: {after:?}"
        );
        assert_eq!(after.stored.status, 2, "a loss under the wrong name: {after:?}");
    }
}

fn has_lapsed(universe: &Universe) -> bool {
    universe.now > 0
}

/// At the end of all steps, the stored token is one that the server accepts, or the connection
/// reports the loss.
fn check_end(universe: &Universe, rotation: RotationClass) {
    if universe.stored.status == 0 {
        let token = universe.stored.token.expect("an active connection has a token");
        // A claim that was not ended, or a response that never arrived, is remembered and reported
        // at the next attempt.
        let waiting = universe.stored.held.is_some() || universe.stored.unknown.is_some();
        let good = universe
            .server
            .clone()
            .refresh(rotation, token, universe.now)
            .is_some();
        assert!(good || waiting, "a silent divergence: {universe:?}");
    }
}

fn explore(rotation: RotationClass) -> usize {
    let start = Universe {
        stored: Stored {
            status: 0,
            generation: 1,
            fence: 0,
            held: None,
            unknown: None,
            token: Some(1),
        },
        server: Server {
            current: 1,
            issued: 1,
            family_dead: false,
            grace_until: 0,
        },
        holders: [const { At::Idle }; HOLDERS],
        now: 0,
        crashes: 1,
        lost_answers: 1,
        lapses: 2,
        revocations: 1,
        refusals: 1,
        refused: false,
        on_its_way: None,
        returned: Vec::new(),
    };
    let mut seen = HashSet::new();
    let mut open = vec![start];
    while let Some(universe) = open.pop() {
        let next = steps(&universe, rotation);
        if next.is_empty() {
            check_end(&universe, rotation);
        }
        for after in next {
            check(&universe, &after, rotation);
            if seen.insert(after.clone()) {
                open.push(after);
            }
        }
    }
    seen.len()
}

#[test]
fn every_schedule_holds_before_every_kind_of_server() {
    for rotation in [
        RotationClass::Static,
        RotationClass::OldStaysValid,
        RotationClass::Grace(Duration::from_secs(120)),
        RotationClass::SingleUse,
        RotationClass::SingleUseRevokesFamily,
    ] {
        let states = explore(rotation);
        println!("{rotation:?}: {states} states");
        assert!(states > 1_000, "{rotation:?}: only {states} states were reached");
    }
}

#[test]
fn the_explorer_bites() {
    // A store that commits unconditionally: the late holder's token overwrites the newer one.
    let mut lifecycle = Lifecycle::granted(1, true, 2);
    let late = Claim {
        generation: 1,
        fence: 1,
    };
    assert_eq!(
        lifecycle::commit(&mut lifecycle, &late, true),
        CommitOutcome::Stored
    );
    assert_eq!(
        lifecycle::commit(&mut lifecycle, &late, true),
        CommitOutcome::Superseded
    );
    let failure = RefreshFailure::Transient {
        setup: None,
        code: FailureCode::TimedOut,
        at: Timestamp::from_unix_millis(0),
        not_before: Timestamp::from_unix_millis(0),
    };
    assert_eq!(
        lifecycle::fail(&mut lifecycle, &late, &failure).0,
        CommitOutcome::Superseded
    );
}
