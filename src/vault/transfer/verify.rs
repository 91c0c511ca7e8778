//! Compares both sides row by row, and authenticates every row of the target with its own keys.

use crate::model::TenantId;
use crate::vault::tables::{KeyRow, Rows, VAULT_CHAIN};
use crate::vault::transfer::copy::{PAGE, Sides, keys_of};
use crate::vault::transfer::error::TransferError;
use crate::vault::transfer::kinds::{
    Checkpoints, Connections, Consents, Definitions, Entries, Grants, Kind, Place, Revocations,
};
use crate::vault::transfer::report::{TransferPhase, Transferred};
use crate::vault::transfer::side::{Record, Side};
use crate::vault::{AuditChain, VaultError};

type Result<T> = std::result::Result<T, TransferError>;

/// The content of a source.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) found: Transferred,
    /// The number of all rows that are copied.
    pub(super) rows: u64,
    /// The number of refreshes that are under way.
    pub(super) held: usize,
}

/// Counts the rows of a source.
pub(super) fn survey(sides: &Sides<'_>) -> Result<Survey> {
    let mut survey = Survey::default();
    let now = sides.now;
    let mut after = VAULT_CHAIN;
    let mut checkpoints = 0;
    loop {
        let page = sides.tenants(after)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (row, name) in page {
            let place = Place::tenant(row, name);
            let (found, held) = (&mut survey.found, &mut survey.held);
            found.tenants += 1;
            found.grants += each::<Grants>(sides, &place, |(grant, _)| {
                *held += usize::from(sides.from.is_held(grant, now));
            })?;
            found.connections += each::<Connections>(sides, &place, |_| {})?;
            found.consents += each::<Consents>(sides, &place, |_| {})?;
            found.definitions += each::<Definitions>(sides, &place, |_| {})?;
            found.revocations += each::<Revocations>(sides, &place, |_| {})?;
            found.audit_entries += each::<Entries>(sides, &place, |_| {})?;
            checkpoints += each::<Checkpoints>(sides, &place, |_| {})?;
        }
    }
    for place in &Place::CHAINS {
        survey.found.audit_entries += each::<Entries>(sides, place, |_| {})?;
        checkpoints += each::<Checkpoints>(sides, place, |_| {})?;
    }
    survey.rows = survey.found.records() + checkpoints;
    Ok(survey)
}

/// Visits the rows of one kind in the source. Returns their number.
fn each<K: Kind>(sides: &Sides<'_>, place: &Place, mut visit: impl FnMut(&K::Row)) -> Result<u64> {
    let mut count = 0;
    let mut after: Option<K::Key> = None;
    loop {
        let page = sides.source(|rows| K::page(rows, place, after.as_ref(), PAGE))?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(K::key(last));
        page.iter().for_each(&mut visit);
        count += u64::try_from(page.len()).unwrap_or(u64::MAX);
    }
}

/// Compares everything. Returns what was moved.
pub(super) fn verify_all(sides: &mut Sides<'_>) -> Result<Transferred> {
    sides.begin(TransferPhase::Verifying);
    let mut moved = Transferred::default();
    let mut after = VAULT_CHAIN;
    loop {
        let page = sides.tenants(after)?;
        let of_target = sides.target(|rows| rows.tenants(after, PAGE))?;
        let is_same = of_target
            .into_iter()
            .eq(page.iter().map(|(row, name)| (*row, Some(name.clone()))));
        if !is_same {
            return Err(TransferError::Differs("tenant"));
        }
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (row, name) in page {
            moved.tenants += 1;
            let chain = AuditChain::Tenant(name.clone());
            let place = Place::tenant(row, name);
            verify_tenant(sides, &place, &mut moved)?;
            compare_chain(sides, &place, &chain)?;
        }
    }
    for (place, chain) in Place::CHAINS.iter().zip([AuditChain::Vault, AuditChain::Legacy]) {
        moved.audit_entries += compare::<Entries>(sides, place, &mut moved.unreadable)?;
        compare::<Checkpoints>(sides, place, &mut moved.unreadable)?;
        compare_chain(sides, place, &chain)?;
    }
    Ok(moved)
}

