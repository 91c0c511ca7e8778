//! Placeholders: what a tool that builds its own requests writes in the place of a token.

use crate::resolver::options::ResolveOptions;

/// How every placeholder begins, so that one of another turn is told from a tool's own text.
pub(super) const MARK: &str = "vkp_";

/// The length of a placeholder: the mark and 256 random bits.
pub(super) const LENGTH: usize = MARK.len() + 43;

/// How many different placeholders a turn can make: a model that asks for one after the other must
/// not fill the memory.
pub(super) const MOST: usize = 1_024;

/// What a placeholder stands for.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    pub(super) placeholder: String,
    pub(super) options: ResolveOptions<'static>,
}

/// Returns where a placeholder begins, of whatever turn.
pub(super) fn find(value: &[u8]) -> Option<usize> {
    value
        .windows(MARK.len())
        .position(|window| window == MARK.as_bytes())
}
