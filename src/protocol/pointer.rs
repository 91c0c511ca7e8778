//! One value out of an answer that holds secrets, without a copy of the rest.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::http::HttpResponse;
use crate::protocol::answer::text;

/// What the pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) leads to, left where it stands.
pub(super) fn find<'a>(root: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let mut at = root;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        at = if at.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
            items.get(token.parse::<usize>().ok()?).copied()?
        } else {
            let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(at.get()).ok()?;
            members.get(token.as_str()).copied()?
        };
    }
    Some(at)
}

/// The string, number or truth value that a pointer finds in a JSON answer, as text.
#[must_use]
pub fn value_in_answer(response: &HttpResponse, pointer: &str) -> Option<String> {
    let root: &RawValue = serde_json::from_slice(response.body.as_bytes()).ok()?;
    plain(find(root, pointer)?)
}

/// A scalar as text.
pub(super) fn plain(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => text(raw).map(|text| text.to_string()),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn values_are_found_by_rfc_6901() {
        let body = r#"{"a":{"b/c":[1,{"d~e":"x\u0041"}]},"t":true,"n":null,"o":{}}"#;
        let response = HttpResponse::new(StatusCode::OK, body);
        for (pointer, expected) in [
            ("/a/b~1c/0", Some("1")),
            ("/a/b~1c/1/d~0e", Some("xA")),
            ("/t", Some("true")),
            ("/n", None),
            ("/o", None),
            ("/a/b~1c/2", None),
            ("/a/x", None),
            ("", None),
        ] {
            assert_eq!(
                value_in_answer(&response, pointer).as_deref(),
                expected,
                "{pointer}"
            );
        }
    }
}
