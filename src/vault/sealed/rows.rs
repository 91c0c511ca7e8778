//! Encodings between the records of the model and rows, and the authentication of rows.

use std::time::Duration;

use crate::model::{
    Account, ConnectionId, FailureCode, Grant, GrantId, IssuedBy, Label, NeedsConsent, Origin, Owner,
    Parameters, ProviderId, Scopes, ServerId, Status, StoredName as _, TenantId, Timestamp, UserId,
};
use crate::vault::change::lifecycle::{Held, Lifecycle};
use crate::vault::change::{StoredConnection, StoredGrant};
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::envelope::RowKey;
use crate::vault::tables::{ConnectionRow, GrantRow, Listing};
use crate::vault::{Holder, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// Returns the owner as a column: empty for the workspace, because a user's name is never empty.
pub(in crate::vault) fn owner_text(owner: &Owner) -> &str {
    owner.user().map_or("", UserId::as_str)
}

pub(super) fn owner(text: &str) -> Result<Owner> {
    if text.is_empty() {
        return Ok(Owner::Workspace);
    }
    UserId::stored(text).map(Owner::Personal).map_err(damaged)
}

/// Maps an unreadable value: this crate did not write it.
pub(super) fn damaged<E>(_: E) -> VaultError {
    VaultError::Damaged
}

pub(super) fn provider(text: &str) -> Result<ProviderId> {
    ProviderId::stored(text).map_err(damaged)
}

const fn time(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_unix_millis)
}

pub(super) fn write_parameters(encoder: Encoder, parameters: &Parameters) -> Encoder {
    encoder.list(parameters, |encoder, (name, value)| {
        encoder.text(name).text(value)
    })
}

pub(super) fn read_parameters(decoder: &mut Decoder<'_>) -> Result<Parameters> {
    let pairs = decoder.list(|decoder| Ok((decoder.text()?.to_owned(), decoder.text()?.to_owned())))?;
    Ok(pairs.into_iter().collect())
}

fn write_account(encoder: Encoder, account: Option<&Account>) -> Encoder {
    encoder
        .opt_text(account.map(|account| account.id.as_str()))
        .opt_text(account.and_then(|account| account.email.as_deref()))
        .opt_text(account.and_then(|account| account.label.as_deref()))
}

fn read_account(decoder: &mut Decoder<'_>) -> Result<Option<Account>> {
    let id = decoder.opt_text()?;
    let email = decoder.opt_text()?.map(str::to_owned);
    let label = decoder.opt_text()?.map(str::to_owned);
    Ok(id.map(|id| Account {
        id: id.to_owned(),
        email,
        label,
    }))
}

pub(super) fn scopes(text: &str) -> Result<Scopes> {
    text.parse().map_err(damaged)
}

/// Checks that a row is the requested one: the index by which it was found is not authenticated.
pub(super) fn same<T: PartialEq>(found: &T, wanted: &T) -> Result<()> {
    if found == wanted {
        Ok(())
    } else {
        Err(VaultError::Tampered)
    }
}

/// Checks that a listed connection matches the request.
pub(super) fn matches(row: &ConnectionRow, listing: &Listing<'_>) -> Result<()> {
    let is_wanted = listing.owner.is_none_or(|owner| row.owner == owner)
        && listing.provider.is_none_or(|provider| row.provider == provider)
        && listing.grant.is_none_or(|grant| row.grant == grant);
    if is_wanted {
        Ok(())
    } else {
        Err(VaultError::Tampered)
    }
}

// --- connections
// ----------------------------------------------------------------------------------------------------

fn details(connection: &StoredConnection) -> Vec<u8> {
    let encoder =
        write_account(Encoder::new(), connection.account.as_ref()).text(&connection.requested.to_string());
    write_parameters(encoder, &connection.parameters)
        .i64(connection.created_at.as_unix_millis())
        .finish()
}

/// Computes the MAC of a connection's row, over all of its fields.
fn with_mac_parts<T>(row: &ConnectionRow, f: impl FnOnce(&[&[u8]]) -> T) -> T {
    let label = row.label.as_deref();
    let account = row.account.as_deref();
    f(&[
        b"connection",
        row.id.as_bytes(),
        row.owner.as_bytes(),
        row.provider.as_bytes(),
        // The flag before a text distinguishes an absent text from an empty one.
        &[u8::from(label.is_some())],
        label.unwrap_or_default().as_bytes(),
        &[u8::from(row.is_default), u8::from(row.revoked)],
        row.grant.as_bytes(),
        &[u8::from(account.is_some())],
        account.unwrap_or_default().as_bytes(),
        &row.details,
    ])
}

