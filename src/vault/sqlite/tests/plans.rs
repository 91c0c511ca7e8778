//! How statements find their rows.

use super::*;

fn plan(db: &Database, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let count = statement.parameter_count();
    for at in 1..=count {
        statement.raw_bind_parameter(at, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get::<_, String>(3).unwrap());
    }
    plan
}

/// No statement reads a table from end to end, and the hot path does not even sort.
#[test]
fn every_statement_searches_an_index() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let db = vault.store.writer();
    let all = [
        ("token by owner", tokens::BY_OWNER),
        ("token by label", tokens::BY_LABEL),
        ("token by id", tokens::BY_ID),
        ("connection by id", connections::BY_ID),
        ("due", due::DUE),
        ("idle", due::IDLE),
        ("over", due::OVER),
        ("claim", refresh::WITH_REST),
        ("renew", refresh::RENEW),
        ("lifecycle", rows::UPDATE_LIFECYCLE),
        ("wipe access", slots::WIPE_ACCESS),
        ("wipe", slots::WIPE),
        ("overwrite", slots::OVERWRITE),
        ("secrets", slots::READ),
        ("lengths", slots::LENGTHS),
        ("find free", slots::FIND_FREE),
        ("take free", slots::TAKE_FREE),
        ("sharing", connections::LIST_SHARING),
        ("somebody shares", grants::SOMEBODY_SHARES),
        ("leave", erase::LEAVE),
        ("count of owner", forget::COUNT_OF),
        ("clear default of one", erase::CLEAR_DEFAULT),
        ("clear default", connections::CLEAR_DEFAULT),
        ("set default", connections::SET_DEFAULT),
        ("record use", connections::RECORD_USE),
        ("replace", grants::REPLACE),
        ("list", connections::LIST),
        ("list current", connections::LIST_CURRENT),
        ("list of provider", connections::LIST_OF_PROVIDER),
        ("list current of provider", connections::LIST_CURRENT_OF_PROVIDER),
        ("list of owner", connections::LIST_OF_OWNER),
        ("list current of owner", connections::LIST_CURRENT_OF_OWNER),
        ("list of both", connections::LIST_OF_BOTH),
        ("list current of both", connections::LIST_CURRENT_OF_BOTH),
        ("consent", consents::BY_STATE),
        ("consents of a person", consents::BY_USER),
        ("take consent", consents::TAKE),
        ("close consent", consents::CLOSE),
        ("complete consent", consents::COMPLETE),
        ("over consents", consents::OVER),
        ("delete consent", consents::DELETE),
        ("consent slot", consents::SLOT),
        ("tenant", keys::TENANT),
        ("newest key", keys::NEWEST_KEY),
        ("key", keys::KEY),
        ("count seals", keys::COUNT_SEALS),
        ("retire", keys::RETIRE),
        ("audit page", audit::PAGE),
        ("audit page back", audit::PAGE_BACK),
        ("audit chain", audit::CHAIN),
        ("audit mac", audit::MAC),
        ("audit head", audit::HEAD),
        ("outbox due", outbox::DUE),
        ("outbox lease", outbox::LEASE),
        ("outbox find", outbox::FIND),
        ("outbox again", outbox::AGAIN),
        ("outbox delete", outbox::DELETE),
        ("connections of", forget::CONNECTIONS_OF),
        ("consents of", forget::CONSENTS_OF),
        ("outbox of", forget::OUTBOX_OF),
        ("keys of", forget::KEYS),
        ("delete keys", forget::DELETE_KEYS),
        ("unname", forget::UNNAME),
        ("unnamed", forget::UNNAMED),
        ("count connections", forget::COUNT),
        ("some connections", forget::SOME_CONNECTIONS),
        ("some consents", forget::SOME_CONSENTS),
        ("some outbox", forget::SOME_OUTBOX),
        ("delete connection", forget::DELETE_CONNECTION),
        ("delete tenant", forget::DELETE_TENANT),
        ("next master", rotate::NEXT_MASTER),
        ("wrapped by", rotate::WRAPPED_BY),
        ("rewrap", rotate::REWRAP),
        ("sealed by", rotate::SEALED_BY),
        ("set version", rotate::SET_VERSION),
        ("key slot", rotate::KEY_SLOT),
        ("delete key", rotate::DELETE_KEY),
    ];
    for (name, sql) in all {
        let plan = plan(&db, sql);
        assert!(
            plan.iter().any(|step| step.starts_with("SEARCH")),
            "{name}: {plan:?}"
        );
        assert!(
            !plan.iter().any(|step| step.starts_with("SCAN")),
            "{name}: {plan:?}"
        );
        if name.starts_with("token") {
            assert!(
                !plan.iter().any(|step| step.contains("TEMP B-TREE")),
                "{name}: {plan:?}"
            );
        }
        if name.starts_with("list") {
            assert!(!sql.contains("secrets"), "{name} touches a secret");
        }
    }
    let by_owner = plan(&db, tokens::BY_OWNER).concat();
    assert!(by_owner.contains("connections_by_owner"), "{by_owner}");
    let by_label = plan(&db, tokens::BY_LABEL).concat();
    assert!(by_label.contains("connections_by_label"), "{by_label}");
    for (sql, index) in [
        (due::DUE, "connections_by_expiry"),
        (due::IDLE, "connections_by_renewal"),
        (due::OVER, "connections_by_quarantine"),
        (outbox::DUE, "outbox_by_time"),
        (rotate::RETIRED, "tenant_keys_retired"),
        (rotate::SEALED_BY, "connections_by_key"),
        (rotate::NEXT_MASTER, "tenant_keys_by_master"),
        (audit::PAGE, "audit_by_tenant"),
        (audit::PAGE_BACK, "audit_by_tenant"),
    ] {
        let plan = plan(&db, sql).concat();
        assert!(plan.contains(index) && !plan.contains("TEMP"), "{plan}");
    }
    for of_owner in [
        connections::LIST_OF_OWNER,
        connections::LIST_CURRENT_OF_OWNER,
        connections::LIST_OF_BOTH,
        connections::LIST_CURRENT_OF_BOTH,
    ] {
        // A person's few are sorted; the tenant's many are not walked.
        let plan = plan(&db, of_owner).concat();
        assert!(
            plan.contains("connections_by_owner (tenant=? AND owner=?"),
            "{plan}"
        );
    }
    let page = plan(&db, connections::LIST_CURRENT).concat();
    assert!(
        page.contains("connections_by_id") && !page.contains("TEMP"),
        "{page}"
    );
}

/// The hot path of a connection with tokens of its own is the one statement that it was.
#[test]
fn the_hot_path_looks_nowhere_else() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    let db = vault.store.writer();
    let plan = plan(&db, tokens::BY_OWNER);
    assert_eq!(
        plan.len(),
        2,
        "one search for the row, one for the token: {plan:?}"
    );
}
