//! Sealing and storing what a decision writes.

use std::collections::BTreeMap;

use crate::model::{ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp};
use crate::vault::change::lifecycle::Keep;
use crate::vault::change::{Change, Decided, GrantWrite, TokenWrite};
use crate::vault::envelope::AuditKey;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::rows;
use crate::vault::sealed::seals::Seals;
use crate::vault::sealed::snapshot::{Read, Reader};
use crate::vault::sealed::tenant::Tenant;
use crate::vault::sealed::tokens::{self, Opened, SealedTokens};
use crate::vault::tables::{Ahead, RevocationRow, RowsMut, Sealed, Secrets, Tables, Write};
use crate::vault::{AuditEntry, AuditKind, StateHash, Tokens, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// A pending revocation, its tokens sealed.
pub(super) struct SealedRevocation {
    pub(super) grant: GrantId,
    pub(super) row: RevocationRow,
    pub(super) secrets: Sealed,
}

impl SealedRevocation {
    pub(super) fn seals(&self) -> u32 {
        u32::from(self.secrets.access.is_some()) + u32::from(self.secrets.rest.is_some())
    }
}

/// A change, ready to be stored. All its secrets are sealed.
struct Prepared {
    change: Change,
    new: Option<SealedTokens>,
    kept: Vec<SealedRevocation>,
    entries: Vec<AuditEntry>,
}

impl Prepared {
    /// Returns whether nothing is written but grants of the snapshot.
    fn changes_grants_only(&self, read: &Read, needs: Needs<'_>) -> bool {
        let Change {
            grants,
            connections,
            deleted,
            ..
        } = &self.change;
        let is_more = !connections.is_empty()
            || !deleted.is_empty()
            || !self.kept.is_empty()
            || needs.completes.is_some();
        !is_more && grants.iter().all(|write| read.has_grant(write.stored.grant.id))
    }
}

/// The result of storing a change: the pending revocations that keep tokens, and the tokens that
/// ended.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) pending: Vec<(GrantId, RevocationId)>,
    pub(super) opened: BTreeMap<GrantId, (Grant, Opened)>,
}

/// The inputs of a change beyond its snapshot.
#[derive(Clone, Copy, Default)]
pub(super) struct Needs<'a> {
    /// The tokens of the request.
    pub(super) tokens: Option<&'a Tokens>,
    /// The consent request to be recorded as completed, and the resulting connection.
    pub(super) completes: Option<(&'a StateHash, ConnectionId)>,
    /// The way in which the tokens of the grants in the snapshot end, if they do.
    pub(super) ends: Ends,
}

/// The treatment of the snapshot's tokens before they are erased.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ends {
    /// They stay sealed.
    #[default]
    Nothing,
    /// They are opened, to be revoked at the provider.
    Tokens,
}

