//! What tokens look like in text: every encoding of each, searched for in one pass.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::view::{Unit, View};
use crate::random;
use crate::secret::AccessToken;

/// What stands in the place of a token.
pub(crate) const MASK: &str = "[redacted]";

/// Encodings shorter than this are not searched for: they would be found by chance.
const SHORTEST_ENCODING: usize = 8;

/// How much of the end of an encoding is searched for at first. Tokens of one issuer often begin alike; they end apart.
const ENDING: usize = 16;

/// The encodings of some tokens, as one automaton.
pub(crate) struct Masks {
    automaton: NFA,
    start: StateID,
    /// Where each byte is found in the automaton's alphabet. The automaton cannot be wiped, so it is built over a random
    /// alphabet, which can: what is left of it in freed memory is a puzzle without its key.
    alphabet: Zeroizing<[u8; 256]>,
    /// The bytes, in the text's alphabet, with which some encoding begins: most text is none of them.
    begins: [bool; 256],
    /// The length of the longest encoding.
    longest: usize,
}

impl Masks {
    /// Masks for these tokens; `None` if there are none.
    pub(crate) fn new<'a>(tokens: impl IntoIterator<Item = &'a AccessToken>) -> Option<Self> {
        Self::of(tokens, usize::MAX)
    }

    /// Masks for the last characters of what [`new`](Self::new) masks, in a small part of the time that those take to be
    /// made. Where these find nothing, those would find nothing.
    pub(crate) fn endings<'a>(tokens: impl IntoIterator<Item = &'a AccessToken>) -> Option<Self> {
        Self::of(tokens, ENDING)
    }

    fn of<'a>(tokens: impl IntoIterator<Item = &'a AccessToken>, most: usize) -> Option<Self> {
        let alphabet = alphabet();
        let mut patterns: Vec<Zeroizing<Vec<u8>>> = tokens
            .into_iter()
            .flat_map(|token| encodings(token.expose_secret().as_bytes()))
            .map(|pattern| Zeroizing::new(pattern[pattern.len().saturating_sub(most)..].to_vec()))
            .collect();
        for pattern in &mut patterns {
            for byte in pattern.iter_mut() {
                *byte = alphabet[usize::from(*byte)];
            }
        }
        patterns.sort_unstable_by(|one, other| one.as_slice().cmp(other));
        patterns.dedup_by(|one, other| one.as_slice() == other.as_slice());
        let longest = patterns.iter().map(|pattern| pattern.len()).max()?;
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            // A prefilter would keep copies of the tokens, and looks at the text, not at the view of it.
            .prefilter(false)
            .build(patterns.iter().map(|pattern| pattern.as_slice()))
            .ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let begins =
            std::array::from_fn(|byte| automaton.next_state(Anchored::No, start, alphabet[byte]) != start);
        Some(Self {
            automaton,
            start,
            alphabet,
            begins,
            longest,
        })
    }

    /// The places of tokens in the text, from the first to the last, none touching another's bytes.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        // Without an escape in the text both views are the same.
        let escaped = text.iter().any(|byte| matches!(byte, b'%' | b'\\'));
        for unescapes in [true, false] {
            if unescapes || escaped {
                let mut track = Track::new(self, unescapes);
                track.read(self, text, 0, &mut |place| found.push(place));
                track.finish(self, &mut |place| found.push(place));
            }
        }
        merge(&mut found);
        found
    }

    /// The text with every token masked; the very text if there is none in it.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A token is text, so what is cut out of text leaves text.
            Cow::Owned(bytes) => Cow::Owned(into_text(bytes)),
        }
    }

    /// As [`redact`](Self::redact), for bytes.
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
}

/// Bytes that were text before tokens were cut out of them.
pub(super) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").finish_non_exhaustive()
    }
}

/// Sorts places, and joins those that overlap.
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

/// One view of a text on its way through the automaton.
#[derive(Debug)]
pub(super) struct Track {
    view: View,
    state: StateID,
    /// Where in the text the last units of the view begin, those left out that begin nothing: as many as the longest
    /// encoding has, or more.
    begins: Box<[usize]>,
    count: usize,
    /// Up to here, nothing is part of what may yet become a token.
    calm: usize,
}

impl Track {
    pub(super) fn new(masks: &Masks, unescapes: bool) -> Self {
        Self {
            view: View::new(unescapes),
            state: masks.start,
            begins: vec![0; masks.longest.next_power_of_two()].into(),
            count: 0,
            calm: 0,
        }
    }

    /// Reads a piece of the text that begins at this place of it.
    pub(super) fn read(
        &mut self,
        masks: &Masks,
        piece: &[u8],
        at: usize,
        found: &mut impl FnMut(Range<usize>),
    ) {
        let Self {
            view,
            state,
            begins,
            count,
            calm,
        } = self;
        let mut emit = |unit| step(masks, state, begins, count, calm, unit, found);
        for (offset, &byte) in piece.iter().enumerate() {
            view.read(byte, at + offset, &mut emit);
        }
    }

