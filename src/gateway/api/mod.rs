//! The API for programs: the connections of the page, as JSON.

mod audit;
mod consents;
pub(super) mod openapi;
mod people;
mod revocation;
mod shape;

use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::answer::{self, Answer};
use super::csrf::Csrf;
use super::refusal::Refusal;
use super::request::Incoming;
use super::{Caller, Inner};
use crate::engine::health;
use crate::engine::lists::ConnectionFilter;
use crate::engine::services::Services;
use crate::error::Error;
use crate::model::{Connection, ConnectionId, TenantId, UserId};
use shape::{ConnectionJson, Page, ProviderJson, Providers, RevocationJson, Session};

impl Inner {
    /// Handles `GET /healthz`: checks that the vault can be read, without reading the data of any
    /// tenant.
    pub(super) fn health(&self) -> Answer {
        let nobody = TenantId::new("healthz").map_err(Error::from)?;
        self.connections.check_vault(&nobody)?;
        answer::json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))
    }

    /// Handles `GET /v1/session`: returns the caller and the CSRF token for scripts that make
    /// changes.
    pub(super) fn session(&self, caller: &Caller, head: &Parts) -> Answer {
        let who = caller.acting_user();
        let csrf = Csrf::of(self.cookies(), &head.headers)?;
        let token = csrf.token(caller, self.now());
        let body = Session {
            tenant: who.tenant().as_str(),
            user: who.user().as_str(),
            role: if caller.is_operator() { "operator" } else { "user" },
            csrf_token: &token,
        };
        let response = answer::json(StatusCode::OK, &body)?;
        let cookie = csrf.fresh().and_then(|secret| self.cookies().keep_csrf(secret));
        Ok(answer::with_cookie(response, cookie))
    }

    /// Handles `GET /v1/providers`.
    pub(super) fn providers(&self, caller: &Caller) -> Answer {
        let providers = self.connections.providers_for(caller.acting_user().tenant())?;
        let providers = providers
            .into_iter()
            .map(|it| ProviderJson::new(it, self.entered(it)))
            .collect();
        answer::json(StatusCode::OK, &Providers { providers })
    }

    /// Handles `GET /v1/connections`. A page that read many connections without finding enough ends
    /// early.
    pub(super) fn api_list(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let limit = limit(incoming, self.page_size)?;
        let listed = self.listed(caller, &filter(incoming)?, limit)?;
        let body = Page {
            connections: self.shapes(caller, &listed.connections),
            next_after: listed.next.map(|id| id.to_string()),
        };
        answer::json(StatusCode::OK, &body)
    }

    /// Handles `GET` and `DELETE /v1/connections/{id}`.
    pub(super) fn api_one(&self, caller: &Caller, id: &str, method: &Method) -> Answer {
        let id = connection_id(id)?;
        if *method == Method::DELETE {
            let revocation = self.connections.revoke(caller.principal(), id)?;
            let connection = self.shape(caller, &revocation.connection);
            return answer::json(StatusCode::OK, &RevocationJson::new(connection, &revocation));
        }
        let connection = self.connections.get(caller.principal(), id)?;
        self.connection_json(StatusCode::OK, caller, &connection)
    }

    /// Handles `POST /v1/connections/{id}/refresh`.
    pub(super) fn api_refresh(&self, caller: &Caller, id: &str) -> Answer {
        let connection = self.connections.refresh(caller.principal(), connection_id(id)?)?;
        self.connection_json(StatusCode::OK, caller, &connection)
    }

    /// Handles `POST /v1/connections/{id}/default`.
    pub(super) fn api_default(&self, caller: &Caller, id: &str) -> Answer {
        let id = connection_id(id)?;
        self.connections.set_default(caller.principal(), id)?;
        let connection = self.connections.get(caller.principal(), id)?;
        self.connection_json(StatusCode::OK, caller, &connection)
    }

    pub(super) fn connection_json(
        &self,
        status: StatusCode,
        caller: &Caller,
        connection: &Connection,
    ) -> Result<Response<Vec<u8>>, Refusal> {
        answer::json(status, &self.shape(caller, connection))
    }

    fn shape(&self, caller: &Caller, connection: &Connection) -> ConnectionJson {
        shaped(&self.services(caller), caller, connection)
    }

    /// Returns the shapes of many connections, for which each service is looked up once.
    fn shapes(&self, caller: &Caller, connections: &[Connection]) -> Vec<ConnectionJson> {
        let services = self.services(caller);
        let shape = |connection| shaped(&services, caller, connection);
        connections.iter().map(shape).collect()
    }

    fn services<'a>(&'a self, caller: &'a Caller) -> Services<'a> {
        self.connections.services(caller.acting_user().tenant())
    }
}

fn shaped(services: &Services<'_>, caller: &Caller, connection: &Connection) -> ConnectionJson {
    let managed = connection.owner.is_managed_by(&caller.principal().actor());
    ConnectionJson::new(connection, &health::health(services, connection), managed)
}

/// Parses an id in a path. A malformed id is not found, like one of another user.
pub(super) fn connection_id(text: &str) -> Result<ConnectionId, Refusal> {
    text.parse().map_err(|_| Refusal::not_found())
}

/// Returns the page size that the query requests, or else the default.
fn limit(incoming: &Incoming<'_>, otherwise: usize) -> Result<usize, Refusal> {
    let Some(limit) = incoming.query("limit") else {
        return Ok(otherwise);
    };
    limit
        .parse()
        .ok()
        .filter(|limit| (1..=200).contains(limit))
        .ok_or_else(|| Refusal::invalid("The limit must be a number from 1 to 200."))
}

/// Returns the filter that a query describes.
pub(super) fn filter(incoming: &Incoming<'_>) -> Result<ConnectionFilter, Refusal> {
    let mut filter = ConnectionFilter::default();
    if let Some(user) = incoming.query("user") {
        filter.user = Some(UserId::new(user).map_err(Error::from)?);
    }
    if let Some(provider) = incoming.query("provider") {
        filter.provider = Some(provider.to_owned());
    }
    match incoming.query("status") {
        None => {}
        Some("active") => filter = filter.active(),
        Some("needs_consent") => filter = filter.needs_consent(),
        Some("revoked") => filter = filter.revoked(),
        Some("all") => filter.include_revoked = true,
        Some(_) => return Err(Refusal::invalid("Unknown status.")),
    }
    match incoming.query("kind") {
        None => {}
        Some("personal") => filter = filter.personal(),
        Some("workspace") => filter = filter.workspace(),
        Some(_) => return Err(Refusal::invalid("Unknown kind.")),
    }
    if let Some(after) = incoming.query("after") {
        let after = after
            .parse()
            .map_err(|_| Refusal::invalid("The page is unknown."))?;
        filter.after = Some(after);
    }
    Ok(filter)
}
