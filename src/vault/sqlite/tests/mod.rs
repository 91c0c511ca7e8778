mod costs;
mod foreign;
mod fresh;
mod plans;
mod slots;
mod walk;

use std::path::PathBuf;

use crate::model::{ConnectionId, GrantId, TenantId};
use crate::vault::VaultError;
use crate::vault::sqlite::tables::SqliteTables;
use crate::vault::tables::{
    AuditRow, Chain, ConnectionRow, Direction, FoundRows, GrantRow, HeadRow, Pruned, Rows, RowsMut, Secrets,
    Tables, TenantRow, Wanted, Write,
};

pub(super) fn file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

pub(super) fn name(tenant: &str) -> TenantId {
    TenantId::new(tenant).unwrap()
}

pub(super) fn connection(number: u8) -> ConnectionRow {
    ConnectionRow {
        id: ConnectionId::from_bytes([number; 16]),
        owner: "alice".into(),
        provider: format!("provider-{number}"),
        label: None,
        is_default: false,
        revoked: false,
        grant: GrantId::from_bytes([number; 16]),
        account: None,
        details: vec![number],
        mac: [number; 32],
    }
}

pub(super) fn grant(number: u8) -> GrantRow {
    GrantRow {
        id: GrantId::from_bytes([number; 16]),
        former_of: None,
        status: "active".into(),
        generation: 1,
        refreshable: true,
        server: "server".into(),
        expires_at: Some(i64::from(number)),
        refreshed_at: 0,
        not_before: None,
        held_until: None,
        quarantined_until: None,
        dead_at: None,
        route: vec![1],
        state: Vec::new(),
        key_version: 1,
        revision: 1,
        mac: [number; 32],
    }
}

pub(super) fn entry(number: u64) -> AuditRow {
    AuditRow {
        number,
        at: 7,
        tenant: None,
        kind: "it's \"quoted\"".into(),
        body: vec![0, 1, 255],
        mac: [9; 32],
    }
}

/// Writes and commits.
pub(super) fn write<T>(
    tables: &SqliteTables,
    mut change: impl FnMut(&mut dyn RowsMut) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    match tables.write(|rows| Ok(Write::Commit(change(rows)?)))? {
        Write::Commit(done) => Ok(done),
        _ => unreachable!(),
    }
}

/// Creates a tenant with these connections, each with its own grant and tokens.
pub(super) fn filled(tables: &SqliteTables, connections: &[u8]) -> TenantRow {
    write(tables, |rows| {
        let tenant = rows.insert_tenant(&name("acme"))?;
        for number in connections {
            put(rows, tenant, *number)?;
        }
        Ok(tenant)
    })
    .unwrap()
}

pub(super) fn put(rows: &mut dyn RowsMut, tenant: TenantRow, number: u8) -> Result<(), VaultError> {
    let tokens = Secrets::Set {
        access: &[number; 100],
        rest: &[number; 50],
    };
    rows.put_grant(tenant, &grant(number), tokens)?;
    assert!(rows.put_connection(tenant, &connection(number))?);
    Ok(())
}

/// Returns the access token of a connection as stored in the database.
pub(super) fn access(
    tables: &SqliteTables,
    tenant: TenantRow,
    number: u8,
) -> Result<Option<Vec<u8>>, VaultError> {
    let id = ConnectionId::from_bytes([number; 16]);
    tables.read(|rows| match rows.token(tenant, Wanted::Id(id))? {
        FoundRows::One(token) => Ok(token.access),
        other => panic!("{other:?}"),
    })
}

