//! Writes the chains of the audit: entries that commit with the changes they record.
//!
//! The body of an entry is sealed inside the transaction, because its number is known only there.
//! That takes about a microsecond for a few hundred bytes.

use crate::model::{Actor, TenantId};
use crate::random;
use crate::vault::envelope::{AuditKey, DataKey, Link, Nonces, VaultId};
#[cfg(feature = "sqlite")]
use crate::vault::tables::GapRow;
use crate::vault::tables::{
    AuditRow, Chain, HeadRow, PendingRow, Rows, RowsMut, TenantRow, UnlinkedMut, VAULT_CHAIN,
};
use crate::vault::{AuditEntry, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The number under which a chain's head, gaps and checkpoints are authenticated.
pub(super) const fn chain_number(chain: Chain) -> TenantRow {
    match chain {
        Chain::Of(tenant) => tenant,
        Chain::Legacy => -1,
    }
}

/// Returns the seal of a head. Schemas 1 and 2 had one chain, which their seals did not name.
pub(super) fn head_seal(
    key: &AuditKey,
    vault: VaultId,
    chain: Chain,
    number: u64,
    mac: &[u8; 32],
    broken: Option<u64>,
) -> [u8; 32] {
    match chain {
        Chain::Legacy => key.head(vault, number, mac, broken),
        Chain::Of(tenant) => key.chain_head(vault, tenant, number, mac, broken),
    }
}

/// Reads the head of a chain and checks its seal. A head that is missing or altered counts as a
/// break after the stored entries. The vault continues to write, because a token that cannot be
/// stored is lost, and the break stays on record.
pub(super) fn head(rows: &dyn Rows, key: &AuditKey, vault: VaultId, chain: Chain) -> Result<HeadRow> {
    let last = rows.last_number(chain)?;
    let Some(mut head) = rows.head(chain)? else {
        // A vault that never had schema 1 or 2 has no legacy chain.
        let is_absent = chain == Chain::Legacy && last == 0 && !continues_legacy(rows)?;
        return Ok(HeadRow {
            number: last,
            mac: [0; 32],
            broken: (!is_absent).then(|| last.saturating_add(1)),
            seal: [0; 32],
        });
    };
    let sealed = head_seal(key, vault, chain, head.number, &head.mac, head.broken) == head.seal;
    if !sealed || head.number != last {
        let from = head.number.min(last).saturating_add(1);
        head.broken = Some(head.broken.unwrap_or(u64::MAX).min(from));
        head.number = head.number.max(last);
    }
    Ok(head)
}

/// Returns whether the vault's own chain, which is never pruned, continues the one of schemas 1 and
/// 2.
fn continues_legacy(rows: &dyn Rows) -> Result<bool> {
    let gaps = rows.gaps(Chain::Of(VAULT_CHAIN))?;
    Ok(gaps.first().is_some_and(|gap| gap.first == 1))
}

fn put_head(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    vault: VaultId,
    chain: Chain,
    number: u64,
    mac: [u8; 32],
    broken: Option<u64>,
) -> Result<()> {
    let seal = head_seal(key, vault, chain, number, &mac, broken);
    rows.put_head(
        chain,
        &HeadRow {
            number,
            mac,
            broken,
            seal,
        },
    )
}

/// Begins a chain.
pub(super) fn begin(rows: &mut dyn RowsMut, key: &AuditKey, vault: VaultId, chain: Chain) -> Result<()> {
    put_head(rows, key, vault, chain, 0, [0; 32], None)
}

/// Begins a chain after the one that schemas 1 and 2 kept for all tenants. The old entries count as
/// a gap, so that the numbers continue and the new chain is linked to the old one.
#[cfg(feature = "sqlite")]
pub(super) fn continue_legacy(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    vault: VaultId,
    chain: Chain,
) -> Result<()> {
    let end = head(rows, key, vault, Chain::Legacy)?;
    if end.number == 0 {
        return begin(rows, key, vault, chain);
    }
    let (number, before) = (chain_number(chain), [0; 32]);
    let gap = GapRow {
        first: 1,
        last: end.number,
        before,
        mac: end.mac,
        seal: key.gap(vault, number, 1, end.number, &before, &end.mac),
    };
    rows.put_gap(chain, &gap)?;
    put_head(rows, key, vault, chain, end.number, end.mac, None)
}

/// Appends entries to a tenant's chain, in the transaction that they record, or adds them to those
/// that wait to be linked. Their bodies are sealed with this key.
pub(super) fn append(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    body_key: &DataKey,
    vault: VaultId,
    (tenant, name): (TenantRow, &TenantId),
    entries: &[AuditEntry],
) -> Result<()> {
    let mut nonces = Nonces::draw(entries.len())?;
    if let Some(unlinked) = rows.unlinked_mut() {
        return add(
            unlinked,
            key,
            body_key,
            vault,
            (tenant, name),
            entries,
            &mut nonces,
        );
    }
    let seal = |number, entry: &AuditEntry| {
        let body = Body::of(entry);
        body_key.seal_audit(vault, name, number, &body.fields(), nonces.take()?)
    };
    extend(rows, key, vault, Chain::Of(tenant), entries, seal).map(drop)
}

/// Adds entries to those of a tenant that wait to be linked. Neither the chain nor its end is read.
fn add(
    rows: &mut dyn UnlinkedMut,
    key: &AuditKey,
    body_key: &DataKey,
    vault: VaultId,
    (tenant, name): (TenantRow, &TenantId),
    entries: &[AuditEntry],
    nonces: &mut Nonces,
) -> Result<()> {
    let mut added = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut id = [0; 16];
        random::fill(&mut id)?;
        let body = Body::of(entry);
        let body = body_key.seal_entry(vault, name, id, &body.fields(), nonces.take()?)?;
        let (at, kind) = (entry.at.as_unix_millis(), entry.kind.as_str());
        added.push(PendingRow {
            position: 0,
            at,
            kind: kind.to_owned(),
            mac: key.pending(vault, tenant, at, kind, &body),
            body,
        });
    }
    rows.add_pending(tenant, &added)
}

