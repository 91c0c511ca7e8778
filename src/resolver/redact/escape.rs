//! Undoes escapes, one byte at a time.

use super::unit::Unit;

/// The longest escape: `&NonBreakingSpace;` plus some room.
const LONGEST: usize = 24;

/// The escapes that a layer undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Percent-encoding, backslash escapes and HTML entities.
    Plain,
    /// These escapes and quoted-printable, where `=` begins an escape, and tags without attributes,
    /// such as `<wbr>`. Only for text whose punctuation does not matter, because a token may
    /// contain `=`.
    Mail,
}

/// Undoes escapes. The character that an escape stands for is read again as if it had been in the
/// text, so double encoding is undone as well.
#[derive(Debug)]
pub(super) struct Layer {
    dialect: Dialect,
    /// The bytes of an incomplete escape.
    pending: [Unit; LONGEST],
    held: usize,
}

impl Layer {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            pending: [Unit::default(); LONGEST],
            held: 0,
        }
    }

    /// Returns whether a byte would pass unchanged.
    pub(super) fn passes(&self, byte: u8) -> bool {
        self.held == 0 && !self.begins(byte)
    }

    /// Returns the start of the text that has been read but not passed on.
    pub(super) fn held_from(&self) -> Option<usize> {
        (self.held > 0).then_some(self.pending[0].begin)
    }

    pub(super) fn finish(&mut self, emit: &mut impl FnMut(Unit)) {
        while self.held > 0 {
            self.give_up(emit);
        }
    }

    pub(super) fn hold(&mut self, unit: Unit, emit: &mut impl FnMut(Unit)) {
        if self.passes(unit.byte) {
            emit(unit);
            return;
        }
        if is_blank(unit.byte) && self.is_wrapped_by(unit.byte) {
            return;
        }
        self.pending[self.held] = unit;
        self.held += 1;
        let mut utf8 = [0; 4];
        let decoded = match unescape(&self.pending[..self.held], self.dialect) {
            Found::More => return,
            Found::None => return self.give_up(emit),
            Found::Nothing => &[],
            Found::Character(character) => character.encode_utf8(&mut utf8).as_bytes(),
            Found::Byte(byte) => {
                utf8[0] = byte;
                &utf8[..1]
            }
        };
        self.held = 0;
        let begin = self.pending[0].begin;
        for &byte in decoded {
            // The first of them may begin an escape, which is then the only one held, so the
            // recursion is one level deep.
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

    fn begins(&self, byte: u8) -> bool {
        matches!(byte, b'%' | b'\\' | b'&') || (matches!(byte, b'=' | b'<') && self.dialect == Dialect::Mail)
    }

    /// Returns whether this blank may occur within the held escape: text is wrapped within escapes
    /// as anywhere else. Escapes of quoted-printable are not wrapped, and a line break after `=` is
    /// an escape itself.
    fn is_wrapped_by(&self, blank: u8) -> bool {
        match (self.pending[0].byte, self.held) {
            (_, 0) | (b'&', 1) | (b'<', _) => false,
            (b'=', 1) => blank == b'\r',
            (b'=', _) => false,
            _ => true,
        }
    }

    /// The first held byte stands for itself; the others may begin an escape.
    fn give_up(&mut self, emit: &mut impl FnMut(Unit)) {
        let (held, pending) = (self.held, self.pending);
        self.held = 0;
        emit(pending[0]);
        for &unit in &pending[1..held] {
            self.hold(unit, emit);
        }
    }
}

/// Blanks and line breaks, at which a token may be wrapped. In UTF-16, every second byte is NUL.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0)
}

enum Found {
    /// The bytes may become an escape.
    More,
    /// The bytes are not an escape.
    None,
    /// The escape stands for a character that does not occur in tokens.
    Nothing,
    Byte(u8),
    Character(char),
}

fn unescape(pending: &[Unit], dialect: Dialect) -> Found {
    let (first, rest) = (pending[0].byte, &pending[1..]);
    let Some(second) = rest.first() else {
        return Found::More;
    };
    match (first, second.byte) {
        (b'%', b'u' | b'U') => digits(&rest[1..], 4),
        (b'%', _) => byte_of(rest),
        (b'=', b'\n') if dialect == Dialect::Mail => Found::Byte(b'\n'),
        (b'=', _) => match byte_of(rest) {
            // Other bytes stand for themselves or do not occur in tokens: `name=abc` is not an
            // escape.
            Found::Byte(byte) if !byte.is_ascii_punctuation() => Found::None,
            found => found,
        },
        (b'<', _) => tag(rest),
        (b'\\', second) => backslash(second, &rest[1..]),
        (b'&', b'#') => reference(&rest[1..]),
        _ => entity(rest),
    }
}

/// Parses a backslash escape after its letter.
fn backslash(letter: u8, rest: &[Unit]) -> Found {
    match letter {
        b'n' => Found::Byte(b'\n'),
        b'r' => Found::Byte(b'\r'),
        b't' => Found::Byte(b'\t'),
        b'b' | b'f' | b'v' | b'a' => Found::Byte(0x0b),
        b'e' => Found::Byte(0x1b),
        b'u' | b'x' if rest.first().is_some_and(|unit| unit.byte == b'{') => braced(&rest[1..]),
        b'x' => byte_of(rest),
        b'u' => digits(rest, 4),
        b'U' => digits(rest, 8),
        b'0'..=b'3' => octal(letter, rest),
        byte if byte.is_ascii_punctuation() => Found::Byte(byte),
        _ => Found::None,
    }
}

