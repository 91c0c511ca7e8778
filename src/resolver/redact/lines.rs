//! Removes line decorations that programs add: colors, line numbers, and the margins of hexadecimal
//! dumps.

use super::unit::Unit;

/// The maximum length of a terminal escape sequence. A longer one is treated as ordinary text.
const LONGEST_SEQUENCE: usize = 256;

/// The maximum length of the right margin of a dump.
const WIDEST_MARGIN: usize = 64;

/// The maximum length of a number in the left margin: the offset of a dump.
const LONGEST_NUMBER: usize = 8;

/// Removes terminal escape sequences, such as colors.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    state: Sequence,
    length: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sequence {
    /// Outside a sequence.
    #[default]
    None,
    /// After the escape character.
    Begun,
    /// In a control sequence: `ESC [ 31 m`.
    Control,
    /// In a string, such as the address of a link, up to BEL or `ESC \`.
    String,
}

impl Terminal {
    /// Returns whether an ordinary byte would pass.
    pub(super) fn passes(&self) -> bool {
        self.state == Sequence::None
    }

    pub(super) fn read(&mut self, unit: Unit, emit: &mut impl FnMut(Unit)) {
        let byte = unit.byte;
        if self.state == Sequence::None && byte != 0x1b {
            emit(unit);
            return;
        }
        self.length += 1;
        self.state = match (self.state, byte) {
            (_, 0x1b) => {
                self.length = 0;
                Sequence::Begun
            }
            (Sequence::Begun, b'[') => Sequence::Control,
            (Sequence::Begun, b']' | b'P' | b'^' | b'_') => Sequence::String,
            (Sequence::Begun | Sequence::Control, 0x20..=0x2f) => self.state,
            (Sequence::Control, 0x30..=0x3f) => Sequence::Control,
            (Sequence::String, 0x07) => Sequence::None,
            (Sequence::String, _) => Sequence::String,
            _ => Sequence::None,
        };
        if self.length >= LONGEST_SEQUENCE {
            self.state = Sequence::None;
        }
    }
}

/// Removes line numbers, and the offsets and the right margin of hexadecimal dumps.
#[derive(Debug)]
pub(super) struct Margins {
    state: Margin,
    /// The digits at the beginning of a line.
    pending: [Unit; LONGEST_NUMBER],
    held: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Margin {
    /// At the beginning of a line, or in its leading digits.
    Left,
    /// In the text of a line.
    Line,
    /// In a line of `hexdump -C`, whose right margin begins with `|`.
    Dump,
    /// In a line of `xxd`, whose right margin follows two blanks, after this many bytes.
    Xxd(u8),
    /// In the right margin, after this many bytes.
    Right(usize),
}

impl Margins {
    /// Creates the state for text that begins in the middle of a line.
    pub(super) fn new() -> Self {
        Self {
            state: Margin::Line,
            pending: [Unit::default(); LONGEST_NUMBER],
            held: 0,
        }
    }

    /// Returns whether an ordinary byte would pass.
    pub(super) fn passes(&self) -> bool {
        self.state == Margin::Line
    }

    /// Returns the start of the text that has been read but not passed on.
    pub(super) fn held_from(&self) -> Option<usize> {
        (self.held > 0).then_some(self.pending[0].begin)
    }

    pub(super) fn read(&mut self, unit: Unit, emit: &mut impl FnMut(Unit)) {
        let byte = unit.byte;
        if byte == b'\n' {
            self.finish(emit);
            self.state = Margin::Left;
            emit(unit);
            return;
        }
        match self.state {
            Margin::Line => emit(unit),
            Margin::Left => self.left(unit, emit),
            Margin::Dump if byte == b'|' => self.state = Margin::Right(0),
            Margin::Dump => emit(unit),
            Margin::Xxd(blanks) => {
                let blanks = if byte == b' ' { blanks + 1 } else { 0 };
                self.state = if blanks == 2 {
                    Margin::Right(0)
                } else {
                    Margin::Xxd(blanks)
                };
                emit(unit);
            }
            Margin::Right(length) if length < WIDEST_MARGIN => self.state = Margin::Right(length + 1),
            Margin::Right(_) => {
                self.state = Margin::Line;
                emit(unit);
            }
        }
    }

    fn left(&mut self, unit: Unit, emit: &mut impl FnMut(Unit)) {
        let byte = unit.byte;
        if byte.is_ascii_hexdigit() && self.held < LONGEST_NUMBER {
            self.pending[self.held] = unit;
            self.held += 1;
            return;
        }
        if self.held == 0 && !byte.is_ascii_alphanumeric() {
            emit(unit);
            return;
        }
        let ends_number = matches!(byte, b' ' | b'\t' | b':' | b'|' | b')');
        let decimal = self.pending[..self.held]
            .iter()
            .all(|unit| unit.byte.is_ascii_digit());
        match self.held {
            // 7 digits in `od`, 8 in `hexdump` and `xxd`.
            7 | 8 if ends_number => {
                self.held = 0;
                self.state = if byte == b':' {
                    Margin::Xxd(0)
                } else {
                    Margin::Dump
                };
            }
            1..7 if ends_number && decimal => {
                self.held = 0;
                self.state = Margin::Line;
            }
            _ => {
                self.finish(emit);
                self.state = Margin::Line;
            }
        }
        emit(unit);
    }

    /// Passes on leading digits that are not a line number.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(Unit)) {
        let held = std::mem::take(&mut self.held);
        for &unit in &self.pending[..held] {
            emit(unit);
        }
    }
}
