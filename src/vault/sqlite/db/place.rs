//! The location of an open database.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use crate::vault::VaultError;
use crate::vault::sqlite::db::connect::{connect, expect};
use crate::vault::sqlite::db::in_use::InUse;
use crate::vault::sqlite::db::lineage::Guard;
use crate::vault::sqlite::db::log_index::LogIndex;
use crate::vault::sqlite::failure::failed;

/// The location of the database, and the mark that it is in use.
#[derive(Debug)]
pub(in crate::vault::sqlite) struct Place {
    pub(in crate::vault::sqlite) path: PathBuf,
    pub(super) guard: Guard,
    /// The index of the log, if it validates remembered rows.
    pub(super) index: Option<Arc<LogIndex>>,
    /// Dropped last, with its owner: after every connection.
    pub(super) in_use: InUse,
}

impl Place {
    /// Opens another connection to the file. Fails if another file is at the path now.
    pub(super) fn connect(&self) -> Result<Connection, VaultError> {
        let db = connect(&self.path)?;
        if let Some(anchor) = self.in_use.anchor() {
            anchor.check_place(&self.path)?;
        }
        Ok(db)
    }

    /// Opens another connection for reading only. It opens every file that it will ever need at
    /// once.
    pub(super) fn reader(&self) -> Result<Connection, VaultError> {
        let db = self.connect()?;
        db.pragma_update(None, "query_only", true).map_err(failed)?;
        expect(&db, "query_only", 1)?;
        // SQLite opens the log at the first read.
        db.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))
            .map_err(failed)?;
        Ok(db)
    }
}
