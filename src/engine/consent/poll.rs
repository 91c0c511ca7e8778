//! Reports the status of consents, lists pending ones and withdraws them.

use std::collections::BTreeMap;

use crate::engine::Context;
use crate::engine::consent::link;
use crate::error::{Error, Result};
use crate::model::{
    ActingUser, ConnectionId, ConsentId, EventKind, Label, Owner, ProviderId, TenantId, Timestamp, UserId,
};
use crate::vault::{ConsentStatus, PendingConsent, Taken};

/// The status of a consent: returned by
/// [`ConnectionManager::poll`](crate::ConnectionManager::poll).
///
/// Informational only. Call [`Resolver::resolve`](crate::Resolver::resolve) to find out whether the
/// user is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentState {
    /// The consent was prepared and waits for its user to open the link.
    Pending,
    /// The user has started the consent. This is also the status of a link opened long ago: its
    /// result is kept for ten minutes after the consent can no longer be completed.
    Opened,
    /// The user consented, which led to this connection.
    Completed(ConnectionId),
    /// The user declined, or the server refused the request.
    Denied,
    /// The code could not be exchanged, or the response could not be used.
    Failed,
    /// The consent expired unanswered.
    Expired,
    /// The consent was withdrawn.
    Cancelled,
}

/// A consent that its user has not answered yet: a link, or a flow in progress in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConsent {
    /// The id, which identifies the consent in pages and logs. It grants no access.
    pub id: ConsentId,
    /// The user who is to consent.
    pub user: UserId,
    /// The owner of the connection that the consent would create.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// The label of the connection, if it was named.
    pub label: Option<Label>,
    /// True if the user has been sent to the provider.
    pub opened: bool,
    /// The time when the consent was prepared or started.
    pub created_at: Timestamp,
    /// The time when the consent expires.
    pub expires_at: Timestamp,
}

/// The number of attempts to withdraw a consent that changes meanwhile. A consent can be opened
/// once.
const ATTEMPTS: usize = 3;

pub(crate) fn poll(cx: &Context, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
    state(cx, acting_user.tenant(), acting_user.user(), id)
}

fn state(cx: &Context, tenant: &TenantId, user: &UserId, id: ConsentId) -> Result<ConsentState> {
    Ok(state_of(cx, &latest(cx, tenant, user, id)?))
}

pub(crate) fn cancel(cx: &Context, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
    withdraw(cx, acting_user.tenant(), acting_user.user(), id)
}

/// Returns the pending consents of a user, oldest first. For a ticket and its flow, the record that
/// decides is returned.
pub(crate) fn open_consents(cx: &Context, tenant: &TenantId, user: &UserId) -> Result<Vec<OpenConsent>> {
    Ok(open(cx, cx.vault.consents(tenant, user)?))
}

/// Returns the pending consents of all users of a tenant, oldest first.
pub(crate) fn tenant_consents(cx: &Context, tenant: &TenantId) -> Result<Vec<OpenConsent>> {
    const PAGE: usize = 500;
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|consent: &PendingConsent| consent.state);
        let page = cx.vault.tenant_consents(tenant, after.as_ref(), PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(open(cx, all));
        }
    }
}

/// Returns those of some requests that are pending, oldest first. A ticket and the flows that it
/// opened are among them, or none of them is.
fn open(cx: &Context, consents: Vec<PendingConsent>) -> Vec<OpenConsent> {
    let mut by_id: BTreeMap<ConsentId, PendingConsent> = BTreeMap::new();
    for consent in consents {
        let decides = by_id
            .get(&consent.id)
            .is_none_or(|known| weight(cx, &consent) > weight(cx, known));
        if decides {
            by_id.insert(consent.id, consent);
        }
    }
    let open = by_id.into_values().filter_map(|consent| {
        let opened = match state_of(cx, &consent) {
            ConsentState::Pending => false,
            ConsentState::Opened if consent.status == ConsentStatus::Pending => true,
            _ => return None,
        };
        Some(OpenConsent {
            id: consent.id,
            user: consent.user,
            owner: consent.owner,
            provider: consent.provider,
            label: consent.label,
            opened,
            created_at: consent.created_at,
            expires_at: consent.expires_at,
        })
    });
    open.collect()
}

/// Withdraws a consent of this user, on behalf of the user or an operator.
pub(crate) fn withdraw(
    cx: &Context,
    tenant: &TenantId,
    user: &UserId,
    id: ConsentId,
) -> Result<ConsentState> {
    for _ in 0..ATTEMPTS {
        let consent = latest(cx, tenant, user, id)?;
        let open = matches!(
            state_of(cx, &consent),
            ConsentState::Pending | ConsentState::Opened
        );
        if !open || consent.status != ConsentStatus::Pending {
            break;
        }
        if !consent.is_prepared() {
            link::spend_ticket(cx, &consent)?;
        }
        let taken = cx.vault.take_consent(&consent.tenant, &consent.state, cx.now())?;
        if let Taken::Consent(consent, _) = taken {
            let status = ConsentStatus::Cancelled;
            cx.vault
                .close_consent(&consent.tenant, &consent.state, status, cx.now())?;
            cx.emit(
                &consent.tenant,
                Some(&consent.user),
                &consent.provider,
                consent.purpose.target(),
                EventKind::ConsentDenied,
            );
            return Ok(ConsentState::Cancelled);
        }
    }
    state(cx, tenant, user, id)
}

/// Returns the record with this id that determines the status, among a ticket and the flows that it
/// opened.
fn latest(cx: &Context, tenant: &TenantId, user: &UserId, id: ConsentId) -> Result<PendingConsent> {
    cx.vault
        .consents(tenant, user)?
        .into_iter()
        .filter(|consent| consent.id == id)
        .max_by_key(|consent| weight(cx, consent))
        .ok_or(Error::NotFound)
}

/// Returns the rank of a record among those with the same id: the greatest decides.
fn weight(cx: &Context, consent: &PendingConsent) -> (u8, Timestamp) {
    let weight = match (consent.is_prepared(), state_of(cx, consent)) {
        // The flow expired unanswered, so its ticket may open another.
        (false, ConsentState::Expired) => 1,
        (false, _) => 3,
        (true, ConsentState::Pending) => 2,
        (true, _) => 0,
    };
    (weight, consent.created_at)
}

fn state_of(cx: &Context, consent: &PendingConsent) -> ConsentState {
    match consent.status {
        ConsentStatus::Pending if consent.expires_at <= cx.now() => ConsentState::Expired,
        ConsentStatus::Pending if consent.is_prepared() => ConsentState::Pending,
        ConsentStatus::Pending | ConsentStatus::Taken => ConsentState::Opened,
        ConsentStatus::Completed(connection) => ConsentState::Completed(connection),
        ConsentStatus::Denied => ConsentState::Denied,
        ConsentStatus::Failed => ConsentState::Failed,
        ConsentStatus::Cancelled => ConsentState::Cancelled,
    }
}
