//! What an operator should know about the place where a vault is kept: part of the model, because events carry it.

pub use crate::model::VaultWarning;
