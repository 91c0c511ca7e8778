//! Consent requests within a turn.

use std::sync::Arc;

use crate::engine::consent::options::ConsentOptions;
use crate::engine::consent::poll::ConsentState;
use crate::error::{ConsentReason, ConsentRequired, Error, Result};
use crate::model::{ConsentId, Timestamp};
use crate::resolver::consent_request::ConsentRequest;
use crate::resolver::turn::Turn;

impl Turn {
    /// Prepares a consent that satisfies the requirement. While its link can be opened, all tools
    /// that ask for the same consent, in this turn and in later turns of the user, share it. A
    /// later requirement for more scopes of the same connection is combined with the earlier ones.
    ///
    /// Show the user a link on your own origin that ends in the ticket, such as the gateway's
    /// `connect_url`; never the provider's authorization URL. To find out whether the user has
    /// consented, resolve again or call [`poll`](Self::poll).
    ///
    /// All turns of a [`Resolver`](crate::Resolver) and of its clones share these links. Another
    /// process cannot, because the vault stores only a hash of the ticket: it creates its own link,
    /// and both are valid.
    ///
    /// # Errors
    ///
    /// [`NotPermitted`](Error::NotPermitted) if a workspace connection is needed, which only an
    /// operator can connect; and those of [`prepare`](crate::Connections::prepare).
    pub fn ask(&self, need: &ConsentRequired) -> Result<Arc<ConsentRequest>> {
        if need.workspace {
            return Err(Error::NotPermitted);
        }
        let connections = &self.common.connections;
        let is_pending = |asked: &ConsentRequest| match connections.poll(&self.acting_user, asked.id()) {
            Ok(state) => Ok(state == ConsentState::Pending),
            // The vault deleted it: newer ones replaced it, or the user was erased.
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
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
        let name = self
            .common
            .engine
            .find(self.acting_user.tenant(), provider)?
            .provider
            .name
            .clone();
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

    /// Returns the state of a consent that this user was asked for in any turn or process, like
    /// [`Connections::poll`](crate::Connections::poll).
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if this user has no such consent; [`Vault`](Error::Vault) if
    /// the vault fails.
    pub fn poll(&self, id: ConsentId) -> Result<ConsentState> {
        self.common.connections.poll(&self.acting_user, id)
    }

    /// Withdraws a consent that this user was asked for, for example when they decline: its link no
    /// longer works. Like [`Connections::cancel`](crate::Connections::cancel).
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll).
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
