//! Compares definitions with the newest audit entries about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::vault::envelope::AuditKey;
use crate::vault::sealed::audit::{self, CHUNK, news};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::definitions::version_fingerprint;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{AuditRow, Chain, DefinitionRow, Rows, Tables};
use crate::vault::{AuditEntry, AuditKind, DefinitionKind, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The place of a definition: its kind, and its name.
type Place = (String, String);

/// The newest statement about each definition: the fingerprint of its version, or `None` if it was
/// removed.
#[derive(Default)]
pub(super) struct NotedDefinitions(BTreeMap<Place, Option<[u8; 8]>>);

impl NotedDefinitions {
    /// Records the statement of an entry, if it makes one. Later entries replace earlier ones.
    pub(super) fn note(&mut self, entry: &AuditEntry) {
        let (Some(detail), Some(name)) = (&entry.detail, &entry.provider) else {
            return;
        };
        if is_about_definitions(entry.kind) {
            let place = (detail.clone(), name.as_str().to_owned());
            self.0.insert(place, entry.fingerprint);
        }
    }
}

pub(super) const fn is_about_definitions(kind: AuditKind) -> bool {
    matches!(
        kind,
        AuditKind::DefinitionAdded | AuditKind::DefinitionChanged | AuditKind::DefinitionRemoved
    )
}

impl<T: Tables> Core<T> {
    /// Returns the definitions that contradict the newest audit entry about them, or have none.
    /// `noted` holds the statements of the chain up to the entry `end`.
    pub(super) fn definitions_out_of_date(
        &self,
        tenant: &Tenant,
        key: &AuditKey,
        (of, end): (Chain, u64),
        noted: &mut NotedDefinitions,
    ) -> Result<Vec<String>> {
        // Definitions may have changed since the chain was read. The entries since then and the
        // rows are read in one view, in which every changed row has its entry.
        let (entries, rows) = self.tables.read(|rows| {
            let entries = news(rows, tenant, key, of, end)?;
            Ok((entries, all(rows, tenant)?))
        })?;
        for row in entries {
            self.note_definition(tenant, row, noted)?;
        }
        let mut wrong = BTreeSet::new();
        let mut missing: BTreeSet<_> = noted
            .0
            .iter()
            .filter(|(_, version)| version.is_some())
            .map(|(place, _)| place.clone())
            .collect();
        for (row, sealed) in rows {
            let place = (row.kind.clone(), row.name.clone());
            missing.remove(&place);
            if !self.is_current_definition(tenant, key, noted, &row, sealed)? {
                wrong.insert(place);
            }
        }
        wrong.append(&mut missing);
        Ok(wrong
            .into_iter()
            .map(|(kind, name)| format!("{kind} {name}"))
            .collect())
    }

    fn note_definition(
        &self,
        tenant: &Tenant,
        mut row: AuditRow,
        noted: &mut NotedDefinitions,
    ) -> Result<()> {
        if !AuditKind::from_code(&row.kind).is_some_and(is_about_definitions) {
            return Ok(());
        }
        let body = std::mem::take(&mut row.body);
        let Ok(fields) = self.keyring.open_entry(&self.tables, tenant, row.number, body) else {
            return Ok(());
        };
        noted.note(&audit::entry(&row, fields)?);
        Ok(())
    }

    /// Returns whether a definition opens and has the version that the audit names.
    fn is_current_definition(
        &self,
        tenant: &Tenant,
        key: &AuditKey,
        noted: &NotedDefinitions,
        row: &DefinitionRow,
        sealed: Option<Vec<u8>>,
    ) -> Result<bool> {
        let Some(kind) = DefinitionKind::from_code(&row.kind) else {
            return Ok(false);
        };
        let version = version_fingerprint(key, &tenant.name, kind, &row.name, &row.version);
        if noted.0.get(&(row.kind.clone(), row.name.clone())) != Some(&Some(version)) {
            return Ok(false);
        }
        match self.open_definition(tenant, row, sealed) {
            Ok(_) => Ok(true),
            Err(VaultError::Tampered | VaultError::Damaged) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns whether no stored definition depends on an entry, so that it may be pruned. An entry
    /// that is newer than the stored definition is kept, because a verification needs it.
    pub(super) fn is_superseded(&self, tenant: &Tenant, entry: &AuditEntry) -> Result<bool> {
        let (Some(detail), Some(name)) = (&entry.detail, &entry.provider) else {
            return Ok(true);
        };
        let Some(kind) = DefinitionKind::from_code(detail) else {
            return Ok(true);
        };
        let stored = self
            .tables
            .read(|rows| rows.definition(tenant.row, kind.as_str(), name.as_str()))?;
        let generation = entry.generation;
        Ok(stored.is_none_or(|(row, _)| generation.is_some_and(|generation| row.revision > generation)))
    }
}

/// Returns all definitions of a tenant. Their number is bounded.
fn all(rows: &dyn Rows, tenant: &Tenant) -> Result<Vec<(DefinitionRow, Option<Vec<u8>>)>> {
    let mut all = Vec::new();
    for kind in DefinitionKind::ALL {
        let mut after: Option<String> = None;
        loop {
            let page = rows.definitions(tenant.row, kind.as_str(), after.as_deref(), CHUNK)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.name.clone());
            all.extend(page);
        }
    }
    Ok(all)
}
