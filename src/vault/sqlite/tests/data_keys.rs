//! Data keys that are replaced.

use super::*;

#[test]
fn promise_06_a_data_key_is_replaced_before_it_has_sealed_too_much() {
    let mut vault = SqliteVault::in_memory(key()).unwrap();
    vault.keyring.set_max_seals(4);
    for number in 1..=9 {
        grant(&vault, &connection(number), &number.to_string());
    }
    for number in 1..=9 {
        assert_eq!(access(&vault, number).unwrap(), format!("access-{number}"));
    }
    let db = vault.store.writer();
    let mut statement = db
        .prepare(
            "SELECT version, seals, retired FROM tenant_keys WHERE version < 2147483648 ORDER BY version",
        )
        .unwrap();
    let keys: Vec<(u32, u32, bool)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        (1, 4, true),
        (2, 4, true),
        (3, 4, true),
        (4, 4, true),
        (5, 2, false),
    ];
    assert_eq!(keys, expected);
    let most: u32 = db
        .query_row("SELECT max(seals) FROM tenant_keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(most, 4, "audit keys are counted too");
    drop(statement);
    drop(db);
    assert!(vault.verify_audit().unwrap().is_intact());
    assert_eq!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len(), 9 + 4);
}

#[test]
fn another_process_sees_a_new_data_key() {
    let (_directory, path) = file();
    let mut one = SqliteVault::open(&path, key()).unwrap();
    let other = SqliteVault::open(&path, key()).unwrap();
    one.keyring.set_max_seals(2);
    grant(&one, &connection(1), "1");
    assert_eq!(access(&other, 1).unwrap(), "access-1");
    grant(&one, &connection(2), "2");
    assert_eq!(
        access(&other, 2).unwrap(),
        "access-2",
        "sealed with a key it had not seen"
    );
    grant(&other, &connection(3), "3");
    assert_eq!(access(&one, 3).unwrap(), "access-3");
    let retired: u32 = other
        .store
        .writer()
        .query_row("SELECT seals FROM tenant_keys WHERE version = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(retired, 2, "nobody seals with a key that was replaced");
}
