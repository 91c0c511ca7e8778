//! A sealed record opens in its own place alone.

#![cfg(feature = "sqlite")]

mod vault_support;

use valetkey::TenantId;
use valetkey::model::ConnectionId;
use valetkey::vault::{Vault, VaultError};
use vault_support::*;

/// Every record moved into the place of every other, as a writer of the file can.
#[test]
fn promise_04_no_record_opens_in_the_place_of_another() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let mut other = connection(9, 1);
    other.tenant = TenantId::new("other").unwrap();
    grant(&vault, &other, &tokens("access", "refresh"));
    for number in 1..=4 {
        grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
    }
    refresh(&vault, 4, 1, &tokens("access", "refresh"));
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TEMP TABLE good AS SELECT slot, access, rest FROM secrets")
        .unwrap();
    let slots: Vec<(i64, Vec<u8>)> = db
        .prepare("SELECT slot, uuid FROM connections")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut moved = 0;
    for (to, uuid) in &slots {
        for (from, _) in &slots {
            for column in ["access", "rest"] {
                if from == to && column == "access" {
                    continue;
                }
                db.execute(
                    &format!("UPDATE secrets SET access = (SELECT {column} FROM good WHERE slot = ?1) WHERE slot = ?2"),
                    [from, to],
                )
                .unwrap();
                let id = ConnectionId::from_bytes(uuid.as_slice().try_into().unwrap());
                let of = if uuid[0] == 9 { &other.tenant } else { &tenant() };
                let found = vault.token(of, id);
                assert!(
                    matches!(found, Err(VaultError::Tampered)),
                    "{column} of {from} in {to}: {found:?}"
                );
                moved += 1;
            }
        }
        db.execute_batch(
            "UPDATE secrets SET access = (SELECT access FROM good g WHERE g.slot = secrets.slot)",
        )
        .unwrap();
    }
    assert_eq!(moved, 5 * 5 * 2 - 5);
}

/// The record stays where it is, and the row that says whose it is becomes another's.
#[test]
fn promise_04_no_record_opens_in_a_row_that_was_made_anothers() {
    for (change, number) in [
        ("connections SET owner = 'mallory'", 1),
        ("connections SET owner = ''", 1),
        ("connections SET provider = 'other'", 1),
        ("connections SET generation = generation + 1", 1),
        ("connections SET uuid = x'08080808080808080808080808080808'", 8),
        ("tenants SET name = 'other'", 1),
        ("vault SET id = randomblob(16)", 1),
    ] {
        let (_directory, path) = place();
        let vault = open(&path).unwrap();
        grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
        let db = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(db.execute(&format!("UPDATE {change}"), []).unwrap(), 1);
        // Whoever has the file open knows the keys already: another process does not.
        drop(vault);
        let of = if change.starts_with("tenants") {
            "other"
        } else {
            "acme"
        };
        let found =
            open(&path).and_then(|vault| vault.token(&TenantId::new(of).unwrap(), id(number)).map(drop));
        assert!(matches!(found, Err(VaultError::Tampered)), "{change}: {found:?}");
    }
}
