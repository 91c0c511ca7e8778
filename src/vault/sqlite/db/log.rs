//! Reads the write-ahead log as SQLite recovers it: the frames of its current round up to the last
//! commit.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::Path;

use ring::digest;

use crate::vault::VaultError;
use crate::vault::sqlite::db::beat::Beat;
use crate::vault::sqlite::db::files::open_regular;
use crate::vault::sqlite::db::header::number;

const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;
/// The two values of the first four bytes; the lowest bit tells the byte order of the checksums.
const MAGIC: u32 = 0x377f_0682;
const FORMAT: u32 = 3_007_000;

/// The content of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// The log has no committed transaction.
    Empty,
    /// Another process began a new round of the log while it was read.
    Moving,
    /// The log has committed transactions.
    Committed(Transactions),
}

/// The committed transactions of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transactions {
    /// Identifies the round of the log.
    pub(super) salts: [u8; 8],
    /// The beats in the order of their commits, each with the number of its page.
    pub(super) beats: Vec<(u32, Beat)>,
    /// The digests of all contents that the first page of the file had.
    first_pages: Vec<[u8; 32]>,
}

impl Transactions {
    /// Returns whether one of the transactions wrote this first page of the file.
    pub(super) fn wrote_first_page(&self, content: &[u8]) -> bool {
        self.first_pages.contains(&digest_of(content))
    }
}

fn digest_of(content: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    digest
}

/// Reads the log at this path.
pub(super) fn read(path: &Path) -> Result<Log, VaultError> {
    let Some(file) = open_regular(path)? else {
        return Ok(Log::Empty);
    };
    let mut reader = BufReader::with_capacity(64 * 1024, &file);
    let Some(header) = block(&mut reader, HEADER_LEN)? else {
        return Ok(Log::Empty);
    };
    let Some(round) = Round::begin(&header) else {
        return Ok(Log::Empty);
    };
    let transactions = committed(round, &mut reader)?;
    if !begins_with(&file, &header)? {
        return Ok(Log::Moving);
    }
    Ok(transactions.map_or(Log::Empty, Log::Committed))
}

/// Returns the transactions of all committed frames; `None` without a committed frame.
fn committed(mut round: Round, reader: &mut impl Read) -> Result<Option<Transactions>, VaultError> {
    let mut transactions = Transactions {
        salts: round.salts,
        beats: Vec::new(),
        first_pages: Vec::new(),
    };
    let (mut pending, mut first_pages) = (Vec::new(), Vec::new());
    let mut has_commits = false;
    while let Some(frame) = block(reader, FRAME_HEADER_LEN + round.page_size)? {
        let Some((page, is_commit, content)) = round.frame(&frame) else {
            break;
        };
        if let Some(beat) = Beat::of_page(content) {
            pending.push((page, beat));
        }
        if page == 1 {
            first_pages.push(digest_of(content));
        }
        if is_commit {
            transactions.beats.append(&mut pending);
            transactions.first_pages.append(&mut first_pages);
            has_commits = true;
        }
    }
    Ok(has_commits.then_some(transactions))
}

/// A round of the log, with the checksum of the part that was read so far.
struct Round {
    salts: [u8; 8],
    page_size: usize,
    is_big_endian: bool,
    sums: (u32, u32),
}

impl Round {
    fn begin(header: &[u8]) -> Option<Self> {
        let magic = number(header, 0)?;
        let page_size = number(header, 8)?;
        if magic & !1 != MAGIC || number(header, 4)? != FORMAT {
            return None;
        }
        if !page_size.is_power_of_two() || !(512..=65_536).contains(&page_size) {
            return None;
        }
        let mut round = Self {
            salts: *header.get(16..)?.first_chunk()?,
            page_size: usize::try_from(page_size).ok()?,
            is_big_endian: magic & 1 == 1,
            sums: (0, 0),
        };
        round.add(header.get(..24)?);
        round.is_sum(header, 24).then_some(round)
    }

    /// Returns the page number of the next frame, whether it ends a transaction, and its content;
    /// `None` where the round ends.
    fn frame<'f>(&mut self, frame: &'f [u8]) -> Option<(u32, bool, &'f [u8])> {
        let (header, content) = frame.split_at_checked(FRAME_HEADER_LEN)?;
        if header.get(8..16)? != self.salts {
            return None;
        }
        self.add(header.get(..8)?);
        self.add(content);
        let page = number(header, 0)?;
        if page == 0 || !self.is_sum(header, 16) {
            return None;
        }
        Some((page, number(header, 4)? != 0, content))
    }

    fn is_sum(&self, header: &[u8], at: usize) -> bool {
        number(header, at) == Some(self.sums.0) && number(header, at + 4) == Some(self.sums.1)
    }

    fn add(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        for pair in pairs {
            let [first, second] = pair.map(|word| {
                if self.is_big_endian {
                    u32::from_be_bytes(word)
                } else {
                    u32::from_le_bytes(word)
                }
            });
            self.sums.0 = self.sums.0.wrapping_add(first).wrapping_add(self.sums.1);
            self.sums.1 = self.sums.1.wrapping_add(second).wrapping_add(self.sums.0);
        }
    }
}

/// Returns the next block of this length; `None` if the file ends before.
fn block(reader: &mut impl Read, len: usize) -> Result<Option<Vec<u8>>, VaultError> {
    let mut bytes = vec![0; len];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(VaultError::storage(error)),
    }
}

fn begins_with(mut file: &File, header: &[u8]) -> Result<bool, VaultError> {
    file.seek(SeekFrom::Start(0)).map_err(VaultError::storage)?;
    Ok(block(&mut file, HEADER_LEN)?.is_some_and(|found| found == header))
}
