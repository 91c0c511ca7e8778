//! Masks the tokens of a turn in outgoing text.

use std::borrow::Cow;
use std::ops::Range;

use crate::resolver::redact::Redactor;
use crate::resolver::turn::Turn;

impl Turn {
    /// Returns the text with `[redacted]` in place of every token of this turn so far, or the
    /// borrowed text if it contains none. Takes time linear in the length of the text.
    ///
    /// # What is found
    ///
    /// A token with 16 or more letters and digits is recognized by these, in their order and
    /// ignoring case. Between them, up to 128 consecutive other bytes are skipped: blanks and line
    /// breaks of all kinds, quotes, line prefixes such as `> ` and `# `, invisible characters. It
    /// is therefore found
    ///
    /// - as it is, wrapped, quoted, in UTF-16, or with backslashes before its punctuation;
    /// - escaped in whole or in part, once or twice: percent-encoded; with backslashes (`\n`,
    ///   `\x2b`, `\u002b`, `\u{2b}`, `\U0000002b`, three octal digits); as HTML entities, numeric
    ///   or named; in quoted-printable;
    /// - in base64 at any alignment and in either alphabet, and so in `Basic` credentials;
    /// - in hexadecimal, with or without separators, as `0x2b, 0x3d`, as a list of decimal numbers,
    ///   and in the output of `xxd` and `hexdump -C`;
    /// - interrupted by terminal escape sequences or tags such as `<wbr>`, and after line numbers;
    /// - without up to four of its last characters; and if its beginning is cut off, by its last 24
    ///   characters.
    ///
    /// A shorter token is found with its punctuation and exact case: as it is, percent-encoded,
    /// with backslashes or as HTML entities, in base64 and in hexadecimal, each possibly wrapped by
    /// ASCII blanks and line breaks.
    ///
    /// Some characters at the edges may remain: escaped punctuation, characters of base64 that also
    /// contain bits of the neighboring bytes, and up to 16 characters of the right margin in the
    /// last line of a dump.
    ///
    /// # Security
    ///
    /// This is a second line of defense. The following are not found: other parts of a token; a
    /// token that is encrypted, compressed, hashed, reversed or spelled out; base32 and other
    /// bases; base64 of an encoded token; words of two or four bytes in a dump (`od -x`); a token
    /// with other letters and digits between its characters, such as tags with attributes. A tool
    /// that receives a token can still leak it in some other form. Do not pass tokens to tools; use
    /// [`send`](Self::send).
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.ledger.masks_for([text.as_bytes()]) {
            Some(masks) => masks.redact(text),
            None => Cow::Borrowed(text),
        }
    }

    /// Masks tokens in bytes, like [`redact`](Self::redact).
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self.ledger.masks_for([bytes]) {
            Some(masks) => masks.redact_bytes(bytes),
            None => Cow::Borrowed(bytes),
        }
    }

    /// Returns a redactor for text that arrives in pieces. It masks every token of the turn so far,
    /// even if the token is split between pieces.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.ledger.secrets())
    }

    /// Returns whether a token of this turn is in the text, in any of the encodings that
    /// [`redact`](Self::redact) finds.
    #[must_use]
    pub fn contains_secret(&self, text: &str) -> bool {
        self.contains_secret_bytes(text.as_bytes())
    }

    /// Returns whether a token of this turn is in the bytes, like
    /// [`contains_secret`](Self::contains_secret).
    #[must_use]
    pub fn contains_secret_bytes(&self, bytes: &[u8]) -> bool {
        !self.secrets_in(bytes).is_empty()
    }

    /// Returns the positions of this turn's tokens, in all encodings that [`redact`](Self::redact)
    /// finds, in order and without overlaps.
    #[must_use]
    pub fn secrets_in(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        self.ledger
            .masks_for([bytes])
            .map(|masks| masks.find(bytes))
            .unwrap_or_default()
    }
}
