//! The fuzz targets: one function each, which panics if a guarantee is violated.
//!
//! The targets in `fuzz_targets` call them with libFuzzer; the test in `tests` calls them with the
//! seeds and with simple mutations of the seeds.

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

/// Changes `bytes` according to `edits`: three bytes each, a position and an operation. The
/// remaining bytes truncate or extend the end.
fn edit(bytes: &mut Vec<u8>, edits: &[u8]) {
    let (edits, end) = edits.as_chunks::<3>();
    for [high, low, value] in edits {
        if bytes.is_empty() {
            return;
        }
        // Multiplied, so that two bytes reach every position of a file of several pages.
        let place = usize::from(u16::from_be_bytes([*high, *low])) * 7 % bytes.len();
        bytes[place] ^= value;
    }
    match *end {
        [cut] => bytes.truncate(bytes.len().saturating_sub(usize::from(cut))),
        [by, filler] => bytes.resize(bytes.len() + usize::from(by), filler),
        _ => {}
    }
}
