use super::*;

#[test]
fn the_tables_are_kept_exactly_as_they_are_written() {
    let mut db = Connection::open_in_memory().unwrap();
    create(&mut db).unwrap();
    verify(&db, NEWEST).unwrap();
    assert_eq!(state(&db).unwrap(), State::Vault(NEWEST));
    // A second call changes nothing.
    create(&mut db).unwrap();
    assert_eq!(
        crate::vault::tables::Rows::vault(&crate::vault::sqlite::sql::Sql(&db)).unwrap(),
        None
    );
}

#[test]
fn any_other_object_is_refused() {
    for change in [
        "CREATE TABLE other (a)",
        "CREATE VIEW other AS SELECT 1",
        "CREATE TRIGGER other AFTER INSERT ON grants BEGIN DELETE FROM audit; END",
        "CREATE INDEX other ON grants (status)",
        "DROP INDEX grants_by_key",
        "DROP INDEX grants_by_key; CREATE INDEX grants_by_key ON grants (tenant)",
        "ANALYZE",
        "DROP TABLE uses",
        "DROP TABLE uses; CREATE TABLE uses (tenant, uuid, used_at)",
    ] {
        let mut db = Connection::open_in_memory().unwrap();
        create(&mut db).unwrap();
        db.execute_batch(change).unwrap();
        assert!(
            matches!(verify(&db, NEWEST), Err(VaultError::Tampered)),
            "{change}"
        );
    }
}

#[test]
fn what_is_cut_off_while_it_is_made_leaves_an_empty_file() {
    let mut db = Connection::open_in_memory().unwrap();
    // The last table exists already: the statements before it are rolled back.
    db.execute_batch("CREATE TABLE audit_checkpoints (a)").unwrap();
    assert!(matches!(create(&mut db), Err(VaultError::NotAVault)));
    db.execute_batch("DROP TABLE audit_checkpoints").unwrap();
    assert_eq!(state(&db).unwrap(), State::Empty);
}

#[test]
fn newer_and_foreign_files_are_told_apart() {
    let mut db = Connection::open_in_memory().unwrap();
    create(&mut db).unwrap();
    db.pragma_update(None, "user_version", NEWEST + 1).unwrap();
    assert!(matches!(
        state(&db),
        Err(VaultError::NewerVersion {
            found: 6,
            supported: 5
        })
    ));
    db.pragma_update(None, "user_version", 0).unwrap();
    assert!(matches!(state(&db), Err(VaultError::Damaged)));
    db.pragma_update(None, "application_id", 0).unwrap();
    assert!(matches!(state(&db), Err(VaultError::NotAVault)));
}

#[test]
fn a_file_of_an_older_schema_has_all_objects_except_the_newer_ones() {
    let mut db = Connection::open_in_memory().unwrap();
    create(&mut db).unwrap();
    for (version, objects) in [
        (
            4,
            "DROP INDEX connections_by_provider; DROP INDEX connections_revoked;
            DROP INDEX grants_ended; DROP INDEX grants_unrefreshable",
        ),
        (3, "DROP TABLE definitions"),
    ] {
        assert!(matches!(verify(&db, version), Err(VaultError::Tampered)));
        db.execute_batch(objects).unwrap();
        verify(&db, version).unwrap();
        assert!(matches!(verify(&db, NEWEST), Err(VaultError::Tampered)));
    }
    create_missing(&db).unwrap();
    verify(&db, NEWEST).unwrap();
}
