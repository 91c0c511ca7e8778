//! A writer of the database changes, removes and reorders audit entries, before and after they are
//! linked. Each change is found, unless no row depends on the entry.

use std::sync::Arc;

use valetkey::model::ConnectionId;
use valetkey::testing::Host;
use valetkey::vault::PostgresVault;
use valetkey::{ActingUser, TenantId};

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

/// The result of a verification: the first broken entry, and whether the connection is reported.
fn found(vault: &PostgresVault, tenant: &str, connection: ConnectionId) -> (Option<u64>, bool) {
    let report = vault.verify_audit(&TenantId::new(tenant).unwrap(), |_, _| {});
    let report = report.unwrap();
    (report.first_broken, report.out_of_date.contains(&connection))
}

#[test]
fn every_change_of_an_entry_that_waits_to_be_linked_is_found() {
    let Some(cluster) = Cluster::start() else { return };
    let vault = vault(&cluster);
    let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
    let alice = host.user("alice");
    let connection = host.connect(&alice, "notes").id;
    let other = ActingUser::authenticated("other", "bob").unwrap();
    let of_other = host.connect(&other, "notes").id;
    let (linked, _) = verify(&vault);
    assert_eq!(found(&vault, "other", of_other), (None, false));
    for _ in 0..REFRESHES {
        host.connections.refresh(&alice, connection).unwrap();
    }
    let schema = cluster.sql("SELECT max(nspname) FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let sql = |statements: &str| cluster.sql(&format!("SET search_path = {schema}; {statements}"));
    let tenant = sql("SELECT max(tenant) FROM audit_pending");
    let target = sql(&format!("SELECT max(id) FROM tenants WHERE id <> {tenant}"));
    let positions =
        sql("SELECT string_agg(CAST(position AS text), ' ' ORDER BY position) FROM audit_pending");
    let positions: Vec<u64> = positions.split(' ').map(|it| it.parse().unwrap()).collect();
    assert_eq!(positions.len(), REFRESHES, "a change does not link");
    for table in ["audit", "audit_heads", "audit_pending"] {
        sql(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"));
    }
    let restore = || {
        for table in ["audit", "audit_heads", "audit_pending"] {
            sql(&format!(
                "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}"
            ));
        }
    };
    for (at, position) in positions.iter().enumerate() {
        let one = format!("tenant = {tenant} AND position = {position}");
        let next = positions[(at + 1) % positions.len()];
        let number = linked + 1 + at as u64;
        let broken = [
            format!("UPDATE audit_pending SET at = at + 1 WHERE {one}"),
            format!("UPDATE audit_pending SET kind = 'revoked' WHERE {one}"),
            format!("UPDATE audit_pending SET mac = set_byte(mac, 0, get_byte(mac, 0) # 1) WHERE {one}"),
            // The format, the id of the entry, and the sealed record.
            format!("UPDATE audit_pending SET body = set_byte(body, 0, 1) WHERE {one}"),
            format!("UPDATE audit_pending SET body = set_byte(body, 9, get_byte(body, 9) # 1) WHERE {one}"),
            format!("UPDATE audit_pending SET body = set_byte(body, 40, get_byte(body, 40) # 1) WHERE {one}"),
        ];
        for change in broken {
            sql(&change);
            assert_eq!(
                found(&vault, Host::TENANT, connection).0,
                Some(number),
                "{change}"
            );
            restore();
        }
        let missing = [
            format!("DELETE FROM audit_pending WHERE {one}"),
            format!("DELETE FROM audit_pending WHERE tenant = {tenant} AND position >= {position}"),
            // Two entries change places.
            format!(
                "UPDATE audit_pending SET position = -1 WHERE {one};
                 UPDATE audit_pending SET position = {position} WHERE tenant = {tenant} AND position = {next};
                 UPDATE audit_pending SET position = {next} WHERE tenant = {tenant} AND position = -1"
            ),
        ];
        for change in missing {
            sql(&change);
            assert!(found(&vault, Host::TENANT, connection).1, "{change}");
            restore();
        }
        // The entry of one tenant is given to another one.
        sql(&format!("UPDATE audit_pending SET tenant = {target} WHERE {one}"));
        assert!(found(&vault, Host::TENANT, connection).1);
        assert!(found(&vault, "other", of_other).0.is_some());
        restore();
        // An entry that was linked is put back.
        assert_eq!(verify(&vault), (linked + REFRESHES as u64, None));
        sql(&format!(
            "INSERT INTO audit_pending SELECT * FROM kept_audit_pending WHERE {one}"
        ));
        let again = linked + REFRESHES as u64 + 1;
        assert_eq!(verify(&vault).1, Some(again));
        restore();
    }
    // The vault goes on working after an entry that it did not write.
    sql("UPDATE audit_pending SET kind = 'revoked'");
    assert_eq!(verify(&vault).1, Some(linked + 1));
    host.connections.refresh(&alice, connection).unwrap();
    assert_eq!(verify(&vault), (linked + REFRESHES as u64 + 1, Some(linked + 1)));
}
