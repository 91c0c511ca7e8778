//! Reading the audit, and recording token uses.

use std::collections::BTreeMap;

use crate::model::{Actor, ConnectionId, ProviderId, StoredName as _, Timestamp, UserId};
use crate::vault::envelope::{AuditKey, Fields};
use crate::vault::sealed::core::Core;
use crate::vault::sealed::link;
use crate::vault::sealed::tenant::Tenant;
use crate::vault::tables::{AuditRow, Chain, Direction, Rows, Tables, Write};
use crate::vault::{AuditEntry, AuditFilter, AuditKind, AuditOrder, TokenUse, UseRecord, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of entries that are read at a time.
pub(super) const CHUNK: usize = 1_000;

/// The number of uses that one transaction records: about a millisecond of the write lock.
const MOST_USES: usize = 512;

/// Reads an entry from its row and its opened body.
pub(super) fn entry(row: &AuditRow, mut fields: Fields) -> Result<AuditEntry> {
    let tampered = |_| VaultError::Tampered;
    let kind = AuditKind::from_code(&row.kind).ok_or(VaultError::Tampered)?;
    let mut entry = AuditEntry::new(kind, Timestamp::from_unix_millis(row.at));
    entry.number = row.number;
    entry.user = match fields.expose_next_text()? {
        Some(user) => Some(UserId::stored(user).map_err(tampered)?),
        None => None,
    };
    let connection = fields.expose_next()?;
    entry.connection = match connection.len() {
        0 => None,
        _ => Some(ConnectionId::from_bytes(
            connection.try_into().map_err(|_| VaultError::Tampered)?,
        )),
    };
    entry.provider = match fields.expose_next_text()? {
        Some(provider) => Some(ProviderId::stored(provider).map_err(tampered)?),
        None => None,
    };
    entry.generation = fields
        .expose_next()?
        .first_chunk()
        .map(|generation| u64::from_be_bytes(*generation));
    entry.fingerprint = fields.expose_next()?.first_chunk().copied();
    entry.detail = fields.expose_next_text()?.map(str::to_owned);
    entry.purpose = fields.expose_next_text()?.map(str::to_owned);
    entry.turn = fields.expose_next_text()?.map(str::to_owned);
    entry.shared = !fields.expose_next()?.is_empty();
    // The oldest entries end here.
    if !fields.is_finished() {
        entry.actor = fields.expose_next_text()?.map(actor).transpose()?;
    }
    fields.finish()?;
    Ok(entry)
}

/// Reads the actor: the role, a colon, the name.
fn actor(text: &str) -> Result<Actor> {
    let (role, user) = text.split_once(':').ok_or(VaultError::Tampered)?;
    let user = UserId::stored(user).map_err(|_| VaultError::Tampered)?;
    match role {
        "user" => Ok(Actor::User(user)),
        "operator" => Ok(Actor::Operator(user)),
        _ => Err(VaultError::Tampered),
    }
}

/// Returns the entries of a tenant in a chain that follow this number.
pub(super) fn entries_after(
    rows: &dyn Rows,
    tenant: &Tenant,
    of: Chain,
    mut after: u64,
) -> Result<Vec<AuditRow>> {
    let mut entries = Vec::new();
    loop {
        let page = rows.entries(of, Some(tenant.row), after, Direction::Forward, CHUNK)?;
        let Some(end) = page.last() else {
            return Ok(entries);
        };
        after = end.number;
        entries.extend(page);
    }
}

/// Returns the entries of a tenant that follow this number in a chain, and those that wait to be
/// linked to it.
pub(super) fn news(
    rows: &dyn Rows,
    tenant: &Tenant,
    key: &AuditKey,
    of: Chain,
    after: u64,
) -> Result<Vec<AuditRow>> {
    let mut entries = entries_after(rows, tenant, of, after)?;
    if of == Chain::Of(tenant.row) {
        entries.extend(link::pending(rows, key, tenant.vault, tenant.row)?);
    }
    Ok(entries)
}

impl<T: Tables> Core<T> {
    pub(super) fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>> {
        let Some(tenant) = self.tenant(filter.tenant)? else {
            return Ok(Vec::new());
        };
        self.link(tenant.row)?;
        // Entries of schemas 1 and 2 precede all others.
        let chains = match filter.order {
            AuditOrder::OldestFirst => [Chain::Legacy, Chain::Of(tenant.row)],
            AuditOrder::NewestFirst => [Chain::Of(tenant.row), Chain::Legacy],
        };
        let mut wanted = Vec::new();
        for chain in chains {
            self.collect(&tenant, chain, filter, &mut wanted)?;
        }
        Ok(wanted)
    }

    fn collect(
        &self,
        tenant: &Tenant,
        chain: Chain,
        filter: &AuditFilter<'_>,
        wanted: &mut Vec<AuditEntry>,
    ) -> Result<()> {
        let (direction, start) = match filter.order {
            AuditOrder::OldestFirst => (Direction::Forward, 0),
            AuditOrder::NewestFirst => (Direction::Backward, u64::MAX),
        };
        let mut after = if filter.after == 0 { start } else { filter.after };
        // The connection and the user are sealed, so a page may have to read further.
        let mut chunk = (filter.limit - wanted.len().min(filter.limit)).min(CHUNK);
        while wanted.len() < filter.limit {
            let of = Some(tenant.row);
            let page = self
                .tables
                .read(|rows| rows.entries(chain, of, after, direction, chunk))?;
            let Some(last) = page.last() else { break };
            after = last.number;
            chunk = CHUNK;
            for mut row in page {
                let body = std::mem::take(&mut row.body);
                let fields = self.keyring.open_entry(&self.tables, tenant, row.number, body)?;
                let entry = entry(&row, fields)?;
                if filter.wants(&entry) && wanted.len() < filter.limit {
                    wanted.push(entry);
                }
            }
        }
        Ok(())
    }

    pub(super) fn record_uses(&self, uses: &[TokenUse], record: UseRecord) -> Result<()> {
        // The uses are grouped by tenant, because each tenant has its own chain.
        let mut by_tenant = BTreeMap::<_, Vec<&TokenUse>>::new();
        for token_use in uses {
            by_tenant.entry(&token_use.tenant).or_default().push(token_use);
        }
        let (audit_key, _) = self.keyring.audit_key(&self.tables)?;
        for (name, uses) in by_tenant {
            if self.tenant(name)?.is_none() {
                continue;
            }
            for uses in uses.chunks(MOST_USES) {
                let now = uses.last().map_or(Timestamp::from_unix_millis(0), |last| last.at);
                let entries: Vec<_> = match record {
                    UseRecord::Times => Vec::new(),
                    UseRecord::Entries => uses.iter().map(|token_use| token_use.entry()).collect(),
                };
                self.repeat(name, now, |tenant| {
                    let times: Vec<_> = uses
                        .iter()
                        .map(|token_use| (tenant.row, token_use.connection, token_use.at.as_unix_millis()))
                        .collect();
                    self.write_sealed(tenant, |rows, seals| {
                        rows.record_uses(&times)?;
                        if !self.keyring.append(rows, seals, &audit_key, &entries)? {
                            return Ok(Write::NewDataKey);
                        }
                        Ok(Write::Commit(()))
                    })
                })?;
            }
        }
        Ok(())
    }
}
