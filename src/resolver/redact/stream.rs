//! Masks tokens in text that arrives in pieces.

use std::fmt;
use std::mem;
use std::ops::Range;

use zeroize::Zeroize as _;

use super::masks::{MASK, into_text, merge};
use super::search::Track;
use super::{Masks, SharedMasks};

/// Masks the tokens of a turn in text that arrives in pieces, such as the output of a model or a
/// download: returned by [`Turn::redactor`](crate::resolver::Turn::redactor).
///
/// A possible beginning of a token is held back until the following text decides; other text passes
/// almost immediately. At most the longest encoding of a token is held, with up to 128 bytes
/// between two of its characters. The redactor masks the tokens that the turn knew when it was
/// created.
pub struct Redactor {
    search: Option<Search>,
}

struct Search {
    masks: std::sync::Arc<Masks>,
    /// For each search, the text with its escapes undone, and the unchanged text.
    tracks: Vec<[Track; 2]>,
    /// The text that has been read but not returned.
    held: Vec<u8>,
    /// The position of that text within the whole text.
    at: usize,
    found: Vec<Range<usize>>,
}

impl Redactor {
    pub(crate) fn new(masks: SharedMasks) -> Self {
        Self {
            search: masks.map(|masks| Search {
                tracks: masks.tracks(),
                masks,
                held: Vec::new(),
                at: 0,
                found: Vec::new(),
            }),
        }
    }

    /// Reads the next piece and returns the text that is cleared.
    pub fn push(&mut self, piece: &str) -> String {
        match &mut self.search {
            Some(search) => into_text(search.push(piece.as_bytes(), true)),
            None => piece.to_owned(),
        }
    }

    /// Reads the next piece as bytes, like [`push`](Self::push). Use only one of the two methods in
    /// a stream, unless all bytes are complete characters.
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
        let begin = self.at + self.held.len();
        let end = begin + piece.len();
        self.hold(piece);
        let found = &mut self.found;
        let mut settled = end;
        for (search, track) in self.masks.with_searches(&mut self.tracks) {
            track.read(search, piece, begin, &mut |place| found.push(place));
            settled = settled.min(track.settled(search, end));
        }
        merge(&mut self.found);
        settled = settled.max(self.at);
        if let Some(cut) = self.found.iter().find(|place| place.end > settled) {
            settled = settled.min(cut.start);
        }
        while text
            && self
                .held
                .get(settled - self.at)
                .is_some_and(|byte| byte >> 6 == 0b10)
        {
            settled -= 1;
        }
        self.give(settled)
    }

    fn finish(&mut self) -> Vec<u8> {
        let found = &mut self.found;
        for (search, track) in self.masks.with_searches(&mut self.tracks) {
            track.finish(search, &mut |place| found.push(place));
        }
        merge(&mut self.found);
        self.give(self.at + self.held.len())
    }

    /// Returns the held text up to this position.
    fn give(&mut self, settled: usize) -> Vec<u8> {
        let mut clean = Vec::with_capacity(settled - self.at);
        let mut from = self.at;
        let given = self.found.iter().take_while(|place| place.end <= settled).count();
        for place in self.found.drain(..given) {
            clean.extend_from_slice(&self.held[from - self.at..place.start - self.at]);
            clean.extend_from_slice(MASK.as_bytes());
            from = place.end;
        }
        clean.extend_from_slice(&self.held[from - self.at..settled - self.at]);
        let kept = self.held.len() - (settled - self.at);
        self.held.copy_within(settled - self.at.., 0);
        self.held[kept..].zeroize();
        self.held.truncate(kept);
        self.at = settled;
        clean
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