impl<T: Tables> Core<T> {
    /// Reads, decides, seals and stores. Repeats this if another writer was faster. Creates the
    /// tenant if it does not exist.
    pub(super) fn change<O>(
        &self,
        name: &TenantId,
        now: Timestamp,
        needs: Needs<'_>,
        load: impl Fn(&mut Reader<'_>) -> Result<()>,
        decide: impl Fn(&Read) -> Decided<O>,
    ) -> Result<(O, Applied)> {
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        let find = || self.remembered_or_new_tenant(name).map(Some);
        let changed = self.repeat_for(find, now, |tenant| {
            self.try_change(&audit_key, tenant, needs, &load, &decide)
        })?;
        changed.ok_or(VaultError::Damaged)
    }

    /// Changes as [`change`](Self::change) does, or returns `None` if the tenant does not exist.
    pub(super) fn change_known<O>(
        &self,
        name: &TenantId,
        now: Timestamp,
        needs: Needs<'_>,
        load: impl Fn(&mut Reader<'_>) -> Result<()>,
        decide: impl Fn(&Read) -> Decided<O>,
    ) -> Result<Option<(O, Applied)>> {
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        self.repeat_for(
            || self.remembered_tenant(name),
            now,
            |tenant| self.try_change(&audit_key, tenant, needs, &load, &decide),
        )
    }

    fn try_change<O>(
        &self,
        audit_key: &AuditKey,
        tenant: &Tenant,
        needs: Needs<'_>,
        load: &impl Fn(&mut Reader<'_>) -> Result<()>,
        decide: &impl Fn(&Read) -> Decided<O>,
    ) -> Result<Write<(O, Applied)>> {
        let read = self.tables.read(|rows| {
            rows.announce(tenant.row, &[Ahead::Tenant(&tenant.name)]);
            let mut reader = Reader::new(rows, tenant);
            load(&mut reader)?;
            if needs.ends == Ends::Tokens {
                reader.secrets()?;
            }
            let is_same = rows.tenant(&tenant.name)? == Some(tenant.row);
            Ok(is_same.then(|| reader.finish()))
        })?;
        let Some(read) = read else {
            // The tenant was erased, and its name may belong to a new one.
            self.keyring.forget(&tenant.name);
            return Ok(Write::Moved);
        };
        let (change, outcome) = match decide(&read) {
            Decided::Nothing(outcome) => return Ok(Write::Unchanged((outcome, Applied::default()))),
            Decided::Write(change, outcome) => (change, outcome),
        };
        let opened = self.open_all(tenant, &read, needs.ends);
        let prepared = self.prepare(audit_key, tenant, needs.tokens, change, &opened)?;
        let stored = self.write_sealed(tenant, |rows, seals| {
            self.store(rows, seals, audit_key, &read, needs, &prepared)
        })?;
        Ok(stored.map(|pending| (outcome, Applied { pending, opened })))
    }

    fn open_all(&self, tenant: &Tenant, read: &Read, ends: Ends) -> BTreeMap<GrantId, (Grant, Opened)> {
        if ends == Ends::Nothing {
            return BTreeMap::new();
        }
        let grants = read.snapshot.grants.iter().map(|stored| &stored.grant);
        grants
            .filter_map(|grant| Some((grant, read.sealed.get(&grant.id)?)))
            .map(|(grant, sealed)| (grant.id, (grant.clone(), self.open_ended(tenant, grant, sealed))))
            .collect()
    }

    fn prepare(
        &self,
        audit_key: &AuditKey,
        tenant: &Tenant,
        tokens: Option<&Tokens>,
        change: Change,
        opened: &BTreeMap<GrantId, (Grant, Opened)>,
    ) -> Result<Prepared> {
        let written = change.grants.iter().find(|write| write.tokens == TokenWrite::New);
        let new = match (written, tokens) {
            (Some(write), Some(tokens)) => Some(tokens::seal(tenant, &write.stored.grant, tokens)?),
            _ => None,
        };
        let mut entries = change.entries.clone();
        if let Some(tokens) = tokens {
            for entry in &mut entries {
                fingerprint(audit_key, &tenant.name, entry, tokens);
            }
        }
        let mut kept = Vec::with_capacity(change.kept.len());
        for keep in &change.kept {
            if let Some((grant, opened)) = opened.get(&keep.grant) {
                kept.extend(self.seal_kept(tenant, keep, grant, opened)?);
            }
        }
        Ok(Prepared {
            change,
            new,
            kept,
            entries,
        })
    }

    /// Stores a prepared change if no row of the snapshot has changed. Returns the pending
    /// revocations that were created.
    fn store(
        &self,
        rows: &mut dyn RowsMut,
        seals: &mut Seals<'_>,
        audit_key: &AuditKey,
        read: &Read,
        needs: Needs<'_>,
        prepared: &Prepared,
    ) -> Result<Write<Vec<(GrantId, RevocationId)>>> {
        let tenant = seals.tenant;
        let expected = prepared.changes_grants_only(read, needs).then(|| read.expected());
        let is_checked = match expected.flatten() {
            Some(expected) => rows.expect(tenant.row, &expected)?,
            None => false,
        };
        if !is_checked {
            read.announce(rows, tenant.row, &prepared.entries);
            if !read.is_current(rows, tenant.row)? {
                return Ok(Write::Moved);
            }
        }
        let new_seals = prepared.new.as_ref().map_or(0, SealedTokens::seals);
        let needed = prepared.kept.iter().map(SealedRevocation::seals).sum::<u32>() + new_seals;
        if needed > 0 && !seals.count(rows, needed)? {
            return Ok(Write::NewDataKey);
        }
        let pending = Self::store_kept(rows, tenant, &prepared.kept)?;
        for write in &prepared.change.grants {
            store_grant(rows, tenant, read, write, prepared.new.as_ref())?;
        }
        for id in &prepared.change.deleted {
            rows.delete_grant(tenant.row, *id)?;
        }
        for connection in &prepared.change.connections {
            let row = rows::connection_row(connection, tenant.row_key());
            if !rows.put_connection(tenant.row, &row)? {
                return Ok(Write::Moved);
            }
        }
        if let Some((state, connection)) = needs.completes {
            rows.end_consent(tenant.row, state, "completed", Some(connection))?;
        }
        if !self.keyring.append(rows, seals, audit_key, &prepared.entries)? {
            return Ok(Write::NewDataKey);
        }
        Ok(Write::Commit(pending))
    }
}

fn store_grant(
    rows: &mut dyn RowsMut,
    tenant: &Tenant,
    read: &Read,
    write: &GrantWrite,
    new: Option<&SealedTokens>,
) -> Result<()> {
    let seen = read.seen(write.stored.grant.id);
    let (key_version, secrets) = match (write.tokens, new) {
        (TokenWrite::New, Some(new)) => (
            tenant.key().version(),
            Secrets::Set {
                access: &new.access,
                rest: &new.rest,
            },
        ),
        // A decision writes new tokens only if the request contains some.
        (TokenWrite::New, None) => return Err(VaultError::Damaged),
        (TokenWrite::Keep(Keep::All), _) => (seen.key_version, Secrets::Keep),
        (TokenWrite::Keep(Keep::RefreshToken), _) => (seen.key_version, Secrets::EraseAccess),
        (TokenWrite::Keep(Keep::Nothing), _) => (0, Secrets::Erase),
    };
    let row = rows::grant_row(&write.stored, key_version, seen.revision, tenant.row_key());
    rows.put_grant(tenant.row, &row, secrets)
}

/// Adds the keyed fingerprint of the access token to an audit entry about new tokens.
fn fingerprint(key: &AuditKey, tenant: &TenantId, entry: &mut AuditEntry, tokens: &Tokens) {
    let is_about_tokens = matches!(entry.kind, AuditKind::ConsentCompleted | AuditKind::Refreshed);
    if let (true, Some(connection), Some(generation)) = (is_about_tokens, entry.connection, entry.generation)
    {
        entry.fingerprint = Some(token_fingerprint(
            key,
            tenant,
            connection,
            generation,
            tokens.access_token.expose_secret(),
        ));
    }
}

pub(super) fn token_fingerprint(
    key: &AuditKey,
    tenant: &TenantId,
    connection: ConnectionId,
    generation: u64,
    access_token: &str,
) -> [u8; 8] {
    key.fingerprint(&[
        tenant.as_str().as_bytes(),
        connection.as_bytes(),
        &generation.to_be_bytes(),
        access_token.as_bytes(),
    ])
}
