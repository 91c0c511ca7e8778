//! Reports documents that cannot be read.

use serde::de::DeserializeOwned;

use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};

/// The maximum length of a member name that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// Reads a descriptor from a JSON document.
///
/// # Errors
///
/// [`InvalidDescriptor`] names the place, and what is expected there.
pub(super) fn read<T: DeserializeOwned>(document: &str) -> Result<T, InvalidDescriptor> {
    serde_json::from_str(document).map_err(|error| {
        let problem = DescriptorProblem::Unreadable {
            line: error.line(),
            column: error.column(),
            what: what(&error),
        };
        InvalidDescriptor::new("", "", problem)
    })
}

/// Describes the problem without repeating a value, which may be a misplaced secret. The messages
/// of serde repeat a value before they say what is expected, and end with the place.
fn what(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&place).unwrap_or(&said);
    if !error.is_data() {
        // serde_json describes syntax errors in its own words.
        return said.to_owned();
    }
    let expected = said.rsplit_once(", expected ").map(|(_, expected)| expected);
    let unknown = said
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    let is_plain = |name: &&str| {
        name.len() <= MAX_SHOWN
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match (unknown.filter(is_plain), expected) {
        (Some(name), Some(expected)) => format!("the member `{name}` is not known, expected {expected}"),
        (None, Some(expected)) => format!("expected {expected}"),
        // Messages about missing or duplicate members, ids, scopes and choices contain no value.
        (_, None) => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::provider::{AuthorizationServer, DescriptorFile, Provider};

    #[test]
    fn an_unreadable_document_names_the_place_and_repeats_no_value() {
        let server = |members: &str| {
            let text = format!(
                "{{\"id\": \"a\", \"authorization_endpoint\": \"https://a.example/a\",\n\
                 \"token_endpoint\": \"https://a.example/t\",\n{members}}}"
            );
            AuthorizationServer::from_json(&text).unwrap_err().to_string()
        };
        for (members, expected) in [
            (
                "\"pkce\": \"hunter2\"",
                "line 3, column 17: expected `s256` or `refused`",
            ),
            ("\"pkce\": {\"hunter2\": 1}", "line 3"),
            ("\"issuer\": {\"hunter2\": 1}", "expected a string"),
            ("\"notes\": \"hunter2\"", "expected a sequence"),
            ("\"raw_scope\": \"hunter2, expected\"", "expected a boolean"),
            (
                "\"rotations\": \"hunter2\"",
                "the member `rotations` is not known, expected one of `id`",
            ),
            ("\"hunter2 is it\": 1", "expected one of `id`"),
            ("\"id\": \"hunter2\"", "duplicate field `id`"),
            ("\"already_revoked\": [70000]", "expected an HTTP status"),
            ("\"notes\": [\"hunter2\"", "line 3"),
            ("\"notes\": hunter2", "line 3"),
        ] {
            let said = server(members);
            assert!(said.contains(expected), "{members}: {said}");
            assert!(
                said.starts_with("the descriptor cannot be read at line "),
                "{said}"
            );
            assert!(!said.contains("hunter2"), "{said}");
        }
        let missing = Provider::from_json("{\"id\": \"p\"}").unwrap_err().to_string();
        assert!(missing.contains("missing field `server`"), "{missing}");
        let id = Provider::from_json("{\"id\": \"hunter2\\n\"}")
            .unwrap_err()
            .to_string();
        assert!(
            id.contains("contains a control character") && !id.contains("hunter2"),
            "{id}"
        );
        let file = DescriptorFile::from_json("{\"servers\": {}}")
            .unwrap_err()
            .to_string();
        assert!(file.contains("line 1"), "{file}");
    }
}
