//! Completes consents: the callback, and the token endpoint for front ends that receive the
//! callback themselves.

use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::answer::{self, Answer};
use super::outcome::{Lead, Outcome};
use super::refusal::Refusal;
use super::request::Incoming;
use super::{Caller, Inner};
use crate::engine::consent::poll::ConsentState;
use crate::error::{ConsentError, Error};
use crate::model::{Connection, ConnectionId, ConsentId, Owner};
use crate::protocol::AuthorizationResponse;
use crate::secret::State;
use crate::vault::PendingConsent;

/// The interval at which a front end should poll a consent that is being completed.
const AGAIN: Duration = Duration::from_secs(1);

/// The result of an authorization response.
struct Finished {
    result: Result<Connection, Error>,
    /// Set once the consent is known to belong to this user.
    pending: Option<PendingConsent>,
}

/// The place where an authorization response arrived, according to the request.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    /// The callback address of this server.
    Server(&'a str),
    /// A callback address of the gateway, with the name of a server in it. MCP servers share the
    /// address that the host's client was registered with.
    Callback {
        /// The server.
        server: &'a str,
        /// The whole address.
        url: &'a str,
    },
    /// This redirect URI.
    RedirectUri(&'a str),
}

impl Place<'_> {
    /// Returns whether the consent expects its response at this place. A response at another place
    /// is a mix-up (RFC 9700 §4.4.2.2).
    fn is_of(self, pending: &PendingConsent) -> bool {
        match self {
            Self::Server(server) => server == pending.server.as_str(),
            Self::Callback { server, url } => {
                server == pending.server.as_str() || url == pending.redirect_uri
            }
            Self::RedirectUri(uri) => uri == pending.redirect_uri,
        }
    }
}

impl Inner {
    /// Handles `GET /callback/{server}`. Always redirects the browser, so that the code leaves the
    /// address bar.
    ///
    /// Browsers sometimes deliver a callback twice. The second time, the user is redirected to the
    /// current state of the consent.
    pub(super) fn callback(&self, caller: &Caller, incoming: &Incoming<'_>, server: &str) -> Answer {
        let query = incoming.head.uri.query().unwrap_or_default();
        let Ok(response) = AuthorizationResponse::parse(&format!("?{query}")) else {
            return answer::see_other(&self.outcome_path(Outcome::NotValid, None));
        };
        let url = self.mount.callback_url(server);
        let place = Place::Callback { server, url: &url };
        let finished = self.finish(caller, incoming.head, response, &[place]);
        let pending = finished.pending.as_ref();
        match finished.result {
            Ok(connection) => answer::see_other(&self.connected_path(connection.id, pending)),
            Err(Error::Consent(ConsentError::Used(id))) => self.lead(caller, id, pending),
            Err(Error::ChoiceRequired {
                provider,
                parameter,
                choices,
            }) => match pending {
                Some(pending) => {
                    self.choice_location(caller, incoming, pending.id, &provider, &parameter, &choices)
                }
                None => answer::see_other(&self.outcome_path(Outcome::Parameter, None)),
            },
            Err(error) => answer::see_other(&self.outcome_path(Outcome::of(&error), pending)),
        }
    }

    /// Handles `GET /consents/{id}`: redirects to the current state of this user's consent, or
    /// waits for it.
    pub(super) fn consent(&self, caller: &Caller, incoming: &Incoming<'_>, id: &str) -> Answer {
        let id: ConsentId = id.parse().map_err(|_| Refusal::not_found())?;
        let pending = self.stored_consent(caller, id)?.ok_or_else(Refusal::not_found)?;
        match Lead::of(self.connections.poll(caller.acting_user(), id)?) {
            Lead::Waiting => self.waiting_page(caller, incoming, &pending),
            Lead::Connection(connection) => {
                answer::see_other(&self.connected_path(connection, Some(&pending)))
            }
            Lead::Ended(outcome) => answer::see_other(&self.outcome_path(outcome, Some(&pending))),
        }
    }

    /// Redirects a browser to the current state of this user's consent.
    pub(super) fn lead(&self, caller: &Caller, id: ConsentId, pending: Option<&PendingConsent>) -> Answer {
        let path = match self.connections.poll(caller.acting_user(), id) {
            Ok(state) => match Lead::of(state) {
                Lead::Connection(connection) => self.connected_path(connection, pending),
                Lead::Waiting => self.path(&format!("/consents/{id}")),
                Lead::Ended(outcome) => self.outcome_path(outcome, pending),
            },
            Err(error) => self.outcome_path(Outcome::of(&error), pending),
        };
        answer::see_other(&path)
    }

