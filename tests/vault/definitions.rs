//! Definitions are sealed as a whole: none opens in the place of another, none that was put back or
//! removed stays undetected, and an erased one is in no file.

#![cfg(feature = "sqlite")]

use std::path::Path;

use rusqlite::Connection as Database;
use valetkey::TenantId;
use valetkey::internals::vault::{
    AuditFilter, DefinitionContent, DefinitionKey, DefinitionKind, DefinitionRemoval, DefinitionWrite,
    Expected, FoundDefinition, KnownDefinition, NewDefinition, PutDefinitions, RemoveDefinitions, Retention,
};
use valetkey::vault::{Erasure, SqliteVault, VaultError};

use crate::support::vault::*;

const NAMES: [&str; 2] = ["notes", "https://mcp.example/mcp"];

fn other() -> TenantId {
    TenantId::new("other").unwrap()
}

fn places() -> Vec<(TenantId, DefinitionKind, &'static str)> {
    let mut all = Vec::new();
    for of in [tenant(), other()] {
        for kind in DefinitionKind::ALL {
            all.extend(NAMES.map(|name| (of.clone(), kind, name)));
        }
    }
    all
}

fn content(text: &str) -> DefinitionContent {
    DefinitionContent {
        document: text.as_bytes().to_vec(),
        secrets: vec!["MARKER-registration-secret".to_owned().into()],
    }
}

fn put(vault: &SqliteVault, of: &TenantId, kind: DefinitionKind, name: &str, text: &str) -> DefinitionWrite {
    let content = content(text);
    vault
        .put_definitions(&PutDefinitions {
            tenant: of,
            definitions: &[NewDefinition {
                key: DefinitionKey { kind, name },
                expected: Expected::Anything,
                content: &content,
            }],
            by: None,
            now: at(1),
        })
        .unwrap()
}

fn find_if(
    vault: &SqliteVault,
    of: &TenantId,
    kind: DefinitionKind,
    name: &str,
    known: Option<&KnownDefinition>,
) -> Result<FoundDefinition, VaultError> {
    vault.definition(of, DefinitionKey { kind, name }, known)
}

fn read(
    vault: &SqliteVault,
    of: &TenantId,
    kind: DefinitionKind,
    name: &str,
) -> Result<Option<String>, VaultError> {
    Ok(match find_if(vault, of, kind, name, None)? {
        FoundDefinition::Changed(_, found) => Some(String::from_utf8(found.content.document).unwrap()),
        _ => None,
    })
}

fn remove(vault: &SqliteVault, of: &TenantId, kind: DefinitionKind, name: &str) {
    let removed = vault.remove_definitions(&RemoveDefinitions {
        tenant: of,
        keys: &[DefinitionKey { kind, name }],
        expected: Expected::Anything,
        unless_connected: None,
        by: None,
        now: at(3),
    });
    assert_eq!(removed.unwrap(), DefinitionRemoval::Removed(1));
}

/// Stores definitions of two tenants, of every kind and with two names, all with the same content.
fn inhabited(vault: &SqliteVault) {
    for (of, kind, name) in places() {
        put(vault, &of, kind, name, "the same");
    }
}

fn suspects(vault: &SqliteVault) -> Vec<String> {
    let report = vault.verify_audit(&tenant(), |_, _| {}).unwrap();
    assert_eq!(report.first_broken, None);
    report.definitions_out_of_date
}

#[test]
fn promise_04_no_definition_opens_in_the_place_of_another() {
    for schema in SCHEMAS {
        let (_directory, path) = place_of(schema);
        let vault = open(&path).unwrap();
        inhabited(&vault);
        let db = Database::open(&path).unwrap();
        db.execute_batch("CREATE TEMP TABLE good AS SELECT * FROM definitions")
            .unwrap();
        let mut moved = 0;
        for (of, kind, name) in places() {
            for (from_of, from_kind, from_name) in places() {
                let is_same = (&of, kind, name) == (&from_of, from_kind, from_name);
                for columns in [
                    "slot",
                    "slot, version, revision",
                    "slot, version, revision, key_version",
                ] {
                    let from = "SELECT {} FROM good WHERE tenant = (SELECT id FROM tenants WHERE name = ?4)
                        AND kind = ?5 AND name = ?6"
                        .replace("{}", columns);
                    let sql = format!(
                        "UPDATE definitions SET ({columns}) = ({from})
                         WHERE tenant = (SELECT id FROM tenants WHERE name = ?1) AND kind = ?2 AND name = ?3"
                    );
                    let values = [
                        of.as_str(),
                        kind.as_str(),
                        name,
                        from_of.as_str(),
                        from_kind.as_str(),
                        from_name,
                    ];
                    assert_eq!(db.execute(&sql, values).unwrap(), 1);
                    let found = read(&vault, &of, kind, name);
                    if is_same {
                        assert_eq!(found.unwrap().as_deref(), Some("the same"));
                    } else {
                        assert!(
                            matches!(found, Err(VaultError::Tampered)),
                            "schema {schema}, {columns} of {from_of} {from_kind:?} {from_name} in {of} {kind:?} {name}: \
                             {found:?}"
                        );
                        moved += 1;
                    }
                    put_back(&db);
                }
            }
        }
        assert_eq!(moved, 12 * 11 * 3);
        assert_eq!(suspects(&vault), Vec::<String>::new());
    }
}

