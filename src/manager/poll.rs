//! Where a consent stands, and how it is withdrawn.

use crate::error::{Error, Result};
use crate::manager::Inner;
use crate::model::{ActingUser, ConnectionId, ConsentId, EventKind};
use crate::vault::{ConsentStatus, PendingConsent, Taken};

/// Where a consent stands: from [`ConnectionManager::poll`](crate::ConnectionManager::poll).
///
/// A courtesy to whoever waits. Whether the person is connected says [`Resolver::resolve`](crate::Resolver::resolve).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentState {
    /// It was prepared, and waits for its person to open the link.
    Pending,
    /// Its person is on their way through it. Of a link that was opened long ago, as well: how that ended is kept for
    /// ten minutes after it could have been completed.
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

/// How often a consent is looked at again that changes while it is withdrawn: it can be opened once.
const ATTEMPTS: usize = 3;

impl Inner {
    pub(crate) fn poll(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        let consent = self.latest(acting_user, id)?;
        Ok(self.state_of(&consent))
    }

    pub(crate) fn cancel(&self, acting_user: &ActingUser, id: ConsentId) -> Result<ConsentState> {
        for _ in 0..ATTEMPTS {
            let consent = self.latest(acting_user, id)?;
            let open = matches!(
                self.state_of(&consent),
                ConsentState::Pending | ConsentState::Opened
            );
            if !open || consent.status != ConsentStatus::Pending {
                break;
            }
            if !consent.is_prepared() {
                self.spend_ticket(&consent)?;
            }
            let taken = self
                .vault
                .take_consent(&consent.tenant, &consent.state, self.now())?;
            if let Taken::Consent(consent, _) = taken {
                let status = ConsentStatus::Cancelled;
                self.vault
                    .close_consent(&consent.tenant, &consent.state, status, self.now())?;
                self.emit(
                    &consent.tenant,
                    Some(&consent.user),
                    &consent.provider,
                    consent.purpose.target(),
                    EventKind::ConsentDenied,
                );
                return Ok(ConsentState::Cancelled);
            }
        }
        self.poll(acting_user, id)
    }

    /// Returns the record of this id that says how the consent stands, of a ticket and the flows that it opened.
    fn latest(&self, acting_user: &ActingUser, id: ConsentId) -> Result<PendingConsent> {
        let weight = |consent: &PendingConsent| match (consent.is_prepared(), self.state_of(consent)) {
            // A flow that nobody answered in time: its ticket may open another one.
            (false, ConsentState::Expired) => 1,
            (false, _) => 3,
            (true, ConsentState::Pending) => 2,
            (true, _) => 0,
        };
        self.vault
            .consents(acting_user.tenant(), acting_user.user())?
            .into_iter()
            .filter(|consent| consent.id == id)
            .max_by_key(|consent| (weight(consent), consent.created_at))
            .ok_or(Error::NotFound)
    }

    fn state_of(&self, consent: &PendingConsent) -> ConsentState {
        match consent.status {
            ConsentStatus::Pending if consent.expires_at <= self.now() => ConsentState::Expired,
            ConsentStatus::Pending if consent.is_prepared() => ConsentState::Pending,
            ConsentStatus::Pending | ConsentStatus::Taken => ConsentState::Opened,
            ConsentStatus::Completed(connection) => ConsentState::Completed(connection),
            ConsentStatus::Denied => ConsentState::Denied,
            ConsentStatus::Failed => ConsentState::Failed,
            ConsentStatus::Cancelled => ConsentState::Cancelled,
        }
    }
}
