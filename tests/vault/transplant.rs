//! A sealed record opens only in its own place.

#![cfg(feature = "sqlite")]

use std::time::Duration;

use rusqlite::Connection as Database;
use valetkey::TenantId;
use valetkey::internals::secret::PkceVerifier;
use valetkey::internals::vault::{Attempt, ClaimRequest, Of, TokenQuery};
use valetkey::model::{ConnectionId, Scopes};
use valetkey::vault::{SqliteVault, VaultError};

use crate::support::vault::*;

fn other() -> TenantId {
    TenantId::new("other").unwrap()
}

/// Creates connections 10 to 14 of "acme" and 19 of "other", all with the same tokens. Number 13
/// was refreshed, 14 has a former grant.
fn inhabited(vault: &SqliteVault) {
    let mut foreign = connection(19);
    foreign.tenant = other();
    grant(vault, &foreign, &tokens("access", "refresh"));
    for number in 10..=14 {
        grant(vault, &connection(number), &tokens("access", "refresh"));
    }
    refresh(vault, 13, &tokens("access", "refresh"));
    assert_eq!(
        grant(vault, &connection(14), &tokens("access", "refresh")).len(),
        1
    );
}

/// Returns the slot of every grant, and the connection that uses it, if there is one.
fn slots(db: &Database) -> Vec<(i64, Option<[u8; 16]>)> {
    db.prepare(
        "SELECT g.slot, c.uuid FROM grants g
            LEFT JOIN connections c ON c.tenant = g.tenant AND c.grant_id = g.uuid AND c.revoked = 0
         WHERE g.slot IS NOT NULL AND (g.status = 'active' OR g.former_of IS NOT NULL)",
    )
    .unwrap()
    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
    .unwrap()
    .map(Result::unwrap)
    .collect()
}

/// Moves every record into the place of every other, as a writer of the file could.
#[test]
fn promise_04_no_record_opens_in_the_place_of_another() {
    for schema in SCHEMAS {
        no_record_opens_in_the_place_of_another(schema);
    }
}

fn no_record_opens_in_the_place_of_another(schema: u32) {
    let (_directory, path) = place_of(schema);
    let vault = open(&path).unwrap();
    inhabited(&vault);
    let db = Database::open(&path).unwrap();
    db.execute_batch("CREATE TEMP TABLE good AS SELECT slot, access, rest FROM secrets")
        .unwrap();
    let slots = slots(&db);
    let mut moved = 0;
    for (to, connection) in &slots {
        let Some(uuid) = connection else { continue };
        let tenant = match uuid[0] {
            19 => other(),
            5 => TenantId::new("globex").unwrap(),
            _ => tenant(),
        };
        let id = ConnectionId::from_bytes(*uuid);
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
                let found = find(&vault, &tenant, id);
                assert!(
                    matches!(found, Err(VaultError::Tampered)),
                    "schema {schema}: {column} of {from} in {to}: {found:?}"
                );
                moved += 1;
            }
        }
        db.execute("UPDATE secrets SET access = (SELECT access FROM good g WHERE g.slot = secrets.slot) WHERE slot = ?1", [to])
            .unwrap();
        assert!(find(&vault, &tenant, id).is_ok(), "put back, it opens");
    }
    // The files of older versions contain three more with tokens; those of schemas 3 and 4 also a
    // former grant, and one that two connections use, which is listed and left out twice.
    let (all, used, shared) = match schema {
        NEWEST => (7, 6, 0),
        3 | 4 => (13, 11, 2),
        _ => (10, 9, 0),
    };
    assert_eq!(moved, used * (all * 2 - 1) - shared);
}

/// Returns a column in which the host of the token endpoint is another one of the same length.
fn mallory(column: &str) -> String {
    format!("unhex(replace(hex({column}), hex('issuer.test'), hex('mallory.com')))")
}

/// The record stays in place, and a row that says whose it is or where it may be sent is changed.
#[test]
fn promise_04_no_record_opens_in_a_row_that_was_changed() {
    let other_id = "x'08080808080808080808080808080808'";
    for (change, number) in [
        ("connections SET owner = 'mallory'", 10),
        ("connections SET owner = ''", 10),
        ("connections SET provider = 'other'", 10),
        ("connections SET label = 'other'", 10),
        ("connections SET label = NULL", 10),
        ("connections SET is_default = 1", 10),
        ("connections SET account = 'mallory'", 10),
        ("connections SET details = CAST(details || x'00' AS BLOB)", 10),
        ("connections SET mac = zeroblob(32)", 10),
        (&format!("connections SET uuid = {other_id}"), 8),
        ("grants SET generation = generation + 1", 10),
        ("grants SET server = 'other'", 10),
        ("grants SET expires_at = 99", 10),
        (&format!("grants SET route = {}", mallory("route")), 10),
        ("tenants SET name = 'other'", 10),
        ("vault SET id = randomblob(16)", 10),
    ] {
        let (_directory, path) = place();
        let vault = open(&path).unwrap();
        grant(&vault, &connection(10), &tokens("access", "refresh"));
        let db = Database::open(&path).unwrap();
        assert_eq!(db.execute(&format!("UPDATE {change}"), []).unwrap(), 1);
        // A process that has the file open remembers the keys; another process does not.
        drop(vault);
        let of = if change.starts_with("tenants") {
            other()
        } else {
            tenant()
        };
        let found = open(&path).and_then(|vault| find(&vault, &of, id(number)).map(drop));
        assert!(matches!(found, Err(VaultError::Tampered)), "{change}: {found:?}");
    }
}

