//! Whether a database file and its log are of one time, and whether the file is still the one that was opened.
//!
//! Every write transaction rewrites the one row of `pulse` in place: a beat. It names the lineage of the file, counts
//! the transactions, and links each to the one before by random tokens. So every transaction in a log has a frame with
//! its beat, and the database file shows how far the log was moved into it. A file and a log belong together only if
//! the file's token is that before the first transaction of the log, or that of one of them.
//!
//! A backup begins a lineage of its own: it fits no older log, and it is noticed when it is copied over a file that
//! is open.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::random;
use crate::vault::VaultError;
use crate::vault::sqlite::db::files::beside;
use crate::vault::sqlite::db::header::Header;
use crate::vault::sqlite::db::in_use::{Anchor, Identity};
use crate::vault::sqlite::db::log::{self, Log, Transactions};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::schema;
use crate::vault::sqlite::sql::Sql;

const MAGIC: &[u8; 16] = b"valetkey-pulse-1";
const LEN: usize = 72;
/// What the page of `pulse` has before the beat: payload length, row 1, and the types NULL and BLOB of 72 bytes.
const CELL: [u8; 6] = [0x4c, 0x01, 0x04, 0x00, 0x81, 0x1c];
const CELL_LEN: usize = CELL.len() + LEN;

const INSERT: &str = "INSERT INTO pulse (only, beat) VALUES (1, :beat)";
const READ: &str = "SELECT beat FROM pulse WHERE only = 1";
const WRITE: &str = "UPDATE pulse SET beat = :beat WHERE only = 1";
const PAGE: &str = "SELECT rootpage FROM sqlite_schema WHERE name = 'pulse'";

/// How long other processes may move the log while it is compared.
const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(2);
/// How often a page is read again that another process may be writing.
const READS: usize = 3;

/// One write transaction, as the file remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault::sqlite) struct Beat {
    pub(super) lineage: [u8; 16],
    pub(super) number: u64,
    /// The token of the transaction before; zeros in the first of a lineage.
    previous: [u8; 16],
    token: [u8; 16],
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

    /// The beat in a page, if the page is that of `pulse`: a leaf with this one row and nothing else.
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

/// Reads the beat as this connection sees it, the log included.
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

/// Compares a database file that this process does not have open with the log beside it.
///
/// Another process may move the log into the file meanwhile, or begin a new round of it. A file and a log are refused
/// only when the same token and the same round have been seen twice: both were still between the two looks.
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

/// What was seen when a file and its log did not fit.
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

/// `None` if they fit.
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
    if fits(beat.as_ref(), &transactions, header.version) {
        return Ok(None);
    }
    Ok(Some(Seen {
        file: beat,
        salts: Some(transactions.salts),
    }))
}

fn fits(file: Option<&Beat>, log: &Transactions, version: u32) -> bool {
    let Some((_, first)) = log.beats.first() else {
        // Files of schemas 1 and 2 have no beats.
        return version < schema::NEWEST;
    };
    match file {
        Some(file) => {
            let linked = file.token == first.previous;
            linked || log.beats.iter().any(|(_, beat)| beat.token == file.token)
        }
        // The log itself brings the file to schema 3.
        None => version < schema::NEWEST && first.previous == [0; 16],
    }
}

/// The beat in the database file itself.
fn beat_in(file: &File, page: u32, page_size: u64) -> Result<Option<Beat>, VaultError> {
    let mut content = vec![0; usize::try_from(page_size).map_err(|_| VaultError::Damaged)?];
    let at = u64::from(page.saturating_sub(1)).saturating_mul(page_size);
    Ok(read_at(file, &mut content, at)?
        .then(|| Beat::of_page(&content))
        .flatten())
}

/// Fills the buffer from this place of the file. `false` if the file ends before.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> Result<bool, VaultError> {
    match fill(file, buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(VaultError::storage(error)),
    }
}

#[cfg(unix)]
fn fill(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

/// The file has one position for all threads: each read names its own.
#[cfg(windows)]
fn fill(file: &File, mut buffer: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.split_at_mut(read).1;
        at += read as u64;
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn fill(mut file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};

    file.seek(SeekFrom::Start(at))?;
    file.read_exact(buffer)
}

/// Watches that the file at the path stays the one that was opened.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    lineage: [u8; 16],
    page: u32,
    page_size: u64,
    /// The log. It is made with the first transaction and stays as long as a connection is open.
    log: OnceLock<Identity>,
}

impl Guard {
    /// Begins to watch: what the file shows now must not go back.
    pub(super) fn new(path: &Path, db: &Connection, anchor: Option<&Anchor>) -> Result<Self, VaultError> {
        let page = db.query_row(PAGE, [], |row| row.get(0)).map_err(failed)?;
        let page_size: u32 = db
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(failed)?;
        let guard = Self {
            path: path.to_path_buf(),
            lineage: read(db)?.lineage,
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

    /// Refuses if the file or its log was replaced, or if the file was overwritten. `current` is the beat that the
    /// connection sees.
    pub(super) fn check(&self, anchor: &Anchor, current: &Beat) -> Result<(), VaultError> {
        if current.lineage != self.lineage {
            return Err(VaultError::Replaced);
        }
        anchor.check_place(&self.path)?;
        self.check_log()?;
        self.check_content(anchor, current)
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

    fn check_content(&self, anchor: &Anchor, current: &Beat) -> Result<(), VaultError> {
        // Read before the page: what another thread sees later may be higher.
        let highest = anchor.highest.load(Ordering::Acquire);
        for _ in 0..READS {
            let Some(beat) = beat_in(&anchor.file, self.page, self.page_size)? else {
                continue;
            };
            let is_ours = beat.lineage == self.lineage;
            let is_between = (highest..=current.number).contains(&beat.number);
            let is_same = beat.number != current.number || beat.token == current.token;
            if !(is_ours && is_between && is_same) {
                return Err(VaultError::Replaced);
            }
            anchor.highest.fetch_max(beat.number, Ordering::AcqRel);
            return Ok(());
        }
        // A file that was brought to schema 3 has its first beat in the log for a while.
        if highest == 0 {
            Ok(())
        } else {
            Err(VaultError::Replaced)
        }
    }
}

/// Writes the next beat. Returns the one before and the next.
pub(super) fn beat(db: &Connection) -> Result<(Beat, Beat), VaultError> {
    let before = read(db)?;
    let next = before.next()?;
    write(db, &next)?;
    Ok((before, next))
}
