//! Moves the content of one vault into another.
//!
//! ```text
//! run      the order of a transfer: marks, copy, verification
//! copy     copies the rows of a tenant in pages, and continues an interrupted copy
//! verify   compares both sides and authenticates the target
//! kinds    the kinds of rows
//! side     the view that a transfer has of a vault
//! ```

mod copy;
mod error;
mod kinds;
mod report;
mod run;
pub(crate) mod side;
mod verify;

pub use error::TransferError;
pub use report::{TransferPhase, TransferProgress, Transferred};
pub use run::Transfer;
