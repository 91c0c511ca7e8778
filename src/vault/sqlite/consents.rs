//! Pending consents.

use std::collections::BTreeMap;

use rusqlite::{Connection as Database, Row, params};

use crate::clock::{Clock as _, SystemClock};
use crate::model::{
    ConnectionId, ConsentId, Label, Owner, ProviderId, Scopes, ServerId, TenantId, Timestamp, UserId,
};
use crate::secret::PkceVerifier;
use crate::vault::envelope::{Context, Kind};
use crate::vault::lifecycle::Keep;
use crate::vault::sqlite::failure::failed;
use crate::vault::sqlite::rows::{self, get};
use crate::vault::sqlite::store::Step;
use crate::vault::sqlite::{SqliteVault, audit, slots};
use crate::vault::{AuditEntry, AuditKind, ConsentStatus, PendingConsent, Purpose, StateHash, VaultError};

const INSERT: &str = "INSERT INTO consents (state, id, binding, tenant, user, owner, provider, server, issuer,
    token_endpoint, client_id, redirect_uri, scopes, parameters, label, purpose, target, return_to, created_at,
    expires_at, status, completed, slot, key_version, services)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
    ?25)";
macro_rules! consent_columns {
    () => {
        "c.id, c.binding, c.user, c.owner, c.provider, c.server, c.issuer, c.token_endpoint, c.client_id, c.redirect_uri, \
         c.scopes, c.parameters, c.label, c.purpose, c.target, c.return_to, c.created_at, c.expires_at, c.status, \
         c.completed, c.services"
    };
}
/// The first column after those of a consent.
const NEXT: usize = 21;
pub(super) const BY_STATE: &str = concat!(
    "SELECT ",
    consent_columns!(),
    ", s.access FROM consents c LEFT JOIN secrets s ON s.slot = c.slot WHERE c.tenant = ?1 AND c.state = ?2"
);
/// Found among the tenant's by the index over `state`: a tenant's consents live for a day at most.
pub(super) const BY_USER: &str = concat!(
    "SELECT ",
    consent_columns!(),
    ", c.state FROM consents c WHERE c.tenant = ?1 AND c.user = ?2"
);
pub(super) const SLOT: &str = "SELECT slot, user FROM consents WHERE tenant = ?1 AND state = ?2";
pub(super) const TAKE: &str = "UPDATE consents SET status = 'taken', slot = NULL
    WHERE tenant = ?1 AND state = ?2 AND status = 'pending' AND expires_at > ?3";
pub(super) const CLOSE: &str = "UPDATE consents SET status = ?3, completed = ?4
    WHERE tenant = ?1 AND state = ?2 AND status = 'taken'";
pub(super) const COMPLETE: &str = "UPDATE consents SET status = 'completed', completed = ?3, slot = NULL
    WHERE tenant = ?1 AND state = ?2";
pub(super) const OVER: &str =
    "SELECT row, slot FROM consents WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2";
pub(super) const DELETE: &str = "DELETE FROM consents WHERE row = ?1";

/// Erases the verifier of a consent, if one is left. Returns who began the consent.
fn wipe_verifier(db: &Database, tenant: i64, state: &StateHash) -> Result<Option<UserId>, VaultError> {
    let (slot, user) = {
        let mut statement = db.prepare_cached(SLOT).map_err(failed)?;
        let mut found = statement
            .query(params![tenant, state.as_bytes()])
            .map_err(failed)?;
        match found.next().map_err(failed)? {
            Some(row) => (get(row, 0)?, get::<String>(row, 1)?),
            None => return Ok(None),
        }
    };
    slots::wipe(db, slot, Keep::Nothing)?;
    UserId::new(user).map(Some).map_err(|_| VaultError::Damaged)
}

/// Records that a consent has led to this connection, in the transaction that stores it. Returns who began it.
pub(super) fn complete(
    db: &Database,
    tenant: i64,
    state: &StateHash,
    connection: ConnectionId,
) -> Result<Option<UserId>, VaultError> {
    let user = wipe_verifier(db, tenant, state)?;
    db.prepare_cached(COMPLETE)
        .and_then(|mut statement| statement.execute(params![tenant, state.as_bytes(), connection.as_bytes()]))
        .map_err(failed)?;
    Ok(user)
}

