//! Masks tokens in text: all their encodings, searched for in one pass for each reading of the
//! text.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Skim;
use super::encodings::Encodings;
use super::filter::Buffers;
use super::search::{Compares, Search, Track};
use super::view::has_escapes;
use crate::secret::AccessToken;

/// The replacement of a token.
pub(crate) const MASK: &str = "[redacted]";

/// The encodings of some tokens.
pub(crate) struct Masks {
    /// One search for encodings compared by letters and digits, and one for shorter encodings.
    searches: Vec<Search>,
    /// Rules out parts of a long text.
    skim: Option<Arc<Skim>>,
}

/// A text is skimmed if it has this many bytes.
const LONG: usize = 4_096;

/// The number of bytes that are skimmed at once. If a token may begin in one of them, all are
/// searched.
const PART: usize = 1_024;

/// The number of bytes that are searched before the next attempt to skim.
const STRIDE: usize = 64;

impl Masks {
    /// Creates masks for these tokens; `None` if there are none.
    pub(crate) fn new<'a>(tokens: impl IntoIterator<Item = &'a AccessToken>) -> Option<Self> {
        let mut encodings = Encodings::default();
        for token in tokens {
            encodings.add(token.expose_secret().as_bytes());
        }
        let letters = Search::new(encodings.letters, Compares::Letters);
        let characters = Search::new(encodings.characters, Compares::Characters);
        let searches: Vec<_> = letters.into_iter().chain(characters).collect();
        (!searches.is_empty()).then_some(Self { searches, skim: None })
    }

    /// Skims long texts for the beginnings of the same tokens, and searches only what may contain
    /// one.
    pub(super) fn skimming(self, skim: Option<Arc<Skim>>) -> Self {
        Self { skim, ..self }
    }

    /// Returns the positions of tokens in the text, in order and without overlaps.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = match &self.skim {
            Some(skim) if text.len() >= LONG => self.find_in_parts(skim, text),
            _ => self.find_in_whole(text),
        };
        merge(&mut found);
        found
    }

    fn find_in_whole(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let unescaped = !has_escapes(text);
        for search in &self.searches {
            // Without escapes in the text, both readings are the same.
            for track in search.tracks(0).iter_mut().skip(usize::from(unescaped)) {
                track.read(search, text, 0, &mut |place| found.push(place));
                track.finish(search, &mut |place| found.push(place));
            }
        }
        found
    }

    fn find_in_parts(&self, skim: &Skim, text: &[u8]) -> Vec<Range<usize>> {
        let mut buffers = Buffers::new(PART);
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = text.len().min(at + PART);
            at = match skim.cleared(&text[at..end], &mut buffers) {
                Some(cleared) => at + cleared,
                None => self.find_until_calm(text, at..end, &mut found),
            };
        }
        found
    }

    /// Searches a part of the text, and what follows until nothing is open. Returns where that is.
    fn find_until_calm(&self, text: &[u8], mut part: Range<usize>, found: &mut Vec<Range<usize>>) -> usize {
        let mut tracks = self.tracks(part.start);
        while !part.is_empty() {
            for (search, track) in self.with_searches(&mut tracks) {
                track.read(search, &text[part.clone()], part.start, &mut |place| {
                    found.push(place)
                });
            }
            if self.are_calm(&tracks) {
                return part.end;
            }
            part = part.end..text.len().min(part.end + STRIDE);
        }
        for (search, track) in self.with_searches(&mut tracks) {
            track.finish(search, &mut |place| found.push(place));
        }
        part.end
    }

    /// Returns the text with every token masked, or the borrowed text if it contains none.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Tokens are text, so the remaining pieces are valid text.
            Cow::Owned(bytes) => Cow::Owned(into_text(bytes)),
        }
    }

    /// Masks tokens in bytes, like [`redact`](Self::redact).
    pub(crate) fn redact_bytes<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let found = self.find(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut from = 0;
        for place in found {
            clean.extend_from_slice(&text[from..place.start]);
            clean.extend_from_slice(MASK.as_bytes());
            from = place.end;
        }
        clean.extend_from_slice(&text[from..]);
        Cow::Owned(clean)
    }

    /// Creates the tracks of all searches, for text that arrives in pieces from this position on.
    pub(super) fn tracks(&self, at: usize) -> Vec<[Track; 2]> {
        let tracks = |search: &Search| search.tracks(at);
        self.searches.iter().map(tracks).collect()
    }

    /// Returns whether every track is [calm](Track::is_calm).
    pub(super) fn are_calm(&self, tracks: &[[Track; 2]]) -> bool {
        let mut pairs = self.searches.iter().zip(tracks);
        pairs.all(|(search, tracks)| tracks.iter().all(|track| track.is_calm(search)))
    }

    /// Returns each track with its search.
    pub(super) fn with_searches<'a>(
        &'a self,
        tracks: &'a mut [[Track; 2]],
    ) -> impl Iterator<Item = (&'a Search, &'a mut Track)> {
        let pairs = self.searches.iter().zip(tracks);
        pairs.flat_map(|(search, tracks)| tracks.iter_mut().map(move |track| (search, track)))
    }
}

/// Converts bytes back to text after tokens were cut out of them.
pub(super) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").finish_non_exhaustive()
    }
}

/// Sorts ranges and merges overlapping ones.
pub(super) fn merge(places: &mut Vec<Range<usize>>) {
    places.sort_unstable_by_key(|place| place.start);
    places.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
}

/// The masks shared by a turn and the streams that it started.
pub(crate) type SharedMasks = Option<Arc<Masks>>;
