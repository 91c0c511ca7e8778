//! The text as a search for tokens sees it: without blanks and with escapes undone.
//!
//! Nothing is copied: each byte of the view is passed on with its position in the text.

use super::escape::{Dialect, Layer, is_blank};
use super::lines::{Margins, Terminal};
use super::unit::Unit;

/// The ways to read a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// All characters except blanks, unchanged.
    Characters,
    /// All characters except blanks, with escapes undone.
    UnescapedCharacters,
    /// The unchanged text; the search skips everything except letters and digits.
    Letters,
    /// Escapes and quoted-printable undone, colors and margins removed; the search skips everything
    /// except letters and digits.
    UnescapedLetters,
}

impl Reading {
    /// Returns whether the search compares only letters and digits.
    pub(super) const fn is_of_letters(self) -> bool {
        matches!(self, Self::Letters | Self::UnescapedLetters)
    }
}

/// Reads text byte by byte in one of these ways.
///
/// Two layers undo escapes: the second one undoes encodings of the first one's escapes. The view of
/// a token is therefore the same however much of it was encoded.
#[derive(Debug)]
pub(super) struct View {
    reading: Reading,
    outer: Layer,
    inner: Layer,
    terminal: Terminal,
    margins: Margins,
    /// True if the last byte was the escape character: a backslash after it ends a terminal string.
    escape: bool,
}

impl View {
    pub(super) fn new(reading: Reading) -> Self {
        let dialect = if reading.is_of_letters() {
            Dialect::Mail
        } else {
            Dialect::Plain
        };
        Self {
            reading,
            outer: Layer::new(dialect),
            inner: Layer::new(dialect),
            terminal: Terminal::default(),
            margins: Margins::new(),
            escape: false,
        }
    }

    /// Returns whether nothing is held, so that bytes of a [plain run](plain_run) are passed on
    /// unchanged.
    pub(super) fn is_idle(&self) -> bool {
        let layers = [&self.outer, &self.inner]
            .iter()
            .all(|layer| layer.held_from().is_none());
        layers && self.terminal.passes() && self.margins.passes() && !self.escape
    }

    /// Returns whether bytes of a [plain run](plain_run) are passed on unchanged. Blanks are not,
    /// if all characters are compared.
    pub(super) fn passes_plain(&self) -> bool {
        self.reading.is_of_letters() && self.is_idle()
    }

    /// Reads the byte at this position of the text. `emit` receives what it adds to the view.
    #[inline]
    pub(super) fn read(&mut self, byte: u8, at: usize, emit: &mut impl FnMut(Unit)) {
        let unit = Unit {
            byte,
            begin: at,
            end: at + 1,
        };
        match self.reading {
            Reading::Letters => emit(unit),
            Reading::Characters => visible(unit, emit),
            Reading::UnescapedCharacters => {
                let inner = &mut self.inner;
                if self.outer.passes(byte) && inner.passes(byte) {
                    visible(unit, emit);
                } else {
                    let mut shown = |unit| visible(unit, emit);
                    self.outer.hold(unit, &mut |unit| inner.hold(unit, &mut shown));
                }
            }
            Reading::UnescapedLetters => {
                let Self {
                    outer,
                    inner,
                    terminal,
                    margins,
                    escape,
                    ..
                } = self;
                let mut printed = |unit| terminal.read(unit, &mut |unit| margins.read(unit, emit));
                let ends_string = std::mem::replace(escape, byte == 0x1b) && byte == b'\\';
                if ends_string || (outer.passes(byte) && inner.passes(byte)) {
                    printed(unit);
                } else {
                    outer.hold(unit, &mut |unit| inner.hold(unit, &mut printed));
                }
            }
        }
    }

    /// Ends the text: an incomplete escape is ordinary text.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(Unit)) {
        let Self {
            outer,
            inner,
            terminal,
            margins,
            ..
        } = self;
        if self.reading.is_of_letters() {
            let mut printed = |unit| terminal.read(unit, &mut |unit| margins.read(unit, emit));
            outer.finish(&mut |unit| inner.hold(unit, &mut printed));
            inner.finish(&mut printed);
            margins.finish(emit);
        } else {
            let mut shown = |unit| visible(unit, emit);
            outer.finish(&mut |unit| inner.hold(unit, &mut shown));
            inner.finish(&mut shown);
        }
    }

    /// Returns the start of the text that has been read but not passed on.
    pub(super) fn held_from(&self) -> Option<usize> {
        let margins = self.margins.held_from();
        margins
            .or_else(|| self.inner.held_from())
            .or_else(|| self.outer.held_from())
    }
}

