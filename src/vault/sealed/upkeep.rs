//! Deletes records whose time has come, and erases users and tenants.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::model::{TenantId, Timestamp, UserId};
use crate::vault::change;
use crate::vault::sealed::apply::Needs;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::refresh::load;
use crate::vault::sealed::snapshot::Read;
use crate::vault::sealed::verify_rows::user_fingerprint;
use crate::vault::sealed::{chain, link, prune};
use crate::vault::tables::{Chain, CheckpointRow, Doomed, Of, RowsMut, Tables, VAULT_CHAIN, Write};
use crate::vault::{
    AuditChain, AuditEntry, AuditHead, AuditKind, Erasure, Forget, Forgotten, Holder, SweepLimits, Swept,
    VaultError, VaultWarning,
};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of rows that one transaction deletes: a few milliseconds of the write lock.
const CHUNK: usize = 250;

impl<T: Tables> Core<T> {
    pub(super) fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.tables.clock()
    }

    pub(super) fn warnings(&self) -> Vec<VaultWarning> {
        self.tables.warnings()
    }

    pub(super) fn backup(&self, path: &Path) -> Result<()> {
        self.tables.backup(path)
    }

    pub(super) fn holder(&self) -> Result<Holder> {
        self.tables.holder()
    }

    pub(super) fn sweep(&self, limits: &SweepLimits) -> Result<Swept> {
        let mut swept = Swept::default();
        self.link_all(link::MOST)?;
        swept.consents = self.delete_consents(limits.consents_before, limits.rows)?;
        swept.quarantines = self.end_quarantines(limits.now, limits.rows)?;
        swept.former_grants = self.delete_dead_grants(limits.now, limits.rows)?;
        swept.audit_entries = self.prune(limits)?;
        swept.more = [
            swept.consents,
            swept.quarantines,
            swept.former_grants,
            swept.audit_entries,
        ]
        .into_iter()
        .any(|deleted| deleted > 0 && deleted >= limits.rows);
        Ok(swept)
    }

    /// Deletes rows in chunks until a chunk is not full or the limit is reached.
    fn in_chunks(&self, limit: usize, delete: impl Fn(usize) -> Result<usize>) -> Result<usize> {
        let mut deleted = 0;
        while deleted < limit {
            let chunk = CHUNK.min(limit - deleted);
            let done = delete(chunk)?;
            deleted += done;
            if done < chunk {
                break;
            }
        }
        Ok(deleted)
    }

    fn delete_consents(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.in_chunks(limit, |chunk| {
            self.write(|rows| {
                let expired = rows.expired_consents(before.as_unix_millis(), chunk)?;
                for Of { tenant, row, .. } in &expired {
                    rows.delete_consent(*tenant, row)?;
                }
                Ok(if expired.is_empty() {
                    Write::Unchanged(0)
                } else {
                    Write::Commit(expired.len())
                })
            })
        })
    }

    fn end_quarantines(&self, now: Timestamp, limit: usize) -> Result<usize> {
        let ended = self
            .tables
            .read(|rows| rows.ended_quarantines(now.as_unix_millis(), limit))?;
        let mut erased = 0;
        for Of { name, row: grant, .. } in ended {
            if self.tenant(&name)?.is_none() {
                continue;
            }
            let decide = |read: &Read| change::refresh::end_quarantine(&read.snapshot, now);
            let (done, _) =
                self.change(&name, now, Needs::default(), |reader| load(reader, grant), decide)?;
            erased += usize::from(done);
        }
        Ok(erased)
    }

    fn delete_dead_grants(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.in_chunks(limit, |chunk| {
            self.write(|rows| {
                let dead = rows.dead_grants(now.as_unix_millis(), chunk)?;
                for Of { tenant, row, .. } in &dead {
                    rows.delete_grant(*tenant, *row)?;
                }
                Ok(if dead.is_empty() {
                    Write::Unchanged(0)
                } else {
                    Write::Commit(dead.len())
                })
            })
        })
    }

    pub(super) fn forget(&self, forget: &Forget<'_>) -> Result<Option<Forgotten>> {
        match forget.user {
            Some(user) => self.forget_owner(forget, user),
            None => self.forget_tenant(forget.tenant, forget.now),
        }
    }

    fn forget_owner(&self, forget: &Forget<'_>, user: &UserId) -> Result<Option<Forgotten>> {
        if self.tenant(forget.tenant)?.is_none() {
            return Ok(None);
        }
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        // The entry does not contain the user's name. It contains a keyed fingerprint, which
        // identifies the user to those who know the name.
        let by = forget.by.filter(|actor| actor.user() != user);
        let mut entry = AuditEntry::new(AuditKind::UserForgotten, forget.now).by(by);
        entry.fingerprint = Some(user_fingerprint(&key, forget.tenant, user));
        self.repeat(forget.tenant, forget.now, |tenant| {
            self.write_sealed(tenant, |rows, seals| {
                let count = rows.count_connections(tenant.row, Some(user.as_str()))?;
                rows.erase(tenant.row, Doomed::Owner(user.as_str()), usize::MAX)?;
                prune::begin_again(rows, tenant.row)?;
                let entries = std::slice::from_ref(&entry);
                if !self.keyring.append(rows, seals, &key, entries)? {
                    return Ok(Write::NewDataKey);
                }
                // The proof is the last entry of the chain.
                link::link_now(rows, &key, vault, tenant.row)?;
                let of = Chain::Of(tenant.row);
                let head = chain::head(rows, &key, vault, of)?;
                let seal = key.checkpoint(vault, tenant.row, head.number, &head.mac);
                put_checkpoint(rows, of, head.number, head.mac, seal)?;
                let named = AuditChain::Tenant(forget.tenant.clone());
                let proof = AuditHead::new(named, head.number, head.mac);
                Ok(Write::Commit(Some(Forgotten::new(proof, forget.now, count))))
            })
        })
    }

    fn forget_tenant(&self, name: &TenantId, now: Timestamp) -> Result<Option<Forgotten>> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let entry = AuditEntry::new(AuditKind::TenantForgotten, now);
        let fingerprint = key.fingerprint(&[b"tenant", name.as_str().as_bytes()]);
        let forgotten = self.write(|rows| {
            if rows.tenant(name)? != Some(tenant.row) {
                return Ok(Write::Unchanged(None));
            }
            let count = rows.count_connections(tenant.row, None)?;
            // The keys are deleted first: from here on, none of the tenant's records can be opened.
            rows.unname_tenant(tenant.row)?;
            let (number, mac) = chain::append_bare(rows, &key, vault, &entry, &fingerprint)?;
            let seal = key.checkpoint(vault, VAULT_CHAIN, number, &mac);
            put_checkpoint(rows, Chain::Of(VAULT_CHAIN), number, mac, seal)?;
            let proof = AuditHead::new(AuditChain::Vault, number, mac);
            Ok(Write::Commit(Some(Forgotten::new(proof, now, count))))
        })?;
        self.keyring.forget(name);
        self.sweep_forgotten()?;
        Ok(forgotten)
    }

    /// Erases the rows of tenants whose keys are gone.
    pub(super) fn sweep_forgotten(&self) -> Result<()> {
        while let Some(tenant) = self.tables.read(|rows| rows.forgotten_tenant())? {
            self.write(|rows| {
                if rows.erase(tenant, Doomed::Everything, CHUNK)? {
                    rows.delete_tenant(tenant)?;
                }
                Ok(Write::Commit(()))
            })?;
        }
        Ok(())
    }

    pub(super) fn clear_residue(&self) -> Result<Erasure> {
        // A crash may have interrupted the erasure of a tenant: its keys are gone, its rows are
        // not.
        self.sweep_forgotten()?;
        Ok(if self.tables.clear_residue()? {
            Erasure::Cleared
        } else {
            Erasure::Pending
        })
    }
}

fn put_checkpoint(
    rows: &mut dyn RowsMut,
    of: Chain,
    number: u64,
    mac: [u8; 32],
    seal: [u8; 32],
) -> Result<()> {
    rows.put_checkpoint(of, &CheckpointRow { number, mac, seal })
}
