//! Writes `application/x-www-form-urlencoded`, or the same pairs as a JSON object, without unwiped
//! copies ([RFC 6749 appendix B](https://www.rfc-editor.org/rfc/rfc6749#appendix-B)).
//!
//! This module does not use a library: a buffer that grows by moving frees the old one with the
//! secret in it. Here, every buffer has its full size from the start.

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::http::Body;

/// The fields of a request, in the order in which they are sent. A secret is borrowed: its only
/// copy is the body.
pub(super) struct Fields<'a>(Vec<(&'a str, Value<'a>)>);

enum Value<'a> {
    Lent(&'a str),
    Made(Zeroizing<String>),
}

impl Value<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Lent(value) => value,
            Self::Made(value) => value,
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a field with a borrowed value.
    pub(super) fn lend(&mut self, name: &'a str, value: &'a str) {
        self.0.push((name, Value::Lent(value)));
    }

    /// Appends a field with an owned value.
    pub(super) fn give(&mut self, name: &'a str, value: Zeroizing<String>) {
        self.0.push((name, Value::Made(value)));
    }

    /// Appends all fields of `others`.
    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Renames each field with `named`, and removes those without a name.
    pub(super) fn rename(&mut self, named: impl Fn(&'a str) -> Option<&'a str>) {
        self.0.retain_mut(|(name, _)| {
            let new = named(name);
            *name = new.unwrap_or_default();
            new.is_some()
        });
    }

    /// Removes and returns the first field with this name.
    pub(super) fn take(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let at = self.0.iter().position(|(found, _)| *found == name)?;
        match self.0.remove(at).1 {
            Value::Lent(value) => Some(Zeroizing::new(value.to_owned())),
            Value::Made(value) => Some(value),
        }
    }

    /// Returns the fields as a form.
    pub(super) fn to_form(&self) -> Zeroizing<String> {
        // A byte takes at most three bytes.
        let room = self.measure(|text| 3 * text.len());
        let mut form = Zeroizing::new(String::with_capacity(room));
        for (name, value) in &self.0 {
            if !form.is_empty() {
                form.push('&');
            }
            encode(name, &mut form);
            form.push('=');
            encode(value.as_str(), &mut form);
        }
        form
    }

    /// Returns the fields as a flat object of strings.
    pub(super) fn to_json(&self) -> Body {
        // A byte takes at most six (`\u001f`), and each text has two quotes.
        let room = self.measure(|text| 6 * text.len() + 2);
        let mut body = Zeroizing::new(Vec::with_capacity(room + 2));
        body.push(b'{');
        for (name, value) in &self.0 {
            if body.len() > 1 {
                body.push(b',');
            }
            // Writing a string into a vector cannot fail.
            drop(serde_json::to_writer(&mut *body, name));
            body.push(b':');
            drop(serde_json::to_writer(&mut *body, value.as_str()));
        }
        body.push(b'}');
        Body::from(std::mem::take(&mut *body))
    }

    /// Returns the maximum size of the fields, each with two separators.
    fn measure(&self, most: impl Fn(&str) -> usize) -> usize {
        let fields = self.0.iter();
        fields
            .map(|(name, value)| most(name) + most(value.as_str()) + 2)
            .sum()
    }
}

impl From<Fields<'_>> for Body {
    fn from(fields: Fields<'_>) -> Self {
        Self::from(std::mem::take(&mut *fields.to_form()))
    }
}

/// Appends the form-encoded text. The caller has reserved three bytes for each byte.
pub(super) fn encode(text: &str, out: &mut String) {
    out.extend(form_urlencoded::byte_serialize(text.as_bytes()));
}

/// Returns the pairs of a form, parsed as in the
/// [URL Standard](https://url.spec.whatwg.org/#urlencoded-parsing).
pub(super) fn pairs(form: &[u8]) -> impl Iterator<Item = (Zeroizing<String>, Zeroizing<String>)> {
    form.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(end);
            (decode(name), decode(value.strip_prefix(b"=").unwrap_or(value)))
        })
}

/// Decodes form-encoded text. Invalid UTF-8 becomes U+FFFD.
fn decode(encoded: &[u8]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => nibble(*high).zip(nibble(*low)),
            _ => None,
        };
        match (first, escaped) {
            (_, Some((high, low))) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
                continue;
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
        rest = after;
    }
    // Each invalid byte becomes three bytes.
    let mut text = Zeroizing::new(String::with_capacity(match std::str::from_utf8(&bytes) {
        Ok(_) => bytes.len(),
        Err(_) => 3 * bytes.len(),
    }));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_moves() {
        let value = "a b&c=d+é%\u{1f}\"".repeat(500);
        let mut fields = Fields::new();
        fields.lend("x y", "");
        fields.give("value", Zeroizing::new(value.clone()));
        let form = fields.to_form();
        let read: Vec<_> = pairs(form.as_bytes())
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        assert_eq!(
            read,
            [
                ("x y".to_owned(), String::new()),
                ("value".to_owned(), value.clone())
            ]
        );
        let object: serde_json::Value = serde_json::from_slice(fields.to_json().as_bytes()).unwrap();
        assert_eq!(object, serde_json::json!({"x y": "", "value": value}));
    }

    #[test]
    fn fields_are_renamed_left_out_and_taken() {
        let mut fields = Fields::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            fields.lend(name, value);
        }
        fields.rename(|name| match name {
            "a" => Some("z"),
            "b" => None,
            name => Some(name),
        });
        assert_eq!(fields.to_form().as_str(), "z=1&c=3");
        assert_eq!(fields.take("z").unwrap().as_str(), "1");
        assert!(fields.take("a").is_none());
        assert_eq!(fields.to_form().as_str(), "c=3");
    }

    proptest::proptest! {
        // Another decoder returns the same pairs, for unusual input too.
        #[test]
        fn forms_are_read_as_the_standard_says(
            form in proptest::collection::vec(proptest::sample::select(&b"ab=&+%4Ff\xc3\xa9\xff "[..]), 0..40),
        ) {
            let read: Vec<_> = pairs(&form).map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let expected: Vec<_> = form_urlencoded::parse(&form).into_owned().collect();
            assert_eq!(read, expected);
        }

        #[test]
        fn forms_are_written_as_the_standard_says(
            fields in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6),
        ) {
            let mut ours = Fields::new();
            for (name, value) in &fields {
                ours.lend(name, value);
            }
            let expected = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            assert_eq!(ours.to_form().as_str(), expected);
        }
    }
}
