//! Services that can share one consent: with a service, or with an existing connection.

use super::text::Texts;
use super::view::Card;
use crate::gateway::refusal::Refusal;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, Owner};
use crate::provider::Provider;

impl Inner {
    /// Returns the services that the grant of this connection could cover as well.
    pub(super) fn addable(
        &self,
        texts: &Texts,
        caller: &Caller,
        connection: &Connection,
    ) -> Result<Vec<Card>, Refusal> {
        if !connection.owner.is_managed_by(&caller.principal().actor()) {
            return Ok(Vec::new());
        }
        let others = self.connections.joinable(connection)?;
        self.unconnected(texts, caller, &connection.owner, others)
    }

    /// Returns the services among these that the owner has not connected, by name.
    pub(super) fn unconnected<'a>(
        &self,
        texts: &Texts,
        caller: &Caller,
        owner: &Owner,
        services: impl IntoIterator<Item = &'a Provider>,
    ) -> Result<Vec<Card>, Refusal> {
        let known = self
            .connections
            .services_of(caller.acting_user().tenant(), owner)?;
        let left = services
            .into_iter()
            .filter(|service| !known.contains(service.id()));
        let mut cards: Vec<Card> = left.map(|service| Card::new(texts, service)).collect();
        cards.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(cards)
    }
}
