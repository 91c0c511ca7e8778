//! Between rows and the model.

use rusqlite::types::FromSql;
use rusqlite::{Row, Statement, ToSql};

use crate::model::{
    Account, Connection, ConnectionId, FailureCode, InFlight, IssuedBy, NeedsConsent, Owner, Parameters,
    RefreshState, Scopes, Status, TenantId, Timestamp, UserId,
};
use crate::vault::lifecycle::{Held, Lifecycle};
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::slots;
use crate::vault::{Holder, VaultError};

/// The columns of a connection, in the order in which [`connection`] and [`lifecycle`] read them.
macro_rules! connection_columns {
    () => {
        "c.id, c.uuid, c.owner, c.provider, c.label, c.is_default, c.status, c.account_id, c.account_email, \
         c.account_label, c.requested, c.granted, c.parameters, c.server, c.token_endpoint, c.client_id, \
         c.created_at, c.refreshed_at, c.used_at, c.expires_at, c.generation, c.refreshable, c.fence, c.holder, \
         c.held_fence, c.held_since, c.held_until, c.unknown_generation, c.failures, c.not_before, \
         c.last_failure, c.failed_at, c.quarantined_until, c.slot, c.consented_at, c.shares, c.is_keeper"
    };
}
pub(super) use connection_columns;

/// Where the slot of a connection's tokens is among its columns.
pub(super) const SLOT: usize = 33;

/// Where it says whose tokens it shares.
pub(super) const SHARES: usize = 35;

/// Where the columns after [`connection_columns`] begin.
pub(super) const CONNECTION_COLUMNS: usize = 37;

pub(super) fn get<T: FromSql>(row: &Row<'_>, at: usize) -> Result<T, VaultError> {
    row.get(at).map_err(failed)
}

fn text<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a str, VaultError> {
    row.get_ref(at)
        .map_err(failed)?
        .as_str()
        .map_err(|_| VaultError::Damaged)
}

fn parsed<T: for<'a> TryFrom<&'a str>>(row: &Row<'_>, at: usize) -> Result<T, VaultError> {
    T::try_from(text(row, at)?).map_err(|_| VaultError::Damaged)
}

fn timestamp(row: &Row<'_>, at: usize) -> Result<Timestamp, VaultError> {
    get(row, at).map(Timestamp::from_unix_millis)
}

pub(super) fn maybe_timestamp(row: &Row<'_>, at: usize) -> Result<Option<Timestamp>, VaultError> {
    get::<Option<i64>>(row, at).map(|millis| millis.map(Timestamp::from_unix_millis))
}

fn unsigned(row: &Row<'_>, at: usize) -> Result<u64, VaultError> {
    u64::try_from(get::<i64>(row, at)?).map_err(|_| VaultError::Damaged)
}

/// Numbers that only count up from zero: none gets near what SQLite cannot hold.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn scopes(text: &str) -> Result<Scopes, VaultError> {
    text.parse().map_err(|_| VaultError::Damaged)
}

pub(super) fn parameters(text: &str) -> Result<Parameters, VaultError> {
    if text.is_empty() {
        return Ok(Parameters::new());
    }
    serde_json::from_str(text).map_err(|_| VaultError::Damaged)
}

pub(super) fn parameters_text(parameters: &Parameters) -> Result<String, VaultError> {
    if parameters.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(parameters).map_err(VaultError::storage)
}

/// The owner as a column: empty for the tenant itself, because no user's name is.
pub(super) fn owner_text(owner: &Owner) -> &str {
    owner.user().map_or("", UserId::as_str)
}

pub(super) fn owner(text: &str) -> Result<Owner, VaultError> {
    if text.is_empty() {
        return Ok(Owner::Shared);
    }
    UserId::try_from(text)
        .map(Owner::Personal)
        .map_err(|_| VaultError::Damaged)
}

pub(super) const fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Revoked => "revoked",
        Status::NeedsConsent(reason) => reason.as_str(),
    }
}

fn status(text: &str) -> Result<Status, VaultError> {
    Ok(match text {
        "active" => Status::Active,
        "revoked" => Status::Revoked,
        "rejected" => Status::NeedsConsent(NeedsConsent::Rejected),
        "expired" => Status::NeedsConsent(NeedsConsent::Expired),
        "lost_in_flight" => Status::NeedsConsent(NeedsConsent::LostInFlight),
        "rejected_after_refresh" => Status::NeedsConsent(NeedsConsent::RejectedAfterRefresh),
        _ => return Err(VaultError::Damaged),
    })
}

