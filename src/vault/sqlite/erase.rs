//! Revoking, and clearing what it leaves in the files.

use std::time::Duration;

use rusqlite::{Connection as Database, params};

use crate::model::{Actor, Connection, ConnectionId, TenantId, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::envelope::Kind;
use crate::vault::lifecycle::{self, Keep};
use crate::vault::sqlite::connections::{Stored, find, sharing};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::keys::Tenant;
use crate::vault::sqlite::open::BUSY_TIMEOUT;
use crate::vault::sqlite::refresh::Rest;
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, grants, outbox, rows, slots};
use crate::vault::{AuditEntry, AuditKind, Erasure, Revoked, Tokens, VaultError};

pub(super) const CLEAR_DEFAULT: &str = "UPDATE connections SET is_default = 0 WHERE id = ?1";

pub(super) const LEAVE: &str = "UPDATE connections SET shares = NULL, is_default = 0, granted = ?2,
    consented_at = ?3, refreshed_at = ?4, expires_at = ?5 WHERE id = ?1";

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

/// What ends when a connection is revoked.
struct Ending {
    /// The connection, as it shows itself afterwards.
    connection: Connection,
    /// The connections that end, as they were: this one, or all that share a record which is revoked itself.
    ended: Vec<Connection>,
    /// The row with the tokens that end, its lifecycle revoked. None if others go on with them.
    last: Option<Stored>,
    still_used_by: Vec<ConnectionId>,
}

impl Ending {
    /// Ends the rows that share tokens; what keeps tokens is left to the caller. `None` if there is nothing to end.
    fn of(db: &Database, tenant: i64, name: &TenantId, id: ConnectionId) -> Result<Option<Self>, VaultError> {
        let Some(mut named) = find(db, tenant, name, id)? else {
            return Ok(None);
        };
        let mut ended = Vec::new();
        let mut still_used_by = Vec::new();
        let mut last = None;
        if let Some(keeper) = named.connection.shares {
            let keeper = find(db, tenant, name, keeper)?.ok_or(VaultError::Damaged)?;
            ended.push(leave(db, &mut named, &keeper.connection)?);
            still_used_by.extend(
                sharing(db, tenant, name, keeper.connection.id)?
                    .into_iter()
                    .map(|other| other.connection.id),
            );
            last = Some(keeper).filter(|_| still_used_by.is_empty());
        } else if named.connection.is_keeper {
            for mut member in sharing(db, tenant, name, id)? {
                ended.push(leave(db, &mut member, &named.connection)?);
            }
        } else {
            ended.push(named.connection.clone());
        }
        let mut connection = named.connection.clone();
        if let Some(keeper) = &mut last {
            lifecycle::revoke(&mut keeper.lifecycle);
        } else if still_used_by.is_empty() {
            if !lifecycle::revoke(&mut named.lifecycle) {
                return Ok(None);
            }
            connection.is_default = false;
            named.lifecycle.show_in(&mut connection);
            last = Some(named);
        }
        Ok(Some(Self {
            connection,
            ended,
            last,
            still_used_by,
        }))
    }
}

/// Ends a row that shares tokens: what it showed last is its own from now on. Returns it as it was.
fn leave(db: &Database, member: &mut Stored, keeper: &Connection) -> Result<Connection, VaultError> {
    let connection = &mut member.connection;
    connection.show_grant(keeper);
    let before = connection.clone();
    connection.shares = None;
    connection.is_default = false;
    lifecycle::leave(&mut member.lifecycle, connection.generation);
    member.lifecycle.show_in(connection);
    rows::update_lifecycle(db, member.row, &member.lifecycle, None)?;
    db.prepare_cached(LEAVE)
        .and_then(|mut statement| {
            statement.execute(params![
                member.row,
                connection.granted.to_string(),
                connection.consented_at.as_unix_millis(),
                connection.refreshed_at.as_unix_millis(),
                connection.expires_at.map(|time| time.as_unix_millis()),
            ])
        })
        .map_err(failed)?;
    Ok(before)
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
            let Some(ending) = Ending::of(db, tenant.row, name, id)? else {
                return Ok(Step::Abandon(Some(None)));
            };
            for ended in &ending.ended {
                let mut entry = AuditEntry::new(AuditKind::Revoked, now)
                    .user(ended.owner.user())
                    .about(ended.id, &ended.provider, ended.generation)
                    .by(by);
                if !ending.still_used_by.is_empty() {
                    entry = entry.detail("grant_still_used");
                }
                if !audit::append(db, &self.keyring, tenant, &entry)? {
                    return Ok(Step::Abandon(None));
                }
            }
            let Some(last) = &ending.last else {
                return Ok(Step::Commit(Some(Some((ending, Sealed::default(), None)))));
            };
            let sealed = secrets(db, last.slot)?;
            let queued = match (queue, last.slot) {
                (Some(give_up_at), Some(_)) => {
                    outbox::adopt(db, tenant.row, last.connection.id, now, give_up_at)?
                }
                _ => None,
            };
            let slot = if queued.is_some() {
                None
            } else {
                slots::wipe(db, last.slot, Keep::Nothing)?
            };
            if last.connection.is_keeper {
                grants::delete(db, last.row)?;
            } else {
                rows::update_lifecycle(db, last.row, &last.lifecycle, slot)?;
                db.prepare_cached(CLEAR_DEFAULT)
                    .and_then(|mut statement| statement.execute([last.row]))
                    .map_err(failed)?;
            }
            Ok(Step::Commit(Some(Some((ending, sealed, queued)))))
        })?;
        let (Some((ending, sealed, queued)), Some(tenant)) = (erased, self.tenant(name)?) else {
            return Ok(None);
        };
        // They are erased: what does not open cannot be revoked at the provider, and that is all.
        let held = ending
            .last
            .as_ref()
            .and_then(|last| self.open_held(&tenant, &last.connection, sealed).ok());
        let (tokens, refused) = held.map_or((None, None), split);
        Ok(Some(Revoked {
            connection: ending.connection,
            tokens,
            refused,
            queued,
            still_used_by: ending.still_used_by,
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
