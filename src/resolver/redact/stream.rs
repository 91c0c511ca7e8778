//! Masks tokens in text that arrives in pieces.

use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroize as _;

use super::filter::Buffers;
use super::masks::{MASK, into_text, merge};
use super::search::Track;
use super::{Masks, Secrets};

/// A piece is skimmed if it has this many bytes. Skimming holds back about a hundred bytes, and a
/// search holds back only what may be the beginning of a token.
const LARGE: usize = 1_024;

/// The number of bytes that are skimmed at once. If one of them may begin a token, all are
/// searched.
const PART: usize = 16 * 1_024;

/// The number of bytes that are searched before the next attempt to skim.
const STRIDE: usize = 64;

/// Masks the tokens of a turn in text that arrives in pieces, such as the output of a model or a
/// download: returned by [`Turn::redactor`](crate::resolver::Turn::redactor).
///
/// Text that may be the beginning of a token is held back until the following text shows whether it
/// is one; other text passes almost immediately. Of a piece of 1 KiB or more, up to 512 bytes are
/// held back until the next piece. At most the longest encoding of a token is held back, with up to
/// 128 bytes between two of its characters.
///
/// The redactor masks the tokens that the turn knew when it was created. Create it after the last
/// `resolve` or `send` whose token could appear in the text.
///
/// ```
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// host.connect(&ada, "notes");
/// let turn = host.resolver.turn(ada);
/// let token = turn.resolve("notes")?;
/// let (start, end) = token.access_token().expose_secret().split_at(10);
///
/// let mut redactor = turn.redactor();
/// let mut shown = redactor.push(&format!("the token is {start}"));
/// shown += &redactor.push(end);
/// shown += &redactor.finish();
/// assert_eq!(shown, "the token is [redacted]");
/// # Ok::<(), valetkey::Error>(())
/// ```
pub struct Redactor {
    search: Option<Search>,
}

struct Search {
    secrets: Arc<Secrets>,
    mode: Mode,
    buffers: Buffers,
    /// The number of bytes from which a piece is skimmed.
    large: usize,
    /// The text that has been read but not returned.
    held: Vec<u8>,
    /// The position of that text within the whole text.
    at: usize,
    found: Vec<Range<usize>>,
}

/// The way in which the held text was read.
enum Mode {
    /// It was skimmed: no token is in it, and none begins before it.
    Skimmed,
    /// It was searched.
    Searched {
        masks: Arc<Masks>,
        /// For each search, the text with its escapes undone, and the unchanged text.
        tracks: Vec<[Track; 2]>,
    },
}

impl Redactor {
    pub(crate) fn new(secrets: Option<Arc<Secrets>>) -> Self {
        Self {
            search: secrets.map(|secrets| Search {
                secrets,
                mode: Mode::Skimmed,
                buffers: Buffers::new(PART),
                large: LARGE,
                held: Vec::new(),
                at: 0,
                found: Vec::new(),
            }),
        }
    }

    /// Creates a redactor that searches every piece.
    #[cfg(test)]
    pub(super) fn searching(masks: Arc<Masks>) -> Self {
        Self::new(Some(Arc::new(Secrets::searched(masks))))
    }

    /// Sets the number of bytes from which a piece is skimmed.
    #[cfg(test)]
    pub(super) fn skimming_from(mut self, large: usize) -> Self {
        if let Some(search) = &mut self.search {
            search.large = large;
        }
        self
    }

    /// Reads the next piece and returns the text that is cleared.
    pub fn push(&mut self, piece: &str) -> String {
        match &mut self.search {
            Some(search) => into_text(search.push(piece.as_bytes(), true)),
            None => piece.to_owned(),
        }
    }

    /// Reads the next piece as bytes, like [`push`](Self::push). Use only one of the two methods
    /// for a stream, unless every piece of bytes ends with a complete character.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Vec<u8> {
        match &mut self.search {
            Some(search) => search.push(piece, false),
            None => piece.to_owned(),
        }
    }

    /// Ends the text and returns the remainder.
    #[must_use]
    pub fn finish(self) -> String {
        into_text(self.finish_bytes())
    }

    /// Ends the text and returns the remainder as bytes, like [`finish`](Self::finish).
    #[must_use]
    pub fn finish_bytes(mut self) -> Vec<u8> {
        self.search.as_mut().map(Search::finish).unwrap_or_default()
    }
}

impl Search {
    fn push(&mut self, piece: &[u8], text: bool) -> Vec<u8> {
        let mut clean = Vec::with_capacity(self.held.len() + piece.len());
        for part in piece.chunks(PART) {
            self.read(part, text, &mut clean);
        }
        clean
    }

    fn read(&mut self, part: &[u8], text: bool, clean: &mut Vec<u8>) {
        self.hold(part);
        let unread = self.skip_to_calm(part.len(), clean);
        if let Mode::Skimmed = self.mode {
            match self.skimmed() {
                Some(cleared) => return self.give(self.within(cleared, text), clean),
                None if !self.search_held() => return self.give(self.end(), clean),
                None => {}
            }
        } else {
            self.search(unread);
        }
        let settled = self.settled();
        self.give(self.within(settled, text), clean);
    }

