//! Prunes the audit: deletes entries whose retention has ended. The chain can still be verified.
//!
//! A gap takes the place of pruned entries: their numbers, the MAC before the first and the MAC of
//! the last, authenticated together. A verification continues across it. The newest entry about the
//! tokens of a connection, and about a definition, is never pruned, so that a row that was put back
//! is detected for as long as the row exists.

use crate::model::Timestamp;
use crate::vault::envelope::{AuditKey, Link, VaultId};
use crate::vault::sealed::chain::chain_number;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::verify_definitions::is_about_definitions;
use crate::vault::sealed::{audit, grants};
use crate::vault::tables::{
    AuditRow, Chain, Direction, GapRow, Pruned, RowsMut, Tables, TenantRow, VAULT_CHAIN, Write,
};
use crate::vault::{AuditKind, SweepLimits, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of entries that one transaction examines.
const CHUNK: usize = 250;

/// One pass over a chain: the entries that it may delete, and its progress.
struct Pass<'a> {
    tenant: &'a Tenant,
    chain: Chain,
    what: Pruned,
    /// Entries from this time on are kept.
    before: Timestamp,
}

impl<T: Tables> Core<T> {
    /// Deletes entries whose retention has ended, of all tenants, at most `limits.rows`.
    pub(super) fn prune(&self, limits: &SweepLimits) -> Result<usize> {
        let retention = limits.retention;
        if retention.uses.is_none() && retention.changes.is_none() {
            return Ok(0);
        }
        let mut pruned = 0;
        let mut after = VAULT_CHAIN;
        while pruned < limits.rows {
            let page = self.tables.read(|rows| rows.tenants(after, CHUNK))?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, name) in page {
                let Some(tenant) = name.map(|name| self.tenant(&name)).transpose()?.flatten() else {
                    continue;
                };
                for chain in [Chain::Legacy, Chain::Of(tenant.row)] {
                    for (what, period) in [
                        (Pruned::Uses, retention.uses),
                        (Pruned::Changes, retention.changes),
                    ] {
                        let Some(period) = period else { continue };
                        let pass = Pass {
                            tenant: &tenant,
                            chain,
                            what,
                            before: limits.now.saturating_sub(period),
                        };
                        pruned += self.prune_pass(&pass, limits.rows.saturating_sub(pruned))?;
                    }
                }
            }
        }
        Ok(pruned)
    }

    fn prune_pass(&self, pass: &Pass<'_>, limit: usize) -> Result<usize> {
        let mut pruned = 0;
        while pruned < limit {
            let (page, from) = self.tables.read(|rows| {
                let from = rows.pruned_to(pass.chain, pass.tenant.row, pass.what)?;
                let of = Some(pass.tenant.row);
                let page = rows.entries(
                    pass.chain,
                    of,
                    from,
                    Direction::Forward,
                    CHUNK.min(limit - pruned),
                )?;
                Ok((page, from))
            })?;
            let due: Vec<_> = page
                .iter()
                .take_while(|row| row.at < pass.before.as_unix_millis())
                .collect();
            let is_end = due.len() < page.len() || page.is_empty();
            let Some(last) = due.last() else {
                if from > 0 && pass.what == Pruned::Changes {
                    // Entries that were kept because they were the newest may be superseded by now,
                    // so the next pass begins again.
                    self.set_cursor(pass, 0)?;
                }
                return Ok(pruned);
            };
            let mut doomed = Vec::new();
            for row in &due {
                if self.may_go(pass, row)? {
                    doomed.push(row.number);
                }
            }
            pruned += self.delete(pass, &doomed, (from, last.number))?;
            if is_end {
                break;
            }
        }
        Ok(pruned)
    }

    fn set_cursor(&self, pass: &Pass<'_>, number: u64) -> Result<()> {
        self.write(|rows| {
            rows.set_pruned_to(pass.chain, pass.tenant.row, pass.what, number)?;
            Ok(Write::Commit(()))
        })
    }

    /// Returns whether the retention of an entry has ended, the pass deletes entries of this kind,
    /// and no row depends on it.
    fn may_go(&self, pass: &Pass<'_>, row: &AuditRow) -> Result<bool> {
        let is_use = row.kind == AuditKind::TokenUsed.as_str();
        match pass.what {
            Pruned::Uses => return Ok(is_use),
            Pruned::Changes if is_use => return Ok(false),
            Pruned::Changes => {}
        }
        let fields = self
            .keyring
            .open_entry(&self.tables, pass.tenant, row.number, row.body.clone())?;
        let entry = audit::entry(row, fields)?;
        if is_about_definitions(entry.kind) {
            return self.is_superseded(pass.tenant, &entry);
        }
        let (Some(connection), Some(generation)) = (entry.connection, entry.generation) else {
            return Ok(true);
        };
        let stored = self
            .tables
            .read(|rows| rows.connection(pass.tenant.row, connection))?;
        // An entry about an altered row is kept, because a verification needs it.
        Ok(stored.is_none_or(|stored| {
            grants::shown(&stored, pass.tenant).is_ok_and(|shown| shown.generation > generation)
        }))
    }

    /// Deletes entries, leaves gaps in their place and advances the cursor. Returns how many it
    /// deleted. If another process moved the cursor meanwhile, it deletes none, because the entries
    /// must be examined again.
    fn delete(&self, pass: &Pass<'_>, doomed: &[u64], (from, to): (u64, u64)) -> Result<usize> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        self.write(|rows| {
            if rows.pruned_to(pass.chain, pass.tenant.row, pass.what)? != from {
                return Ok(Write::Unchanged(0));
            }
            let mut deleted = 0;
            for run in runs(doomed) {
                deleted += prune_run(rows, &key, vault, pass.chain, run)?;
            }
            rows.set_pruned_to(pass.chain, pass.tenant.row, pass.what, to)?;
            Ok(Write::Commit(deleted))
        })
    }
}

