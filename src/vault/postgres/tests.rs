//! The contract of the tables on a private server, and the rules that apply only here.

#[path = "../../../tests/support/postgres.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod cluster;

use std::time::Duration;

use cluster::Cluster;

use crate::clock::Clock as _;
use crate::model::Timestamp;
use crate::vault::postgres::sql::Sql;
use crate::vault::postgres::statement;
use crate::vault::postgres::tables::PostgresTables;
use crate::vault::tables::{Tables as _, Write};
use crate::vault::{PostgresOptions, VaultError, tables_contract};

fn options(cluster: &Cluster) -> PostgresOptions {
    PostgresOptions::new(&cluster.address())
        .unwrap()
        .schema(cluster.schema())
        .unwrap()
}

fn open(cluster: &Cluster) -> PostgresTables {
    PostgresTables::open(options(cluster).max_sessions(4)).unwrap()
}

#[test]
fn the_contract_of_tables_holds() {
    let Some(cluster) = Cluster::start() else { return };
    tables_contract::check(&|| open(&cluster));
    no_statement_walks_a_table(&cluster, "valetkey");
    let schema = cluster.sql("SELECT max(nspname) FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let policies = policies()
        .replace("'valetkey.tenant'", "'setting'")
        .replace("valetkey.", &format!("{schema}."))
        .replace("SCHEMA valetkey", &format!("SCHEMA {schema}"))
        .replace("'setting'", "'valetkey.tenant'");
    cluster.sql(&policies);
    no_statement_walks_a_table(&cluster, "agent");
}

/// Returns the SQL with which the guide sets up row-level security.
fn policies() -> String {
    let guide = include_str!("../../../docs/guide/several_machines.md");
    let (_, from) = guide.split_once("```sql\n").unwrap();
    let (sql, _) = from.split_once("```").unwrap();
    sql.to_owned()
}

/// Explains every statement that the contract ran. The planner may use a table without an index
/// only where it has no choice.
fn no_statement_walks_a_table(cluster: &Cluster, role: &str) {
    let schema = cluster.sql("SELECT max(nspname) FROM pg_namespace WHERE nspname LIKE 'vault_%'");
    let statements = statement::all();
    assert!(statements.len() > 60, "{} statements", statements.len());
    for statement in statements {
        if role != "valetkey" && statement.text.starts_with("INSERT INTO vault ") {
            // A restricted role must not change the row of the vault.
            continue;
        }
        let values = vec!["NULL"; statement.names.len()].join(", ");
        let values = if values.is_empty() {
            values
        } else {
            format!("({values})")
        };
        let plan = cluster.sql(&format!(
            "SET ROLE {role}; SET search_path = {schema}; SET valetkey.tenant = '1'; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;
             PREPARE explained AS {}; EXPLAIN (COSTS OFF) EXECUTE explained {values}",
            statement.text
        ));
        // The vault has one row, and a search for any row at all needs no index.
        let is_small = statement.text.contains("FROM vault") || statement.text.contains("OFFSET");
        assert!(
            is_small || !plan.contains("Seq Scan"),
            "{}\n{plan}",
            statement.text
        );
    }
}

#[test]
fn a_transaction_that_reads_once_and_writes_takes_two_round_trips() {
    let Some(cluster) = Cluster::start() else { return };
    let tables = open(&cluster);
    let name = crate::model::TenantId::new("acme").unwrap();
    tables
        .write(|rows| rows.insert_tenant(&name).map(Write::Commit))
        .unwrap();
    for (writes, expected) in [(0, 1), (1, 2), (5, 2)] {
        // The statements are prepared by the first of two equal transactions.
        for _ in 0..2 {
            tables.reset_trips();
            tables
                .write(|rows| {
                    assert!(rows.tenant(&name)?.is_some());
                    for number in 0..writes {
                        rows.set_pruned_to(
                            crate::vault::tables::Chain::Of(1),
                            1,
                            crate::vault::tables::Pruned::Uses,
                            number,
                        )?;
                    }
                    Ok(if writes == 0 {
                        Write::Unchanged(())
                    } else {
                        Write::Commit(())
                    })
                })
                .unwrap();
        }
        assert_eq!(tables.trips(), expected, "{writes} writes");
    }
}

#[test]
fn a_session_that_is_lost_is_replaced() {
    let Some(cluster) = Cluster::start() else { return };
    let tables = open(&cluster);
    tables.read(|rows| rows.vault()).unwrap();
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'valetkey'");
    // A session that was closed while it was idle may be noticed only by the first request.
    let first = tables.read(|rows| rows.vault());
    assert!(
        matches!(first, Ok(None) | Err(VaultError::Unreachable)),
        "{first:?}"
    );
    assert_eq!(tables.read(|rows| rows.vault()).unwrap(), None);
}

#[test]
fn all_sessions_in_use_is_an_error_after_a_bounded_wait() {
    let Some(cluster) = Cluster::start() else { return };
    let options = options(&cluster)
        .max_sessions(1)
        .session_wait(Duration::from_millis(50));
    let tables = PostgresTables::open(options).unwrap();
    let held = Sql::single(tables.pool()).unwrap();
    assert!(matches!(tables.read(|rows| rows.vault()), Err(VaultError::Busy)));
    drop(held);
    assert!(tables.read(|rows| rows.vault()).is_ok());
}

#[test]
fn the_clock_is_that_of_the_server() {
    let Some(cluster) = Cluster::start() else { return };
    let tables = open(&cluster);
    let server = || {
        let text = cluster.sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
        Timestamp::from_unix_millis(text.parse().unwrap())
    };
    let before = server();
    let now = tables.clock().unwrap().now();
    let after = server();
    // The two clocks run on one machine; a millisecond is lost by rounding.
    let rounding = Duration::from_millis(2);
    assert!(before.saturating_sub(rounding) <= now && now <= after + rounding);
}
