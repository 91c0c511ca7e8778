//! Replaces all data keys and then destroys the former master key. Secrets that were erased before
//! can then no longer be decrypted: neither those in free space nor those in a log, a replica or a
//! backup.
//!
//! The former master key is the only one that ever wrapped the former data keys. The new master key
//! wraps new data keys, and the keys that seal no token: those of the rows and of the audit.

use crate::model::Timestamp;
use crate::vault::envelope::Destruction;
use crate::vault::sealed::chain;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::tenant::AUDIT_KEYS;
use crate::vault::tables::{Epoch, KeyChange, Tables, Write};
use crate::vault::{AuditEntry, AuditKind, Rotated, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of keys that are read at a time.
const CHUNK: usize = 250;

impl<T: Tables> Core<T> {
    /// Continues to replace the keys of the former master key of this name by at most `limit`
    /// keys and records, and destroys that key once nothing names it.
    pub(super) fn rotate_and_destroy(&self, former: &str, limit: usize, now: Timestamp) -> Result<Rotated> {
        let master = self.keyring.master_keys();
        let former = *master.former_named(former).ok_or(VaultError::UnknownMasterKey)?;
        let epoch = Epoch {
            change: KeyChange::Replacing,
            former,
            active: *master.active_id(),
        };
        self.begin_epoch(epoch)?;
        let mut rotated = self.replace_keys(&former, limit, now)?;
        if self.is_named(&former)? {
            rotated.still_named = vec![former];
            return Ok(rotated);
        }
        let destruction = master.destroy(&former)?;
        match destruction {
            Destruction::Done | Destruction::Scheduled(_) => {
                self.end_epoch(epoch, AuditKind::MasterKeyDestroyed, now)?;
            }
            Destruction::ByHost(_) => self.end_epoch(epoch, AuditKind::MasterKeyRotated, now)?,
            Destruction::Underway => {}
        }
        rotated.destruction = Some(destruction);
        Ok(rotated)
    }

    /// Makes the active master key the vault's own and marks the former one. From then on no
    /// process stores a key that the former one wraps.
    fn begin_epoch(&self, epoch: Epoch) -> Result<()> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let is_begun = |found: Option<Epoch>| {
            found.is_some_and(|found| {
                found.replaces() && (found.former, found.active) == (epoch.former, epoch.active)
            })
        };
        if is_begun(self.tables.read(|rows| Epoch::read(rows))?) {
            return Ok(());
        }
        let master = self.keyring.master_keys();
        let check = key.check_value(master, vault);
        let audit_key = key.wrap(master, vault)?;
        self.write(|rows| {
            // A transaction that is storing a key ends before this one reads anything.
            rows.exclude_writers()?;
            let found = Epoch::read(rows)?;
            if is_begun(found) {
                return Ok(Write::Unchanged(()));
            }
            if found.is_some_and(|found| found.change == KeyChange::Replacing) {
                return Err(VaultError::NotSupported(
                    "a second `rotate_and_destroy` before the first one has ended; repeat that one until it has",
                ));
            }
            let mut row = rows.vault()?.ok_or(VaultError::Damaged)?;
            let is_rewrapped = found.is_some_and(|found| found.active == epoch.active);
            if row.master_key == epoch.active || is_rewrapped {
                return Err(VaultError::NotSupported(
                    "`rotate_and_destroy` after the active master key has wrapped former data keys; make another active",
                ));
            }
            row.master_key = epoch.active;
            row.key_check = check;
            row.audit_key.clone_from(&audit_key);
            rows.put_vault(&row)?;
            epoch.put(rows)?;
            Ok(Write::Commit(()))
        })
    }

    /// Replaces and rewraps keys, and seals what they sealed again, until the limit is reached or
    /// the rest depends on records that still have to end.
    fn replace_keys(&self, former: &[u8; 16], limit: usize, now: Timestamp) -> Result<Rotated> {
        let mut all = Rotated::default();
        loop {
            let left = limit.saturating_sub(all.done);
            let resealed = self.reseal(left, now)?;
            all.done += resealed.done;
            all.destroyed += resealed.destroyed;
            all.remaining = resealed.remaining;
            let replaced = self.replace_some(former, limit.saturating_sub(all.done), now)?;
            all.done += replaced;
            // A key that was just replaced has records that are sealed in the next round.
            if all.done >= limit || replaced == 0 {
                return Ok(all);
            }
        }
    }

    /// Gives tenants new data keys and wraps their other keys again. Returns the number of both.
    fn replace_some(&self, former: &[u8; 16], limit: usize, now: Timestamp) -> Result<usize> {
        // Retired keys stay until their records are sealed again, so they are read as well.
        let retired = self.tables.read(|rows| rows.retired_keys())?.len();
        let chunk = CHUNK.min(limit);
        let found = self
            .tables
            .read(|rows| rows.keys_wrapped_by(former, retired.saturating_add(chunk)))?;
        let due = found.into_iter().filter(|of| !of.row.retired).take(chunk);
        let (data, others): (Vec<_>, Vec<_>) = due.partition(|of| of.row.version < AUDIT_KEYS);
        let mut done = others.len();
        if !others.is_empty() {
            self.rewrap(others, |_| Ok(()))?;
        }
        for of in data {
            if let Some(tenant) = self.tenant(&of.name)? {
                done += usize::from(self.keyring.rotate(&self.tables, &tenant, now)?);
            }
        }
        Ok(done)
    }

    /// Returns whether the vault or one of its keys needs the master key.
    fn is_named(&self, master_key: &[u8; 16]) -> Result<bool> {
        self.tables.read(|rows| {
            let row = rows.vault()?.ok_or(VaultError::Damaged)?;
            Ok(row.master_key == *master_key || rows.master_keys()?.contains(master_key))
        })
    }

    /// Records, once, what became of the former master key.
    fn end_epoch(&self, epoch: Epoch, kind: AuditKind, now: Timestamp) -> Result<()> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let entry = AuditEntry::new(kind, now);
        self.write(|rows| {
            if Epoch::read(rows)? != Some(epoch) {
                return Ok(Write::Unchanged(()));
            }
            let ended = Epoch {
                change: KeyChange::Replaced,
                ..epoch
            };
            ended.put(rows)?;
            chain::append_bare(rows, &key, vault, &entry, &[])?;
            Ok(Write::Commit(()))
        })
    }
}

#[cfg(test)]
mod tests;
