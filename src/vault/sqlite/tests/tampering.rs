//! Records and keys that lie where they were not put.

use super::*;

#[test]
fn promise_04_a_moved_or_altered_record_is_an_error_and_stays_as_it_is() {
    let vault = SqliteVault::in_memory(key()).unwrap();
    for number in 1..=2 {
        grant(&vault, &connection(number), &number.to_string());
    }
    vault
        .store
        .writer()
        .execute_batch(
            "UPDATE secrets SET rest = x'00', access = (SELECT access FROM secrets WHERE slot =
                (SELECT slot FROM connections WHERE id = 2))
             WHERE slot = (SELECT slot FROM connections WHERE id = 1)",
        )
        .unwrap();
    let before = dump(&vault);
    assert!(matches!(access(&vault, 1), Err(VaultError::Tampered)));
    let claim = vault.claim_refresh(&ClaimRequest {
        tenant: &tenant(),
        connection: ConnectionId::from_bytes([1; 16]),
        holder: Holder::from_bytes([1; 16]),
        generation: 1,
        attempt: Attempt::Due,
        now: Timestamp::from_unix_millis(0),
        lease: Duration::from_secs(30),
    });
    assert!(matches!(claim, Err(VaultError::Tampered)), "{claim:?}");
    assert_eq!(dump(&vault), before, "no claim is held, nothing is overwritten");
    assert_eq!(access(&vault, 2).unwrap(), "access-2");
    // Revoking erases it all the same.
    let revoked = vault
        .revoke(
            &tenant(),
            ConnectionId::from_bytes([1; 16]),
            None,
            Timestamp::from_unix_millis(0),
        )
        .unwrap()
        .unwrap();
    assert!(revoked.tokens.is_none());
}

fn dump(vault: &SqliteVault) -> Vec<(i64, i64, String)> {
    let db = vault.store.writer();
    let mut statement = db
        .prepare("SELECT c.id, c.fence, hex(s.access) || hex(s.rest) FROM connections c JOIN secrets s ON s.slot = c.slot")
        .unwrap();
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn promise_05_a_swapped_data_key_is_tampering() {
    let (_directory, path) = file();
    let vault = SqliteVault::open(&path, key()).unwrap();
    grant(&vault, &connection(1), "1");
    let mut theirs = connection(1);
    theirs.tenant = TenantId::new("other").unwrap();
    grant(&vault, &theirs, "1");
    vault
        .store
        .writer()
        .execute_batch(
            "UPDATE secrets SET access = (SELECT access FROM tenant_keys JOIN secrets USING (slot)
                WHERE tenant = 2 AND version = 1)
             WHERE slot = (SELECT slot FROM tenant_keys WHERE tenant = 1 AND version = 1)",
        )
        .unwrap();
    drop(vault);
    let vault = SqliteVault::open(&path, key()).unwrap();
    assert!(matches!(access(&vault, 1), Err(VaultError::Tampered)));
}
