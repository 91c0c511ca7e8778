//! Consent requests in the Model Context Protocol: plain JSON for a host that is an MCP server.
//!
//! The client is asked to visit a page, in *URL mode*: neither the client nor its model sees a
//! token, a `state` or the provider's authorization URL. The form of the request depends on the
//! client's protocol revision:
//!
//! | revision | what to answer |
//! |---|---|
//! | 2026-07-28 | [`input_required`], a result, if the request declared the capability `elicitation.url` |
//! | 2025-11-25 | [`url_elicitation_required`], an error, if the client declared it when the session began |
//! | a client that declared neither | the [message](ConsentRequest::message) and the link, as the tool's own text |
//!
//! When the client calls the tool again, resolve again: the vault knows whether the user has
//! consented, and [`Turn::ask`](crate::resolver::Turn::ask) returns the same consent for the same
//! requirement. If the client answers [`Declined`](Action::Declined) or
//! [`Cancelled`](Action::Cancelled), withdraw the consent with
//! [`Turn::cancel`](crate::resolver::Turn::cancel), so that the link no longer works.
//!
//! The user of a consent comes from the turn, and thus from the host's authentication: nothing here
//! takes a name from a client's message. The data that a server needs when the client calls again
//! is encrypted into the request state by a [`RequestStateKey`]. The state opens only for the same
//! user and the same call, and only once.

mod canonical;
mod request_state;

pub use request_state::{RequestStateError, RequestStateKey};

use serde_json::{Map, Value, json};

use crate::resolver::consent_request::ConsentRequest;

/// The JSON-RPC error code of revision 2025-11-25 for a request that requires a visit to a page.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// Returns the result of revision 2026-07-28 that requests these consents: `InputRequiredResult`.
///
/// Each consent is paired with its link on the host's origin, such as the gateway's `connect_url`
/// of its ticket.
///
/// The client returns `request_state` when it calls again, at which point it is untrusted text.
/// Create it with [`RequestStateKey::seal`]. If the vault holds everything that the next call
/// needs, pass `None`.
///
/// # Security
///
/// Never pass the provider's authorization URL as a link: a person who opens it connects their
/// account to *this* user. The page behind the link must check who is signed in, as the gateway's
/// does.
#[must_use]
pub fn input_required(consents: &[(&ConsentRequest, &str)], request_state: Option<&str>) -> Value {
    let requests: Map<String, Value> = consents
        .iter()
        .map(|(asked, link)| {
            let request = json!({ "method": "elicitation/create", "params": parameters(asked, link) });
            (asked.id().to_string(), request)
        })
        .collect();
    let mut result = json!({ "resultType": "input_required", "inputRequests": requests });
    if let Some(state) = request_state {
        result["requestState"] = state.into();
    }
    result
}

/// Returns the JSON-RPC error object of revision 2025-11-25 that requests these consents. Clients
/// of later revisions do not support it. The links are those of [`input_required`].
#[must_use]
pub fn url_elicitation_required(consents: &[(&ConsentRequest, &str)]) -> Value {
    let elicitations: Vec<Value> = consents
        .iter()
        .map(|(asked, link)| {
            let mut parameters = parameters(asked, link);
            parameters["elicitationId"] = asked.id().to_string().into();
            parameters
        })
        .collect();
    json!({
        "code": URL_ELICITATION_REQUIRED,
        "message": "This request needs the user's consent first.",
        "data": { "elicitations": elicitations },
    })
}

fn parameters(asked: &ConsentRequest, link: &str) -> Value {
    json!({ "mode": "url", "url": link, "message": asked.message() })
}

/// The user's response to the link, according to the client. Only the vault knows whether the user
/// consented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The user opened the link. The consent may still be in progress.
    Accepted,
    /// The user declined: continue without the service, and do not ask again in this turn.
    Declined,
    /// The user did not respond: ask again when the service is next needed.
    Cancelled,
}

impl Action {
    /// Parses the action of an elicitation response; `None` if it is not one.
    #[must_use]
    pub fn of(answer: &Value) -> Option<Self> {
        match answer.get("action")?.as_str()? {
            "accept" => Some(Self::Accepted),
            "decline" => Some(Self::Declined),
            "cancel" => Some(Self::Cancelled),
            _ => None,
        }
    }
}
