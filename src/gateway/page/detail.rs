//! The page `GET /connections/{id}`: one connection and its actions.

use askama::Template;
use http::StatusCode;

use super::notice;
use super::shell::{Moment, Shell};
use super::trail::{Latest, Trail};
use super::view::{Card, ConnectionView};
use crate::engine::health;
use crate::engine::lists::ConnectionFilter;
use crate::gateway::answer::{self, Answer};
use crate::gateway::api::connection_id;
use crate::gateway::ends::Ends;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::Connection;

#[derive(Template)]
#[template(path = "detail.html")]
struct DetailPage {
    shell: Shell,
    row: ConnectionView,
    provider_id: String,
    expires: Option<Moment>,
    last_failure: Option<(String, Option<Moment>)>,
    notice: Option<&'static str>,
    /// The other services of the same consent.
    sharing: Vec<(String, String)>,
    /// The services that can be added.
    others: Vec<Card>,
    /// `None` if it could not be read. The connection can be revoked nevertheless.
    trail: Option<Trail>,
    /// True if the owner has another connection to this service that could be the default instead.
    can_be_default: bool,
    /// True if the connection was revoked here, and its provider has not confirmed it.
    waits: bool,
    /// The address at which the access can be chosen again, if there is a choice.
    change: Option<String>,
}

impl Inner {
    pub(in crate::gateway) fn detail_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        id: &str,
    ) -> Answer {
        let connection = self.connections.get(caller.principal(), connection_id(id)?)?;
        let sharing = self.connections.sharing(caller.principal(), connection.id)?;
        let latest = self.latest(caller, &connection).ok();
        let users = latest.iter().flat_map(Latest::users);
        let page = self.page(caller, incoming, users.chain(connection.owner.user()));
        let others = self.addable(&page, &connection)?;
        let health = health::health(&page.services, &connection);
        let row = ConnectionView::new(&page, &connection);
        let waits = row.revoked && latest.as_ref().is_some_and(Latest::waits_for_provider);
        page.show(StatusCode::OK, |shell| DetailPage {
            shell,
            provider_id: connection.provider.to_string(),
            expires: connection.expires_at.map(|at| page.moment(at)),
            last_failure: health.last_failure.map(|failure| {
                let at = health.failed_at.map(|at| page.moment(at));
                ((page.texts.failure)(failure), at)
            }),
            // An old address must not claim that a connection works if it has ended since.
            notice: notice(page.texts, incoming.query("done")).filter(|_| row.active),
            sharing: sharing
                .iter()
                .map(|other| (other.id.to_string(), self.provider_name(other.provider.as_str())))
                .collect(),
            others,
            can_be_default: row.active && !row.is_default && self.has_twin(caller, &connection),
            waits: waits && row.managed && Ends::of(&page.services, connection.server()) == Ends::Request,
            change: self.change_path(&row, &connection),
            trail: latest.map(|latest| latest.trail(&page)),
            row,
        })
    }

    /// Returns whether the owner has another connection to the same service.
    fn has_twin(&self, caller: &Caller, connection: &Connection) -> bool {
        let mut filter = ConnectionFilter::provider(&connection.provider).limit(2);
        filter = match connection.owner.user() {
            Some(user) => filter.user(user.clone()),
            None => filter.workspace(),
        };
        self.connections
            .list(caller.principal(), &filter)
            .is_ok_and(|found| found.len() > 1)
    }

    /// Returns the address at which the access of a connection can be chosen again, if the service
    /// offers a choice.
    fn change_path(&self, row: &ConnectionView, connection: &Connection) -> Option<String> {
        let provider = self.provider(connection.provider.as_str())?;
        // A server takes nothing back from a connection that may change things.
        let has_choice = provider.0.reads_only(&connection.requested) || self.takes_values(provider);
        let helps = has_choice && row.actions.reconnects() && !row.revoked;
        helps.then(|| self.path(&format!("/connect?reconnect={}", connection.id)))
    }

    /// Handles `POST /connections/{id}/refresh`.
    pub(in crate::gateway) fn refresh_by_form(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        id: &str,
    ) -> Answer {
        let id = connection_id(id)?;
        match self.connections.refresh(caller.principal(), id) {
            Ok(_) => answer::see_other(&self.path(&format!("/connections/{id}?done=renewed"))),
            // The connection's own page names the obstacle.
            Err(error) if error.consent_required().is_some() || error.is_retryable() => {
                self.detail_page(caller, incoming, &id.to_string())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Handles `POST /connections/{id}/default`.
    pub(in crate::gateway) fn default_by_form(&self, caller: &Caller, id: &str) -> Answer {
        let id = connection_id(id)?;
        self.connections.set_default(caller.principal(), id)?;
        answer::see_other(&self.path(&format!("/connections/{id}?done=default")))
    }
}
