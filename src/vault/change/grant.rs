//! Storing the grant of a consent.

use crate::model::{GrantId, Status, UserId};
use crate::vault::change::lifecycle::{Keep, Lifecycle};
use crate::vault::change::{Change, Decided, Snapshot, StoredConnection, StoredGrant, TokenWrite};
use crate::vault::{AuditEntry, AuditKind, NewGrant, StoreOutcome};

/// Stores a new grant for connections.
///
/// The snapshot holds every connection of the owner to the providers concerned, the connections that use the same
/// grants as the named ones, all their grants, and the former grants of those. `user` is the person who consented.
#[must_use]
pub fn store(snapshot: &Snapshot, new: &NewGrant<'_>, user: Option<&UserId>) -> Decided<StoreOutcome> {
    let connections: Vec<_> = new.connections.iter().map(StoredConnection::of).collect();
    if connections.is_empty() || connections.iter().any(|new| is_taken(snapshot, new)) {
        return Decided::Nothing(StoreOutcome::Conflict);
    }
    let replaced = replaced(snapshot, &connections);
    let shown = replaced
        .iter()
        .filter_map(|id| snapshot.grant(*id))
        .map(|stored| stored.lifecycle.generation)
        .max();
    // No connection's generation ever falls, and a claim on what it used before is superseded.
    if new.grant.generation != shown.unwrap_or(0).saturating_add(1) || snapshot.grant(new.grant.id).is_some()
    {
        return Decided::Nothing(StoreOutcome::Conflict);
    }

    let mut change = Change::default();
    let lifecycle = Lifecycle::granted(new.grant.generation, new.tokens.refresh_token.is_some(), 0);
    change.put(StoredGrant::new(new.grant.clone(), lifecycle), TokenWrite::New);
    let former = retire(&mut change, snapshot, new, &connections, &replaced);
    for mut connection in connections {
        if connection.is_default {
            clear_default(&mut change, snapshot, &connection);
        }
        connection.grant = new.grant.id;
        connection.revoked = false;
        let entry = AuditEntry::new(AuditKind::ConsentCompleted, new.grant.refreshed_at);
        change.tell(entry, &connection, new.grant.generation);
        if let (Some(user), Some(entry)) = (user, change.entries.last_mut()) {
            entry.user = Some(user.clone());
        }
        change.connections.push(connection);
    }
    Decided::Write(change, StoreOutcome::Stored { former })
}

/// Whether the id belongs to something else, or another connection that is not revoked has the label or the account.
fn is_taken(snapshot: &Snapshot, new: &StoredConnection) -> bool {
    let is_same = |known: &StoredConnection| known.owner == new.owner && known.provider == new.provider;
    if snapshot.connection(new.id).is_some_and(|known| !is_same(known)) {
        return true;
    }
    let account = new.account.as_ref().map(|account| &account.id);
    snapshot
        .connections
        .iter()
        .filter(|other| other.id != new.id && !other.revoked && is_same(other))
        .any(|other| {
            let other_account = other.account.as_ref().map(|account| &account.id);
            new.label.is_some() && other.label == new.label || account.is_some() && other_account == account
        })
}

/// The grants that the connections use until now.
fn replaced(snapshot: &Snapshot, connections: &[StoredConnection]) -> Vec<GrantId> {
    let mut replaced: Vec<GrantId> = connections
        .iter()
        .filter_map(|new| snapshot.connection(new.id))
        .map(|known| known.grant)
        .collect();
    replaced.sort();
    replaced.dedup();
    replaced
}

/// Turns the grants that no connection uses any more into former grants of the new one. Returns those, with the
/// former grants that they had.
fn retire(
    change: &mut Change,
    snapshot: &Snapshot,
    new: &NewGrant<'_>,
    connections: &[StoredConnection],
    replaced: &[GrantId],
) -> Vec<GrantId> {
    let mut former = Vec::new();
    for id in replaced {
        let is_used = snapshot
            .users_of(*id)
            .any(|user| connections.iter().all(|moved| moved.id != user.id));
        let Some(stored) = snapshot.grant(*id).filter(|_| !is_used) else {
            continue;
        };
        if stored.has_tokens && stored.lifecycle.status != Status::Revoked {
            let mut stored = stored.clone();
            stored.grant.former_of = Some(new.grant.id);
            stored.dead_at = new.former_dead_at;
            former.push(stored.grant.id);
            change.put(stored, TokenWrite::Keep(Keep::All));
        } else {
            change.deleted.push(*id);
        }
        for older in snapshot.former_of(*id) {
            let mut older = older.clone();
            older.grant.former_of = Some(new.grant.id);
            former.push(older.grant.id);
            change.put(older, TokenWrite::Keep(Keep::All));
        }
    }
    former
}

fn clear_default(change: &mut Change, snapshot: &Snapshot, new: &StoredConnection) {
    let others = snapshot.connections.iter().filter(|other| {
        other.id != new.id && other.is_default && other.owner == new.owner && other.provider == new.provider
    });
    for other in others {
        let mut other = other.clone();
        other.is_default = false;
        change.connections.push(other);
    }
}
