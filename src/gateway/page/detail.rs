//! The page `GET /connections/{id}`: one connection and its actions.

use askama::Template;
use http::StatusCode;

use super::notice;
use super::trail::Trail;
use super::view::{Card, ConnectionView, Moment, Shell};
use crate::gateway::answer::{self, Answer};
use crate::gateway::api::connection_id;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::Status;

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
        let texts = self.texts(&incoming.head.headers);
        let others = self.addable(texts, caller, &connection)?;
        let now = self.now();
        let health = self.connections.health_of(&connection);
        self.show(caller, incoming, StatusCode::OK, |shell| DetailPage {
            shell,
            row: ConnectionView::new(self, texts, caller, &connection, now),
            provider_id: connection.provider.to_string(),
            expires: connection.expires_at.map(|at| Moment::new(texts, at, now)),
            last_failure: health.last_failure.map(|failure| {
                let at = health.failed_at.map(|at| Moment::new(texts, at, now));
                ((texts.failure)(failure), at)
            }),
            // An old address must not claim that a connection works if it has ended since.
            notice: notice(texts, incoming.query("done")).filter(|_| connection.status == Status::Active),
            sharing: sharing
                .iter()
                .map(|other| (other.id.to_string(), self.provider_name(other.provider.as_str())))
                .collect(),
            others,
            trail: self.trail(texts, caller, &connection, now).ok(),
        })
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