/// Appends an entry to the vault's own chain. Its body is not sealed, because no tenant's key can
/// be used; it contains no name.
pub(super) fn append_bare(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    vault: VaultId,
    entry: &AuditEntry,
    body: &[u8],
) -> Result<(u64, [u8; 32])> {
    let entries = std::slice::from_ref(entry);
    extend(rows, key, vault, Chain::Of(VAULT_CHAIN), entries, |_, _| {
        Ok(body.to_vec())
    })
}

/// Links entries to the end of a chain. Returns the number and the MAC of the last.
fn extend(
    rows: &mut dyn RowsMut,
    key: &AuditKey,
    vault: VaultId,
    chain: Chain,
    entries: &[AuditEntry],
    mut body: impl FnMut(u64, &AuditEntry) -> Result<Vec<u8>>,
) -> Result<(u64, [u8; 32])> {
    let mut extension = Extension::begin(rows, key, vault, chain)?;
    for entry in entries {
        let body = body(extension.next_number(), entry)?;
        extension.link(entry.at.as_unix_millis(), entry.kind.as_str().to_owned(), body);
    }
    extension.store(rows)
}

/// Entries that are being linked to the end of a chain.
pub(super) struct Extension<'a> {
    key: &'a AuditKey,
    vault: VaultId,
    chain: Chain,
    number: u64,
    mac: [u8; 32],
    broken: Option<u64>,
    linked: Vec<AuditRow>,
}

impl<'a> Extension<'a> {
    /// Reads the end of the chain.
    pub(super) fn begin(rows: &dyn Rows, key: &'a AuditKey, vault: VaultId, chain: Chain) -> Result<Self> {
        let end = head(rows, key, vault, chain)?;
        Ok(Self {
            key,
            vault,
            chain,
            number: end.number,
            mac: end.mac,
            broken: end.broken,
            linked: Vec::new(),
        })
    }

    /// Returns the number of the entry that is linked next.
    pub(super) const fn next_number(&self) -> u64 {
        self.number.saturating_add(1)
    }

    /// Records that the chain is broken from the next entry on, unless it is broken already.
    pub(super) fn break_here(&mut self) {
        let next = self.next_number();
        self.broken = Some(self.broken.unwrap_or(u64::MAX).min(next));
    }

    pub(super) fn link(&mut self, at: i64, kind: String, body: Vec<u8>) {
        let number = self.next_number();
        let tenant = match self.chain {
            Chain::Of(VAULT_CHAIN) | Chain::Legacy => None,
            Chain::Of(tenant) => Some(tenant),
        };
        let mac = self.key.link(
            self.vault,
            &Link {
                number,
                before: &self.mac,
                at,
                tenant,
                kind: &kind,
                body: &body,
            },
        );
        (self.number, self.mac) = (number, mac);
        self.linked.push(AuditRow {
            number,
            at,
            tenant,
            kind,
            body,
            mac,
        });
    }

    /// Stores the entries and the head. Returns the number and the MAC of the last entry.
    pub(super) fn store(self, rows: &mut dyn RowsMut) -> Result<(u64, [u8; 32])> {
        rows.append_entries(self.chain, &self.linked)?;
        let (number, mac) = (self.number, self.mac);
        put_head(rows, self.key, self.vault, self.chain, number, mac, self.broken)?;
        Ok((number, mac))
    }
}

/// The fields of an entry's body before sealing.
struct Body<'a> {
    entry: &'a AuditEntry,
    generation: Option<[u8; 8]>,
    actor: String,
}

impl<'a> Body<'a> {
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            entry,
            generation: entry.generation.map(u64::to_be_bytes),
            actor: entry.actor.as_ref().map(actor_text).unwrap_or_default(),
        }
    }

    fn fields(&self) -> [&[u8]; 10] {
        let entry = self.entry;
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default().as_bytes();
        [
            entry.user.as_ref().map_or(&[], |user| user.as_str().as_bytes()),
            entry.connection.as_ref().map_or(&[], |id| id.as_bytes()),
            entry
                .provider
                .as_ref()
                .map_or(&[], |provider| provider.as_str().as_bytes()),
            self.generation
                .as_ref()
                .map_or(&[], |generation| generation.as_slice()),
            entry
                .fingerprint
                .as_ref()
                .map_or(&[], |fingerprint| fingerprint.as_slice()),
            text(&entry.detail),
            text(&entry.purpose),
            text(&entry.turn),
            if entry.shared { b"1" } else { b"" },
            self.actor.as_bytes(),
        ]
    }
}

/// Returns the actor as one field: the role, a colon, the name.
fn actor_text(actor: &Actor) -> String {
    format!("{}:{}", actor.role(), actor.user().as_str())
}
