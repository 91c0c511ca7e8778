//! Heads of the audit's chains, and verifying a chain against the entries and the rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Connection, ConnectionId, Status, TenantId, UserId};
use crate::vault::envelope::{AuditKey, Kind, Link, VaultId};
use crate::vault::sealed::audit::CHUNK;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::keyring::Tenant;
use crate::vault::sealed::{apply, audit, chain, grants, rows, tokens};
use crate::vault::tables::{
    AuditRow, Chain, CheckpointRow, Direction, GapRow, HeadRow, Listing, Tables, VAULT_CHAIN, Write,
};
use crate::vault::{AuditChain, AuditEntry, AuditHead, AuditKind, AuditReport, Progress, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// What the audit says last about the tokens of a connection.
struct Last {
    kind: AuditKind,
    generation: u64,
    fingerprint: Option<[u8; 8]>,
    /// The user whose connection it is; none for a workspace connection.
    owner: Option<UserId>,
    is_legacy: bool,
}

/// What a chain says about the connections of its tenant.
#[derive(Default)]
struct Noted {
    last: BTreeMap<ConnectionId, Last>,
}

impl Noted {
    /// The connections that must have a row.
    fn present(&self) -> BTreeSet<ConnectionId> {
        let rows = self.last.iter().filter(|(_, last)| !last.is_legacy);
        rows.map(|(id, _)| *id).collect()
    }

    /// Drops what was noted of a person who was forgotten: their rows are gone with good reason. The entry names them
    /// by a fingerprint.
    fn forget(&mut self, key: &AuditKey, tenant: &Tenant, fingerprint: [u8; 8]) {
        self.last.retain(|_, last| {
            last.owner.as_ref().is_none_or(|user| {
                let name = tenant.name.as_str().as_bytes();
                key.fingerprint(&[b"user", name, user.as_str().as_bytes()]) != fingerprint
            })
        });
    }
}

/// Where a walk along a chain stands.
struct Walk {
    number: u64,
    mac: [u8; 32],
    checked: u64,
}

impl<T: Tables> Core<T> {
    fn chain(&self, chain: &AuditChain) -> Result<Option<Chain>> {
        Ok(match chain {
            AuditChain::Vault => Some(Chain::Of(VAULT_CHAIN)),
            AuditChain::Legacy => Some(Chain::Legacy),
            AuditChain::Tenant(name) => self.tenant(name)?.map(|tenant| Chain::Of(tenant.row)),
        })
    }

    pub(super) fn audit_heads(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditHead>> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let mut heads = Vec::new();
        for named in self.named_chains(tenant)? {
            let Some(of) = self.chain(&named)? else { continue };
            let head = self.write(|rows| {
                let head = chain::head(rows, key, vault, of)?;
                // An empty chain needs no checkpoint, and a head that was exported before has one.
                if head.number == 0 || rows.checkpoint(of, head.number)?.is_some() {
                    return Ok(Write::Unchanged(head));
                }
                let seal = key.checkpoint(vault, chain::chain_number(of), head.number, &head.mac);
                let row = CheckpointRow {
                    number: head.number,
                    mac: head.mac,
                    seal,
                };
                rows.put_checkpoint(of, &row)?;
                Ok(Write::Commit(head))
            })?;
            if named != AuditChain::Legacy || head.number > 0 || head.broken.is_some() {
                heads.push(AuditHead::new(named, head.number, head.mac));
            }
        }
        Ok(heads)
    }

    fn named_chains(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditChain>> {
        if let Some(tenant) = tenant {
            return Ok(vec![AuditChain::Tenant(tenant.clone())]);
        }
        let mut named = vec![AuditChain::Vault, AuditChain::Legacy];
        let mut after = VAULT_CHAIN;
        loop {
            let page = self.tables.read(|rows| rows.tenants(after, CHUNK))?;
            let Some((last, _)) = page.last() else {
                return Ok(named);
            };
            after = *last;
            named.extend(
                page.into_iter()
                    .filter_map(|(_, name)| name)
                    .map(AuditChain::Tenant),
            );
        }
    }

    pub(super) fn proves(&self, head: &AuditHead) -> Result<bool> {
        let Some(of) = self.chain(&head.chain)? else {
            return Ok(false);
        };
        if head.number == 0 {
            return Ok(head.mac == [0; 32]);
        }
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let (entry, checkpoint) = self.tables.read(|rows| {
            let before = head.number - 1;
            let entry = rows.entries(of, None, before, Direction::Forward, 1)?;
            Ok((entry.into_iter().next(), rows.checkpoint(of, head.number)?))
        })?;
        if let Some(entry) = entry.filter(|entry| entry.number == head.number) {
            return Ok(entry.mac == head.mac);
        }
        let number = chain::chain_number(of);
        Ok(checkpoint.is_some_and(|kept| {
            kept.mac == head.mac && kept.seal == key.checkpoint(vault, number, kept.number, &kept.mac)
        }))
    }

    pub(super) fn verify_audit(
        &self,
        named: &AuditChain,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<AuditReport> {
        let Some(of) = self.chain(named)? else {
            return Ok(AuditReport::default());
        };
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let tenant = match named {
            AuditChain::Tenant(name) => self.tenant(name)?,
            _ => None,
        };
        let mut noted = Noted::default();
        if let Some(tenant) = &tenant {
            self.note_entries(tenant, Chain::Legacy, 0, &mut noted)?;
        }
        let (end, gaps) = self
            .tables
            .read(|rows| Ok((chain::head(rows, key, vault, of)?, rows.gaps(of)?)))?;
        let mut walk = Walk {
            number: 0,
            mac: [0; 32],
            checked: 0,
        };
        let broken = self.walk(key, vault, of, &end, &gaps, &mut walk, &mut |row, number| {
            progress(Progress::new(number, end.number));
            match &tenant {
                Some(tenant) => self.note(tenant, row, false, &mut noted),
                None => Ok(()),
            }
        })?;
        let cut = broken.is_none() && (walk.number != end.number || walk.mac != end.mac);
        let cut = cut.then(|| walk.number.saturating_add(1));
        let mut report = AuditReport {
            checked: walk.checked,
            first_broken: [broken, cut, end.broken].into_iter().flatten().min(),
            out_of_date: Vec::new(),
        };
        let Some(tenant) = tenant else { return Ok(report) };
        report.out_of_date = self.out_of_date(&tenant, key, &noted)?;
        if !report.out_of_date.is_empty() {
            // A row may have changed since the chain was read: only what the newest entries contradict counts.
            self.note_entries(&tenant, of, end.number, &mut noted)?;
            report.out_of_date = self.out_of_date(&tenant, key, &noted)?;
        }
        Ok(report)
    }

    /// Follows a chain to its end, across its gaps. Returns the first number that is not as it should be.
    #[allow(clippy::too_many_arguments, reason = "the parts of one walk, in one place")]
    fn walk(
        &self,
        key: &AuditKey,
        vault: VaultId,
        of: Chain,
        end: &HeadRow,
        gaps: &[GapRow],
        walk: &mut Walk,
        visit: &mut dyn FnMut(AuditRow, u64) -> Result<()>,
    ) -> Result<Option<u64>> {
        loop {
            if let Some(gap) = gaps.iter().find(|gap| gap.first == walk.number + 1) {
                let number = chain::chain_number(of);
                let seal = key.gap(vault, number, gap.first, gap.last, &gap.before, &gap.mac);
                if gap.seal != seal || gap.before != walk.mac || gap.last < gap.first {
                    return Ok(Some(gap.first));
                }
                (walk.number, walk.mac) = (gap.last, gap.mac);
                continue;
            }
            let page = self
                .tables
                .read(|rows| rows.entries(of, None, walk.number, Direction::Forward, CHUNK))?;
            if page.is_empty() {
                return Ok(None);
            }
            for row in page {
                if row.number > end.number {
                    // Written since the head was read: the next verification sees it.
                    return Ok(None);
                }
                let expected = walk.number + 1;
                if gaps.iter().any(|gap| gap.first == expected) {
                    break;
                }
                let link = Link {
                    number: expected,
                    before: &walk.mac,
                    at: row.at,
                    tenant: row.tenant,
                    kind: &row.kind,
                    body: &row.body,
                };
                if row.number != expected || key.link(vault, &link) != row.mac {
                    return Ok(Some(expected));
                }
                (walk.number, walk.mac) = (expected, row.mac);
                walk.checked += 1;
                visit(row, expected)?;
            }
        }
    }

    /// Notes what the entries after a number say about connections. Later entries replace earlier ones.
    fn note_entries(&self, tenant: &Tenant, of: Chain, mut after: u64, noted: &mut Noted) -> Result<()> {
        loop {
            let page = self
                .tables
                .read(|rows| rows.entries(of, Some(tenant.row), after, Direction::Forward, CHUNK))?;
            let Some(end) = page.last() else { return Ok(()) };
            after = end.number;
            for row in page {
                self.note(tenant, row, of == Chain::Legacy, noted)?;
            }
        }
    }

    fn note(&self, tenant: &Tenant, mut row: AuditRow, is_legacy: bool, noted: &mut Noted) -> Result<()> {
        if row.kind == AuditKind::TokenUsed.as_str() {
            return Ok(());
        }
        let body = std::mem::take(&mut row.body);
        // An entry that is linked but does not open names nothing; the chain itself is intact.
        let Ok(fields) = self.keyring.open_entry(&self.tables, tenant, row.number, body) else {
            return Ok(());
        };
        let entry = audit::entry(&row, fields)?;
        match (entry.kind, entry.connection) {
            (AuditKind::UserForgotten, _) => {
                if let Some(fingerprint) = entry.fingerprint {
                    noted.forget(self.keyring.audit_key(&self.tables)?.0, tenant, fingerprint);
                }
            }
            (_, Some(connection)) => {
                if let Some(last) = about_tokens(entry, is_legacy) {
                    noted.last.insert(connection, last);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The connections whose row is not what the audit says last about them.
    fn out_of_date(&self, tenant: &Tenant, key: &AuditKey, noted: &Noted) -> Result<Vec<ConnectionId>> {
        let mut missing: BTreeSet<_> = noted.present();
        let mut found = BTreeSet::new();
        let mut after = None;
        loop {
            let listing = Listing {
                owner: None,
                provider: None,
                grant: None,
                with_revoked: true,
                after,
                limit: CHUNK,
            };
            let page = self.tables.read(|rows| rows.connections(tenant.row, &listing))?;
            let Some(end) = page.last() else { break };
            after = Some(end.connection.id);
            for row in page {
                let id = row.connection.id;
                missing.remove(&id);
                let Some(last) = noted.last.get(&id) else { continue };
                let is_current = match grants::shown(&row, tenant) {
                    Ok(shown) => self.is_current(tenant, key, &shown, last)?,
                    Err(_) => false,
                };
                if !is_current {
                    found.insert(id);
                }
            }
        }
        found.extend(missing);
        Ok(found.into_iter().collect())
    }

    fn is_current(&self, tenant: &Tenant, key: &AuditKey, shown: &Connection, last: &Last) -> Result<bool> {
        if shown.generation != last.generation || last.is_legacy && last.kind != AuditKind::Revoked {
            // A later generation was stored since the chain was read. Under schemas 1 and 2 the refreshes of shared
            // tokens were not told of each connection.
            return Ok(
                shown.generation > last.generation || last.is_legacy && shown.generation == last.generation
            );
        }
        Ok(agrees(last.kind, shown.status) && self.has_fingerprint(tenant, key, shown, last)?)
    }

    /// Whether the access token that is stored is the one that the entry was written about.
    fn has_fingerprint(
        &self,
        tenant: &Tenant,
        key: &AuditKey,
        shown: &Connection,
        last: &Last,
    ) -> Result<bool> {
        let (Some(expected), Status::Active) = (last.fingerprint, shown.status) else {
            return Ok(true);
        };
        let (row, sealed) = self.tables.read(|rows| {
            Ok((
                rows.grant(tenant.row, shown.grant)?,
                rows.grant_secrets(tenant.row, shown.grant)?,
            ))
        })?;
        let (Some(row), Some(record)) = (row, sealed.access) else {
            return Ok(false);
        };
        let stored = rows::grant(&row, &tenant.name)?;
        if stored.grant.generation != last.generation {
            // Refreshed since the chain was read.
            return Ok(true);
        }
        let context = tokens::context(tenant, &stored.grant, Kind::AccessToken, &row.route);
        let Ok(token) = self.open_access(tenant, &context, record) else {
            return Ok(false);
        };
        let found = apply::token_fingerprint(
            key,
            &tenant.name,
            shown.id,
            last.generation,
            token.expose_secret(),
        );
        Ok(found == expected)
    }
}

/// What an entry says about the tokens of its connection, if it says anything.
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
        owner: entry.user,
        is_legacy,
    })
}

/// Whether a connection may have this status after an entry of this kind.
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
