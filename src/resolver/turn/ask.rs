//! Consent requests from inside a turn.

use std::sync::Arc;

use crate::engine::consent::options::ConsentOptions;
use crate::engine::consent::poll::ConsentState;
use crate::error::{ConsentReason, ConsentRequired, Error, Result};
use crate::model::{ConsentId, Timestamp};
use crate::resolver::consent_request::ConsentRequest;
use crate::resolver::turn::Turn;

impl Turn {
    /// Prepares the consent that meets the need. However many tools ask for the same, in this turn
    /// and in later ones of the same person, there is one, while its link can be opened. A later
    /// need for more scopes of the same connection is asked for together with the earlier ones.
    ///
    /// Show the person a link on your own origin that ends in the ticket, such as the gateway's
    /// `connect_url`; never the provider's authorization URL. Whether they have been there shows
    /// when the tool resolves again, or by [`poll`](Self::poll).
    ///
    /// All turns of a [`Resolver`](crate::Resolver) and of its clones know of each other's links.
    /// Another process does not, for the vault keeps no link, only its hash: it makes one of its
    /// own, and both are good.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](Error::NotPermitted) where a workspace connection is needed, which only an
    /// operator can connect; and all that [`prepare`](crate::Connections::prepare) returns.
    pub fn ask(&self, need: &ConsentRequired) -> Result<Arc<ConsentRequest>> {
        if need.workspace {
            return Err(Error::NotPermitted);
        }
        let connections = &self.common.connections;
        let is_pending = |asked: &ConsentRequest| -> Result<bool> {
            Ok(connections.poll(&self.acting_user, asked.id())? == ConsentState::Pending)
        };
        let mut shelf = self.common.memory.asked.of(&self.acting_user);
        if let Some(asked) = shelf.known(&self.acting_user, need, self.common.engine.now())
            && is_pending(&asked)?
        {
            return Ok(asked);
        }
        let provider = need.provider.as_str();
        let mut widened = need.clone();
        for asked in shelf.like(&self.acting_user, need) {
            if is_pending(asked)? {
                widened.missing_scopes = widened.missing_scopes.union(&asked.need().missing_scopes);
            }
        }
        let need = widened;
        let prepared = connections.prepare(&self.acting_user, provider, ConsentOptions::from(&need))?;
        let name = self.common.engine.registry.find(provider)?.provider.name.clone();
        let asked = Arc::new(ConsentRequest {
            message: message(&name, need.reason),
            need,
            prepared,
        });
        shelf.remember(&self.acting_user, &asked);
        Ok(asked)
    }

    pub(in crate::resolver) fn now(&self) -> Timestamp {
        self.common.engine.now()
    }

    /// Returns where a consent stands that this person was asked for, in whatever turn or process:
    /// as [`Connections::poll`](crate::Connections::poll).
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if there is none of this person's, or a failure of the vault.
    pub fn poll(&self, id: ConsentId) -> Result<ConsentState> {
        self.common.connections.poll(&self.acting_user, id)
    }

    /// Withdraws a consent that this person was asked for, such as when they decline: its link
    /// opens nothing any more. As [`Connections::cancel`](crate::Connections::cancel).
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    pub fn cancel(&self, id: ConsentId) -> Result<ConsentState> {
        self.common.connections.cancel(&self.acting_user, id)
    }
}

fn message(name: &str, reason: ConsentReason) -> String {
    match reason {
        ConsentReason::NotConnected => format!("Connect {name} to go on."),
        ConsentReason::MissingScopes => format!("More access to {name} is needed to go on."),
        ConsentReason::Expired
        | ConsentReason::Rejected
        | ConsentReason::LostInFlight
        | ConsentReason::Unexplained
        | ConsentReason::ClientChanged => format!("Connect {name} again to go on."),
    }
}
