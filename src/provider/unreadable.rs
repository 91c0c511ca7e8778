//! Reports documents that cannot be read.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::ProviderId;
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};

/// The maximum length of a member name that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// Reads a descriptor from a JSON document.
///
/// # Errors
///
/// [`InvalidDescriptor`] names the descriptor, the place, and what is expected there.
pub(super) fn read<T: DeserializeOwned>(document: &str) -> Result<T, InvalidDescriptor> {
    serde_json::from_str(document).map_err(|error| {
        let known = serde_json::from_str::<Identified>(document).ok();
        unreadable(&error, known.and_then(|known| known.id))
    })
}

/// A descriptor of which only the id is read.
#[derive(Deserialize)]
struct Identified {
    id: Option<String>,
}

/// Returns the error for a document that cannot be read, with the id of the descriptor if it is
/// known.
pub(super) fn unreadable(error: &serde_json::Error, id: Option<String>) -> InvalidDescriptor {
    let problem = DescriptorProblem::Unreadable {
        line: error.line(),
        column: error.column(),
        what: what(error),
    };
    // An id that is not plain may be the mistake.
    let id = id.filter(|id| ProviderId::new(id.as_str()).is_ok());
    InvalidDescriptor::new(id.as_deref().unwrap_or_default(), "", problem)
}

/// Returns what serde says, without the place at the end.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    said.strip_suffix(&place).unwrap_or(&said).to_owned()
}

/// Describes the problem without repeating a value, which may be a misplaced secret. The messages
/// of serde repeat a value before they say what is expected, and end with the place.
fn what(error: &serde_json::Error) -> String {
    let said = without_place(error);
    if !error.is_data() {
        // serde_json describes syntax errors in its own words.
        return said;
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
        (_, None) => said,
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
                said.starts_with("the descriptor \"a\" cannot be read at line ")
                    || said.starts_with("the descriptor cannot be read at line "),
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

    #[test]
    fn an_unreadable_document_names_the_descriptor_if_it_is_known() {
        let read = |document: &str| DescriptorFile::from_json(document).unwrap_err();
        let server = |id: &str, more: &str| {
            format!(
                "{{\"id\": \"{id}\", \"authorization_endpoint\": \"https://a.example/a\",
                \"token_endpoint\": \"https://a.example/t\"{more}}}"
            )
        };
        let wrong = server("acme", ", \"pkce\": 1");
        let alone = AuthorizationServer::from_json(&wrong).unwrap_err();
        assert_eq!((alone.descriptor.as_str(), alone.field), ("acme", ""));
        let one = read(&format!("{{\"servers\": [{}, {wrong}]}}", server("other", "")));
        assert_eq!(one.descriptor, "acme");
        let said = one.to_string();
        assert!(
            said.starts_with("the descriptor \"acme\" cannot be read at line 3"),
            "{said}"
        );
        let first = read(&format!(
            "{{\"servers\": [{wrong}], \"providers\": [{{\"id\": \"mail\"}}]}}"
        ));
        assert_eq!(first.descriptor, "acme");
        let provider = read("{\"providers\": [{\"id\": \"mail\"}]}");
        assert_eq!(provider.descriptor, "mail");
        for unknown in [
            format!("{{\"servers\": [{wrong}, {}]}}", wrong.replace("acme", "b")),
            format!(
                "{{\"servers\": [{}, {wrong}]}}",
                server("a", ", \"issuer\": null, \"issuer\": null")
            ),
            format!("{{\"servers\": [{wrong}"),
            "{\"providers\": [{\"id\": 7}]}".to_owned(),
            "{\"providers\": [{\"id\": \"hunter2\\n\"}]}".to_owned(),
            "{\"providers\": [7]}".to_owned(),
        ] {
            let error = read(&unknown);
            assert_eq!(error.descriptor, "", "{error}");
            assert!(
                error.to_string().starts_with("the descriptor cannot be read"),
                "{error}"
            );
        }
    }
}
