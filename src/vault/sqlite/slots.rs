//! Where sealed tokens lie: slots that are overwritten in place and never deleted.
//!
//! `secure_delete` overwrites what is deleted where it is then. But when SQLite rebalances a page it copies
//! its rows to other places and leaves the old bytes behind in the gaps; what is deleted afterwards stays there.
//! (Seen: one dead ciphertext in some 250 revocations.) So no row of this table ever moves: rows are only
//! appended, which SQLite does without touching the page before, and overwritten with as many bytes, which it
//! does in place. A slot whose tokens are gone is filled with zeros and used again for tokens of its size.

use rusqlite::{Connection, Row, params};

use crate::vault::VaultError;
use crate::vault::lifecycle::Keep;
use crate::vault::sqlite::failure::failed;

pub(super) const READ: &str = "SELECT access, rest FROM secrets WHERE slot = ?1";
pub(super) const LENGTHS: &str = "SELECT length(access), length(rest) FROM secrets WHERE slot = ?1";
pub(super) const OVERWRITE: &str = "UPDATE secrets SET access = ?2, rest = ?3 WHERE slot = ?1";
pub(super) const WIPE_ACCESS: &str = "UPDATE secrets SET access = zeroblob(length(access)) WHERE slot = ?1";
pub(super) const WIPE: &str =
    "UPDATE secrets SET access = zeroblob(length(access)), rest = zeroblob(length(rest))
    WHERE slot = ?1";
pub(super) const FIND_FREE: &str = "SELECT slot FROM free_slots WHERE access = ?1 AND rest = ?2 LIMIT 1";
pub(super) const TAKE_FREE: &str = "DELETE FROM free_slots WHERE access = ?1 AND rest = ?2 AND slot = ?3";
const ADD_FREE: &str = "INSERT INTO free_slots (access, rest, slot) VALUES (?1, ?2, ?3)";
const APPEND: &str = "INSERT INTO secrets (access, rest) VALUES (?1, ?2)";

/// A record as it lies in a slot: u32 length ‖ record ‖ zeros. Tokens of one provider differ little in length; with
/// the zeros they fit each other's slots. Nothing at all for no record.
pub(super) fn pad(record: &[u8]) -> Result<Vec<u8>, VaultError> {
    if record.is_empty() {
        return Ok(Vec::new());
    }
    let len = 4 + record.len();
    let step = if len <= 1024 { 64 } else { 1024 };
    let mut padded = Vec::with_capacity(len.next_multiple_of(step));
    let prefix = u32::try_from(record.len()).map_err(|_| VaultError::TooLarge)?;
    padded.extend_from_slice(&prefix.to_be_bytes());
    padded.extend_from_slice(record);
    padded.resize(len.next_multiple_of(step), 0);
    Ok(padded)
}

/// The record in a column; `None` if there is none, there was one and it was wiped, or the row was not joined.
pub(super) fn record(row: &Row<'_>, at: usize) -> Result<Option<Vec<u8>>, VaultError> {
    let column = row.get_ref(at).map_err(failed)?;
    let padded = column.as_blob_or_null().map_err(|_| VaultError::Damaged)?;
    padded.map_or(Ok(None), unpad)
}

/// The record in a slot's bytes; `None` if there is none or it was wiped.
pub(super) fn unpad(padded: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
    if padded.is_empty() {
        return Ok(None);
    }
    let (len, rest) = padded.split_first_chunk::<4>().ok_or(VaultError::Tampered)?;
    let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| VaultError::Tampered)?;
    if len == 0 {
        return Ok(None);
    }
    rest.get(..len)
        .map(|record| Some(record.to_vec()))
        .ok_or(VaultError::Tampered)
}

/// Stores two padded records in place of those in `slot`, if there is one. Returns the slot that they are in now.
pub(super) fn store(
    db: &Connection,
    slot: Option<i64>,
    access: &[u8],
    rest: &[u8],
) -> Result<i64, VaultError> {
    let lengths = (signed(access.len()), signed(rest.len()));
    if let Some(slot) = slot {
        if self::lengths(db, slot)? == Some(lengths) {
            overwrite(db, slot, access, rest)?;
            return Ok(slot);
        }
        free(db, slot)?;
    }
    let found: Option<i64> = {
        let mut statement = db.prepare_cached(FIND_FREE).map_err(failed)?;
        let mut rows = statement.query(lengths).map_err(failed)?;
        match rows.next().map_err(failed)? {
            Some(row) => Some(row.get(0).map_err(failed)?),
            None => None,
        }
    };
    if let Some(slot) = found {
        execute(db, TAKE_FREE, params![lengths.0, lengths.1, slot])?;
        overwrite(db, slot, access, rest)?;
        return Ok(slot);
    }
    execute(db, APPEND, params![access, rest])?;
    Ok(db.last_insert_rowid())
}

/// Wipes what is not kept. Returns the slot that the connection has afterwards.
pub(super) fn wipe(db: &Connection, slot: Option<i64>, keep: Keep) -> Result<Option<i64>, VaultError> {
    match (slot, keep) {
        (Some(slot), Keep::RefreshToken) => execute(db, WIPE_ACCESS, [slot])?,
        (Some(slot), Keep::Nothing) => {
            free(db, slot)?;
            return Ok(None);
        }
        (None, _) | (_, Keep::All) => {}
    }
    Ok(slot)
}

fn free(db: &Connection, slot: i64) -> Result<(), VaultError> {
    let Some((access, rest)) = lengths(db, slot)? else {
        return Ok(());
    };
    execute(db, WIPE, [slot])?;
    execute(db, ADD_FREE, params![access, rest, slot])
}

fn overwrite(db: &Connection, slot: i64, access: &[u8], rest: &[u8]) -> Result<(), VaultError> {
    execute(db, OVERWRITE, params![slot, access, rest])
}

fn lengths(db: &Connection, slot: i64) -> Result<Option<(i64, i64)>, VaultError> {
    let mut statement = db.prepare_cached(LENGTHS).map_err(failed)?;
    let mut rows = statement.query([slot]).map_err(failed)?;
    match rows.next().map_err(failed)? {
        Some(row) => {
            let read = (|| Ok((row.get(0)?, row.get(1)?)))();
            read.map(Some).map_err(failed)
        }
        None => Ok(None),
    }
}

fn execute(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<(), VaultError> {
    db.prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params))
        .map_err(failed)?;
    Ok(())
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
