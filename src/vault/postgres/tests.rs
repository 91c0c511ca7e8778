//! The contract of the tables on a private server, and the rules that apply only here.

mod cluster;

pub(in crate::vault) use cluster::Cluster;

use crate::vault::postgres::tables::PostgresTables;
use crate::vault::{MasterKey, PostgresVault, VaultError, tables_contract};

#[test]
fn the_contract_of_tables_holds() {
    let Some(cluster) = Cluster::start() else { return };
    tables_contract::check(&|| PostgresTables::open(cluster.options().max_sessions(4)).unwrap());
}

#[test]
fn a_vault_opens_again_with_its_key_alone() {
    let Some(cluster) = Cluster::start() else { return };
    let key = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let open = |key| cluster.options_of("agent").connect(key);
    drop::<PostgresVault>(open(key()).unwrap());
    drop(open(key()).unwrap());
    let refused = open(MasterKey::generate().unwrap()).unwrap_err();
    assert!(matches!(refused, VaultError::WrongMasterKey), "{refused:?}");
}
