//! The edges of the encodings of tokens, in pieces that a text is compared with.

use zeroize::Zeroizing;

use super::encodings::{Encodings, SHORTEST_LETTERS, beginnings, endings};

/// The number of letters and digits in a piece: as many as fit into an integer.
pub(super) const PIECE: usize = 8;

/// The pieces of the endings, or of the beginnings, of all encodings.
///
/// Every encoding that is compared by its letters begins and ends with 16 or more of them. Any 16
/// consecutive letters contain 8 that begin at a multiple of 8, wherever they are in a text. It is
/// therefore sufficient to check every eighth piece of the text. For a whole text the endings are
/// used, because tokens of one issuer often begin alike.
pub(super) struct Pieces {
    /// A hash table with free places (zero) between the pieces.
    table: Zeroizing<Vec<u64>>,
    /// A bit set with one bit for each piece: most pieces of a text are ruled out by their bit.
    bits: Zeroizing<Vec<u64>>,
    /// True if other encodings are compared by all their characters. In that case, every text may
    /// contain a token.
    pub(super) always: bool,
}

impl Pieces {
    /// Returns the pieces of the endings for these tokens; `None` if there are no tokens.
    pub(super) fn of_endings<'a>(tokens: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        Self::new(tokens, endings, |letters| {
            &letters[letters.len().saturating_sub(SHORTEST_LETTERS)..]
        })
    }

    /// Returns the pieces of the beginnings for these tokens; `None` if there are no tokens.
    pub(super) fn of_beginnings<'a>(tokens: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        Self::new(tokens, beginnings, |letters| {
            &letters[..letters.len().min(SHORTEST_LETTERS)]
        })
    }

    /// `edges` passes the edges of the encodings of a token on, unless they follow from the whole
    /// token only. In that case `edge` returns the edge of the letters of each encoding.
    fn new<'a>(
        tokens: impl IntoIterator<Item = &'a [u8]>,
        edges: impl Fn(&[u8], &mut dyn FnMut(&[u8])) -> bool,
        edge: impl Fn(&[u8]) -> &[u8],
    ) -> Option<Self> {
        let mut pieces = Zeroizing::new(Vec::with_capacity(1 << 15));
        let mut always = false;
        for token in tokens {
            let mut add = |letters: &[u8]| {
                if pieces.len() + letters.len() > pieces.capacity() {
                    grow(&mut pieces);
                }
                pieces.extend(letters.windows(PIECE).map(piece));
            };
            if edges(token, &mut add) {
                continue;
            }
            let mut encodings = Encodings::default();
            encodings.add(token);
            always |= !encodings.characters.is_empty();
            for pattern in &encodings.letters {
                let letters = pattern.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
                add(edge(&pattern[..letters]));
            }
        }
        (always || !pieces.is_empty()).then(|| Self::of(&pieces, always))
    }

    fn of(pieces: &[u64], always: bool) -> Self {
        let size = (2 * pieces.len() + 1).next_power_of_two();
        let mut found = Self {
            table: Zeroizing::new(vec![0; size]),
            bits: Zeroizing::new(vec![0; (size / 4).max(256)]),
            always,
        };
        for &piece in pieces {
            found.insert(piece);
        }
        found
    }

    #[cfg(test)]
    pub(super) fn of_letters(letters: &[u8]) -> Self {
        let pieces: Vec<u64> = letters.windows(PIECE).map(piece).collect();
        Self::of(&pieces, false)
    }

    fn insert(&mut self, piece: u64) {
        let bit = place(piece, 64 * self.bits.len());
        self.bits[bit / 64] |= 1 << (bit % 64);
        let mut at = place(piece, self.table.len());
        while self.table[at] != 0 && self.table[at] != piece {
            at = (at + 1) & (self.table.len() - 1);
        }
        self.table[at] = piece;
    }

    #[inline]
    fn contains(&self, piece: u64) -> bool {
        let bit = place(piece, 64 * self.bits.len());
        if self.bits[bit / 64] >> (bit % 64) & 1 == 0 {
            return false;
        }
        let mut at = place(piece, self.table.len());
        while self.table[at] != 0 {
            if self.table[at] == piece {
                return true;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        false
    }

    /// Returns whether one of the pieces is in these letters, at a multiple of its length.
    pub(super) fn are_in(&self, letters: &[u8]) -> bool {
        let (pieces, _) = letters.as_chunks::<PIECE>();
        pieces
            .iter()
            .any(|piece| self.contains(u64::from_be_bytes(*piece) | LOWER_CASE))
    }
}

/// The bit that a letter in upper case lacks. All digits have it.
const LOWER_CASE: u64 = 0x2020_2020_2020_2020;

/// Growing in place would leave a copy of the pieces behind.
fn grow(pieces: &mut Zeroizing<Vec<u64>>) {
    let mut larger = Zeroizing::new(Vec::with_capacity(2 * pieces.capacity()));
    larger.extend_from_slice(pieces);
    *pieces = larger;
}

fn piece(letters: &[u8]) -> u64 {
    letters
        .iter()
        .fold(0, |piece, letter| piece << 8 | u64::from(*letter))
}

/// Returns the place of a piece among `count` places, a power of two. Letters differ in their low
/// bits, which the product distributes.
#[inline]
fn place(piece: u64, count: usize) -> usize {
    let spread = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> 32) as usize & (count - 1)
}
