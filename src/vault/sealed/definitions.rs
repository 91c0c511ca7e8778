//! Definitions: each is one sealed record, bound to its tenant, kind, name and version.

use zeroize::Zeroizing;

use crate::model::{Actor, ProviderId, TenantId, Timestamp};
use crate::random;
use crate::vault::codec::Encoder;
use crate::vault::envelope::{AuditKey, Context, Fields, Kind};
use crate::vault::sealed::core::{Core, again_if_tampered};
use crate::vault::sealed::rows;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{Basis, DefinitionRow, Listing, RowsMut, Tables, Topic, Write};
use crate::vault::{
    AuditEntry, AuditKind, Definition, DefinitionContent, DefinitionKey, DefinitionKind, DefinitionRemoval,
    DefinitionVersion, DefinitionWrite, Expected, FoundDefinition, KnownDefinition, MAX_DEFINITIONS,
    NewDefinition, PutDefinitions, RemoveDefinitions, VaultError,
};

type Result<T> = std::result::Result<T, VaultError>;

const TOO_MANY: &str = "more than 10000 servers, providers and clients of one tenant";

/// A definition ready to be stored, and the row that it replaces.
struct Prepared {
    row: DefinitionRow,
    sealed: Vec<u8>,
    before: Option<DefinitionRow>,
}

/// Returns the encoding that a record is bound to, beside its tenant, name and version.
fn route(kind: DefinitionKind, name: &str) -> Vec<u8> {
    Encoder::new().text(kind.as_str()).text(name).finish()
}

