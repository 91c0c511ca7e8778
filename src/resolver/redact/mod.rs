//! Tokens masked by their value, wherever they stand and however they are written.
//!
//! Which forms are found, and which are not, is documented at
//! [`Turn::redact`](crate::resolver::Turn::redact).
//!
//! A token of some length is compared by its letters and digits alone, in either case. Programs
//! that encode, quote or wrap text leave these as they are, or encode every byte alike: the latter
//! forms are patterns of their own. What stands for punctuation (`%2B`, `&#43;`, `\x2b`, `=2B`) is
//! undone first, because it holds letters and digits itself. Undoing is ambiguous: a token after
//! `name=` may begin like an escape. So each text is read twice, as it stands and with escapes
//! undone. A short token would be found by chance if its punctuation did not count, so it is
//! compared character by character.

mod encodings;
mod escape;
mod filter;
mod lines;
mod masks;
mod search;
mod stream;
#[cfg(test)]
mod tests;
mod unit;
mod view;

pub(super) use filter::Filter;
pub(super) use masks::{MASK, Masks, SharedMasks};
pub use stream::Redactor;
