//! Rules out texts that cannot contain a token, in a fraction of the time of a search.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::part::{Marks, PART, WORD, copy_letters};
use super::pieces::Pieces;
use super::site::{Site, begins_word, is_plain, site};
use super::undone::{AROUND, ROOM, Undone};
use super::view::{Reading, View};
use crate::secret::AccessToken;

/// The endings of all encodings of some tokens.
///
/// A text is reduced to its letters and digits. Undoing escapes changes these only at a few places
/// of most texts, so the second reading consists of the letters around these places. Most other
/// places are ruled out by the byte that follows.
pub(crate) struct Filter(Pieces);

impl Filter {
    /// Creates a filter for these tokens; `None` if there are none.
    pub(crate) fn new<'a>(
        tokens: impl IntoIterator<Item = &'a AccessToken, IntoIter: ExactSizeIterator>,
    ) -> Option<Self> {
        let tokens = tokens.into_iter().map(|token| token.expose_secret().as_bytes());
        Pieces::of_endings(tokens).map(Self)
    }

    /// Returns whether the text may contain a token. If not, a search finds none.
    pub(crate) fn suspects(&self, text: &[u8]) -> bool {
        self.0.always || Scan::new(&self.0, text, &mut Buffers::new(text.len())).suspects()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

/// The number of bytes of a text that are read before their letters are checked.
const BLOCK: usize = 4_096;

/// The number of letters of a block that are kept for the next one. It exceeds the letters of an
/// ending together with those of an escape that is still open.
const KEPT: usize = 128;

/// The distance from the end of a text within which changes are remembered.
pub(super) const NEAR_END: usize = 512;

/// The buffers of a pass, which the next pass over a text of the same stream reuses.
pub(super) struct Buffers {
    letters: Zeroizing<Vec<u8>>,
    undone: Zeroizing<[u8; ROOM]>,
}

impl Buffers {
    /// Creates buffers for texts of this length, or of any length if it exceeds that of a block.
    pub(super) fn new(length: usize) -> Self {
        Self {
            letters: Zeroizing::new(vec![0; KEPT + BLOCK.min(length) + PART + WORD]),
            undone: Zeroizing::new([0; ROOM]),
        }
    }
}

/// A place in a text, and the position of the first letter after it.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    letters: usize,
}

/// One pass over a text. Positions of letters count the letters of the whole text.
pub(super) struct Scan<'a> {
    pieces: &'a Pieces,
    text: &'a [u8],
    /// The letters of the block, after those kept from the one before.
    letters: &'a mut [u8],
    held: usize,
    /// The position of the first held letter.
    base: usize,
    undone: Undone<'a>,
    /// The position up to which the letters are in `undone`.
    copied: usize,
    /// The number of letters after the last place that are still to be copied.
    trailing: usize,
    /// The first of the escapes before this place that are still open.
    open: Option<Place>,
    /// The place up to which escapes have been undone.
    seen: usize,
    /// The parts near the end of the text that undoing escapes changes.
    changes: Vec<Range<usize>>,
    view: View,
}

impl<'a> Scan<'a> {
    /// Begins a pass over a text. The buffers must have room for it.
    pub(super) fn new(pieces: &'a Pieces, text: &'a [u8], buffers: &'a mut Buffers) -> Self {
        Self {
            pieces,
            text,
            letters: &mut buffers.letters,
            held: 0,
            base: 0,
            undone: Undone::new(pieces, &mut buffers.undone),
            copied: 0,
            trailing: 0,
            open: None,
            seen: 0,
            changes: Vec::new(),
            view: View::new(Reading::UnescapedLetters),
        }
    }

    /// Returns the parts near the end of the text that undoing escapes changes, in ascending order,
    /// if none of the pieces is in the text.
    pub(super) fn changes(mut self) -> Option<Vec<Range<usize>>> {
        (!self.suspects()).then_some(self.changes)
    }

    /// Returns whether a piece is in the text.
    fn suspects(&mut self) -> bool {
        let text = self.text;
        (0..text.len())
            .step_by(BLOCK)
            .any(|from| self.block(from, text.len().min(from + BLOCK)))
            || self.undone.check()
    }

