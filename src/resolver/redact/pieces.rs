//! The edges of the encodings of tokens, in pieces that a text is compared with.

use zeroize::Zeroizing;

use super::edges::{MOST, beginnings, endings};
use super::encodings::SHORTEST_LETTERS;

/// The number of letters and digits in a piece: as many as fit into an integer.
pub(super) const PIECE: usize = 8;

/// The number of pieces in a beginning. Both beginnings of an encoding have more than its ending.
const IN_EDGE: usize = SHORTEST_LETTERS - PIECE + 1;

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
    pub(super) fn of_endings<'a>(tokens: impl ExactSizeIterator<Item = &'a [u8]>) -> Option<Self> {
        Self::new(tokens, endings)
    }

    /// Returns the pieces of the beginnings for these tokens; `None` if there are no tokens.
    pub(super) fn of_beginnings<'a>(tokens: impl ExactSizeIterator<Item = &'a [u8]>) -> Option<Self> {
        Self::new(tokens, beginnings)
    }

    /// `edges` passes the edges of the encodings of a token on. It returns `false` if the token is
    /// so short that encodings are compared by all their characters.
    fn new<'a>(
        tokens: impl ExactSizeIterator<Item = &'a [u8]>,
        edges: impl Fn(&[u8], &mut dyn FnMut(&[u8])) -> bool,
    ) -> Option<Self> {
        let mut found = Self::with_room(tokens.len() * MOST * IN_EDGE);
        let mut tokens = tokens.filter(|token| !token.is_empty()).peekable();
        tokens.peek()?;
        for token in tokens {
            let are_letters = edges(token, &mut |letters| found.insert_all(letters));
            found.always |= !are_letters;
        }
        Some(found)
    }

    /// Creates a set of pieces with room for this many.
    fn with_room(pieces: usize) -> Self {
        let size = (2 * pieces + 1).next_power_of_two();
        Self {
            table: Zeroizing::new(vec![0; size]),
            bits: Zeroizing::new(vec![0; (size / 4).max(256)]),
            always: false,
        }
    }

    #[cfg(test)]
    pub(super) fn of_letters(letters: &[u8]) -> Self {
        let mut found = Self::with_room(letters.len());
        found.insert_all(letters);
        found
    }

    /// Inserts all pieces of some letters.
    fn insert_all(&mut self, letters: &[u8]) {
        for letters in letters.windows(PIECE) {
            self.insert(piece(letters));
        }
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
            .any(|piece| self.contains(u64::from_le_bytes(*piece) | LOWER_CASE))
    }
}

/// The bit that a letter in upper case lacks. All digits have it.
const LOWER_CASE: u64 = 0x2020_2020_2020_2020;

fn piece(letters: &[u8]) -> u64 {
    let letters = letters.iter().rev();
    letters.fold(0, |piece, letter| piece << 8 | u64::from(*letter))
}

/// Returns the place of a piece among `count` places, a power of two. Letters differ in their low
/// bits, which the product distributes.
#[inline]
fn place(piece: u64, count: usize) -> usize {
    let spread = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> 32) as usize & (count - 1)
}
