//! The authorization response
//! ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).

use std::fmt;

use oauth2::DeviceCodeErrorResponseType;
use oauth2::basic::BasicErrorResponseType;
use zeroize::Zeroizing;

use crate::model::{InvalidValue, Rule};
use crate::protocol::form::pairs;
use crate::protocol::pasted;
use crate::protocol::registered::token_code;
use crate::provider::{IssuerPolicy, ServerDescriptor};
use crate::secret::{AuthorizationCode, State};

/// The maximum length of a callback, in bytes. Codes of several kilobytes exist.
const MAX_LEN: usize = 64 * 1024;

/// The maximum number of parameters that are kept in addition to the protocol's own.
const MAX_OTHERS: usize = 32;

/// The response that the authorization server sent back through the browser.
///
/// Nothing in it is trusted yet. Before the code is used, the `state` must be known, the acting
/// user and the browser must be those that started the consent, and the issuer must match.
pub struct AuthorizationResponse {
    state: State,
    issuer: Option<String>,
    /// `None` if the code, if there is one, has a non-standard name.
    outcome: Option<Outcome>,
    /// Other parameters: values that a descriptor captures, or the code under another name.
    others: Vec<(String, Zeroizing<String>)>,
}

/// The decision of the authorization server.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "RFC 6749 knows no third outcome")]
pub enum Outcome {
    /// A code, to be exchanged once.
    Code(AuthorizationCode),
    /// An error instead of a code.
    Error(AuthorizationError),
}

/// A reason why the server issued no code
/// ([RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1) and
/// [OpenID Connect §3.1.2.6](https://openid.net/specs/openid-connect-core-1_0.html#AuthError)). The
/// server's own text is dropped, because anyone can write it into a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The user declined, or the server refused on their behalf.
    #[error("access was denied")]
    AccessDenied,
    /// The request was malformed. An administrator must fix this.
    #[error("the provider rejected the request; correct the descriptor")]
    InvalidRequest,
    /// The client is not authorized to make this request. An administrator must fix this.
    #[error("the provider does not authorize this client; correct its registration there")]
    UnauthorizedClient,
    /// The server does not issue codes. An administrator must fix this.
    #[error("the provider does not support the response type; correct the descriptor")]
    UnsupportedResponseType,
    /// A scope is unknown or not allowed for this client.
    #[error("the provider rejected the scopes; enable them for the client, or request others")]
    InvalidScope,
    /// The server reported an internal error.
    #[error("the provider reported an internal error; try again later")]
    ServerError,
    /// The server is overloaded or under maintenance.
    #[error("the provider is temporarily unavailable; try again later")]
    TemporarilyUnavailable,
    /// The server must ask the user for consent, but the request forbids prompts.
    #[error("the provider must ask for consent; start again without prompt=none")]
    ConsentRequired,
    /// The user must sign in, but the request forbids prompts.
    #[error("the user must sign in; start again without prompt=none")]
    LoginRequired,
    /// The server must ask the user something, but the request forbids prompts.
    #[error("the provider must ask the user a question; start again without prompt=none")]
    InteractionRequired,
    /// The resource is unknown ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    /// An administrator must fix this.
    #[error("the provider does not know the resource; correct the descriptor")]
    InvalidTarget,
    /// A code that the server defines itself.
    #[error("the provider issued no authorization")]
    Other,
}

impl AuthorizationError {
    fn from_code(code: &str) -> Self {
        use BasicErrorResponseType as Basic;
        use DeviceCodeErrorResponseType as Code;
        match token_code(code) {
            Code::AccessDenied => Self::AccessDenied,
            Code::Basic(Basic::InvalidRequest) => Self::InvalidRequest,
            Code::Basic(Basic::UnauthorizedClient) => Self::UnauthorizedClient,
            Code::Basic(Basic::InvalidScope) => Self::InvalidScope,
            Code::Basic(Basic::Extension(code)) => match code.as_str() {
                "unsupported_response_type" => Self::UnsupportedResponseType,
                "server_error" => Self::ServerError,
                "temporarily_unavailable" => Self::TemporarilyUnavailable,
                "consent_required" => Self::ConsentRequired,
                "login_required" => Self::LoginRequired,
                "interaction_required" => Self::InteractionRequired,
                "invalid_target" => Self::InvalidTarget,
                _ => Self::Other,
            },
            // Codes of token endpoints and of the device flow.
            Code::Basic(Basic::InvalidClient | Basic::InvalidGrant | Basic::UnsupportedGrantType)
            | Code::AuthorizationPending
            | Code::SlowDown
            | Code::ExpiredToken => Self::Other,
        }
    }

    /// Returns whether a later attempt may succeed.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::ServerError | Self::TemporarilyUnavailable)
    }
}

