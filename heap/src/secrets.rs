//! The secrets to search for, in all their encodings.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded;

use crate::allocator::Freed;

/// The number of consecutive bytes that count as a match: a part of a secret shows that it was not
/// wiped.
const PIECE: usize = 12;

/// The secrets of a walk, known in advance or learned during it.
#[derive(Default)]
pub(crate) struct Secrets(BTreeMap<Vec<u8>, String>);

impl Secrets {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        assert!(value.len() >= PIECE, "too short to be looked for");
        self.0.entry(value.to_vec()).or_insert_with(|| name.into());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns each secret in each encoding, cut into all its pieces.
    pub(crate) fn pieces(&self) -> Pieces {
        let mut pieces: BTreeMap<Vec<u8>, (String, &'static str)> = BTreeMap::new();
        for (value, name) in &self.0 {
            for (form, written) in forms(value) {
                for piece in written.windows(PIECE) {
                    pieces
                        .entry(piece.to_vec())
                        .or_insert_with(|| (name.clone(), form));
                }
            }
        }
        let automaton = AhoCorasick::new(pieces.keys()).expect("a few thousand short patterns");
        Pieces {
            automaton,
            meanings: pieces.into_values().collect(),
        }
    }
}

/// Returns the encodings of a secret: raw, as a form value, in JSON, in base64 at any offset, in
/// hexadecimal.
fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let encoded: String = form_urlencoded::byte_serialize(value).collect();
    let mut forms = vec![
        ("as it is", value.to_vec()),
        ("form-encoded", encoded.into_bytes()),
        (
            "percent-encoded",
            value
                .iter()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<String>()
                .into(),
        ),
        (
            "hexadecimal",
            value
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .into(),
        ),
    ];
    if let Ok(text) = std::str::from_utf8(value) {
        let quoted = serde_json::to_string(text).expect("text is JSON");
        forms.push(("JSON", quoted.trim_matches('"').into()));
        forms.push(("JSON", quoted.trim_matches('"').replace('/', "\\/").into()));
    }
    for start in 0..3 {
        // Characters that depend on the bytes before and after are omitted.
        let mut shifted = vec![0; start];
        shifted.extend_from_slice(value);
        shifted.truncate(shifted.len() / 3 * 3);
        for (form, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            let text = engine.encode(&shifted);
            forms.push((form, text.as_bytes()[if start == 0 { 0 } else { 4 }..].to_vec()));
        }
    }
    forms
}

/// Every piece of every secret, prepared for the search.
pub(crate) struct Pieces {
    automaton: AhoCorasick,
    meanings: Vec<(String, &'static str)>,
}

/// A secret in a block that was freed without being wiped.
pub(crate) struct Find<'a> {
    pub(crate) secret: &'a str,
    pub(crate) form: &'static str,
    pub(crate) at: usize,
}

impl Pieces {
    pub(crate) fn len(&self) -> usize {
        self.meanings.len()
    }

    pub(crate) fn find(&self, block: &Freed<'_>) -> Option<Find<'_>> {
        let found = self.automaton.find(block.bytes)?;
        let (secret, form) = &self.meanings[found.pattern().as_usize()];
        Some(Find {
            secret,
            form,
            at: found.start(),
        })
    }
}
