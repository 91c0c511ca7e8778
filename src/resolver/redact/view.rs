//! Text as a search for tokens sees it: without blanks, with escapes undone.
//!
//! Nothing is copied: each byte of the view is handed on with the place in the text that it comes from.

/// The longest escape: `\u0041`.
const LONGEST: usize = 6;

/// A byte of the view, and the bytes of the text that it stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// Leaves out blanks and line breaks, and undoes percent-encoding and JSON escapes, whole or partial.
///
/// What an escape stands for is read again as if it had stood there, so that text encoded twice is undone twice; the
/// second layer undoes what was encoded of the escapes themselves. So the view of a token is the same however much of it was
/// encoded.
#[derive(Debug)]
pub(super) struct View {
    unescapes: bool,
    outer: Layer,
    inner: Layer,
}

impl View {
    /// A view that undoes escapes, or one that only leaves out blanks.
    pub(super) fn new(unescapes: bool) -> Self {
        Self {
            unescapes,
            outer: Layer::default(),
            inner: Layer::default(),
        }
    }

    /// Reads the byte at this place of the text. `emit` takes what it adds to the view.
    #[inline]
    pub(super) fn read(&mut self, byte: u8, at: usize, emit: &mut impl FnMut(Unit)) {
        if is_blank(byte) {
            return;
        }
        let unit = Unit {
            byte,
            begin: at,
            end: at + 1,
        };
        if !self.unescapes || (self.outer.held | self.inner.held == 0 && !begins_escape(byte)) {
            emit(unit);
        } else {
            let inner = &mut self.inner;
            self.outer.hold(unit, &mut |unit| inner.hold(unit, emit));
        }
    }

    /// The text has ended: what looked like the beginning of an escape was none.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(Unit)) {
        let inner = &mut self.inner;
        self.outer.finish(&mut |unit| inner.hold(unit, emit));
        self.inner.finish(emit);
    }

    /// Where the text begins that has been read and not handed on.
    pub(super) fn held_from(&self) -> Option<usize> {
        [&self.inner, &self.outer]
            .iter()
            .find(|layer| layer.held > 0)
            .map(|layer| layer.pending[0].begin)
    }
}

/// Undoes escapes.
#[derive(Debug, Default)]
struct Layer {
    /// The bytes of an escape that is not complete yet.
    pending: [Unit; LONGEST],
    held: usize,
}

impl Layer {
    fn finish(&mut self, emit: &mut impl FnMut(Unit)) {
        while self.held > 0 {
            self.give_up(emit);
        }
    }

    fn hold(&mut self, unit: Unit, emit: &mut impl FnMut(Unit)) {
        if self.held == 0 && !begins_escape(unit.byte) {
            emit(unit);
            return;
        }
        self.pending[self.held] = unit;
        self.held += 1;
        let mut utf8 = [0; 4];
        let decoded = match unescape(&self.pending[..self.held]) {
            Found::More => return,
            Found::None => return self.give_up(emit),
            Found::Character(character) => character.encode_utf8(&mut utf8).as_bytes(),
            Found::Byte(byte) => {
                utf8[0] = byte;
                &utf8[..1]
            }
        };
        self.held = 0;
        let begin = self.pending[0].begin;
        for &byte in decoded.iter().filter(|&&byte| !is_blank(byte)) {
            // The first of them may begin an escape, which then is the only one held: this goes one level deep.
            self.hold(
                Unit {
                    byte,
                    begin,
                    end: unit.end,
                },
                emit,
            );
        }
    }

    /// The first byte held stands for itself; the others may begin something.
    fn give_up(&mut self, emit: &mut impl FnMut(Unit)) {
        let (held, pending) = (self.held, self.pending);
        self.held = 0;
        emit(pending[0]);
        for &unit in &pending[1..held] {
            self.hold(unit, emit);
        }
    }
}

const fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\')
}

/// Blanks and line breaks, by which a token may be wrapped.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

enum Found {
    /// It may become an escape.
    More,
    /// It will not.
    None,
    Byte(u8),
    Character(char),
}

fn unescape(pending: &[Unit]) -> Found {
    match (pending[0].byte, pending.len()) {
        (_, 1) => Found::More,
        (b'%', length) => match hexadecimal(&pending[1..]) {
            Some(value) if length == 3 => Found::Byte(value.to_le_bytes()[0]),
            Some(_) => Found::More,
            None => Found::None,
        },
        (_, 2) => match pending[1].byte {
            byte @ (b'"' | b'\\' | b'/') => Found::Byte(byte),
            b'b' | b'f' | b'n' | b'r' | b't' => Found::Byte(b'\n'),
            b'u' => Found::More,
            _ => Found::None,
        },
        (_, length) => match hexadecimal(&pending[2..]) {
            // Half of a surrogate pair is in no token that a header can carry.
            Some(value) if length == LONGEST => {
                Found::Character(char::from_u32(value.into()).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            Some(_) => Found::More,
            None => Found::None,
        },
    }
}

/// The value of the digits; `None` if one of them is none.
fn hexadecimal(digits: &[Unit]) -> Option<u16> {
    digits.iter().try_fold(0, |value: u16, unit| {
        let digit = char::from(unit.byte).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> (String, Vec<usize>) {
        let mut view = View::new(true);
        let mut seen = (Vec::new(), Vec::new());
        let mut emit = |unit: Unit| {
            seen.0.push(unit.byte);
            seen.1.push(unit.begin);
        };
        for (at, byte) in text.bytes().enumerate() {
            view.read(byte, at, &mut emit);
        }
        view.finish(&mut emit);
        (String::from_utf8(seen.0).unwrap(), seen.1)
    }

    #[test]
    fn escapes_are_undone_and_blanks_left_out() {
        for (text, expected) in [
            ("abc", "abc"),
            ("a b\r\n\tc", "abc"),
            ("%61%62c", "abc"),
            ("%6a%6A", "jj"),
            ("%6\n1", "a"),
            (r"\u0061\/\u00e9", "a/é"),
            (r"a\r\nb", "ab"),
            (r"a\\nb", "ab"),
            ("%2561", "a"),
            ("%252561", "a"),
            (r"\\u0061", "a"),
            ("100%", "100%"),
            ("%%61", "%a"),
            ("%6%61", "j"),
            (r"\u00%61", r"\u00a"),
            (r"\q", r"\q"),
            (r"\ud83dx", "\u{fffd}x"),
            ("%0a%20x", "x"),
            ("%25%361", "a"),
            (r"\u0025\u0036\u0031", "a"),
            ("é%", "é%"),
        ] {
            assert_eq!(view(text).0, expected, "{text}");
        }
    }

    #[test]
    fn each_byte_knows_where_it_begins() {
        assert_eq!(view("a%62\\u0063 d").1, [0, 1, 4, 11]);
        assert_eq!(view("%2561b").1, [0, 5]);
        assert_eq!(view("%6x").1, [0, 1, 2]);
    }
}
