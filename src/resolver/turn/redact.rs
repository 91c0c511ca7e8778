//! Masks the tokens of a turn in text that leaves it.

use std::borrow::Cow;
use std::ops::Range;

use crate::resolver::redact::Redactor;
use crate::resolver::turn::Turn;

impl Turn {
    /// Returns the text with `[redacted]` in the place of every token of this turn so far; the text
    /// itself if there is none in it. Takes time linear in the text.
    ///
    /// # What is found
    ///
    /// A token with 16 or more letters and digits is found by these, in their order and in either
    /// case, whatever stands between them: blanks and line breaks of all kinds, quotes, prefixes of
    /// lines such as `> ` and `# `, invisible characters, up to 128 bytes in a row. So it is found
    ///
    /// - as it is, wrapped, quoted, in UTF-16, or with backslashes before its punctuation;
    /// - escaped whole or in part, once or twice: percent-encoded; by backslashes (`\n`, `\x2b`,
    ///   `\u002b`, `\u{2b}`, `\U0000002b`, three octal digits); as HTML entities, numeric or named;
    ///   in quoted-printable;
    /// - in base64 at any alignment and in either alphabet, and so in `Basic` credentials;
    /// - in hexadecimal, with or without separators, as `0x2b, 0x3d`, as a list of decimal numbers,
    ///   and in the output of `xxd` and `hexdump -C`;
    /// - with escape sequences of a terminal or tags such as `<wbr>` in it, and behind line
    ///   numbers;
    /// - without up to four of its last characters; and if its beginning is cut off, its last 24
    ///   characters.
    ///
    /// A shorter token is found with its punctuation and in its own case: as it is,
    /// percent-encoded, by backslashes or as HTML entities, in base64 and in hexadecimal, each
    /// wrapped by ASCII blanks and line breaks.
    ///
    /// Some characters at the edges may stay: punctuation that was escaped, characters of base64
    /// that also hold bits of the neighbouring bytes, and the last line's right margin of a dump,
    /// up to 16 characters.
    ///
    /// # Security
    ///
    /// A second line of defence. Not found are other parts of a token; a token that was encrypted,
    /// compressed, hashed, reversed or spelled out; base32 and other bases; base64 of an encoded
    /// token; words of two or four bytes in a dump (`od -x`); one with other letters and digits
    /// between its characters, such as tags with attributes. A tool that is handed a token can
    /// still carry it out of the turn in a form of its own. Hand out none, and use
    /// [`send`](Self::send).
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.ledger.masks_for([text.as_bytes()]) {
            Some(masks) => masks.redact(text),
            None => Cow::Borrowed(text),
        }
    }

    /// As [`redact`](Self::redact), for bytes.
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self.ledger.masks_for([bytes]) {
            Some(masks) => masks.redact_bytes(bytes),
            None => Cow::Borrowed(bytes),
        }
    }

    /// Masks text that comes in pieces. No token of the turn so far gets through, however it falls
    /// on the pieces.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.ledger.masks())
    }

    /// Returns whether a token of this turn is in the text, in any of the encodings that
    /// [`redact`](Self::redact) finds.
    #[must_use]
    pub fn contains_secret(&self, text: &str) -> bool {
        self.contains_secret_bytes(text.as_bytes())
    }

    /// As [`contains_secret`](Self::contains_secret), for bytes.
    #[must_use]
    pub fn contains_secret_bytes(&self, bytes: &[u8]) -> bool {
        !self.secrets_in(bytes).is_empty()
    }

    /// Returns where tokens of this turn are, in any of the encodings that [`redact`](Self::redact)
    /// finds: from the first place to the last, none overlapping another.
    #[must_use]
    pub fn secrets_in(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        self.ledger
            .masks_for([bytes])
            .map(|masks| masks.find(bytes))
            .unwrap_or_default()
    }
}
