//! Compares the rows of connections with the newest audit entries about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Connection, ConnectionId, Status, TenantId, UserId};
use crate::vault::envelope::{AuditKey, Kind};
use crate::vault::sealed::audit::{CHUNK, entries_after, news};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::verify_definitions::NotedDefinitions;
use crate::vault::sealed::{apply, audit, grants, rows, tokens};
use crate::vault::tables::{AuditRow, Chain, ListedRow, Listing, Rows, Sealed, Tables};
use crate::vault::{AuditEntry, AuditKind, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The newest statement of the audit about the tokens of a connection.
struct Last {
    kind: AuditKind,
    generation: u64,
    fingerprint: Option<[u8; 8]>,
    /// The user who owns the connection; `None` for a workspace connection.
    owner: Option<UserId>,
    is_legacy: bool,
    /// The number of the entry.
    number: u64,
    /// True if an entry about an earlier generation is missing.
    is_incomplete: bool,
}

/// The statements of the chains about the connections of a tenant.
#[derive(Default)]
pub(super) struct Noted {
    last: BTreeMap<ConnectionId, Last>,
    /// Fingerprints of the users who were erased.
    forgotten: BTreeSet<[u8; 8]>,
    pub(super) definitions: NotedDefinitions,
    /// True if there are entries of schemas 1 and 2, which do not cover every connection.
    has_legacy: bool,
    /// The first and the last number of each run of pruned entries.
    pub(super) gaps: Vec<(u64, u64)>,
}

impl Noted {
    /// Drops the statements about an erased user, whose rows were deleted legitimately. The entry
    /// identifies the user by a fingerprint.
    fn forget(&mut self, key: &AuditKey, tenant: &TenantId, fingerprint: [u8; 8]) {
        self.last.retain(|_, last| {
            let owner = last.owner.as_ref();
            owner.is_none_or(|user| user_fingerprint(key, tenant, user) != fingerprint)
        });
        self.forgotten.insert(fingerprint);
    }

    /// Records the newest statement about a connection. The first is about a consent, and a refresh
    /// adds one to the generation: another statement shows that an entry is missing.
    fn put(&mut self, connection: ConnectionId, mut last: Last) {
        let known = self.last.get(&connection);
        let before = known.map_or(0, |known| known.number);
        let is_next = known.is_some_and(|known| last.generation == known.generation.saturating_add(1));
        let may_follow = last.kind != AuditKind::Refreshed
            || is_next
            || self.has_legacy
            || self.is_pruned_between(before, last.number);
        last.is_incomplete = !may_follow || known.is_some_and(|known| known.is_incomplete);
        self.last.insert(connection, last);
    }

    fn is_pruned_between(&self, before: u64, after: u64) -> bool {
        let mut gaps = self.gaps.iter();
        gaps.any(|(first, last)| *first > before && *last < after)
    }

    /// Returns the connections about which an entry is missing.
    fn incomplete(&self) -> impl Iterator<Item = ConnectionId> {
        let rows = self.last.iter().filter(|(_, last)| last.is_incomplete);
        rows.map(|(id, _)| *id)
    }

    /// Returns the connections that must have a row.
    fn present(&self) -> impl Iterator<Item = ConnectionId> {
        let rows = self.last.iter().filter(|(_, last)| !last.is_legacy);
        rows.map(|(id, _)| *id)
    }
}

/// Returns the fingerprint by which the audit identifies an erased user.
pub(super) fn user_fingerprint(key: &AuditKey, tenant: &TenantId, user: &UserId) -> [u8; 8] {
    key.fingerprint(&[b"user", tenant.as_str().as_bytes(), user.as_str().as_bytes()])
}

/// A connection with its sealed tokens, read in one transaction.
struct Stored {
    row: ListedRow,
    sealed: Sealed,
}

impl Stored {
    fn read(rows: &dyn Rows, tenant: &Tenant, row: ListedRow) -> Result<Self> {
        let sealed = rows.grant_secrets(tenant.row, row.grant.id)?;
        Ok(Self { row, sealed })
    }
}

/// The rows of some connections: those that can be read, and those that cannot.
#[derive(Default)]
struct Found {
    stored: Vec<Stored>,
    unreadable: BTreeSet<ConnectionId>,
}

impl Found {
    fn read(rows: &dyn Rows, tenant: &Tenant, ids: &BTreeSet<ConnectionId>) -> Result<Self> {
        let mut found = Self::default();
        for id in ids {
            let row = rows.connection(tenant.row, *id);
            match row.and_then(|row| row.map(|row| Stored::read(rows, tenant, row)).transpose()) {
                Ok(stored) => found.stored.extend(stored),
                Err(VaultError::Damaged | VaultError::Tampered) => {
                    found.unreadable.insert(*id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

impl<T: Tables> Core<T> {
    /// Returns the connections whose rows contradict the newest audit entry about them, and those
    /// about which an entry is missing. `noted` holds the statements of the chain up to the entry
    /// `end`.
    pub(super) fn out_of_date(
        &self,
        tenant: &Tenant,
        key: &AuditKey,
        (of, end): (Chain, u64),
        noted: &mut Noted,
    ) -> Result<Vec<ConnectionId>> {
        let mut suspects = self.suspects(tenant, key, noted)?;
        if suspects.is_empty() {
            return Ok(noted.incomplete().collect());
        }
        // Rows may have changed since the chain was read. Rows and entries are therefore read again
        // in one view, in which every changed row has its entry.
        let (entries, found) = self.tables.read(|rows| {
            let entries = news(rows, tenant, key, of, end)?;
            Ok((entries, Found::read(rows, tenant, &suspects)?))
        })?;
        for row in entries {
            self.note(tenant, row, of == Chain::Legacy, noted)?;
        }
        let mut gone: BTreeSet<_> = noted.present().filter(|id| suspects.contains(id)).collect();
        gone.retain(|id| !found.unreadable.contains(id));
        suspects = found.unreadable;
        for stored in found.stored {
            let id = stored.row.connection.id;
            gone.remove(&id);
            if !self.is_current(tenant, key, noted, stored) {
                suspects.insert(id);
            }
        }
        suspects.append(&mut gone);
        suspects.extend(noted.incomplete());
        Ok(suspects.into_iter().collect())
    }

    /// Returns the connections whose rows contradict the statements, or are missing.
    ///
    /// A row that cannot be read fails the page that it is on. Such a page is read again row by row
    /// for the known connections, so that it hides none of the others.
    fn suspects(&self, tenant: &Tenant, key: &AuditKey, noted: &Noted) -> Result<BTreeSet<ConnectionId>> {
        let error = match self.listed_suspects(tenant, key, noted) {
            Err(error @ (VaultError::Damaged | VaultError::Tampered)) => error,
            listed => return listed,
        };
        let known: BTreeSet<_> = noted.last.keys().copied().collect();
        let found = self.tables.read(|rows| Found::read(rows, tenant, &known))?;
        if found.unreadable.is_empty() {
            // The audit has no entry about it.
            return Err(error);
        }
        Ok(known)
    }

    fn listed_suspects(
        &self,
        tenant: &Tenant,
        key: &AuditKey,
        noted: &Noted,
    ) -> Result<BTreeSet<ConnectionId>> {
        let mut missing: BTreeSet<_> = noted.present().collect();
        let mut suspects = BTreeSet::new();
        let mut after = None;
        loop {
            let listing = Listing {
                owner: None,
                provider: None,
                grant: None,
                with_revoked: true,
                sought: None,
                after,
                limit: CHUNK,
            };
            let page = self.tables.read(|rows| {
                let page = rows.connections(tenant.row, &listing)?.into_iter();
                page.map(|row| Stored::read(rows, tenant, row))
                    .collect::<Result<Vec<_>>>()
            })?;
            let Some(end) = page.last() else { break };
            after = Some(end.row.connection.id);
            for stored in page {
                let id = stored.row.connection.id;
                missing.remove(&id);
                if !self.is_current(tenant, key, noted, stored) {
                    suspects.insert(id);
                }
            }
        }
        suspects.append(&mut missing);
        Ok(suspects)
    }

    /// Records the statements of a chain's entries about connections. Later entries replace earlier
    /// ones.
    pub(super) fn note_legacy(&self, tenant: &Tenant, noted: &mut Noted) -> Result<()> {
        let entries = self
            .tables
            .read(|rows| entries_after(rows, tenant, Chain::Legacy, 0))?;
        noted.has_legacy = !entries.is_empty();
        entries
            .into_iter()
            .try_for_each(|row| self.note(tenant, row, true, noted))
    }

    pub(super) fn note(
        &self,
        tenant: &Tenant,
        mut row: AuditRow,
        is_legacy: bool,
        noted: &mut Noted,
    ) -> Result<()> {
        if row.kind == AuditKind::TokenUsed.as_str() {
            return Ok(());
        }
        let body = std::mem::take(&mut row.body);
        // An entry that is linked but does not open names nothing; the chain itself is intact.
        let Ok(fields) = self.keyring.open_entry(&self.tables, tenant, row.number, body) else {
            return Ok(());
        };
        let entry = audit::entry(&row, fields)?;
        noted.definitions.note(&entry);
        match (entry.kind, entry.connection) {
            (AuditKind::UserForgotten, _) => {
                if let Some(fingerprint) = entry.fingerprint {
                    let (key, _) = self.keyring.audit_key(&self.tables)?;
                    noted.forget(&key, &tenant.name, fingerprint);
                }
            }
            (_, Some(connection)) => {
                if let Some(last) = about_tokens(entry, is_legacy) {
                    noted.put(connection, last);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn is_current(&self, tenant: &Tenant, key: &AuditKey, noted: &Noted, stored: Stored) -> bool {
        let Ok(shown) = grants::shown(&stored.row, tenant) else {
            return false;
        };
        let Some(last) = noted.last.get(&shown.id) else {
            // Each connection has an entry from its creation on, and the newest is not pruned while
            // the row exists. So the row was deleted, or its user erased, and the row was put back.
            let owner = shown.owner.user();
            let is_forgotten = owner.is_some_and(|user| {
                noted
                    .forgotten
                    .contains(&user_fingerprint(key, &tenant.name, user))
            });
            return noted.has_legacy && !is_forgotten;
        };
        if last.is_legacy && (shown.generation > last.generation || last.kind != AuditKind::Revoked) {
            // Under schemas 1 and 2, the refresh of a shared token was not recorded for each
            // connection.
            return shown.generation >= last.generation;
        }
        shown.generation == last.generation
            && agrees(last.kind, shown.status)
            && self.has_fingerprint(tenant, key, &shown, last, stored)
    }

    /// Returns whether the stored access token is the one that the entry names.
    fn has_fingerprint(
        &self,
        tenant: &Tenant,
        key: &AuditKey,
        shown: &Connection,
        last: &Last,
        stored: Stored,
    ) -> bool {
        let (Some(expected), Status::Active) = (last.fingerprint, shown.status) else {
            return true;
        };
        let grant = rows::grant(&stored.row.grant, &tenant.name, tenant.row_key());
        let (Ok(of), Some(record)) = (grant, stored.sealed.access) else {
            return false;
        };
        let context = tokens::context(tenant, &of.grant, Kind::AccessToken, &stored.row.grant.route);
        let Ok(token) = self.open_access(tenant, &context, record) else {
            return false;
        };
        let token = token.expose_secret();
        apply::token_fingerprint(key, &tenant.name, shown.id, last.generation, token) == expected
    }
}

/// Returns the statement of an entry about the tokens of its connection, if it makes one.
fn about_tokens(entry: AuditEntry, is_legacy: bool) -> Option<Last> {
    let counts = match entry.kind {
        AuditKind::ConsentCompleted
        | AuditKind::Refreshed
        | AuditKind::RefreshRejected
        | AuditKind::ConsentNeeded
        | AuditKind::QuarantineErased => true,
        // The end of a former grant changes nothing about the connection.
        AuditKind::Revoked => entry.detail.as_deref() != Some("former_grant"),
        _ => false,
    };
    counts.then_some(Last {
        kind: entry.kind,
        generation: entry.generation?,
        fingerprint: entry.fingerprint,
        // The user who consented to it does not own the workspace connection.
        owner: entry.user.filter(|_| !entry.shared),
        is_legacy,
        number: entry.number,
        is_incomplete: false,
    })
}

/// Returns whether a connection may have this status after an entry of this kind.
const fn agrees(kind: AuditKind, status: Status) -> bool {
    match kind {
        AuditKind::ConsentCompleted | AuditKind::Refreshed => matches!(status, Status::Active),
        AuditKind::RefreshRejected | AuditKind::ConsentNeeded | AuditKind::QuarantineErased => {
            matches!(status, Status::NeedsConsent(_))
        }
        AuditKind::Revoked => matches!(status, Status::Revoked),
        _ => true,
    }
}
