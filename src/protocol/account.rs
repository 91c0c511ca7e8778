//! Requests the connected account: one GET with the new access token.

use http::Method;
use http::header::{ACCEPT, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::http::{HttpRequest, HttpResponse, is_clean};
use crate::model::Account;
use crate::protocol::bearer::bearer_value;
use crate::protocol::pointer::value_in_answer;
use crate::protocol::request_error::RequestError;
use crate::provider::compiled::CompiledProvider;
use crate::provider::{AccountEndpoint, AccountPointers, Pointer};
use crate::secret::AccessToken;

/// The maximum length of a stored value, in bytes.
const MAX_LEN: usize = 512;

/// Returns the request for the account.
///
/// # Errors
///
/// [`RequestError`] if the URL is not https, or the token does not fit the header.
pub fn account_request(
    provider: &CompiledProvider,
    url: &Url,
    access_token: &AccessToken,
) -> Result<HttpRequest, RequestError> {
    if !is_clean(url) {
        return Err(RequestError::Endpoint);
    }
    let name = provider.token_header_name().clone();
    let value = bearer_value(&provider.token_header.prefix, access_token);
    let mut request = HttpRequest::new(Method::GET, url.clone());
    let says_itself = |name: &String| name.eq_ignore_ascii_case(ACCEPT.as_str());
    if !provider.api_headers.keys().any(says_itself) {
        request = request.with_header(ACCEPT, HeaderValue::from_static("application/json"));
    }
    request
        .with_secret_header(name, value)
        .map_err(|_| RequestError::Header)
}

/// Returns the account that the answer names, if it has a 2xx status and an id at a place that the
/// descriptor lists.
///
/// Values that are longer than 512 bytes or contain control characters are rejected: an id is
/// compared, and an address is displayed.
#[must_use]
pub fn parse_account(endpoint: &AccountEndpoint, response: &HttpResponse) -> Option<Account> {
    if !response.status.is_success() {
        return None;
    }
    let body: Value = serde_json::from_slice(response.body.as_bytes()).ok()?;
    Some(Account {
        id: find(&body, &endpoint.id)?,
        email: find(&body, &endpoint.email),
        label: find(&body, &endpoint.label),
    })
}

/// Returns the account that a token answer names, at the places that the descriptor lists.
///
/// The answer contains tokens: only the values that the pointers lead to are copied out of it.
#[must_use]
pub fn account_in_answer(pointers: &AccountPointers, response: &HttpResponse) -> Option<Account> {
    let first = |list: &[Pointer]| {
        list.iter()
            .find_map(|pointer| value_in_answer(response, pointer))
            .filter(|text| is_usable(text))
    };
    Some(Account {
        id: first(&pointers.id)?,
        email: first(&pointers.email),
        label: first(&pointers.label),
    })
}

pub(super) fn is_usable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_LEN
        && !text
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Returns the value of the first pointer that leads to a usable string or number.
fn find(body: &Value, pointers: &[Pointer]) -> Option<String> {
    pointers.iter().find_map(|pointer| {
        let text = match pointer.find_in(body)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        is_usable(&text).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::catalog;
    use http::StatusCode;
    use http::header::AUTHORIZATION;

    fn account(status: u16, body: &str) -> Option<(String, Option<String>, Option<String>)> {
        let pointers = |list: &[&str]| list.iter().map(|&pointer| pointer.into()).collect();
        let endpoint = AccountEndpoint {
            url: "https://api.test/me".into(),
            id: pointers(&["/account_id", "/user/id"]),
            email: pointers(&["/mail", "/upn"]),
            label: pointers(&["/name"]),
        };
        let response = HttpResponse::new(StatusCode::from_u16(status).unwrap(), body);
        let account = parse_account(&endpoint, &response)?;
        Some((account.id, account.email, account.label))
    }

    #[test]
    fn the_first_usable_value_counts() {
        let some = |id: &str, email: Option<&str>, label: Option<&str>| {
            Some((id.into(), email.map(Into::into), label.map(Into::into)))
        };
        let long = format!(r#"{{"account_id":"{}"}}"#, "x".repeat(513));
        for (status, body, expected) in [
            (
                200,
                r#"{"account_id":"a","mail":"m@x","name":"N"}"#,
                some("a", Some("m@x"), Some("N")),
            ),
            (
                200,
                r#"{"user":{"id":42},"mail":null,"upn":"u@x"}"#,
                some("42", Some("u@x"), None),
            ),
            (
                200,
                r#"{"account_id":"","user":{"id":"b"}}"#,
                some("b", None, None),
            ),
            (
                200,
                r#"{"account_id":"a","name":"x\u001b[31m"}"#,
                some("a", None, None),
            ),
            (
                200,
                r#"{"account_id":18446744073709551615}"#,
                some("18446744073709551615", None, None),
            ),
            (200, r#"{"account_id":true}"#, None),
            (200, r#"{"account_id":"a\nb"}"#, None),
            (200, &long, None),
            (200, r#"{"mail":"m@x"}"#, None),
            (200, "[]", None),
            (200, "<html>", None),
            (401, r#"{"account_id":"a"}"#, None),
        ] {
            assert_eq!(account(status, body), expected, "{status} {body:.60}");
        }
    }

    #[test]
    fn the_request_carries_the_token_in_the_descriptors_header() {
        let url = Url::parse("https://api.test/me?a=b").unwrap();
        let mut provider = catalog::gmail();
        let compiled =
            |provider: &crate::provider::Provider| CompiledProvider::compile(provider.clone()).unwrap();
        let token = AccessToken::new("at");
        let request = account_request(&compiled(&provider), &url, &token).unwrap();
        assert_eq!(request.headers[AUTHORIZATION], "Bearer at");
        assert!(request.headers[AUTHORIZATION].is_sensitive());
        provider.token_header.name = "x-token".into();
        provider.token_header.prefix = String::new();
        let request = account_request(&compiled(&provider), &url, &token).unwrap();
        assert_eq!(request.headers["x-token"], "at");
        assert!(!request.headers.contains_key(AUTHORIZATION));
        let http = Url::parse("http://api.test/me").unwrap();
        assert_eq!(
            account_request(&compiled(&provider), &http, &token).unwrap_err(),
            RequestError::Endpoint
        );
    }
}
