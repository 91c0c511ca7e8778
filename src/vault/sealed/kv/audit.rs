//! Chains of audit entries.

use super::Result;
use super::key::{Key, Table};
use super::row;
use crate::vault::VaultError;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::sealed::store::Transaction;
use crate::vault::tables::{AuditRow, Chain, CheckpointRow, Direction, GapRow, HeadRow, Pruned, TenantRow};

/// The number of entries that are read at a time when it is not limited.
const WINDOW: u64 = 128;

fn entry_key(chain: Chain, number: u64) -> Key {
    Key::of(Table::Entry).chain(chain).number(number)
}

fn all_entries(chain: Chain) -> Key {
    Key::of(Table::Entry).chain(chain)
}

fn gap_key(chain: Chain, first: u64) -> Key {
    Key::of(Table::Gap).chain(chain).number(first)
}

fn encode_entry(row: &AuditRow) -> Vec<u8> {
    Encoder::new()
        .u64(row.number)
        .i64(row.at)
        .opt_i64(row.tenant)
        .text(&row.kind)
        .bytes(&row.body)
        .bytes(&row.mac)
        .finish()
}

fn decode_entry(value: &[u8]) -> Result<AuditRow> {
    let mut record = Decoder::new(value);
    let row = AuditRow {
        number: record.u64()?,
        at: record.i64()?,
        tenant: record.opt_i64()?,
        kind: record.text()?.to_owned(),
        body: record.bytes()?.to_vec(),
        mac: record.array()?,
    };
    record.finish()?;
    Ok(row)
}

pub(super) fn append(tx: &mut dyn Transaction, chain: Chain, entries: &[AuditRow]) -> Result<()> {
    for row in entries {
        let key = entry_key(chain, row.number);
        if tx.get(key.as_bytes())?.is_some() {
            return Err(VaultError::storage(row::Duplicate));
        }
        tx.put(key.as_bytes(), &encode_entry(row))?;
    }
    Ok(())
}

pub(super) fn delete(tx: &mut dyn Transaction, chain: Chain, numbers: &[u64]) -> Result<()> {
    numbers
        .iter()
        .try_for_each(|number| tx.delete(entry_key(chain, *number).as_bytes()))
}

/// Returns the highest number of a stored entry below `below`.
///
/// A store is read in ascending order only. Usually the head has the highest number, and one scan
/// of the keys after it confirms that; otherwise a binary search finds the number.
fn highest(tx: &dyn Transaction, chain: Chain, below: u64) -> Result<Option<u64>> {
    let end = entry_key(chain, below);
    let (mut low, mut high) = (0, below);
    let mut guess = head(tx, chain)?.map_or(0, |head| head.number).min(below);
    loop {
        let found = tx.scan(entry_key(chain, guess).as_bytes(), end.as_bytes(), 2)?;
        match found.as_slice() {
            [(only, _)] => return number_of(only, chain).map(Some),
            [.., (last, _)] => low = number_of(last, chain)?,
            [] => high = guess,
        }
        if low >= high {
            return Ok(None);
        }
        guess = low + (high - low) / 2;
    }
}

/// Returns the number in the key of an entry.
fn number_of(key: &[u8], chain: Chain) -> Result<u64> {
    let beginning = all_entries(chain);
    let number = key
        .strip_prefix(beginning.as_bytes())
        .ok_or(VaultError::Damaged)?;
    number
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| VaultError::Damaged)
}

/// Returns the entries whose numbers are at least `low` and below `high`, in ascending order.
fn window(tx: &dyn Transaction, chain: Chain, low: u64, high: u64) -> Result<Vec<AuditRow>> {
    row::collect(
        tx,
        entry_key(chain, low),
        &entry_key(chain, high),
        usize::MAX,
        |_, value| decode_entry(&value).map(Some),
    )
}

pub(super) fn entries(
    tx: &dyn Transaction,
    chain: Chain,
    of: Option<TenantRow>,
    after: u64,
    direction: Direction,
    limit: usize,
) -> Result<Vec<AuditRow>> {
    // A tenant's own chain contains only its entries.
    let of = of.filter(|_| chain == Chain::Legacy);
    let is_wanted = |row: &AuditRow| of.is_none() || row.tenant == of;
    match direction {
        Direction::Forward => {
            let from = entry_key(chain, after).next();
            row::collect(tx, from, &all_entries(chain).end(), limit, |_, value| {
                Ok(Some(decode_entry(&value)?).filter(is_wanted))
            })
        }
        Direction::Backward => backward(tx, chain, after, limit, is_wanted),
    }
}

/// Numbers are consecutive except where entries were pruned, so a window below the last entry that
/// was read usually contains as many entries as it is wide.
fn backward(
    tx: &dyn Transaction,
    chain: Chain,
    before: u64,
    limit: usize,
    is_wanted: impl Fn(&AuditRow) -> bool,
) -> Result<Vec<AuditRow>> {
    let mut found = Vec::new();
    let mut high = before;
    while found.len() < limit {
        let missing = u64::try_from(limit - found.len()).unwrap_or(u64::MAX).min(WINDOW);
        let low = high.saturating_sub(missing);
        let rows = window(tx, chain, low, high)?;
        if rows.is_empty() {
            match highest(tx, chain, low)? {
                Some(number) => high = number.saturating_add(1),
                None => break,
            }
            continue;
        }
        found.extend(rows.into_iter().rev().filter(&is_wanted));
        high = low;
    }
    Ok(found)
}

