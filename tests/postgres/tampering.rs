//! A writer of the database changes, removes and reorders stored audit entries. Each change is
//! found.

use std::sync::Arc;

use valetkey::TenantId;
use valetkey::testing::Host;
use valetkey::vault::PostgresVault;

use crate::support::postgres::Cluster;
use crate::vault;

/// The number of refreshes, each of which adds an entry.
const REFRESHES: usize = 3;

/// Returns the number of verified entries and that of the first broken one.
fn verify(vault: &PostgresVault) -> (u64, Option<u64>) {
    let report = vault.verify_audit(&TenantId::new(Host::TENANT).unwrap(), |_, _| {});
    let report = report.unwrap();
    (report.checked, report.first_broken)
}

#[test]
fn every_edit_removal_and_reordering_of_an_entry_is_found() {
    let Some(cluster) = Cluster::start() else { return };
    let vault = vault(&cluster);
    let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
    let alice = host.user("alice");
    let connection = host.connect(&alice, "notes");
    for _ in 0..REFRESHES {
        host.connections.refresh(&alice, connection.id).unwrap();
    }
    let (count, broken) = verify(&vault);
    assert!(count > REFRESHES as u64 && broken.is_none(), "{count} {broken:?}");
    let schema = cluster.sql("SELECT max(nspname) FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let sql = |statements: &str| cluster.sql(&format!("SET search_path = {schema}; {statements}"));
    let chain = sql("SELECT max(chain) FROM audit");
    sql("CREATE TABLE kept AS SELECT * FROM audit; CREATE TABLE kept_heads AS SELECT * FROM audit_heads");
    let restore = || {
        sql("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept;
             DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM kept_heads");
    };
    let mut found = 0;
    for number in 1..=count {
        let one = format!("chain = {chain} AND number = {number}");
        let next = number % count + 1;
        let head = "UPDATE audit_heads SET (number, mac) =
                (SELECT number, mac FROM audit a WHERE a.chain = audit_heads.chain ORDER BY number DESC LIMIT 1)
                WHERE EXISTS (SELECT 1 FROM audit a WHERE a.chain = audit_heads.chain)";
        let changes = [
            format!("UPDATE audit SET at = at + 1 WHERE {one}"),
            format!("UPDATE audit SET kind = 'revoked' || kind WHERE {one}"),
            format!("UPDATE audit SET body = set_byte(body, 20, get_byte(body, 20) # 1) WHERE {one}"),
            format!("UPDATE audit SET mac = set_byte(mac, 0, get_byte(mac, 0) # 1) WHERE {one}"),
            format!("UPDATE audit SET chain = chain + 1 WHERE {one}"),
            format!("DELETE FROM audit WHERE {one}"),
            // Two entries change places.
            format!(
                "UPDATE audit SET number = -1 WHERE {one};
                 UPDATE audit SET number = {number} WHERE chain = {chain} AND number = {next};
                 UPDATE audit SET number = {next} WHERE chain = {chain} AND number = -1"
            ),
            // The entries after this one move up.
            format!(
                "DELETE FROM audit WHERE {one};
                 UPDATE audit SET number = number + 1000 WHERE chain = {chain} AND number > {number};
                 UPDATE audit SET number = number - 1001 WHERE chain = {chain} AND number > 1000; {head}"
            ),
            // The end of the chain is removed.
            format!("DELETE FROM audit WHERE chain = {chain} AND number >= {number}; {head}"),
        ];
        for change in changes {
            sql(&change);
            let (_, broken) = verify(&vault);
            assert!(
                broken.is_some_and(|broken| broken <= number.max(next)),
                "{change}: {broken:?}"
            );
            found += 1;
            restore();
        }
    }
    assert_eq!(found, 9 * count);
    assert_eq!(verify(&vault), (count, None));
}
