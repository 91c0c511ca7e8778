//! The content that the files of a run must and must not have.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::faults::scenario::Name;
use crate::faults::searched::residue;
use crate::faults::world::{Template, files};

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
                SELECT slot FROM grants WHERE slot IS NOT NULL
                UNION ALL SELECT slot FROM consents WHERE slot IS NOT NULL
                UNION ALL SELECT slot FROM revocations WHERE slot IS NOT NULL
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

/// The forms in which a secret might be in a file. Each contains one of these words: the first are
/// from the scenarios, the others from the files of older schemas.
static PLAINTEXT: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let shapes = ["MARKER", "access-1-2", "refresh-1-2", "verifier-verifier"].map(|word| {
        let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        let base64 = STANDARD.encode(&word[..word.len() / 3 * 3]);
        [word.to_owned(), hex.to_uppercase(), hex, base64]
    });
    AhoCorasick::new(shapes.as_flattened()).unwrap()
});

pub(crate) fn no_plaintext(directory: &Path, place: &str) {
    for file in files(directory) {
        let found = PLAINTEXT.is_match(&fs::read(&file).unwrap());
        assert!(!found, "{place}: plaintext in {file:?}");
    }
}

/// Checks that no file of the vault contains secrets that were reported as cleared, not even
/// sealed.
pub(crate) fn nothing_of(cleared: &BTreeSet<Name>, template: &Template, vault: &Path, place: &str) {
    let records = || {
        let sealed = template.sealed.iter();
        sealed
            .filter(|(name, _)| cleared.contains(name))
            .map(|(_, record)| record)
    };
    assert_eq!(records().next().is_none(), cleared.is_empty());
    let found = residue(vault, records());
    assert!(
        found.is_none(),
        "{place}: reported as cleared, and still in {found:?}"
    );
}