fn put_back(db: &Database) {
    db.execute_batch(
        "UPDATE definitions SET (slot, version, revision, key_version) = (SELECT slot, version, revision, key_version FROM good g
            WHERE g.tenant = definitions.tenant AND g.kind = definitions.kind AND g.name = definitions.name)",
    )
    .unwrap();
}

/// Runs an edit on a file with a definition that was replaced and one that was removed, and returns
/// what a verification reports.
fn reported_after(edit: &str) -> Vec<String> {
    let (directory, path) = place();
    let vault = open(&path).unwrap();
    let server = DefinitionKind::Server;
    put(&vault, &tenant(), server, "notes", "older");
    put(&vault, &tenant(), DefinitionKind::Client, "gone", "removed later");
    put(
        &vault,
        &tenant(),
        DefinitionKind::Provider,
        "board",
        "never changed",
    );
    let older = directory.path().join("older.db");
    vault.backup(&older).unwrap();
    put(&vault, &tenant(), server, "notes", "newer");
    remove(&vault, &tenant(), DefinitionKind::Client, "gone");
    assert_eq!(suspects(&vault), Vec::<String>::new());
    let db = Database::open(&path).unwrap();
    db.execute("ATTACH ? AS old", [older.to_str().unwrap()]).unwrap();
    db.execute_batch(edit).unwrap();
    // The verification is the same after old entries were pruned.
    let reported = suspects(&vault);
    let mut limits = sweep_limits(1_000_000);
    limits.retention = Retention::default().changes(std::time::Duration::from_secs(1));
    vault.sweep(&limits).unwrap();
    let pruned = suspects(&vault);
    // As for connections, a row that is gone is reported as long as its entry is kept.
    let is_missing = edit.starts_with("DELETE FROM definitions") || edit.contains("SET name");
    assert!(
        is_missing || pruned == reported,
        "{edit}: {pruned:?} instead of {reported:?}"
    );
    reported
}

#[test]
fn promise_30_a_definition_that_was_put_back_or_removed_is_reported() {
    // The slots of the older file are free or overwritten by now, so the old record is put into a
    // new slot.
    let put_back = |of: &str| {
        format!(
            "INSERT INTO secrets (access, rest) SELECT s.access, s.rest FROM old.definitions d
                JOIN old.secrets s ON s.slot = d.slot WHERE {of};
             INSERT OR REPLACE INTO definitions (tenant, kind, name, version, revision, slot, key_version)
                SELECT tenant, kind, name, version, revision, (SELECT max(slot) FROM secrets), key_version
                FROM old.definitions d WHERE {of};"
        )
    };
    assert_eq!(reported_after("SELECT 1"), Vec::<String>::new());
    assert_eq!(reported_after(&put_back("d.name = 'notes'")), ["server notes"]);
    assert_eq!(reported_after(&put_back("d.name = 'gone'")), ["client gone"]);
    assert_eq!(
        reported_after("DELETE FROM definitions WHERE name = 'board'"),
        ["provider board"]
    );
    assert_eq!(
        reported_after("UPDATE definitions SET name = 'boars' WHERE name = 'board'"),
        ["provider board", "provider boars"]
    );
    assert_eq!(
        reported_after("UPDATE definitions SET key_version = 7 WHERE name = 'board'"),
        ["provider board"]
    );
    assert_eq!(
        reported_after(
            "UPDATE secrets SET access = zeroblob(length(access)) WHERE slot = (SELECT slot FROM definitions WHERE name = 'board')"
        ),
        ["provider board"]
    );
}

