//! Revoking, and clearing what it leaves in the files.

use std::time::Duration;

use rusqlite::Connection as Database;

use crate::model::{Actor, Connection, ConnectionId, TenantId, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::envelope::Kind;
use crate::vault::lifecycle::{self, Keep};
use crate::vault::sqlite::connections::find;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::open::BUSY_TIMEOUT;
use crate::vault::sqlite::refresh::Rest;
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, outbox, rows, slots};
use crate::vault::{AuditEntry, AuditKind, Erasure, Revoked, Tokens, VaultError};

pub(super) const CLEAR_DEFAULT: &str = "UPDATE connections SET is_default = 0 WHERE id = ?1";

/// How long a reader is waited for before the log is left for later.
const PATIENCE: Duration = Duration::from_millis(100);

/// The sealed records of a connection.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) access: Option<Vec<u8>>,
    pub(super) rest: Option<Vec<u8>>,
}

pub(super) fn secrets(db: &Database, slot: Option<i64>) -> Result<Sealed, VaultError> {
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

/// What a connection held when it ended.
pub(super) struct Held {
    pub(super) access_token: Option<AccessToken>,
    pub(super) rest: Option<Rest>,
}

impl SqliteVault {
    /// Revokes a connection. With `queue`, its tokens are not erased but kept for the provider until that time.
    pub(super) fn erase_connection(
        &self,
        name: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
        now: Timestamp,
        queue: Option<Timestamp>,
    ) -> Result<Option<Revoked>, VaultError> {
        if self.tenant(name)?.is_none() {
            return Ok(None);
        }
        let erased = self.write_audited(name, |db, tenant| {
            let Some(mut stored) = find(db, tenant.row, name, id)? else {
                return Ok(Step::Abandon(Some(None)));
            };
            if !lifecycle::revoke(&mut stored.lifecycle) {
                return Ok(Step::Abandon(Some(None)));
            }
            let sealed = secrets(db, stored.slot)?;
            let entry = AuditEntry::new(AuditKind::Revoked, now)
                .user(stored.connection.owner.user())
                .about(id, &stored.connection.provider, stored.connection.generation)
                .by(by);
            if !audit::append(db, &self.keyring, tenant, &entry)? {
                return Ok(Step::Abandon(None));
            }
            let queued = match (queue, stored.slot) {
                (Some(give_up_at), Some(_)) => outbox::adopt(db, tenant.row, id, now, give_up_at)?,
                _ => None,
            };
            let slot = if queued.is_some() {
                None
            } else {
                slots::wipe(db, stored.slot, Keep::Nothing)?
            };
            rows::update_lifecycle(db, stored.row, &stored.lifecycle, slot)?;
            db.prepare_cached(CLEAR_DEFAULT)
                .and_then(|mut statement| statement.execute([stored.row]))
                .map_err(failed)?;
            Ok(Step::Commit(Some(Some((stored, sealed, queued)))))
        })?;
        let (Some((mut stored, sealed, queued)), Some(tenant)) = (erased, self.tenant(name)?) else {
            return Ok(None);
        };
        // They are erased: what does not open cannot be revoked at the provider, and that is all.
        let (tokens, refused) = match self.open_held(&tenant, &stored.connection, sealed) {
            Ok(held) => split(held),
            Err(_) => (None, None),
        };
        stored.connection.is_default = false;
        stored.lifecycle.show_in(&mut stored.connection);
        Ok(Some(Revoked {
            connection: stored.connection,
            tokens,
            refused,
            queued,
        }))
    }

    /// Opens what a connection held.
    pub(super) fn open_held(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        sealed: Sealed,
    ) -> Result<Held, VaultError> {
        let access_token = match sealed.access {
            Some(access) => {
                let context = self.context(connection, Kind::AccessToken, connection.generation);
                let fields = self.keyring.open(&self.store, tenant, &context, access)?;
                let mut text = fields.into_only_text()?;
                Some(AccessToken::new(std::mem::take(&mut *text)))
            }
            None => None,
        };
        let rest = sealed
            .rest
            .map(|rest| self.open_rest(tenant, connection, rest))
            .transpose()?;
        Ok(Held { access_token, rest })
    }

    /// Moves the write-ahead log into the database, where `secure_delete` has overwritten what was erased, and
    /// cuts it to nothing. A reader that began before keeps the log as it is.
    pub(super) fn cut_log(&self) -> Result<Erasure, VaultError> {
        // A crash may have left a workspace half forgotten: its keys are gone, its rows are not.
        while self.sweep_forgotten()? {}
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

/// The tokens of an active connection, or the refused refresh token of one in quarantine.
fn split(held: Held) -> (Option<Tokens>, Option<RefreshToken>) {
    let (refresh_token, id_token) = held
        .rest
        .map_or((None, None), |rest| (rest.refresh_token, rest.id_token));
    match held.access_token {
        Some(access_token) => (
            Some(Tokens {
                access_token,
                refresh_token,
                id_token,
            }),
            None,
        ),
        None => (None, refresh_token),
    }
}
