//! A consent request and its link.

use crate::engine::consent::link::PreparedConsent;
use crate::error::ConsentRequired;
use crate::model::ConsentId;

/// A consent request that a turn made for its user: from [`Turn::ask`](crate::resolver::Turn::ask).
#[derive(Debug)]
pub struct ConsentRequest {
    pub(super) need: ConsentRequired,
    pub(super) prepared: PreparedConsent,
    pub(super) message: String,
}

impl ConsentRequest {
    /// Names the consent to people, logs and protocols; it opens nothing.
    #[must_use]
    pub const fn id(&self) -> ConsentId {
        self.prepared.id()
    }

    /// What is needed, and why.
    #[must_use]
    pub const fn need(&self) -> &ConsentRequired {
        &self.need
    }

    /// The consent that waits for the person: the ticket for a link on the host's own origin, and
    /// until when it is good.
    #[must_use]
    pub const fn prepared(&self) -> &PreparedConsent {
        &self.prepared
    }

    /// One sentence for the person, without anything that a server or a model wrote.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
