use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use super::*;
use crate::model::ServerId;
use crate::provider::AuthorizationServer;
use FailureCode as F;

fn server() -> AuthorizationServer {
    let id = ServerId::new("as").unwrap();
    AuthorizationServer::new(id, "https://as.test/a", "https://as.test/t")
}

fn parse(status: u16, media_type: &'static str, body: &str) -> Result<TokenResponse, TokenFailure> {
    let response = HttpResponse::new(StatusCode::from_u16(status).unwrap(), body)
        .with_header(CONTENT_TYPE, HeaderValue::from_static(media_type));
    parse_token_response(&server(), &response)
}

/// Returns one line: access token, refresh token, lifetime, scopes; or the failure.
fn line(status: u16, media_type: &'static str, body: &str) -> Result<String, F> {
    let response = parse(status, media_type, body).map_err(|failure| failure.code)?;
    Ok(format!(
        "{} {} {} {}",
        response.access_token.expose_secret(),
        response
            .refresh_token
            .as_ref()
            .map_or("-", RefreshToken::expose_secret),
        response
            .expires_in
            .map_or_else(|| "-".into(), |time| time.as_secs().to_string()),
        response
            .scopes
            .map_or_else(|| "-".into(), |scopes| scopes.join("+")),
    ))
}

#[test]
fn answers_as_servers_write_them() {
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
    let rows: &[(u16, &'static str, &str, Result<&str, F>)] = &[
        // Conforming.
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":"Bearer","expires_in":3600,"refresh_token":"rt","scope":"b a"}"#,
            Ok("at rt 3600 a+b"),
        ),
        // The type: missing, null, empty, any letter case; other types are refused.
        (200, JSON, r#"{"access_token":"at"}"#, Ok("at - - -")),
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":null}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":""}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":"BEARER"}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":"bearer"}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":"mac"}"#,
            Err(F::UnknownTokenType),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","token_type":"DPoP"}"#,
            Err(F::UnknownTokenType),
        ),
        // The lifetime: a string, a float, ten years, none, nonsense.
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":"3600"}"#,
            Ok("at - 3600 -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":3599.0}"#,
            Ok("at - 3599 -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":315360000}"#,
            Ok("at - 315360000 -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":null}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":-1}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":1e400}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","expires_in":{"a":1}}"#,
            Ok("at - - -"),
        ),
        // The scopes: an array, commas, both, empty.
        (
            200,
            JSON,
            r#"{"access_token":"at","scope":["a","b"]}"#,
            Ok("at - - a+b"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","scope":"a,b"}"#,
            Ok("at - - a+b"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","scope":"a, b"}"#,
            Ok("at - - a+b"),
        ),
        (200, JSON, r#"{"access_token":"at","scope":""}"#, Ok("at - - -")),
        (200, JSON, r#"{"access_token":"at","scope":[]}"#, Ok("at - - -")),
        (200, JSON, r#"{"access_token":"at","scope":7}"#, Ok("at - - -")),
        // The refresh token: absent in a refresh, empty, null, unchanged.
        (
            200,
            JSON,
            r#"{"access_token":"at","refresh_token":""}"#,
            Ok("at - - -"),
        ),
        (
            200,
            JSON,
            r#"{"access_token":"at","refresh_token":null}"#,
            Ok("at - - -"),
        ),
        // Another 2xx, another content type, a form.
        (201, JSON, r#"{"access_token":"at"}"#, Ok("at - - -")),
        (200, "text/plain", r#"{"access_token":"at"}"#, Ok("at - - -")),
        (200, "text/html", " {\"access_token\":\"at\"}\n", Ok("at - - -")),
        (
            200,
            FORM,
            "access_token=a%2Bt&scope=a+b&expires_in=60&x=1",
            Ok("a+t - 60 a+b"),
        ),
        (200, "text/plain", "access_token=at&expires=5", Ok("at - - -")),
        (200, FORM, "access_token=at&access_token=bt", Ok("bt - - -")),
        (200, FORM, "error=invalid_grant", Err(F::GrantRejected)),
        // Unused members, and escapes.
        (
            200,
            JSON,
            r#"{"access_token":"a\/t","x":{"y":[1,{"z":"}"}]}}"#,
            Ok("a/t - - -"),
        ),
        // 200 with an error.
        (200, JSON, r#"{"error":"invalid_grant"}"#, Err(F::GrantRejected)),
        (
            200,
            JSON,
            r#"{"access_token":"at","error":"invalid_grant"}"#,
            Err(F::GrantRejected),
        ),
        (
            200,
            JSON,
            r#"{"ok":false,"error":"invalid_auth"}"#,
            Err(F::RequestRejected),
        ),
        (
            200,
            JSON,
            r#"{"ok":false,"access_token":"at"}"#,
            Err(F::RequestRejected),
        ),
        (
            200,
            JSON,
            r#"{"ok":true,"access_token":"at","error":null}"#,
            Ok("at - - -"),
        ),
        // Refusals: the standard format, Fitbit's, ClickUp's, empty, HTML, with the secret in its
        // text.
        (400, JSON, r#"{"error":"invalid_grant"}"#, Err(F::GrantRejected)),
        (
            400,
            JSON,
            r#"{"errors":[{"errorType":"invalid_grant"}],"success":false}"#,
            Err(F::GrantRejected),
        ),
        (
            400,
            JSON,
            r#"{"err":"Token invalid","ECODE":"OAUTH_025"}"#,
            Err(F::RequestRejected),
        ),
        (400, JSON, "", Err(F::Unexplained)),
        (502, "text/html", "<html>bad gateway</html>", Err(F::ServerError)),
        (
            400,
            JSON,
            r#"{"error":"invalid_client","error_description":"secret s3cret"}"#,
            Err(F::ClientRejected),
        ),
        (403, JSON, r#"{"error":"invalid_grant"}"#, Err(F::GrantRejected)),
        (429, JSON, "", Err(F::RateLimited)),
        (307, JSON, r#"{"access_token":"at"}"#, Err(F::Redirected)),
        // No tokens at all.
        (200, JSON, "", Err(F::UnreadableAnswer)),
        (204, JSON, "", Err(F::UnreadableAnswer)),
        (200, JSON, "{}", Err(F::UnreadableAnswer)),
        (200, JSON, "[]", Err(F::UnreadableAnswer)),
        (200, JSON, "null", Err(F::UnreadableAnswer)),
        (200, JSON, r#"{"access_token":"at""#, Err(F::UnreadableAnswer)),
        (
            200,
            JSON,
            r#"{"access_token":"at","access_token":"bt"}"#,
            Ok("bt - - -"),
        ),
        (200, JSON, r#"{"access_token":""}"#, Err(F::UnreadableAnswer)),
        (200, JSON, r#"{"access_token":7}"#, Err(F::UnreadableAnswer)),
        (200, JSON, r#"{"access_token":"a t"}"#, Err(F::UnreadableAnswer)),
        (
            200,
            JSON,
            r#"{"access_token":"a\r\nX: y"}"#,
            Err(F::UnreadableAnswer),
        ),
        (200, JSON, r#"{"access_token":"aé"}"#, Err(F::UnreadableAnswer)),
        (
            200,
            "text/html",
            "<html>access_token=at</html>",
            Err(F::UnreadableAnswer),
        ),
    ];
    for (status, media_type, body, expected) in rows {
        let found = line(*status, media_type, body);
        assert_eq!(found, expected.map(str::to_owned), "{status} {media_type} {body}");
    }
}

#[test]
fn tokens_are_opaque_up_to_64_kib() {
    for (length, kept) in [(MAX_TOKEN, true), (MAX_TOKEN + 1, false)] {
        let token = "t".repeat(length);
        let access = parse(
            200,
            "application/json",
            &format!(r#"{{"access_token":"{token}"}}"#),
        );
        assert_eq!(access.is_ok(), kept, "{length}");
        for name in ["refresh_token", "id_token"] {
            let body = format!(r#"{{"access_token":"at","{name}":"{token}"}}"#);
            let answer = parse(200, "application/json", &body).unwrap();
            let found = answer.refresh_token.is_some() || answer.id_token.is_some();
            assert_eq!(found, kept, "{name} {length}");
        }
    }
}

/// Additional, duplicate or unusual members of an answer do not invalidate its tokens.
#[test]
fn no_other_member_costs_the_tokens() {
    let members = [
        "token_type",
        "expires_in",
        "refresh_token_expires_in",
        "scope",
        "id_token",
        "refresh_token",
        "err",
        "ECODE",
        "ok",
        "errors",
        "error",
        "unknown",
        "",
    ];
    // None of these reports a failure.
    let values = [
        "null",
        "0",
        "\"\"",
        "[]",
        "{}",
        "true",
        "1e999",
        "[[[[[]]]]]",
        r#""\u0000\ud800""#,
    ];
    for member in members {
        for value in values {
            let says_no = matches!(member, "error" | "errors" | "err")
                && !matches!(value, "null" | "0" | "\"\"" | "[]" | "{}");
            let other_type = member == "token_type" && value.contains("u0000");
            if says_no || other_type {
                continue;
            }
            for body in [
                format!(r#"{{"{member}":{value},"access_token":"at","refresh_token":"rt"}}"#),
                format!(r#"{{"access_token":"at","refresh_token":"rt","{member}":{value}}}"#),
                format!(
                    r#"{{"{member}":{value},"{member}":{value},"access_token":"at","refresh_token":"rt"}}"#
                ),
                format!("\u{feff}{{\"{member}\":{value},\"access_token\":\"at\",\"refresh_token\":\"rt\"}}"),
            ] {
                let answer = parse(200, "application/json", &body).unwrap_or_else(|_| panic!("{body}"));
                assert_eq!(answer.access_token.expose_secret(), "at", "{body}");
                let refresh_token = answer.refresh_token.as_ref().map(RefreshToken::expose_secret);
                assert_eq!(refresh_token, Some("rt"), "{body}");
            }
        }
    }
    for repeated in [
        r#"{"access_token":"old","access_token":"at"}"#,
        r#"{"access_token":"at","access_token":null}"#,
        r#"{"access_token":"at","access_token":""}"#,
    ] {
        let answer = parse(200, "application/json", repeated).unwrap();
        assert_eq!(answer.access_token.expose_secret(), "at", "{repeated}");
    }
}

#[test]
fn the_end_of_the_refresh_token_is_read_where_servers_name_it() {
    for name in [
        "refresh_token_expires_in",
        "x_refresh_token_expires_in",
        "refresh_expires_in",
    ] {
        let body = format!(r#"{{"access_token":"at","{name}":604799}}"#);
        let answer = parse(200, "application/json", &body).unwrap();
        assert_eq!(
            answer.refresh_token_expires_in,
            Some(Duration::from_secs(604_799)),
            "{name}"
        );
    }
}

#[test]
fn a_lifetime_that_the_answer_does_not_name_is_not_invented() {
    let mut server = server();
    server.default_expires_in = Some(Duration::from_secs(60));
    for (body, expected) in [
        (r#"{"access_token":"at"}"#, None),
        (
            r#"{"access_token":"at","expires_in":5}"#,
            Some(Duration::from_secs(5)),
        ),
    ] {
        let response = HttpResponse::new(StatusCode::OK, body);
        let parsed = parse_token_response(&server, &response).unwrap();
        assert_eq!(parsed.expires_in, expected);
    }
}

#[test]
fn debug_shows_no_token() {
    let body = r#"{"access_token":"m4rker","refresh_token":"m4rker","id_token":"m4rker"}"#;
    let parsed = parse(200, "application/json", body).unwrap();
    assert!(parsed.id_token.is_some());
    assert!(!format!("{parsed:?}").contains("m4rker"));
    let body = r#"{"error":"m4rker","error_description":"m4rker","refresh_token":"m4rker"}"#;
    let failure = parse(400, "application/json", body).unwrap_err();
    assert!(!format!("{failure} {failure:?}").contains("m4rker"));
}

proptest::proptest! {
    #[test]
    fn no_body_is_a_surprise_and_no_token_breaks_a_header(
        status in 200_u16..600,
        member in "access_token|refresh_token|expires_in|scope|error|errors|token_type|ok|err",
        value in r#""[^"]{0,8}"|"\\\\[a-z0-9\\\\]{0,6}"|[0-9.eE+-]{1,6}|\[.{0,4}\]|\{.{0,6}\}|null|true"#,
    ) {
        let body = format!(r#"{{"access_token":"at","{member}":{value}}}"#);
        let other = format!(r#"{{"{member}":{value}}}"#);
        for body in [body.as_str(), other.as_str(), value.as_str()] {
            if let Ok(parsed) = parse(status, "application/json", body) {
                assert!((200..300).contains(&status));
                let token = parsed.access_token.expose_secret();
                assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