fn verify_tenant(sides: &mut Sides<'_>, place: &Place, moved: &mut Transferred) -> Result<()> {
    compare_keys(sides, place)?;
    let unreadable = &mut moved.unreadable;
    moved.grants += compare::<Grants>(sides, place, unreadable)?;
    moved.connections += compare::<Connections>(sides, place, unreadable)?;
    moved.consents += compare::<Consents>(sides, place, unreadable)?;
    moved.definitions += compare::<Definitions>(sides, place, unreadable)?;
    moved.revocations += compare::<Revocations>(sides, place, unreadable)?;
    moved.audit_entries += compare::<Entries>(sides, place, unreadable)?;
    compare::<Checkpoints>(sides, place, unreadable)?;
    Ok(())
}

/// Compares the rows of one kind. Returns their number, and counts those that do not open.
fn compare<K: Kind>(sides: &mut Sides<'_>, place: &Place, unreadable: &mut u64) -> Result<u64> {
    let mut count = 0;
    let mut after: Option<K::Key> = None;
    loop {
        let here = sides.source(|rows| K::page(rows, place, after.as_ref(), PAGE))?;
        let there = sides.target(|rows| K::page(rows, place, after.as_ref(), PAGE))?;
        if here != there {
            return Err(TransferError::Differs(K::NAME));
        }
        let Some(last) = there.last() else {
            return Ok(count);
        };
        after = Some(K::key(last));
        for row in &there {
            let (Some(record), Some(tenant)) = (K::record(row), &place.name) else {
                continue;
            };
            *unreadable += u64::from(!authenticate(sides, tenant, record, K::NAME)?);
        }
        count += u64::try_from(there.len()).unwrap_or(u64::MAX);
        sides.step(there.len());
    }
}

/// Returns whether a record opens. A record that opens in the source must open in the target.
fn authenticate(
    sides: &Sides<'_>,
    tenant: &TenantId,
    record: Record<'_>,
    name: &'static str,
) -> Result<bool> {
    let opens = |side: &dyn Side| side.opens(tenant, record);
    if opens(sides.to).map_err(TransferError::Target)? {
        return Ok(true);
    }
    if opens(sides.from).map_err(TransferError::Source)? {
        return Err(TransferError::Differs(name));
    }
    Ok(false)
}

/// Compares the keys of a tenant, which other master keys wrap.
fn compare_keys(sides: &Sides<'_>, place: &Place) -> Result<()> {
    let here = sides.source(|rows| keys_of(rows, place.tenant))?;
    let there = sides.target(|rows| keys_of(rows, place.tenant))?;
    let facts = |key: &KeyRow| (key.version, key.seals, key.retired);
    if !here.iter().map(facts).eq(there.iter().map(facts)) {
        return Err(TransferError::Differs("key"));
    }
    let Some(tenant) = &place.name else { return Ok(()) };
    for key in &there {
        authenticate(sides, tenant, Record::Key(key), "key")?;
    }
    Ok(())
}

/// Compares what belongs to a chain as a whole, and verifies it on both sides: a chain that was
/// broken before is as broken afterwards.
fn compare_chain(sides: &Sides<'_>, place: &Place, chain: &AuditChain) -> Result<()> {
    let of = place.chain;
    let parts = |rows: &dyn Rows| Ok((rows.gaps(of)?, rows.head(of)?));
    if sides.source(parts)? != sides.target(parts)? {
        return Err(TransferError::Differs("head of the audit"));
    }
    let report = |side: &dyn Side| -> std::result::Result<_, VaultError> { side.verify(chain) };
    let here = report(sides.from).map_err(TransferError::Source)?;
    let there = report(sides.to).map_err(TransferError::Target)?;
    if here != there {
        return Err(TransferError::Differs("verification of the audit"));
    }
    Ok(())
}
