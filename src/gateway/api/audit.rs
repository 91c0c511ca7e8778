//! The audit as JSON: `GET /v1/audit`.

use http::StatusCode;
use serde::Serialize;

use super::limit;
use crate::gateway::answer::{self, Answer};
use crate::gateway::history::{Found, Wanted};
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::time::rfc3339;
use crate::gateway::{Caller, Inner};
use crate::model::Actor;
use crate::vault::{AuditEntry, AuditOrder};

#[derive(Serialize)]
struct AuditPageJson {
    entries: Vec<AuditEntryJson>,
    next_after: Option<u64>,
}

#[derive(Serialize)]
struct AuditEntryJson {
    number: u64,
    at: String,
    kind: &'static str,
    user: Option<String>,
    actor: Option<ActorJson>,
    connection: Option<String>,
    provider: Option<String>,
    generation: Option<u64>,
    fingerprint: Option<String>,
    detail: Option<String>,
    purpose: Option<String>,
    turn: Option<String>,
    shared: bool,
}

#[derive(Serialize)]
struct ActorJson {
    user: String,
    role: &'static str,
}

impl ActorJson {
    fn new(actor: Actor) -> Self {
        Self {
            user: actor.user().to_string(),
            role: actor.role(),
        }
    }
}

impl AuditEntryJson {
    fn new(entry: AuditEntry) -> Self {
        let hex = |bytes: [u8; 8]| format!("{:016x}", u64::from_be_bytes(bytes));
        Self {
            number: entry.number,
            at: rfc3339(entry.at),
            kind: entry.kind.as_str(),
            user: entry.user.map(|user| user.to_string()),
            actor: entry.actor.map(ActorJson::new),
            connection: entry.connection.map(|id| id.to_string()),
            provider: entry.provider.map(|provider| provider.to_string()),
            generation: entry.generation,
            fingerprint: entry.fingerprint.map(hex),
            detail: entry.detail,
            purpose: entry.purpose,
            turn: entry.turn,
            shared: entry.shared,
        }
    }
}

impl Inner {
    /// Handles `GET /v1/audit`.
    pub(in crate::gateway) fn api_audit(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let limit = limit(incoming, self.page_size)?;
        let wanted = Wanted::of(self, caller, incoming)?;
        let after = incoming.query("after").map(str::parse);
        let after = after
            .transpose()
            .map_err(|_| Refusal::invalid("The page is unknown."))?;
        let order = match incoming.query("order") {
            None | Some("oldest") => AuditOrder::OldestFirst,
            Some("newest") => AuditOrder::NewestFirst,
            Some(_) => return Err(Refusal::invalid("Unknown order.")),
        };
        let Found { entries, next } = self.history(caller, &wanted, (order, after), limit)?;
        let body = AuditPageJson {
            entries: entries.into_iter().map(AuditEntryJson::new).collect(),
            next_after: next,
        };
        answer::json(StatusCode::OK, &body)
    }
}
