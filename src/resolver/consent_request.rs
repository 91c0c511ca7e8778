//! A consent request and its link.

use crate::engine::consent::link::PreparedConsent;
use crate::error::ConsentRequired;
use crate::model::ConsentId;

/// A consent request of a turn for its user: returned by [`Turn::ask`](crate::resolver::Turn::ask).
#[derive(Debug)]
pub struct ConsentRequest {
    pub(super) need: ConsentRequired,
    pub(super) prepared: PreparedConsent,
    pub(super) message: String,
}

impl ConsentRequest {
    /// Returns the id, which identifies the consent in pages, logs and protocols. It grants no
    /// access.
    #[must_use]
    pub const fn id(&self) -> ConsentId {
        self.prepared.id()
    }

    /// Returns the requirement and its reason.
    #[must_use]
    pub const fn need(&self) -> &ConsentRequired {
        &self.need
    }

    /// Returns the prepared consent: the ticket for a link on the host's origin, and its expiry.
    #[must_use]
    pub const fn prepared(&self) -> &PreparedConsent {
        &self.prepared
    }

    /// Returns one sentence for the user, without text from a server or a model.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
