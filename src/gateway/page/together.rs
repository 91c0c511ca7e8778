//! Services that share one consent: those that go with a service, and those that can be added to a connection.

use super::view::Card;
use crate::engine::consent::scopes::{can_join, one_grant};
use crate::gateway::refusal::Refusal;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, Owner, Status};
use crate::provider::Provider;
use crate::vault::ConnectionQuery;

impl Inner {
    /// The services that the grant of this connection could serve as well.
    pub(super) fn addable(&self, caller: &Caller, connection: &Connection) -> Result<Vec<Card>, Refusal> {
        if !connection.owner.is_managed_by(caller.principal().reach()) {
            return Ok(Vec::new());
        }
        // Its service may have been taken out of the configuration, or have another client by now.
        let inner = self.connections.inner();
        let Ok(service) = inner.service(&connection.tenant, connection.provider.as_str()) else {
            return Ok(Vec::new());
        };
        // A grant that the server refused, or that was revoked, serves nothing more.
        let ended = connection.status != Status::Active;
        if ended || one_grant(&service, connection, &connection.parameters).is_err() {
            return Ok(Vec::new());
        }
        let all = self.connections.providers_for(&connection.tenant)?;
        let others = all.into_iter().filter(|other| can_join(&service.provider, other));
        self.unconnected(caller, &connection.owner, others)
    }

    /// Those of these that the owner is not connected to, by name.
    pub(super) fn unconnected<'a>(
        &self,
        caller: &Caller,
        owner: &Owner,
        services: impl IntoIterator<Item = &'a Provider>,
    ) -> Result<Vec<Card>, Refusal> {
        let tenant = caller.acting_user().tenant();
        let mut query = ConnectionQuery::of(tenant);
        query.owner = Some(owner);
        let known = self.connections.inner().vault.connections(&query)?;
        let left = services
            .into_iter()
            .filter(|service| !known.iter().any(|known| known.provider == service.id));
        let mut cards: Vec<Card> = left.map(Card::new).collect();
        cards.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(cards)
    }
}