/// Parses the rest of `&#43;` or `&#x2b;`.
fn reference(rest: &[Unit]) -> Found {
    let (radix, number) = match rest {
        [] => return Found::More,
        [unit, number @ ..] if matches!(unit.byte, b'x' | b'X') => (16, number),
        number => (10, number),
    };
    until(b';', radix, number)
}

/// Parses the rest of `\u{2b}`.
fn braced(rest: &[Unit]) -> Found {
    until(b'}', 16, rest)
}

/// Parses a number of one to eight digits with this terminator.
fn until(end: u8, radix: u32, number: &[Unit]) -> Found {
    match number {
        [] => Found::More,
        [digits @ .., last] if last.byte == end && !digits.is_empty() => {
            value(digits, radix).map_or(Found::None, character)
        }
        number if number.len() <= 8 && value(number, radix).is_some() => Found::More,
        _ => Found::None,
    }
}

/// Parses a named character reference. None stands for a letter or a digit. `&amp;` and similar
/// ones may begin another escape.
fn entity(rest: &[Unit]) -> Found {
    let (name, last) = match rest {
        [name @ .., last] if last.byte == b';' => (name, true),
        name => (name, false),
    };
    let begins_name = name.first().is_some_and(|unit| unit.byte.is_ascii_alphabetic());
    if !begins_name || !name.iter().all(|unit| unit.byte.is_ascii_alphanumeric()) {
        return Found::None;
    }
    if !last {
        return if rest.len() < LONGEST - 1 {
            Found::More
        } else {
            Found::None
        };
    }
    let is = |known: &str| name.iter().map(|unit| unit.byte).eq(known.bytes());
    NAMES
        .iter()
        .find(|(known, _)| is(known))
        .map_or(Found::Nothing, |(_, byte)| Found::Byte(*byte))
}

/// Parses the rest of `<em>`, `</em>` or `<br />`.
fn tag(rest: &[Unit]) -> Found {
    let rest = match rest {
        [slash, rest @ ..] if slash.byte == b'/' => rest,
        rest => rest,
    };
    let name = rest
        .iter()
        .take_while(|unit| unit.byte.is_ascii_alphanumeric())
        .count();
    let ends: [&[u8]; 3] = [b">", b"/>", b" />"];
    let after = rest[name..].iter().map(|unit| unit.byte);
    if name > 0 && ends.iter().any(|end| after.clone().eq(end.iter().copied())) {
        return Found::Nothing;
    }
    let begins = ends
        .iter()
        .any(|end| end.len() > after.len() && after.clone().eq(end[..after.len()].iter().copied()));
    if begins && (name > 0 || after.len() == 0) && rest.len() < LONGEST - 2 {
        Found::More
    } else {
        Found::None
    }
}

/// The names of characters that occur in tokens or begin escapes.
const NAMES: [(&str, u8); 16] = [
    ("amp", b'&'),
    ("AMP", b'&'),
    ("percnt", b'%'),
    ("bsol", b'\\'),
    ("equals", b'='),
    ("plus", b'+'),
    ("sol", b'/'),
    ("period", b'.'),
    ("lowbar", b'_'),
    ("UnderBar", b'_'),
    ("hyphen", b'-'),
    ("dash", b'-'),
    ("colon", b':'),
    ("vert", b'|'),
    ("NewLine", b'\n'),
    ("Tab", b'\t'),
];

/// Returns the character that a name stands for; zero if it does not occur in tokens.
pub(super) fn named(name: &[u8]) -> u8 {
    let known = NAMES.iter().find(|(known, _)| known.as_bytes() == name);
    known.map_or(0, |(_, byte)| *byte)
}

/// Parses two hexadecimal digits.
fn byte_of(digits: &[Unit]) -> Found {
    match value(digits, 16) {
        Some(value) if digits.len() == 2 => Found::Byte(value.to_le_bytes()[0]),
        Some(_) => Found::More,
        None => Found::None,
    }
}

/// Returns the character with this code of hexadecimal digits.
fn digits(digits: &[Unit], count: usize) -> Found {
    match value(digits, 16) {
        Some(value) if digits.len() == count => character(value),
        Some(_) => Found::More,
        None => Found::None,
    }
}

/// Parses three octal digits.
fn octal(first: u8, rest: &[Unit]) -> Found {
    match value(rest, 8) {
        Some(value) if rest.len() == 2 => {
            Found::Byte(((u32::from(first - b'0')) << 6 | value).to_le_bytes()[0])
        }
        Some(_) => Found::More,
        None => Found::None,
    }
}

/// Half of a surrogate pair does not occur in a token that is valid in a header.
fn character(code: u32) -> Found {
    Found::Character(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Returns the value of the digits; `None` if one is not a digit or the value is too large.
fn value(digits: &[Unit], radix: u32) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, unit| {
        let digit = char::from(unit.byte).to_digit(radix)?;
        value.checked_mul(radix)?.checked_add(digit)
    })
}
