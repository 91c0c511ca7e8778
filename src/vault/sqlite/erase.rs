//! Revoking, and clearing what it leaves in the files.

use std::time::Duration;

use rusqlite::Connection as Database;

use crate::model::{ConnectionId, TenantId};
use crate::secret::AccessToken;
use crate::vault::envelope::Kind;
use crate::vault::lifecycle::{self, Keep};
use crate::vault::sqlite::SqliteVault;
use crate::vault::sqlite::connections::{Stored, find};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::open::BUSY_TIMEOUT;
use crate::vault::sqlite::rows;
use crate::vault::sqlite::slots;
use crate::vault::sqlite::store::Step;
use crate::vault::{Erasure, Revoked, Tokens, VaultError};

pub(super) const CLEAR_DEFAULT: &str = "UPDATE connections SET is_default = 0 WHERE id = ?1";

/// How long a reader is waited for before the log is left for later.
const PATIENCE: Duration = Duration::from_millis(100);

/// The sealed records of a connection.
#[derive(Default)]
struct Sealed {
    access: Option<Vec<u8>>,
    rest: Option<Vec<u8>>,
}

fn secrets(db: &Database, slot: Option<i64>) -> Result<Sealed, VaultError> {
    let mut statement = db.prepare_cached(slots::READ).map_err(failed)?;
    let mut found = statement.query([slot]).map_err(failed)?;
    match found.next().map_err(failed)? {
        // What is too broken to be cut out is erased like the rest.
        Some(row) => Ok(Sealed {
            access: slots::record(row, 0).unwrap_or_default(),
            rest: slots::record(row, 1).unwrap_or_default(),
        }),
        None => Ok(Sealed::default()),
    }
}

impl SqliteVault {
    pub(super) fn erase_connection(
        &self,
        name: &TenantId,
        id: ConnectionId,
    ) -> Result<Option<Revoked>, VaultError> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        let erased = self.store.write(|db| {
            let Some(mut stored) = find(db, tenant.row, name, id)? else {
                return Ok(Step::Abandon(None));
            };
            if !lifecycle::revoke(&mut stored.lifecycle) {
                return Ok(Step::Abandon(None));
            }
            let sealed = secrets(db, stored.slot)?;
            let slot = slots::wipe(db, stored.slot, Keep::Nothing)?;
            rows::update_lifecycle(db, stored.row, &stored.lifecycle, slot)?;
            db.prepare_cached(CLEAR_DEFAULT)
                .and_then(|mut statement| statement.execute([stored.row]))
                .map_err(failed)?;
            Ok(Step::Commit(Some((stored, sealed))))
        })?;
        let Some((mut stored, sealed)) = erased else {
            return Ok(None);
        };
        // They are erased: what does not open cannot be revoked at the provider, and that is all.
        let tokens = self.open_tokens(&tenant, &stored, sealed).ok().flatten();
        stored.connection.is_default = false;
        stored.lifecycle.show_in(&mut stored.connection);
        Ok(Some(Revoked {
            connection: stored.connection,
            tokens,
        }))
    }

    fn open_tokens(
        &self,
        tenant: &Tenant,
        stored: &Stored,
        sealed: Sealed,
    ) -> Result<Option<Tokens>, VaultError> {
        let connection = &stored.connection;
        let Some(access) = sealed.access else {
            return Ok(None);
        };
        let context = self.context(connection, Kind::AccessToken, connection.generation);
        let fields = self.keyring.open(&self.store, tenant, &context, access)?;
        let mut text = fields.into_only_text()?;
        let access_token = AccessToken::new(std::mem::take(&mut *text));
        let rest = sealed
            .rest
            .map(|rest| self.open_rest(tenant, connection, rest))
            .transpose()?;
        let (refresh_token, id_token) = rest.map_or((None, None), |rest| (rest.refresh_token, rest.id_token));
        Ok(Some(Tokens {
            access_token,
            refresh_token,
            id_token,
        }))
    }

    /// Moves the write-ahead log into the database, where `secure_delete` has overwritten what was erased, and
    /// cuts it to nothing. A reader that began before keeps the log as it is.
    pub(super) fn cut_log(&self) -> Result<Erasure, VaultError> {
        if !self.store.has_file() {
            return Ok(Erasure::Cleared);
        }
        let writer = self.store.writer();
        writer.busy_timeout(PATIENCE).map_err(failed)?;
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        writer.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        match busy.map_err(failed) {
            Ok(false) => Ok(Erasure::Cleared),
            Ok(true) | Err(VaultError::Busy) => Ok(Erasure::Pending),
            Err(error) => Err(error),
        }
    }
}
