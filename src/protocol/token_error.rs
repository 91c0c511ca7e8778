//! Interprets refusals ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
//!
//! The status alone is unreliable: servers send `invalid_grant` with 400, 401 and 403, and report a
//! wrong client secret with 400 or 401. The code in the body therefore takes precedence, then the
//! descriptor, then the status.

use std::time::Duration;

use http::StatusCode;
use oauth2::DeviceCodeErrorResponseType;
use oauth2::basic::BasicErrorResponseType;

use crate::http::{HttpError, HttpResponse};
use crate::model::FailureCode;
use crate::protocol::answer::Answer;
use crate::protocol::registered::token_code;
use crate::protocol::retry_after::retry_after;
use crate::provider::ServerDescriptor;

/// A reason why there are no tokens. Contains no text of the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
#[non_exhaustive]
pub struct TokenFailure {
    /// The meaning of the answer.
    pub code: FailureCode,
    /// The server's error code, if it gave one.
    pub error: Option<TokenErrorCode>,
    /// The time that the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl TokenFailure {
    /// Returns a failure without a server's error code.
    #[must_use]
    pub const fn new(code: FailureCode) -> Self {
        Self {
            code,
            error: None,
            retry_after: None,
        }
    }
}

impl From<HttpError> for TokenFailure {
    fn from(error: HttpError) -> Self {
        Self::new(match error {
            HttpError::UnknownHost | HttpError::Connect | HttpError::Proxy | HttpError::Tls => {
                FailureCode::Unreachable
            }
            HttpError::Untrusted => FailureCode::Untrusted,
            HttpError::Refused | HttpError::PrivateAddress => FailureCode::NotSent,
            HttpError::Timeout => FailureCode::TimedOut,
            HttpError::Interrupted | HttpError::Protocol => FailureCode::Interrupted,
            HttpError::TooLarge | HttpError::HeadTooLarge => FailureCode::AnswerTooLarge,
        })
    }
}

/// A server's error code, if it is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenErrorCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_client`
    InvalidClient,
    /// `invalid_grant`
    InvalidGrant,
    /// `unauthorized_client`
    UnauthorizedClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `invalid_scope`
    InvalidScope,
    /// `invalid_target` ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2))
    InvalidTarget,
    /// `server_error`
    ServerError,
    /// `temporarily_unavailable`
    TemporarilyUnavailable,
    /// `slow_down` ([RFC 8628 §3.5](https://www.rfc-editor.org/rfc/rfc8628#section-3.5))
    SlowDown,
    /// A code that the server defines itself, or an error without a code.
    Other,
}

impl TokenErrorCode {
    fn from_code(code: &str) -> Self {
        use BasicErrorResponseType as Basic;
        use DeviceCodeErrorResponseType as Code;
        match token_code(code) {
            Code::SlowDown => Self::SlowDown,
            Code::Basic(Basic::InvalidClient) => Self::InvalidClient,
            Code::Basic(Basic::InvalidGrant) => Self::InvalidGrant,
            Code::Basic(Basic::InvalidRequest) => Self::InvalidRequest,
            Code::Basic(Basic::InvalidScope) => Self::InvalidScope,
            Code::Basic(Basic::UnauthorizedClient) => Self::UnauthorizedClient,
            Code::Basic(Basic::UnsupportedGrantType) => Self::UnsupportedGrantType,
            Code::Basic(Basic::Extension(code)) => match code.as_str() {
                "invalid_target" => Self::InvalidTarget,
                "server_error" => Self::ServerError,
                "temporarily_unavailable" => Self::TemporarilyUnavailable,
                _ => Self::Other,
            },
            // Codes of the device flow, which is not used here.
            Code::AccessDenied | Code::AuthorizationPending | Code::ExpiredToken => Self::Other,
        }
    }
}

/// Returns the meaning of an answer without tokens.
#[must_use]
pub fn classify(server: &ServerDescriptor, response: &HttpResponse) -> TokenFailure {
    let answer = Answer::read_as(server, response);
    let code = answer.as_ref().and_then(|answer| answer.error.as_ref());
    if code.is_none() && response.status.is_client_error() && says_nothing(response) {
        let mut failure = refusal(server, response, None);
        if failure.code == FailureCode::UnreadableAnswer {
            failure.code = FailureCode::Unexplained;
        }
        return failure;
    }
    refusal(server, response, code.map(|code| code.as_str()))
}

/// Returns the meaning of an answer whose code has been read.
pub(super) fn refusal(
    server: &ServerDescriptor,
    response: &HttpResponse,
    code: Option<&str>,
) -> TokenFailure {
    let error = code.map(TokenErrorCode::from_code);
    TokenFailure {
        code: meaning(server, response.status, code, error),
        error,
        retry_after: retry_after(&response.headers),
    }
}

