//! Placeholders: text that a tool writes in place of a token when it builds its own requests.

use crate::resolver::options::ResolveOptions;

/// The prefix of all placeholders, which distinguishes one of another turn from a tool's own text.
pub(super) const MARK: &str = "vkp_";

/// The length of a placeholder: the prefix and 256 random bits.
pub(super) const LENGTH: usize = MARK.len() + 43;

/// The maximum number of different placeholders of a turn: a model that requests them in a loop
/// must not exhaust the memory.
pub(super) const MOST: usize = 1_024;

/// The request that a placeholder stands for.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    pub(super) placeholder: String,
    pub(super) options: ResolveOptions<'static>,
}

/// Returns the positions of placeholders of any turn.
pub(super) fn find(value: &[u8]) -> Option<usize> {
    value
        .windows(MARK.len())
        .position(|window| window == MARK.as_bytes())
}
