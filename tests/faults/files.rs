//! What may and may not be in the files of a run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::vault_support::Searched;
use crate::world::{Template, files};

pub(crate) fn intact(path: &Path, place: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    let check: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok", "{place}");
    let dangling = db
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut statement| statement.exists([]));
    assert!(!dangling.unwrap(), "{place}: a row refers to nothing");
    // A slot belongs to one row, or is free and empty.
    let strays: i64 = db
        .query_row(
            "WITH used AS (
                SELECT slot FROM connections WHERE slot IS NOT NULL
                UNION ALL SELECT slot FROM consents WHERE slot IS NOT NULL
                UNION ALL SELECT slot FROM outbox
                UNION ALL SELECT slot FROM tenant_keys)
             SELECT (SELECT count(*) - count(DISTINCT slot) FROM used)
                  + (SELECT count(*) FROM free_slots JOIN used USING (slot))
                  + (SELECT count(*) FROM free_slots JOIN secrets USING (slot)
                     WHERE secrets.access <> zeroblob(length(secrets.access))
                        OR secrets.rest <> zeroblob(length(secrets.rest)))
                  + (SELECT count(*) FROM secrets WHERE slot NOT IN
                        (SELECT slot FROM used UNION SELECT slot FROM free_slots))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        strays, 0,
        "{place}: slots that are shared, lost, or free and full"
    );
}

/// The shapes in which a secret might lie in a file: each has this word in it.
static PLAINTEXT: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let marker = b"MARKER";
    let hex: String = marker.iter().map(|byte| format!("{byte:02x}")).collect();
    AhoCorasick::new([
        marker.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        STANDARD.encode(marker).into_bytes(),
    ])
    .unwrap()
});

pub(crate) fn no_plaintext(directory: &Path, place: &str) {
    for file in files(directory) {
        let found = PLAINTEXT.is_match(&fs::read(&file).unwrap());
        assert!(!found, "{place}: plaintext in {file:?}");
    }
}

/// What was reported as cleared is in no file, sealed or not.
pub(crate) fn nothing_of(cleared: &BTreeSet<u8>, template: &Template, directory: &Path, place: &str) {
    let records: Vec<Vec<u8>> = template
        .sealed
        .iter()
        .filter(|(number, _)| cleared.contains(number))
        .map(|(_, slot)| {
            let len = u32::from_be_bytes(*slot.first_chunk().unwrap()) as usize;
            slot[4..4 + len].to_vec()
        })
        .collect();
    assert_eq!(records.is_empty(), cleared.is_empty());
    let searched = Searched::new(&records);
    // A backup holds what there was when it was made.
    let own = |file: &PathBuf| {
        file.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("vault.db")
    };
    for file in files(directory).into_iter().filter(own) {
        let found = searched.find(&fs::read(&file).unwrap());
        assert!(
            found.is_none(),
            "{place}: reported as cleared, and still in {file:?}"
        );
    }
}
