//! Copies the letters of a small part of a text, without a step for each byte.

use super::view::begins_escape;

/// The number of bytes of a part: as many as an integer has bits.
pub(super) const PART: usize = 64;

/// The number of letters that are copied at once. Most words are shorter.
pub(super) const WORD: usize = 16;

/// A part and the bytes after it, so that a word can be copied wherever it begins. Only the bytes
/// of the part are examined.
pub(super) type Window = [u8; PART + WORD];

/// The bytes of a part that have a property: one bit for each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// Letters and digits.
    letters: u64,
    /// Bytes that may begin a place at which undoing escapes changes the letters.
    sites: u64,
}

impl Marks {
    /// Returns the marks of the bytes of a part.
    #[inline]
    fn of(part: &[u8; PART]) -> Self {
        Self {
            letters: bits(part, is_letter),
            sites: bits(part, |byte| begins_escape(byte) | (byte == b'\n')),
        }
    }

    /// Returns the number of letters before this place of the part.
    pub(super) const fn letters_before(self, place: usize) -> usize {
        (self.letters & ((1 << place) - 1)).count_ones() as usize
    }

    /// Returns the first letter or remaining site after this place, a site that was removed.
    #[inline]
    pub(super) const fn after(self, place: usize) -> Option<usize> {
        // The first shift cannot be by all bits.
        let after = (self.letters | self.sites) & (u64::MAX << place << 1);
        if after == 0 {
            None
        } else {
            Some(after.trailing_zeros() as usize)
        }
    }

    /// Removes and returns the first site.
    #[inline]
    pub(super) const fn next_site(&mut self) -> Option<usize> {
        if self.sites == 0 {
            return None;
        }
        let place = self.sites.trailing_zeros() as usize;
        self.sites &= self.sites - 1;
        Some(place)
    }
}

/// Copies the letters and digits of a part. Returns its marks and the number of letters. Bytes of
/// the room after them are overwritten, too.
#[inline]
pub(super) fn copy_letters(window: &Window, room: &mut Window) -> (Marks, usize) {
    let Some(part) = window.first_chunk() else {
        return (Marks::default(), 0);
    };
    let marks = Marks::of(part);
    let mut held = 0;
    let mut rest = marks.letters;
    while rest != 0 {
        // The carry of the addition runs through the first word and stops after it.
        let carried = rest.wrapping_add(rest & rest.wrapping_neg());
        let start = rest.trailing_zeros() as usize;
        let end = carried.trailing_zeros() as usize;
        copy_word(window, start, room, held);
        let mut copied = WORD;
        while start + copied < end {
            copy_word(window, start + copied, room, held + copied);
            copied += WORD;
        }
        held += end - start;
        rest &= carried;
    }
    (marks, held)
}

/// Copies the bytes of a word. Both places are within a part.
#[inline]
fn copy_word(window: &Window, from: usize, room: &mut Window, to: usize) {
    // Without the remainders, the compiler would check the bounds.
    let (from, to) = (from % PART, to % PART);
    room[to..to + WORD].copy_from_slice(&window[from..from + WORD]);
}

/// Returns the bits of the bytes that have a property. It does not branch, so that the compiler
/// vectorizes the comparisons.
#[inline]
fn bits(part: &[u8; PART], has: impl Fn(u8) -> bool) -> u64 {
    let found: [u8; PART] = std::array::from_fn(|place| u8::from(has(part[place])));
    let (groups, _) = found.as_chunks::<8>();
    let mut bits = 0;
    for (place, group) in groups.iter().enumerate() {
        // The product moves the lowest bit of each byte into the highest byte.
        let gathered = u64::from_le_bytes(*group).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * place);
    }
    bits
}

#[inline]
const fn is_letter(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10)
}
