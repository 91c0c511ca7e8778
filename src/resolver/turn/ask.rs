//! Consent asked for from inside a turn.

use std::sync::{Arc, PoisonError};

use crate::error::{ConsentReason, ConsentRequired, Error, Result};
use crate::manager::{ConnectionManager as _, ConsentOptions, PreparedConsent};
use crate::model::ConsentId;
use crate::resolver::Turn;

/// A consent that a turn asked its person for: from [`Turn::ask`].
#[derive(Debug)]
pub struct Asked {
    need: ConsentRequired,
    prepared: PreparedConsent,
    message: String,
}

impl Asked {
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

    /// The consent that waits for the person: the ticket for a link on the host's own origin, and until when it is good.
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

impl Turn {
    /// Prepares the consent that meets the need. However many tools of the turn ask for the same, there is one.
    ///
    /// Show the person a link on your own origin that ends in the ticket, such as the gateway's
    /// `connect_url`; never the provider's authorization URL. Whether they have been there shows when the tool resolves again.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](Error::NotPermitted) where the shared connection is needed, which only an operator can connect; and all that [`prepare`](crate::ConnectionManager::prepare) returns.
    pub fn ask(&self, need: &ConsentRequired) -> Result<Arc<Asked>> {
        if need.shared {
            return Err(Error::NotPermitted);
        }
        // Held while the consent is prepared, so that two tools that ask at once are asked for together.
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.resolver.connections.inner().now();
        all.retain(|asked| asked.prepared.expires_at() > now);
        if let Some(asked) = all.iter().find(|asked| asked.need == *need) {
            return Ok(Arc::clone(asked));
        }
        let connections = &self.resolver.connections;
        let provider = need.provider.as_str();
        let prepared = connections.prepare(&self.acting_user, provider, ConsentOptions::from(need))?;
        let name = connections.inner().service(provider)?.provider.name.clone();
        let asked = Arc::new(Asked {
            message: message(&name, need.reason),
            need: need.clone(),
            prepared,
        });
        all.push(Arc::clone(&asked));
        Ok(asked)
    }
}

fn message(name: &str, reason: ConsentReason) -> String {
    match reason {
        ConsentReason::NotConnected => format!("Connect {name} to go on."),
        ConsentReason::MissingScopes => format!("More access to {name} is needed to go on."),
        ConsentReason::Expired
        | ConsentReason::Rejected
        | ConsentReason::LostInFlight
        | ConsentReason::RejectedAfterRefresh => format!("Connect {name} again to go on."),
    }
}
