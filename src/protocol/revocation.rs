//! Token revocation ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)).

use std::time::Duration;

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use oauth2::RevocationErrorResponseType;
use url::Url;

use crate::http::{HttpRequest, HttpResponse, is_clean};
use crate::model::Timestamp;
use crate::protocol::answer::Answer;
use crate::protocol::bearer::bearer_value;
use crate::protocol::client_assertion;
use crate::protocol::client_auth::{Encoding, basic};
use crate::protocol::form::Fields;
use crate::protocol::registered::revocation_code;
use crate::protocol::request_error::RequestError;
use crate::protocol::retry_after::retry_after;
use crate::provider::{
    ClientAuthentication, ClientRegistration, Revocation, RevocationAuth, RevocationTokens, ServerDescriptor,
};
use crate::secret::{AccessToken, RefreshToken};

/// The outcome of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationVerdict {
    /// The token is revoked, or was never valid
    /// ([RFC 7009 §2.2](https://www.rfc-editor.org/rfc/rfc7009#section-2.2)).
    Done,
    /// The token is still valid. Try again, after this time if the server gives one.
    Later(Option<Duration>),
    /// The server refuses to revoke the token, which may still be valid. The user can revoke it at
    /// the provider.
    Refused,
}

/// The tokens to revoke, as far as they are stored.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Revocable<'a> {
    /// The access token.
    pub access_token: Option<&'a AccessToken>,
    /// The refresh token.
    pub refresh_token: Option<&'a RefreshToken>,
}

/// Returns the requests that revoke a connection's tokens, in the order in which to send them: the
/// refresh token first, so that it cannot issue new tokens while the access token is being revoked.
///
/// Empty if the server has no endpoint, or if it accepts only a token that is not stored.
///
/// # Errors
///
/// [`RequestError`] if the endpoint or the registration cannot be used.
pub fn revocation_requests(
    server: &ServerDescriptor,
    registration: &ClientRegistration,
    endpoint: Option<&Url>,
    tokens: Revocable<'_>,
    now: Timestamp,
) -> Result<Vec<HttpRequest>, RequestError> {
    if let (Some(endpoint), Revocation::DeleteWithBearer { .. }) = (endpoint, &server.revocation) {
        let request = tokens
            .access_token
            .map(|token| delete_with_bearer(endpoint, token));
        return request.into_iter().collect();
    }
    let (
        Some(endpoint),
        Revocation::Endpoint {
            authentication,
            tokens: taken,
            ..
        },
    ) = (endpoint, &server.revocation)
    else {
        return Ok(Vec::new());
    };
    if !is_clean(endpoint) {
        return Err(RequestError::Endpoint);
    }
    let refresh = tokens
        .refresh_token
        .map(|token| (token.expose_secret(), "refresh_token"));
    let access = tokens
        .access_token
        .map(|token| (token.expose_secret(), "access_token"));
    let wanted = match taken {
        RevocationTokens::Both => [refresh, access],
        RevocationTokens::Either => [refresh.or(access), None],
        RevocationTokens::Access => [access, None],
        RevocationTokens::Refresh => [refresh, None],
    };
    wanted
        .into_iter()
        .flatten()
        .map(|(token, hint)| {
            let mut fields = Fields::new();
            fields.lend("token", token);
            fields.lend("token_type_hint", hint);
            authenticated(server, registration, *authentication, endpoint, fields, now)
        })
        .collect()
}

fn delete_with_bearer(endpoint: &Url, token: &AccessToken) -> Result<HttpRequest, RequestError> {
    if !is_clean(endpoint) {
        return Err(RequestError::Endpoint);
    }
    let value = bearer_value("Bearer ", token);
    HttpRequest::new(Method::DELETE, endpoint.clone())
        .with_header(ACCEPT, HeaderValue::from_static("application/json"))
        .with_secret_header(AUTHORIZATION, value)
        .map_err(|_| RequestError::Header)
}