/// The connection in a row that begins with [`connection_columns`], as it is in its own row: one that shares tokens does
/// not show the grant's state yet.
pub(super) fn connection(row: &Row<'_>, tenant: &TenantId) -> Result<Connection, VaultError> {
    let issued_by = IssuedBy {
        server: parsed(row, 13)?,
        token_endpoint: get(row, 14)?,
        client_id: get(row, 15)?,
    };
    let id = ConnectionId::from_bytes(get(row, 1)?);
    let owner = owner(text(row, 2)?)?;
    let mut connection = Connection::new(
        id,
        tenant.clone(),
        owner,
        parsed(row, 3)?,
        issued_by,
        timestamp(row, 16)?,
    );
    if let Some(label) = get::<Option<String>>(row, 4)? {
        connection.label = Some(label.try_into().map_err(|_| VaultError::Damaged)?);
    }
    connection.is_default = get(row, 5)?;
    if let Some(id) = get::<Option<String>>(row, 7)? {
        connection.account = Some(Account {
            id,
            email: get(row, 8)?,
            label: get(row, 9)?,
        });
    }
    connection.requested = scopes(text(row, 10)?)?;
    connection.granted = scopes(text(row, 11)?)?;
    connection.parameters = parameters(text(row, 12)?)?;
    connection.consented_at = timestamp(row, 34)?;
    connection.refreshed_at = timestamp(row, 17)?;
    connection.used_at = maybe_timestamp(row, 18)?;
    connection.expires_at = maybe_timestamp(row, 19)?;
    connection.shares = get::<Option<[u8; 16]>>(row, SHARES)?.map(ConnectionId::from_bytes);
    connection.is_keeper = get(row, 36)?;
    lifecycle(row)?.show_in(&mut connection);
    Ok(connection)
}

/// The claim in the four columns from `holder` on.
pub(super) fn held(row: &Row<'_>, from: usize) -> Result<Option<Held>, VaultError> {
    let Some(holder) = get::<Option<[u8; 16]>>(row, from)? else {
        return Ok(None);
    };
    Ok(Some(Held {
        holder: Holder::from_bytes(holder),
        fence: unsigned(row, from + 1)?,
        since: timestamp(row, from + 2)?,
        until: timestamp(row, from + 3)?,
    }))
}

/// The lifecycle in a row that begins with [`connection_columns`].
pub(super) fn lifecycle(row: &Row<'_>) -> Result<Lifecycle, VaultError> {
    let held = held(row, 23)?;
    let unknown_generation = get::<Option<i64>>(row, 27)?;
    Ok(Lifecycle {
        status: status(text(row, 6)?)?,
        generation: unsigned(row, 20)?,
        refreshable: get(row, 21)?,
        fence: unsigned(row, 22)?,
        held,
        unknown_generation: unknown_generation.and_then(|generation| u64::try_from(generation).ok()),
        failures: get(row, 28)?,
        not_before: maybe_timestamp(row, 29)?,
        last_failure: failure_code(row, 30)?,
        failed_at: maybe_timestamp(row, 31)?,
        quarantined_until: maybe_timestamp(row, 32)?,
    })
}

fn failure_code(row: &Row<'_>, at: usize) -> Result<Option<FailureCode>, VaultError> {
    let code = row.get_ref(at).map_err(failed)?;
    match code.as_str_or_null().map_err(|_| VaultError::Damaged)? {
        Some(code) => FailureCode::from_code(code).map(Some).ok_or(VaultError::Damaged),
        None => Ok(None),
    }
}

/// The columns of a token, for the hot path: what a turn must know, the sealed access token, and where it is if not here.
macro_rules! token_columns {
    () => {
        "c.uuid, c.generation, c.status, c.refreshed_at, c.expires_at, c.refreshable, c.parameters, c.failures, \
         c.not_before, c.last_failure, c.failed_at, c.held_since, c.held_until, c.quarantined_until, c.granted, \
         c.is_default, s.access, c.shares"
    };
}
pub(super) use token_columns;

/// A token as it is stored: its secret still sealed.
pub(super) struct SealedToken {
    pub(super) connection: ConnectionId,
    pub(super) shares: Option<ConnectionId>,
    pub(super) generation: u64,
    pub(super) status: Status,
    pub(super) refreshed_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) refreshable: bool,
    pub(super) parameters: Parameters,
    pub(super) refresh: RefreshState,
    pub(super) missing: Scopes,
    pub(super) access: Option<Vec<u8>>,
}

