//! Moves consent requests.

use std::collections::BTreeMap;

use crate::model::{ConnectionId, ProviderId, Scopes, StoredName as _, TenantId, UserId};
use crate::vault::sealed::{Upgraded, Upgrader};
use crate::vault::sqlite::migrate::old::{self, Consents};
use crate::vault::sqlite::migrate::{Old, Table};
use crate::vault::sqlite::sql::Sql;
use crate::vault::sqlite::tables::SqliteTables;
use crate::vault::sqlite::value::Columns;
use crate::vault::tables::TenantRow;
use crate::vault::{ConsentStatus, PendingConsent, Purpose, RequestOptions, StateHash, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

macro_rules! read {
    ($services:literal) => {
        concat!(
            "SELECT c.tenant, c.row, c.slot, t.name, c.state, c.id, c.binding, c.user, c.owner, c.provider,
            c.server, c.issuer, c.token_endpoint, c.client_id, c.redirect_uri, c.scopes, ",
            $services,
            ", c.parameters, c.label, c.purpose, c.target, c.return_to, c.created_at, c.expires_at, c.status,
            c.completed, s.access
            FROM consents_2 c LEFT JOIN tenants t ON t.id = c.tenant LEFT JOIN secrets s ON s.slot = c.slot
            WHERE c.tenant = (SELECT min(tenant) FROM consents_2) LIMIT :limit"
        )
    };
}

const READ_1: &str = read!("''");
const READ_2: &str = read!("c.services");

/// A row of `consents_2`. Without the name of its tenant the request cannot be read, and is not
/// needed.
pub(super) struct OldConsent {
    consent: Option<PendingConsent>,
    sealed: Option<Vec<u8>>,
}

fn services(columns: &mut Columns<'_>) -> Result<BTreeMap<ProviderId, Scopes>> {
    let named: BTreeMap<String, String> = old::json(columns)?;
    named
        .into_iter()
        .map(|(provider, scopes)| {
            let provider = ProviderId::stored(provider).map_err(|_| VaultError::Damaged)?;
            let scopes = scopes.parse().map_err(|_| VaultError::Damaged)?;
            Ok((provider, scopes))
        })
        .collect()
}

fn purpose(columns: &mut Columns<'_>) -> Result<Purpose> {
    let text: String = columns.take()?;
    let target: Option<ConnectionId> = columns.take()?;
    Ok(match (text.as_str(), target) {
        ("connect", _) => Purpose::Connect,
        ("reconnect", Some(id)) => Purpose::Reconnect(id),
        ("switch_account", Some(id)) => Purpose::SwitchAccount(id),
        ("extend", Some(id)) => Purpose::Extend(id),
        _ => return Err(VaultError::Damaged),
    })
}

fn status(columns: &mut Columns<'_>) -> Result<ConsentStatus> {
    let text: String = columns.take()?;
    let completed: Option<ConnectionId> = columns.take()?;
    Ok(match (text.as_str(), completed) {
        ("pending", _) => ConsentStatus::Pending,
        ("taken", _) => ConsentStatus::Taken,
        ("completed", Some(id)) => ConsentStatus::Completed(id),
        ("denied", _) => ConsentStatus::Denied,
        ("failed", _) => ConsentStatus::Failed,
        ("cancelled", _) => ConsentStatus::Cancelled,
        _ => return Err(VaultError::Damaged),
    })
}

fn consent(columns: &mut Columns<'_>, tenant: TenantId) -> Result<PendingConsent> {
    let mut consent = PendingConsent {
        tenant,
        state: columns.take::<StateHash>()?,
        id: columns.take()?,
        binding: columns.take::<StateHash>()?,
        user: old::name::<UserId>(columns)?,
        owner: old::owner(columns)?,
        provider: old::name(columns)?,
        server: old::name(columns)?,
        issuer: columns.take()?,
        token_endpoint: columns.take()?,
        client_id: columns.take()?,
        redirect_uri: columns.take()?,
        scopes: old::scopes(columns)?,
        services: services(columns)?,
        parameters: old::json(columns)?,
        label: old::label(columns)?,
        purpose: purpose(columns)?,
        require_account: false,
        return_to: columns.take()?,
        request: RequestOptions::default(),
        created_at: old::time(columns)?,
        expires_at: old::time(columns)?,
        status: status(columns)?,
    };
    // A ticket of these schemas stores the scopes that the host named in the column of the
    // requested scopes.
    if consent.is_prepared() && !consent.scopes.is_empty() {
        consent.request.scopes = Some(consent.scopes.clone());
    }
    Ok(consent)
}

impl Table for Consents {
    type Record = OldConsent;

    const DELETE: &'static str = "DELETE FROM consents_2 WHERE row = :row";
    const EXISTS: &'static str = "SELECT 1 FROM consents_2 WHERE row = :row";

    fn read(sql: Sql<'_>, limit: usize) -> Result<Vec<(TenantRow, Old<OldConsent>)>> {
        if !super::is_under_way(sql.0)? {
            return Ok(Vec::new());
        }
        let read = if super::is_schema_2(sql)? { READ_2 } else { READ_1 };
        sql.all(read, &[(":limit", &limit)], |columns| {
            let (tenant, row, slot) = (columns.take()?, columns.take()?, columns.take()?);
            let record = match columns.take::<Option<TenantId>>()? {
                Some(name) => OldConsent {
                    consent: Some(consent(columns, name)?),
                    sealed: old::sealed_access(columns)?,
                },
                None => OldConsent {
                    consent: None,
                    sealed: None,
                },
            };
            Ok((tenant, Old { row, slot, record }))
        })
    }

    fn upgrade(_: &TenantId, old: &OldConsent, with: &Upgrader<'_, SqliteTables>) -> Result<Vec<Upgraded>> {
        let Some(consent) = &old.consent else {
            return Ok(Vec::new());
        };
        Ok(with.consent(consent, old.sealed.clone())?.into_iter().collect())
    }
}
