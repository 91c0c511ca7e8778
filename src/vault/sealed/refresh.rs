//! Refresh claims and their results.

use std::collections::BTreeSet;

use crate::model::{GrantId, TenantId};
use crate::vault::change::lifecycle::Held;
use crate::vault::change::{self, StoredGrant};
use crate::vault::envelope::Kind;
use crate::vault::sealed::apply::Needs;
use crate::vault::sealed::core::{Core, again_if_tampered};
use crate::vault::sealed::keyring::Tenant;
use crate::vault::sealed::snapshot::{Read, Reader};
use crate::vault::sealed::{rows, tokens};
use crate::vault::tables::{Ahead, DueRows, GrantRow, Of, Tables};
use crate::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, Claimed, CommitOutcome, DueQuery, Holder, RefreshFailure,
    Refreshed, VaultError,
};

type Result<T> = std::result::Result<T, VaultError>;

/// The number of times a claim is tried again when another writer was faster. Each time, that
/// writer made a decision.
const ATTEMPTS: usize = 32;

/// The result of an attempt to claim: granted, refused, or to be decided again.
enum Tried {
    Claimed(Box<Claimed>),
    Refused(ClaimOutcome),
    Moved,
}

impl<T: Tables> Core<T> {
    /// Returns the holder of a claim, if it is known to be dead.
    fn dead_holder(&self, held: Option<Held>) -> Option<Holder> {
        held.map(|held| held.holder)
            .filter(|holder| self.tables.is_dead(*holder))
    }

    pub(super) fn claim_refresh(&self, request: &ClaimRequest<'_>) -> Result<ClaimOutcome> {
        for _ in 0..ATTEMPTS {
            let Some(tenant) = self.remembered_tenant(request.tenant)? else {
                return Ok(ClaimOutcome::Gone);
            };
            match again_if_tampered(|| self.try_claim(&tenant, request))? {
                Tried::Claimed(claimed) => return Ok(ClaimOutcome::Granted(claimed)),
                Tried::Refused(outcome) => return Ok(outcome),
                Tried::Moved => {}
            }
        }
        Err(VaultError::Busy)
    }

    /// Reads, decides and decrypts first, then stores the claim if the grant has not changed. A
    /// caller that only waits for another's claim never takes the write lock, and a claim that
    /// could not be used is never stored.
    fn try_claim(&self, tenant: &Tenant, request: &ClaimRequest<'_>) -> Result<Tried> {
        let (current, read) = self.tables.read(|rows| {
            let ahead = [
                Ahead::Tenant(&tenant.name),
                Ahead::Grant(request.grant),
                Ahead::Secrets(request.grant),
            ];
            rows.announce(tenant.row, &ahead);
            let current = rows.tenant(&tenant.name)?;
            let Some(row) = rows.grant(tenant.row, request.grant)? else {
                return Ok((current, None));
            };
            let rest = rows.grant_secrets(tenant.row, request.grant)?.rest;
            Ok((current, Some((row, rest))))
        })?;
        if current != Some(tenant.row) {
            // The tenant was erased, and its name may belong to a new one.
            self.keyring.forget(&tenant.name);
            return Ok(Tried::Moved);
        }
        let Some((row, rest)) = read else {
            return Ok(Tried::Refused(ClaimOutcome::Gone));
        };
        rows::same(&row.id, &request.grant)?;
        let before = rows::grant(&row, &tenant.name, tenant.row_key())?;
        let mut stored = before.clone();
        let dead = self.dead_holder(stored.lifecycle.held);
        let decision = change::refresh::claim(&mut stored, request, dead);
        let (claim, outcome_unknown) = match decision.granted() {
            Ok(granted) => granted,
            Err(refused) => return Ok(Tried::Refused(refused)),
        };
        let rest = self.open_refresh_token(tenant, &before, rest)?;
        if !self.store_claim(tenant, &row, &stored)? {
            return Ok(Tried::Moved);
        }
        Ok(Tried::Claimed(Box::new(Claimed {
            claim,
            grant: stored.grant,
            refresh_token: rest.0,
            id_token: rest.1,
            outcome_unknown,
        })))
    }

    fn open_refresh_token(
        &self,
        tenant: &Tenant,
        stored: &StoredGrant,
        record: Option<Vec<u8>>,
    ) -> Result<(crate::secret::RefreshToken, Option<crate::secret::IdToken>)> {
        let route = rows::route(&stored.grant);
        let context = tokens::context(tenant, &stored.grant, Kind::Rest, &route);
        let rest = self.open_rest(tenant, &context, record.ok_or(VaultError::Tampered)?)?;
        Ok((rest.refresh_token.ok_or(VaultError::Tampered)?, rest.id_token))
    }

