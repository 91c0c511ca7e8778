//! Consent requests.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    ConnectionId, Label, ProviderId, Scopes, ServerId, StoredName as _, TenantId, Timestamp, UserId,
};
use crate::protocol::{Hints, Prompt};
use crate::secret::PkceVerifier;
use crate::vault::codec::{Decoder, Encoder};
use crate::vault::envelope::{Context, Kind, RowKey};
use crate::vault::sealed::core::{Core, again_if_tampered};
use crate::vault::sealed::rows;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{ConsentRow, RowsMut, Tables, Write};
use crate::vault::{
    AuditEntry, AuditKind, ConsentStatus, MAX_CONSENTS, PendingConsent, Purpose, RequestOptions, StateHash,
    Taken, VaultError,
};

type Result<T> = std::result::Result<T, VaultError>;

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

fn status(text: &str, completed: Option<ConnectionId>) -> Result<ConsentStatus> {
    Ok(match (text, completed) {
        ("pending", _) => ConsentStatus::Pending,
        ("taken", _) => ConsentStatus::Taken,
        ("completed", Some(id)) => ConsentStatus::Completed(id),
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

fn purpose(text: &str, target: Option<ConnectionId>) -> Result<Purpose> {
    Ok(match (text, target) {
        ("connect", _) => Purpose::Connect,
        ("reconnect", Some(id)) => Purpose::Reconnect(id),
        ("switch_account", Some(id)) => Purpose::SwitchAccount(id),
        ("extend", Some(id)) => Purpose::Extend(id),
        _ => return Err(VaultError::Damaged),
    })
}

/// Returns the encoding of all parts of a request that are not columns.
fn body(consent: &PendingConsent) -> Vec<u8> {
    let encoder = Encoder::new()
        .bytes(consent.binding.as_bytes())
        .text(consent.provider.as_str())
        .text(consent.server.as_str())
        .opt_text(consent.issuer.as_deref())
        .text(&consent.token_endpoint)
        .text(&consent.client_id)
        .text(&consent.redirect_uri)
        .text(&consent.scopes.to_string())
        .list(&consent.services, |encoder, (provider, scopes)| {
            encoder.text(provider.as_str()).text(&scopes.to_string())
        });
    let encoder = rows::write_parameters(encoder, &consent.parameters)
        .opt_text(consent.label.as_ref().map(Label::as_str))
        .text(purpose_text(consent.purpose))
        .opt_bytes(
            consent
                .purpose
                .target()
                .as_ref()
                .map(|id| id.as_bytes().as_slice()),
        )
        .flag(consent.require_account)
        .opt_text(consent.return_to.as_deref());
    write_request(encoder, &consent.request)
        .i64(consent.created_at.as_unix_millis())
        .finish()
}

fn write_request(encoder: Encoder, request: &RequestOptions) -> Encoder {
    let RequestOptions {
        scopes,
        added_scopes,
        hints,
    } = request;
    // An age of more than 584 years is not a restriction.
    let nanos = |age: Duration| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    encoder
        .opt_text(scopes.as_ref().map(ToString::to_string).as_deref())
        .text(&added_scopes.to_string())
        .opt_text(hints.login_hint.as_deref())
        .opt_text(hints.prompt.map(Prompt::as_str))
        .opt_u64(hints.max_age.map(nanos))
        .opt_text(hints.acr_values.as_deref())
}

fn read_request(decoder: &mut Decoder<'_>) -> Result<RequestOptions> {
    let mut request = RequestOptions {
        scopes: decoder.opt_text()?.map(rows::scopes).transpose()?,
        added_scopes: rows::scopes(decoder.text()?)?,
        hints: Hints::default(),
    };
    request.hints.login_hint = decoder.opt_text()?.map(str::to_owned);
    let prompt = |text| Prompt::from_text(text).ok_or(VaultError::Damaged);
    request.hints.prompt = decoder.opt_text()?.map(prompt).transpose()?;
    request.hints.max_age = decoder.opt_u64()?.map(Duration::from_nanos);
    request.hints.acr_values = decoder.opt_text()?.map(str::to_owned);
    Ok(request)
}

fn services(decoder: &mut Decoder<'_>) -> Result<BTreeMap<ProviderId, Scopes>> {
    let pairs =
        decoder.list(|decoder| Ok((rows::provider(decoder.text()?)?, rows::scopes(decoder.text()?)?)))?;
    Ok(pairs.into_iter().collect())
}

/// Returns all fields of a row that never change. The status and the resulting connection change
/// without a key. They decide nothing, because a request that is set back to pending has no
/// verifier.
fn fixed_fields(row: &ConsentRow) -> Vec<u8> {
    Encoder::new()
        .bytes(row.state.as_bytes())
        .bytes(row.id.as_bytes())
        .text(&row.user)
        .text(&row.owner)
        .i64(row.expires_at)
        .bytes(&row.body)
        .finish()
}

fn verify(row: &ConsentRow, key: &RowKey) -> Result<()> {
    key.verify(&[b"consent", &fixed_fields(row)], &row.mac)
}

/// Returns the user who began the request in a row.
pub(super) fn person(row: ConsentRow, tenant: &Tenant) -> Result<UserId> {
    verify(&row, tenant.row_key())?;
    UserId::stored(row.user).map_err(rows::damaged)
}

fn consent(row: &ConsentRow, tenant: &TenantId, key: &RowKey) -> Result<PendingConsent> {
    verify(row, key)?;
    let mut decoder = Decoder::new(&row.body);
    let consent = PendingConsent {
        id: row.id,
        state: row.state,
        binding: StateHash::from_bytes(decoder.array()?),
        tenant: tenant.clone(),
        user: UserId::stored(row.user.clone()).map_err(rows::damaged)?,
        owner: rows::owner(&row.owner)?,
        provider: rows::provider(decoder.text()?)?,
        server: ServerId::stored(decoder.text()?).map_err(rows::damaged)?,
        issuer: decoder.opt_text()?.map(str::to_owned),
        token_endpoint: decoder.text()?.to_owned(),
        client_id: decoder.text()?.to_owned(),
        redirect_uri: decoder.text()?.to_owned(),
        scopes: rows::scopes(decoder.text()?)?,
        services: services(&mut decoder)?,
        parameters: rows::read_parameters(&mut decoder)?,
        label: decoder
            .opt_text()?
            .map(Label::stored)
            .transpose()
            .map_err(rows::damaged)?,
        purpose: purpose(
            decoder.text()?,
            decoder.opt_array()?.map(ConnectionId::from_bytes),
        )?,
        require_account: decoder.flag()?,
        return_to: decoder.opt_text()?.map(str::to_owned),
        request: read_request(&mut decoder)?,
        created_at: Timestamp::from_unix_millis(decoder.i64()?),
        expires_at: Timestamp::from_unix_millis(row.expires_at),
        status: status(&row.status, row.completed)?,
    };
    decoder.finish()?;
    Ok(consent)
}

pub(in crate::vault) fn consent_row(consent: &PendingConsent, key_version: u32, key: &RowKey) -> ConsentRow {
    let (status, completed) = status_text(consent.status);
    let mut row = ConsentRow {
        state: consent.state,
        id: consent.id,
        user: consent.user.as_str().to_owned(),
        owner: rows::owner_text(&consent.owner).to_owned(),
        expires_at: consent.expires_at.as_unix_millis(),
        status: status.to_owned(),
        completed,
        body: body(consent),
        key_version,
        mac: [0; 32],
    };
    row.mac = key.sign(&[b"consent", &fixed_fields(&row)]);
    row
}

/// Returns the encoding that the verifier is bound to: the whole row, except its status.
fn route(row: &ConsentRow) -> Vec<u8> {
    Encoder::new()
        .bytes(row.state.as_bytes())
        .text(&row.user)
        .i64(row.expires_at)
        .bytes(&row.body)
        .finish()
}

fn context<'a>(tenant: &'a Tenant, consent: &'a PendingConsent, route: &'a [u8]) -> Context<'a> {
    Context {
        kind: Kind::Consent,
        vault: tenant.vault,
        tenant: &tenant.name,
        owner: consent.owner.user(),
        provider: &consent.provider,
        id: consent.id.as_bytes(),
        generation: 0,
        route,
    }
}

/// Seals the verifier of a request, or an empty one if there is none, so that every pending request
/// is authenticated.
pub(in crate::vault) fn seal_verifier(
    tenant: &Tenant,
    consent: &PendingConsent,
    row: &ConsentRow,
    verifier: Option<&PkceVerifier>,
) -> Result<Vec<u8>> {
    let route = route(row);
    let verifier = verifier.map_or("", PkceVerifier::expose_secret);
    tenant
        .key()
        .seal(&context(tenant, consent, &route), &[verifier.as_bytes()])
}

impl<T: Tables> Core<T> {
    pub(super) fn insert_consent(
        &self,
        consent: &PendingConsent,
        verifier: Option<&PkceVerifier>,
    ) -> Result<()> {
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        let entry = entry(consent, AuditKind::ConsentStarted, consent.created_at);
        self.repeat(&consent.tenant, consent.created_at, |tenant| {
            let row = consent_row(consent, tenant.key().version(), tenant.row_key());
            let sealed = seal_verifier(tenant, consent, &row, verifier)?;
            self.write_sealed(tenant, |rows, seals| {
                if !seals.count(rows, 1)? {
                    return Ok(Write::NewDataKey);
                }
                let mut entries: Vec<AuditEntry> = Vec::new();
                for (standing, surplus) in surplus(rows, tenant, consent)? {
                    rows.delete_consent(tenant.row, &surplus.state)?;
                    if standing == Standing::Open {
                        entries.push(self::entry(
                            &surplus,
                            AuditKind::ConsentDenied,
                            consent.created_at,
                        ));
                    }
                }
                entries.push(entry.clone());
                if !self.keyring.append(rows, seals, &audit_key, &entries)? {
                    return Ok(Write::NewDataKey);
                }
                rows.insert_consent(tenant.row, &row, &sealed)?;
                Ok(Write::Commit(()))
            })
        })
    }

    pub(super) fn open_consent(
        &self,
        name: &TenantId,
        state: &StateHash,
    ) -> Result<Option<(PendingConsent, Option<PkceVerifier>)>> {
        let found = again_if_tampered(|| self.read_consent(name, state))?;
        Ok(found.filter(|(consent, _)| consent.status == ConsentStatus::Pending))
    }

    /// Reads the request in a row. A pending request is authenticated by its verifier.
    pub(super) fn opened(
        &self,
        tenant: &Tenant,
        row: &ConsentRow,
        sealed: Option<Vec<u8>>,
    ) -> Result<(PendingConsent, Option<PkceVerifier>)> {
        let consent = consent(row, &tenant.name, tenant.row_key())?;
        if consent.status != ConsentStatus::Pending {
            return Ok((consent, None));
        }
        let record = sealed.ok_or(VaultError::Tampered)?;
        let route = route(row);
        let fields = self
            .keyring
            .open(&self.tables, tenant, &context(tenant, &consent, &route), record)?;
        let mut text = fields.into_only_text()?;
        let verifier = (!text.is_empty()).then(|| PkceVerifier::new(std::mem::take(&mut *text)));
        Ok((consent, verifier))
    }

    pub(super) fn consent(&self, name: &TenantId, state: &StateHash) -> Result<Option<PendingConsent>> {
        again_if_tampered(|| Ok(self.read_consent(name, state)?.map(|(consent, _)| consent)))
    }

    fn read_consent(
        &self,
        name: &TenantId,
        state: &StateHash,
    ) -> Result<Option<(PendingConsent, Option<PkceVerifier>)>> {
        let Some(tenant) = self.tenant(name)? else {
            return Ok(None);
        };
        match self.tables.read(|rows| rows.consent(tenant.row, state))? {
            Some((row, sealed)) => {
                rows::same(&row.state, state)?;
                self.opened(&tenant, &row, sealed).map(Some)
            }
            None => Ok(None),
        }
    }

    pub(super) fn consents(&self, name: &TenantId, user: &UserId) -> Result<Vec<PendingConsent>> {
        again_if_tampered(|| {
            let Some(tenant) = self.tenant(name)? else {
                return Ok(Vec::new());
            };
            let found = self
                .tables
                .read(|rows| rows.consents_of(tenant.row, user.as_str()))?;
            found
                .into_iter()
                .map(|(row, sealed)| Ok(self.opened(&tenant, &row, sealed)?.0))
                .collect()
        })
    }

    pub(super) fn tenant_consents(
        &self,
        name: &TenantId,
        after: Option<&StateHash>,
        limit: usize,
    ) -> Result<Vec<PendingConsent>> {
        again_if_tampered(|| {
            let Some(tenant) = self.tenant(name)? else {
                return Ok(Vec::new());
            };
            let found = self
                .tables
                .read(|rows| rows.consents_after(tenant.row, after, limit))?;
            found
                .into_iter()
                .map(|(row, sealed)| Ok(self.opened(&tenant, &row, sealed)?.0))
                .collect()
        })
    }

    pub(super) fn take_consent(&self, name: &TenantId, state: &StateHash, now: Timestamp) -> Result<Taken> {
        // The verifier is opened first: a request that does not open must not be taken, and nothing
        // is decrypted inside a transaction.
        let found = again_if_tampered(|| self.read_consent(name, state))?;
        let (Some((mut consent, verifier)), Some(tenant)) = (found, self.tenant(name)?) else {
            return Ok(Taken::Nothing);
        };
        if consent.status != ConsentStatus::Pending || consent.expires_at <= now {
            return Ok(Taken::Nothing);
        }
        let opened = body(&consent);
        let taken = self.write(|rows| {
            let is_same = rows
                .consent(tenant.row, state)?
                .is_some_and(|(row, _)| row.status == "pending" && row.body == opened);
            if !is_same {
                return Ok(Write::Unchanged(false));
            }
            rows.end_consent(tenant.row, state, "taken", None)?;
            Ok(Write::Commit(true))
        })?;
        consent.status = ConsentStatus::Taken;
        Ok(if taken {
            Taken::Consent(consent, verifier)
        } else {
            Taken::Nothing
        })
    }

    pub(super) fn close_consent(
        &self,
        name: &TenantId,
        state: &StateHash,
        status: ConsentStatus,
        now: Timestamp,
    ) -> Result<()> {
        let Some(consent) = self.consent(name, state)? else {
            return Ok(());
        };
        let kind = match status {
            ConsentStatus::Denied | ConsentStatus::Cancelled => AuditKind::ConsentDenied,
            _ => AuditKind::ConsentFailed,
        };
        let entry = entry(&consent, kind, now);
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        let (text, completed) = status_text(status);
        self.repeat(name, now, |tenant| {
            self.write_sealed(tenant, |rows, seals| {
                let found = rows.consent(tenant.row, state)?;
                if found.is_none_or(|(row, _)| row.status != "taken") {
                    return Ok(Write::Unchanged(()));
                }
                rows.end_consent(tenant.row, state, text, completed)?;
                let entries = std::slice::from_ref(&entry);
                if !self.keyring.append(rows, seals, &audit_key, entries)? {
                    return Ok(Write::NewDataKey);
                }
                Ok(Write::Commit(()))
            })
        })
    }
}

/// The order in which requests are deleted to make room: the least harmful first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It has ended, or expired.
    Over,
    /// It can be completed.
    Open,
    /// Its code is being exchanged.
    Exchanging,
}