#[test]
fn promise_07_erased_definitions_are_in_no_file() {
    for (round, schema) in SCHEMAS.into_iter().cycle().take(12).enumerate() {
        let (_directory, path) = place_of(schema);
        let vault = open(&path).unwrap();
        vault.clear_residue().unwrap();
        let mut dead = Vec::new();
        for size in [10, 900, 5_000, 30_000] {
            let text = "d".repeat(size + round * 70);
            put(&vault, &tenant(), DefinitionKind::Client, "replaced", &text);
            dead.extend(definitions(&path, "name = 'replaced'"));
            put(&vault, &tenant(), DefinitionKind::Client, "removed", &text);
            dead.extend(definitions(&path, "name = 'removed'"));
            remove(&vault, &tenant(), DefinitionKind::Client, "removed");
        }
        assert_eq!(dead.len(), 8);
        put(&vault, &tenant(), DefinitionKind::Client, "replaced", "the last");
        assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
        assert_eq!(residue(&path, &dead), None);
        let alive = definitions(&path, "name = 'replaced'");
        assert!(residue(&path, &alive).is_some(), "the search finds what is there");
        vault.integrity_check().unwrap();
    }
}

fn definitions(path: &Path, of: &str) -> Vec<Vec<u8>> {
    records(
        path,
        &format!("slot IN (SELECT slot FROM definitions WHERE {of})"),
    )
}

#[test]
fn definitions_survive_a_rotation_of_all_keys() {
    for schema in SCHEMAS {
        let (_directory, path) = place_of(schema);
        let vault = open(&path).unwrap();
        inhabited(&vault);
        rotate_data_key(&vault);
        let other_handle = open(&path).unwrap();
        let mut rounds = 0;
        // Pending revocations and consent requests of older files keep an old key.
        while reseal(&vault, 2).done > 0 {
            rounds += 1;
        }
        assert!(rounds >= 3);
        let db = Database::open(&path).unwrap();
        let sealed_by: u32 = db
            .query_row(
                "SELECT min(key_version) FROM definitions WHERE tenant = (SELECT id FROM tenants WHERE name = 'acme')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert!(sealed_by >= 2);
        for handle in [&vault, &other_handle] {
            for (of, kind, name) in places() {
                assert_eq!(
                    read(handle, &of, kind, name).unwrap().as_deref(),
                    Some("the same")
                );
            }
        }
        assert_intact(&vault);
    }
}

#[test]
fn another_handle_sees_each_change_at_once() {
    let (_directory, path) = place();
    let (one, other) = (open(&path).unwrap(), open(&path).unwrap());
    let (of, kind, name) = (tenant(), DefinitionKind::Provider, "notes");
    let mut known = KnownDefinition::default();
    for round in 0..20 {
        let text = format!("round {round}");
        put(&one, &of, kind, name, &text);
        let FoundDefinition::Changed(now, found) = find_if(&other, &of, kind, name, Some(&known)).unwrap()
        else {
            panic!("round {round} was not seen");
        };
        assert_eq!(found.content.document, text.as_bytes());
        known = now;
        // Neither a second look nor a commit that changes something else opens it again.
        put(&one, &of, kind, "another", &text);
        for _ in 0..2 {
            let again = find_if(&other, &of, kind, name, Some(&known)).unwrap();
            let FoundDefinition::Unchanged(now) = again else {
                panic!("it did not change");
            };
            known = now;
        }
        if round % 5 == 4 {
            remove(&one, &of, kind, name);
            let FoundDefinition::Nothing(now) = find_if(&other, &of, kind, name, Some(&known)).unwrap()
            else {
                panic!("the removal was not seen");
            };
            known = now;
        }
    }
}

#[test]
fn writers_that_expect_nothing_store_one_definition() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    let stored: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let path = &path;
                scope.spawn(move || {
                    let vault = open(path).unwrap();
                    let content = content(&number.to_string());
                    let definitions = [NewDefinition {
                        key: DefinitionKey {
                            kind: DefinitionKind::Client,
                            name: "notes",
                        },
                        expected: Expected::Nothing,
                        content: &content,
                    }];
                    let put = PutDefinitions {
                        tenant: &tenant(),
                        definitions: &definitions,
                        by: None,
                        now: at(1),
                    };
                    vault.put_definitions(&put).unwrap()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let stored = stored.iter().filter(|it| **it == DefinitionWrite::Stored).count();
    assert_eq!(stored, 1);
    let vault = open(&path).unwrap();
    assert_eq!(vault.audit(&AuditFilter::of(&tenant())).unwrap().len(), 1);
    assert_intact(&vault);
}

#[test]
fn a_secret_of_a_definition_is_not_in_the_file_in_the_clear() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    inhabited(&vault);
    for (file, content) in files(&path) {
        let marker = b"MARKER-registration-secret";
        let found = content.windows(marker.len()).any(|window| window == marker);
        assert!(!found, "{file:?}");
    }
}
