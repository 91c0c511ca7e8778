//! The contract that every vault must pass, including a host's own.
//!
//! Not part of this crate's semantic versioning: a new version may check more of the contract.
//!
//! ```no_run
//! use std::sync::Arc;
//! use valetkey::vault::SealedVault;
//!
//! valetkey::testing::vault_contract::check(&|| Arc::new(SealedVault::in_memory()));
//! ```

mod audit;
mod chains;
mod claims;
mod connections;
mod consents;
mod definitions;
mod due;
mod failures;
mod fixtures;
mod forget;
mod former;
mod grants;
mod quarantine;
mod revocations;
mod rotation;
mod sharing;
mod sweep;
mod tokens;

use self::fixtures::*;

/// Checks the documented contract of [`Vault`] on vaults created by `make`, an empty one for each
/// check.
///
/// # Panics
///
/// At the first violation, with the name of the check in the message.
pub fn check(make: &dyn Fn() -> Arc<dyn Vault>) {
    for (name, check) in [
        consents::CHECKS,
        definitions::CHECKS,
        grants::CHECKS,
        connections::CHECKS,
        tokens::CHECKS,
        claims::CHECKS,
        failures::CHECKS,
        due::CHECKS,
        quarantine::CHECKS,
        sharing::CHECKS,
        former::CHECKS,
        revocations::CHECKS,
        audit::CHECKS,
        chains::CHECKS,
        sweep::CHECKS,
        rotation::CHECKS,
        forget::CHECKS,
    ]
    .into_iter()
    .flatten()
    {
        let guard = Name(name);
        check(make);
        std::mem::forget(guard);
    }
}

/// Names the running check when it panics.
struct Name(&'static str);

impl Drop for Name {
    #[allow(clippy::print_stderr, reason = "a test's failure must say where it happened")]
    fn drop(&mut self) {
        eprintln!("the vault contract is broken: {}", self.0);
    }
}
