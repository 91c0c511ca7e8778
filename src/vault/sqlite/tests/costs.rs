//! The cost of a write: the pages that it appends to the log, and the waits for the disk.

use std::path::Path;

use super::*;
use crate::vault::sqlite::db::writer::CommitSync;
use crate::vault::sqlite::options::SqliteOptions;

const PAGE: u64 = 4096;
const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// Returns the number of pages that this write appends to the log.
fn pages(
    tables: &SqliteTables,
    path: &Path,
    write_rows: impl FnMut(&mut dyn RowsMut) -> Result<(), VaultError>,
) -> u64 {
    assert!(tables.clear_residue().unwrap());
    write(tables, write_rows).unwrap();
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = std::fs::metadata(log).unwrap().len();
    assert_eq!((log - HEADER) % (PAGE + FRAME_HEADER), 0);
    (log - HEADER) / (PAGE + FRAME_HEADER)
}

/// Fills a vault whose indexes have several pages each.
fn large(path: &Path) -> (SqliteTables, TenantRow) {
    let (tables, _) = SqliteTables::open(path).unwrap();
    let tenant = filled(&tables, &(0..=250).collect::<Vec<_>>());
    (tables, tenant)
}

/// The tokens of `put`, after a refresh.
const TOKENS: Secrets<'_> = Secrets::Set {
    access: &[7; 100],
    rest: &[7; 50],
};

#[test]
fn a_claim_writes_the_page_of_its_grant() {
    let (_directory, path) = file();
    let (tables, tenant) = large(&path);
    let claimed = GrantRow {
        held_until: Some(30),
        not_before: Some(1),
        state: vec![1, 2, 3],
        revision: 2,
        mac: [0; 32],
        ..grant(100)
    };
    let written = pages(&tables, &path, |rows| {
        rows.put_grant(tenant, &claimed, Secrets::Keep)
    });
    // One page of the table, and that of the beat.
    assert_eq!(written, 2);
    assert_eq!(
        tables.read(|rows| rows.grant(tenant, claimed.id)).unwrap(),
        Some(claimed)
    );
}

#[test]
fn a_refresh_writes_its_tokens_its_grant_and_the_indexes_by_time() {
    let (_directory, path) = file();
    let (tables, tenant) = large(&path);
    let refreshed = GrantRow {
        generation: 2,
        expires_at: Some(1_000),
        refreshed_at: 500,
        route: vec![2],
        state: Vec::new(),
        revision: 2,
        mac: [0; 32],
        ..grant(100)
    };
    let written = pages(&tables, &path, |rows| rows.put_grant(tenant, &refreshed, TOKENS));
    // The beat, the slot, the grant, and the former and the new place in two indexes.
    assert!(written <= 7, "{written}");
    assert_eq!(
        tables.read(|rows| rows.grant(tenant, refreshed.id)).unwrap(),
        Some(refreshed)
    );
}

#[test]
fn every_other_change_of_a_grant_is_stored_as_well() {
    let (_directory, path) = file();
    let (tables, tenant) = large(&path);
    let base = grant(100);
    for changed in [
        GrantRow {
            former_of: Some(GrantId::from_bytes([99; 16])),
            ..base.clone()
        },
        GrantRow {
            status: "rejected".into(),
            ..base.clone()
        },
        GrantRow {
            refreshable: false,
            ..base.clone()
        },
        GrantRow {
            server: "other".into(),
            ..base.clone()
        },
        GrantRow {
            quarantined_until: Some(5),
            ..base.clone()
        },
        GrantRow {
            dead_at: Some(5),
            ..base.clone()
        },
        GrantRow {
            key_version: 2,
            ..base.clone()
        },
    ] {
        for secrets in [Secrets::Keep, TOKENS] {
            write(&tables, |rows| rows.put_grant(tenant, &changed, secrets)).unwrap();
            let stored = tables.read(|rows| rows.grant(tenant, changed.id)).unwrap();
            assert_eq!(stored.as_ref(), Some(&changed));
            write(&tables, |rows| rows.put_grant(tenant, &base, Secrets::Keep)).unwrap();
        }
    }
}

#[test]
fn a_consent_given_again_writes_one_index_of_its_connection() {
    let (_directory, path) = file();
    let (tables, tenant) = large(&path);
    let again = ConnectionRow {
        grant: GrantId::from_bytes([99; 16]),
        details: vec![1],
        mac: [0; 32],
        ..connection(100)
    };
    let written = pages(&tables, &path, |rows| {
        assert!(rows.put_connection(tenant, &again)?);
        Ok(())
    });
    // The beat, the connection, and the former and the new place in the index by grant.
    assert!(written <= 4, "{written}");
    let stored = tables.read(|rows| rows.connection(tenant, again.id)).unwrap();
    assert_eq!(stored.unwrap().connection, again);
}

#[test]
fn only_a_claim_waits_for_no_disk_unless_the_host_wants_it_to() {
    let level = |sql: crate::vault::sqlite::sql::Sql<'_>| {
        let level = sql
            .0
            .pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
        level.map_err(crate::vault::sqlite::failure::failed)
    };
    for (options, of_claim) in [
        (SqliteOptions::default(), 1),
        (SqliteOptions::default().with_claim_sync(), 2),
    ] {
        let (_directory, path) = file();
        let (tables, _) = SqliteTables::open_plain(&path, &options).unwrap();
        for _ in 0..2 {
            let sync = options.claim_sync();
            let write = |sync| {
                tables
                    .store
                    .write_with(sync, |writing| Ok(Write::Commit(level(writing.sql())?)))
            };
            assert!(matches!(write(sync).unwrap(), Write::Commit(found) if found == of_claim));
            assert!(matches!(write(CommitSync::AtOnce).unwrap(), Write::Commit(2)));
            // A transaction that fails or panics leaves no writer behind that does not wait.
            let failed = tables
                .store
                .write_with(sync, |_| Err::<Write<()>, _>(VaultError::Damaged));
            assert!(failed.is_err());
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                tables
                    .store
                    .write_with(sync, |_| -> Result<Write<()>, _> { panic!("in a transaction") })
            }));
            assert!(panicked.is_err());
            assert!(matches!(
                tables
                    .store
                    .write(|writing| Ok(Write::Commit(level(writing.sql())?)))
                    .unwrap(),
                Write::Commit(2)
            ));
        }
    }
}
