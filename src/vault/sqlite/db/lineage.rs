//! Checks that a database file and its log belong together, and that the file is still the one that
//! was opened.
//!
//! Every write transaction rewrites the one row of `pulse` in place: a beat. It names the lineage
//! of the file, counts the transactions, and links each to the previous one by random tokens. So
//! every transaction in a log has a frame with its beat, and the database file shows how far the
//! log was moved into it. A file and a log belong together only if the file's token precedes the
//! first transaction of the log, or belongs to one of its transactions.
//!
//! A backup begins its own lineage: it does not match an older log, and copying it over an open
//! file is detected.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::beat::{self, Beat};
use crate::vault::sqlite::db::files::{beside, fill};
use crate::vault::sqlite::db::header::Header;
use crate::vault::sqlite::db::identity::Identity;
use crate::vault::sqlite::db::in_use::Anchor;
use crate::vault::sqlite::db::log::{self, Log, Transactions};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::schema;

const PAGE: &str = "SELECT rootpage FROM sqlite_schema WHERE name = 'pulse'";

/// The time for which other processes may move the log during the comparison.
const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(2);
/// The number of times a page is read again that another process may be writing.
const READS: usize = 3;

/// Compares a database file that this process does not have open with the log beside it.
///
/// Another process may move the log into the file meanwhile, or begin a new round of it. A file and
/// a log are refused only when the same token and the same round have been observed twice: then
/// neither changed between the two reads.
pub(super) fn check(path: &Path, file: &File, header: &Header) -> Result<(), VaultError> {
    let log = beside(path, "-wal");
    let ends = Instant::now() + PATIENCE;
    let mut last = None;
    loop {
        let Some(seen) = compare(&log, file, header)? else {
            return Ok(());
        };
        if seen.is_still() && last.as_ref() == Some(&seen) {
            return Err(VaultError::Mixed);
        }
        if Instant::now() >= ends {
            return Err(VaultError::Busy);
        }
        last = Some(seen);
        thread::sleep(RETRY);
    }
}

/// The facts that were observed when a file and its log did not match.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    file: Option<Beat>,
    salts: Option<[u8; 8]>,
}

impl Seen {
    const fn is_still(&self) -> bool {
        self.salts.is_some()
    }
}

/// Compares the file with the log. Returns `None` if they belong together.
fn compare(log: &Path, file: &File, header: &Header) -> Result<Option<Seen>, VaultError> {
    let transactions = match log::read(log)? {
        Log::Empty => return Ok(None),
        Log::Moving => {
            return Ok(Some(Seen {
                file: None,
                salts: None,
            }));
        }
        Log::Committed(transactions) => transactions,
    };
    let page = transactions.beats.first().map(|(page, _)| *page);
    let beat = match page {
        Some(page) => beat_in(file, page, header.page_size)?,
        None => None,
    };
    let is_from_log = match beat {
        Some(_) => false,
        None => {
            page_in(file, 1, header.page_size)?.is_some_and(|first| transactions.wrote_first_page(&first))
        }
    };
    if fits(beat.as_ref(), &transactions, header.version, is_from_log) {
        return Ok(None);
    }
    Ok(Some(Seen {
        file: beat,
        salts: Some(transactions.salts),
    }))
}

/// Returns whether a file with this beat and version belongs to the log. `is_from_log` says whether
/// the first page of the file, which contains the version, was moved into it from this log.
fn fits(file: Option<&Beat>, log: &Transactions, version: u32, is_from_log: bool) -> bool {
    let Some((_, first)) = log.beats.first() else {
        // Files of schemas 1 and 2 have no beats.
        return version < schema::FIRST_OF_TODAY;
    };
    match file {
        Some(file) => {
            let linked = file.token == first.previous;
            linked || log.beats.iter().any(|(_, beat)| beat.token == file.token)
        }
        // The log itself contains the migration of the file from schema 1 or 2. A process that died
        // while it moved the log may have moved the new version, but not yet the first beat.
        None => (version < schema::FIRST_OF_TODAY || is_from_log) && first.previous == [0; 16],
    }
}