    pub(super) fn finish(&mut self, masks: &Masks, found: &mut impl FnMut(Range<usize>)) {
        let Self {
            view,
            state,
            begins,
            count,
            calm,
        } = self;
        view.finish(&mut |unit| step(masks, state, begins, count, calm, unit, found));
    }

    /// The place before which no token can begin that is not found yet, all having been read up to `end`.
    pub(super) fn settled(&self, masks: &Masks, end: usize) -> usize {
        let settled = if self.state == masks.start {
            end
        } else if self.count >= masks.longest {
            self.calm
                .max(self.begins[(self.count - masks.longest) & (self.begins.len() - 1)])
        } else {
            self.calm
        };
        self.view.held_from().map_or(settled, |held| held.min(settled))
    }
}

#[inline]
fn step(
    masks: &Masks,
    state: &mut StateID,
    begins: &mut [usize],
    count: &mut usize,
    calm: &mut usize,
    unit: Unit,
    found: &mut impl FnMut(Range<usize>),
) {
    if *state == masks.start && !masks.begins[usize::from(unit.byte)] {
        *calm = unit.end;
        return;
    }
    let last = begins.len() - 1;
    begins[*count & last] = unit.begin;
    *count += 1;
    let byte = masks.alphabet[usize::from(unit.byte)];
    *state = masks.automaton.next_state(Anchored::No, *state, byte);
    if *state == masks.start {
        *calm = unit.end;
    } else if masks.automaton.is_match(*state) {
        let longest = (0..masks.automaton.match_len(*state))
            .map(|index| {
                masks
                    .automaton
                    .pattern_len(masks.automaton.match_pattern(*state, index))
            })
            .max()
            .unwrap_or_default();
        found(begins[(*count - longest) & last]..unit.end);
    }
}

/// A random order of the bytes, in which the two alphabets of base64 are one.
fn alphabet() -> Zeroizing<[u8; 256]> {
    let mut alphabet = Zeroizing::new([0; 256]);
    for (byte, place) in (0..=u8::MAX).zip(alphabet.iter_mut()) {
        *place = byte;
    }
    let mut random = Zeroizing::new([0; 512]);
    // Without random numbers the masks still work; a heap dump would say more about what they were.
    if random::fill(&mut random[..]).is_ok() {
        for (last, pair) in (1..256).rev().zip(random.as_chunks::<2>().0) {
            alphabet.swap(last, usize::from(u16::from_le_bytes(*pair)) % (last + 1));
        }
    }
    alphabet[usize::from(b'-')] = alphabet[usize::from(b'+')];
    alphabet[usize::from(b'_')] = alphabet[usize::from(b'/')];
    alphabet
}

/// What a token looks like in a view of text, in every encoding that the view does not undo.
fn encodings(token: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = Vec::with_capacity(7);
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let mut hexadecimal = Zeroizing::new(Vec::with_capacity(2 * token.len()));
        for byte in token {
            hexadecimal.push(digits[usize::from(byte >> 4)]);
            hexadecimal.push(digits[usize::from(byte & 15)]);
        }
        all.push(hexadecimal);
    }
    for before in 0..3 {
        // What stands before the token in the encoded text decides how its bits fall on characters.
        let mut shifted = Zeroizing::new(Vec::with_capacity(before + token.len()));
        shifted.resize(before, 0);
        shifted.extend_from_slice(token);
        let mut encoded = Zeroizing::new(vec![0; shifted.len().div_ceil(3) * 4]);
        let written = STANDARD_NO_PAD
            .encode_slice(shifted.as_slice(), &mut encoded)
            .unwrap_or_default();
        // The characters that hold bits of the token alone.
        let own = (before * 8).div_ceil(6)..(shifted.len() * 8 / 6).min(written);
        all.push(Zeroizing::new(encoded.get(own).unwrap_or_default().to_vec()));
    }
    all.retain(|encoding| encoding.len() >= SHORTEST_ENCODING);
    all.extend([seen(token, true), seen(token, false)]);
    all.retain(|encoding| !encoding.is_empty());
    all
}

fn seen(token: &[u8], unescapes: bool) -> Zeroizing<Vec<u8>> {
    let mut seen = Zeroizing::new(Vec::with_capacity(token.len()));
    let mut view = View::new(unescapes);
    let mut emit = |unit: Unit| seen.push(unit.byte);
    for (at, &byte) in token.iter().enumerate() {
        view.read(byte, at, &mut emit);
    }
    view.finish(&mut emit);
    seen
}

/// Masks that a turn shares with the streams that it began.
pub(crate) type SharedMasks = Option<Arc<Masks>>;
