//! Connections over a vault in a file, opened with the key in another file.

use std::fs;

use valetkey::testing::{Host, ManualClock};
use valetkey::vault::{MasterKey, VaultError};
use valetkey::{Connections, Error};

#[test]
fn connections_open_the_vault_at_a_path_with_its_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.db");
    let text = MasterKey::generate().unwrap().to_base64();
    let key = || MasterKey::from_base64(&text).unwrap();
    let open = |key| {
        let builder = Connections::open(&path, key)?;
        let host = Host::new();
        builder
            .http_client(host.sandbox)
            .clock(ManualClock::default())
            .build()
    };
    drop(open(key()).unwrap());
    assert!(fs::metadata(&path).unwrap().len() > 0);
    drop(open(key()).unwrap());
    let refused = open(MasterKey::generate().unwrap()).unwrap_err();
    assert!(
        matches!(refused, Error::Vault(VaultError::WrongMasterKey)),
        "{refused:?}"
    );
}
