//! Checks of the contract of [`Tables`], to be run on each implementation.

mod audit;
mod connections;
mod consents;
mod definitions;
mod due;
mod erase;
mod expected;
pub(in crate::vault) mod fixtures;
mod grants;
mod keys;
mod lists;
mod pending;
mod revocations;
mod tenants;
mod tokens;
mod transactions;
mod transfer;

use crate::vault::tables::Tables;

/// A check of one rule. It creates as many empty vaults as it needs.
type Check<T> = fn(&dyn Fn() -> T);

/// A list of checks with their names.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        pub(super) fn checks<T: crate::vault::tables::Tables>()
            -> Vec<(&'static str, crate::vault::tables_contract::Check<T>)>
        {
            vec![$((stringify!($name), $name::<T>)),*]
        }
    };
}
use checks;

/// Runs all checks, each on its own empty vaults, which `make` creates.
///
/// # Panics
///
/// Panics at the first violated rule, with the name of the check in the output.
pub(crate) fn check<T: Tables>(make: &dyn Fn() -> T) {
    let all = [
        transactions::checks(),
        tenants::checks(),
        keys::checks(),
        connections::checks(),
        lists::checks(),
        tokens::checks(),
        grants::checks(),
        due::checks(),
        consents::checks(),
        definitions::checks(),
        revocations::checks(),
        audit::checks(),
        pending::checks(),
        erase::checks(),
        expected::checks(),
        transfer::checks(),
    ];
    for (name, check) in all.into_iter().flatten() {
        let _name = Name(name);
        check(make);
    }
}

/// Prints which check was running when it panics.
struct Name(&'static str);

impl Drop for Name {
    #[allow(clippy::print_stderr, reason = "a test's failure must say where it happened")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the check that failed: {}", self.0);
        }
    }
}
