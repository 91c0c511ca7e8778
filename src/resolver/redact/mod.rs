//! Tokens masked by their value, wherever they stand and however they are written.
//!
//! Found are: the token itself; percent-encoded and JSON-escaped, whole or in part, once or several times; in base64 at
//! each of the three alignments, in either alphabet, which covers `Basic` credentials; in hexadecimal of either case; and all of these
//! with blanks and line breaks inside.
//!
//! Not found are: a part of a token, a token that was encrypted, compressed, hashed, reversed or spelled out, and other
//! encodings. Of a token in base64 up to four bits of its first and of its last byte stay.

mod masks;
mod stream;
#[cfg(test)]
mod tests;
mod view;

pub(super) use masks::{MASK, Masks, SharedMasks};
pub use stream::Redactor;
