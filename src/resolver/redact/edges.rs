//! The letters and digits with which the encodings of a token begin and end.

use zeroize::Zeroizing;

use super::encodings::{
    FRAGMENT, MISSING, SHORTEST_LETTERS, base64, decimal, hexadecimal, hexadecimal_literals, undone,
};

/// The most edges that are passed on for one token: two beginnings of each encoding.
pub(super) const MOST: usize = 2 * 8;

/// The letters of an ending, and those that may be missing after it.
const ENDING: usize = SHORTEST_LETTERS + MISSING;

/// Receives the letters of one edge, in lower case.
type Add<'a> = &'a mut dyn FnMut(&[u8]);

/// Passes the letters on in which the encodings of a token end, together with those before them to
/// which an encoding can be shortened. Returns whether all encodings are compared by their letters.
pub(super) fn endings(token: &[u8], add: Add<'_>) -> bool {
    undone(token).is_none_or(|undone| ending(undone.iter().copied(), add))
        && ending(token.iter().copied(), add)
        && ending(hexadecimal(token), add)
        && ending(decimal(token), add)
        && ending(hexadecimal_literals(token), add)
        && (0..3).all(|before| ending(base64(token, before), add))
}

/// Passes the letters on with which the encodings of a token and of its end begin. Returns whether
/// all encodings are compared by their letters.
pub(super) fn beginnings(token: &[u8], add: Add<'_>) -> bool {
    undone(token).is_none_or(|undone| both_beginnings(undone.iter().copied(), add))
        && both_beginnings(token.iter().copied(), add)
        && both_beginnings(hexadecimal(token), add)
        && both_beginnings(decimal(token), add)
        && both_beginnings(hexadecimal_literals(token), add)
        && (0..3).all(|before| both_beginnings(base64(token, before), add))
}

/// Passes the last letters of an encoding on. Returns whether it has as many as are compared.
fn ending(text: impl DoubleEndedIterator<Item = u8>, add: Add<'_>) -> bool {
    let mut letters = Zeroizing::new([0; ENDING]);
    let mut from = ENDING;
    for letter in text.rev().filter(u8::is_ascii_alphanumeric).take(ENDING) {
        from -= 1;
        letters[from] = letter.to_ascii_lowercase();
    }
    add(&letters[from..]);
    ENDING - from >= SHORTEST_LETTERS
}

/// Passes the first letters of an encoding on, and those of the end that is searched for if the
/// beginning is missing. Returns whether there are as many as are compared.
fn both_beginnings(text: impl DoubleEndedIterator<Item = u8> + Clone, add: Add<'_>) -> bool {
    let mut letters = Zeroizing::new([0; SHORTEST_LETTERS]);
    let first = text.clone().filter(u8::is_ascii_alphanumeric);
    let mut count = 0;
    for (place, letter) in letters.iter_mut().zip(first) {
        *place = letter.to_ascii_lowercase();
        count += 1;
    }
    add(&letters[..count]);
    // From the end on, each letter replaces the one that is sixteen letters later.
    let mut seen = 0;
    for (place, byte) in text.rev().enumerate() {
        if byte.is_ascii_alphanumeric() {
            letters[SHORTEST_LETTERS - 1 - seen % SHORTEST_LETTERS] = byte.to_ascii_lowercase();
            seen += 1;
        }
        if place + 1 >= FRAGMENT && seen >= SHORTEST_LETTERS {
            letters.rotate_right(seen % SHORTEST_LETTERS);
            add(&letters[..]);
            break;
        }
    }
    count == SHORTEST_LETTERS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::encodings::Encodings;
    use super::super::pieces::Pieces;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The exact search is built from all encodings, and the filters only from their edges.
        #[test]
        fn every_encoding_begins_and_ends_with_known_letters(
            token in "[A-Za-z0-9._~+/%&<\\\\-]{12,150}={0,2}|[a-z0-9!]{1,30}|[01]{20}[+/-]{1,60}",
        ) {
            let tokens = [token.as_bytes()];
            let first = Pieces::of_beginnings(tokens.into_iter()).unwrap();
            let last = Pieces::of_endings(tokens.into_iter()).unwrap();
            let mut encodings = Encodings::default();
            encodings.add(token.as_bytes());
            prop_assert_eq!(first.always, !encodings.characters.is_empty());
            prop_assert_eq!(last.always, !encodings.characters.is_empty());
            if first.always {
                return Ok(());
            }
            for pattern in &encodings.letters {
                let letters: Vec<u8> = pattern.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
                for piece in letters[..16].windows(8) {
                    prop_assert!(first.are_in(piece), "{} of {}", pattern.escape_ascii(), token);
                }
                for piece in letters[letters.len() - 16..].windows(8) {
                    prop_assert!(last.are_in(piece), "{} of {}", pattern.escape_ascii(), token);
                }
            }
        }
    }
}