/// The token in a row of [`token_columns`].
pub(super) fn sealed_token(row: &Row<'_>, wanted: Option<&Scopes>) -> Result<SealedToken, VaultError> {
    let in_flight = match maybe_timestamp(row, 11)? {
        Some(since) => Some(InFlight {
            since,
            until: timestamp(row, 12)?,
        }),
        None => None,
    };
    let missing = match wanted {
        Some(wanted) => missing(wanted, text(row, 14)?),
        None => Scopes::default(),
    };
    Ok(SealedToken {
        connection: ConnectionId::from_bytes(get(row, 0)?),
        shares: get::<Option<[u8; 16]>>(row, 17)?.map(ConnectionId::from_bytes),
        generation: unsigned(row, 1)?,
        status: status(text(row, 2)?)?,
        refreshed_at: timestamp(row, 3)?,
        expires_at: maybe_timestamp(row, 4)?,
        refreshable: get(row, 5)?,
        parameters: parameters(text(row, 6)?)?,
        refresh: RefreshState {
            failures: get(row, 7)?,
            not_before: maybe_timestamp(row, 8)?,
            last_failure: failure_code(row, 9)?,
            failed_at: maybe_timestamp(row, 10)?,
            in_flight,
            quarantined_until: maybe_timestamp(row, 13)?,
        },
        missing,
        access: slots::record(row, 16)?,
    })
}

pub(super) fn is_default(token_row: &Row<'_>) -> Result<bool, VaultError> {
    get(token_row, 15)
}

/// The scopes that are wanted and not in the stored list. Allocates only if there are any.
fn missing(wanted: &Scopes, granted: &str) -> Scopes {
    wanted
        .iter()
        .filter(|scope| !granted.split(' ').any(|granted| granted == scope.as_str()))
        .cloned()
        .collect()
}

/// Writes a lifecycle and a slot: one statement for every change of it.
pub(super) const UPDATE_LIFECYCLE: &str =
    "UPDATE connections SET status = ?2, generation = ?3, refreshable = ?4,
    fence = ?5, holder = ?6, held_fence = ?7, held_since = ?8, held_until = ?9, unknown_generation = ?10,
    failures = ?11, not_before = ?12, last_failure = ?13, failed_at = ?14, quarantined_until = ?15, slot = ?16
    WHERE id = ?1";

/// Stores a lifecycle, and where its tokens lie, in the connection with this row.
pub(super) fn update_lifecycle(
    db: &rusqlite::Connection,
    row: i64,
    lifecycle: &Lifecycle,
    slot: Option<i64>,
) -> Result<(), VaultError> {
    let mut statement = db.prepare_cached(UPDATE_LIFECYCLE).map_err(failed)?;
    bind(&mut statement, 1, &row)?;
    bind_lifecycle(&mut statement, 2, lifecycle)?;
    bind(&mut statement, 16, &slot)?;
    statement.raw_execute().map_err(failed)?;
    Ok(())
}

/// Binds the fourteen columns of a lifecycle, `status` to `quarantined_until`.
pub(super) fn bind_lifecycle(
    statement: &mut Statement<'_>,
    from: usize,
    lifecycle: &Lifecycle,
) -> Result<(), VaultError> {
    let millis = |time: Option<Timestamp>| time.map(Timestamp::as_unix_millis);
    let held = lifecycle.held.as_ref();
    let values: [&dyn ToSql; 14] = [
        &status_text(lifecycle.status),
        &signed(lifecycle.generation),
        &lifecycle.refreshable,
        &signed(lifecycle.fence),
        &held.map(|held| *held.holder.as_bytes()),
        &held.map(|held| signed(held.fence)),
        &held.map(|held| held.since.as_unix_millis()),
        &held.map(|held| held.until.as_unix_millis()),
        &lifecycle.unknown_generation.map(signed),
        &lifecycle.failures,
        &millis(lifecycle.not_before),
        &lifecycle.last_failure.map(FailureCode::as_str),
        &millis(lifecycle.failed_at),
        &millis(lifecycle.quarantined_until),
    ];
    for (at, value) in (from..).zip(values) {
        bind(statement, at, value)?;
    }
    Ok(())
}

pub(super) fn bind(statement: &mut Statement<'_>, at: usize, value: &dyn ToSql) -> Result<(), VaultError> {
    statement.raw_bind_parameter(at, value).map_err(failed)
}
