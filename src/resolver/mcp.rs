//! A consent that is needed, in the words of the Model Context Protocol: plain JSON for a host that
//! is an MCP server.
//!
//! What is asked for is a visit to a page, in *URL mode*: neither the client nor its model sees a
//! token, a `state` or the provider's authorization URL. How a client asks for the answer depends
//! on the revision it speaks:
//!
//! | revision | what to answer |
//! |---|---|
//! | 2026-07-28 | [`input_required`], a result, if the request declared the capability `elicitation.url` |
//! | 2025-11-25 | [`url_elicitation_required`], an error, if the client declared it when the session began |
//! | a client that declared neither | the [message](ConsentRequest::message) and the link, as the tool's own text |
//!
//! When the client calls the tool again, resolve again: the vault knows whether the person has been
//! there, and [`Turn::ask`](crate::resolver::Turn::ask) has the same consent for the same need. A
//! client that answers [`Declined`](Action::Declined) or [`Cancelled`](Action::Cancelled) has ended
//! the matter: withdraw the consent with [`Turn::cancel`](crate::resolver::Turn::cancel), so that
//! the link opens nothing any more.
//!
//! Whose consent it is comes from the turn, and so from whom the host authenticated: nothing here
//! takes a name out of a client's message. What a server must know when the client calls again is
//! sealed into the request state by a [`RequestStateKey`]; it opens for the same person and the
//! same call alone, and once.

mod canonical;
mod request_state;

pub use request_state::{RequestStateError, RequestStateKey};

use serde_json::{Map, Value, json};

use crate::resolver::consent_request::ConsentRequest;

/// The JSON-RPC error code of revision 2025-11-25 for a request that needs a visit to a page first.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// Returns the result of revision 2026-07-28 that asks for these consents: `InputRequiredResult`.
///
/// Each consent comes with the link at which its person finds it on the host's own origin, such as
/// the gateway's `connect_url` of its ticket.
///
/// `request_state` comes back as it is when the client calls again. It is text from an attacker
/// then: make it with [`RequestStateKey::seal`]. Where the vault says all that the next call needs,
/// give none.
///
/// # Security
///
/// Never pass the provider's authorization URL as a link: whoever opens it connects an account of
/// theirs to *this* person. The page behind the link must check who is signed in, as the gateway's
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

/// Returns the JSON-RPC error object of revision 2025-11-25 that asks for these consents. Clients
/// of later revisions do not know it. The links are those of [`input_required`].
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
        "message": "This request needs the person's consent first.",
        "data": { "elicitations": elicitations },
    })
}

fn parameters(asked: &ConsentRequest, link: &str) -> Value {
    json!({ "mode": "url", "url": link, "message": asked.message() })
}

/// What the person did with the link, as the client says. Only the vault knows whether a consent
/// was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// They opened it. The consent may still be under way.
    Accepted,
    /// They said no: go on without, and do not ask again in this turn.
    Declined,
    /// They said nothing: ask again when they next want the same.
    Cancelled,
}

impl Action {
    /// The action of an answer to an elicitation; `None` if it is none.
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