pub(super) fn count(tables: &SqliteTables, sql: &str) -> i64 {
    tables
        .store
        .writer()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_connection_is_inserted_and_then_replaced() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[1, 2]);
    let mut row = connection(1);
    row.provider = "provider".into();
    row.label = Some("work".into());
    row.account = Some("account".into());
    row.is_default = true;
    for details in [1, 2] {
        row.details = vec![details];
        assert!(write(&tables, |rows| rows.put_connection(tenant, &row)).unwrap());
    }
    let found = tables
        .read(|rows| rows.connection(tenant, row.id))
        .unwrap()
        .unwrap();
    assert_eq!((found.connection, found.grant), (row.clone(), grant(1)));
    // Another connection with the same label, account or default changes nothing, and the
    // transaction continues.
    let mut other = connection(2);
    other.provider.clone_from(&row.provider);
    for taken in [
        |row: &mut ConnectionRow| row.label = Some("work".into()),
        |row: &mut ConnectionRow| row.account = Some("account".into()),
        |row: &mut ConnectionRow| row.is_default = true,
    ] {
        let mut other = other.clone();
        taken(&mut other);
        let put = write(&tables, |rows| {
            let put = rows.put_connection(tenant, &other)?;
            rows.insert_tenant(&name("new"))?;
            let new = rows.tenant(&name("new"))?.unwrap();
            rows.delete_tenant(new)?;
            Ok(put)
        });
        assert!(!put.unwrap());
        let stored = tables.read(|rows| rows.connection(tenant, other.id)).unwrap();
        assert_eq!(stored.unwrap().connection, connection(2));
        // A revoked connection holds no label, account or default.
        other.revoked = true;
        assert!(write(&tables, |rows| rows.put_connection(tenant, &other)).unwrap());
        assert!(write(&tables, |rows| rows.put_connection(tenant, &connection(2))).unwrap());
    }
}

#[test]
fn a_connection_without_its_grant_is_damage() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[1]);
    write(&tables, |rows| rows.delete_grant(tenant, grant(1).id)).unwrap();
    let id = connection(1).id;
    let token = tables.read(|rows| rows.token(tenant, Wanted::Id(id)));
    assert!(matches!(token, Ok(FoundRows::Damaged)));
    let listed = tables.read(|rows| rows.connection(tenant, id));
    assert!(matches!(listed, Err(VaultError::Damaged)));
}

#[test]
fn only_a_commit_keeps_what_was_written() {
    let tables = SqliteTables::in_memory().unwrap();
    for end in [Write::Unchanged(()), Write::NewDataKey, Write::Moved] {
        let mut end = Some(end);
        tables
            .write(|rows| {
                rows.insert_tenant(&name("acme"))?;
                Ok(end.take().unwrap())
            })
            .unwrap();
    }
    let failed = tables.write::<()>(|rows| {
        rows.insert_tenant(&name("acme"))?;
        Err(VaultError::Busy)
    });
    assert!(failed.is_err());
    assert_eq!(tables.read(|rows| rows.tenant(&name("acme"))).unwrap(), None);
}

#[test]
fn a_view_is_of_one_moment_and_ends_with_its_reader() {
    let (_directory, path) = file();
    let (tables, _) = SqliteTables::open(&path).unwrap();
    let (other, _) = SqliteTables::open(&path).unwrap();
    let counts = tables
        .read(|rows| {
            let before = rows.tenants(0, 9)?.len();
            write(&other, |rows| rows.insert_tenant(&name("acme")))?;
            Ok((before, rows.tenants(0, 9)?.len()))
        })
        .unwrap();
    assert_eq!(counts, (0, 0));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tables.read(|_| -> Result<(), _> { panic!("in a view") })
    }));
    assert!(panicked.is_err());
    assert_eq!(tables.read(|rows| Ok(rows.tenants(0, 9)?.len())).unwrap(), 1);
}

