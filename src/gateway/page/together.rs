//! Services that can share one consent: with a service, or with an existing connection.

use super::base::Page;
use super::view::Card;
use crate::gateway::Inner;
use crate::gateway::refusal::Refusal;
use crate::model::{Connection, Owner};
use crate::provider::Provider;

impl Inner {
    /// Returns the services that the grant of this connection could cover as well.
    pub(super) fn addable(&self, page: &Page<'_>, connection: &Connection) -> Result<Vec<Card>, Refusal> {
        if !page.manages(connection) {
            return Ok(Vec::new());
        }
        let others = self.connections.joinable(connection)?;
        self.unconnected(page, &connection.owner, others)
    }

    /// Returns the services among these that the owner has not connected, by name.
    pub(super) fn unconnected<'a>(
        &self,
        page: &Page<'_>,
        owner: &Owner,
        services: impl IntoIterator<Item = &'a Provider>,
    ) -> Result<Vec<Card>, Refusal> {
        let known = self
            .connections
            .services_of(page.caller.acting_user().tenant(), owner)?;
        let left = services
            .into_iter()
            .filter(|service| !known.contains(service.id()));
        let mut cards: Vec<Card> = left.map(|service| Card::new(page, service)).collect();
        cards.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(cards)
    }
}
