//! Responses and the headers that each of them carries.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::look::{Frame, Look};
use super::refusal::Refusal;

pub(super) type Answer = Result<Response<Vec<u8>>, Refusal>;

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
pub(super) fn secure(response: &mut Response<Vec<u8>>, https: bool, look: &Look, frame: Frame) {
    let headers = response.headers_mut();
    let closed = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    let policy = look.policy(frame).unwrap_or(closed);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let embeds = frame == Frame::Embedded && look.is_framed();
    if !embeds {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    let every: [(HeaderName, &'static str); 4] = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            if embeds { "same-site" } else { "same-origin" },
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

/// Returns a file for download.
pub(super) fn download(media_type: &'static str, name: &str, body: Vec<u8>) -> Answer {
    let mut response = with_type(StatusCode::OK, media_type, body);
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let disposition = disposition.map_err(|_| Refusal::internal())?;
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}