/// Returns the beat in the database file itself.
fn beat_in(file: &File, page: u32, page_size: u64) -> Result<Option<Beat>, VaultError> {
    Ok(page_in(file, page, page_size)?.and_then(|content| Beat::of_page(&content)))
}

/// Returns a page of the database file; `None` if the file ends before.
fn page_in(file: &File, page: u32, page_size: u64) -> Result<Option<Vec<u8>>, VaultError> {
    let mut content = vec![0; usize::try_from(page_size).map_err(|_| VaultError::Damaged)?];
    let at = u64::from(page.saturating_sub(1)).saturating_mul(page_size);
    Ok(read_at(file, &mut content, at)?.then_some(content))
}

/// Fills the buffer from this offset of the file. Returns `false` if the file ends before.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> Result<bool, VaultError> {
    match fill(file, buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(VaultError::storage(error)),
    }
}

/// Checks repeatedly that the file at the path is still the one that was opened.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    lineage: [u8; 16],
    page: u32,
    page_size: u64,
    /// The log. It is created with the first transaction and exists as long as a connection is
    /// open.
    log: OnceLock<Identity>,
}

impl Guard {
    /// Begins to watch: the beat in the file must not decrease from now on.
    pub(super) fn new(path: &Path, db: &Connection, anchor: Option<&Anchor>) -> Result<Self, VaultError> {
        let page = db.query_row(PAGE, [], |row| row.get(0)).map_err(failed)?;
        let page_size: u32 = db
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(failed)?;
        let guard = Self {
            path: path.to_path_buf(),
            lineage: beat::read(db)?.lineage,
            page,
            page_size: u64::from(page_size),
            log: OnceLock::new(),
        };
        if let Some(anchor) = anchor
            && let Some(beat) = beat_in(&anchor.file, page, guard.page_size)?
        {
            anchor.highest.fetch_max(beat.number, Ordering::AcqRel);
        }
        Ok(guard)
    }

    /// Fails if the file or its log was replaced, or if the file was overwritten. `current` is the
    /// beat that the connection sees.
    pub(super) fn check(&self, anchor: &Anchor, current: &Beat) -> Result<(), VaultError> {
        if current.lineage != self.lineage {
            return Err(VaultError::Replaced);
        }
        anchor.check_place(&self.path)?;
        self.check_log()?;
        self.check_content(anchor, Some(current))
    }

    /// Returns whether the file or its log was replaced, or the file was overwritten, as far as it
    /// shows without the beat that the connection sees.
    pub(super) fn is_replaced(&self, anchor: &Anchor) -> bool {
        let checked = anchor
            .check_place(&self.path)
            .and_then(|()| self.check_log())
            .and_then(|()| self.check_content(anchor, None));
        matches!(checked, Err(VaultError::Replaced))
    }

    fn check_log(&self) -> Result<(), VaultError> {
        let Some(found) = Identity::at(&beside(&self.path, "-wal")) else {
            return match self.log.get() {
                Some(_) => Err(VaultError::Replaced),
                None => Ok(()),
            };
        };
        if *self.log.get_or_init(|| found.clone()) == found {
            Ok(())
        } else {
            Err(VaultError::Replaced)
        }
    }

    fn check_content(&self, anchor: &Anchor, current: Option<&Beat>) -> Result<(), VaultError> {
        // It is read before the page, because the beat that another thread sees later may be
        // higher.
        let highest = anchor.highest.load(Ordering::Acquire);
        for _ in 0..READS {
            let Some(beat) = beat_in(&anchor.file, self.page, self.page_size)? else {
                continue;
            };
            let is_ours = beat.lineage == self.lineage;
            let fits_current = current.is_none_or(|current| {
                beat.number < current.number || (beat.number == current.number && beat.token == current.token)
            });
            if !(is_ours && beat.number >= highest && fits_current) {
                return Err(VaultError::Replaced);
            }
            anchor.highest.fetch_max(beat.number, Ordering::AcqRel);
            return Ok(());
        }
        // After the migration to schema 3, the first beat of a file is only in the log for a while.
        if highest == 0 {
            Ok(())
        } else {
            Err(VaultError::Replaced)
        }
    }
}
