//! A search for patterns in one reading of a text: an automaton, and where it stands.

use std::ops::Range;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use zeroize::Zeroizing;

use super::unit::Unit;
use super::view::{Reading, View, plain_run};
use crate::random;

/// How many bytes in a row a search for letters passes over within a token.
const WIDEST_GAP: usize = 128;

/// Patterns, as one automaton.
pub(super) struct Search {
    automaton: NFA,
    start: StateID,
    /// Where each byte is found in the automaton's alphabet. The automaton cannot be wiped, so it
    /// is built over a random alphabet, which can: what is left of it in freed memory is a puzzle
    /// without its key.
    alphabet: Zeroizing<[u8; 256]>,
    /// What each byte of the text is to the search.
    kinds: [Kind; 256],
    /// The length of the longest pattern.
    longest: usize,
    readings: [Reading; 2],
}

/// What a byte is to a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is compared, and some pattern begins with it.
    Begins,
    /// It is compared.
    Compared,
    /// It is compared where a pattern goes on with it, and passed over elsewhere.
    Optional,
    /// It is passed over.
    Skipped,
}

/// How a search compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compares {
    /// Every character.
    Characters,
    /// Letters and digits, in either case.
    Letters,
}

impl Search {
    /// A search for these patterns; `None` if there are none.
    pub(super) fn new(mut patterns: Vec<Zeroizing<Vec<u8>>>, compares: Compares) -> Option<Self> {
        let alphabet = alphabet(compares);
        let punctuation: Vec<u8> = match compares {
            Compares::Characters => Vec::new(),
            Compares::Letters => {
                let bytes = patterns.iter().flat_map(|pattern| pattern.iter().copied());
                bytes.filter(u8::is_ascii_punctuation).collect()
            }
        };
        for byte in patterns.iter_mut().flat_map(|pattern| pattern.iter_mut()) {
            *byte = alphabet[usize::from(*byte)];
        }
        patterns.sort_unstable_by(|one, other| one.as_slice().cmp(other));
        patterns.dedup_by(|one, other| one.as_slice() == other.as_slice());
        let longest = patterns.iter().map(|pattern| pattern.len()).max()?;
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            // A prefilter would keep copies of the tokens, and looks at the text, not at the view
            // of it.
            .prefilter(false)
            .build(patterns.iter().map(|pattern| pattern.as_slice()))
            .ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let kinds = std::array::from_fn(|byte| {
            let letter = u8::try_from(byte).is_ok_and(|byte| byte.is_ascii_alphanumeric());
            if compares == Compares::Letters && !letter {
                let optional = punctuation.iter().any(|known| usize::from(*known) == byte);
                return if optional { Kind::Optional } else { Kind::Skipped };
            }
            if automaton.next_state(Anchored::No, start, alphabet[byte]) == start {
                Kind::Compared
            } else {
                Kind::Begins
            }
        });
        Some(Self {
            automaton,
            start,
            alphabet,
            kinds,
            longest,
            readings: match compares {
                Compares::Characters => [Reading::UnescapedCharacters, Reading::Characters],
                Compares::Letters => [Reading::UnescapedLetters, Reading::Letters],
            },
        })
    }

    /// Tracks of both readings: with escapes undone, and as the text stands.
    pub(super) fn tracks(&self) -> [Track; 2] {
        self.readings.map(|reading| Track::new(self, reading))
    }
}

/// One reading of a text on its way through the automaton.
#[derive(Debug)]
pub(super) struct Track {
    view: View,
    place: Place,
}

/// Where a search stands.
#[derive(Debug)]
struct Place {
    state: StateID,
    /// Where in the text the last bytes of the view begin that were compared, those left out that
    /// begin nothing: as many as the longest pattern has, or more.
    begins: Box<[usize]>,
    count: usize,
    /// The number of bytes that were passed over since.
    gap: usize,
    /// Up to here, nothing is part of what may yet become a token.
    calm: usize,
}