    /// Reads a block. Returns whether a piece is in it.
    fn block(&mut self, from: usize, end: usize) -> bool {
        let text = self.text;
        for first in (from..end).step_by(PART) {
            let before = self.base + self.held;
            let mut marks = self.read(first, end);
            while let Some(place) = marks.next_site() {
                let at = first + place;
                // The most frequent places, in short.
                if text[at] == b'\n' {
                    let next = marks.after(place);
                    if next.is_some_and(|next| begins_word(text, first + next)) {
                        continue;
                    }
                } else if is_plain(text, at) {
                    self.open = None;
                    continue;
                }
                let place = Place {
                    at,
                    letters: before + marks.letters_before(place),
                };
                if self.change(place).is_some_and(|site| self.undo(place, site)) {
                    return true;
                }
            }
        }
        let known = self.pieces.are_in(&self.letters[..self.held]);
        self.copy_trailing(self.settled());
        let gone = self.held.saturating_sub(KEPT);
        self.letters.copy_within(gone..self.held, 0);
        self.held -= gone;
        self.base += gone;
        known
    }

    /// Adds the letters of the part that begins here, and returns what is in it.
    #[inline]
    fn read(&mut self, first: usize, end: usize) -> Marks {
        let Some(room) = self
            .letters
            .get_mut(self.held..)
            .and_then(<[u8]>::first_chunk_mut)
        else {
            return Marks::default();
        };
        let (marks, added) = match self.text[first..].first_chunk() {
            Some(part) => copy_letters(part, room),
            None => {
                let mut part = Zeroizing::new([0; PART + WORD]);
                part[..end - first].copy_from_slice(&self.text[first..end]);
                copy_letters(&part, room)
            }
        };
        self.held += added;
        marks
    }

    /// Returns the position of the letters that an open escape may begin to change, or of the end.
    fn settled(&self) -> usize {
        let end = self.base + self.held;
        // An ending that reaches across more letters than this contains none that are changed.
        let open = self.open.filter(|open| end - open.letters < KEPT / 2);
        open.map_or(end, |open| open.letters)
    }

    /// Returns the effect of this place if undoing escapes changes the letters there.
    fn change(&mut self, place: Place) -> Option<Site> {
        let at = place.at;
        if at < self.seen {
            return None;
        }
        let site = site(self.text, at);
        match site {
            Site::Punctuation if self.open.is_some() => return Some(site),
            Site::Escape { .. } | Site::Other => return Some(site),
            Site::Open => self.open = self.open.or(Some(place)),
            Site::Plain if self.text[at] == b'\n' => {}
            Site::Plain | Site::Punctuation => self.open = None,
        }
        None
    }

    /// Undoes escapes from this place on, before which all letters are held. Returns whether a
    /// piece is in the result so far.
    fn undo(&mut self, place: Place, site: Site) -> bool {
        let at = place.at;
        let first = self.open.take().unwrap_or(place);
        let from = self.line_of(first.at);
        self.copy_before(first.letters);
        let end = match site {
            Site::Escape { byte, end } if from == at => {
                let letter = LETTERS[usize::from(byte)];
                if letter != 0 {
                    self.undone.push(letter);
                }
                end
            }
            _ => self.read_view(from, at),
        };
        self.seen = end;
        if end + NEAR_END > self.text.len() {
            self.changes.push(from..end);
        }
        self.copied = first.letters + count(&self.text[from..end]);
        self.trailing = AROUND;
        self.undone.is_known()
    }

    /// Returns the line break before this place if there is no letter between, else the place.
    fn line_of(&self, at: usize) -> usize {
        let before = &self.text[self.seen.min(at)..at];
        let last = before
            .iter()
            .rposition(|byte| *byte == b'\n' || LETTERS[usize::from(*byte)] != 0);
        match last.map(|last| self.seen.min(at) + last) {
            Some(last) if self.text[last] == b'\n' => last,
            _ => at,
        }
    }

    /// Reads the text from this place on until nothing is held. Returns where that is.
    fn read_view(&mut self, from: usize, at: usize) -> usize {
        let Self {
            text, undone, view, ..
        } = self;
        let mut emit = |byte: u8| {
            let letter = LETTERS[usize::from(byte)];
            if letter != 0 {
                undone.push(letter);
            }
        };
        let mut end = from;
        while end < text.len() {
            view.read(text[end], end, &mut |unit| emit(unit.byte));
            end += 1;
            if end > at && view.is_idle() {
                return end;
            }
        }
        view.finish(&mut |unit| emit(unit.byte));
        end
    }

