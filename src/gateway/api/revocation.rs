//! The revocation of all connections of a user or of a service: `/v1/revocation`.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

use super::shape::RevocationJson;
use super::shaped;
use crate::gateway::answer::{self, Answer};
use crate::gateway::ends::Ends;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::revocation::{MOST, MOST_PREVIEWED, Selection};
use crate::gateway::{Caller, Inner};

/// The connections that a revocation would end.
#[derive(Serialize)]
struct Preview {
    connections: usize,
    /// True if there are more than were counted.
    more: bool,
    services: Vec<ServiceJson>,
}

#[derive(Serialize)]
struct ServiceJson {
    provider: String,
    connections: usize,
    /// The way in which the access ends at the provider.
    ends: &'static str,
}

#[derive(Serialize)]
struct Revoked {
    revocations: Vec<RevocationJson>,
    /// True if connections are left, because one request revokes a bounded number.
    more: bool,
}

impl Inner {
    /// Handles `GET /v1/revocation`.
    pub(in crate::gateway) fn api_preview(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let selection = Selection::of(caller, |name| incoming.query(name))?;
        let mut connections = self.selected(caller, &selection, MOST_PREVIEWED + 1)?;
        let more = connections.len() > MOST_PREVIEWED;
        connections.truncate(MOST_PREVIEWED);
        let offered = self.connections.services(caller.acting_user().tenant());
        let mut services: BTreeMap<&str, ServiceJson> = BTreeMap::new();
        for connection in &connections {
            let service = connection.provider.as_str();
            let row = services.entry(service).or_insert_with(|| ServiceJson {
                provider: service.to_owned(),
                connections: 0,
                ends: Ends::of(&offered, connection.server()).word(),
            });
            row.connections += 1;
        }
        let body = Preview {
            connections: connections.len(),
            more,
            services: services.into_values().collect(),
        };
        answer::json(StatusCode::OK, &body)
    }

    /// Handles `POST /v1/revocation`.
    pub(in crate::gateway) fn api_revoke_all(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let selection = Selection::of(caller, |name| incoming.field(name))?;
        let operator = caller.as_operator().ok_or_else(Refusal::forbidden)?;
        let filter = selection.filter().limit(MOST);
        let reports = self.connections.revoke_all(operator, &filter)?;
        let more = !self.selected(caller, &selection, 1)?.is_empty();
        let services = self.services(caller);
        let revocations = reports.iter().map(|report| {
            let connection = shaped(&services, caller, &report.connection);
            RevocationJson::new(connection, report)
        });
        let body = Revoked {
            revocations: revocations.collect(),
            more,
        };
        answer::json(StatusCode::OK, &body)
    }
}