    /// Returns the position before which no token begins in held text that was not searched;
    /// `None` if it must be searched.
    fn skimmed(&mut self) -> Option<usize> {
        if self.held.len() < self.large {
            return None;
        }
        let skim = self.secrets.skim()?;
        let cleared = skim.cleared(&self.held, &mut self.buffers)?;
        Some(self.at + cleared)
    }

    /// Searches the last bytes of the held text until the rest can be skimmed. Returns the number
    /// of bytes that remain unread.
    fn skip_to_calm(&mut self, mut unread: usize, clean: &mut Vec<u8>) -> usize {
        while unread >= self.large && self.secrets.skim().is_some() {
            let from = self.held.len() - unread;
            let Mode::Searched { masks, tracks } = &self.mode else {
                return unread;
            };
            // Text is not cut within a character.
            let is_whole = self.held.get(from).is_some_and(|byte| byte >> 6 != 0b10);
            if is_whole && masks.are_calm(tracks) {
                merge(&mut self.found);
                self.give(self.at + from, clean);
                self.mode = Mode::Skimmed;
                return unread;
            }
            self.search_part(from..from + STRIDE);
            unread -= STRIDE;
        }
        unread
    }

    /// Searches all held text, of which nothing was searched. Returns `false` if there is nothing
    /// to mask.
    fn search_held(&mut self) -> bool {
        let Some(masks) = self.secrets.masks() else {
            return false;
        };
        self.mode = Mode::Searched {
            tracks: masks.tracks(self.at),
            masks,
        };
        self.search(self.held.len());
        true
    }

    /// Searches the last bytes of the held text.
    fn search(&mut self, unread: usize) {
        self.search_part(self.held.len() - unread..self.held.len());
        merge(&mut self.found);
    }

    fn search_part(&mut self, part: Range<usize>) {
        let Self { found, held, .. } = self;
        let at = self.at + part.start;
        if let (Mode::Searched { masks, tracks }, Some(part)) = (&mut self.mode, held.get(part)) {
            for (search, track) in masks.with_searches(tracks) {
                track.read(search, part, at, &mut |place| found.push(place));
            }
        }
    }

    /// Returns the position before which no token begins that was not found.
    fn settled(&mut self) -> usize {
        let end = self.end();
        let mut settled = end;
        if let Mode::Searched { masks, tracks } = &mut self.mode {
            for (search, track) in masks.with_searches(tracks) {
                settled = settled.min(track.settled(search, end));
            }
        }
        settled = settled.max(self.at);
        if let Some(cut) = self.found.iter().find(|place| place.end > settled) {
            settled = settled.min(cut.start);
        }
        settled
    }

    /// Returns this position or, in text, the beginning of its character.
    fn within(&self, mut position: usize, text: bool) -> usize {
        let continues = |position| {
            let byte: Option<&u8> = self.held.get(position - self.at);
            byte.is_some_and(|byte| byte >> 6 == 0b10)
        };
        while text && position > self.at && continues(position) {
            position -= 1;
        }
        position
    }

    fn end(&self) -> usize {
        self.at + self.held.len()
    }

    fn finish(&mut self) -> Vec<u8> {
        if let Mode::Searched { masks, tracks } = &mut self.mode {
            let found = &mut self.found;
            for (search, track) in masks.with_searches(tracks) {
                track.finish(search, &mut |place| found.push(place));
            }
            merge(found);
        }
        let mut clean = Vec::with_capacity(self.held.len());
        self.give(self.end(), &mut clean);
        clean
    }

    /// Passes the held text on, up to this position.
    fn give(&mut self, settled: usize, clean: &mut Vec<u8>) {
        let mut from = self.at;
        let given = self.found.iter().take_while(|place| place.end <= settled).count();
        for place in self.found.drain(..given) {
            clean.extend_from_slice(&self.held[from - self.at..place.start - self.at]);
            clean.extend_from_slice(MASK.as_bytes());
            from = place.end;
        }
        clean.extend_from_slice(&self.held[from - self.at..settled - self.at]);
        let kept = self.held.len() - (settled - self.at);
        let length = self.held.len();
        self.held.copy_within(settled - self.at.., 0);
        // Skimmed text contains no token, except perhaps the beginning of one in what is kept.
        let wiped = match self.mode {
            Mode::Skimmed => kept.max(length - kept),
            Mode::Searched { .. } => kept,
        };
        self.held[wiped..].zeroize();
        self.held.truncate(kept);
        self.at = settled;
    }

    /// Growing in place would leave a copy behind, which may contain part of a token.
    fn hold(&mut self, piece: &[u8]) {
        if self.held.capacity() - self.held.len() < piece.len() {
            let mut grown = Vec::with_capacity((self.held.len() + piece.len()).next_power_of_two());
            grown.extend_from_slice(&self.held);
            mem::replace(&mut self.held, grown).zeroize();
        }
        self.held.extend_from_slice(piece);
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}
