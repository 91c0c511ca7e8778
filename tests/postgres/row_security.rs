//! Row-level security as the guide describes it: hosts work as the restricted role, and a session
//! of one tenant reaches no row of another.

use std::cell::Cell;
use std::sync::Arc;

use valetkey::connections::{Budget, ConnectionFilter};
use valetkey::internals::vault::postgres::take_trips;
use valetkey::testing::Host;
use valetkey::testing::vault_contract::check;
use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault, VaultError};
use valetkey::{ActingUser, ConsentOptions, Error};

use crate::support::postgres::Cluster;
use crate::support::processes::key;

/// Returns the SQL of the guide.
fn policies() -> &'static str {
    let guide = include_str!("../../docs/guide/several_machines.md");
    let (_, from) = guide.split_once("```sql\n").unwrap();
    from.split_once("```").unwrap().0
}

/// Returns a server on which the owner has created a vault, with the policies of the guide.
fn secured() -> Option<Cluster> {
    let cluster = Cluster::start()?;
    PostgresVault::connect(&cluster.address(), key()).unwrap();
    cluster.sql(policies());
    Some(cluster)
}

fn as_role(cluster: &Cluster, role: &str) -> PostgresOptions {
    let address = cluster
        .address()
        .replace("user=valetkey", &format!("user={role}"));
    PostgresOptions::new(&address).unwrap()
}

fn agent(cluster: &Cluster) -> Arc<PostgresVault> {
    let options = as_role(cluster, "agent").row_level_security();
    Arc::new(options.connect(key()).unwrap())
}

fn user(tenant: &str) -> ActingUser {
    ActingUser::authenticated(tenant, "alice").unwrap()
}

fn listed(host: &Host, user: &ActingUser) -> usize {
    let filter = ConnectionFilter::default();
    host.connections.list(user, &filter).unwrap().len()
}

#[test]
fn a_restricted_role_serves_users_and_the_other_one_does_upkeep() {
    let Some(cluster) = secured() else { return };
    let vault = agent(&cluster);
    let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
    let users = ["acme", "other"].map(user);
    let connections = users.each_ref().map(|user| host.connect(user, "notes"));
    for generation in [1, 2, 3] {
        for user in &users {
            let token = host.resolver.resolve(user, "notes").unwrap();
            assert_eq!(token.generation(), generation);
            assert_eq!(listed(&host, user), 1);
        }
        host.expire();
    }
    // The restricted role finds nothing that is due; the other one finds all of it.
    let refreshes = host.sandbox.count("/token");
    host.connections.maintain(Budget::default()).unwrap();
    assert_eq!(host.sandbox.count("/token"), refreshes);
    let upkeep = as_role(&cluster, "agent_upkeep").connect(key()).unwrap();
    let due = upkeep
        .reseal_tokens(99, valetkey::Clock::now(&host.clock))
        .unwrap();
    assert_eq!(due.remaining, 0);
    for user in &users {
        let data_key = upkeep.rotate_data_key(user.tenant(), valetkey::Clock::now(&host.clock));
        assert_eq!(data_key.unwrap().done, 1);
    }
    assert_eq!(
        upkeep
            .reseal_tokens(99, valetkey::Clock::now(&host.clock))
            .unwrap()
            .done,
        2
    );

    host.connections.revoke(&users[0], connections[0].id).unwrap();
    let revoked = host.resolver.resolve(&users[0], "notes");
    assert!(matches!(revoked, Err(Error::ConsentRequired(_))), "{revoked:?}");
    assert_eq!(host.resolver.resolve(&users[1], "notes").unwrap().generation(), 4);
    for user in &users {
        let report = vault.verify_audit(user.tenant(), |_, _| {}).unwrap();
        assert!(report.is_intact(), "{report:?}");
    }
    // A whole tenant is erased, with an entry in the chain of the vault.
    let operator = valetkey::Operator::authenticated("other", "olivia").unwrap();
    host.connections.forget_tenant(&operator).unwrap();
    assert_eq!(
        cluster.sql("SELECT count(*) FROM valetkey.tenants WHERE name = 'other'"),
        "0"
    );
    assert!(upkeep.verify_vault_audit(|_, _| {}).unwrap().is_intact());
}

