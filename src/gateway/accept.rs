//! Reads from the headers of a request who makes it and which format it accepts.

use http::{HeaderMap, header};

/// The format of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Html,
}

impl Format {
    /// Decided by the path, or by the body where pages and programs share a path.
    pub(super) fn of(path: &str, headers: &HeaderMap) -> Self {
        let api = path.starts_with("/v1/") || path == "/healthz";
        if api || (path == "/connect" && is_json(headers)) {
            Self::Json
        } else {
            Self::Html
        }
    }
}

/// Returns the media type of the body, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Returns whether the caller speaks JSON: it sends JSON, or accepts nothing else.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    media_type(headers).as_deref() == Some("application/json")
        || accepts.to_ascii_lowercase().starts_with("application/json")
}

/// Returns whether the browser prefetches the address.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch") || value.contains("prerender"))
    })
}

/// Returns whether the browser reports that another site makes the request. `Origin: null` is not
/// such a report: browsers send it for a page with `Referrer-Policy: no-referrer`, such as the
/// gateway's own.
pub(super) fn is_foreign(headers: &HeaderMap, own: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let by_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let by_origin = text("origin").is_some_and(|origin| origin != "null" && origin != own);
    by_site || by_origin
}
