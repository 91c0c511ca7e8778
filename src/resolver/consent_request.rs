//! A consent request and its link.

use crate::engine::consent::link::PreparedConsent;
use crate::error::ConsentRequired;
use crate::model::ConsentId;

/// A consent request of a turn for its user: returned by [`Turn::ask`](crate::resolver::Turn::ask).
///
/// The [message](Self::message) says what is needed. It contains no link: the host appends one on
/// its own origin that ends in the [ticket](PreparedConsent::ticket). With the gateway, that is
/// `mount.connect_url(asked.prepared().ticket())`.
///
/// ```
/// use valetkey::Error;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let turn = host.resolver.turn(host.user("ada"));
/// let Err(Error::ConsentRequired(need)) = turn.resolve("notes") else {
///     panic!("nothing is connected yet");
/// };
/// let asked = turn.ask(&need)?;
/// let ticket = asked.prepared().ticket().expose_secret();
/// let shown = format!("{} https://app.example/connect/{ticket}", asked.message());
/// assert!(shown.starts_with("Connect Sandbox notes to go on. https://app.example/connect/"));
/// # Ok::<(), Error>(())
/// ```
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

    /// Returns one sentence for the user, without the link and without text from a server or a
    /// model.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
