//! Masks tokens by their value, in all positions and encodings.
//!
//! [`Turn::redact`](crate::resolver::Turn::redact) documents which forms are found and which are
//! not.
//!
//! A long token is compared only by its letters and digits, ignoring case. Programs that encode,
//! quote or wrap text either leave letters and digits unchanged or encode every byte in the same
//! way; the latter forms are separate patterns. Escapes of punctuation (`%2B`, `&#43;`, `\x2b`,
//! `=2B`) contain letters and digits themselves, so they are undone first. This is ambiguous: a
//! token after `name=` may begin like an escape. Each text is therefore read twice, once as it is
//! and once with escapes undone. A short token would match by chance if its punctuation were
//! ignored, so it is compared character by character.

mod edges;
mod encodings;
mod escape;
mod filter;
mod lines;
mod masks;
mod part;
mod pieces;
mod prefixes;
mod search;
mod secrets;
mod site;
mod skim;
mod stream;
#[cfg(test)]
mod tests;
mod undone;
mod unit;
mod view;

pub(super) use filter::Filter;
pub(super) use masks::{MASK, Masks, SharedMasks};
pub(super) use secrets::Secrets;
use skim::Skim;
pub use stream::Redactor;
