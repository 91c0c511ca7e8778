//! Reads SQLite's write-ahead log and measures each transaction.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// The header of the log and that of each frame
/// ([format](https://www.sqlite.org/fileformat2.html#the_write_ahead_log)).
const HEADER: usize = 32;
const FRAME: usize = 24;

/// Prevents the log of a vault from being restarted, and counts the pages written meanwhile.
pub(crate) struct Watch {
    log: PathBuf,
    /// Its open snapshot keeps the log.
    _reader: Connection,
    begun_at: usize,
}

impl Watch {
    pub(crate) fn new(vault: &Path) -> Self {
        let reader = Connection::open(vault).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")
            .unwrap();
        let log = vault.with_file_name("vault.db-wal");
        Self {
            begun_at: frames(&log).len(),
            log,
            _reader: reader,
        }
    }

    /// Returns the number of pages that each transaction wrote, oldest first.
    pub(crate) fn pages(&self) -> Vec<usize> {
        let frames = frames(&self.log);
        let mut pages = Vec::new();
        let mut open = 0;
        for ends in &frames[self.begun_at..] {
            open += 1;
            if *ends {
                pages.push(std::mem::take(&mut open));
            }
        }
        pages
    }
}

/// Returns, for each frame of the log, whether it is the last of its transaction.
fn frames(log: &Path) -> Vec<bool> {
    let bytes = fs::read(log).unwrap_or_default();
    let Some((header, frames)) = bytes.split_at_checked(HEADER) else {
        return Vec::new();
    };
    let page = u32::from_be_bytes(header[8..12].try_into().unwrap());
    // Frames of an earlier log have other salts.
    frames
        .chunks_exact(FRAME + usize::try_from(page).unwrap())
        .take_while(|frame| frame[8..16] == header[16..24])
        .map(|frame| frame[4..8] != [0; 4])
        .collect()
}
