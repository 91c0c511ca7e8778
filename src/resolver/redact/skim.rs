//! Rules out that a token begins in a large piece of a text, without a search.

use super::encodings::SHORTEST_LETTERS;
use super::filter::{Buffers, NEAR_END, Scan};
use super::pieces::Pieces;
use super::view::{Reading, View};
use crate::secret::AccessToken;

/// The distance between two places that are tried.
const STEP: usize = 32;

/// After this many letters and digits in a row nothing is held: neither of the two layers of
/// escapes holds more than 24 bytes, and a margin holds 8.
const RUN: usize = 64;

/// The beginnings of all encodings of some tokens.
///
/// If no beginning is in a text, no token begins there, except with the last letters. A search for
/// the rest begins at a place near the end that the letters of a beginning cannot reach across.
pub(crate) struct Skim(Pieces);

impl Skim {
    /// Creates the beginnings for these tokens. Returns `None` if there are none, and if a token is
    /// so short that every text may contain it.
    pub(crate) fn new<'a>(
        tokens: impl IntoIterator<Item = &'a AccessToken, IntoIter: ExactSizeIterator>,
    ) -> Option<Self> {
        let tokens = tokens.into_iter().map(|token| token.expose_secret().as_bytes());
        let pieces = Pieces::of_beginnings(tokens)?;
        (!pieces.always).then_some(Self(pieces))
    }

    /// Returns a place before which no token begins, and at which nothing is held of an escape or a
    /// margin. Returns `None` if the text may contain the beginning of a token, or has no such
    /// place near its end.
    ///
    /// Nothing may be held at the beginning of the text either, and no token that begins before it
    /// may continue in it.
    pub(super) fn cleared(&self, text: &[u8], buffers: &mut Buffers) -> Option<usize> {
        let changes = Scan::new(&self.0, text, buffers).changes()?;
        let first = text.len().saturating_sub(NEAR_END);
        let is_settled = |place: &usize| {
            let before = changes.iter().rfind(|change| change.start < *place);
            let from = before.map_or(first, |change| change.end.max(first));
            text.get(from..*place).is_some_and(is_settled)
        };
        let mut at = text.len().checked_sub(SHORTEST_LETTERS)?;
        loop {
            let place = (first + 1..=at).rev().find(is_settled)?;
            if has_letters(&text[place..]) {
                return Some(place);
            }
            at = place.saturating_sub(STEP);
        }
    }
}

/// Returns whether nothing is held of an escape or a margin after a text that contains no escape to
/// be undone.
///
/// A byte that cannot continue an escape, after a letter that ends the margin of its line, ends
/// everything that was held. So does a run of letters.
fn is_settled(text: &[u8]) -> bool {
    match text {
        [.., letter, last] if ends_escapes(*last) => letter.is_ascii_alphanumeric(),
        _ => text
            .last_chunk::<RUN>()
            .is_some_and(|run| run.iter().all(u8::is_ascii_alphanumeric)),
    }
}

/// Returns whether a byte cannot be part of an escape, after its first two bytes, or of the end of
/// a number in a margin.
const fn ends_escapes(byte: u8) -> bool {
    matches!(
        byte,
        b'"' | b'\''
            | b'('
            | b'['
            | b']'
            | b','
            | b'.'
            | b'-'
            | b'_'
            | b'+'
            | b'*'
            | b'!'
            | b'?'
            | b'@'
            | b'$'
            | b'~'
    )
}

/// Returns whether each reading of a text has as many letters as a beginning. A token that begins
/// before the text has then been noticed.
fn has_letters(text: &[u8]) -> bool {
    let plain = text.iter().filter(|byte| byte.is_ascii_alphanumeric());
    if plain.take(SHORTEST_LETTERS).count() < SHORTEST_LETTERS {
        return false;
    }
    let mut view = View::new(Reading::UnescapedLetters);
    let mut letters = 0;
    for (at, &byte) in text.iter().enumerate() {
        view.read(byte, at, &mut |unit| {
            letters += usize::from(unit.byte.is_ascii_alphanumeric());
        });
        if letters >= SHORTEST_LETTERS {
            return true;
        }
    }
    false
}

impl std::fmt::Debug for Skim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skim").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
