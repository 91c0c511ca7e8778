//! Rules out texts that cannot contain a token, in a fraction of the time of a search.

use std::fmt;

use zeroize::Zeroizing;

use super::encodings::{Encodings, SHORTEST_LETTERS};
use super::view::{Reading, View, has_escapes, plain_run};
use crate::secret::AccessToken;

/// The number of letters and digits in a piece: as many as fit into an integer.
const PIECE: usize = 8;

/// The pieces of the endings of all encodings.
///
/// Every encoding that is compared by its letters ends in 16 or more of them. Any 16 consecutive
/// letters contain 8 that begin at a multiple of 8, wherever they are in a text. It is therefore
/// sufficient to check every eighth piece of the text. The filter uses the endings because tokens
/// of one issuer often begin alike.
pub(crate) struct Filter {
    /// The pieces, sorted.
    pieces: Zeroizing<Vec<u64>>,
    /// A bit set with one bit for each piece, indexed by part of its product with a large number:
    /// most pieces of a text are ruled out by their bit.
    bits: Zeroizing<Vec<u64>>,
    /// True if other encodings are compared by all their characters. In that case, every text may
    /// contain a token.
    always: bool,
}

const BITS: usize = 1 << 14;

impl Filter {
    /// Creates a filter for these tokens; `None` if there are none.
    pub(crate) fn new<'a>(tokens: impl IntoIterator<Item = &'a AccessToken>) -> Option<Self> {
        let mut encodings = Encodings::default();
        for token in tokens {
            encodings.add(token.expose_secret().as_bytes());
        }
        let always = !encodings.characters.is_empty();
        if encodings.letters.is_empty() && !always {
            return None;
        }
        let mut pieces = Zeroizing::new(Vec::with_capacity(
            encodings.letters.len() * (SHORTEST_LETTERS - PIECE + 1),
        ));
        for pattern in &encodings.letters {
            let letters = pattern.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
            let ending = &pattern[letters.saturating_sub(SHORTEST_LETTERS)..letters];
            let ending = ending.windows(PIECE).map(|piece| {
                let piece = piece.iter();
                piece.fold(0, |piece, letter| piece << 8 | u64::from(*letter))
            });
            pieces.extend(ending);
        }
        pieces.sort_unstable();
        let mut bits = Zeroizing::new(vec![0; BITS / 64]);
        for piece in pieces.iter() {
            let bit = bit_of(*piece);
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Some(Self { pieces, bits, always })
    }

    /// Returns whether the text may contain a token. If not, a search finds none.
    pub(crate) fn suspects(&self, text: &[u8]) -> bool {
        self.always
            || self.suspects_as_it_stands(text)
            || (has_escapes(text) && self.suspects_unescaped(text))
    }

    fn suspects_as_it_stands(&self, text: &[u8]) -> bool {
        let mut letters = Letters::of(self);
        text.chunks(BLOCK).any(|block| {
            for &byte in block {
                letters.read(byte);
            }
            letters.end_block()
        })
    }

    fn suspects_unescaped(&self, text: &[u8]) -> bool {
        let mut letters = Letters::of(self);
        let mut view = View::new(Reading::UnescapedLetters);
        let mut at = 0;
        for block in text.chunks(BLOCK) {
            let end = at + block.len();
            while at < end {
                // Fast path: most text passes unchanged and skips the stages of the view.
                let plain = if view.is_idle() {
                    plain_run(&text[at..end])
                } else {
                    0
                };
                for &byte in &text[at..at + plain] {
                    letters.read(byte);
                }
                at += plain;
                if at < end {
                    view.read(text[at], at, &mut |unit| letters.read(unit.byte));
                    at += 1;
                }
            }
            if letters.end_block() {
                return true;
            }
        }
        view.finish(&mut |unit| letters.read(unit.byte));
        letters.end_block()
    }

    fn knows(&self, piece: u64) -> bool {
        let bit = bit_of(piece);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1 && self.pieces.binary_search(&piece).is_ok()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

/// The number of bytes of a text that are read before their letters are checked.
const BLOCK: usize = 4_096;

/// The letters and digits of a part of a text.
struct Letters<'a> {
    filter: &'a Filter,
    /// One block, the remainder of the previous one, and the bytes that a view held back.
    letters: Zeroizing<Vec<u8>>,
    held: usize,
}

impl<'a> Letters<'a> {
    fn of(filter: &'a Filter) -> Self {
        Self {
            filter,
            letters: Zeroizing::new(vec![0; BLOCK + 128]),
            held: 0,
        }
    }

    /// Adds the byte if it is a letter or a digit. It does not branch, because the next byte of a
    /// text is unpredictable.
    #[inline]
    fn read(&mut self, byte: u8) {
        let letter = LETTERS[usize::from(byte)];
        if let Some(place) = self.letters.get_mut(self.held) {
            *place = letter;
        }
        self.held += usize::from(letter != 0);
    }

    /// Checks the complete pieces. Returns whether the filter knows one of them.
    fn end_block(&mut self) -> bool {
        let held = self.held.min(self.letters.len());
        let (pieces, rest) = self.letters[..held].as_chunks::<PIECE>();
        let known = pieces
            .iter()
            .any(|piece| self.filter.knows(u64::from_be_bytes(*piece)));
        self.held = rest.len();
        self.letters.copy_within(held - self.held..held, 0);
        known
    }
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

/// Returns the index of the bit of a piece. Letters differ in their low bits, which the product
/// distributes.
fn bit_of(piece: u64) -> usize {
    (piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS.trailing_zeros())) as usize
}
