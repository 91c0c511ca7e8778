//! Services that share one consent: those that go with a service, and those that can be added to a connection.

use askama::Template;
use http::StatusCode;

use super::view::{Card, Shell};
use crate::error::Error;
use crate::gateway::answer::Answer;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::manager::services::{can_join, one_grant};
use crate::model::{Connection, Owner, Status, UserId};
use crate::provider::Provider;
use crate::vault::ConnectionQuery;

#[derive(Template)]
#[template(path = "together.html")]
struct TogetherPage {
    shell: Shell,
    named: Card,
    /// Those that may come along.
    others: Vec<Card>,
    user: String,
}

impl Inner {
    /// `GET /connect?provider=…`: this service, and what may come with it.
    pub(super) fn together_page(&self, caller: &Caller, incoming: &Incoming<'_>, named: &str) -> Answer {
        let named = self
            .connections
            .providers()
            .find(|provider| provider.id.as_str() == named)
            .ok_or_else(Refusal::not_found)?;
        let user = incoming.query("user").filter(|_| caller.is_operator());
        let whose = match user {
            Some(user) => UserId::new(user).map_err(Error::from)?,
            None => caller.acting_user().user().clone(),
        };
        let all = self.connections.providers();
        let others = all.filter(|other| can_join(named, other));
        let others = self.unconnected(caller, &Owner::Personal(whose), others)?;
        self.show(caller, incoming, StatusCode::OK, |shell| TogetherPage {
            shell,
            named: Card::new(named),
            others,
            user: user.unwrap_or_default().to_owned(),
        })
    }

    /// The services that the grant of this connection could serve besides.
    pub(super) fn addable(&self, caller: &Caller, connection: &Connection) -> Result<Vec<Card>, Refusal> {
        if !connection.owner.is_managed_by(caller.principal().reach()) {
            return Ok(Vec::new());
        }
        // Its service may have been taken out of the configuration, or have another client by now.
        let Ok(service) = self.connections.inner().service(connection.provider.as_str()) else {
            return Ok(Vec::new());
        };
        let ended = connection.status == Status::Revoked;
        if ended || one_grant(service, connection, &connection.parameters).is_err() {
            return Ok(Vec::new());
        }
        let all = self.connections.providers();
        let others = all.filter(|other| can_join(service.provider, other));
        self.unconnected(caller, &connection.owner, others)
    }

    /// Those of these that the owner is not connected to, by name.
    fn unconnected<'a>(
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
