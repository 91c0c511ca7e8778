//! The tables of schemas 1 and 2 while their rows move.

use serde::de::DeserializeOwned;

use crate::model::{
    Account, Connection, ConnectionId, FailureCode, Grant, GrantId, IssuedBy, Label, NeedsConsent, Owner,
    Parameters, ProviderId, Scopes, ServerId, Status, StoredName, TenantId, Timestamp, UserId,
};
use crate::vault::change::StoredGrant;
use crate::vault::change::lifecycle::{Held, Lifecycle};
use crate::vault::sqlite::data::slots;
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::value::Columns;
use crate::vault::tables::{Sealed, TenantRow};
use crate::vault::{Holder, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The table `connections_2`.
pub(super) struct Connections;
/// The table `consents_2`.
pub(super) struct Consents;
/// The table `outbox_2`.
pub(super) struct Revocations;

const COUNT: &str = "SELECT (SELECT count(*) FROM connections_2) + (SELECT count(*) FROM consents_2)
    + (SELECT count(*) FROM outbox_2)";
const NAME: &str = "SELECT name FROM tenants WHERE id = :tenant";

/// Returns how many rows are left to move; 0 once the tables are gone.
pub(super) fn count(sql: Sql<'_>) -> Result<u64> {
    if !super::is_under_way(sql.0)? {
        return Ok(0);
    }
    Ok(sql.one(COUNT, &[], |columns| columns.take())?.unwrap_or(0))
}

pub(super) fn tenant_name(sql: Sql<'_>, tenant: TenantRow) -> Result<Option<TenantId>> {
    Ok(sql
        .one(NAME, &[(":tenant", &tenant)], |columns| {
            columns.take::<Option<TenantId>>()
        })?
        .flatten())
}

fn damaged<E>(_: E) -> VaultError {
    VaultError::Damaged
}

/// Takes text and reads a name from it.
pub(super) fn name<N: StoredName>(columns: &mut Columns<'_>) -> Result<N> {
    N::stored(columns.take::<String>()?).map_err(damaged)
}

pub(super) fn time(columns: &mut Columns<'_>) -> Result<Timestamp> {
    columns.take().map(Timestamp::from_unix_millis)
}

fn maybe_time(columns: &mut Columns<'_>) -> Result<Option<Timestamp>> {
    Ok(columns.take::<Option<i64>>()?.map(Timestamp::from_unix_millis))
}

pub(super) fn owner(columns: &mut Columns<'_>) -> Result<Owner> {
    let text: String = columns.take()?;
    if text.is_empty() {
        return Ok(Owner::Workspace);
    }
    UserId::stored(text).map(Owner::Personal).map_err(damaged)
}

pub(super) fn scopes(columns: &mut Columns<'_>) -> Result<Scopes> {
    columns.take::<String>()?.parse().map_err(damaged)
}

/// Takes a column of JSON; empty text stands for nothing.
pub(super) fn json<T: DeserializeOwned + Default>(columns: &mut Columns<'_>) -> Result<T> {
    let text: String = columns.take()?;
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(&text).map_err(damaged)
}

pub(super) fn label(columns: &mut Columns<'_>) -> Result<Option<Label>> {
    columns
        .take::<Option<String>>()?
        .map(Label::stored)
        .transpose()
        .map_err(damaged)
}

pub(super) fn sealed(columns: &mut Columns<'_>) -> Result<Sealed> {
    Ok(Sealed {
        access: slots::record(columns)?,
        rest: slots::record(columns)?,
    })
}

pub(super) fn sealed_access(columns: &mut Columns<'_>) -> Result<Option<Vec<u8>>> {
    slots::record(columns)
}

fn status(text: &str) -> Result<Status> {
    match text {
        "active" => Ok(Status::Active),
        "revoked" => Ok(Status::Revoked),
        reason => NeedsConsent::from_code(reason)
            .map(Status::NeedsConsent)
            .ok_or(VaultError::Damaged),
    }
}

/// Returns the issuer of tokens. Only one endpoint was recorded: that of the refresh.
pub(super) fn issuer(columns: &mut Columns<'_>) -> Result<IssuedBy> {
    let server: ServerId = name(columns)?;
    let (endpoint, client_id): (String, String) = (columns.take()?, columns.take()?);
    Ok(IssuedBy::new(server, endpoint, client_id))
}

/// A row of `connections_2`.
pub(super) struct OldConnection {
    pub(super) id: ConnectionId,
    pub(super) owner: Owner,
    pub(super) provider: ProviderId,
    pub(super) label: Option<Label>,
    pub(super) is_default: bool,
    pub(super) account: Option<Account>,
    pub(super) requested: Scopes,
    pub(super) granted: Scopes,
    pub(super) parameters: Parameters,
    pub(super) issued_by: IssuedBy,
    pub(super) created_at: Timestamp,
    pub(super) consented_at: Timestamp,
    pub(super) refreshed_at: Timestamp,
    pub(super) used_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) lifecycle: Lifecycle,
    pub(super) shares: Option<ConnectionId>,
    pub(super) keeps_for_others: bool,
    pub(super) sealed: Sealed,
}

