//! The open consents of a user: links and flows that can be withdrawn.

use http::StatusCode;
use serde::Serialize;

use crate::engine::consent::poll::{ConsentState, OpenConsent};
use crate::error::Error;
use crate::gateway::answer::{self, Answer};
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::time::rfc3339;
use crate::gateway::{Caller, Inner};
use crate::model::{ConsentId, Owner, UserId};

#[derive(Serialize)]
struct Consents {
    consents: Vec<ConsentJson>,
}

#[derive(Serialize)]
struct ConsentJson {
    id: String,
    provider: String,
    user: String,
    shared: bool,
    label: Option<String>,
    opened: bool,
    created_at: String,
    expires_at: String,
}

#[derive(Serialize)]
struct Withdrawn {
    id: String,
    state: &'static str,
}

impl ConsentJson {
    fn new(consent: OpenConsent) -> Self {
        Self {
            id: consent.id.to_string(),
            provider: consent.provider.to_string(),
            user: consent.user.to_string(),
            shared: consent.owner == Owner::Workspace,
            label: consent.label.map(|label| label.to_string()),
            opened: consent.opened,
            created_at: rfc3339(consent.created_at),
            expires_at: rfc3339(consent.expires_at),
        }
    }
}

impl Inner {
    /// Handles `GET /v1/consents`: lists the open consents of the caller, of the user that an
    /// operator names, or of all users.
    pub(in crate::gateway) fn api_consents(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let open = match incoming.query("all") {
            Some("true") => {
                let operator = caller.as_operator().ok_or_else(Refusal::forbidden)?;
                self.connections.all_pending(operator)?
            }
            None | Some("false") => {
                let user = whose(caller, incoming)?;
                self.connections
                    .pending_of(caller.acting_user().tenant(), &user)?
            }
            Some(_) => return Err(Refusal::invalid("The member all is neither true nor false.")),
        };
        let consents = open.into_iter().map(ConsentJson::new).collect();
        answer::json(StatusCode::OK, &Consents { consents })
    }

    /// Handles `DELETE /v1/consents/{id}`: withdraws a consent.
    pub(in crate::gateway) fn api_withdraw(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        id: &str,
    ) -> Answer {
        let id: ConsentId = id.parse().map_err(|_| Refusal::not_found())?;
        let user = whose(caller, incoming)?;
        let state = self
            .connections
            .withdraw_of(caller.acting_user().tenant(), &user, id)?;
        let body = Withdrawn {
            id: id.to_string(),
            state: state_code(state),
        };
        answer::json(StatusCode::OK, &body)
    }
}

fn whose(caller: &Caller, incoming: &Incoming<'_>) -> Result<UserId, Refusal> {
    let own = caller.acting_user().user();
    let Some(user) = incoming.query("user") else {
        return Ok(own.clone());
    };
    let user = UserId::new(user).map_err(Error::from)?;
    if user != *own && !caller.is_operator() {
        return Err(Refusal::forbidden());
    }
    Ok(user)
}

const fn state_code(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Pending => "pending",
        ConsentState::Opened => "opened",
        ConsentState::Completed(_) => "completed",
        ConsentState::Denied => "denied",
        ConsentState::Failed => "failed",
        ConsentState::Expired => "expired",
        ConsentState::Cancelled => "cancelled",
    }
}
