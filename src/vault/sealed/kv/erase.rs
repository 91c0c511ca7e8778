//! Erases a user or a tenant in chunks.

use super::Result;
use super::{audit, connections, consents, definitions, grants, keys, revocations, tenants};
use crate::model::GrantId;
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{Chain, ConnectionRow, Doomed, TenantRow};

/// The number of rows that a connection and its grant take.
const PAIR: usize = 2;

/// The number of rows that may still be erased.
struct Chunk {
    left: usize,
}

impl Chunk {
    const fn count(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }
}

/// Erases at most `limit` rows. If that is less than [`PAIR`], a pair is erased nevertheless,
/// because it is inseparable.
pub(super) fn erase(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    doomed: Doomed<'_>,
    limit: usize,
) -> Result<bool> {
    let mut chunk = Chunk {
        left: limit.max(PAIR),
    };
    let person = match doomed {
        Doomed::Owner(owner) => Some(owner),
        Doomed::Everything => None,
    };
    for state in consents::some(tx, tenant, person, chunk.left)? {
        consents::delete(tx, tenant, &state)?;
        chunk.count(1);
    }
    for id in revocations::some(tx, tenant, person, chunk.left)? {
        revocations::delete(tx, tenant, id)?;
        chunk.count(1);
    }
    for connection in connections::some(tx, tenant, person, chunk.left)? {
        erase_connection(tx, tenant, &connection, &mut chunk)?;
    }
    if person.is_none() {
        // The grants that no connection uses.
        for id in grants::some(tx, tenant, chunk.left)? {
            grants::delete(tx, tenant, id)?;
            chunk.count(1);
        }
        for (kind, name) in definitions::some(tx, tenant, chunk.left)? {
            definitions::delete(tx, tenant, &kind, &name)?;
            chunk.count(1);
        }
    }
    Ok(consents::some(tx, tenant, person, 1)?.is_empty()
        && revocations::some(tx, tenant, person, 1)?.is_empty()
        && connections::some(tx, tenant, person, 1)?.is_empty()
        && (person.is_some() || is_empty(tx, tenant)?))
}

/// Returns whether no row is left that only the erasure of a tenant erases.
fn is_empty(tx: &dyn Transaction, tenant: TenantRow) -> Result<bool> {
    Ok(grants::some(tx, tenant, 1)?.is_empty() && definitions::some(tx, tenant, 1)?.is_empty())
}

/// Erases a connection, and its grant with the former ones unless another connection uses it.
///
/// The former grants go first, as far as the chunk allows. A connection and its grant are erased
/// together: a reader must not find a connection without a grant, and a grant without a connection
/// could not be found again.
fn erase_connection(
    tx: &mut dyn Transaction,
    tenant: TenantRow,
    connection: &ConnectionRow,
    chunk: &mut Chunk,
) -> Result<()> {
    let is_shared = connections::is_grant_shared(tx, tenant, connection.grant)?;
    if is_shared && chunk.left > 0 {
        connections::delete(tx, tenant, connection.id)?;
        chunk.count(1);
    }
    if !is_shared && erase_former(tx, tenant, connection.grant, chunk)? && chunk.left >= PAIR {
        connections::delete(tx, tenant, connection.id)?;
        grants::delete(tx, tenant, connection.grant)?;
        chunk.count(PAIR);
    }
    Ok(())
}

/// Erases all grants that this one replaced, directly or indirectly. Returns `true` if none is
/// left.
fn erase_former(tx: &mut dyn Transaction, tenant: TenantRow, of: GrantId, chunk: &mut Chunk) -> Result<bool> {
    // The path leads from each grant to one that it replaced. The oldest is deleted first, because
    // the others lead to it. A grant is never on the path twice, even if altered rows form a cycle.
    let mut path = vec![of];
    while let Some(&last) = path.last() {
        let formers = grants::formers(tx, tenant, last)?;
        if let Some(next) = formers.iter().find(|grant| !path.contains(&grant.id)) {
            path.push(next.id);
            continue;
        }
        path.pop();
        if !path.is_empty() {
            if chunk.left == 0 {
                return Ok(false);
            }
            grants::delete(tx, tenant, last)?;
            chunk.count(1);
        }
    }
    Ok(true)
}

/// Removes the name and the keys of a tenant. The records sealed with them are lost.
pub(super) fn unname_tenant(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    tenants::unname(tx, tenant)?;
    keys::delete_all(tx, tenant)
}

/// Deletes the remaining rows of a tenant: its keys, its audit and its own row.
pub(super) fn delete_tenant(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    keys::delete_all(tx, tenant)?;
    audit::delete_chain(tx, Chain::Of(tenant))?;
    tenants::delete(tx, tenant)
}
