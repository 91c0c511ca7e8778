//! The query plans of the statements.

use rusqlite::Connection;

use super::walk::walk;
use super::*;
use crate::vault::sqlite::sql::tests::recorded;

fn plan(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    for at in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(at, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get::<_, String>(3).unwrap());
    }
    plan
}

/// Returns all statements that the walk ran, each with its plan.
fn plans() -> Vec<(&'static str, Vec<String>)> {
    let tables = SqliteTables::in_memory().unwrap();
    walk(&tables);
    let db = tables.store.writer();
    recorded()
        .into_iter()
        .filter(|sql| !["BEGIN", "COMMIT"].contains(sql))
        .map(|sql| (sql, plan(&db, sql)))
        .collect()
}

#[test]
fn no_statement_reads_a_table_from_end_to_end() {
    let plans = plans();
    assert!(plans.len() > 80, "the walk ran {} statements", plans.len());
    for (sql, plan) in plans {
        for step in plan {
            let is_bounded = step.contains("VIRTUAL TABLE")
                || step.contains("CONSTANT ROW")
                // Tenants that are being erased are in the index of names, and one is enough.
                || sql.starts_with("SELECT 1 FROM revocations LIMIT 1")
                // The table holds only the keys that resealing has not destroyed yet.
                || step.contains("tenant_keys_retired")
                // Grants that ended, found by an index.
                || (sql.contains("grants_ended") && step.starts_with("SCAN (subquery"));
            assert!(!step.starts_with("SCAN") || is_bounded, "{sql}: {step}");
            // A statement walks all rows of a tenant only if all are wanted.
            let is_whole = step.contains("PRIMARY KEY (tenant=?)");
            let wants_all = [
                "WHERE tenant = :tenant",
                "WHERE tenant = :chain",
                "WHERE tenant = :tenant LIMIT :limit",
            ];
            let wants_all =
                sql.contains("ORDER BY uuid LIMIT") || wants_all.iter().any(|end| sql.ends_with(end));
            // Before a tenant is deleted, SQLite searches for one row that names it.
            let is_check = sql.starts_with("DELETE FROM tenants");
            assert!(!is_whole || wants_all || is_check, "{sql}: {step}");
            let is_sorted = step.contains("TEMP B-TREE") && !sql.contains("grants_ended");
            assert!(!is_sorted, "{sql}: {step}");
        }
    }
}

#[test]
fn each_search_uses_the_index_that_was_made_for_it() {
    let plans = plans();
    for (begin, part, index) in [
        ("SELECT g.status", "c.is_default DESC", "connections_current"),
        ("SELECT g.status", "c.label = :label", "connections_labelled"),
        (
            "SELECT u.used_at",
            "c.owner = :owner AND",
            "connections_owned (tenant=? AND owner=? AND uuid>?)",
        ),
        (
            "SELECT u.used_at",
            "c.grant_id = :grant AND",
            "connections_by_grant (tenant=? AND grant_id=?",
        ),
        ("SELECT count(*)", "owner = :owner", "connections_owned"),
        (
            "SELECT t.id",
            "g.expires_at < :expires_before",
            "grants_by_expiry (server=? AND expires_at",
        ),
        (
            "SELECT t.id",
            "g.refreshed_at < :refreshed_before",
            "grants_by_refresh (server=? AND refreshed_at",
        ),
        ("SELECT t.id", "g.quarantined_until <=", "grants_by_quarantine"),
        ("SELECT t.id", "g.dead_at <= :now", "grants_by_death"),
        ("SELECT uuid", "former_of = :of", "grants_former"),
        (
            "SELECT g.uuid",
            "g.key_version = :version",
            "grants_by_key (tenant=? AND key_version=? AND uuid>?)",
        ),
        ("SELECT c.state", "c.user = :user", "consents_by_user"),
        ("SELECT t.id", "c.expires_at < :before", "consents_expiring"),
        (
            "SELECT r.uuid",
            "r.connection = :connection",
            "revocations_by_connection",
        ),
        ("SELECT t.id", "r.not_before <= :now", "revocations_by_time"),
        ("SELECT min", "master_key > :after", "tenant_keys_by_master"),
        (
            "SELECT number",
            "tenant = :tenant AND number > :after",
            "audit_legacy_by_tenant",
        ),
    ] {
        let found: Vec<_> = plans
            .iter()
            .filter(|(sql, _)| sql.starts_with(begin) && sql.contains(part))
            .collect();
        assert!(!found.is_empty(), "{begin} {part}");
        for (sql, plan) in found {
            assert!(plan.concat().contains(index), "{sql}: {plan:?}");
        }
    }
}

#[test]
fn the_hot_path_is_one_search_in_each_table() {
    let hot: Vec<_> = plans()
        .into_iter()
        .filter(|(sql, _)| sql.starts_with("SELECT g.status") && sql.ends_with("LIMIT 2"))
        .collect();
    let [(_, plan)] = hot.as_slice() else {
        panic!("{hot:?}");
    };
    assert_eq!(plan.len(), 3, "{plan:?}");
    assert!(plan.iter().all(|step| step.starts_with("SEARCH")), "{plan:?}");
}

#[test]
fn listing_touches_no_secret() {
    for (sql, _) in plans() {
        let is_listing = sql.starts_with("SELECT u.used_at");
        assert!(!is_listing || !sql.contains("secrets"), "{sql}");
    }
}