/// Returns whether the body is empty, or an empty object.
fn says_nothing(response: &HttpResponse) -> bool {
    matches!(response.body.as_bytes().trim_ascii(), b"" | b"{}" | b"null")
}

fn meaning(
    server: &ServerDescriptor,
    status: StatusCode,
    code: Option<&str>,
    error: Option<TokenErrorCode>,
) -> FailureCode {
    use TokenErrorCode as E;
    // A status alone proves nothing: a firewall in front of the server answers with its own page. A
    // rule applies only to an answer in the server's error format.
    let is_dead = code.is_some()
        && server.dead_grants.iter().any(|dead| {
            dead.status.is_none_or(|wanted| wanted == status.as_u16())
                && dead.error.as_deref().is_none_or(|wanted| Some(wanted) == code)
        });
    match (error, status.as_u16()) {
        (_, 300..=399) => FailureCode::Redirected,
        // This takes precedence over the descriptor: a wrong secret must not end all connections.
        (Some(E::InvalidClient), _) => FailureCode::ClientRejected,
        _ if is_dead => FailureCode::GrantRejected,
        (_, 500..) => FailureCode::ServerError,
        (Some(E::InvalidGrant), _) => FailureCode::GrantRejected,
        (Some(E::SlowDown), _) | (_, 429) => FailureCode::RateLimited,
        (Some(E::ServerError | E::TemporarilyUnavailable), _) | (_, 408) => FailureCode::ServerError,
        (_, 401) => FailureCode::ClientRejected,
        (
            Some(
                E::InvalidRequest
                | E::UnauthorizedClient
                | E::UnsupportedGrantType
                | E::InvalidScope
                | E::InvalidTarget
                // A refusal with an unregistered code is a reason neither to end a grant nor to
                // keep requesting.
                | E::Other,
            ),
            _,
        ) => FailureCode::RequestRejected,
        (None, _) => FailureCode::UnreadableAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerId;
    use crate::provider::{AuthorizationServer, DeadGrant};
    use http::HeaderValue;
    use http::header::RETRY_AFTER;

    fn server(dead_grants: &[(Option<u16>, Option<&str>)]) -> AuthorizationServer {
        let id = ServerId::new("as").unwrap();
        let mut server = AuthorizationServer::new(id, "https://as.test/a", "https://as.test/t");
        server.dead_grants = dead_grants
            .iter()
            .map(|(status, error)| DeadGrant {
                status: *status,
                error: error.map(Into::into),
            })
            .collect();
        server
    }

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse::new(StatusCode::from_u16(status).unwrap(), body)
    }

    #[test]
    fn the_code_comes_first_then_the_status() {
        use FailureCode as F;
        use TokenErrorCode as E;
        for (status, body, code, error) in [
            (
                400,
                r#"{"error":"invalid_grant"}"#,
                F::GrantRejected,
                Some(E::InvalidGrant),
            ),
            (
                401,
                r#"{"error":"invalid_grant"}"#,
                F::GrantRejected,
                Some(E::InvalidGrant),
            ),
            (
                403,
                r#"{"error":"invalid_grant"}"#,
                F::GrantRejected,
                Some(E::InvalidGrant),
            ),
            (
                200,
                r#"{"error":"invalid_grant"}"#,
                F::GrantRejected,
                Some(E::InvalidGrant),
            ),
            (
                500,
                r#"{"error":"invalid_grant"}"#,
                F::ServerError,
                Some(E::InvalidGrant),
            ),
            (
                400,
                r#"{"error":"invalid_client"}"#,
                F::ClientRejected,
                Some(E::InvalidClient),
            ),
            (
                401,
                r#"{"error":"invalid_client"}"#,
                F::ClientRejected,
                Some(E::InvalidClient),
            ),
            (401, "", F::ClientRejected, None),
            (401, "<html>", F::ClientRejected, None),
            (
                401,
                r#"{"error":"invalid_request"}"#,
                F::ClientRejected,
                Some(E::InvalidRequest),
            ),
            (
                400,
                r#"{"error":"invalid_request"}"#,
                F::RequestRejected,
                Some(E::InvalidRequest),
            ),
            (
                400,
                r#"{"error":"unauthorized_client"}"#,
                F::RequestRejected,
                Some(E::UnauthorizedClient),
            ),
            (
                400,
                r#"{"error":"unsupported_grant_type"}"#,
                F::RequestRejected,
                Some(E::UnsupportedGrantType),
            ),
            (
                400,
                r#"{"error":"invalid_scope"}"#,
                F::RequestRejected,
                Some(E::InvalidScope),
            ),
            (
                400,
                r#"{"error":"invalid_target"}"#,
                F::RequestRejected,
                Some(E::InvalidTarget),
            ),
            (
                400,
                r#"{"error":"invalid_code"}"#,
                F::RequestRejected,
                Some(E::Other),
            ),
            (400, r#"{"error":"slow_down"}"#, F::RateLimited, Some(E::SlowDown)),
            (
                400,
                r#"{"error":"server_error"}"#,
                F::ServerError,
                Some(E::ServerError),
            ),
            (
                401,
                r#"{"error":"temporarily_unavailable"}"#,
                F::ServerError,
                Some(E::TemporarilyUnavailable),
            ),
            (429, "", F::RateLimited, None),
            (429, r#"{"error":"too_many"}"#, F::RateLimited, Some(E::Other)),
            (408, "", F::ServerError, None),
            (500, "", F::ServerError, None),
            (502, "<html>bad gateway", F::ServerError, None),
            (
                503,
                r#"{"error":"temporarily_unavailable"}"#,
                F::ServerError,
                Some(E::TemporarilyUnavailable),
            ),
            (302, "", F::Redirected, None),
            (
                307,
                r#"{"error":"invalid_grant"}"#,
                F::Redirected,
                Some(E::InvalidGrant),
            ),
            (400, "", F::Unexplained, None),
            (403, "{}", F::Unexplained, None),
            (403, "<html>", F::UnreadableAnswer, None),
            (404, "not found", F::UnreadableAnswer, None),
            (
                400,
                r#"{"errors":[{"errorType":"invalid_grant","message":"x"}]}"#,
                F::GrantRejected,
                Some(E::InvalidGrant),
            ),
            (
                400,
                r#"{"error":{"code":"invalid_grant","message":"x"}}"#,
                F::GrantRejected,
                Some(E::InvalidGrant),
            ),
            (
                400,
                r#"{"err":"Code already used","ECODE":"OAUTH_014"}"#,
                F::RequestRejected,
                Some(E::Other),
            ),
        ] {
            let failure = classify(&server(&[]), &response(status, body));
            assert_eq!((failure.code, failure.error), (code, error), "{status} {body}");
        }
    }

    #[test]
    fn the_descriptor_knows_this_servers_dead_grants() {
        use FailureCode as F;
        let server = server(&[(Some(403), None), (None, Some("invalid_code"))]);
        for (status, body, code) in [
            (403, "", F::Unexplained),
            (403, "<html>blocked</html>", F::UnreadableAnswer),
            (403, "{}", F::Unexplained),
            (403, r#"{"message":"Forbidden"}"#, F::UnreadableAnswer),
            (403, r#"{"error":"unauthorized_client"}"#, F::GrantRejected),
            (403, r#"{"error":"invalid_client"}"#, F::ClientRejected),
            (400, r#"{"error":"invalid_code"}"#, F::GrantRejected),
            (500, r#"{"error":"invalid_code"}"#, F::GrantRejected),
            (400, "", F::Unexplained),
            (302, r#"{"error":"invalid_code"}"#, F::Redirected),
        ] {
            assert_eq!(
                classify(&server, &response(status, body)).code,
                code,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn the_servers_words_end_here() {
        let body =
            r#"{"error":"m4rker","error_description":"m4rker\u001b[31m","error_uri":"https://m4rker"}"#;
        let failure = classify(&server(&[]), &response(400, body));
        assert!(!format!("{failure} {failure:?}").contains("m4rker"));
    }

    #[test]
    fn retry_after_is_read() {
        let response = response(429, "").with_header(RETRY_AFTER, HeaderValue::from_static("900"));
        let failure = classify(&server(&[]), &response);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(900)));
    }

    #[test]
    fn transport_errors_keep_what_is_known_of_the_outcome() {
        use HttpError as K;
        for (kind, code, unknown) in [
            (K::UnknownHost, FailureCode::Unreachable, false),
            (K::Connect, FailureCode::Unreachable, false),
            (K::Proxy, FailureCode::Unreachable, false),
            (K::Tls, FailureCode::Unreachable, false),
            (K::Untrusted, FailureCode::Untrusted, false),
            (K::Refused, FailureCode::NotSent, false),
            (K::PrivateAddress, FailureCode::NotSent, false),
            (K::Timeout, FailureCode::TimedOut, true),
            (K::Interrupted, FailureCode::Interrupted, true),
            (K::Protocol, FailureCode::Interrupted, true),
            (K::TooLarge, FailureCode::AnswerTooLarge, true),
            (K::HeadTooLarge, FailureCode::AnswerTooLarge, true),
        ] {
            let failure = TokenFailure::from(kind);
            assert_eq!(
                (failure.code, failure.code.outcome_unknown()),
                (code, unknown),
                "{kind:?}"
            );
        }
    }
}
