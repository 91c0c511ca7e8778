//! Decisions on refresh claims and on their results.

use crate::model::Timestamp;
use crate::vault::change::lifecycle::{self, Decision, Keep};
use crate::vault::change::{Change, Decided, Snapshot, StoredGrant, TokenWrite};
use crate::vault::{
    AuditEntry, AuditKind, Claim, ClaimRequest, CommitOutcome, Holder, RefreshFailure, Refreshed,
};

/// Decides on a request to refresh a grant. Changes the grant only if the claim is granted.
///
/// A former grant is never refreshed: the caller is asked to read again, and finds the grant that
/// replaced it. `dead` is a holder that is known to have ended.
pub fn claim(stored: &mut StoredGrant, request: &ClaimRequest<'_>, dead: Option<Holder>) -> Decision {
    if stored.grant.former_of.is_some() {
        return Decision::Moved;
    }
    let decision = lifecycle::claim(&mut stored.lifecycle, request, dead);
    stored.settle();
    decision
}

/// Stores refreshed tokens. The snapshot holds the grant and the connections that use it.
#[must_use]
pub fn commit(snapshot: &Snapshot, claim: &Claim, refreshed: &Refreshed<'_>) -> Decided<CommitOutcome> {
    let Some(stored) = snapshot.grants.first() else {
        return Decided::Nothing(CommitOutcome::Gone);
    };
    let mut stored = stored.clone();
    let refreshable = refreshed.tokens.refresh_token.is_some();
    let refresh_token_expires_at = refreshed
        .refresh_token_expires_at
        .or(stored.lifecycle.refresh_token_expires_at);
    let outcome = lifecycle::commit(&mut stored.lifecycle, claim, refreshable);
    if outcome != CommitOutcome::Stored {
        return Decided::Nothing(outcome);
    }
    if let Some(granted) = refreshed.granted {
        stored.grant.granted = granted.clone();
    }
    stored.lifecycle.refresh_token_expires_at = refresh_token_expires_at;
    stored.grant.refreshed_at = refreshed.at;
    stored.grant.expires_at = refreshed.expires_at;
    stored.grant.lifetime = refreshed.lifetime.or(stored.grant.lifetime);
    let is_former = stored.grant.former_of.is_some();
    if is_former {
        // That time applies to the tokens that a consent replaced, not to these.
        stored.dead_at = None;
    }
    let mut change = Change::default();
    let entry = AuditEntry::new(AuditKind::Refreshed, refreshed.at).by(refreshed.by);
    tell_users(&mut change, snapshot, &stored, &entry);
    change.put(stored, TokenWrite::New);
    let outcome = if is_former { CommitOutcome::Former } else { outcome };
    Decided::Write(change, outcome)
}

/// Stores the end of a claim without new tokens. The snapshot holds the grant and the connections
/// that use it.
#[must_use]
pub fn fail(snapshot: &Snapshot, claim: &Claim, failure: &RefreshFailure) -> Decided<CommitOutcome> {
    let Some(stored) = snapshot.grants.first() else {
        return Decided::Nothing(CommitOutcome::Gone);
    };
    let mut stored = stored.clone();
    let (outcome, keep) = lifecycle::fail(&mut stored.lifecycle, claim, failure);
    if outcome != CommitOutcome::Stored {
        return Decided::Nothing(outcome);
    }
    let mut change = Change::default();
    // A temporary failure has no lasting effect and repeats itself: the grant records it, the audit
    // does not.
    let entry = match *failure {
        RefreshFailure::Rejected { reason, at, .. } => {
            Some(AuditEntry::new(AuditKind::RefreshRejected, at).detail(reason.as_str()))
        }
        RefreshFailure::ConsentNeeded { reason, at } => {
            Some(AuditEntry::new(AuditKind::ConsentNeeded, at).detail(reason.as_str()))
        }
        RefreshFailure::Transient { .. } | RefreshFailure::TokenRefused { .. } => None,
    };
    if let Some(entry) = entry {
        tell_users(&mut change, snapshot, &stored, &entry);
    }
    keep_tokens(&mut change, stored, keep);
    Decided::Write(change, outcome)
}

/// Ends a quarantine that is over. The snapshot holds the grant and the connections that use it.
#[must_use]
pub fn end_quarantine(snapshot: &Snapshot, now: Timestamp) -> Decided<bool> {
    let Some(stored) = snapshot.grants.first() else {
        return Decided::Nothing(false);
    };
    let mut stored = stored.clone();
    if !lifecycle::end_quarantine(&mut stored.lifecycle, now) {
        return Decided::Nothing(false);
    }
    let mut change = Change::default();
    let entry = AuditEntry::new(AuditKind::QuarantineErased, now);
    tell_users(&mut change, snapshot, &stored, &entry);
    keep_tokens(&mut change, stored, Keep::Nothing);
    Decided::Write(change, true)
}

/// Writes a grant that may lose tokens. A former grant without tokens has no use and is deleted.
fn keep_tokens(change: &mut Change, stored: StoredGrant, keep: Keep) {
    if keep == Keep::Nothing && stored.grant.former_of.is_some() {
        change.deleted.push(stored.grant.id);
    } else {
        change.put(stored, TokenWrite::Keep(keep));
    }
}

/// Adds an entry for each connection that uses the grant.
fn tell_users(change: &mut Change, snapshot: &Snapshot, stored: &StoredGrant, entry: &AuditEntry) {
    for user in snapshot.users_of(stored.grant.id) {
        change.tell(entry.clone(), user, stored.lifecycle.generation);
    }
}