impl Track {
    fn new(search: &Search, reading: Reading) -> Self {
        Self {
            view: View::new(reading),
            place: Place {
                state: search.start,
                begins: vec![0; search.longest.next_power_of_two()].into(),
                count: 0,
                gap: 0,
                calm: 0,
            },
        }
    }

    /// Reads a piece of the text that begins at this place of it.
    pub(super) fn read(
        &mut self,
        search: &Search,
        piece: &[u8],
        at: usize,
        found: &mut impl FnMut(Range<usize>),
    ) {
        let Self { view, place } = self;
        let mut offset = 0;
        while offset < piece.len() {
            // Most text passes unchanged, and is not handed from stage to stage byte by byte.
            let plain = if view.passes_plain() {
                plain_run(&piece[offset..])
            } else {
                0
            };
            for (place_in_run, &byte) in piece[offset..offset + plain].iter().enumerate() {
                let begin = at + offset + place_in_run;
                let unit = Unit {
                    byte,
                    begin,
                    end: begin + 1,
                };
                place.step(search, unit, found);
            }
            offset += plain;
            if let Some(&byte) = piece.get(offset) {
                view.read(byte, at + offset, &mut |unit| place.step(search, unit, found));
                offset += 1;
            }
        }
    }

    pub(super) fn finish(&mut self, search: &Search, found: &mut impl FnMut(Range<usize>)) {
        let Self { view, place } = self;
        view.finish(&mut |unit| place.step(search, unit, found));
    }

    /// The place before which no token can begin that is not found yet, all having been read up to
    /// `end`.
    pub(super) fn settled(&self, search: &Search, end: usize) -> usize {
        let Place {
            state,
            begins,
            count,
            calm,
            ..
        } = &self.place;
        let settled = if *state == search.start {
            end
        } else if *count >= search.longest {
            (*calm).max(begins[(count - search.longest) & (begins.len() - 1)])
        } else {
            *calm
        };
        self.view.held_from().map_or(settled, |held| held.min(settled))
    }
}

impl Place {
    #[inline]
    fn step(&mut self, search: &Search, unit: Unit, found: &mut impl FnMut(Range<usize>)) {
        let kind = search.kinds[usize::from(unit.byte)];
        if self.state == search.start && kind != Kind::Begins {
            self.calm = unit.end;
            return;
        }
        if kind == Kind::Skipped {
            self.pass_over(search, unit);
            return;
        }
        let byte = search.alphabet[usize::from(unit.byte)];
        let next = search.automaton.next_state(Anchored::No, self.state, byte);
        if kind == Kind::Optional && next == search.start {
            self.pass_over(search, unit);
            return;
        }
        let last = self.begins.len() - 1;
        self.begins[self.count & last] = unit.begin;
        self.count += 1;
        self.gap = 0;
        self.state = next;
        if next == search.start {
            self.calm = unit.end;
        } else if search.automaton.is_match(next) {
            let automaton = &search.automaton;
            let longest = (0..automaton.match_len(next))
                .map(|index| automaton.pattern_len(automaton.match_pattern(next, index)))
                .max()
                .unwrap_or_default();
            found(self.begins[(self.count - longest) & last]..unit.end);
        }
    }

    /// Passes over a byte in the middle of what may be a token, as long as there are not too many.
    fn pass_over(&mut self, search: &Search, unit: Unit) {
        self.gap += 1;
        if self.gap > WIDEST_GAP {
            self.gap = 0;
            self.state = search.start;
            self.calm = unit.end;
        }
    }
}

/// A random order of the bytes, in which those are one that the search does not tell apart: the two
/// alphabets of base64, or the two cases.
fn alphabet(compares: Compares) -> Zeroizing<[u8; 256]> {
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
    match compares {
        Compares::Characters => {
            alphabet[usize::from(b'-')] = alphabet[usize::from(b'+')];
            alphabet[usize::from(b'_')] = alphabet[usize::from(b'/')];
        }
        Compares::Letters => {
            for letter in b'A'..=b'Z' {
                alphabet[usize::from(letter)] = alphabet[usize::from(letter.to_ascii_lowercase())];
            }
        }
    }
    alphabet
}
