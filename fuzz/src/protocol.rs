//! Input from browsers and authorization servers.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use valetkey::http::HttpResponse;
use valetkey::internals::protocol::{
    Outcome, TokenFailure, bearer_error, bearer_value, check_issuer, classify, granted_scopes, parse_account,
    parse_token_response, parts, revocation_verdict,
};
use valetkey::internals::provider::{AccountEndpoint, IssuerPolicy, TokenHeader};
use valetkey::model::{Scopes, ServerId};
use valetkey::provider::{AuthorizationServer, catalog};
use valetkey::{AuthorizationResponse, Timestamp};

/// The maximum length of printed values: a sentence, twice. Text from a server would exceed it.
const LONGEST_DEBUG: usize = 400;

/// A callback is read without a panic, and none of its content is printed.
pub fn callback_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let response = AuthorizationResponse::parse(&text);
    let printed = match &response {
        Ok(response) => format!("{response:?}"),
        Err(error) => format!("{error:?} {error}"),
    };
    assert!(printed.len() < LONGEST_DEBUG, "it prints what it was given");

    // A bare query means the same as a URL that contains it. Characters around a pasted callback
    // are removed only at its ends.
    let is_bare = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&*+,;=@%".contains(&byte));
    if is_bare {
        let url = format!("https://app.test/cb?{text}");
        let again = AuthorizationResponse::parse(&url);
        match (&response, &again) {
            (Ok(one), Ok(other)) => {
                let ((one, issuer, _), (other, other_issuer, _)) = (parts(one), parts(other));
                assert!(one.expose_secret() == other.expose_secret());
                assert!(issuer == other_issuer);
            }
            (one, other) => {
                // A prefix may exceed the length limit.
                let same = one.as_ref().err() == other.as_ref().err();
                assert!(same || text.len() > 60_000, "{one:?} {other:?}");
            }
        }
    }

    let Ok(response) = response else { return };
    let (state, named, outcome) = parts(&response);
    assert!(!state.expose_secret().is_empty());
    let asked = "https://as.test";
    for policy in [IssuerPolicy::Required, IssuerPolicy::MatchIfPresent] {
        let accepted = check_issuer(policy, Some(asked), &response).is_ok();
        assert!(!accepted || named.is_none_or(|named| named == asked));
        assert!(
            policy != IssuerPolicy::MatchIfPresent || accepted == named.is_none_or(|named| named == asked)
        );
    }
    if let Some(Outcome::Code(code)) = outcome {
        assert!(!code.expose_secret().is_empty());
    }
}

fn server(choice: u8) -> AuthorizationServer {
    let mut servers = catalog::servers();
    let id = ServerId::new("as").unwrap();
    servers.push(AuthorizationServer::new(
        id,
        "https://as.test/a",
        "https://as.test/t",
    ));
    servers.swap_remove(usize::from(choice) % servers.len())
}

/// Returns status, server and content type, then the headers up to a line feed, then the body.
fn answer(data: &[u8], statuses: &[u16]) -> Option<(AuthorizationServer, HttpResponse)> {
    let ([status, server_choice, media_type], rest) = data.split_first_chunk::<3>()?;
    let status = statuses[usize::from(*status) % statuses.len()];
    let (header, body) = rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let mut response = HttpResponse::new(StatusCode::from_u16(status).ok()?, body.to_vec());
    let media_types = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf-8",
        "text/html",
    ];
    let media_type = media_types[usize::from(*media_type) % media_types.len()];
    response = response.with_header(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Ok(value) = HeaderValue::from_bytes(header) {
        response = response.with_header(RETRY_AFTER, value.clone());
        response = response.with_header(http::header::WWW_AUTHENTICATE, value);
    }
    Some((server(*server_choice), response))
}

fn check_failure(failure: &TokenFailure) {
    let printed = format!("{failure:?} {failure}");
    assert!(printed.len() < 2 * LONGEST_DEBUG, "it prints what it was given");
}

/// An answer contains usable tokens, or becomes a failure that repeats none of its text.
pub fn token_response(data: &[u8]) {
    let Some((server, response)) = answer(data, &[200, 201, 400, 302]) else {
        return;
    };
    match parse_token_response(&server, &response) {
        Ok(tokens) => {
            assert!(response.status.is_success());
            let token = tokens.access_token.expose_secret();
            assert!(!token.is_empty() && token.len() <= 64 * 1024);
            assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
            let value = bearer_value(&TokenHeader::default().prefix, &tokens.access_token);
            assert!(
                HeaderValue::from_bytes(value.expose_secret()).is_ok(),
                "the token fits no header"
            );
            for token in [
                tokens.refresh_token.as_ref().map(|token| token.expose_secret()),
                tokens.id_token.as_ref().map(|token| token.expose_secret()),
            ] {
                assert!(token.is_none_or(|token| !token.is_empty() && token.len() <= 64 * 1024));
            }
            if let Some(lifetime) = tokens.expires_in {
                let now = Timestamp::from_unix_millis(1_700_000_000_000);
                assert!(lifetime.as_secs() > 0 && now + lifetime > now);
            }
            let asked: Scopes = "openid email".parse().unwrap();
            let _ = granted_scopes(&server, &asked, tokens.scopes.as_ref());
            let printed = format!("{tokens:?}");
            assert!(
                !printed.contains(token) || token.len() < 12,
                "it prints the token"
            );
        }
        Err(failure) => check_failure(&failure),
    }
}

/// A refusal of any shape becomes one of the known failures.
pub fn error_body(data: &[u8]) {
    let Some((server, response)) = answer(data, &[400, 401, 403, 404, 429, 500, 503, 200]) else {
        return;
    };
    check_failure(&classify(&server, &response));
    let _ = bearer_error(&response.headers);
    let _ = revocation_verdict(&server, &response);
    let endpoint = AccountEndpoint {
        url: "https://as.test/me".into(),
        id: vec!["/id".into(), "/user/id".into()],
        email: vec!["/email".into()],
        label: vec!["/0/name".into()],
    };
    if let Some(account) = parse_account(&endpoint, &response) {
        for text in [Some(&account.id), account.email.as_ref(), account.label.as_ref()] {
            assert!(text.is_none_or(|text| text.len() <= 512 && !text.contains(char::is_control)));
        }
    }
}
