//! Whether a text can hold a token at all, found out in a small part of the time that a search
//! takes.

use std::fmt;

use zeroize::Zeroizing;

use super::encodings::{Encodings, SHORTEST_LETTERS};
use super::view::{Reading, View, has_escapes, plain_run};
use crate::secret::AccessToken;

/// How many letters and digits make a piece: as many as fit into an integer.
const PIECE: usize = 8;

/// The pieces of the endings of all encodings.
///
/// Every encoding that is compared by its letters ends in 16 or more of them. Of 16 letters in a
/// row, 8 begin at a multiple of 8, wherever they stand in a text. So it is enough to look at each
/// eighth piece of the text. Tokens of one issuer often begin alike; they end apart.
pub(crate) struct Filter {
    /// In order.
    pieces: Zeroizing<Vec<u64>>,
    /// A bit for each piece, by a part of its product with a large number: most pieces of a text
    /// have none.
    bits: Zeroizing<Vec<u64>>,
    /// True if there are encodings that are compared by other characters as well. Then every text
    /// is suspect.
    always: bool,
}

const BITS: usize = 1 << 14;

impl Filter {
    /// A filter for these tokens; `None` if there are none.
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

    /// Returns whether the text may hold a token. If not, a search finds none.
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
                // Most text passes unchanged, and is not handed from stage to stage byte by byte.
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

/// How many bytes of a text are read before its letters are looked at.
const BLOCK: usize = 4_096;

/// The letters and digits of a part of a text.
struct Letters<'a> {
    filter: &'a Filter,
    /// A block, what is left of the one before, and what a view held back.
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

    /// Adds the byte if it is a letter or a digit. Without a branch: what a text goes on with
    /// cannot be foreseen.
    #[inline]
    fn read(&mut self, byte: u8) {
        let letter = LETTERS[usize::from(byte)];
        if let Some(place) = self.letters.get_mut(self.held) {
            *place = letter;
        }
        self.held += usize::from(letter != 0);
    }

    /// Looks at the pieces that are whole. Returns whether the filter knows one of them.
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

/// The place of a piece among the bits. Letters differ in their low bits, so these are spread over
/// the product.
fn bit_of(piece: u64) -> usize {
    (piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS.trailing_zeros())) as usize
}