#[test]
fn a_session_of_one_tenant_reaches_no_row_of_another() {
    let Some(cluster) = secured() else { return };
    let vault = agent(&cluster);
    let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
    for name in ["acme", "other"] {
        host.connect(&user(name), "notes");
        host.resolver.resolve(&user(name), "notes").unwrap();
        host.connections
            .start(&user(name), "mail", ConsentOptions::default())
            .unwrap();
    }
    let number = |name: &str| cluster.sql(&format!("SELECT id FROM valetkey.tenants WHERE name = '{name}'"));
    let (acme, other) = (number("acme"), number("other"));
    // Every column by which a table names its tenant.
    let columns = cluster.sql(
        "SELECT table_name || ' ' || min(column_name) FROM information_schema.columns
         WHERE table_schema = 'valetkey' AND column_name IN ('tenant', 'chain') GROUP BY table_name",
    );
    let columns: Vec<_> = columns.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(columns.len(), 14, "{columns:?}");
    let mut seen = 0;
    for (table, column) in columns {
        let all = |condition: &str| {
            cluster.sql(&format!(
                "SELECT count(*) FROM valetkey.{table} WHERE {condition}"
            ))
        };
        let session = |setting: &str, sql: &str| {
            cluster.sql(&format!(
                "SET ROLE agent; SET valetkey.tenant = '{setting}'; {sql}"
            ))
        };
        let of_other = format!("{column} = {other}");
        let stored = all(&of_other);
        seen += usize::from(stored != "0");
        let count = format!("SELECT count(*) FROM valetkey.{table} WHERE {of_other}");
        assert_eq!(
            session(&other, &count),
            stored,
            "{table}: its own session sees its rows"
        );
        for setting in [acme.as_str(), ""] {
            assert_eq!(session(setting, &count), "0", "{table} as {setting:?}");
            // Without any condition, as a statement that forgot it.
            let foreign = format!(
                "WITH x AS (DELETE FROM valetkey.{table} RETURNING {column} AS t)
                 SELECT count(*) FROM x WHERE t <> {acme}"
            );
            assert_eq!(
                session(setting, &format!("BEGIN; {foreign}; ROLLBACK")),
                "0",
                "{table}"
            );
            let update = format!(
                "WITH x AS (UPDATE valetkey.{table} SET {column} = {column} RETURNING {column} AS t)
                 SELECT count(*) FROM x WHERE t <> {acme}"
            );
            assert_eq!(
                session(setting, &format!("BEGIN; {update}; ROLLBACK")),
                "0",
                "{table}"
            );
        }
        let moved = format!(
            "SET ROLE agent; SET valetkey.tenant = '{acme}';
             UPDATE valetkey.{table} SET {column} = {other}"
        );
        let has_own = all(&format!("{column} = {acme}")) != "0";
        assert_eq!(
            cluster.fails(&moved),
            has_own,
            "{table}: a row cannot be given away"
        );
        assert_eq!(all(&of_other), stored, "{table} is unchanged");
    }
    // Names are visible, so that a tenant is found; nothing else about another one can be changed.
    let renamed = format!(
        "SET ROLE agent; SET valetkey.tenant = '{acme}'; BEGIN;
         WITH x AS (UPDATE valetkey.tenants SET name = 'x' RETURNING id) SELECT count(*) FROM x WHERE id <> {acme};
         ROLLBACK"
    );
    assert_eq!(cluster.sql(&renamed), "0");
    assert!(seen >= 6, "only {seen} tables had rows");
    for sql in [
        "UPDATE valetkey.vault SET key_check = key_check",
        "DELETE FROM valetkey.valetkey_schema",
    ] {
        assert!(cluster.fails(&format!("SET ROLE agent; {sql}")), "{sql}");
    }
}

#[test]
fn without_the_option_a_restricted_role_stores_nothing() {
    let Some(cluster) = secured() else { return };
    let vault = as_role(&cluster, "agent").connect(key()).unwrap();
    let host = Host::builder().vault(vault).build().unwrap();
    let refused = host.connect_with(&user("acme"), "notes", "ada", ConsentOptions::default());
    assert!(
        matches!(refused, Err(Error::Vault(VaultError::AccessDenied(_)))),
        "{refused:?}"
    );
    assert_eq!(cluster.sql("SELECT count(*) FROM valetkey.tenants"), "1");
}

#[test]
fn naming_the_tenant_takes_no_round_trip() {
    let Some(cluster) = secured() else { return };
    let count = |vault: Arc<PostgresVault>| {
        let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
        host.connect(&user("acme"), "notes");
        host.resolver.resolve(&user("acme"), "notes").unwrap();
        let _ = take_trips(&vault);
        host.expire();
        host.resolver.resolve(&user("acme"), "notes").unwrap();
        let refresh = take_trips(&vault);
        host.connections
            .list(&user("acme"), &ConnectionFilter::default())
            .unwrap();
        (refresh, take_trips(&vault))
    };
    let cold = |options: PostgresOptions| {
        let options = options.max_staleness(std::time::Duration::ZERO).unwrap();
        Arc::new(options.connect(key()).unwrap())
    };
    let with = count(cold(as_role(&cluster, "agent").row_level_security()));
    let without = count(cold(as_role(&cluster, "agent_upkeep")));
    assert_eq!(with, without);
}

#[test]
fn the_contract_of_vaults_holds_with_the_option() {
    let Some(cluster) = Cluster::start() else { return };
    let count = Cell::new(0);
    check(&|| {
        count.set(count.get() + 1);
        let schema = format!("secured_{}", count.get());
        let master = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let options = PostgresOptions::new(&cluster.address()).unwrap();
        let options = options.schema(schema.as_str()).unwrap().row_level_security();
        Arc::new(options.connect(master()).unwrap())
    });
}