/// Deletes a consent and what is left of its verifier.
pub(super) fn delete(db: &Database, row: i64, slot: Option<i64>) -> Result<(), VaultError> {
    slots::wipe(db, slot, Keep::Nothing)?;
    db.prepare_cached(DELETE)
        .and_then(|mut statement| statement.execute([row]))
        .map_err(failed)?;
    Ok(())
}

const fn status_text(status: ConsentStatus) -> (&'static str, Option<ConnectionId>) {
    match status {
        ConsentStatus::Pending => ("pending", None),
        ConsentStatus::Taken => ("taken", None),
        ConsentStatus::Completed(connection) => ("completed", Some(connection)),
        ConsentStatus::Denied => ("denied", None),
        ConsentStatus::Failed => ("failed", None),
        ConsentStatus::Cancelled => ("cancelled", None),
    }
}

fn status(text: &str, completed: Option<[u8; 16]>) -> Result<ConsentStatus, VaultError> {
    Ok(match (text, completed) {
        ("pending", _) => ConsentStatus::Pending,
        ("taken", _) => ConsentStatus::Taken,
        ("completed", Some(id)) => ConsentStatus::Completed(ConnectionId::from_bytes(id)),
        ("denied", _) => ConsentStatus::Denied,
        ("failed", _) => ConsentStatus::Failed,
        ("cancelled", _) => ConsentStatus::Cancelled,
        _ => return Err(VaultError::Damaged),
    })
}

const fn purpose_text(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Connect => "connect",
        Purpose::Reconnect(_) => "reconnect",
        Purpose::SwitchAccount(_) => "switch_account",
        Purpose::Extend(_) => "extend",
    }
}

fn purpose(text: &str, target: Option<[u8; 16]>) -> Result<Purpose, VaultError> {
    Ok(match (text, target.map(ConnectionId::from_bytes)) {
        ("connect", _) => Purpose::Connect,
        ("reconnect", Some(id)) => Purpose::Reconnect(id),
        ("switch_account", Some(id)) => Purpose::SwitchAccount(id),
        ("extend", Some(id)) => Purpose::Extend(id),
        _ => return Err(VaultError::Damaged),
    })
}

/// By the name of the service, its scopes: in the form of parameters.
fn services_text(services: &BTreeMap<ProviderId, Scopes>) -> Result<String, VaultError> {
    let named = services
        .iter()
        .map(|(provider, scopes)| (provider.as_str().to_owned(), scopes.to_string()));
    rows::parameters_text(&named.collect())
}

fn services(text: &str) -> Result<BTreeMap<ProviderId, Scopes>, VaultError> {
    let named = rows::parameters(text)?.into_iter();
    named
        .map(|(provider, scopes)| {
            let provider = ProviderId::new(provider).map_err(|_| VaultError::Damaged)?;
            Ok((provider, rows::scopes(&scopes)?))
        })
        .collect()
}

/// A consent and its verifier, still sealed.
struct Stored {
    consent: PendingConsent,
    verifier: Option<Vec<u8>>,
}

/// The consent in a row that begins with the columns of one.
fn read(row: &Row<'_>, tenant: &TenantId, state: StateHash) -> Result<PendingConsent, VaultError> {
    let damaged = |_| VaultError::Damaged;
    let text = |at: usize| get::<String>(row, at);
    let label = get::<Option<String>>(row, 12)?
        .map(Label::new)
        .transpose()
        .map_err(damaged)?;
    Ok(PendingConsent {
        id: ConsentId::from_bytes(get(row, 0)?),
        state,
        binding: StateHash::from_bytes(get(row, 1)?),
        tenant: tenant.clone(),
        user: UserId::new(text(2)?).map_err(damaged)?,
        owner: rows::owner(&text(3)?)?,
        provider: ProviderId::new(text(4)?).map_err(damaged)?,
        server: ServerId::new(text(5)?).map_err(damaged)?,
        issuer: get(row, 6)?,
        token_endpoint: text(7)?,
        client_id: text(8)?,
        redirect_uri: text(9)?,
        scopes: rows::scopes(&text(10)?)?,
        services: services(&text(20)?)?,
        parameters: rows::parameters(&text(11)?)?,
        label,
        purpose: purpose(&text(13)?, get(row, 14)?)?,
        return_to: get(row, 15)?,
        created_at: Timestamp::from_unix_millis(get(row, 16)?),
        expires_at: Timestamp::from_unix_millis(get(row, 17)?),
        status: status(&text(18)?, get(row, 19)?)?,
    })
}

