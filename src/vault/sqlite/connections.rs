//! Connections: reading, listing, choosing the default.

use rusqlite::{Connection as Database, Row, ToSql, params};

use crate::clock::{Clock as _, SystemClock};
use crate::model::{Actor, Connection, ConnectionId, Owner, ProviderId, Status, TenantId, Timestamp};
use crate::vault::lifecycle::Lifecycle;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::rows::{self, connection_columns};
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit};
use crate::vault::{AuditEntry, AuditKind, ConnectionQuery, Use, VaultError};

pub(super) const BY_ID: &str = concat!(
    "SELECT ",
    connection_columns!(),
    " FROM connections c WHERE c.tenant = ?1 AND c.uuid = ?2"
);

macro_rules! list {
    ($filter:literal) => {
        concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connections c WHERE c.tenant = ?1 AND c.uuid > ?2",
            $filter,
            " ORDER BY c.uuid LIMIT ?3"
        )
    };
}
/// The `+` keeps the planner from walking the whole tenant in the order of ids for the few that a person has.
macro_rules! list_of_owner {
    ($filter:literal) => {
        concat!(
            "SELECT ",
            connection_columns!(),
            " FROM connections c WHERE c.tenant = ?1 AND +c.uuid > ?2 AND c.owner = ?4",
            $filter,
            " ORDER BY +c.uuid LIMIT ?3"
        )
    };
}
pub(super) const LIST: &str = list!(" AND c.is_keeper = 0");
pub(super) const LIST_CURRENT: &str = list!(" AND c.is_keeper = 0 AND c.status <> 'revoked'");
pub(super) const LIST_OF_PROVIDER: &str = list!(" AND c.is_keeper = 0 AND c.provider = ?4");
pub(super) const LIST_CURRENT_OF_PROVIDER: &str =
    list!(" AND c.is_keeper = 0 AND c.provider = ?4 AND c.status <> 'revoked'");
pub(super) const LIST_OF_OWNER: &str = list_of_owner!(" AND c.is_keeper = 0");
pub(super) const LIST_CURRENT_OF_OWNER: &str =
    list_of_owner!(" AND c.is_keeper = 0 AND c.status <> 'revoked'");
pub(super) const LIST_OF_BOTH: &str = list_of_owner!(" AND c.is_keeper = 0 AND c.provider = ?5");
pub(super) const LIST_CURRENT_OF_BOTH: &str =
    list_of_owner!(" AND c.is_keeper = 0 AND c.provider = ?5 AND c.status <> 'revoked'");
pub(super) const LIST_SHARING: &str = list!(" AND c.shares = ?4");

pub(super) const CLEAR_DEFAULT: &str = "UPDATE connections SET is_default = 0
    WHERE tenant = ?1 AND owner = ?2 AND provider = ?3 AND is_default = 1";
pub(super) const SET_DEFAULT: &str = "UPDATE connections SET is_default = 1 WHERE id = ?1";
pub(super) const RECORD_USE: &str = "UPDATE connections SET used_at = ?3
    WHERE tenant = ?1 AND uuid = ?2 AND (used_at IS NULL OR used_at < ?3)";

/// A connection and its row.
pub(super) struct Stored {
    pub(super) row: i64,
    pub(super) slot: Option<i64>,
    pub(super) connection: Connection,
    pub(super) lifecycle: Lifecycle,
}

pub(super) fn find(
    db: &Database,
    tenant: i64,
    name: &TenantId,
    id: ConnectionId,
) -> Result<Option<Stored>, VaultError> {
    let mut statement = db.prepare_cached(BY_ID).map_err(failed)?;
    let mut found = statement.query(params![tenant, id.as_bytes()]).map_err(failed)?;
    match found.next().map_err(failed)? {
        Some(row) => stored(row, name).map(Some),
        None => Ok(None),
    }
}

fn stored(row: &Row<'_>, name: &TenantId) -> Result<Stored, VaultError> {
    Ok(Stored {
        row: rows::get(row, 0)?,
        slot: rows::get(row, rows::SLOT)?,
        connection: rows::connection(row, name)?,
        lifecycle: rows::lifecycle(row)?,
    })
}

/// The connection in a row, with the grant's state where it shares one. Read while the row's statement stands on it:
/// so both are of the same moment.
fn shown(db: &Database, tenant: i64, row: &Row<'_>, name: &TenantId) -> Result<Connection, VaultError> {
    let mut connection = rows::connection(row, name)?;
    if let Some(keeper) = connection.shares {
        let keeper = find(db, tenant, name, keeper)?.ok_or(VaultError::Damaged)?;
        connection.show_grant(&keeper.connection);
    }
    Ok(connection)
}

/// Those who share a record's tokens, as they are in their own rows.
pub(super) fn sharing(
    db: &Database,
    tenant: i64,
    name: &TenantId,
    keeper: ConnectionId,
) -> Result<Vec<Stored>, VaultError> {
    let mut statement = db.prepare_cached(LIST_SHARING).map_err(failed)?;
    let mut found = statement
        .query(params![tenant, [0_u8; 0], i64::MAX, keeper.as_bytes()])
        .map_err(failed)?;
    let mut all = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        all.push(stored(row, name)?);
    }
    Ok(all)
}

/// The row of a connection, its slot and its lifecycle.
pub(super) struct StoredLifecycle {
    pub(super) row: i64,
    pub(super) slot: Option<i64>,
    /// Whether its tokens are elsewhere.
    pub(super) shares: bool,
    pub(super) lifecycle: Lifecycle,
}

