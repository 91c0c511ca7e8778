//! The steps of a history: the calls of a vault's callers.

use std::time::Duration;

use super::world::{Fate, World};
use crate::model::{
    Account, Connection, ConnectionId, FailureCode, Grant, GrantId, IssuedBy, NeedsConsent, Owner,
    ProviderId, RevocationId, ServerId, TenantId, UserId,
};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::change::{self, Decided, StoredConnection};
use crate::vault::{
    Attempt, Claim, ClaimRequest, CommitOutcome, Holder, NewGrant, RefreshFailure, Refreshed, RevokeWhat,
    StateHash, StoreOutcome, Tokens,
};

/// A new consent.
#[derive(Debug, Clone)]
pub(super) struct Store {
    /// The connections of the consent, one bit for each.
    pub(super) connections: u8,
    /// The connection that becomes the default, if it is among them.
    pub(super) default: Option<u8>,
    /// A different account for all of them.
    pub(super) account: Option<u8>,
    pub(super) refreshable: bool,
    /// True if it names the next generation.
    pub(super) is_next: bool,
    /// The number of seconds after which the replaced tokens are dead.
    pub(super) dead_in: Option<i64>,
}

/// The ways in which a claim ends without tokens.
#[derive(Debug, Clone)]
pub(super) enum End {
    Transient,
    Rejected,
    /// Rejected, and the refresh token is kept for this many seconds.
    Quarantined(i64),
    ConsentNeeded,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Store(Store),
    Claim { grant: u8, attempt: u8 },
    Commit { claim: u8, refreshable: bool },
    Fail { claim: u8, end: End },
    Revoke { connection: u8, keep: bool },
    RevokeGrant { grant: u8, keep: bool },
    SetDefault { connection: u8 },
    Sweep { seconds: i64 },
}

/// Runs a step, if it is possible.
pub(super) fn take(world: &mut World, step: &Step) {
    match step {
        Step::Store(new) => store(world, new),
        Step::Claim { grant, attempt } => claim(world, *grant, *attempt),
        Step::Commit { claim, refreshable } => commit(world, *claim, *refreshable),
        Step::Fail { claim, end } => fail(world, *claim, end),
        Step::Revoke { connection, keep } => revoke(world, RevokeWhat::Connection(id(*connection)), *keep),
        Step::RevokeGrant { grant, keep } => {
            if let Some(grant) = world.pick(*grant) {
                revoke(world, RevokeWhat::Grant(grant), *keep);
            }
        }
        Step::SetDefault { connection } => set_default(world, id(*connection)),
        Step::Sweep { seconds } => sweep(world, *seconds),
    }
}

fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number + 1; 16])
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// Returns the place of one of four connections: three of alice, two of which are to the same
/// service, and a workspace connection.
fn place(number: u8) -> (Owner, ProviderId) {
    let (owner, provider) = match number {
        0 | 1 => (Owner::Personal(UserId::new("alice").unwrap()), "gmail"),
        2 => (Owner::Personal(UserId::new("alice").unwrap()), "calendar"),
        _ => (Owner::Workspace, "gmail"),
    };
    (owner, ProviderId::new(provider).unwrap())
}

fn tokens(refreshable: bool) -> Tokens {
    Tokens {
        access_token: AccessToken::new("access"),
        refresh_token: refreshable.then(|| RefreshToken::new("refresh")),
        id_token: None,
    }
}

fn store(world: &mut World, new: &Store) {
    let numbers: Vec<u8> = (0..4)
        .filter(|number| new.connections & (1 << number) != 0)
        .collect();
    let shown = numbers.iter().filter_map(|number| {
        Some(
            world
                .grant(world.connection(id(*number))?.grant)?
                .lifecycle
                .generation,
        )
    });
    let generation = shown.max().unwrap_or(0) + if new.is_next { 1 } else { 2 };
    let (owner, provider) = place(numbers[0]);
    let issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    let grant_id = GrantId::from_bytes(world.next_id());
    let mut grant = Grant::new(grant_id, tenant(), owner, provider, issued_by, world.time());
    grant.generation = generation;
    let connections: Vec<_> = numbers
        .iter()
        .map(|number| connection(world, &grant, *number, new))
        .collect();
    let snapshot = world.snapshot(
        &|known| {
            connections
                .iter()
                .any(|new| (&new.owner, &new.provider) == (&known.owner, &known.provider))
        },
        &[],
    );
    let tokens = tokens(new.refreshable);
    let request = NewGrant {
        consent: &StateHash::from_bytes([0; 32]),
        grant: &grant,
        tokens: &tokens,
        connections: &connections,
        former_dead_at: new
            .dead_in
            .map(|seconds| world.time() + Duration::from_secs(seconds.unsigned_abs())),
    };
    let decided = change::grant::store(&snapshot, &request, None);
    apply_stored(world, new, &request, decided);
}

