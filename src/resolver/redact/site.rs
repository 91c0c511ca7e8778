//! Finds the places in a text where undoing escapes changes its letters.

use super::escape::{is_blank, named};
use super::view::begins_escape;

/// The effect of a byte that may begin an escape, or of a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// The letters stay as they are.
    Plain,
    /// The letters stay as they are, unless an escape before it is still open.
    Punctuation,
    /// The letters stay as they are, unless the escape that follows directly is undone.
    Open,
    /// An escape that ends before this position and stands for this byte, or for no letter (zero).
    Escape { byte: u8, end: usize },
    /// Any other change. A view must read the text from here.
    Other,
}

/// The length up to which a name of an entity or a tag is examined. It exceeds the longest escape.
const LONGEST: usize = 32;

/// The length up to which the name of an entity is looked up. Longer ones are rare.
const LONGEST_NAME: usize = 16;

/// Returns the effect of the byte at this position, which may begin an escape or is a line break.
///
/// The result holds if no escape is open before it and if letters precede it in its line.
#[inline]
pub(super) fn site(text: &[u8], at: usize) -> Site {
    match text[at] {
        b'\n' if begins_number(text, at + 1, false) => Site::Other,
        b'\n' => Site::Plain,
        b'%' => percent(text, at),
        b'\\' => backslash(text, at),
        b'&' => entity(text, at),
        b'=' => quoted_printable(text, at),
        b'<' => tag(text, at),
        _ => Site::Other,
    }
}

/// Returns whether a line has no number whose first letter or place is here: it is the end of the
/// line, or a letter that is not a hexadecimal digit, or one follows.
#[inline]
pub(super) fn begins_word(text: &[u8], at: usize) -> bool {
    let first = byte(text, at);
    first == b'\n' || is_word(first) || (first.is_ascii_hexdigit() && is_word(byte(text, at + 1)))
}

/// Returns whether the byte at this position, which may begin an escape, is [plain](Site::Plain)
/// because of the byte that follows directly.
#[inline]
pub(super) fn is_plain(text: &[u8], at: usize) -> bool {
    is_plain_before(text[at], byte(text, at + 1))
}

#[inline]
fn is_plain_before(byte: u8, next: u8) -> bool {
    PLAIN_BEFORE[usize::from(next)] & bit(byte) != 0
}

/// The bytes that are plain before each byte, as a set of [bits](bit).
const PLAIN_BEFORE: [u8; 256] = {
    let mut plain = [0; 256];
    let mut next = 0;
    while next < 256 {
        plain[next] = plain_before(next as u8);
        next += 1;
    }
    plain
};

const fn plain_before(next: u8) -> u8 {
    if begins_escape(next) {
        return 0;
    }
    let mut plain = 0;
    if !(is_blank(next) || next.is_ascii_hexdigit() || matches!(next, b'u' | b'U')) {
        plain |= bit(b'%');
    }
    if !(is_blank(next)
        || next.is_ascii_punctuation()
        || matches!(
            next,
            b'0'..=b'3' | b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'a' | b'e' | b'x' | b'u' | b'U'
        ))
    {
        plain |= bit(b'\\');
    }
    if !(next.is_ascii_alphabetic() || next == b'#') {
        plain |= bit(b'&');
    }
    if !matches!(next, b'\r' | b'\n' | b'2'..=b'7') {
        plain |= bit(b'=');
    }
    if !(next.is_ascii_alphanumeric() || next == b'/') {
        plain |= bit(b'<');
    }
    plain
}

/// Returns the bit of a byte that may begin an escape; zero for every other byte.
const fn bit(byte: u8) -> u8 {
    match byte {
        b'%' => 1,
        b'\\' => 2,
        b'&' => 4,
        b'=' => 8,
        b'<' => 16,
        _ => 0,
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit()
}

fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or_default()
}

/// Returns the position of the first byte that is not a blank.
fn visible(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while text.get(at).copied().is_some_and(is_blank) {
        at += 1;
    }
    at
}

