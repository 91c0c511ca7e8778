//! The slots of sealed records, which are overwritten in place and never deleted.
//!
//! SQLite's `secure_delete` zeroes a deleted row where it currently lies. When SQLite rebalances a
//! page, however, it copies rows and leaves the old bytes in the free space, and later deletions
//! don't reach those copies. In testing, about one revoked ciphertext in 250 survived this way.
//! Rows in this table therefore never move: they are only appended, which doesn't touch earlier
//! pages, and overwritten with the same number of bytes, which SQLite does in place. A slot whose
//! records are erased is filled with zeros and reused for records of its size.

use crate::vault::VaultError;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::value::{Bind, Columns};
use crate::vault::tables::Sealed;

const READ: &str = "SELECT access, rest FROM secrets WHERE slot = :slot";
const LENGTHS: &str = "SELECT length(access), length(rest) FROM secrets WHERE slot = :slot";
const OVERWRITE: &str = "UPDATE secrets SET access = :access, rest = :rest WHERE slot = :slot";
const WIPE_ACCESS: &str = "UPDATE secrets SET access = zeroblob(length(access)) WHERE slot = :slot";
const WIPE: &str = "UPDATE secrets SET access = zeroblob(length(access)), rest = zeroblob(length(rest))
    WHERE slot = :slot";
const FIND_FREE: &str = "SELECT slot FROM free_slots WHERE access = :access AND rest = :rest LIMIT 1";
const TAKE_FREE: &str = "DELETE FROM free_slots WHERE access = :access AND rest = :rest AND slot = :slot";
const ADD_FREE: &str = "INSERT INTO free_slots (access, rest, slot) VALUES (:access, :rest, :slot)";
const APPEND: &str = "INSERT INTO secrets (access, rest) VALUES (:access, :rest)";

/// The number of a slot. It never leaves this database.
pub(in crate::vault::sqlite) type Slot = i64;

/// Encodes a record for a slot: u32 length ‖ record ‖ zeros. Tokens of one provider differ little
/// in length; the zeros make them fit each other's slots. An absent record is encoded as no bytes.
fn pad(record: &[u8]) -> Result<Vec<u8>, VaultError> {
    if record.is_empty() {
        return Ok(Vec::new());
    }
    let len = 4 + record.len();
    let step = if len <= 1024 { 64 } else { 1024 };
    let prefix = u32::try_from(record.len()).map_err(|_| VaultError::TooLarge)?;
    let mut padded = Vec::with_capacity(len.next_multiple_of(step));
    padded.extend_from_slice(&prefix.to_be_bytes());
    padded.extend_from_slice(record);
    padded.resize(len.next_multiple_of(step), 0);
    Ok(padded)
}

/// Returns the record in a slot's bytes; `None` if there is none or it was wiped. Bytes that do not
/// contain a whole record are returned unchanged: they do not open, and can be erased like any
/// other record.
fn unpad(padded: &[u8]) -> Option<Vec<u8>> {
    let Some((len, rest)) = padded.split_first_chunk::<4>() else {
        return (!padded.is_empty()).then(|| padded.to_vec());
    };
    let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
    if len == 0 {
        return None;
    }
    Some(rest.get(..len).unwrap_or(padded).to_vec())
}

/// Takes a column of a slot that was joined to the row.
pub(in crate::vault::sqlite) fn record(columns: &mut Columns<'_>) -> Result<Option<Vec<u8>>, VaultError> {
    Ok(columns.blob(unpad)?.flatten())
}

/// Takes the slot that a row names and the access column of the slot that was joined to it.
pub(super) fn joined_record(columns: &mut Columns<'_>) -> Result<Option<Vec<u8>>, VaultError> {
    let slot: Option<Slot> = columns.take()?;
    if slot.is_some() && columns.is_null()? {
        return Err(VaultError::Tampered);
    }
    record(columns)
}

/// Takes the slot that a row names and both columns of the slot that was joined to it.
pub(super) fn joined(columns: &mut Columns<'_>) -> Result<Sealed, VaultError> {
    Ok(Sealed {
        access: joined_record(columns)?,
        rest: record(columns)?,
    })
}

/// Reads both records of a slot.
pub(super) fn read(sql: Sql<'_>, slot: Slot) -> Result<Sealed, VaultError> {
    sql.one(READ, &[(":slot", &slot)], |columns| {
        Ok(Sealed {
            access: record(columns)?,
            rest: record(columns)?,
        })
    })?
    .ok_or(VaultError::Tampered)
}

/// Stores two records in place of those in `slot`, if there is one. Returns the slot that holds
/// them now.
pub(super) fn store(
    sql: Sql<'_>,
    slot: Option<Slot>,
    access: &[u8],
    rest: &[u8],
) -> Result<Slot, VaultError> {
    let (access, rest) = (pad(access)?, pad(rest)?);
    let sizes = (access.len(), rest.len());
    if let Some(slot) = slot {
        if lengths(sql, slot)? == sizes {
            overwrite(sql, slot, &access, &rest)?;
            return Ok(slot);
        }
        free(sql, slot)?;
    }
    let sized: [(_, &dyn Bind); 2] = [(":access", &sizes.0), (":rest", &sizes.1)];
    if let Some(slot) = sql.one(FIND_FREE, &sized, |columns| columns.take::<Slot>())? {
        exactly_one(sql.execute(TAKE_FREE, &[sized[0], sized[1], (":slot", &slot)])?)?;
        overwrite(sql, slot, &access, &rest)?;
        return Ok(slot);
    }
    sql.execute(APPEND, &[(":access", &access), (":rest", &rest)])?;
    Ok(sql.0.last_insert_rowid())
}

/// Overwrites the access column with zeros.
pub(super) fn wipe_access(sql: Sql<'_>, slot: Slot) -> Result<(), VaultError> {
    exactly_one(sql.execute(WIPE_ACCESS, &[(":slot", &slot)])?)
}

/// Overwrites a slot with zeros and makes it available for other records.
pub(in crate::vault::sqlite) fn free(sql: Sql<'_>, slot: Slot) -> Result<(), VaultError> {
    let (access, rest) = lengths(sql, slot)?;
    exactly_one(sql.execute(WIPE, &[(":slot", &slot)])?)?;
    sql.execute(
        ADD_FREE,
        &[(":access", &access), (":rest", &rest), (":slot", &slot)],
    )?;
    Ok(())
}

fn overwrite(sql: Sql<'_>, slot: Slot, access: &[u8], rest: &[u8]) -> Result<(), VaultError> {
    exactly_one(sql.execute(
        OVERWRITE,
        &[(":access", &access), (":rest", &rest), (":slot", &slot)],
    )?)
}

fn lengths(sql: Sql<'_>, slot: Slot) -> Result<(usize, usize), VaultError> {
    sql.one(LENGTHS, &[(":slot", &slot)], |columns| {
        Ok((columns.take()?, columns.take()?))
    })?
    .ok_or(VaultError::Tampered)
}

/// A row names a slot that does not exist: no record was overwritten, so none may be reported as
/// erased.
const fn exactly_one(changed: usize) -> Result<(), VaultError> {
    match changed {
        1 => Ok(()),
        _ => Err(VaultError::Tampered),
    }
}