fn apply_stored(world: &mut World, new: &Store, request: &NewGrant<'_>, decided: Decided<StoreOutcome>) {
    match decided {
        Decided::Write(change, StoreOutcome::Stored { former }) => {
            assert!(new.is_next);
            // No tokens may be erased: the replaced ones are kept in former grants.
            world.apply(&change, (&[], Fate::Refused));
            for id in former {
                assert_eq!(world.grant(id).unwrap().grant.former_of, Some(request.grant.id));
            }
            for new in request.connections {
                assert_eq!(world.connection(new.id).unwrap().grant, request.grant.id);
            }
        }
        Decided::Nothing(StoreOutcome::Conflict) => {
            assert!(!new.is_next || new.account.is_some(), "there is no conflict");
        }
        other => panic!("{other:?}"),
    }
}

fn connection(world: &World, grant: &Grant, number: u8, new: &Store) -> Connection {
    let mut connection = Connection::new(id(number), grant);
    (connection.owner, connection.provider) = place(number);
    connection.is_default = new.default == Some(number);
    connection.account = match new.account {
        Some(account) => Some(Account {
            id: account.to_string(),
            email: None,
            label: None,
        }),
        None => world
            .connection(id(number))
            .filter(|known| !known.revoked)
            .and_then(|known| known.account.clone()),
    };
    connection
}

fn claim(world: &mut World, number: u8, attempt: u8) {
    let Some(grant) = world.pick(number) else { return };
    let tenant = tenant();
    let mut stored = world.grant(grant).unwrap().clone();
    let before = stored.clone();
    let request = ClaimRequest {
        tenant: &tenant,
        grant,
        holder: Holder::from_bytes([1; 16]),
        generation: stored.lifecycle.generation,
        attempt: [Attempt::Due, Attempt::Forced, Attempt::Quarantined][usize::from(attempt)],
        now: world.time(),
        lease: Duration::from_secs(30),
    };
    let decision = change::refresh::claim(&mut stored, &request, None);
    let Ok((claim, _)) = decision.granted() else {
        assert_eq!(stored, before, "a claim that is refused changes nothing");
        return;
    };
    assert_eq!(stored.grant.former_of, None, "a former grant is claimed");
    assert!(stored.has_tokens, "there is a refresh token");
    let mut change = change::Change::default();
    change.put(stored, change::TokenWrite::Keep(change::lifecycle::Keep::All));
    world.apply(&change, (&[], Fate::Refused));
    world.claims.push((grant, claim));
}

/// Returns a claim that was granted at some time, whatever has happened to it since.
fn claimed(world: &World, number: u8) -> Option<(GrantId, Claim)> {
    let at = usize::from(number).checked_rem(world.claims.len())?;
    world.claims.get(at).copied()
}

fn commit(world: &mut World, number: u8, refreshable: bool) {
    let Some((grant, claim)) = claimed(world, number) else {
        return;
    };
    let tokens = tokens(refreshable);
    let refreshed = Refreshed {
        tokens: &tokens,
        granted: None,
        expires_at: None,
        lifetime: None,
        refresh_token_expires_at: None,
        at: world.time(),
        by: None,
    };
    let is_former = world
        .grant(grant)
        .is_some_and(|stored| stored.grant.former_of.is_some());
    let snapshot = world.snapshot(&|_| false, &[grant]);
    match change::refresh::commit(&of_grant(snapshot, grant), &claim, &refreshed) {
        Decided::Write(change, outcome) => {
            let expected = if is_former {
                CommitOutcome::Former
            } else {
                CommitOutcome::Stored
            };
            assert_eq!(outcome, expected);
            world.apply(&change, (&[], Fate::Refused));
        }
        Decided::Nothing(outcome) => {
            assert!(matches!(outcome, CommitOutcome::Superseded | CommitOutcome::Gone));
        }
    }
}

