//! Every vault of this crate passes the contract that other stores must pass.

use std::sync::Arc;

use valetkey::testing::vault_contract::check;
use valetkey::vault::SealedVault;

#[test]
fn memory() {
    check(&|| Arc::new(SealedVault::in_memory()));
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::cell::Cell;
    use std::sync::Arc;

    use valetkey::testing::vault_contract::check;
    use valetkey::vault::{MasterKey, SqliteVault};

    #[test]
    fn in_memory() {
        check(&|| Arc::new(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap()));
    }

    #[test]
    fn in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let count = Cell::new(0);
        check(&|| {
            count.set(count.get() + 1);
            let path = directory.path().join(format!("{}.db", count.get()));
            Arc::new(SqliteVault::open(path, MasterKey::generate().unwrap()).unwrap())
        });
    }
}
