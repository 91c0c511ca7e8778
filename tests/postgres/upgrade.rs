//! A schema of the first version is upgraded when it is opened.

use valetkey::testing::Host;
use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault, VaultError};

use crate::support::postgres::Cluster;

const SCHEMA: &str = "kept";

fn open(cluster: &Cluster) -> Result<PostgresVault, VaultError> {
    let options = PostgresOptions::new(&cluster.address()).unwrap();
    let key = MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    options.schema(SCHEMA).unwrap().connect(key)
}

#[test]
fn a_vault_of_the_first_version_is_upgraded_and_goes_on() {
    let Some(cluster) = Cluster::start() else { return };
    let sql = |statements: &str| cluster.sql(&format!("SET search_path = {SCHEMA}; {statements}"));
    let host = Host::builder().vault(open(&cluster).unwrap()).build().unwrap();
    let alice = host.user("alice");
    let connection = host.connect(&alice, "notes");
    let vault = open(&cluster).unwrap();
    let before = vault.verify_audit(&connection.tenant, |_, _| {}).unwrap();
    assert!(before.is_intact());
    // The first version had neither.
    sql(
        "DROP TABLE audit_pending; ALTER TABLE audit_heads DROP COLUMN layout;
         UPDATE valetkey_schema SET version = 1",
    );
    for _ in 0..2 {
        let vault = open(&cluster).unwrap();
        assert_eq!(sql("SELECT version FROM valetkey_schema"), "2");
        let again = vault.verify_audit(&connection.tenant, |_, _| {}).unwrap();
        assert!(again.is_intact() && again.checked >= before.checked, "{again:?}");
        let host = host.another().vault(vault).build().unwrap();
        host.connections.refresh(&alice, connection.id).unwrap();
    }
    let after = vault.verify_audit(&connection.tenant, |_, _| {}).unwrap();
    assert!(after.is_intact(), "{after:?}");
    assert_eq!(after.checked, before.checked + 2);
}

#[test]
fn a_process_of_the_first_version_can_neither_open_a_newer_schema_nor_write_to_a_chain() {
    let Some(cluster) = Cluster::start() else { return };
    let sql = |statements: &str| format!("SET search_path = {SCHEMA}; {statements}");
    drop(open(&cluster).unwrap());
    // The statement of the first version.
    let head = "INSERT INTO audit_heads (chain, number, mac, broken, seal)
        VALUES (0, 1, decode(repeat('00', 32), 'hex'), NULL, decode(repeat('00', 32), 'hex'))
        ON CONFLICT (chain) DO UPDATE SET number = excluded.number";
    let number = || cluster.sql(&sql("SELECT number FROM audit_heads WHERE chain = 0"));
    assert_eq!(number(), "0");
    cluster.try_sql(&sql(head));
    assert_eq!(number(), "0", "the server refused it");
    // The next version is refused in the same way by this one.
    cluster.sql(&sql("UPDATE valetkey_schema SET version = 3"));
    let newer = open(&cluster);
    assert!(
        matches!(
            newer,
            Err(VaultError::NewerVersion {
                found: 3,
                supported: 2
            })
        ),
        "{newer:?}"
    );
}
