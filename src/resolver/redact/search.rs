//! Searches for patterns in one reading of a text, with an automaton and its state.

use std::ops::Range;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use zeroize::Zeroizing;

use super::prefixes::Prefixes;
use super::unit::Unit;
use super::view::{Reading, View, plain_run};
use crate::random;

/// The maximum number of consecutive bytes that a search for letters skips within a token.
const WIDEST_GAP: usize = 128;

/// The number of bytes from which a run is passed over by prefixes.
const LONG: usize = 16;

/// The number of bytes after which the search tries again to pass over text.
const RUN: usize = 256;

/// Patterns compiled into one automaton.
pub(super) struct Search {
    automaton: NFA,
    start: StateID,
    /// Maps each byte to the automaton's alphabet. The automaton cannot be wiped, so it is built
    /// over a random alphabet, and this table, which can be wiped, is the key: without it, the
    /// freed automaton does not reveal the tokens.
    alphabet: Zeroizing<[u8; 256]>,
    /// The role of each byte of the text.
    kinds: [Kind; 256],
    /// The beginnings of patterns that are compared by their letters.
    prefixes: Prefixes,
    /// The length of the longest pattern.
    longest: usize,
    readings: [Reading; 2],
}

/// The role of a byte in a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Compared; some pattern begins with it.
    Begins,
    /// Compared.
    Compared,
    /// Compared if a pattern continues with it, otherwise skipped.
    Optional,
    /// Skipped.
    Skipped,
}

/// The kind of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compares {
    /// Compares every character.
    Characters,
    /// Compares letters and digits, ignoring case.
    Letters,
}

impl Search {
    /// Creates a search for these patterns; `None` if there are none.
    pub(super) fn new(mut patterns: Vec<Zeroizing<Vec<u8>>>, compares: Compares) -> Option<Self> {
        let alphabet = alphabet(compares);
        let punctuation: Vec<u8> = match compares {
            Compares::Characters => Vec::new(),
            Compares::Letters => {
                let bytes = patterns.iter().flat_map(|pattern| pattern.iter().copied());
                bytes.filter(u8::is_ascii_punctuation).collect()
            }
        };
        let prefixes = Prefixes::new(patterns.iter().map(|pattern| pattern.as_slice()));
        for byte in patterns.iter_mut().flat_map(|pattern| pattern.iter_mut()) {
            *byte = alphabet[usize::from(*byte)];
        }
        patterns.sort_unstable_by(|one, other| one.as_slice().cmp(other));
        patterns.dedup_by(|one, other| one.as_slice() == other.as_slice());
        let longest = patterns.iter().map(|pattern| pattern.len()).max()?;
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            // A prefilter would keep copies of the tokens, and would examine the text instead of
            // its view.
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
            prefixes,
            longest,
            readings: match compares {
                Compares::Characters => [Reading::UnescapedCharacters, Reading::Characters],
                Compares::Letters => [Reading::UnescapedLetters, Reading::Letters],
            },
        })
    }

    /// Returns tracks for both readings: with escapes undone, and unchanged. They begin at this
    /// position, before which nothing is part of a match.
    pub(super) fn tracks(&self, at: usize) -> [Track; 2] {
        self.readings.map(|reading| Track::new(self, reading, at))
    }
}

/// The progress of one reading of a text.
#[derive(Debug)]
pub(super) struct Track {
    view: View,
    place: Place,
}

/// The state of a search.
#[derive(Debug)]
struct Place {
    state: StateID,
    /// The text positions of the last compared bytes of the view, except skipped ones that begin no
    /// pattern. Holds at least as many entries as the longest pattern.
    begins: Box<[usize]>,
    count: usize,
    /// The number of bytes skipped since.
    gap: usize,
    /// Text before this position cannot be part of a later match.
    calm: usize,
}

impl Track {
    fn new(search: &Search, reading: Reading, at: usize) -> Self {
        Self {
            view: View::new(reading),
            place: Place {
                state: search.start,
                begins: vec![0; search.longest.next_power_of_two()].into(),
                count: 0,
                gap: 0,
                calm: at,
            },
        }
    }

    /// Reads a piece of the text that begins at this position.
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
            // Fast path: most text passes unchanged and skips the stages of the view.
            let rest = &piece[offset..piece.len().min(offset + RUN)];
            let run = if view.passes_plain() {
                &rest[..plain_run(rest)]
            } else {
                &[]
            };
            let passed = place.pass_over(search, run, at + offset);
            for (place_in_run, &byte) in run.iter().enumerate().skip(passed) {
                let begin = at + offset + place_in_run;
                let unit = Unit {
                    byte,
                    begin,
                    end: begin + 1,
                };
                place.step(search, unit, found);
            }
            offset += run.len();
            if run.len() < rest.len() {
                let byte = rest[run.len()];
                view.read(byte, at + offset, &mut |unit| place.step(search, unit, found));
                offset += 1;
            }
        }
    }

    /// Returns whether no match has begun, and nothing is held of an escape or a margin.
    pub(super) fn is_calm(&self, search: &Search) -> bool {
        self.place.state == search.start && self.view.is_idle()
    }

    pub(super) fn finish(&mut self, search: &Search, found: &mut impl FnMut(Range<usize>)) {
        let Self { view, place } = self;
        view.finish(&mut |unit| place.step(search, unit, found));
    }

    /// Returns the position before which no unfound token can begin, after reading up to `end`.
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
    /// Passes over the beginning of a run of bytes at this position, if no pattern has begun before
    /// it. Returns the number of bytes.
    #[inline]
    fn pass_over(&mut self, search: &Search, run: &[u8], at: usize) -> usize {
        if run.len() < LONG || self.state != search.start {
            return 0;
        }
        let passed = search.prefixes.pass_over(run);
        self.calm = at + passed;
        passed
    }

    #[inline]
    fn step(&mut self, search: &Search, unit: Unit, found: &mut impl FnMut(Range<usize>)) {
        let kind = search.kinds[usize::from(unit.byte)];
        if self.state == search.start && kind != Kind::Begins {
            self.calm = unit.end;
            return;
        }
        if kind == Kind::Skipped {
            self.skip(search, unit);
            return;
        }
        let byte = search.alphabet[usize::from(unit.byte)];
        let next = search.automaton.next_state(Anchored::No, self.state, byte);
        if kind == Kind::Optional && next == search.start {
            self.skip(search, unit);
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

    /// Skips a byte within a possible token, unless too many have been skipped.
    fn skip(&mut self, search: &Search, unit: Unit) {
        self.gap += 1;
        if self.gap > WIDEST_GAP {
            self.gap = 0;
            self.state = search.start;
            self.calm = unit.end;
        }
    }
}

/// Returns a random permutation of the bytes that maps bytes that the search does not distinguish
/// to one value: the two alphabets of base64, or the two cases.
fn alphabet(compares: Compares) -> Zeroizing<[u8; 256]> {
    let mut alphabet = Zeroizing::new([0; 256]);
    for (byte, place) in (0..=u8::MAX).zip(alphabet.iter_mut()) {
        *place = byte;
    }
    let mut random = Zeroizing::new([0; 512]);
    // Without random numbers the masks still work, but a heap dump would reveal more about the
    // tokens.
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