    /// Stores a claim if the grant has not changed since it was read.
    fn store_claim(&self, tenant: &Tenant, before: &GrantRow, stored: &StoredGrant) -> Result<bool> {
        let row = rows::grant_row(stored, before.key_version, before.revision, tenant.row_key());
        self.tables.replace_grant(tenant.row, &row, before.revision)
    }

    /// Claims grants from the head of the list. A grant that another host claimed first, or that
    /// does not open, is skipped: otherwise it would hide all grants that are due after it.
    pub(super) fn claim_due(&self, query: &DueQuery<'_>) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        let mut passed_over = BTreeSet::new();
        loop {
            let wanted = query.limit - claimed.len();
            let due = self.due(query, wanted + passed_over.len())?;
            let is_new = |due: &Of<GrantRow>| !passed_over.contains(&due.row.id);
            let new: Vec<_> = due.into_iter().filter(is_new).take(wanted).collect();
            if new.is_empty() {
                return Ok(claimed);
            }
            for due in new {
                let id = due.row.id;
                match self.claim_one(query, &due) {
                    Ok(Some(granted)) => claimed.push(granted),
                    Ok(None) => _ = passed_over.insert(id),
                    Err(error) if claimed.is_empty() => return Err(error),
                    // Grants that are claimed already must not be lost.
                    Err(_) => return Ok(claimed),
                }
            }
        }
    }

    fn due(&self, query: &DueQuery<'_>, limit: usize) -> Result<Vec<Of<GrantRow>>> {
        self.tables.read(|rows| {
            rows.due_grants(&DueRows {
                server: query.server.as_str(),
                now: query.now.as_unix_millis(),
                expires_before: (query.now + query.horizon).as_unix_millis(),
                refreshed_before: query.idle_since.map(|since| since.as_unix_millis()),
                limit,
            })
        })
    }

    /// Claims a grant that is due. Returns `None` if another host was faster, or its tokens do not
    /// open.
    fn claim_one(&self, query: &DueQuery<'_>, due: &Of<GrantRow>) -> Result<Option<Claimed>> {
        let request = ClaimRequest {
            tenant: &due.name,
            grant: due.row.id,
            holder: query.holder,
            generation: due.row.generation,
            attempt: Attempt::Due,
            now: query.claim_time,
            lease: query.lease,
        };
        match self.claim_refresh(&request) {
            Ok(ClaimOutcome::Granted(granted)) => Ok(Some(*granted)),
            // A turn that needs tokens which do not open gets the error then.
            Ok(_) | Err(VaultError::Tampered | VaultError::Damaged | VaultError::UnknownMasterKey) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn commit_refresh(
        &self,
        name: &TenantId,
        grant: GrantId,
        claim: &Claim,
        refreshed: &Refreshed<'_>,
    ) -> Result<CommitOutcome> {
        let needs = Needs {
            tokens: Some(refreshed.tokens),
            ..Needs::default()
        };
        let decide = |read: &Read| change::refresh::commit(&read.snapshot, claim, refreshed);
        let changed = self.change_known(name, refreshed.at, needs, |reader| load(reader, grant), decide)?;
        Ok(changed.map_or(CommitOutcome::Gone, |(outcome, _)| outcome))
    }

    pub(super) fn fail_refresh(
        &self,
        name: &TenantId,
        grant: GrantId,
        claim: &Claim,
        failure: &RefreshFailure,
    ) -> Result<CommitOutcome> {
        let (RefreshFailure::Transient { at, .. }
        | RefreshFailure::Rejected { at, .. }
        | RefreshFailure::ConsentNeeded { at, .. }
        | RefreshFailure::TokenRefused { at }) = *failure;
        let decide = |read: &Read| change::refresh::fail(&read.snapshot, claim, failure);
        let changed = self.change_known(name, at, Needs::default(), |reader| load(reader, grant), decide)?;
        Ok(changed.map_or(CommitOutcome::Gone, |(outcome, _)| outcome))
    }
}

/// Reads a grant and the connections that use it.
pub(super) fn load(reader: &mut Reader<'_>, grant: GrantId) -> Result<()> {
    reader.announce(&[Ahead::Grant(grant), Ahead::Users(grant)]);
    reader.grant(grant)?;
    reader.users(grant)
}