#[test]
fn many_entries_are_as_one_by_one() {
    let tables = SqliteTables::in_memory().unwrap();
    let entries: Vec<_> = (1..=5).map(entry).collect();
    write(&tables, |rows| {
        rows.append_entries(Chain::Of(0), &entries[..3])?;
        rows.append_entries(Chain::Of(0), &entries[3..4])?;
        rows.append_entries(Chain::Of(0), &entries[4..])?;
        rows.append_entries(Chain::Legacy, &entries)
    })
    .unwrap();
    tables
        .read(|rows| {
            for chain in [Chain::Of(0), Chain::Legacy] {
                let forward = rows.entries(chain, None, 0, Direction::Forward, 9)?;
                assert_eq!(forward, entries);
                let back = rows.entries(chain, None, u64::MAX, Direction::Backward, 2)?;
                assert_eq!(back.iter().map(|entry| entry.number).collect::<Vec<_>>(), [5, 4]);
                assert_eq!(rows.last_number(chain)?, 5);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_head_and_how_far_was_pruned_do_not_disturb_each_other() {
    let tables = SqliteTables::in_memory().unwrap();
    let head = HeadRow {
        number: 3,
        mac: [1; 32],
        broken: None,
        seal: [2; 32],
    };
    write(&tables, |rows| {
        rows.set_pruned_to(Chain::Of(1), 1, Pruned::Uses, 7)?;
        assert_eq!(rows.head(Chain::Of(1))?, None);
        rows.put_head(Chain::Of(1), &head)?;
        assert_eq!(rows.pruned_to(Chain::Of(1), 1, Pruned::Uses)?, 7);
        assert_eq!(rows.head(Chain::Of(1))?, Some(head.clone()));
        assert_eq!(rows.head(Chain::Legacy)?, None);
        Ok(())
    })
    .unwrap();
}

#[test]
fn times_of_use_only_rise_and_strangers_are_left_out() {
    let tables = SqliteTables::in_memory().unwrap();
    let tenant = filled(&tables, &[1, 2]);
    let (one, two, none) = (connection(1).id, connection(2).id, connection(9).id);
    write(&tables, |rows| {
        rows.record_uses(&[
            (tenant, one, 5),
            (tenant, two, 6),
            (tenant, none, 7),
            (tenant, one, 3),
        ])?;
        rows.record_uses(&[(tenant, two, 4), (tenant + 1, one, 9)])
    })
    .unwrap();
    let used = |id| {
        let row = tables.read(|rows| rows.connection(tenant, id)).unwrap();
        row.unwrap().used_at
    };
    assert_eq!((used(one), used(two)), (Some(5), Some(6)));
    assert_eq!(count(&tables, "SELECT count(*) FROM uses"), 2);
}

#[test]
fn reading_writes_nothing_and_compiles_nothing_twice() {
    let (_directory, path) = file();
    for tables in [
        SqliteTables::in_memory().unwrap(),
        SqliteTables::open(&path).unwrap().0,
    ] {
        let tenant = filled(&tables, &[1, 2, 3]);
        let changes = tables.store.writer().total_changes();
        for number in (1..=3).cycle().take(60) {
            assert_eq!(access(&tables, tenant, number).unwrap(), Some(vec![number; 100]));
        }
        let db = tables.store.writer();
        assert_eq!(db.total_changes(), changes);
        for sql in super::sql::tests::recorded() {
            let statement = db.prepare_cached(sql).unwrap();
            let again = statement.get_status(rusqlite::StatementStatus::RePrepare);
            assert_eq!(again, 0, "{sql}");
        }
    }
}

#[test]
fn readers_cannot_write() {
    let (_directory, path) = file();
    let (tables, _) = SqliteTables::open(&path).unwrap();
    // The writer is kept busy: otherwise it would serve the read.
    let _writer = tables.store.writer();
    let written = tables.store.read(|sql| {
        sql.0
            .execute("DELETE FROM tenants", [])
            .map_err(super::failure::failed)
    });
    assert!(matches!(written, Err(VaultError::ReadOnly)), "{written:?}");
}

#[test]
fn the_writer_reads_until_a_thread_finds_it_busy() {
    let (_directory, path) = file();
    let (tables, _) = SqliteTables::open(path).unwrap();
    let tenant = filled(&tables, &[1]);
    access(&tables, tenant, 1).unwrap();
    assert!(!tables.store.has_open_readers(), "one connection is enough");
    let commit = tables.store.writer();
    access(&tables, tenant, 1).unwrap();
    drop(commit);
    assert!(tables.store.has_open_readers());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..100 {
                    access(&tables, tenant, 1).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_foreign_writer_makes_it_busy_and_loses_nothing() {
    let (_directory, path) = file();
    let (tables, _) = SqliteTables::open(&path).unwrap();
    let tenant = filled(&tables, &[1]);
    let brief = std::time::Duration::from_millis(20);
    tables.store.writer().busy_timeout(brief).unwrap();
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = write(&tables, |rows| put(rows, tenant, 2));
    assert!(matches!(busy, Err(VaultError::Busy)), "{busy:?}");
    assert!(access(&tables, tenant, 1).unwrap().is_some(), "reading goes on");
    foreign.execute_batch("COMMIT").unwrap();
    write(&tables, |rows| put(rows, tenant, 2)).unwrap();
}

#[test]
fn the_tables_keep_every_promise() {
    crate::vault::tables_contract::check(&|| SqliteTables::in_memory().unwrap());
}

#[test]
fn the_tables_in_a_file_keep_every_promise() {
    let directory = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    crate::vault::tables_contract::check(&|| {
        number.set(number.get() + 1);
        let path = directory.path().join(format!("vault-{}.db", number.get()));
        SqliteTables::open(path).unwrap().0
    });
}