/// The columns of a connection, in the order in which [`connection`] takes them.
macro_rules! connection_columns {
    ($shares:literal) => {
        concat!("c.uuid, c.owner, c.provider, c.label, c.is_default, c.account_id, c.account_email, c.account_label, \
         c.requested, c.granted, c.parameters, c.server, c.token_endpoint, c.client_id, c.created_at, \
         c.consented_at, c.refreshed_at, c.used_at, c.expires_at, c.status, c.generation, c.refreshable, c.fence, \
         c.holder, c.held_fence, c.held_since, c.held_until, c.unknown_generation, c.failures, c.not_before, \
         c.last_failure, c.failed_at, c.quarantined_until, ", $shares, ", s.access, s.rest")
    };
}
pub(super) use connection_columns;

pub(super) fn connection(columns: &mut Columns<'_>) -> Result<OldConnection> {
    Ok(OldConnection {
        id: columns.take()?,
        owner: owner(columns)?,
        provider: name(columns)?,
        label: label(columns)?,
        is_default: columns.take()?,
        account: account(columns)?,
        requested: scopes(columns)?,
        granted: scopes(columns)?,
        parameters: json(columns)?,
        issued_by: issuer(columns)?,
        created_at: time(columns)?,
        consented_at: time(columns)?,
        refreshed_at: time(columns)?,
        used_at: maybe_time(columns)?,
        expires_at: maybe_time(columns)?,
        lifecycle: lifecycle(columns)?,
        shares: columns.take()?,
        keeps_for_others: columns.take()?,
        sealed: sealed(columns)?,
    })
}

fn account(columns: &mut Columns<'_>) -> Result<Option<Account>> {
    let id: Option<String> = columns.take()?;
    let (email, label) = (columns.take()?, columns.take()?);
    Ok(id.map(|id| Account { id, email, label }))
}

fn lifecycle(columns: &mut Columns<'_>) -> Result<Lifecycle> {
    let status = status(&columns.take::<String>()?)?;
    let (generation, refreshable) = (columns.take()?, columns.take()?);
    let mut lifecycle = Lifecycle::granted(generation, refreshable, columns.take()?);
    lifecycle.status = status;
    let holder = columns.take::<Option<[u8; 16]>>()?.map(Holder::from_bytes);
    let fence: Option<u64> = columns.take()?;
    let (since, until) = (maybe_time(columns)?, maybe_time(columns)?);
    if let (Some(holder), Some(fence), Some(since), Some(until)) = (holder, fence, since, until) {
        lifecycle.held = Some(Held {
            holder,
            fence,
            since,
            until,
        });
    }
    lifecycle.unknown_generation = columns.take()?;
    lifecycle.failures = columns.take()?;
    lifecycle.not_before = maybe_time(columns)?;
    lifecycle.last_failure = columns
        .take::<Option<String>>()?
        .map(|code| FailureCode::from_code(&code).ok_or(VaultError::Damaged))
        .transpose()?;
    lifecycle.failed_at = maybe_time(columns)?;
    lifecycle.quarantined_until = maybe_time(columns)?;
    Ok(lifecycle)
}

impl OldConnection {
    /// Returns the grant that holds the tokens of this row. It has the row's id, to which the old
    /// seals are bound.
    pub(super) fn grant(&self, tenant: &TenantId) -> StoredGrant {
        let id = GrantId::from_bytes(*self.id.as_bytes());
        let (owner, provider) = (self.owner.clone(), self.provider.clone());
        let mut grant = Grant::new(
            id,
            tenant.clone(),
            owner,
            provider,
            self.issued_by.clone(),
            self.consented_at,
        );
        grant.parameters = self.parameters.clone();
        grant.requested = self.requested.clone();
        grant.granted = self.granted.clone();
        grant.account = self.account.clone();
        grant.refreshed_at = self.refreshed_at;
        grant.expires_at = self.expires_at;
        let mut stored = StoredGrant::new(grant, self.lifecycle.clone());
        stored.has_tokens = self.sealed.access.is_some() || self.sealed.rest.is_some();
        stored
    }

    /// Returns the connection in this row, and the grant that it uses.
    pub(super) fn connection(&self, tenant: &TenantId) -> (Connection, GrantId) {
        let own = self.grant(tenant);
        let mut connection = Connection::new(self.id, &own.grant);
        connection.label = self.label.clone();
        connection.is_default = self.is_default;
        connection.account = self.account.clone();
        connection.requested = self.requested.clone();
        connection.parameters = self.parameters.clone();
        connection.created_at = self.created_at;
        connection.used_at = self.used_at;
        connection.status = self.lifecycle.status;
        let grant = self
            .shares
            .map_or(own.grant.id, |keeper| GrantId::from_bytes(*keeper.as_bytes()));
        (connection, grant)
    }
}
