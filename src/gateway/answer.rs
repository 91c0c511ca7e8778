//! Responses and the headers that each of them carries.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::refusal::Refusal;

pub(super) type Answer = Result<Response<Vec<u8>>, Refusal>;

/// The policy allows no foreign or inline resources and no frames. Forms are submitted to the
/// gateway alone. Browsers apply `form-action` to the redirect after a form as well, so the gateway
/// never redirects a form to a provider: it answers with a page that leads on.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn html(status: StatusCode, page: String) -> Response<Vec<u8>> {
    with_type(status, "text/html; charset=utf-8", page.into_bytes())
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // The shapes consist of strings, numbers and lists, which can always be serialized.
    let body = serde_json::to_vec(value).map_err(|_| Refusal::internal())?;
    Ok(with_type(status, "application/json", body))
}

pub(super) fn json_bytes(body: Vec<u8>) -> Response<Vec<u8>> {
    with_type(StatusCode::OK, "application/json", body)
}

/// Redirects a browser to a GET, whatever its own method was.
pub(super) fn see_other(location: &str) -> Answer {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(location).map_err(|_| Refusal::internal())?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Returns a file that is part of the crate. Its address names the version, so it may be cached.
pub(super) fn asset(media_type: &'static str, body: &'static str) -> Response<Vec<u8>> {
    let mut response = with_type(StatusCode::OK, media_type, body.as_bytes().to_vec());
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=86400"),
    );
    response
}

pub(super) fn with_cookie(mut response: Response<Vec<u8>>, cookie: Option<HeaderValue>) -> Response<Vec<u8>> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn with_type(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Adds the headers that every response carries.
pub(super) fn secure(response: &mut Response<Vec<u8>>, https: bool) {
    let headers = response.headers_mut();
    let every: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("x-permitted-cross-domain-policies"),
            "none",
        ),
    ];
    for (name, value) in every {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if https {
        // On an untrustworthy connection, browsers ignore this header and log a warning.
        headers.insert(
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    }
}
