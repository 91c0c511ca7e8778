//! Storing the grant of a consent.

use crate::model::{GrantId, Status, UserId};
use crate::vault::change::lifecycle::{Keep, Lifecycle};
use crate::vault::change::{Change, Decided, Snapshot, StoredConnection, StoredGrant, TokenWrite};
use crate::vault::{AuditEntry, AuditKind, NewGrant, StoreOutcome};

/// Stores a new grant for connections.
///
/// The snapshot holds every connection of the owner to the providers concerned, the connections
/// that share grants with the named ones, all their grants, and the former grants of those. `user`
/// is the user who consented.
#[must_use]
pub fn store(snapshot: &Snapshot, new: &NewGrant<'_>, user: Option<&UserId>) -> Decided<StoreOutcome> {
    let connections: Vec<_> = new.connections.iter().map(StoredConnection::of).collect();
    let is_refused = connections.is_empty()
        || has_clash(&connections)
        || connections.iter().any(|new| is_taken(snapshot, new));
    if is_refused {
        return Decided::Nothing(StoreOutcome::Conflict);
    }
    let replaced = replaced(snapshot, &connections);
    let shown = replaced
        .iter()
        .filter_map(|id| snapshot.grant(*id))
        .map(|stored| stored.lifecycle.generation)
        .max();
    // The generation of a connection never decreases, and a claim on its former grant is
    // superseded.
    if new.grant.generation != shown.unwrap_or(0).saturating_add(1) || snapshot.grant(new.grant.id).is_some()
    {
        return Decided::Nothing(StoreOutcome::Conflict);
    }

    let mut change = Change::default();
    let mut lifecycle = Lifecycle::granted(new.grant.generation, new.tokens.refresh_token.is_some(), 0);
    lifecycle.refresh_token_expires_at = new.grant.refresh.refresh_token_expires_at;
    change.put(StoredGrant::new(new.grant.clone(), lifecycle), TokenWrite::New);
    let former = retire(&mut change, snapshot, new, &connections, &replaced);
    for connection in &connections {
        let entry = AuditEntry::new(AuditKind::ConsentCompleted, new.grant.refreshed_at);
        change.tell(entry, connection, new.grant.generation);
        if let (Some(user), Some(told)) = (user, change.entries.last_mut()) {
            told.user = Some(user.clone());
            told.shared = connection.owner.user().is_none();
        }
    }
    put_connections(&mut change, snapshot, connections, new.grant.id);
    Decided::Write(change, StoreOutcome::Stored { former })
}

/// Returns whether two of the connections are identical, or conflict in their label, account or
/// default.
fn has_clash(connections: &[StoredConnection]) -> bool {
    connections.iter().enumerate().any(|(at, one)| {
        connections[..at].iter().any(|other| {
            let is_default = one.is_default && other.is_default;
            one.id == other.id || is_same(one, other) && (is_default || has_same_name(one, other))
        })
    })
}

fn is_same(one: &StoredConnection, other: &StoredConnection) -> bool {
    one.owner == other.owner && one.provider == other.provider
}

/// Returns whether both have the same label or the same account.
fn has_same_name(one: &StoredConnection, other: &StoredConnection) -> bool {
    let accounts = [one, other].map(|of| of.account.as_ref().map(|account| &account.id));
    one.label.is_some() && one.label == other.label || accounts[0].is_some() && accounts[0] == accounts[1]
}

/// Returns whether the id belongs to another record, or another connection that is not revoked has
/// the label or the account.
fn is_taken(snapshot: &Snapshot, new: &StoredConnection) -> bool {
    if snapshot
        .connection(new.id)
        .is_some_and(|known| !is_same(known, new))
    {
        return true;
    }
    snapshot
        .connections
        .iter()
        .filter(|other| other.id != new.id && !other.revoked && is_same(other, new))
        .any(|other| has_same_name(other, new))
}

/// Returns the grants that the connections use until now.
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

/// Turns the grants that are no longer used by any connection into former grants of the new one.
/// Returns them together with their own former grants.
///
/// Revoked connections count as users: connections that were revoked together show the state of one
/// grant.
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
            .connections
            .iter()
            .filter(|user| user.grant == *id)
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

/// Makes the connections use the new grant. The connection that loses the default is written before
/// the one that becomes it, so that there are never two.
fn put_connections(
    change: &mut Change,
    snapshot: &Snapshot,
    mut connections: Vec<StoredConnection>,
    grant: GrantId,
) {
    connections.sort_by_key(|connection| connection.is_default);
    for new in connections.iter().filter(|new| new.is_default) {
        let others = snapshot
            .connections
            .iter()
            .filter(|other| other.is_default && is_same(other, new))
            .filter(|other| connections.iter().all(|new| new.id != other.id));
        for other in others {
            let mut other = other.clone();
            other.is_default = false;
            change.connections.push(other);
        }
    }
    for mut connection in connections {
        connection.grant = grant;
        connection.revoked = false;
        change.connections.push(connection);
    }
}
