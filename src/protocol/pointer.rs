//! Reads one value from an answer that contains secrets, without copying the rest.

use serde_json::value::RawValue;

use crate::http::HttpResponse;
use crate::protocol::json::{find, plain};
use crate::provider::Pointer;

/// Returns the string, number or boolean that a pointer leads to in a JSON answer, as text.
#[must_use]
pub fn value_in_answer(response: &HttpResponse, pointer: &Pointer) -> Option<String> {
    let root: &RawValue = serde_json::from_slice(response.body.as_bytes()).ok()?;
    plain(find(root, pointer)?)
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
                value_in_answer(&response, &pointer.into()).as_deref(),
                expected,
                "{pointer}"
            );
        }
    }
}