pub(super) fn connection_row(connection: &StoredConnection, key: &RowKey) -> ConnectionRow {
    let mut row = ConnectionRow {
        id: connection.id,
        owner: owner_text(&connection.owner).to_owned(),
        provider: connection.provider.as_str().to_owned(),
        label: connection.label.as_ref().map(|label| label.as_str().to_owned()),
        is_default: connection.is_default,
        revoked: connection.revoked,
        grant: connection.grant,
        account: connection.account.as_ref().map(|account| account.id.clone()),
        details: details(connection),
        mac: [0; 32],
    };
    row.mac = with_mac_parts(&row, |parts| key.sign(parts));
    row
}

/// Checks that a row is unaltered and belongs to this connection.
pub(super) fn verify_connection(row: &ConnectionRow, key: &RowKey) -> Result<()> {
    with_mac_parts(row, |parts| key.verify(parts, &row.mac))
}

pub(super) fn connection(row: &ConnectionRow, key: &RowKey) -> Result<StoredConnection> {
    verify_connection(row, key)?;
    let mut decoder = Decoder::new(&row.details);
    let account = read_account(&mut decoder)?;
    let requested = scopes(decoder.text()?)?;
    let parameters = read_parameters(&mut decoder)?;
    let created_at = time(decoder.i64()?);
    decoder.finish()?;
    Ok(StoredConnection {
        id: row.id,
        owner: owner(&row.owner)?,
        provider: provider(&row.provider)?,
        label: row
            .label
            .clone()
            .map(Label::stored)
            .transpose()
            .map_err(damaged)?,
        is_default: row.is_default,
        revoked: row.revoked,
        grant: row.grant,
        account,
        requested,
        parameters,
        created_at,
    })
}

/// Returns the parameters of a connection whose row was verified: all that the hot path needs of
/// its details.
pub(super) fn connection_parameters(row: &ConnectionRow) -> Result<Parameters> {
    let mut decoder = Decoder::new(&row.details);
    for _ in 0..4 {
        decoder.bytes()?;
    }
    read_parameters(&mut decoder)
}

// --- grants
// ---------------------------------------------------------------------------------------------------------

/// Returns the encoding of everything that decides where the tokens of a grant are sent and how
/// they are shown. It is their additional data.
pub(super) fn route(grant: &Grant) -> Vec<u8> {
    let issuer = &grant.issued_by;
    let encoder = Encoder::new()
        .text(issuer.server.as_str())
        .opt_i64(millis(grant.expires_at))
        .text(&grant.granted.to_string())
        .text(owner_text(&grant.owner))
        .text(grant.provider.as_str())
        .text(grant.origin.as_str())
        .text(&issuer.token_endpoint)
        .text(&issuer.refresh_endpoint)
        .opt_text(issuer.revocation_endpoint.as_deref())
        .text(&issuer.client_id);
    let encoder = write_parameters(encoder, &grant.parameters)
        .text(&grant.requested.to_string())
        .i64(grant.consented_at.as_unix_millis())
        .opt_u64(
            grant
                .lifetime
                .map(|lifetime| u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
        );
    write_account(encoder, grant.account.as_ref()).finish()
}

/// The part of a route that the hot path needs. The rest is read only when the grant itself is
/// wanted.
pub(super) struct Head<'a> {
    pub(super) server: &'a str,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) granted: &'a str,
    pub(super) owner: &'a str,
    pub(super) provider: &'a str,
}

pub(super) fn route_head<'a>(decoder: &mut Decoder<'a>) -> Result<Head<'a>> {
    Ok(Head {
        server: decoder.text()?,
        expires_at: decoder.opt_i64()?.map(time),
        granted: decoder.text()?,
        owner: decoder.text()?,
        provider: decoder.text()?,
    })
}

/// Checks that the columns by which upkeep finds a grant agree with its route.
pub(super) fn check_columns(server: &str, expires_at: Option<i64>, head: &Head<'_>) -> Result<()> {
    if server == head.server && expires_at == millis(head.expires_at) {
        Ok(())
    } else {
        Err(VaultError::Tampered)
    }
}