/// Returns the value of this many hexadecimal digits.
fn hexadecimal(text: &[u8], from: usize, count: usize) -> Option<u32> {
    let mut value = 0;
    for &digit in text.get(from..from + count)? {
        let digit = DIGITS[usize::from(digit)];
        if digit == NOT_A_DIGIT {
            return None;
        }
        value = value << 4 | u32::from(digit);
    }
    Some(value)
}

const NOT_A_DIGIT: u8 = 16;

/// The values of hexadecimal digits.
const DIGITS: [u8; 256] = {
    let mut digits = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Returns an escape that stands for the character with this code, unless it may begin another
/// escape or a line.
fn escape(text: &[u8], code: u32, end: usize) -> Site {
    let character = u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or_default();
    let begins = begins_escape(character) && !is_plain_before(character, byte(text, end));
    if begins || character == b'\n' {
        return Site::Other;
    }
    Site::Escape { byte: character, end }
}

/// Returns whether the blanks between these positions contain a line break. An escape drops it even
/// if it is not undone, and what follows does not begin a line.
fn breaks(text: &[u8], from: usize, end: usize) -> bool {
    from < end && text[from..end.min(text.len())].contains(&b'\n')
}

/// Returns the effect of an escape that continues here only with one of these bytes.
fn if_continued(text: &[u8], from: usize, continues: impl Fn(u8) -> bool) -> Site {
    let end = visible(text, from);
    match byte(text, end) {
        _ if breaks(text, from, end) => Site::Other,
        next if continues(next) => Site::Other,
        next if begins_escape(next) => Site::Open,
        _ => Site::Plain,
    }
}

fn is_hexadecimal(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn percent(text: &[u8], at: usize) -> Site {
    if let Some(code) = hexadecimal(text, at + 1, 2) {
        return escape(text, code, at + 3);
    }
    let first = visible(text, at + 1);
    match byte(text, first) {
        _ if breaks(text, at + 1, first) => Site::Other,
        next if begins_escape(next) => Site::Open,
        b'u' | b'U' => if_continued(text, first + 1, is_hexadecimal),
        next if is_hexadecimal(next) => if_continued(text, first + 1, is_hexadecimal),
        _ => Site::Plain,
    }
}

fn backslash(text: &[u8], at: usize) -> Site {
    let letter = visible(text, at + 1);
    let end = letter + 1;
    match byte(text, letter) {
        b'n' if begins_number(text, end, true) => Site::Other,
        b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'a' => Site::Escape { byte: 0, end },
        b'e' => Site::Other,
        _ if breaks(text, at + 1, letter) => Site::Other,
        b'x' | b'u' => {
            let count = if text[letter] == b'x' { 2 } else { 4 };
            hexadecimal(text, end, count).map_or_else(
                || if_continued(text, end, |next| is_hexadecimal(next) || next == b'{'),
                |code| escape(text, code, end + count),
            )
        }
        b'U' => if_continued(text, end, is_hexadecimal),
        b'0'..=b'3' => if_continued(text, end, |next| matches!(next, b'0'..=b'7')),
        next if begins_escape(next) => Site::Open,
        next if next.is_ascii_punctuation() => Site::Punctuation,
        _ => Site::Plain,
    }
}

fn entity(text: &[u8], at: usize) -> Site {
    let first = byte(text, at + 1);
    if first == b'#' {
        if let Some((code, end)) = reference(text, at + 2) {
            return escape(text, code, end);
        }
        return if_continued(text, at + 2, |next| {
            next.is_ascii_digit() || matches!(next, b'x' | b'X')
        });
    }
    if begins_escape(first) {
        return Site::Open;
    }
    if !first.is_ascii_alphabetic() {
        return Site::Plain;
    }
    let rest = &text[at + 1..];
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    let length = letters.take(LONGEST_NAME).count();
    match byte(rest, length) {
        b';' => return escape(text, u32::from(named(&rest[..length])), at + length + 2),
        // Blanks may be left out, and an escape may stand for another letter.
        next if next.is_ascii_alphanumeric() || is_blank(next) || begins_escape(next) => {}
        _ => return Site::Plain,
    }
    let name = rest
        .iter()
        .filter(|byte| !is_blank(**byte) || **byte == b'\n')
        .take(LONGEST);
    match name.copied().find(|byte| !byte.is_ascii_alphanumeric()) {
        Some(b';' | b'\n') => Site::Other,
        Some(next) if begins_escape(next) => Site::Open,
        _ => Site::Plain,
    }
}

/// Returns the number of a character reference that begins here after `&#`, and where it ends.
fn reference(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let (radix, from) = match byte(text, at) {
        b'x' | b'X' => (16, at + 1),
        _ => (10, at),
    };
    let rest = text.get(from..)?;
    let digits = rest.iter().take_while(|byte| char::from(**byte).is_digit(radix));
    let length = digits.take(LONGEST_NAME).count();
    let digits = std::str::from_utf8(&rest[..length]).ok()?;
    let code = u32::from_str_radix(digits, radix).ok()?;
    (length <= 8 && byte(rest, length) == b';').then_some((code, from + length + 1))
}

fn quoted_printable(text: &[u8], at: usize) -> Site {
    match byte(text, at + 1) {
        b'\r' if byte(text, at + 2) != b'\n' => Site::Other,
        b'\r' | b'\n' => Site::Punctuation,
        // Only the codes of punctuation are undone.
        b'2'..=b'7' => match hexadecimal(text, at + 1, 2) {
            Some(code) if u8::try_from(code).is_ok_and(|byte| byte.is_ascii_punctuation()) => {
                escape(text, code, at + 3)
            }
            Some(_) => Site::Plain,
            None if begins_escape(byte(text, at + 2)) => Site::Open,
            None => Site::Plain,
        },
        next if begins_escape(next) => Site::Open,
        _ => Site::Plain,
    }
}

fn tag(text: &[u8], at: usize) -> Site {
    let name = at + 1 + usize::from(byte(text, at + 1) == b'/');
    let rest = text.get(name..).unwrap_or_default();
    let letters = rest
        .iter()
        .take(LONGEST)
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    if letters == LONGEST {
        return Site::Plain;
    }
    let end = name + letters;
    let blank = usize::from(letters > 0 && byte(text, end) == b' ');
    let slash = usize::from(byte(text, end + blank) == b'/');
    let end = end + blank + slash;
    match byte(text, end) {
        b'>' if blank > slash => Site::Plain,
        // A longer one is not a tag: the view decides.
        b'>' if letters > 0 && end - at < 16 => Site::Escape {
            byte: 0,
            end: end + 1,
        },
        b'>' if letters > 0 => Site::Other,
        next if begins_escape(next) => Site::Open,
        _ => Site::Plain,
    }
}

/// Returns whether the line that begins here may begin with a line number or the offset of a dump.
/// If the line break was an escape, so may be the bytes that follow it: then every escape before
/// the first letter counts.
fn begins_number(text: &[u8], from: usize, escaped: bool) -> bool {
    let rest = text.get(from..).unwrap_or_default();
    let other =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'\n' || (escaped && begins_escape(*byte));
    let Some(first) = rest.iter().position(other) else {
        return false;
    };
    let (before, rest) = rest.split_at(first);
    if begins_escape(rest[0]) {
        return true;
    }
    // An escape that is not undone may drop blanks after the digits.
    if before.iter().copied().any(begins_escape) {
        return rest[0].is_ascii_hexdigit();
    }
    let digits = rest
        .iter()
        .take(9)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if digits == 0 || digits > 8 {
        return false;
    }
    match rest.get(digits).copied() {
        Some(b' ' | b'\t' | b':' | b'|' | b')') => {
            digits > 6 || rest[..digits].iter().all(u8::is_ascii_digit)
        }
        next => next.is_none_or(begins_escape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_plain_before_another_only_if_no_text_after_it_changes_that() {
        for first in *b"%\\&=<\x1b" {
            for next in 0..=u8::MAX {
                for after in [
                    "", " ", "1", "41", "a;", "x41;", "{41}", "/>", ">", "\n", "\r\n", "%41", "&#65;",
                ] {
                    let text = [&[first, next], after.as_bytes()].concat();
                    assert!(
                        !is_plain(&text, 0) || site(&text, 0) == Site::Plain,
                        "{}",
                        text.escape_ascii()
                    );
                }
            }
        }
    }
}
