//! One byte of a view.

/// A byte of the view, and the range of the text that it stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) begin: usize,
    pub(super) end: usize,
}
