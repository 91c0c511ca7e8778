//! Passes over text in which no pattern begins, faster than an automaton in its start state.

use zeroize::Zeroizing;

/// The number of letters in a prefix.
const PREFIX: usize = 3;

/// The number of bits of a letter.
const BITS: usize = 6;

/// The first three letters of all patterns, as a set of bits.
pub(super) struct Prefixes(Zeroizing<Vec<u64>>);

impl Prefixes {
    /// Returns the prefixes of patterns of letters and digits in lower case.
    pub(super) fn new<'a>(patterns: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut bits = Zeroizing::new(vec![0; 1 << (PREFIX * BITS) >> 6]);
        for pattern in patterns {
            let prefix = pattern
                .iter()
                .take(PREFIX)
                .fold(0, |prefix, byte| with(prefix, *byte));
            let prefix = prefix as usize % (1 << (PREFIX * BITS));
            bits[prefix / 64] |= 1 << (prefix % 64);
        }
        Self(bits)
    }

    /// Returns the number of bytes of a text before which no pattern begins. After them, a pattern
    /// may begin, or fewer than three letters are left.
    pub(super) fn pass_over(&self, text: &[u8]) -> usize {
        let mut letters = 0;
        let known = text.iter().position(|byte| {
            letters = with(letters, *byte);
            // Before the third letter there is a zero in it, so that it is not known.
            let prefix = letters as usize % (1 << (PREFIX * BITS));
            self.0[prefix / 64] >> (prefix % 64) & 1 != 0
        });
        match known {
            Some(last) => before(&text[..=last], PREFIX),
            None => before(text, PREFIX - 1),
        }
    }
}

/// Returns the letters, after one more if the byte is a letter. It does not branch, because the
/// next byte of a text is unpredictable.
fn with(letters: u64, byte: u8) -> u64 {
    let code = CODES[usize::from(byte)];
    let longer = letters << BITS | u64::from(code);
    if code == 0 { letters } else { longer }
}

/// Returns the number of bytes before the last letters of a text, or before all if there are fewer.
fn before(text: &[u8], letters: usize) -> usize {
    let places = text
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| CODES[usize::from(**byte)] != 0);
    places.take(letters).last().map_or(text.len(), |(place, _)| place)
}

/// A number for each letter, ignoring case, and for each digit; zero for every other byte.
const CODES: [u8; 256] = {
    let mut codes = [0; 256];
    let mut place = 0;
    while place < 26 {
        codes[b'a' as usize + place] = place as u8 + 1;
        codes[b'A' as usize + place] = place as u8 + 1;
        place += 1;
    }
    while place < 36 {
        codes[b'0' as usize + place - 26] = place as u8 + 1;
        place += 1;
    }
    codes
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_pattern_begins_before_the_place(text in "[abAB1. \n]{0,40}", patterns in prop::collection::vec("[ab1]{3,5}", 1..3)) {
            let prefixes = Prefixes::new(patterns.iter().map(String::as_bytes));
            let place = prefixes.pass_over(text.as_bytes());
            let begins = |from: usize| {
                let letters = text[from..].chars().filter(char::is_ascii_alphanumeric);
                let first: String = letters.take(PREFIX).map(|letter| letter.to_ascii_lowercase()).collect();
                // The rest of a pattern may follow after the end of the text.
                text.as_bytes()[from].is_ascii_alphanumeric() && patterns.iter().any(|pattern| pattern[..PREFIX].starts_with(&first))
            };
            prop_assert!((0..place).all(|from| !begins(from)), "{place} in {text:?}");
            let left = text[place..].chars().filter(char::is_ascii_alphanumeric).count();
            prop_assert!(left < PREFIX || begins(place), "{place} in {text:?}");
        }
    }
}