    /// Copies the letters after the last place, up to this position.
    fn copy_trailing(&mut self, end: usize) {
        let count = self.trailing.min(end.saturating_sub(self.copied));
        self.copy(self.copied, self.copied + count);
        self.copied += count;
        self.trailing -= count;
    }

    /// Copies the letters before a place at this position.
    fn copy_before(&mut self, end: usize) {
        self.copy_trailing(end);
        self.copy(self.copied.max(end.saturating_sub(AROUND)), end);
    }

    /// Copies at most [`AROUND`] letters.
    #[inline]
    fn copy(&mut self, from: usize, end: usize) {
        let from = from.max(self.base);
        let held = self.letters.get(from - self.base..);
        if let Some(word) = held.and_then(<[u8]>::first_chunk) {
            self.undone.add(word, end.saturating_sub(from));
        }
    }
}

/// Returns the number of letters and digits in a part of a text.
fn count(text: &[u8]) -> usize {
    let mut count = 0;
    for byte in text {
        count += usize::from(LETTERS[usize::from(*byte)] != 0);
    }
    count
}

/// Letters in lower case, and digits; zero for every other byte.
const LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            letters[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    letters
};

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::resolver::redact::encodings::SHORTEST_LETTERS;

    /// Parts of escapes, of line numbers and of dumps, and what can stand between them.
    const PARTS: [&str; 56] = [
        "%",
        "\\",
        "&",
        "=",
        "<",
        "\u{1b}",
        "\n",
        " ",
        "\r\n",
        "\0",
        "a",
        "b",
        "n",
        "t",
        "e",
        "x",
        "u",
        "U",
        "f",
        "0",
        "41",
        "3D",
        "25",
        "5c",
        "5C",
        "26",
        "0041",
        "u0041",
        "u003c",
        "x3c",
        "{",
        "}",
        "{41}",
        ";",
        "#",
        "#65;",
        "#x41;",
        "amp;",
        "plus;",
        "percnt;",
        "bsol;",
        "br",
        ">",
        "/",
        "/>",
        " />",
        "wbr>",
        "[31m",
        "]8;;",
        "12: ",
        "00000010: ",
        "0000010 ",
        "|",
        "\"",
        "lmnopq",
        "rstuvwxyz12",
    ];

    /// Returns the letters of a text with its escapes undone.
    fn undone(text: &[u8]) -> Vec<u8> {
        let mut view = View::new(Reading::UnescapedLetters);
        let mut letters = Vec::new();
        let mut emit = |byte: u8| {
            letters.extend((LETTERS[usize::from(byte)] != 0).then_some(LETTERS[usize::from(byte)]))
        };
        for (at, &byte) in text.iter().enumerate() {
            view.read(byte, at, &mut |unit| emit(unit.byte));
        }
        view.finish(&mut |unit| emit(unit.byte));
        letters
    }

    fn as_it_stands(text: &[u8]) -> Vec<u8> {
        let letters = text.iter().map(|byte| LETTERS[usize::from(*byte)]);
        letters.filter(|letter| *letter != 0).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        /// The filter need not read a text as a search does, but it must know every ending that a
        /// search can find. Many endings cross the edge of a block.
        #[test]
        fn every_ending_of_either_reading_is_suspected(
            parts in vec(select(&PARTS[..]), 1..60), at in any::<prop::sample::Index>(),
            before in prop_oneof![0..9_usize, BLOCK - 200..BLOCK + 9],
        ) {
            let text = "z".repeat(before) + &parts.concat();
            for letters in [undone(text.as_bytes()), as_it_stands(text.as_bytes())] {
                let own = letters.len().saturating_sub(before.saturating_sub(SHORTEST_LETTERS));
                if own < SHORTEST_LETTERS {
                    continue;
                }
                let from = letters.len() - own + at.index(own - SHORTEST_LETTERS + 1);
                let ending = &letters[from..from + SHORTEST_LETTERS];
                let pieces = Pieces::of_letters(ending);
                let mut buffers = Buffers::new(text.len());
                prop_assert!(Scan::new(&pieces, text.as_bytes(), &mut buffers).suspects(), "{:?} in {:?}", ending.escape_ascii().to_string(), text);
            }
        }
    }
}
