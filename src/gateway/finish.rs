//! The end of a consent: the callback, and the token endpoint for front ends that receive it themselves.

use http::StatusCode;
use http::request::Parts;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::answer::{self, Answer};
use super::refusal::Refusal;
use super::request::Incoming;
use super::{Caller, Inner};
use crate::error::{ConsentError, Error};
use crate::manager::ConnectionManager as _;
use crate::model::{Connection, Owner, ProviderId};
use crate::protocol::{AuthorizationError, AuthorizationResponse};
use crate::secret::State;
use crate::vault::StateHash;

/// How a consent ended, in a word that stands in an address: nothing of the callback goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Denied,
    Refused,
    NotValid,
    Failed,
    OtherAccount,
    UnknownAccount,
    Misconfigured,
    Unavailable,
}

impl Outcome {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Denied, "denied"),
        (Self::Refused, "refused"),
        (Self::NotValid, "not-valid"),
        (Self::Failed, "failed"),
        (Self::OtherAccount, "other-account"),
        (Self::UnknownAccount, "unknown-account"),
        (Self::Misconfigured, "misconfigured"),
        (Self::Unavailable, "unavailable"),
    ];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| *known == word)
            .map(|(outcome, _)| outcome)
    }

    fn word(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(outcome, _)| *outcome == self)
            .map_or("failed", |(_, word)| word)
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::Consent(ConsentError::Denied(AuthorizationError::AccessDenied)) => Self::Denied,
            Error::Consent(ConsentError::Denied(_)) => Self::Refused,
            Error::Consent(ConsentError::ExchangeFailed(_) | ConsentError::Conflict) => Self::Failed,
            Error::Consent(ConsentError::AccountMismatch) => Self::OtherAccount,
            Error::Consent(ConsentError::AccountUnknown) => Self::UnknownAccount,
            Error::Consent(_) | Error::Callback(_) | Error::NotFound => Self::NotValid,
            Error::Misconfigured(_) => Self::Misconfigured,
            _ => Self::Unavailable,
        }
    }
}

/// What became of an authorization response.
struct Finished {
    result: Result<Connection, Error>,
    /// Known once the consent is found to be this person's.
    provider: Option<ProviderId>,
    return_to: Option<String>,
    state: State,
}

impl Finished {
    /// Whether the consent is over, so that the browser need not keep its part any longer.
    fn is_over(&self) -> bool {
        match &self.result {
            Ok(_) => true,
            Err(Error::Consent(error)) => !matches!(
                error,
                ConsentError::Unknown
                    | ConsentError::WrongUser
                    | ConsentError::WrongBrowser
                    | ConsentError::IssuerMismatch
            ),
            Err(_) => false,
        }
    }
}

impl Inner {
    /// `GET /callback/{server}`: whatever comes of it, the browser is led on, so that the code leaves the address bar.
    pub(super) fn callback(&self, caller: &Caller, incoming: &Incoming<'_>, server: &str) -> Answer {
        let query = incoming.head.uri.query().unwrap_or_default();
        let Ok(response) = AuthorizationResponse::parse(&format!("?{query}")) else {
            return answer::see_other(&self.outcome_path(Outcome::NotValid, None));
        };
        let finished = self.finish(caller, incoming.head, response, Some(server));
        let location = match &finished.result {
            Ok(connection) => match &finished.return_to {
                Some(address) if self.return_to.contains(address) => address.clone(),
                _ => self.path(&format!("/connections/{}?done=connected", connection.id)),
            },
            Err(error) => self.outcome_path(Outcome::of(error), finished.provider.as_ref()),
        };
        let response = answer::see_other(&location)?;
        if finished.is_over() {
            let cookie = self.cookies().forget_binding(&finished.state);
            return Ok(answer::with_cookie(response, cookie));
        }
        Ok(response)
    }

    /// `POST /v1/oauth/token`: the code is exchanged here, with a secret that never leaves; the answer is the
    /// connection, never a token ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)).
    pub(super) fn token(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        match incoming.field("grant_type") {
            Some("authorization_code") => {}
            Some(_) => return Err(Refusal::grant_type()),
            None => return Err(Refusal::invalid("There is no grant_type.")),
        }
        // As a query, so that one reader decides for both ways what is an authorization response.
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in ["code", "state", "iss"] {
            if let Some(value) = incoming.field(name) {
                query.append_pair(name, value);
            }
        }
        let query = Zeroizing::new(query.finish());
        let response = AuthorizationResponse::parse(&query)
            .map_err(|_| Refusal::invalid("A code and a state are needed."))?;
        let finished = self.finish(caller, incoming.head, response, None);
        let over = finished.is_over();
        let connection = finished.result?;
        let response = self.connection_json(StatusCode::OK, caller, &connection)?;
        let cookie = over.then(|| self.cookies().forget_binding(&finished.state));
        Ok(answer::with_cookie(response, cookie.flatten()))
    }

    fn finish(
        &self,
        caller: &Caller,
        head: &Parts,
        response: AuthorizationResponse,
        server: Option<&str>,
    ) -> Finished {
        let mut finished = Finished {
            result: Err(ConsentError::Unknown.into()),
            provider: None,
            return_to: None,
            state: State::new(response.state().expose_secret()),
        };
        let who = caller.acting_user();
        let pending = self
            .connections
            .inner()
            .vault
            .consent(who.tenant(), &StateHash::of(&finished.state));
        let pending = match pending {
            Ok(Some(pending)) if pending.user == *who.user() => pending,
            Ok(_) => return finished,
            Err(error) => {
                finished.result = Err(error.into());
                return finished;
            }
        };
        // An answer at another server's address is a mix-up, whoever wrote it (RFC 9700 §4.4.2.2).
        if server.is_some_and(|server| server != pending.server.as_str())
            || (pending.owner == Owner::Shared && !caller.is_operator())
        {
            return finished;
        }
        finished.provider = Some(pending.provider);
        finished.return_to = pending.return_to;
        finished.result = match self.cookies().binding(&head.headers, &finished.state) {
            Some(binding) => self.connections.complete(who, response, &binding),
            None => Err(ConsentError::WrongBrowser.into()),
        };
        finished
    }

    fn outcome_path(&self, outcome: Outcome, provider: Option<&ProviderId>) -> String {
        let mut path = self.path(&format!("/consent/{}", outcome.word()));
        if let Some(provider) = provider {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("provider", provider.as_str());
            path.push('?');
            path.push_str(&query.finish());
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_word_of_its_own() {
        for (outcome, word) in Outcome::ALL {
            assert_eq!(outcome.word(), word);
            assert_eq!(Outcome::from_word(word), Some(outcome));
        }
        assert_eq!(Outcome::from_word("<script>"), None);
    }
}