impl AuthorizationResponse {
    /// Parses a callback: the full URL, its path and query, or its query alone, with or without the
    /// `?`.
    ///
    /// People paste callbacks into terminals and chats. The parser removes whitespace, quotes and
    /// angle brackets around the callback, and line breaks and invisible characters inside it, and
    /// reads `&amp;` as `&`. It reads a request line of a log (`GET /callback?… HTTP/1.1`) as its
    /// target. Other whitespace makes the callback malformed.
    ///
    /// Unknown parameters are ignored, as RFC 6749 requires. A response with both a code and an
    /// error is malformed: no server writes it, and rejecting it consumes nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] names the missing or duplicate parameter.
    pub fn parse(callback: &str) -> Result<Self, InvalidValue> {
        if callback.trim().len() > MAX_LEN {
            return Err(Rule::CallbackTooLong.into());
        }
        let callback = pasted::target(callback).ok_or(Rule::CallbackMalformed)?;
        let query = query_of(&callback).ok_or(Rule::CallbackMalformed)?;
        let (mut code, mut state, mut issuer, mut error) = (None, None, None, None);
        let mut others = Vec::new();
        for (name, mut value) in pairs(query.as_bytes()) {
            // The secret types wipe the owned string that they receive.
            let mut owned = || std::mem::take(&mut *value);
            match name.as_str() {
                "code" => once(&mut code, "code", AuthorizationCode::new(owned()))?,
                "state" => once(&mut state, "state", State::new(owned()))?,
                "iss" => once(&mut issuer, "iss", owned())?,
                "error" => once(&mut error, "error", value)?,
                _ if others.len() < MAX_OTHERS && !value.is_empty() => {
                    others.push((name.to_string(), value));
                }
                _ => {}
            }
        }
        let state = state
            .filter(|state| !state.expose_secret().is_empty())
            .ok_or(Rule::MissingState)?;
        let code = code.filter(|code| !code.expose_secret().is_empty());
        let outcome = match (code, error.filter(|error| !error.is_empty())) {
            (Some(code), None) => Some(Outcome::Code(code)),
            (None, Some(error)) => Some(Outcome::Error(AuthorizationError::from_code(&error))),
            (Some(_), Some(_)) => return Err(Rule::CallbackMalformed.into()),
            (None, None) if others.is_empty() => return Err(Rule::MissingCode.into()),
            (None, None) => None,
        };
        Ok(Self {
            state,
            issuer,
            outcome,
            others,
        })
    }

    /// Returns a response with a code and a state that the host has parsed itself.
    ///
    /// # Security
    ///
    /// The response has no issuer. If there is a URL, use [`parse`](Self::parse), so that its `iss`
    /// is compared.
    #[must_use]
    pub fn new(code: impl Into<String>, state: impl Into<String>) -> Self {
        Self {
            state: State::new(state),
            issuer: None,
            outcome: Some(Outcome::Code(AuthorizationCode::new(code))),
            others: Vec::new(),
        }
    }

    /// Returns the state, which ties the response to a request.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Returns the state and the outcome.
    pub(crate) fn into_state_and_outcome(self) -> (State, Outcome) {
        let outcome = self.outcome.unwrap_or(Outcome::Error(AuthorizationError::Other));
        (self.state, outcome)
    }

    /// Takes the code from the parameter that this server uses.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the response contains neither a code nor an error.
    pub(crate) fn with_code_of(mut self, server: &ServerDescriptor) -> Result<Self, InvalidValue> {
        if let Some(name) = server.code_parameter.as_deref().filter(|name| *name != "code")
            && !matches!(self.outcome, Some(Outcome::Error(_)))
        {
            let mut named = self.others.iter_mut().filter(|(other, _)| other == name);
            let code = named.next().map(|(_, value)| std::mem::take(&mut **value));
            if named.next().is_some() {
                return Err(Rule::DuplicateParameter("code").into());
            }
            self.outcome = code.map(|code| Outcome::Code(AuthorizationCode::new(code)));
        }
        if self.outcome.is_none() {
            return Err(Rule::MissingCode.into());
        }
        Ok(self)
    }

    /// Returns the first value of a parameter that is not part of the protocol.
    pub(crate) fn other(&self, name: &str) -> Option<&str> {
        self.others
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Returns the state, the issuer and the outcome of a response, for tests.
#[cfg(feature = "_internals")]
#[must_use]
pub fn parts(response: &AuthorizationResponse) -> (&State, Option<&str>, Option<&Outcome>) {
    (
        &response.state,
        response.issuer.as_deref(),
        response.outcome.as_ref(),
    )
}

impl fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationResponse")
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

fn once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), InvalidValue> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Rule::DuplicateParameter(name).into()),
    }
}

/// Returns the query of a URL, of a path with a query, or of a query.
fn query_of(callback: &str) -> Option<&str> {
    let callback = callback.split('#').next().unwrap_or(callback);
    // A colon or a slash before the first `=` belongs to a scheme or a path: names contain neither.
    let name_end = callback.find('=')?;
    let before = &callback[..name_end];
    if before.contains([':', '/', '?']) {
        callback.split_once('?').map(|(_, query)| query)
    } else {
        Some(callback)
    }
}

/// The response does not come from the server that was asked: a mix-up or a forgery. The rest of
/// the response is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the callback comes from a different authorization server than the one that was asked")]
pub struct IssuerMismatch;

/// Compares the response's issuer with the expected one, code point by code point
/// ([RFC 9207 §2.4](https://www.rfc-editor.org/rfc/rfc9207#section-2.4)).
///
/// A required issuer is required only with a code: servers that promise it omit it from errors. If
/// the descriptor names no issuer, [`IssuerPolicy::IfKnown`] compares nothing.
///
/// # Errors
///
/// [`IssuerMismatch`] if the issuer differs, or is missing although the server promises it.
pub fn check_issuer(
    policy: IssuerPolicy,
    expected: Option<&str>,
    response: &AuthorizationResponse,
) -> Result<(), IssuerMismatch> {
    let matches = match (policy, response.issuer.as_deref(), expected) {
        (IssuerPolicy::Ignored, _, _) => true,
        (IssuerPolicy::Required, None, _) => matches!(response.outcome, Some(Outcome::Error(_))),
        (IssuerPolicy::Required, Some(_), None) => false,
        (IssuerPolicy::IfKnown | IssuerPolicy::MatchIfPresent, None, _) => true,
        (IssuerPolicy::IfKnown, Some(_), None) => true,
        (IssuerPolicy::MatchIfPresent, Some(_), None) => false,
        (_, Some(issuer), Some(expected)) => issuer == expected,
    };
    if matches { Ok(()) } else { Err(IssuerMismatch) }
}

#[cfg(test)]
mod tests;