#[test]
fn promise_04_a_consent_request_that_was_changed_does_not_open() {
    for change in [
        &format!("body = {}", mallory("body")),
        "expires_at = expires_at + 1",
        "user = 'mallory'",
        "owner = 'mallory'",
        "id = randomblob(16)",
        "slot = (SELECT slot FROM consents WHERE state <> x'00' ORDER BY slot DESC LIMIT 1)",
    ] {
        for verifier in [Some(PkceVerifier::new("verifier")), None] {
            let (_directory, path) = place();
            let vault = open(&path).unwrap();
            vault.insert_consent(&consent("one"), verifier.as_ref()).unwrap();
            vault.insert_consent(&consent("two"), verifier.as_ref()).unwrap();
            let db = Database::open(&path).unwrap();
            let one = state("one");
            let changed = db.execute(
                &format!("UPDATE consents SET {change} WHERE state = ?1"),
                [one.as_bytes().as_slice()],
            );
            assert_eq!(changed.unwrap(), 1);
            for found in [
                vault.consent(&tenant(), &one).map(drop),
                vault.take_consent(&tenant(), &one, at(1)).map(drop),
            ] {
                assert!(matches!(found, Err(VaultError::Tampered)), "{change}: {found:?}");
            }
            assert!(vault.consent(&tenant(), &state("two")).unwrap().is_some());
        }
    }
}

/// The tokens of such a revocation are not returned: the endpoint that they would be sent to may
/// have been changed.
#[test]
fn promise_04_a_pending_revocation_that_was_changed_does_not_open() {
    for change in [
        &format!("body = {}", mallory("body")),
        "connection = zeroblob(16)",
        "owner = 'mallory'",
        "give_up_at = give_up_at + 1",
        "uuid = randomblob(16)",
        "slot = (SELECT slot FROM revocations ORDER BY slot DESC LIMIT 1)",
    ] {
        let (_directory, path) = place();
        let vault = open(&path).unwrap();
        for number in [10, 11] {
            grant(&vault, &connection(number), &tokens("access", "refresh"));
            revoke_and_keep(&vault, number);
        }
        let db = Database::open(&path).unwrap();
        let changed = db.execute(
            &format!("UPDATE revocations SET {change} WHERE connection = ?1"),
            [id(10).as_bytes().as_slice()],
        );
        assert_eq!(changed.unwrap(), 1);
        let taken = vault
            .take_revocations(at(1_000), Duration::from_secs(9), 9)
            .unwrap();
        let named: Vec<_> = taken.iter().map(|pending| pending.connection).collect();
        assert_eq!(named, [id(11)], "{change}");
    }
}

/// An active grant has tokens. If they are missing, they were removed: that is not "not connected".
#[test]
fn promise_04_a_token_that_was_taken_away_is_missed() {
    for change in [
        "UPDATE grants SET slot = NULL",
        "UPDATE secrets SET access = zeroblob(length(access))",
        "UPDATE secrets SET access = x''",
        "UPDATE secrets SET access = zeroblob(4)",
        "DELETE FROM secrets",
    ] {
        let (_directory, path) = place();
        let vault = open(&path).unwrap();
        grant(&vault, &connection(10), &tokens("access", "refresh"));
        let stored = stored(&vault, 10);
        drop(vault);
        let db = Database::open(&path).unwrap();
        assert!(db.execute(change, []).unwrap() > 0, "{change}");
        drop(db);
        let vault = open(&path).unwrap();
        let (tenant, scopes) = (tenant(), Scopes::default());
        let (user, label) = (user_of(10), stored.label.as_ref());
        let owner = |label| Of::Owner {
            user: Some(&user),
            provider: &stored.provider,
            label,
        };
        for of in [Of::Id(id(10)), owner(label), owner(None)] {
            let found = vault.find_token(&TokenQuery {
                tenant: &tenant,
                of,
                scopes: &scopes,
            });
            assert!(
                matches!(found, Err(VaultError::Tampered | VaultError::Damaged)),
                "{change}: {found:?}"
            );
        }
        if change.contains("access =") {
            continue;
        }
        let claim = vault.claim_refresh(&ClaimRequest {
            tenant: &tenant,
            grant: stored.grant,
            holder: vault.holder().unwrap(),
            generation: stored.generation,
            attempt: Attempt::Forced,
            now: at(1),
            lease: Duration::from_secs(30),
        });
        assert!(
            matches!(claim, Err(VaultError::Tampered | VaultError::Damaged)),
            "{change}: {claim:?}"
        );
    }
}