/// Reads the facts of a grant from its route, which does not contain the status, the generation and
/// the refresh state.
pub(super) fn grant_of_route(tenant: &TenantId, id: GrantId, route: &[u8]) -> Result<Grant> {
    let mut decoder = Decoder::new(route);
    let head = route_head(&mut decoder)?;
    let origin = Origin::from_code(decoder.text()?).ok_or(VaultError::Damaged)?;
    let issued_by = IssuedBy {
        server: ServerId::stored(head.server).map_err(damaged)?,
        token_endpoint: decoder.text()?.to_owned(),
        refresh_endpoint: decoder.text()?.to_owned(),
        revocation_endpoint: decoder.opt_text()?.map(str::to_owned),
        client_id: decoder.text()?.to_owned(),
    };
    let parameters = read_parameters(&mut decoder)?;
    let requested = scopes(decoder.text()?)?;
    let consented_at = time(decoder.i64()?);
    let lifetime = decoder.opt_u64()?.map(Duration::from_millis);
    let account = read_account(&mut decoder)?;
    decoder.finish()?;
    let (owner, provider) = (owner(head.owner)?, provider(head.provider)?);
    let mut grant = Grant::new(id, tenant.clone(), owner, provider, issued_by, consented_at);
    grant.origin = origin;
    grant.parameters = parameters;
    grant.requested = requested;
    grant.granted = scopes(head.granted)?;
    grant.account = account;
    grant.expires_at = head.expires_at;
    grant.lifetime = lifetime;
    Ok(grant)
}

pub(super) const fn status_text(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Revoked => "revoked",
        Status::NeedsConsent(reason) => reason.as_str(),
    }
}

pub(super) fn status(text: &str) -> Result<Status> {
    match text {
        "active" => Ok(Status::Active),
        "revoked" => Ok(Status::Revoked),
        reason => NeedsConsent::from_code(reason)
            .map(Status::NeedsConsent)
            .ok_or(VaultError::Damaged),
    }
}

/// Returns the encoding of the claim and the failures. It is empty for a grant that never had
/// either, as most grants.
fn state(lifecycle: &Lifecycle) -> Vec<u8> {
    let untouched = Lifecycle {
        status: lifecycle.status,
        ..Lifecycle::granted(lifecycle.generation, lifecycle.refreshable, 0)
    };
    if *lifecycle == untouched {
        return Vec::new();
    }
    let held = lifecycle.held.as_ref();
    Encoder::new()
        .u64(lifecycle.fence)
        .opt_bytes(held.map(|held| held.holder.as_bytes().as_slice()))
        .u64(held.map_or(0, |held| held.fence))
        .opt_i64(held.map(|held| held.since.as_unix_millis()))
        .opt_i64(held.map(|held| held.until.as_unix_millis()))
        .opt_u64(lifecycle.unknown_generation)
        .u32(lifecycle.failures)
        .opt_i64(millis(lifecycle.not_before))
        .opt_text(lifecycle.last_failure.map(FailureCode::as_str))
        .opt_i64(millis(lifecycle.failed_at))
        .opt_i64(millis(lifecycle.quarantined_until))
        .opt_u64(lifecycle.failed_setup.map(u64::from))
        .opt_i64(millis(lifecycle.token_refused_at))
        .opt_i64(millis(lifecycle.refresh_token_expires_at))
        .finish()
}

pub(super) fn lifecycle(row: &GrantRow) -> Result<Lifecycle> {
    lifecycle_of(&row.status, row.generation, row.refreshable, &row.state)
}

pub(super) fn lifecycle_of(
    text: &str,
    generation: u64,
    refreshable: bool,
    state: &[u8],
) -> Result<Lifecycle> {
    let mut lifecycle = Lifecycle::granted(generation, refreshable, 0);
    lifecycle.status = status(text)?;
    if state.is_empty() {
        return Ok(lifecycle);
    }
    let mut decoder = Decoder::new(state);
    lifecycle.fence = decoder.u64()?;
    let holder = decoder.opt_array()?.map(Holder::from_bytes);
    let fence = decoder.u64()?;
    let (since, until) = (decoder.opt_i64()?, decoder.opt_i64()?);
    if let (Some(holder), Some(since), Some(until)) = (holder, since, until) {
        let (since, until) = (time(since), time(until));
        lifecycle.held = Some(Held {
            holder,
            fence,
            since,
            until,
        });
    }
    lifecycle.unknown_generation = decoder.opt_u64()?;
    lifecycle.failures = decoder.u32()?;
    lifecycle.not_before = decoder.opt_i64()?.map(time);
    lifecycle.last_failure = decoder
        .opt_text()?
        .map(|code| FailureCode::from_code(code).ok_or(VaultError::Damaged))
        .transpose()?;
    lifecycle.failed_at = decoder.opt_i64()?.map(time);
    lifecycle.quarantined_until = decoder.opt_i64()?.map(time);
    lifecycle.failed_setup = decoder
        .opt_u64()?
        .map(|check| u16::try_from(check).map_err(damaged))
        .transpose()?;
    lifecycle.token_refused_at = decoder.opt_i64()?.map(time);
    lifecycle.refresh_token_expires_at = decoder.opt_i64()?.map(time);
    decoder.finish()?;
    Ok(lifecycle)
}