/// Opens or seals with the context of a row.
fn within<O>(
    tenant: &Tenant,
    kind: DefinitionKind,
    row: &DefinitionRow,
    work: impl FnOnce(&Context<'_>) -> Result<O>,
) -> Result<O> {
    let route = route(kind, &row.name);
    let provider = rows::provider(&row.name)?;
    work(&Context {
        kind: Kind::Definition,
        vault: tenant.vault,
        tenant: &tenant.name,
        owner: None,
        provider: &provider,
        id: row.version.as_bytes(),
        generation: row.revision,
        route: &route,
    })
}

fn kind(row: &DefinitionRow) -> Result<DefinitionKind> {
    DefinitionKind::from_code(&row.kind).ok_or(VaultError::Tampered)
}

fn content(mut fields: Fields) -> Result<DefinitionContent> {
    let document = fields.expose_next()?.to_vec();
    let mut secrets = Vec::new();
    while !fields.is_finished() {
        let secret = fields.expose_next_text()?.unwrap_or_default();
        secrets.push(Zeroizing::new(secret.to_owned()));
    }
    Ok(DefinitionContent { document, secrets })
}

/// Returns the fingerprint by which the audit identifies a version of a definition.
pub(super) fn version_fingerprint(
    key: &AuditKey,
    tenant: &TenantId,
    kind: DefinitionKind,
    name: &str,
    version: &DefinitionVersion,
) -> [u8; 8] {
    key.fingerprint(&[
        b"definition",
        tenant.as_str().as_bytes(),
        kind.as_str().as_bytes(),
        name.as_bytes(),
        version.as_bytes(),
    ])
}

impl<T: Tables> Core<T> {
    /// Opens a definition. A row that names another key than its record was altered.
    pub(super) fn open_definition(
        &self,
        tenant: &Tenant,
        row: &DefinitionRow,
        sealed: Option<Vec<u8>>,
    ) -> Result<DefinitionContent> {
        let record = sealed.ok_or(VaultError::Tampered)?;
        let kind = kind(row)?;
        rows::same(
            &crate::vault::envelope::DataKey::version_of(&record)?,
            &row.key_version,
        )?;
        within(tenant, kind, row, |context| {
            self.keyring.open(&self.tables, tenant, context, record)
        })
        .and_then(content)
    }

    fn seal_definition(
        tenant: &Tenant,
        kind: DefinitionKind,
        row: &DefinitionRow,
        content: &DefinitionContent,
    ) -> Result<Vec<u8>> {
        let mut fields = vec![content.document.as_slice()];
        fields.extend(content.secrets.iter().map(|secret| secret.as_bytes()));
        within(tenant, kind, row, |context| tenant.key().seal(context, &fields))
    }

    fn read_definition(
        &self,
        tenant: &Tenant,
        row: DefinitionRow,
        sealed: Option<Vec<u8>>,
    ) -> Result<Definition> {
        let content = self.open_definition(tenant, &row, sealed)?;
        Ok(Definition {
            kind: kind(&row)?,
            name: row.name,
            version: row.version,
            content,
        })
    }

    pub(super) fn definition(
        &self,
        name: &TenantId,
        key: DefinitionKey<'_>,
        known: Option<&KnownDefinition>,
    ) -> Result<FoundDefinition> {
        again_if_tampered(|| self.find_definition(name, key, known))
    }

    fn find_definition(
        &self,
        name: &TenantId,
        key: DefinitionKey<'_>,
        known: Option<&KnownDefinition>,
    ) -> Result<FoundDefinition> {
        let Some(tenant) = self.remembered_tenant(name)? else {
            return Ok(nothing(known, None));
        };
        let since = known.and_then(|known| known.basis);
        if let Some(known) = known.filter(|known| self.is_young(known)) {
            return Ok(FoundDefinition::Unchanged(*known));
        }
        let read = |tenant: &Tenant| {
            let begun = self
                .tables
                .staleness()
                .map(|staleness| (staleness, staleness.begin()));
            let kind = key.kind.as_str();
            let read = self.tables.definition(tenant.row, kind, key.name, &mut |now| {
                matches!(since, Some(Basis::State(taken, places))
                    if taken.stamp == now.stamp && self.is_unwritten(&Basis::State(taken, places)))
            })?;
            Ok::<_, VaultError>(read.map(|(taken, found)| {
                let of = Topic::Definition(tenant.row, kind, key.name);
                let topics = [Topic::Tenant(tenant.row), of, of];
                let moment =
                    begun.map(|(staleness, begun)| Basis::Moment(staleness.moment(begun, topics, None)));
                let state = taken.map(|taken| Basis::State(taken, topics.map(Topic::place)));
                (state.or(moment), found)
            }))
        };
        let (basis, found) = match (read(&tenant)?, known) {
            (Some(read), _) => read,
            (None, Some(known)) => return Ok(FoundDefinition::Unchanged(*known)),
            (None, None) => return Err(VaultError::Damaged),
        };
        if let Some((row, sealed)) = found {
            return self.found(&tenant, key, known, (basis, row, sealed));
        }
        // The tenant may have been erased since its number was read. Its name may belong to a new
        // one.
        match self.tenant(name)? {
            Some(current) if current.row != tenant.row => match read(&current)? {
                Some((basis, Some((row, sealed)))) => self.found(&current, key, known, (basis, row, sealed)),
                _ => Ok(nothing(known, None)),
            },
            // That there is none is not remembered for a time: another host may have added it.
            _ => Ok(nothing(
                known,
                basis.filter(|basis| matches!(basis, Basis::State(..))),
            )),
        }
    }

    /// Returns whether a definition was read so recently that it counts as unchanged.
    fn is_young(&self, known: &KnownDefinition) -> bool {
        match (known.basis, self.tables.staleness()) {
            (Some(Basis::Moment(moment)), Some(staleness)) => staleness.allows(&moment),
            _ => false,
        }
    }

    fn found(
        &self,
        tenant: &Tenant,
        key: DefinitionKey<'_>,
        known: Option<&KnownDefinition>,
        (basis, row, sealed): (Option<Basis>, DefinitionRow, Option<Vec<u8>>),
    ) -> Result<FoundDefinition> {
        let now = KnownDefinition {
            version: Some(row.version),
            basis,
        };
        if known.is_some_and(|known| known.version == now.version) {
            return Ok(FoundDefinition::Unchanged(now));
        }
        // An index is not authenticated.
        rows::same(
            &(row.kind.as_str(), row.name.as_str()),
            &(key.kind.as_str(), key.name),
        )?;
        let definition = self.read_definition(tenant, row, sealed)?;
        Ok(FoundDefinition::Changed(now, Box::new(definition)))
    }

    pub(super) fn definitions(
        &self,
        name: &TenantId,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Definition>> {
        again_if_tampered(|| {
            let Some(tenant) = self.tenant(name)? else {
                return Ok(Vec::new());
            };
            let found = self
                .tables
                .read(|rows| rows.definitions(tenant.row, kind.as_str(), after, limit))?;
            found
                .into_iter()
                .map(|(row, sealed)| {
                    rows::same(&row.kind.as_str(), &kind.as_str())?;
                    self.read_definition(&tenant, row, sealed)
                })
                .collect()
        })
    }

    pub(super) fn definition_names(
        &self,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        self.tables
            .read(|rows| rows.definition_names(kind.as_str(), after, limit))
    }

    pub(super) fn put_definitions(&self, put: &PutDefinitions<'_>) -> Result<DefinitionWrite> {
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        self.repeat(put.tenant, put.now, |tenant| {
            let mut prepared = Vec::with_capacity(put.definitions.len());
            for new in put.definitions {
                match self.prepare_definition(tenant, new, put.now)? {
                    Some(Ok(definition)) => prepared.push(definition),
                    Some(Err(())) => return Ok(Write::Unchanged(DefinitionWrite::Unexpected)),
                    None => {}
                }
            }
            if prepared.is_empty() {
                return Ok(Write::Unchanged(DefinitionWrite::Stored));
            }
            let entries: Vec<_> = prepared
                .iter()
                .map(|definition| {
                    let is_new = definition.before.is_none();
                    let kind = if is_new {
                        AuditKind::DefinitionAdded
                    } else {
                        AuditKind::DefinitionChanged
                    };
                    entry(kind, &definition.row, Some(&audit_key), tenant, put.by, put.now)
                })
                .collect::<Result<_>>()?;
            let needed = u32::try_from(prepared.len()).map_err(|_| VaultError::TooLarge)?;
            self.write_sealed(tenant, |rows, seals| {
                for definition in &prepared {
                    if current(rows, tenant, &definition.row)? != definition.before {
                        return Ok(Write::Moved);
                    }
                }
                let added = prepared
                    .iter()
                    .filter(|definition| definition.before.is_none())
                    .count();
                if added > 0 && rows.count_definitions(tenant.row)? + added > MAX_DEFINITIONS {
                    return Err(VaultError::NotSupported(TOO_MANY));
                }
                if !seals.count(rows, needed)? {
                    return Ok(Write::NewDataKey);
                }
                for Prepared { row, sealed, .. } in &prepared {
                    rows.put_definition(tenant.row, row, sealed)?;
                }
                if !self.keyring.append(rows, seals, &audit_key, &entries)? {
                    return Ok(Write::NewDataKey);
                }
                Ok(Write::Commit(DefinitionWrite::Stored))
            })
        })
    }

    /// Seals a definition. Returns `None` if exactly this content is stored, and an inner error if
    /// the stored one is not the expected one.
    fn prepare_definition(
        &self,
        tenant: &Tenant,
        new: &NewDefinition<'_>,
        now: Timestamp,
    ) -> Result<Option<std::result::Result<Prepared, ()>>> {
        let DefinitionKey { kind, name } = new.key;
        let stored = self
            .tables
            .read(|rows| rows.definition(tenant.row, kind.as_str(), name))?;
        let (before, sealed) = stored.map_or((None, None), |(row, sealed)| (Some(row), sealed));
        if !is_expected(new.expected, before.as_ref()) {
            return Ok(Some(Err(())));
        }
        if let Some(before) = &before {
            let stored = self.open_definition(tenant, before, sealed)?;
            let is_same = stored.document == new.content.document && stored.secrets == new.content.secrets;
            if is_same {
                return Ok(None);
            }
        }
        let version = random::uuid_v7(now.as_unix_millis())?;
        // One that is added again continues after the time of its removal.
        let least = u64::try_from(now.as_unix_millis()).unwrap_or(0);
        let next = before
            .as_ref()
            .map_or(0, |before| before.revision.saturating_add(1));
        let row = DefinitionRow {
            kind: kind.as_str().to_owned(),
            name: name.to_owned(),
            version: DefinitionVersion::from_bytes(version),
            revision: next.max(least),
            key_version: tenant.key().version(),
        };
        let sealed = Self::seal_definition(tenant, kind, &row, new.content)?;
        Ok(Some(Ok(Prepared { row, sealed, before })))
    }

    pub(super) fn remove_definitions(&self, remove: &RemoveDefinitions<'_>) -> Result<DefinitionRemoval> {
        if self.tenant(remove.tenant)?.is_none() {
            return Ok(DefinitionRemoval::Removed(0));
        }
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        self.repeat(remove.tenant, remove.now, |tenant| {
            self.write_sealed(tenant, |rows, seals| {
                if let Some(provider) = remove.unless_connected
                    && is_connected(rows, tenant, provider)?
                {
                    return Ok(Write::Unchanged(DefinitionRemoval::InUse));
                }
                let mut entries = Vec::new();
                for key in remove.keys {
                    let stored = rows.definition(tenant.row, key.kind.as_str(), key.name)?;
                    let row = stored.map(|(row, _)| row);
                    if !is_expected(remove.expected, row.as_ref()) {
                        return Ok(Write::Unchanged(DefinitionRemoval::Unexpected));
                    }
                    let Some(row) = row else { continue };
                    rows.delete_definition(tenant.row, key.kind.as_str(), key.name)?;
                    let kind = AuditKind::DefinitionRemoved;
                    entries.push(entry(kind, &row, None, tenant, remove.by, remove.now)?);
                }
                if entries.is_empty() {
                    return Ok(Write::Unchanged(DefinitionRemoval::Removed(0)));
                }
                if !self.keyring.append(rows, seals, &audit_key, &entries)? {
                    return Ok(Write::NewDataKey);
                }
                Ok(Write::Commit(DefinitionRemoval::Removed(entries.len())))
            })
        })
    }

    /// Seals definitions with the newest key, outside a transaction, and stores those that have not
    /// changed meanwhile. Returns how many it stored.
    pub(super) fn reseal_definitions(
        &self,
        name: &TenantId,
        definitions: &[(DefinitionRow, Option<Vec<u8>>)],
        now: Timestamp,
    ) -> Result<usize> {
        self.repeat(name, now, |tenant| {
            let mut resealed = Vec::with_capacity(definitions.len());
            for (before, sealed) in definitions {
                // A record that does not open is an error to its readers, and is not overwritten.
                let Ok(content) = self.open_definition(tenant, before, sealed.clone()) else {
                    continue;
                };
                let row = DefinitionRow {
                    key_version: tenant.key().version(),
                    ..before.clone()
                };
                let sealed = Self::seal_definition(tenant, kind(&row)?, &row, &content)?;
                resealed.push((before, row, sealed));
            }
            let needed = u32::try_from(resealed.len()).map_err(|_| VaultError::TooLarge)?;
            self.write_sealed(tenant, |rows, seals| {
                if !seals.count(rows, needed)? {
                    return Ok(Write::NewDataKey);
                }
                let mut stored = 0;
                for (before, row, sealed) in &resealed {
                    if current(rows, tenant, row)?.as_ref() == Some(*before) {
                        rows.put_definition(tenant.row, row, sealed)?;
                        stored += 1;
                    }
                }
                Ok(Write::Commit(stored))
            })
        })
    }
}

fn nothing(known: Option<&KnownDefinition>, basis: Option<Basis>) -> FoundDefinition {
    let now = KnownDefinition { version: None, basis };
    match known {
        Some(known) if known.version.is_none() => FoundDefinition::Unchanged(now),
        _ => FoundDefinition::Nothing(now),
    }
}

fn is_expected(expected: Expected, stored: Option<&DefinitionRow>) -> bool {
    match expected {
        Expected::Anything => true,
        Expected::Nothing => stored.is_none(),
        Expected::Version(version) => stored.is_some_and(|row| row.version == version),
    }
}

/// Returns the stored row in the place of this one.
fn current(rows: &dyn RowsMut, tenant: &Tenant, row: &DefinitionRow) -> Result<Option<DefinitionRow>> {
    let stored = rows.definition(tenant.row, &row.kind, &row.name)?;
    Ok(stored.map(|(row, _)| row))
}

fn is_connected(rows: &dyn RowsMut, tenant: &Tenant, provider: &ProviderId) -> Result<bool> {
    let listing = Listing {
        owner: None,
        provider: Some(provider.as_str()),
        grant: None,
        with_revoked: false,
        sought: None,
        after: None,
        limit: 1,
    };
    Ok(!rows.connections(tenant.row, &listing)?.is_empty())
}

/// Returns the audit entry about a definition. The fingerprint names the version that exists
/// afterwards.
fn entry(
    of: AuditKind,
    row: &DefinitionRow,
    key: Option<&AuditKey>,
    tenant: &Tenant,
    by: Option<&Actor>,
    now: Timestamp,
) -> Result<AuditEntry> {
    let kind = kind(row)?;
    let mut entry = AuditEntry::new(of, now).by(by).detail(kind.as_str());
    entry.provider = Some(rows::provider(&row.name)?);
    entry.generation = Some(row.revision);
    entry.fingerprint = key.map(|key| version_fingerprint(key, &tenant.name, kind, &row.name, &row.version));
    Ok(entry)
}
