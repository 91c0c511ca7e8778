//! Where a consent stands, which are open, and how one is withdrawn.

use std::collections::BTreeMap;

use crate::engine::Context;
use crate::engine::consent::link;
use crate::error::{Error, Result};
use crate::model::{
    ActingUser, ConnectionId, ConsentId, EventKind, Label, Owner, ProviderId, TenantId, Timestamp, UserId,
};
use crate::vault::{ConsentStatus, PendingConsent, Taken};

/// Where a consent stands: from [`ConnectionManager::poll`](crate::ConnectionManager::poll).
///
/// A courtesy to whoever waits. Whether the person is connected says
/// [`Resolver::resolve`](crate::Resolver::resolve).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentState {
    /// It was prepared, and waits for its person to open the link.
    Pending,
    /// Its person is on their way through it. Of a link that was opened long ago, as well: how that
    /// ended is kept for ten minutes after it could have been completed.
    Opened,
    /// It was given, and led to this connection.
    Completed(ConnectionId),
    /// The person or the server said no.
    Denied,
    /// The code could not be exchanged, or its answer not be used.
    Failed,
    /// Nobody came in time.
    Expired,
    /// It was withdrawn.
    Cancelled,
}

/// A consent that its person has not answered yet: a link, or a flow that a browser is in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConsent {
    /// Names the consent to people and logs; it opens nothing.
    pub id: ConsentId,
    /// The person who is to give it.
    pub user: UserId,
    /// The owner of the connection that it would lead to.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// The label of the connection, if it was named.
    pub label: Option<Label>,
    /// True if its person has gone on to the provider.
    pub opened: bool,
    /// The time when it was prepared or begun.
    pub created_at: Timestamp,
    /// The time when it ends unless it is answered.
    pub expires_at: Timestamp,
}

/// How often a consent is looked at again that changes while it is withdrawn: it can be opened
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

/// The consents of a person that are open, oldest first. Of a ticket and its flow, the one that
/// decides.
pub(crate) fn open_consents(cx: &Context, tenant: &TenantId, user: &UserId) -> Result<Vec<OpenConsent>> {
    let mut by_id: BTreeMap<ConsentId, PendingConsent> = BTreeMap::new();
    for consent in cx.vault.consents(tenant, user)? {
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
    Ok(open.collect())
}

/// Withdraws a consent of this person, for the person or for an operator.
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

/// Returns the record of this id that says how the consent stands, of a ticket and the flows that
/// it opened.
fn latest(cx: &Context, tenant: &TenantId, user: &UserId, id: ConsentId) -> Result<PendingConsent> {
    cx.vault
        .consents(tenant, user)?
        .into_iter()
        .filter(|consent| consent.id == id)
        .max_by_key(|consent| weight(cx, consent))
        .ok_or(Error::NotFound)
}

/// Returns which of the records of one id decides: the greatest.
fn weight(cx: &Context, consent: &PendingConsent) -> (u8, Timestamp) {
    let weight = match (consent.is_prepared(), state_of(cx, consent)) {
        // A flow that nobody answered in time: its ticket may open another one.
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