/// Passes on every byte that is not a blank.
#[inline]
fn visible(unit: Unit, emit: &mut impl FnMut(Unit)) {
    if !is_blank(unit.byte) {
        emit(unit);
    }
}

/// Returns whether the byte may begin an escape or a terminal sequence.
pub(super) const fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=' | b'<' | 0x1b)
}

/// Returns the number of bytes at the start of the text that are the same in both readings.
pub(super) fn plain_run(text: &[u8]) -> usize {
    let other = |byte: &u8| begins_escape(*byte) || *byte == b'\n';
    text.iter().position(other).unwrap_or(text.len())
}

/// Returns whether the readings with and without escapes may differ for this text.
pub(super) fn has_escapes(text: &[u8]) -> bool {
    // In blocks without an early exit, so that the compiler vectorizes the comparison.
    let escapes = |block: &[u8]| {
        block
            .iter()
            .fold(false, |found, byte| found | begins_escape(*byte))
    };
    let numbered = |line: &[u8]| {
        let first = line.iter().find(|byte| byte.is_ascii_alphanumeric());
        first.is_some_and(u8::is_ascii_hexdigit)
    };
    text.chunks(256).any(escapes) || text.split(|byte| *byte == b'\n').skip(1).any(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> (String, Vec<usize>) {
        seen(Reading::UnescapedCharacters, text)
    }

    fn seen(reading: Reading, text: &str) -> (String, Vec<usize>) {
        let mut view = View::new(reading);
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
            ("a b\r\n\tc\u{b}\u{c}\0", "abc"),
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
            (r"\x61\141\u{61}\U00000061\x{61}%u0061", "aaaaaa"),
            (r"\_\-\.", "_-."),
            ("&#43;&#x2b;&plus;&sol;&lowbar;&amp;#43;&amp;plus;", "+++/_++"),
            ("a&nbsp;b&zwnj;c", "abc"),
            ("&abc &#x; &#12 &;x", "&abc&#x;&#12&;x"),
            ("a=3Db=\nc", "a=3Db=c"),
        ] {
            assert_eq!(view(text).0, expected, "{text}");
        }
    }

    #[test]
    fn mail_colours_and_margins_are_left_out_where_letters_count() {
        for (text, expected) in [
            ("a=2Bb=3Dc=\r\nd", "a+b=c\nd"),
            ("name=abc=3", "name=abc=3"),
            ("a<wbr>b<em>c</em>d<br />e<br/>f", "abcdef"),
            (
                "a < b <https://x.test> <b c> <>",
                "a < b <https://x.test> <b c> <>",
            ),
            ("a\u{1b}[01;31mb\u{1b}[0mc", "abc"),
            (r"a\u001b[31mb\x1b[mc\e[0md", "abcd"),
            (
                "a\u{1b}]8;;https://x.test/\u{7}b\u{1b}]8;;\u{1b}\\c\u{1b}(Bd",
                "abcd",
            ),
            (
                "a\n 12 b\n13:c\n14\td\n15 | e\n99\nf",
                "a\n  b\n:c\n\td\n | e\n99\nf",
            ),
            ("a\n12b\nabcdefg\n12345678", "a\n12b\nabcdefg\n12345678"),
            (
                "\n00000000  61 62 |ab|\n00000010  63 |c|\n",
                "\n  61 62 \n  63 \n",
            ),
            ("\n00000000: 6162 63  abc\n", "\n: 6162 63  \n"),
        ] {
            assert_eq!(seen(Reading::UnescapedLetters, text).0, expected, "{text:?}");
        }
    }

    #[test]
    fn each_byte_knows_where_it_begins() {
        assert_eq!(view("a%62\\u0063 d").1, [0, 1, 4, 11]);
        assert_eq!(view("%2561b").1, [0, 5]);
        assert_eq!(view("%6x").1, [0, 1, 2]);
    }
}
