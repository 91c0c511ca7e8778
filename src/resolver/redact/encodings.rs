//! The encodings of a token in text that reading the text does not undo.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::unit::Unit;
use super::view::{Reading, View, begins_escape};

/// Encodings shorter than this are not searched for: they would match by chance.
const SHORTEST: usize = 8;

/// Encodings with fewer letters and digits than this are compared with all their characters.
pub(super) const SHORTEST_LETTERS: usize = 16;

/// The minimum number of characters left of a token whose beginning or end is missing.
const FRAGMENT: usize = 24;

/// The maximum number of characters missing at the end.
const MISSING: usize = 4;

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
        for text in [hexadecimal(token)]
            .into_iter()
            .chain((0..3).map(|before| base64(token, before)))
        {
            if Spelled::new(&text).letters >= SHORTEST_LETTERS {
                self.add_with_fragments(&text);
            } else if text.len() >= SHORTEST {
                self.characters.push(Zeroizing::new(text.to_ascii_uppercase()));
                self.characters.push(text);
            }
        }
        for text in [decimal(token), hexadecimal_literals(token)] {
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

/// The number of bytes at an edge of a token from which the edges of its encodings follow. It is a
/// multiple of three, so that all alignments of base64 occur.
const EDGE: usize = 48;

/// Passes the letters and digits on in which the encodings of a token end: as many as an ending
/// has, and those that may be missing. Returns whether it could: they follow from the end of a long
/// token without escapes alone.
pub(super) fn endings(token: &[u8], add: &mut dyn FnMut(&[u8])) -> bool {
    const LETTERS: usize = SHORTEST_LETTERS + MISSING;
    let Some((_, end)) = edges(token) else {
        return false;
    };
    let texts = encodings_of_end(end).map(|text| Spelled::new(&text));
    if texts.iter().any(|text| text.letters < LETTERS) {
        return false;
    }
    for text in &texts {
        add(&text.text[text.letters - LETTERS..text.letters]);
    }
    true
}

/// Passes the letters and digits on with which the encodings of a token and of its end begin.
/// Returns whether it could, like [`endings`].
pub(super) fn beginnings(token: &[u8], add: &mut dyn FnMut(&[u8])) -> bool {
    let Some((start, end)) = edges(token) else {
        return false;
    };
    let whole = [
        Zeroizing::new(start.to_vec()),
        hexadecimal(start),
        decimal(start),
        hexadecimal_literals(start),
        base64(start, 0),
        base64(start, 1),
        base64(start, 2),
    ];
    let whole = whole.map(|text| Spelled::new(&text));
    let ends = encodings_of_end(end).map(|text| fragment(&text));
    if whole.iter().any(|text| text.letters < SHORTEST_LETTERS) || ends.iter().any(Option::is_none) {
        return false;
    }
    for text in whole.iter().chain(ends.iter().flatten()) {
        add(&text.text[..SHORTEST_LETTERS]);
    }
    true
}

/// Returns the beginning and the end of a long token without escapes.
fn edges(token: &[u8]) -> Option<(&[u8], &[u8])> {
    if token.len() < 2 * EDGE || token.iter().copied().any(begins_escape) {
        return None;
    }
    Some((&token[..EDGE], &token[token.len() - EDGE..]))
}

/// Returns all encodings of the end of a token, in each alignment of base64.
fn encodings_of_end(end: &[u8]) -> [Text; 7] {
    [
        Zeroizing::new(end.to_vec()),
        hexadecimal(end),
        decimal(end),
        hexadecimal_literals(end),
        base64(end, 0),
        base64(&end[1..], 0),
        base64(&end[2..], 0),
    ]
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

/// `796132`.
fn hexadecimal(token: &[u8]) -> Text {
    let mut text = Zeroizing::new(Vec::with_capacity(2 * token.len()));
    for byte in token {
        text.extend([byte >> 4, byte & 15].map(digit));
    }
    text
}

/// `0x79, 0x61, 0x32` without separators.
fn hexadecimal_literals(token: &[u8]) -> Text {
    let mut text = Zeroizing::new(Vec::with_capacity(4 * token.len()));
    for byte in token {
        text.extend([b'0', b'x', digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

/// `121, 97, 50` without separators.
fn decimal(token: &[u8]) -> Text {
    let mut text = Zeroizing::new(Vec::with_capacity(3 * token.len()));
    for &byte in token {
        let digits = [byte / 100, byte / 10 % 10, byte % 10].map(digit);
        let leading = digits[..2].iter().take_while(|&&digit| digit == b'0').count();
        text.extend(&digits[leading..]);
    }
    text
}

const fn digit(value: u8) -> u8 {
    b"0123456789abcdef"[value as usize]
}

/// Returns the base64 characters that contain only bits of the token, with this number of bytes
/// before it in the encoded data, which determines its alignment.
fn base64(token: &[u8], before: usize) -> Text {
    let mut shifted = Zeroizing::new(Vec::with_capacity(before + token.len()));
    shifted.resize(before, 0);
    shifted.extend_from_slice(token);
    let mut encoded = Zeroizing::new(vec![0; shifted.len().div_ceil(3) * 4]);
    let written = STANDARD_NO_PAD
        .encode_slice(shifted.as_slice(), &mut encoded)
        .unwrap_or_default();
    let own = (before * 8).div_ceil(6)..(shifted.len() * 8 / 6).min(written);
    Zeroizing::new(encoded.get(own).unwrap_or_default().to_vec())
}
