//! The letters around the places that undoing escapes changes.

use super::encodings::SHORTEST_LETTERS;
use super::part::WORD;
use super::pieces::Pieces;

/// The letters around a place that an ending can share with it.
pub(super) const AROUND: usize = SHORTEST_LETTERS - 1;

/// The number of letters that are checked at once.
pub(super) const ROOM: usize = 1_024;

/// Letters in the order in which undoing escapes gives them. When the room is full, they are
/// checked, and those that can be part of a later ending are kept.
pub(super) struct Undone<'a> {
    pieces: &'a Pieces,
    letters: &'a mut [u8; ROOM],
    held: usize,
    known: bool,
}

impl<'a> Undone<'a> {
    pub(super) const fn new(pieces: &'a Pieces, letters: &'a mut [u8; ROOM]) -> Self {
        Self {
            pieces,
            letters,
            held: 0,
            known: false,
        }
    }

    /// Adds a letter.
    pub(super) fn push(&mut self, letter: u8) {
        if self.held == ROOM {
            self.check();
        }
        self.letters[self.held] = letter;
        self.held += 1;
    }

    /// Adds the first letters of a word.
    #[inline]
    pub(super) fn add(&mut self, word: &[u8; WORD], count: usize) {
        if self.held > ROOM - WORD {
            self.check();
        }
        self.letters[self.held..self.held + WORD].copy_from_slice(word);
        self.held += count.min(WORD);
    }

    /// Returns whether a piece is in the letters that have been checked.
    pub(super) const fn is_known(&self) -> bool {
        self.known
    }

    /// Checks the letters that have not been checked. Returns whether a piece was in any.
    pub(super) fn check(&mut self) -> bool {
        self.known |= self.pieces.are_in(&self.letters[..self.held]);
        let gone = self.held.saturating_sub(AROUND);
        self.letters.copy_within(gone..self.held, 0);
        self.held -= gone;
        self.known
    }
}