/// Adds the client authentication and builds the request.
fn authenticated<'a>(
    server: &ServerDescriptor,
    registration: &'a ClientRegistration,
    authentication: RevocationAuth,
    endpoint: &Url,
    mut fields: Fields<'a>,
    now: Timestamp,
) -> Result<HttpRequest, RequestError> {
    let (header, id, secret) = match (authentication, server.client_authentication) {
        (RevocationAuth::None, _) => (None, false, false),
        (RevocationAuth::Post, _) => (None, true, true),
        (RevocationAuth::Basic, _) => (Some(Encoding::Form), false, false),
        (RevocationAuth::SameAsToken, ClientAuthentication::Post) => (None, true, true),
        (RevocationAuth::SameAsToken, ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt) => {
            (None, true, false)
        }
        (RevocationAuth::SameAsToken, ClientAuthentication::Basic) => (Some(Encoding::Form), false, false),
        (RevocationAuth::SameAsToken, ClientAuthentication::BasicUnencoded) => {
            (Some(Encoding::Plain), false, false)
        }
        (RevocationAuth::SameAsToken, ClientAuthentication::SecretAsUser) => {
            (Some(Encoding::SecretAsUser), false, false)
        }
        (RevocationAuth::SameAsToken, ClientAuthentication::BasicWithClientId) => {
            (Some(Encoding::Form), true, false)
        }
    };
    let held = registration.client_secret.as_ref();
    if id {
        fields.lend("client_id", &registration.client_id);
    }
    if secret {
        // Empty if there is no secret: without the field, some servers answer 400 and the token
        // remains valid.
        fields.lend("client_secret", held.map_or("", |secret| secret.expose_secret()));
    }
    let signs = authentication == RevocationAuth::SameAsToken
        && server.client_authentication == ClientAuthentication::PrivateKeyJwt;
    if signs {
        client_assertion::add(&mut fields, server, registration, endpoint, now)?;
    }
    let request = HttpRequest::new(Method::POST, endpoint.clone())
        .with_header(ACCEPT, HeaderValue::from_static("application/json"))
        .with_header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .with_body(fields);
    match header {
        None => Ok(request),
        Some(encoding) => {
            let secret = held.ok_or(RequestError::ClientSecret)?;
            request
                .with_secret_header(AUTHORIZATION, basic(&registration.client_id, secret, encoding))
                .map_err(|_| RequestError::Header)
        }
    }
}

/// Returns the meaning of an answer to a revocation.
///
/// A 2xx status means success unless the body reports an error, as in a token answer: a few servers
/// refuse with status 200. An HTML page or an empty body does not report an error.
#[must_use]
pub fn revocation_verdict(server: &ServerDescriptor, response: &HttpResponse) -> RevocationVerdict {
    let error = if says_more(response) {
        Answer::read_as(server, response).and_then(|answer| answer.error)
    } else {
        None
    };
    let code = error.as_ref().map(|code| revocation_code(code));
    let is_moot = code.as_ref().is_some_and(is_moot);
    match response.status.as_u16() {
        // A token that the server does not know or does not accept cannot be revoked any further.
        200..=299 | 400 if is_moot => RevocationVerdict::Done,
        200..=299 if error.is_none() => RevocationVerdict::Done,
        408 | 429 | 500.. => RevocationVerdict::Later(retry_after(&response.headers)),
        // The resource that represents the grant no longer exists.
        404 | 410 if matches!(server.revocation, Revocation::DeleteWithBearer { .. }) => {
            RevocationVerdict::Done
        }
        status if server.already_revoked.contains(&status) => RevocationVerdict::Done,
        _ if code.as_ref().is_some_and(is_temporary) => {
            RevocationVerdict::Later(retry_after(&response.headers))
        }
        _ => RevocationVerdict::Refused,
    }
}

