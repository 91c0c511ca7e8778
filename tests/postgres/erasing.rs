//! Users and tenants are erased while hosts on two machines refresh their tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use valetkey::model::Connection;
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault};
use valetkey::{ActingUser, Error, Operator, TenantId};

use crate::support::postgres::Cluster;

/// The number of times that each is erased, each time at another moment of the refreshes.
const ROUNDS: usize = 8;
/// The number of refreshes that precede the erasure.
const REFRESHES: usize = 4;

/// Two hosts on one vault.
struct Machines {
    cluster: Cluster,
    schema: String,
    vault: Arc<PostgresVault>,
    hosts: [Host; 2],
    operator: Operator,
}

impl Machines {
    fn start() -> Option<Self> {
        let cluster = Cluster::start()?;
        let schema = cluster.schema();
        let key = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let open = || {
            let options = PostgresOptions::new(&cluster.address()).unwrap();
            Arc::new(options.schema(&schema).unwrap().connect(key()).unwrap())
        };
        let vault = open();
        let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
        let other = host.another().vault(open()).build().unwrap();
        Some(Self {
            operator: host.operator("root"),
            hosts: [host, other],
            cluster,
            schema,
            vault,
        })
    }

    /// Refreshes these connections on both hosts until they are gone. Calls `erase` in between, the
    /// later the higher the round.
    fn refresh_until(&self, round: usize, connections: &[(ActingUser, Connection)], erase: impl FnOnce()) {
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            for host in &self.hosts {
                for (user, connection) in connections {
                    let done = &done;
                    scope.spawn(move || {
                        loop {
                            match host.connections.refresh(user, connection.id) {
                                Ok(_) => _ = done.fetch_add(1, Ordering::SeqCst),
                                Err(Error::NotFound | Error::ConsentRequired(_)) => return,
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                    });
                }
            }
            while done.load(Ordering::SeqCst) < REFRESHES + round {
                thread::yield_now();
            }
            erase();
        });
    }

    /// Returns the number of rows of each table that is not part of the audit.
    fn rows(&self) -> Vec<(String, String)> {
        let tables = self.cluster.sql(&format!(
            "SELECT table_name FROM information_schema.tables
             WHERE table_schema = '{}' AND table_name NOT LIKE 'audit%' ORDER BY table_name",
            self.schema
        ));
        let count = |table: &str| {
            let count = format!("SELECT count(*) FROM {}.{table}", self.schema);
            (table.to_owned(), self.cluster.sql(&count))
        };
        tables.lines().map(count).collect()
    }

    /// Returns the tables that contain a row of this tenant.
    fn tables_of(&self, tenant: &str) -> Vec<String> {
        let columns = self.cluster.sql(&format!(
            "SELECT table_name || ' WHERE ' || column_name FROM information_schema.columns
             WHERE table_schema = '{}' AND column_name IN ('tenant', 'chain') ORDER BY 1",
            self.schema
        ));
        assert!(columns.lines().count() >= 14, "{columns}");
        let has_rows = |place: &&str| {
            let count = format!("SELECT count(*) FROM {}.{place} = {tenant}", self.schema);
            self.cluster.sql(&count) != "0"
        };
        columns.lines().filter(has_rows).map(str::to_owned).collect()
    }
}

#[test]
fn a_user_who_is_erased_beside_refreshes_leaves_no_row() {
    let Some(machines) = Machines::start() else { return };
    let [host, other] = &machines.hosts;
    let (alice, bob) = (host.user("alice"), host.user("bob"));
    host.connect(&bob, "notes");
    let before = machines.rows();
    assert!(before.len() >= 10, "{before:?}");
    for round in 0..ROUNDS {
        let connection = host.connect(&alice, "notes");
        machines.refresh_until(round, &[(alice.clone(), connection)], || {
            let forgotten = host.connections.forget_user(&machines.operator, alice.user());
            assert!(forgotten.unwrap().is_some());
        });
        assert_eq!(machines.rows(), before, "round {round}");
    }
    let report = machines.vault.verify_audit(bob.tenant(), |_, _| {}).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert!(other.connections.list(&bob, &Default::default()).unwrap().len() == 1);
}

#[test]
fn a_tenant_that_is_erased_beside_refreshes_leaves_no_row() {
    let Some(machines) = Machines::start() else { return };
    let [host, _] = &machines.hosts;
    let users = ["alice", "bob", "carol"].map(|name| host.user(name));
    for round in 0..ROUNDS {
        let connections = users.clone().map(|user| {
            let connection = host.connect(&user, "notes");
            (user, connection)
        });
        let tenant = machines.cluster.sql(&format!(
            "SELECT id FROM {}.tenants WHERE name = '{}'",
            machines.schema,
            Host::TENANT
        ));
        assert_ne!(machines.tables_of(&tenant), [""; 0]);
        machines.refresh_until(round, &connections, || {
            let forgotten = host.connections.forget_tenant(&machines.operator);
            assert!(forgotten.unwrap().is_some());
        });
        assert_eq!(machines.tables_of(&tenant), [""; 0], "round {round}");
    }
    let own = TenantId::new(Host::TENANT).unwrap();
    assert!(machines.vault.verify_audit(&own, |_, _| {}).unwrap().is_intact());
}