    /// Returns a consent that this user began, by its id.
    pub(super) fn stored_consent(
        &self,
        caller: &Caller,
        id: ConsentId,
    ) -> Result<Option<PendingConsent>, Error> {
        let who = caller.acting_user();
        Ok(self.connections.consent_of_id(who, id)?)
    }

    /// Handles `POST /v1/oauth/token`: exchanges the code with a client secret that never leaves
    /// the gateway, and answers with the connection, never a token ([RFC 6749
    /// §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    ///
    /// The redirect URI, or the id of the authorization server, identifies the server at whose
    /// address the front end received the code. A code of one server is never sent to another. The
    /// same code, sent again, returns the connection again.
    pub(super) fn token(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        match incoming.field("grant_type") {
            Some("authorization_code") => {}
            Some(_) => return Err(Refusal::grant_type()),
            None => return Err(Refusal::invalid("The grant_type is missing.")),
        }
        let places: Vec<Place<'_>> = [
            incoming.field("redirect_uri").map(Place::RedirectUri),
            incoming.field("server").map(Place::Server),
        ]
        .into_iter()
        .flatten()
        .collect();
        if places.is_empty() {
            return Err(Refusal::invalid(
                "The redirect_uri or server at which the code was received is missing.",
            ));
        }
        // Encoded as a query, so that both endpoints use the same parser of authorization
        // responses.
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in ["code", "state", "iss"] {
            if let Some(value) = incoming.field(name) {
                query.append_pair(name, value);
            }
        }
        let query = Zeroizing::new(query.finish());
        let response = AuthorizationResponse::parse(&query)
            .map_err(|_| Refusal::invalid("A code and a state are required."))?;
        let connection = match self.finish(caller, incoming.head, response, &places).result {
            Err(Error::Consent(ConsentError::Used(id))) => self.led_to(caller, id)?,
            result => result?,
        };
        self.connection_json(StatusCode::OK, caller, &connection)
    }

    /// Returns the connection that a consent created.
    fn led_to(&self, caller: &Caller, id: ConsentId) -> Result<Connection, Refusal> {
        match self.connections.poll(caller.acting_user(), id)? {
            ConsentState::Completed(connection) => {
                Ok(self.connections.get(caller.principal(), connection)?)
            }
            ConsentState::Pending | ConsentState::Opened => Err(Refusal::being_completed(AGAIN)),
            ConsentState::Denied => Err(Refusal::denied()),
            ConsentState::Failed | ConsentState::Expired | ConsentState::Cancelled => {
                Err(Refusal::invalid_grant())
            }
        }
    }

    fn finish(
        &self,
        caller: &Caller,
        head: &Parts,
        response: AuthorizationResponse,
        places: &[Place<'_>],
    ) -> Finished {
        let unknown = |result| Finished {
            result,
            pending: None,
        };
        let state = State::new(response.state().expose_secret());
        let who = caller.acting_user();
        let pending = match self.connections.consent_of_state(who, &state) {
            Ok(Some(pending)) => pending,
            Ok(None) => return unknown(Err(ConsentError::Unknown.into())),
            Err(error) => return unknown(Err(error.into())),
        };
        let shared = pending.owner == Owner::Workspace;
        if !places.iter().all(|place| place.is_of(&pending)) || (shared && !caller.is_operator()) {
            return unknown(Err(ConsentError::Unknown.into()));
        }
        let result = match self.cookies().binding(&head.headers, &state) {
            Some(binding) => self.connections.complete(who, response, &binding),
            None => Err(ConsentError::WrongBrowser.into()),
        };
        Finished {
            result,
            pending: Some(pending),
        }
    }

    fn connected_path(&self, connection: ConnectionId, pending: Option<&PendingConsent>) -> String {
        let wanted = pending.and_then(|pending| pending.return_to.as_ref());
        match wanted {
            Some(address) if self.return_to.contains(address) => address.clone(),
            _ => self.path(&format!("/connections/{connection}?done=connected")),
        }
    }

    pub(super) fn outcome_path(&self, outcome: Outcome, pending: Option<&PendingConsent>) -> String {
        let mut path = self.path(&format!("/consent/{}", outcome.word()));
        if let Some(pending) = pending {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("provider", pending.provider.as_str());
            path.push('?');
            path.push_str(&query.finish());
        }
        path
    }
}
