//! The encodings of a token in text that reading the text does not undo.

use zeroize::Zeroizing;

use super::unit::Unit;
use super::view::{Reading, View, begins_escape};

/// Encodings shorter than this are not searched for: they would match by chance.
const SHORTEST: usize = 8;

/// Encodings with fewer letters and digits than this are compared with all their characters.
pub(super) const SHORTEST_LETTERS: usize = 16;

/// The minimum number of characters left of a token whose beginning or end is missing.
pub(super) const FRAGMENT: usize = 24;

/// The maximum number of characters missing at the end.
pub(super) const MISSING: usize = 4;

type Text = Zeroizing<Vec<u8>>;

/// Patterns to search for.
#[derive(Default)]
pub(super) struct Encodings {
    /// Compared character by character.
    pub(super) characters: Vec<Text>,
    /// Compared by letters and digits in lower case. Only the punctuation after the last letter is
    /// kept.
    pub(super) letters: Vec<Text>,
}

impl Encodings {
    /// Adds all encodings of a token.
    pub(super) fn add(&mut self, token: &[u8]) {
        for (characters, letters) in [
            (Reading::Characters, Reading::Letters),
            (Reading::UnescapedCharacters, Reading::UnescapedLetters),
        ] {
            let text = seen(token, letters);
            if Spelled::new(&text).letters >= SHORTEST_LETTERS {
                self.add_with_fragments(&text);
            } else {
                self.characters.push(seen(token, characters));
            }
        }
        self.characters.retain(|text| !text.is_empty());
        let of_bytes = [
            collected(token, hexadecimal(token)),
            collected(token, base64(token, 0)),
            collected(token, base64(token, 1)),
            collected(token, base64(token, 2)),
        ];
        for text in of_bytes {
            if Spelled::new(&text).letters >= SHORTEST_LETTERS {
                self.add_with_fragments(&text);
            } else if text.len() >= SHORTEST {
                self.characters.push(Zeroizing::new(text.to_ascii_uppercase()));
                self.characters.push(text);
            }
        }
        for text in [
            collected(token, decimal(token)),
            collected(token, hexadecimal_literals(token)),
        ] {
            if text.len() >= FRAGMENT {
                self.add_with_fragments(&text);
            }
        }
    }

    /// Adds the text, its end, and its beginning without the last characters.
    fn add_with_fragments(&mut self, characters: &[u8]) {
        let whole = Spelled::new(characters);
        self.letters.push(whole.without_tail());
        self.letters.push(whole.text);
        self.letters.extend(fragment(characters).map(|end| end.text));
        let most = characters.len().saturating_sub(FRAGMENT).min(MISSING);
        for missing in 1..=most {
            let beginning = Spelled::new(&characters[..characters.len() - missing]);
            if beginning.letters >= SHORTEST_LETTERS {
                self.letters.push(beginning.without_tail());
            }
        }
    }
}

/// Returns the shortest end of a text that is searched for if its beginning is missing.
fn fragment(characters: &[u8]) -> Option<Spelled> {
    (FRAGMENT..characters.len())
        .map(|length| Spelled::new(&characters[characters.len() - length..]))
        .find(|end| end.letters >= SHORTEST_LETTERS)
}

/// The letters and digits of a text in lower case, and the punctuation after the last of them.
struct Spelled {
    text: Text,
    letters: usize,
}

impl Spelled {
    fn new(characters: &[u8]) -> Self {
        let end = characters
            .iter()
            .rposition(u8::is_ascii_alphanumeric)
            .map_or(0, |last| last + 1);
        let (body, tail) = characters.split_at(end);
        let mut text = Zeroizing::new(Vec::with_capacity(characters.len()));
        text.extend(
            body.iter()
                .filter(|byte| byte.is_ascii_alphanumeric())
                .map(u8::to_ascii_lowercase),
        );
        let letters = text.len();
        text.extend(tail.iter().filter(|byte| byte.is_ascii_punctuation()));
        Self { text, letters }
    }

    fn without_tail(&self) -> Text {
        Zeroizing::new(self.text[..self.letters].to_vec())
    }
}

/// The token as the view contains it.
fn seen(token: &[u8], reading: Reading) -> Text {
    let mut seen = Zeroizing::new(Vec::with_capacity(token.len()));
    let mut view = View::new(reading);
    let mut emit = |unit: Unit| seen.push(unit.byte);
    for (at, &byte) in token.iter().enumerate() {
        view.read(byte, at, &mut emit);
    }
    view.finish(&mut emit);
    seen
}

/// Returns the token with its escapes undone, as the letters of the view contain it; `None` if this
/// is the token itself.
pub(super) fn undone(token: &[u8]) -> Option<Text> {
    let differs = token.iter().any(|byte| begins_escape(*byte) || *byte == b'\n');
    differs.then(|| seen(token, Reading::UnescapedLetters))
}

/// Collects an encoding, which has at most four characters for each byte of the token.
fn collected(token: &[u8], encoding: impl Iterator<Item = u8>) -> Text {
    let mut text = Zeroizing::new(Vec::with_capacity(4 * token.len()));
    text.extend(encoding);
    text
}

/// `796132`.
pub(super) fn hexadecimal(token: &[u8]) -> impl DoubleEndedIterator<Item = u8> + Clone {
    token.iter().flat_map(|byte| [byte >> 4, byte & 15].map(digit))
}

/// `0x79, 0x61, 0x32` without separators.
pub(super) fn hexadecimal_literals(token: &[u8]) -> impl DoubleEndedIterator<Item = u8> + Clone {
    let literal = |byte: &u8| [b'0', b'x', digit(byte >> 4), digit(byte & 15)];
    token.iter().flat_map(literal)
}

/// `121, 97, 50` without separators.
pub(super) fn decimal(token: &[u8]) -> impl DoubleEndedIterator<Item = u8> + Clone {
    token.iter().flat_map(|byte| {
        let leading = usize::from(*byte < 100) + usize::from(*byte < 10);
        [byte / 100, byte / 10 % 10, byte % 10]
            .map(digit)
            .into_iter()
            .skip(leading)
    })
}

const fn digit(value: u8) -> u8 {
    b"0123456789abcdef"[value as usize]
}

/// Returns the base64 characters that contain only bits of the token, with this number of bytes
/// before it in the encoded data, which determines its alignment.
pub(super) fn base64(token: &[u8], before: usize) -> impl DoubleEndedIterator<Item = u8> + Clone {
    let own = (before * 8).div_ceil(6)..(before + token.len()) * 8 / 6;
    own.map(move |place| {
        let first = place * 6 - before * 8;
        let bytes = [0, 1].map(|next| token.get(first / 8 + next).copied().unwrap_or_default());
        let bits = u16::from_be_bytes(bytes) << (first % 8) >> 10;
        BASE64[usize::from(bits)]
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
