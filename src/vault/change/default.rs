//! Choosing the default connection.

use crate::model::{Actor, ConnectionId, Timestamp};
use crate::vault::change::{Change, Decided, Snapshot};
use crate::vault::{AuditEntry, AuditKind};

/// Makes a connection the default among those of its owner to its provider; the snapshot holds all
/// of them.
///
/// Returns `false` to the caller if there is no such connection or it is revoked.
#[must_use]
pub fn set_default(
    snapshot: &Snapshot,
    id: ConnectionId,
    by: Option<&Actor>,
    now: Timestamp,
) -> Decided<bool> {
    let Some(chosen) = snapshot.connection(id).filter(|chosen| !chosen.revoked) else {
        return Decided::Nothing(false);
    };
    let mut change = Change::default();
    // The former default is written first, so that there are never two defaults.
    for other in &snapshot.connections {
        if other.id != id && other.is_default {
            let mut other = other.clone();
            other.is_default = false;
            change.connections.push(other);
        }
    }
    let mut chosen = chosen.clone();
    chosen.is_default = true;
    let generation = snapshot
        .grant(chosen.grant)
        .map_or(0, |stored| stored.lifecycle.generation);
    let entry = AuditEntry::new(AuditKind::DefaultSet, now).by(by);
    change.tell(entry, &chosen, generation);
    change.connections.push(chosen);
    Decided::Write(change, true)
}
