//! Erasing a person or a workspace in chunks.

use super::Result;
use super::{audit, connections, consents, grants, keys, revocations, tenants};
use crate::model::GrantId;
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{Chain, ConnectionRow, Doomed, TenantRow};

/// How many rows a connection and its grant are.
const PAIR: usize = 2;

/// How many rows may still be erased.
struct Chunk {
    left: usize,
}

impl Chunk {
    const fn count(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }
}

/// At most `limit` rows. If that is less than [`PAIR`], a pair is erased nevertheless, because it
/// is inseparable.
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
        // Those that no connection uses.
        for id in grants::some(tx, tenant, chunk.left)? {
            grants::delete(tx, tenant, id)?;
            chunk.count(1);
        }
    }
    Ok(consents::some(tx, tenant, person, 1)?.is_empty()
        && revocations::some(tx, tenant, person, 1)?.is_empty()
        && connections::some(tx, tenant, person, 1)?.is_empty()
        && (person.is_some() || grants::some(tx, tenant, 1)?.is_empty()))
}

/// Erases a connection, and its grant with the former ones unless another connection uses it.
///
/// The former grants go first, as far as the chunk allows. A connection and its grant go together:
/// nobody must find a connection without a grant, and nothing would lead to a grant without a
/// connection.
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

/// Erases all grants that this one replaced, directly or by way of others. `true` if none is left.
fn erase_former(tx: &mut dyn Transaction, tenant: TenantRow, of: GrantId, chunk: &mut Chunk) -> Result<bool> {
    // From a grant to the one that it replaced, and so on: the oldest goes first, because the
    // others lead to it. A grant is never on the path twice, even if the rows were altered so that
    // they form a circle.
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

/// Takes the name and the keys of a tenant away. What is sealed with them is lost.
pub(super) fn unname_tenant(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    tenants::unname(tx, tenant)?;
    keys::delete_all(tx, tenant)
}

/// Deletes what is left of a tenant: its keys, its audit and its row.
pub(super) fn delete_tenant(tx: &mut dyn Transaction, tenant: TenantRow) -> Result<()> {
    keys::delete_all(tx, tenant)?;
    audit::delete_chain(tx, Chain::Of(tenant))?;
    tenants::delete(tx, tenant)
}