impl SqliteVault {
    const fn consent_context<'a>(
        &self,
        tenant: &'a TenantId,
        owner: &'a Owner,
        provider: &'a ProviderId,
        id: &'a ConsentId,
    ) -> Context<'a> {
        Context {
            kind: Kind::Consent,
            vault: self.keyring.vault,
            tenant,
            owner: owner.user(),
            provider,
            id: id.as_bytes(),
            generation: 0,
        }
    }

    pub(super) fn write_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<(), VaultError> {
        let scopes = consent.scopes.to_string();
        let parameters = rows::parameters_text(&consent.parameters)?;
        let services = services_text(&consent.services)?;
        let (status, completed) = status_text(consent.status);
        let context = self.consent_context(&consent.tenant, &consent.owner, &consent.provider, &consent.id);
        let entry = entry(consent, AuditKind::ConsentStarted, consent.created_at);
        self.write_sealed(
            &consent.tenant,
            |tenant| match verifier {
                Some(verifier) => {
                    let record = tenant
                        .key()
                        .seal(&context, &[verifier.expose_secret().as_bytes()])?;
                    slots::pad(&record).map(Some)
                }
                None => Ok(None),
            },
            |db, tenant, sealed| {
                if sealed.is_some() && !tenant.count_seals(db, &self.keyring, 1)? {
                    return Ok(Step::Abandon(None));
                }
                if !audit::append(db, &self.keyring, tenant, &entry)? {
                    return Ok(Step::Abandon(None));
                }
                let slot = match sealed {
                    Some(sealed) => Some(slots::store(db, None, sealed, &[])?),
                    None => None,
                };
                db.prepare_cached(INSERT)
                    .and_then(|mut statement| {
                        statement.execute(params![
                            consent.state.as_bytes(),
                            consent.id.as_bytes(),
                            consent.binding.as_bytes(),
                            tenant.row,
                            consent.user.as_str(),
                            rows::owner_text(&consent.owner),
                            consent.provider.as_str(),
                            consent.server.as_str(),
                            consent.issuer,
                            consent.token_endpoint,
                            consent.client_id,
                            consent.redirect_uri,
                            scopes,
                            parameters,
                            consent.label.as_ref().map(Label::as_str),
                            purpose_text(consent.purpose),
                            consent.purpose.target().map(|id| *id.as_bytes()),
                            consent.return_to,
                            consent.created_at.as_unix_millis(),
                            consent.expires_at.as_unix_millis(),
                            status,
                            completed.map(|id| *id.as_bytes()),
                            slot,
                            slot.map(|_| tenant.key().version()),
                            services,
                        ])
                    })
                    .map_err(failed)?;
                Ok(Step::Commit(Some(())))
            },
        )
    }

    fn find_consent(&self, name: &TenantId, state: &StateHash) -> Result<Option<Stored>, VaultError> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        self.store.read(|db| {
            let mut statement = db.prepare_cached(BY_STATE).map_err(failed)?;
            let mut found = statement
                .query(params![tenant.row, state.as_bytes()])
                .map_err(failed)?;
            match found.next().map_err(failed)? {
                Some(row) => Ok(Some(Stored {
                    consent: read(row, name, *state)?,
                    verifier: slots::record(row, NEXT)?,
                })),
                None => Ok(None),
            }
        })
    }

    pub(super) fn read_consent(
        &self,
        name: &TenantId,
        state: &StateHash,
    ) -> Result<Option<PendingConsent>, VaultError> {
        Ok(self.find_consent(name, state)?.map(|stored| stored.consent))
    }

    pub(super) fn read_consents(
        &self,
        name: &TenantId,
        user: &UserId,
    ) -> Result<Vec<PendingConsent>, VaultError> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(Vec::new());
        };
        self.store.read(|db| {
            let mut statement = db.prepare_cached(BY_USER).map_err(failed)?;
            let mut found = statement
                .query(params![tenant.row, user.as_str()])
                .map_err(failed)?;
            let mut consents = Vec::new();
            while let Some(row) = found.next().map_err(failed)? {
                let state = StateHash::from_bytes(get(row, NEXT)?);
                consents.push(read(row, name, state)?);
            }
            Ok(consents)
        })
    }

    #[allow(clippy::option_option, reason = "as in the trait")]
    pub(super) fn take_pending_consent(
        &self,
        name: &TenantId,
        state: &StateHash,
        now: Timestamp,
    ) -> Result<Option<Option<PkceVerifier>>, VaultError> {
        let (Some(tenant), Some(Stored { consent, verifier })) =
            (self.tenant(name)?, self.find_consent(name, state)?)
        else {
            return Ok(None);
        };
        if consent.status != ConsentStatus::Pending || consent.expires_at <= now {
            return Ok(None);
        }
        // Opened first: one that does not open must not be taken, and nothing is decrypted in a transaction.
        let verifier = match verifier {
            Some(record) => {
                let context = self.consent_context(name, &consent.owner, &consent.provider, &consent.id);
                let fields = self.keyring.open(&self.store, &tenant, &context, record)?;
                let mut text = fields.into_only_text()?;
                Some(PkceVerifier::new(std::mem::take(&mut *text)))
            }
            None => None,
        };
        let taken = self.store.write(|db| {
            wipe_verifier(db, tenant.row, state)?;
            let taken = db
                .prepare_cached(TAKE)
                .and_then(|mut statement| {
                    statement.execute(params![tenant.row, state.as_bytes(), now.as_unix_millis()])
                })
                .map_err(failed)?;
            Ok(if taken == 1 {
                Step::Commit(true)
            } else {
                Step::Abandon(false)
            })
        })?;
        Ok(taken.then_some(verifier))
    }

    pub(super) fn close_taken_consent(
        &self,
        name: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
    ) -> Result<(), VaultError> {
        let Some(consent) = self.read_consent(name, state)? else {
            return Ok(());
        };
        let kind = match status {
            ConsentStatus::Denied | ConsentStatus::Cancelled => AuditKind::ConsentDenied,
            _ => AuditKind::ConsentFailed,
        };
        let entry = entry(&consent, kind, SystemClock.now());
        let (status, completed) = status_text(status);
        let completed = completed.map(|id| *id.as_bytes());
        self.write_audited(name, |db, tenant| {
            let closed = db
                .prepare_cached(CLOSE)
                .and_then(|mut statement| {
                    statement.execute(params![tenant.row, state.as_bytes(), status, completed])
                })
                .map_err(failed)?;
            if closed == 0 {
                return Ok(Step::Abandon(Some(())));
            }
            if !audit::append(db, &self.keyring, tenant, &entry)? {
                return Ok(Step::Abandon(None));
            }
            Ok(Step::Commit(Some(())))
        })
    }

    pub(super) fn delete_consents(&self, before: Timestamp, limit: usize) -> Result<usize, VaultError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.store.write(|db| {
            let mut over: Vec<(i64, Option<i64>)> = Vec::new();
            {
                let mut statement = db.prepare_cached(OVER).map_err(failed)?;
                let mut found = statement
                    .query(params![before.as_unix_millis(), limit])
                    .map_err(failed)?;
                while let Some(row) = found.next().map_err(failed)? {
                    over.push((get(row, 0)?, get(row, 1)?));
                }
            }
            for (row, slot) in &over {
                delete(db, *row, *slot)?;
            }
            Ok(Step::Commit(over.len()))
        })
    }
}

/// What the audit tells of a consent.
fn entry(consent: &PendingConsent, kind: AuditKind, at: Timestamp) -> AuditEntry {
    let mut entry = AuditEntry::new(kind, at).user(Some(&consent.user));
    entry.provider = Some(consent.provider.clone());
    entry.connection = consent.purpose.target();
    entry
}