/// As [`find`], for what changes the lifecycle alone: nothing else is parsed inside its transaction.
pub(super) fn find_lifecycle(
    db: &Database,
    tenant: i64,
    id: ConnectionId,
) -> Result<Option<StoredLifecycle>, VaultError> {
    let mut statement = db.prepare_cached(BY_ID).map_err(failed)?;
    let mut found = statement.query(params![tenant, id.as_bytes()]).map_err(failed)?;
    match found.next().map_err(failed)? {
        Some(row) => Ok(Some(StoredLifecycle {
            row: rows::get(row, 0)?,
            slot: rows::get(row, rows::SLOT)?,
            shares: rows::get::<Option<[u8; 16]>>(row, rows::SHARES)?.is_some(),
            lifecycle: rows::lifecycle(row)?,
        })),
        None => Ok(None),
    }
}

impl SqliteVault {
    pub(super) fn read_connection(
        &self,
        name: &TenantId,
        id: ConnectionId,
    ) -> Result<Option<Connection>, VaultError> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        self.store.read(|db| {
            let mut statement = db.prepare_cached(BY_ID).map_err(failed)?;
            let mut found = statement
                .query(params![tenant.row, id.as_bytes()])
                .map_err(failed)?;
            match found.next().map_err(failed)? {
                Some(row) => shown(db, tenant.row, row, name).map(Some),
                None => Ok(None),
            }
        })
    }

    pub(super) fn read_connections(
        &self,
        query: &ConnectionQuery<'_>,
    ) -> Result<Vec<Connection>, VaultError> {
        let Some(tenant) = self.tenant(query.tenant)? else {
            return Ok(Vec::new());
        };
        // The empty blob comes before every id.
        let after = query.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let owner = query.owner.map(rows::owner_text);
        let provider = query.provider.map(AsRef::<str>::as_ref);
        let keeper = query.shares.map(|id| *id.as_bytes());
        let sql = match (owner.is_some(), provider.is_some(), query.with_revoked) {
            (false, false, false) => LIST_CURRENT,
            (false, false, true) => LIST,
            (false, true, false) => LIST_CURRENT_OF_PROVIDER,
            (false, true, true) => LIST_OF_PROVIDER,
            (true, false, false) => LIST_CURRENT_OF_OWNER,
            (true, false, true) => LIST_OF_OWNER,
            (true, true, false) => LIST_CURRENT_OF_BOTH,
            (true, true, true) => LIST_OF_BOTH,
        };
        let mut values: Vec<&dyn ToSql> = vec![&tenant.row, &after, &limit];
        let sql = if let Some(keeper) = &keeper {
            values.push(keeper);
            LIST_SHARING
        } else {
            values.extend(owner.as_ref().map(|owner| owner as &dyn ToSql));
            values.extend(provider.as_ref().map(|provider| provider as &dyn ToSql));
            sql
        };
        self.store.read(|db| {
            let mut statement = db.prepare_cached(sql).map_err(failed)?;
            let mut found = statement.query(values.as_slice()).map_err(failed)?;
            let mut connections = Vec::new();
            while let Some(row) = found.next().map_err(failed)? {
                connections.push(shown(db, tenant.row, row, query.tenant)?);
            }
            Ok(connections)
        })
    }

    pub(super) fn write_default(
        &self,
        name: &TenantId,
        id: ConnectionId,
        by: Option<&Actor>,
    ) -> Result<bool, VaultError> {
        if self.tenant(name)?.is_none() {
            return Ok(false);
        }
        self.write_audited(name, |db, tenant| {
            let stored = find(db, tenant.row, name, id)?;
            let is_choice =
                |stored: &Stored| stored.lifecycle.status != Status::Revoked && !stored.connection.is_keeper;
            let Some(stored) = stored.filter(is_choice) else {
                return Ok(Step::Abandon(Some(false)));
            };
            clear_default(
                db,
                tenant.row,
                &stored.connection.owner,
                &stored.connection.provider,
            )?;
            db.prepare_cached(SET_DEFAULT)
                .and_then(|mut statement| statement.execute([stored.row]))
                .map_err(failed)?;
            let connection = &stored.connection;
            let entry = AuditEntry::new(AuditKind::DefaultSet, SystemClock.now())
                .user(connection.owner.user())
                .about(id, &connection.provider, connection.generation)
                .by(by);
            if !audit::append(db, &self.keyring, tenant, &entry)? {
                return Ok(Step::Abandon(None));
            }
            Ok(Step::Commit(Some(true)))
        })
    }

    pub(super) fn write_uses(&self, uses: &[Use]) -> Result<(), VaultError> {
        let mut known = Vec::with_capacity(uses.len());
        for used in uses {
            if let Some(tenant) = self.tenant(&used.tenant)? {
                known.push((tenant.row, used));
            }
        }
        if known.is_empty() {
            return Ok(());
        }
        self.store.write(|db| {
            for (tenant, used) in &known {
                record_use(db, *tenant, used.connection, used.at)?;
            }
            Ok(Step::Commit(()))
        })
    }
}

pub(super) fn record_use(
    db: &Database,
    tenant: i64,
    id: ConnectionId,
    at: Timestamp,
) -> Result<(), VaultError> {
    db.prepare_cached(RECORD_USE)
        .and_then(|mut statement| statement.execute(params![tenant, id.as_bytes(), at.as_unix_millis()]))
        .map_err(failed)?;
    Ok(())
}

pub(super) fn clear_default(
    db: &Database,
    tenant: i64,
    owner: &Owner,
    provider: &ProviderId,
) -> Result<(), VaultError> {
    db.prepare_cached(CLEAR_DEFAULT)
        .and_then(|mut statement| {
            statement.execute(params![tenant, rows::owner_text(owner), provider.as_str()])
        })
        .map_err(failed)?;
    Ok(())
}