/// Returns the encoding of all fields of a grant's row.
fn grant_fields(row: &GrantRow) -> Vec<u8> {
    /// The length of the fields other than texts and encodings, rounded up.
    const FIXED: usize = 256;
    let len = FIXED + row.status.len() + row.server.len() + row.route.len() + row.state.len();
    Encoder::with_capacity(len)
        .bytes(row.id.as_bytes())
        .opt_bytes(row.former_of.as_ref().map(|id| id.as_bytes().as_slice()))
        .text(&row.status)
        .u64(row.generation)
        .flag(row.refreshable)
        .text(&row.server)
        .opt_i64(row.expires_at)
        .i64(row.refreshed_at)
        .opt_i64(row.not_before)
        .opt_i64(row.held_until)
        .opt_i64(row.quarantined_until)
        .opt_i64(row.dead_at)
        .bytes(&row.route)
        .bytes(&row.state)
        .u32(row.key_version)
        .u64(row.revision)
        .finish()
}

/// Sets the MAC of a grant's row, which covers all other fields.
pub(super) fn sign_grant(row: &mut GrantRow, key: &RowKey) {
    row.mac = key.sign(&[b"grant", &grant_fields(row)]);
}

/// Reads a grant whose row is unaltered. All that is sent, shown or sealed again is read here. Only
/// the hot path does without, because the access token that it opens is bound to the route.
pub(super) fn grant(row: &GrantRow, tenant: &TenantId, key: &RowKey) -> Result<StoredGrant> {
    key.verify(&[b"grant", &grant_fields(row)], &row.mac)?;
    let head = route_head(&mut Decoder::new(&row.route))?;
    check_columns(&row.server, row.expires_at, &head)?;
    let mut grant = grant_of_route(tenant, row.id, &row.route)?;
    grant.refreshed_at = time(row.refreshed_at);
    grant.former_of = row.former_of;
    let lifecycle = lifecycle(row)?;
    lifecycle.show_in(&mut grant);
    Ok(StoredGrant {
        grant,
        lifecycle,
        dead_at: row.dead_at.map(time),
        has_tokens: row.key_version != 0,
    })
}

/// Returns the row of a grant. Its revision is one after `before`; the caller supplies the version
/// of the key.
pub(super) fn grant_row(stored: &StoredGrant, key_version: u32, before: u64, key: &RowKey) -> GrantRow {
    let StoredGrant { grant, lifecycle, .. } = stored;
    let mut row = GrantRow {
        id: grant.id,
        former_of: grant.former_of,
        status: status_text(lifecycle.status).to_owned(),
        generation: lifecycle.generation,
        refreshable: lifecycle.refreshable,
        server: grant.issued_by.server.as_str().to_owned(),
        expires_at: millis(grant.expires_at),
        refreshed_at: grant.refreshed_at.as_unix_millis(),
        not_before: millis(lifecycle.not_before),
        held_until: lifecycle.held.map(|held| held.until.as_unix_millis()),
        quarantined_until: millis(lifecycle.quarantined_until),
        dead_at: millis(stored.dead_at),
        route: route(grant),
        state: state(lifecycle),
        key_version,
        revision: before.saturating_add(1),
        mac: [0; 32],
    };
    sign_grant(&mut row, key);
    row
}

/// Returns whether the id of a connection names one: pending revocations of grants without
/// connections have none.
pub(super) fn is_named(id: ConnectionId) -> bool {
    *id.as_bytes() != [0; 16]
}

#[cfg(test)]
pub(super) mod tests;
