//! What is fuzzed: one function for each target, which panics if a promise is broken.
//!
//! The targets in `fuzz_targets` call them with libFuzzer, the test in `tests` with the seeds and
//! what a plain mutator makes of them.

#![forbid(unsafe_code)]

mod database;
mod envelope;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "../../tests/support/format.rs"]
mod format;
mod protocol;
mod provider;

pub use database::mutated_database;
pub use envelope::{fields, sealed_record, wrapped_key};
pub use protocol::{callback_query, error_body, token_response};
pub use provider::provider_descriptor;

/// A target: the name of its seeds, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("sealed_record", sealed_record),
    ("wrapped_key", wrapped_key),
    ("fields", fields),
    ("callback_query", callback_query),
    ("token_response", token_response),
    ("error_body", error_body),
    ("provider_descriptor", provider_descriptor),
    ("mutated_database", mutated_database),
];

/// Changes `bytes` as `edits` says: three bytes each, a place and what is done there. What is left
/// over cuts or extends the end.
fn edit(bytes: &mut Vec<u8>, edits: &[u8]) {
    let (edits, end) = edits.as_chunks::<3>();
    for [high, low, value] in edits {
        if bytes.is_empty() {
            return;
        }
        // Multiplied, so that two bytes reach every place of a file of several pages.
        let place = usize::from(u16::from_be_bytes([*high, *low])) * 7 % bytes.len();
        bytes[place] ^= value;
    }
    match *end {
        [cut] => bytes.truncate(bytes.len().saturating_sub(usize::from(cut))),
        [by, filler] => bytes.resize(bytes.len() + usize::from(by), filler),
        _ => {}
    }
}