pub(super) fn last_number(tx: &dyn Transaction, chain: Chain) -> Result<u64> {
    let stored = highest(tx, chain, u64::MAX)?.unwrap_or(0);
    let pruned = gaps(tx, chain)?.iter().map(|gap| gap.last).max().unwrap_or(0);
    Ok(stored.max(pruned))
}

pub(super) fn head(tx: &dyn Transaction, chain: Chain) -> Result<Option<HeadRow>> {
    let Some(value) = tx.get(Key::of(Table::Head).chain(chain).as_bytes())? else {
        return Ok(None);
    };
    let mut record = Decoder::new(&value);
    let row = HeadRow {
        number: record.u64()?,
        mac: record.array()?,
        broken: record.opt_u64()?,
        seal: record.array()?,
    };
    record.finish()?;
    Ok(Some(row))
}

pub(super) fn put_head(tx: &mut dyn Transaction, chain: Chain, head: &HeadRow) -> Result<()> {
    let record = Encoder::new()
        .u64(head.number)
        .bytes(&head.mac)
        .opt_u64(head.broken)
        .bytes(&head.seal);
    tx.put(Key::of(Table::Head).chain(chain).as_bytes(), &record.finish())
}

fn decode_gap(value: &[u8]) -> Result<GapRow> {
    let mut record = Decoder::new(value);
    let row = GapRow {
        first: record.u64()?,
        last: record.u64()?,
        before: record.array()?,
        mac: record.array()?,
        seal: record.array()?,
    };
    record.finish()?;
    Ok(row)
}

pub(super) fn gaps(tx: &dyn Transaction, chain: Chain) -> Result<Vec<GapRow>> {
    let all = Key::of(Table::Gap).chain(chain);
    row::collect(tx, all.clone(), &all.end(), usize::MAX, |_, value| {
        decode_gap(&value).map(Some)
    })
}

pub(super) fn put_gap(tx: &mut dyn Transaction, chain: Chain, gap: &GapRow) -> Result<()> {
    let within = gap_key(chain, gap.last).next();
    let swallowed = row::collect(
        tx,
        gap_key(chain, gap.first),
        &within,
        usize::MAX,
        |key, value| Ok((decode_gap(&value)?.last <= gap.last).then_some(key)),
    )?;
    for key in swallowed {
        tx.delete(key.as_bytes())?;
    }
    let record = Encoder::new()
        .u64(gap.first)
        .u64(gap.last)
        .bytes(&gap.before)
        .bytes(&gap.mac)
        .bytes(&gap.seal);
    tx.put(gap_key(chain, gap.first).as_bytes(), &record.finish())
}

pub(super) fn checkpoint(tx: &dyn Transaction, chain: Chain, number: u64) -> Result<Option<CheckpointRow>> {
    let key = Key::of(Table::Checkpoint).chain(chain).number(number);
    let Some(value) = tx.get(key.as_bytes())? else {
        return Ok(None);
    };
    decode_checkpoint(&value).map(Some)
}

fn decode_checkpoint(value: &[u8]) -> Result<CheckpointRow> {
    let mut record = Decoder::new(value);
    let row = CheckpointRow {
        number: record.u64()?,
        mac: record.array()?,
        seal: record.array()?,
    };
    record.finish()?;
    Ok(row)
}

pub(super) fn checkpoints_after(
    tx: &dyn Transaction,
    chain: Chain,
    after: u64,
    limit: usize,
) -> Result<Vec<CheckpointRow>> {
    let all = Key::of(Table::Checkpoint).chain(chain);
    let from = all.clone().number(after).next();
    row::collect(tx, from, &all.end(), limit, |_, value| {
        decode_checkpoint(&value).map(Some)
    })
}

pub(super) fn put_checkpoint(tx: &mut dyn Transaction, chain: Chain, row: &CheckpointRow) -> Result<()> {
    let key = Key::of(Table::Checkpoint).chain(chain).number(row.number);
    let record = Encoder::new().u64(row.number).bytes(&row.mac).bytes(&row.seal);
    tx.put(key.as_bytes(), &record.finish())
}

fn pruned_to_key(chain: Chain, of: TenantRow, what: Pruned) -> Key {
    let what = match what {
        Pruned::Uses => 0,
        Pruned::Changes => 1,
    };
    Key::of(Table::PrunedTo).chain(chain).tenant(of).number(what)
}

pub(super) fn pruned_to(tx: &dyn Transaction, chain: Chain, of: TenantRow, what: Pruned) -> Result<u64> {
    Ok(row::number(tx, &pruned_to_key(chain, of, what))?.unwrap_or(0))
}

pub(super) fn set_pruned_to(
    tx: &mut dyn Transaction,
    chain: Chain,
    of: TenantRow,
    what: Pruned,
    number: u64,
) -> Result<()> {
    row::put_number(tx, &pruned_to_key(chain, of, what), number)
}

/// Deletes a chain with its head, gaps and checkpoints.
pub(super) fn delete_chain(tx: &mut dyn Transaction, chain: Chain) -> Result<()> {
    for table in [
        Table::Entry,
        Table::Head,
        Table::Gap,
        Table::Checkpoint,
        Table::PrunedTo,
    ] {
        row::clear(tx, Key::of(table).chain(chain))?;
    }
    Ok(())
}
