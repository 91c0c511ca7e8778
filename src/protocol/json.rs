//! Reads parts of a JSON answer in place: nothing is copied until it is known to be needed.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::provider::Pointer;

/// Returns the value that a pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) leads to,
/// without copying it.
pub(super) fn find<'a>(root: &'a RawValue, pointer: &Pointer) -> Option<&'a RawValue> {
    let mut at = root;
    for step in pointer.steps()? {
        at = if at.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
            items.get(step.index?).copied()?
        } else {
            member(at, &step.name)?
        };
    }
    Some(at)
}

/// Returns a member of an object, without copying it.
pub(super) fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(object.get()).ok()?;
    members.get(name).copied()
}

/// Returns the text of a member of the object that a body consists of.
pub(super) fn text_of(body: &[u8], name: &str) -> Option<Zeroizing<String>> {
    let object: &RawValue = serde_json::from_slice(body).ok()?;
    text(member(object, name)?)
}

/// Returns whether a value is empty: null, false, zero, or an empty string, list or object.
pub(super) fn is_nothing(raw: &RawValue) -> bool {
    matches!(raw.get(), "null" | "false" | "\"\"" | "[]" | "{}" | "0")
}

/// Returns a string, a number or a boolean as text.
pub(super) fn plain(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => text(raw).map(|text| text.to_string()),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// Returns the text of a non-empty JSON string.
///
/// The text is unescaped here, because the parser would use a buffer that is not wiped, and servers
/// do write `\/` in tokens.
pub(in crate::protocol) fn text(raw: &RawValue) -> Option<Zeroizing<String>> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    // No escape is shorter than the character it represents, so the buffer never moves.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escaped.chars();
        match chars.next()? {
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => {
                let (unit, after) = unit(chars.as_str())?;
                let (decoded, after) = match unit {
                    0xd800..=0xdbff => {
                        let (low, after) = self::unit(after.strip_prefix("\\u")?)?;
                        let pair = [unit, low];
                        (char::decode_utf16(pair).next()?.ok()?, after)
                    }
                    _ => (char::from_u32(u32::from(unit))?, after),
                };
                text.push(decoded);
                rest = after;
                continue;
            }
            literal => text.push(literal),
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    (!text.is_empty()).then_some(text)
}

/// Returns the number of four hexadecimal digits, and the rest of the text.
fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn strings_are_unescaped_as_json_says() {
        for (json, expected) in [
            (r#""plain""#, Some("plain")),
            (r#""a\/b\"c\\d""#, Some("a/b\"c\\d")),
            (r#""\u0061\u00e9\ud83d\ude00z""#, Some("aé😀z")),
            (r#""\b\f\n\r\t""#, Some("\u{8}\u{c}\n\r\t")),
            (r#""\ud83dx""#, None),
            (r#""""#, None),
            ("12", None),
            ("null", None),
        ] {
            assert_eq!(
                text(raw(json)).as_ref().map(|text| text.as_str()),
                expected,
                "{json}"
            );
        }
    }
}
