//! The row of `pulse`, which every write transaction rewrites in place: see
//! [`lineage`](super::lineage).

use rusqlite::Connection;

use crate::random;
use crate::vault::VaultError;
use crate::vault::sqlite::sql::Sql;

const MAGIC: &[u8; 16] = b"valetkey-pulse-1";
const LEN: usize = 72;
/// The bytes of the page of `pulse` before the beat: payload length, row 1, and the types NULL and
/// BLOB of 72 bytes.
const CELL: [u8; 6] = [0x4c, 0x01, 0x04, 0x00, 0x81, 0x1c];
const CELL_LEN: usize = CELL.len() + LEN;

const INSERT: &str = "INSERT INTO pulse (only, beat) VALUES (1, :beat)";
const READ: &str = "SELECT beat FROM pulse WHERE only = 1";
const WRITE: &str = "UPDATE pulse SET beat = :beat WHERE only = 1";

/// One write transaction, as recorded in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault::sqlite) struct Beat {
    pub(super) lineage: [u8; 16],
    pub(super) number: u64,
    /// The token of the previous transaction; zeros in the first of a lineage.
    pub(super) previous: [u8; 16],
    pub(super) token: [u8; 16],
}

impl Beat {
    fn first() -> Result<Self, VaultError> {
        Ok(Self {
            lineage: random()?,
            number: 1,
            previous: [0; 16],
            token: random()?,
        })
    }

    fn next(&self) -> Result<Self, VaultError> {
        Ok(Self {
            lineage: self.lineage,
            number: self.number.saturating_add(1),
            previous: self.token,
            token: random()?,
        })
    }

    fn encode(&self) -> Vec<u8> {
        [
            MAGIC.as_slice(),
            &self.lineage,
            &self.number.to_be_bytes(),
            &self.previous,
            &self.token,
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let rest = bytes.strip_prefix(MAGIC)?;
        let (lineage, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        Some(Self {
            lineage: *lineage,
            number: u64::from_be_bytes(*number),
            previous: *previous,
            token: *rest.first_chunk()?,
        })
    }

    /// Returns the beat in a page, if it is the page of `pulse`: a leaf that contains only this
    /// row.
    pub(super) fn of_page(page: &[u8]) -> Option<Self> {
        let at = page.len().checked_sub(CELL_LEN)?;
        let [high, low] = u16::try_from(at).ok()?.to_be_bytes();
        if !page.starts_with(&[0x0d, 0, 0, 0, 1, high, low, 0, high, low]) {
            return None;
        }
        Self::decode(page.get(at..)?.strip_prefix(&CELL)?)
    }
}

fn random() -> Result<[u8; 16], VaultError> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)?;
    Ok(bytes)
}

/// Begins a lineage in a new file.
pub(in crate::vault::sqlite) fn found(db: &Connection) -> Result<(), VaultError> {
    Sql(db).execute(INSERT, &[(":beat", &Beat::first()?.encode())])?;
    Ok(())
}

/// Begins another lineage in a copy.
pub(super) fn found_again(db: &Connection) -> Result<(), VaultError> {
    write(db, &Beat::first()?)
}

/// Reads the beat as this connection sees it, including the log.
pub(super) fn read(db: &Connection) -> Result<Beat, VaultError> {
    Sql(db)
        .one(READ, &[], |columns| columns.blob(Beat::decode))?
        .flatten()
        .flatten()
        .ok_or(VaultError::Tampered)
}

fn write(db: &Connection, beat: &Beat) -> Result<(), VaultError> {
    match Sql(db).execute(WRITE, &[(":beat", &beat.encode())])? {
        1 => Ok(()),
        _ => Err(VaultError::Tampered),
    }
}

/// Writes the next beat. Returns the previous one and the next.
pub(in crate::vault::sqlite) fn write_next(db: &Connection) -> Result<(Beat, Beat), VaultError> {
    let before = read(db)?;
    let next = before.next()?;
    write(db, &next)?;
    Ok((before, next))
}
