//! `application/x-www-form-urlencoded`, without copies that are not wiped.

use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::http::Body;

/// A form body under construction.
pub(super) struct Form(Zeroizing<String>);

impl Form {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(1024)))
    }

    /// Appends a pair.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        // A string grows by moving, and the old buffer would go back to the allocator with the secret in it.
        let needed = self.0.len() + 3 * (name.len() + value.len()) + 2;
        if self.0.capacity() < needed {
            let mut grown = Zeroizing::new(String::with_capacity(needed.max(2 * self.0.capacity())));
            grown.push_str(&self.0);
            self.0 = grown;
        }
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value, &mut self.0);
    }

    pub(super) fn into_body(mut self) -> Body {
        Body::from(std::mem::take(&mut *self.0))
    }
}

/// Appends the form-encoded text; the caller has seen to the room: three bytes for each.
pub(super) fn encode(text: &str, out: &mut String) {
    out.extend(form_urlencoded::byte_serialize(text.as_bytes()));
}

/// The pairs of a form. A buffer of the decoder's own is not wiped where a value has both `+` and `%` in it.
pub(super) fn pairs(body: &[u8]) -> impl Iterator<Item = (String, Zeroizing<String>)> {
    form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_growth_loses_nothing() {
        let value = "a b&c=d+é%".repeat(500);
        let mut form = Form::new();
        form.push("x y", "");
        form.push("value", &value);
        let body = form.into_body();
        let read: Vec<_> = pairs(body.as_bytes())
            .map(|(name, value)| (name, value.to_string()))
            .collect();
        assert_eq!(read, [("x y".into(), String::new()), ("value".into(), value)]);
    }
}