/// Makes the next pass over a tenant's changes begin at the first entry. The entries that were kept
/// for the rows of an erased user are then pruned before the entry that records the erasure, so
/// that a verification does not miss the rows.
pub(super) fn begin_again(rows: &mut dyn RowsMut, tenant: TenantRow) -> Result<()> {
    for chain in [Chain::Legacy, Chain::Of(tenant)] {
        rows.set_pruned_to(chain, tenant, Pruned::Changes, 0)?;
    }
    Ok(())
}

/// Splits ascending numbers into runs of consecutive ones: the first and the last of each.
fn runs(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    runs
}

/// Replaces a run of entries by a gap, joined with the gaps before and after it.
fn prune_run(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    vault: VaultId,
    chain: Chain,
    (first, last): (u64, u64),
) -> Result<usize> {
    let length = usize::try_from(last - first + 1).map_err(|_| VaultError::TooLarge)?;
    let entries = rows.entries(chain, None, first - 1, Direction::Forward, length)?;
    let is_whole = entries.len() == length && entries.last().is_some_and(|entry| entry.number == last);
    let Some(end) = entries.last().filter(|_| is_whole) else {
        // Another process has pruned some of the entries. The next pass handles the remaining ones.
        return Ok(0);
    };
    let number = chain_number(chain);
    let gaps: Vec<_> = rows
        .gaps(chain)?
        .into_iter()
        // Joining a gap that was not sealed by a vault would hide a break.
        .filter(|gap| gap.seal == key.gap(vault, number, gap.first, gap.last, &gap.before, &gap.mac))
        .collect();
    let joined = gaps.iter().find(|gap| gap.last + 1 == first);
    let (gap_first, before) = match joined {
        Some(gap) => (gap.first, gap.before),
        None if first == 1 => (1, [0; 32]),
        None => match rows
            .entries(chain, None, first - 2, Direction::Forward, 1)?
            .first()
        {
            Some(entry) if entry.number == first - 1 => (first, entry.mac),
            // The chain is broken before the run. A gap would hide the break.
            _ => return Ok(0),
        },
    };
    let linked_to = joined.map_or(before, |gap| gap.mac);
    if !are_linked(key, vault, linked_to, &entries) {
        // The break must stay visible until a verification reports it.
        return Ok(0);
    }
    let next = gaps.iter().find(|gap| gap.first == last + 1);
    let (gap_last, mac) = next.map_or((last, end.mac), |gap| (gap.last, gap.mac));
    let seal = key.gap(vault, number, gap_first, gap_last, &before, &mac);
    let numbers: Vec<_> = (first..=last).collect();
    rows.delete_entries(chain, &numbers)?;
    rows.put_gap(
        chain,
        &GapRow {
            first: gap_first,
            last: gap_last,
            before,
            mac,
            seal,
        },
    )?;
    Ok(length)
}

/// Returns whether these consecutive entries are unaltered and follow the entry with this MAC.
fn are_linked(key: &AuditKey, vault: VaultId, mut before: [u8; 32], entries: &[AuditRow]) -> bool {
    entries.iter().all(|row| {
        let link = Link {
            number: row.number,
            before: &before,
            at: row.at,
            tenant: row.tenant,
            kind: &row.kind,
            body: &row.body,
        };
        let is_linked = key.link(vault, &link) == row.mac;
        before = row.mac;
        is_linked
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_split_into_runs_without_holes() {
        assert!(runs(&[]).is_empty());
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
    }
}
