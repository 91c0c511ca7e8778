//! Checks the first bytes of a database file before SQLite opens it, because SQLite would roll back
//! a foreign journal.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::vault::VaultError;
use crate::vault::sqlite::db::files::{beside, open_regular};
use crate::vault::sqlite::schema::APPLICATION_ID;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const JOURNAL_MAGIC: &[u8; 8] = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
const LEN: u64 = 100;

/// The header of a file that is a vault or is being created as one.
pub(super) struct Header {
    /// The schema version; 0 while the vault is being created.
    pub(super) version: u32,
    pub(super) page_size: u64,
}

/// Refuses a file that is recognisably not a vault. Returns `None` for an empty file.
pub(super) fn check(path: &Path, mut file: &File) -> Result<Option<Header>, VaultError> {
    let len = file.metadata().map_err(VaultError::storage)?.len();
    if len == 0 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(100);
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.take(LEN).read_to_end(&mut bytes))
        .map_err(VaultError::storage)?;
    if !bytes.starts_with(MAGIC) {
        return Err(if MAGIC.starts_with(&bytes) {
            VaultError::Damaged
        } else {
            VaultError::NotAVault
        });
    }
    let application = number(&bytes, 68).ok_or(VaultError::Damaged)?;
    let ours = application == APPLICATION_ID.cast_unsigned();
    let unfinished = application == 0 && rolls_back_to_nothing(path)?;
    if !ours && !unfinished {
        return Err(VaultError::NotAVault);
    }
    let page_size = match bytes.get(16..18) {
        Some([0, 1]) => 65_536,
        Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        _ => return Err(VaultError::Damaged),
    };
    if ours && is_settled(path) {
        check_length(&bytes, page_size, len)?;
    }
    let version = if ours { number(&bytes, 60).unwrap_or(0) } else { 0 };
    Ok(Some(Header { version, page_size }))
}

/// Returns whether the creation of the file was interrupted: its journal is that of an empty file.
/// The journal of any other file holds committed data.
fn rolls_back_to_nothing(path: &Path) -> Result<bool, VaultError> {
    let Some(journal) = open_regular(&beside(path, "-journal"))? else {
        return Ok(false);
    };
    let mut bytes = Vec::with_capacity(20);
    journal
        .take(20)
        .read_to_end(&mut bytes)
        .map_err(VaultError::storage)?;
    Ok(bytes.starts_with(JOURNAL_MAGIC) && number(&bytes, 16) == Some(0))
}

/// Returns whether the database file is complete without a journal or a log. If a process died
/// while creating or moving data, SQLite finishes that.
fn is_settled(path: &Path) -> bool {
    fs::symlink_metadata(beside(path, "-journal")).is_err()
        && !fs::symlink_metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// Refuses a file that is shorter than its own header says.
fn check_length(header: &[u8], page_size: u64, len: u64) -> Result<(), VaultError> {
    let pages = u64::from(number(header, 28).unwrap_or(0));
    if pages == 0 || len < pages.saturating_mul(page_size) {
        return Err(VaultError::Damaged);
    }
    Ok(())
}

/// Returns a big-endian number of four bytes.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}
