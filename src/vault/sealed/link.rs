//! Links the audit entries that wait to the chains of their tenants.
//!
//! Whatever reads, proves or prunes a chain links its entries first, and upkeep links those of all
//! tenants. Two transactions that link the same chain wait for each other; no other one waits.

use crate::vault::VaultError;
use crate::vault::envelope::{AuditKey, VaultId};
use crate::vault::sealed::chain::Extension;
use crate::vault::sealed::core::Core;
use crate::vault::tables::{
    Ahead, AuditRow, Chain, PendingRow, Rows, RowsMut, Tables, TenantRow, VAULT_CHAIN, Write,
};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of entries that one transaction links: some tens of milliseconds.
const CHUNK: usize = 500;

/// The number of entries that one call of upkeep links: a few seconds.
pub(super) const MOST: usize = 50_000;

/// Returns whether a vault wrote this entry for this tenant.
fn is_genuine(key: &AuditKey, vault: VaultId, tenant: TenantRow, entry: &PendingRow) -> bool {
    key.pending(vault, tenant, entry.at, &entry.kind, &entry.body) == entry.mac
}

/// Links entries of a tenant that wait, at most one chunk. Returns their number.
///
/// An entry that no vault wrote is linked as well, and the head says that the chain is broken from
/// there: it is evidence, and a refusal would stop the audit.
fn link_some(rows: &mut dyn RowsMut, key: &AuditKey, vault: VaultId, tenant: TenantRow) -> Result<usize> {
    let chain = Chain::Of(tenant);
    // The end of the chain is read first, because that locks it.
    rows.announce(tenant, &[Ahead::End(chain)]);
    let mut extension = Extension::begin(rows, key, vault, chain)?;
    let Some(unlinked) = rows.unlinked() else {
        return Ok(0);
    };
    let pending = unlinked.pending(tenant, 0, CHUNK)?;
    if pending.is_empty() {
        return Ok(0);
    }
    let positions: Vec<_> = pending.iter().map(|entry| entry.position).collect();
    for entry in pending {
        if !is_genuine(key, vault, tenant, &entry) {
            extension.break_here();
        }
        extension.link(entry.at, entry.kind, entry.body);
    }
    if let Some(unlinked) = rows.unlinked_mut() {
        unlinked.delete_pending(tenant, &positions)?;
    }
    extension.store(rows)?;
    Ok(positions.len())
}

/// Links all entries of a tenant that wait, in the caller's transaction.
pub(super) fn link_now(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    vault: VaultId,
    tenant: TenantRow,
) -> Result<()> {
    if rows.unlinked().is_some() {
        while link_some(rows, key, vault, tenant)? == CHUNK {}
    }
    Ok(())
}

/// Links the entries of all tenants that wait, in the caller's transaction.
pub(super) fn link_all_now(rows: &mut dyn RowsMut, key: &AuditKey, vault: VaultId) -> Result<()> {
    let mut after = VAULT_CHAIN;
    while let Some(tenant) = next_tenant(rows, after)? {
        link_now(rows, key, vault, tenant)?;
        after = tenant;
    }
    Ok(())
}

/// Returns the first tenant after this one that has entries which wait.
fn next_tenant(rows: &dyn Rows, after: TenantRow) -> Result<Option<TenantRow>> {
    match rows.unlinked() {
        Some(unlinked) => Ok(unlinked.tenants_with_pending(after, 1)?.first().copied()),
        None => Ok(None),
    }
}

/// Returns the genuine entries of a tenant that wait, as rows without a number.
pub(super) fn pending(
    rows: &dyn Rows,
    key: &AuditKey,
    vault: VaultId,
    tenant: TenantRow,
) -> Result<Vec<AuditRow>> {
    let mut all = Vec::new();
    let Some(unlinked) = rows.unlinked() else {
        return Ok(all);
    };
    let mut after = 0;
    loop {
        let page = unlinked.pending(tenant, after, CHUNK)?;
        let Some(end) = page.last() else {
            return Ok(all);
        };
        after = end.position;
        let genuine = page
            .into_iter()
            .filter(|entry| is_genuine(key, vault, tenant, entry));
        all.extend(genuine.map(|entry| AuditRow {
            number: u64::MAX,
            at: entry.at,
            tenant: Some(tenant),
            kind: entry.kind,
            body: entry.body,
            mac: entry.mac,
        }));
    }
}

impl<T: Tables> Core<T> {
    /// Links all entries of a tenant that wait.
    pub(super) fn link(&self, tenant: TenantRow) -> Result<()> {
        let waits = self.tables.read(|rows| match rows.unlinked() {
            Some(unlinked) => Ok(!unlinked.pending(tenant, 0, 1)?.is_empty()),
            None => Ok(false),
        })?;
        if waits {
            self.link_up_to(tenant, usize::MAX)?;
        }
        Ok(())
    }

    /// Links entries of all tenants that wait, until at least `most` are linked or none is left.
    pub(super) fn link_all(&self, most: usize) -> Result<()> {
        let (mut linked, mut after) = (0, VAULT_CHAIN);
        while linked < most {
            let Some(tenant) = self.tables.read(|rows| next_tenant(rows, after))? else {
                break;
            };
            linked += self.link_up_to(tenant, most - linked)?;
            after = tenant;
        }
        Ok(())
    }

    fn link_up_to(&self, tenant: TenantRow, most: usize) -> Result<usize> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let mut linked = 0;
        while linked < most {
            let done = self.write(|rows| {
                let done = link_some(rows, &key, vault, tenant)?;
                Ok(if done == 0 {
                    Write::Unchanged(0)
                } else {
                    Write::Commit(done)
                })
            })?;
            linked += done;
            if done < CHUNK {
                break;
            }
        }
        Ok(linked)
    }
}