/// Returns the grant and the connections that use it, the only inputs of a decision about the end
/// of a refresh.
fn of_grant(mut snapshot: change::Snapshot, grant: GrantId) -> change::Snapshot {
    snapshot.grants.retain(|stored| stored.grant.id == grant);
    snapshot
        .connections
        .retain(|connection| connection.grant == grant);
    snapshot
}

fn fail(world: &mut World, number: u8, end: &End) {
    let Some((grant, claim)) = claimed(world, number) else {
        return;
    };
    let (at, reason) = (world.time(), NeedsConsent::Rejected);
    let after = |seconds: i64| at + Duration::from_secs(seconds.unsigned_abs());
    let failure = match end {
        End::Transient => RefreshFailure::Transient {
            setup: None,
            code: FailureCode::TimedOut,
            at,
            not_before: after(5),
        },
        End::Rejected => RefreshFailure::Rejected {
            reason,
            at,
            quarantined_until: None,
        },
        End::Quarantined(seconds) => RefreshFailure::Rejected {
            reason,
            at,
            quarantined_until: Some(after(*seconds)),
        },
        End::ConsentNeeded => RefreshFailure::ConsentNeeded { reason, at },
    };
    let snapshot = of_grant(world.snapshot(&|_| false, &[grant]), grant);
    if let Decided::Write(change, _) = change::refresh::fail(&snapshot, &claim, &failure) {
        let grants = [grant];
        let may_erase: &[GrantId] = if matches!(end, End::Transient) {
            &[]
        } else {
            &grants
        };
        world.apply(&change, (may_erase, Fate::Refused));
    }
}

fn revoke(world: &mut World, what: RevokeWhat, keep: bool) {
    let pending: Vec<_> = (0..64)
        .map(|_| RevocationId::from_bytes(world.next_id()))
        .collect();
    let request = change::revoke::Request {
        what,
        by: None,
        now: world.time(),
        keep_until: keep.then(|| world.time() + Duration::from_secs(900)),
        last_state: GrantId::from_bytes(world.next_id()),
        pending: &pending,
    };
    let grant = match what {
        RevokeWhat::Connection(id) => world
            .connection(id)
            .filter(|known| !known.revoked)
            .map(|known| known.grant),
        RevokeWhat::Grant(id) => Some(id),
    };
    let snapshot = match grant {
        Some(grant) => world.snapshot(&|known: &StoredConnection| known.grant == grant, &[grant]),
        None => change::Snapshot::default(),
    };
    let Decided::Write(change, Some(outcome)) = change::revoke::revoke(&snapshot, &request) else {
        return;
    };
    assert_eq!(change.kept.len(), if keep { outcome.ended.len() } else { 0 });
    assert!(
        outcome.ended.is_empty() || outcome.still_used_by.is_empty(),
        "tokens that are still used do not end"
    );
    world.apply(&change, (&outcome.ended, Fate::GivenOut));
    for shown in outcome.connections {
        let stored = world.connection(shown.id).unwrap().clone();
        let grant = &world.grant(stored.grant).unwrap().grant;
        assert_eq!(
            stored.show(grant.clone(), None),
            shown,
            "it shows itself as it is stored"
        );
    }
}

fn set_default(world: &mut World, id: ConnectionId) {
    let Some(chosen) = world.connection(id).cloned() else {
        return;
    };
    let snapshot = world.snapshot(
        &|known| (&known.owner, &known.provider) == (&chosen.owner, &chosen.provider),
        &[],
    );
    match change::default::set_default(&snapshot, id, None, world.time()) {
        Decided::Write(change, done) => {
            assert!(done);
            world.apply(&change, (&[], Fate::Refused));
            assert!(world.connection(id).unwrap().is_default);
        }
        Decided::Nothing(done) => assert!(!done && chosen.revoked),
    }
}

fn sweep(world: &mut World, seconds: i64) {
    world.now += seconds;
    let all: Vec<_> = world.grants().map(|stored| stored.grant.id).collect();
    for grant in all {
        let snapshot = of_grant(world.snapshot(&|_| false, &[grant]), grant);
        if let Decided::Write(change, _) = change::refresh::end_quarantine(&snapshot, world.time()) {
            world.apply(&change, (&[grant], Fate::Refused));
        }
    }
    world.delete_dead();
}
