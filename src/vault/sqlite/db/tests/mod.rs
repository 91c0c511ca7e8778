mod children;
#[cfg(unix)]
mod files;
mod lineage;
#[cfg(unix)]
mod replaced;
#[cfg(unix)]
mod restore;

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::TenantId;
use crate::vault::VaultError;
use crate::vault::sqlite::db::files::beside;
use crate::vault::sqlite::tables::{Fresh, SqliteTables};
use crate::vault::tables::{Tables, VaultRow, Write};

pub(super) fn file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    (directory, path)
}

/// Opens or creates a vault.
pub(super) fn open(path: &Path) -> SqliteTables {
    let (tables, fresh) = SqliteTables::open(path).unwrap();
    if fresh == Fresh::Yes {
        let row = VaultRow {
            id: [1; 16],
            master_key: [2; 16],
            key_check: [3; 32],
            audit_key: vec![4],
        };
        tables
            .write(|rows| rows.put_vault(&row).map(Write::Commit))
            .unwrap();
    }
    tables
}

/// Runs one visible transaction.
pub(super) fn step(tables: &SqliteTables, name: &str) -> Result<(), VaultError> {
    let name = TenantId::new(name).unwrap();
    tables.write(|rows| rows.insert_tenant(&name).map(Write::Commit))?;
    Ok(())
}

/// Returns the effects of the transactions.
pub(super) fn steps(tables: &SqliteTables) -> Vec<String> {
    let tenants = tables.read(|rows| rows.tenants(0, 10_000)).unwrap();
    tenants
        .into_iter()
        .map(|(_, name)| name.unwrap().as_str().to_owned())
        .collect()
}

/// The bytes of a file and of its companions; `None` for those that do not exist.
#[derive(Clone)]
pub(super) struct Copy {
    pub(super) database: Vec<u8>,
    pub(super) log: Vec<u8>,
    pub(super) shared_memory: Vec<u8>,
}

impl Copy {
    pub(super) fn take(path: &Path) -> Self {
        let read = |suffix| fs::read(beside(path, suffix)).unwrap_or_default();
        Self {
            database: read(""),
            log: read("-wal"),
            shared_memory: read("-shm"),
        }
    }

    pub(super) fn put(&self, path: &Path) {
        for (suffix, content) in [
            ("", &self.database),
            ("-wal", &self.log),
            ("-shm", &self.shared_memory),
        ] {
            let _ = fs::remove_file(beside(path, suffix));
            if !content.is_empty() {
                fs::write(beside(path, suffix), content).unwrap();
            }
        }
    }
}
