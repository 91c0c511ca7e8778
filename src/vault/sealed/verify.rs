//! Heads of the audit's chains, and verifying a chain against the entries and the rows.

use std::collections::HashSet;

use crate::model::TenantId;
use crate::vault::envelope::{AuditKey, Link, VaultId, named_entry};
use crate::vault::sealed::audit::CHUNK;
use crate::vault::sealed::chain;
use crate::vault::sealed::core::Core;
use crate::vault::sealed::verify_rows::Noted;
use crate::vault::tables::{
    AuditRow, Chain, CheckpointRow, Direction, GapRow, HeadRow, Tables, VAULT_CHAIN, Write,
};
use crate::vault::{AuditChain, AuditHead, AuditReport, VaultError};

type Result<T> = std::result::Result<T, VaultError>;

/// The state of a walk along a chain.
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

    /// Links the entries that wait, if this is the chain of a tenant.
    fn link_chain(&self, chain: Chain) -> Result<()> {
        match chain {
            Chain::Of(VAULT_CHAIN) | Chain::Legacy => Ok(()),
            Chain::Of(tenant) => self.link(tenant),
        }
    }

    pub(super) fn audit_heads(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditHead>> {
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let mut heads = Vec::new();
        for named in self.named_chains(tenant)? {
            let Some(of) = self.chain(&named)? else { continue };
            self.link_chain(of)?;
            let head = self.write(|rows| {
                let head = chain::head(rows, &key, vault, of)?;
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

    pub(super) fn verify_chain(
        &self,
        named: &AuditChain,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<AuditReport> {
        let Some(of) = self.chain(named)? else {
            return Ok(AuditReport::default());
        };
        self.link_chain(of)?;
        let (key, vault) = self.keyring.audit_key(&self.tables)?;
        let tenant = match named {
            AuditChain::Tenant(name) => self.tenant(name)?,
            _ => None,
        };
        let mut noted = Noted::default();
        if let Some(tenant) = &tenant {
            self.note_legacy(tenant, &mut noted)?;
        }
        let (end, gaps) = self
            .tables
            .read(|rows| Ok((chain::head(rows, &key, vault, of)?, rows.gaps(of)?)))?;
        noted.gaps = gaps.iter().map(|gap| (gap.first, gap.last)).collect();
        let mut walk = Walk {
            number: 0,
            mac: [0; 32],
            checked: 0,
        };
        let mut named = HashSet::new();
        let mut repeated = None;
        let broken = self.walk(&key, vault, of, &end, &gaps, &mut walk, &mut |row, number| {
            progress(number, end.number);
            // An entry that was linked can be put back among those that wait.
            if let (Some(entry), _) = named_entry(&row.body)
                && !named.insert(entry)
            {
                repeated = repeated.or(Some(number));
            }
            match &tenant {
                Some(tenant) => self.note(tenant, row, false, &mut noted),
                None => Ok(()),
            }
        })?;
        let cut = broken.is_none() && (walk.number != end.number || walk.mac != end.mac);
        let cut = cut.then(|| walk.number.saturating_add(1));
        let mut report = AuditReport {
            checked: walk.checked,
            first_broken: [broken, cut, end.broken, repeated].into_iter().flatten().min(),
            ..AuditReport::default()
        };
        let Some(tenant) = tenant else { return Ok(report) };
        report.definitions_out_of_date =
            self.definitions_out_of_date(&tenant, &key, (of, end.number), &mut noted.definitions)?;
        report.out_of_date = self.out_of_date(&tenant, &key, (of, end.number), &mut noted)?;
        Ok(report)
    }

    /// Follows a chain to its end, across its gaps. Returns the number of the first entry that is
    /// wrong.
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
                    // Written since the head was read; the next verification covers it.
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
}
