//! Revoking connections and grants.

use std::time::Duration;

use crate::model::{Actor, Connection, ConnectionId, GrantId, RevocationId, Timestamp};
use crate::vault::change::lifecycle::{self, Keep};
use crate::vault::change::{Change, Decided, Kept, Snapshot, StoredConnection, StoredGrant, TokenWrite};
use crate::vault::{AuditEntry, AuditKind, RevokeWhat};

/// The time that the revoking caller has for the first attempt at the provider before upkeep makes
/// one.
const HEAD_START: Duration = Duration::from_secs(60);

/// A request to revoke, with the ids of rows that may have to be created.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Request<'a> {
    /// The connection or grant to revoke.
    pub what: RevokeWhat,
    /// The actor who revokes.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
    /// The time until which tokens are kept as pending revocations. `None` erases them at once.
    pub keep_until: Option<Timestamp>,
    /// The id of a grant that preserves the last state of a revoked connection while other
    /// connections continue to use its grant.
    pub last_state: GrantId,
    /// Ids for pending revocations, one for each grant of the snapshot.
    pub pending: &'a [RevocationId],
}

/// The result of a revocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must read it")]
pub struct Outcome {
    /// The revoked connections, in their new state.
    pub connections: Vec<Connection>,
    /// The grants whose tokens ended.
    pub ended: Vec<GrantId>,
    /// The connections that continue to use the grant.
    pub still_used_by: Vec<ConnectionId>,
}

/// Revokes a connection or a grant. The snapshot holds the connections that use the grant, the
/// grant and its former grants.
///
/// Returns `None` to the caller if there is nothing to revoke.
#[must_use]
pub fn revoke(snapshot: &Snapshot, request: &Request<'_>) -> Decided<Option<Outcome>> {
    match request.what {
        RevokeWhat::Connection(id) => match snapshot.connection(id).filter(|it| !it.revoked) {
            Some(connection) => revoke_connection(snapshot, request, connection),
            None => Decided::Nothing(None),
        },
        RevokeWhat::Grant(id) => match snapshot.grant(id) {
            Some(stored) if stored.grant.former_of.is_some() => revoke_former(snapshot, request, stored),
            Some(stored) => revoke_all(
                snapshot,
                request,
                stored,
                &snapshot.users_of(id).collect::<Vec<_>>(),
            ),
            None => Decided::Nothing(None),
        },
    }
}

fn revoke_connection(
    snapshot: &Snapshot,
    request: &Request<'_>,
    connection: &StoredConnection,
) -> Decided<Option<Outcome>> {
    let Some(stored) = snapshot.grant(connection.grant) else {
        return Decided::Nothing(None);
    };
    let still_used_by: Vec<_> = snapshot
        .users_of(connection.grant)
        .map(|user| user.id)
        .filter(|id| *id != connection.id)
        .collect();
    if still_used_by.is_empty() {
        return revoke_all(snapshot, request, stored, &[connection]);
    }
    // The other connections continue to use the grant. This connection gets its own revoked grant
    // without tokens, which preserves its last state.
    let mut change = Change::default();
    let entry = AuditEntry::new(AuditKind::Revoked, request.now)
        .by(request.by)
        .detail("grant_still_used");
    change.tell(entry, connection, stored.lifecycle.generation);
    let mut last_state = stored.clone();
    last_state.grant.id = request.last_state;
    lifecycle::revoke(&mut last_state.lifecycle);
    last_state.settle();
    let revoked = revoked(connection, request.last_state);
    let shown = revoked.clone().show(last_state.grant.clone(), None);
    change.put(last_state, TokenWrite::Keep(Keep::Nothing));
    change.connections.push(revoked);
    let outcome = Outcome {
        connections: vec![shown],
        ended: Vec::new(),
        still_used_by,
    };
    Decided::Write(change, Some(outcome))
}

/// Revokes a grant, its former grants and the connections that use it.
fn revoke_all(
    snapshot: &Snapshot,
    request: &Request<'_>,
    stored: &StoredGrant,
    users: &[&StoredConnection],
) -> Decided<Option<Outcome>> {
    let mut stored = stored.clone();
    if !lifecycle::revoke(&mut stored.lifecycle) || users.is_empty() {
        return Decided::Nothing(None);
    }
    stored.settle();
    let mut change = Change::default();
    let mut outcome = Outcome::default();
    let entry = AuditEntry::new(AuditKind::Revoked, request.now).by(request.by);
    for user in users {
        change.tell(entry.clone(), user, stored.lifecycle.generation);
        let revoked = revoked(user, stored.grant.id);
        outcome
            .connections
            .push(revoked.clone().show(stored.grant.clone(), None));
        change.connections.push(revoked);
    }
    let named = users
        .first()
        .map_or(ConnectionId::from_bytes([0; 16]), |user| user.id);
    let former: Vec<_> = snapshot.former_of(stored.grant.id).cloned().collect();
    for ended in std::iter::once(&stored).chain(&former).filter(|it| it.has_tokens) {
        outcome.ended.push(ended.grant.id);
        change
            .kept
            .extend(kept(request, outcome.ended.len(), ended, named));
    }
    change.deleted.extend(former.iter().map(|former| former.grant.id));
    change.put(stored, TokenWrite::Keep(Keep::Nothing));
    Decided::Write(change, Some(outcome))
}

/// Ends one former grant. The connections continue to use the grant that replaced it.
fn revoke_former(
    snapshot: &Snapshot,
    request: &Request<'_>,
    stored: &StoredGrant,
) -> Decided<Option<Outcome>> {
    let user = stored
        .grant
        .former_of
        .and_then(|current| snapshot.users_of(current).next());
    let mut change = Change::default();
    let entry = AuditEntry::new(AuditKind::Revoked, request.now)
        .by(request.by)
        .detail("former_grant");
    if let Some(user) = user {
        change.tell(entry, user, stored.lifecycle.generation);
    }
    let named = user.map_or(ConnectionId::from_bytes([0; 16]), |user| user.id);
    let mut outcome = Outcome::default();
    if stored.has_tokens {
        outcome.ended.push(stored.grant.id);
        change.kept.extend(kept(request, 1, stored, named));
    }
    change.deleted.push(stored.grant.id);
    Decided::Write(change, Some(outcome))
}

fn revoked(connection: &StoredConnection, grant: GrantId) -> StoredConnection {
    StoredConnection {
        grant,
        revoked: true,
        is_default: false,
        ..connection.clone()
    }
}

fn kept(request: &Request<'_>, nth: usize, stored: &StoredGrant, connection: ConnectionId) -> Option<Kept> {
    Some(Kept {
        grant: stored.grant.id,
        id: *request.pending.get(nth.checked_sub(1)?)?,
        connection,
        not_before: request.now + HEAD_START,
        give_up_at: request.keep_until?,
    })
}