/// Returns whether the server does not know the token, or does not accept tokens of its type.
fn is_moot(code: &RevocationErrorResponseType) -> bool {
    match code {
        RevocationErrorResponseType::UnsupportedTokenType => true,
        RevocationErrorResponseType::Basic(code) => code.as_ref() == "invalid_token",
    }
}

/// Returns whether the server asks to try again.
fn is_temporary(code: &RevocationErrorResponseType) -> bool {
    matches!(
        code.as_ref(),
        "server_error" | "temporarily_unavailable" | "slow_down"
    )
}

/// Returns whether the body is an object with members. An empty object counts as no body, whatever
/// success flag the server's token answers have.
fn says_more(response: &HttpResponse) -> bool {
    let body = response.body.as_bytes().trim_ascii();
    body.starts_with(b"{") && body != b"{}"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::form::pairs;
    use crate::provider::{AuthorizationServer, catalog};
    use http::StatusCode;
    use http::header::RETRY_AFTER;

    fn requests(
        server: &AuthorizationServer,
        registration: &ClientRegistration,
        url: &Url,
        refreshable: bool,
    ) -> Result<Vec<HttpRequest>, RequestError> {
        let access_token = AccessToken::new("at");
        let refresh_token = refreshable.then(|| RefreshToken::new("r&t"));
        let tokens = Revocable {
            access_token: Some(&access_token),
            refresh_token: refresh_token.as_ref(),
        };
        revocation_requests(
            server,
            registration,
            Some(url),
            tokens,
            Timestamp::from_unix_millis(0),
        )
    }

    fn sent(
        server: &AuthorizationServer,
        registration: &ClientRegistration,
        refreshable: bool,
    ) -> Vec<String> {
        let url = Url::parse("https://as.test/revoke").unwrap();
        requests(server, registration, &url, refreshable)
            .unwrap()
            .iter()
            .map(|request| {
                let mut line: Vec<_> = pairs(request.body.as_bytes())
                    .map(|(name, value)| format!("{}={}", *name, *value))
                    .collect();
                if request.headers.contains_key(AUTHORIZATION) {
                    line.push("basic".into());
                }
                line.join(" ")
            })
            .collect()
    }

    #[test]
    fn each_server_gets_the_tokens_and_the_proof_that_it_takes() {
        let registration = ClientRegistration::new("id", "secret", "https://app.test/cb");
        assert_eq!(
            sent(&catalog::google(), &registration, true),
            ["token=r&t token_type_hint=refresh_token"]
        );
        assert_eq!(
            sent(&catalog::google(), &registration, false),
            ["token=at token_type_hint=access_token"]
        );
        assert_eq!(
            sent(&catalog::todoist_server(), &registration, true),
            ["token=at token_type_hint=access_token basic"]
        );
        assert_eq!(
            sent(&catalog::gitlab_server(), &registration, true),
            [
                "token=r&t token_type_hint=refresh_token client_id=id client_secret=secret",
                "token=at token_type_hint=access_token client_id=id client_secret=secret",
            ]
        );
        let public = ClientRegistration::public("id", "https://app.test/cb");
        assert_eq!(
            sent(&catalog::gitlab_server(), &public, false),
            ["token=at token_type_hint=access_token client_id=id client_secret="]
        );
        assert!(sent(&catalog::microsoft(), &registration, true).is_empty());
    }

    #[test]
    fn the_proof_of_the_token_endpoint_serves_here_too() {
        use ClientAuthentication::{Basic, BasicUnencoded, BasicWithClientId, None, Post};
        let registration = ClientRegistration::new("id", "secret", "https://app.test/cb");
        for (authentication, proof) in [
            (Post, " client_id=id client_secret=secret"),
            (None, " client_id=id"),
            (Basic, " basic"),
            (BasicUnencoded, " basic"),
            (BasicWithClientId, " client_id=id basic"),
        ] {
            let mut server = catalog::google();
            server.client_authentication = authentication;
            server.revocation = Revocation::Endpoint {
                url: "https://as.test/revoke".into(),
                authentication: RevocationAuth::SameAsToken,
                tokens: RevocationTokens::Refresh,
                grant_wide: false,
            };
            assert_eq!(
                sent(&server, &registration, true),
                [format!("token=r&t token_type_hint=refresh_token{proof}")]
            );
            assert!(sent(&server, &registration, false).is_empty());
        }
    }

    #[test]
    fn tokens_are_not_sent_in_the_clear() {
        let registration = ClientRegistration::new("id", "secret", "https://app.test/cb");
        let url = Url::parse("http://as.test/revoke").unwrap();
        let found = requests(&catalog::google(), &registration, &url, true);
        assert_eq!(found.unwrap_err(), RequestError::Endpoint);
    }

    #[test]
    fn verdicts() {
        use RevocationVerdict::{Done, Later, Refused};
        for (status, body, verdict) in [
            (200, "", Done),
            (200, "{}", Done),
            (200, "<html>revoked</html>", Done),
            (204, "", Done),
            (400, r#"{"error":"invalid_token"}"#, Done),
            (400, r#"{"error":"unsupported_token_type"}"#, Done),
            (400, r#"{"error":"invalid_request"}"#, Refused),
            (400, "", Refused),
            (401, r#"{"error":"invalid_client"}"#, Refused),
            (403, "", Refused),
            (307, "", Refused),
            (429, "", Later(Some(Duration::from_secs(7)))),
            (503, "", Later(Some(Duration::from_secs(7)))),
            (500, "", Later(Some(Duration::from_secs(7)))),
        ] {
            let response = HttpResponse::new(StatusCode::from_u16(status).unwrap(), body)
                .with_header(RETRY_AFTER, HeaderValue::from_static("7"));
            let verdict_of = |server| revocation_verdict(server, &response);
            assert_eq!(verdict_of(&catalog::google()), verdict, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_with_status_200_is_not_a_yes() {
        use RevocationVerdict::{Done, Later, Refused};
        let mut flagged = catalog::google();
        flagged.answer.success = Some(crate::provider::data::SuccessFlag {
            pointer: "/status".into(),
            values: vec!["0".into()],
        });
        for (server, body, verdict) in [
            (catalog::google(), r#"{"ok":true,"revoked":true}"#, Done),
            (
                catalog::google(),
                r#"{"ok":false,"error":"fatal_error"}"#,
                Refused,
            ),
            (catalog::google(), r#"{"ok":false}"#, Refused),
            (catalog::google(), r#"{"error":"invalid_client"}"#, Refused),
            (catalog::google(), r#"{"error":"invalid_token"}"#, Done),
            (catalog::google(), r#"{"error":"server_error"}"#, Later(None)),
            (
                catalog::google(),
                r#"{"errors":[{"errorType":"invalid_grant"}]}"#,
                Refused,
            ),
            (flagged.clone(), r#"{"status":0}"#, Done),
            (flagged.clone(), r#"{"status":601}"#, Refused),
            (flagged.clone(), "{}", Done),
            (flagged, "", Done),
        ] {
            let response = HttpResponse::new(StatusCode::OK, body);
            assert_eq!(revocation_verdict(&server, &response), verdict, "{body}");
        }
    }

    #[test]
    fn a_grant_that_is_gone_already_is_ended() {
        use RevocationVerdict::{Done, Refused};
        for (server, status, verdict) in [
            (catalog::smartthings_server(), 404, Done),
            (catalog::smartthings_server(), 410, Done),
            (catalog::smartthings_server(), 403, Done),
            (catalog::smartthings_server(), 401, Refused),
            (catalog::google(), 404, Refused),
            (catalog::google(), 403, Refused),
        ] {
            let response = HttpResponse::new(StatusCode::from_u16(status).unwrap(), "");
            assert_eq!(
                revocation_verdict(&server, &response),
                verdict,
                "{} {status}",
                server.id
            );
        }
    }
}