fn standing(row: &ConsentRow, now: i64) -> Standing {
    match row.status.as_str() {
        "pending" | "taken" if row.expires_at <= now => Standing::Over,
        "pending" => Standing::Open,
        "taken" => Standing::Exchanging,
        _ => Standing::Over,
    }
}

/// Returns the requests of the same user that must be deleted before this one is inserted. Their
/// ids are in the order in which they began.
fn surplus(
    rows: &dyn RowsMut,
    tenant: &Tenant,
    new: &PendingConsent,
) -> Result<Vec<(Standing, PendingConsent)>> {
    let known = rows.consents_of(tenant.row, new.user.as_str())?;
    let number = (known.len() + 1).saturating_sub(MAX_CONSENTS);
    if number == 0 {
        return Ok(Vec::new());
    }
    let now = new.created_at.as_unix_millis();
    let mut known: Vec<_> = known
        .into_iter()
        .map(|(row, _)| (standing(&row, now), row))
        .filter(|(standing, _)| *standing != Standing::Exchanging)
        .collect();
    known.sort_by_key(|(standing, row)| (*standing, row.id));
    known
        .into_iter()
        .take(number)
        .map(|(standing, row)| Ok((standing, consent(&row, &tenant.name, tenant.row_key())?)))
        .collect()
}

/// Returns the audit entry about a consent request.
fn entry(consent: &PendingConsent, kind: AuditKind, at: Timestamp) -> AuditEntry {
    let mut entry = AuditEntry::new(kind, at).user(Some(&consent.user));
    entry.provider = Some(consent.provider.clone());
    entry.connection = consent.purpose.target();
    entry
}

#[cfg(test)]
mod tests;
