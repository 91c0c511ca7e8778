//! What the headers of a request say about who makes it, and what they take for an answer.

use http::{HeaderMap, header};

/// Whom an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Html,
}

impl Format {
    /// By the path; where pages and programs share one, by the body.
    pub(super) fn of(path: &str, headers: &HeaderMap) -> Self {
        let api = path.starts_with("/v1/") || path == "/healthz";
        if api || (path == "/connect" && is_json(headers)) {
            Self::Json
        } else {
            Self::Html
        }
    }
}

/// The media type of the body, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Returns whether the caller speaks JSON: it sends it, or takes nothing else.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    media_type(headers).as_deref() == Some("application/json")
        || accepts.to_ascii_lowercase().starts_with("application/json")
}

/// Returns whether the browser fetches it before anybody has asked to see it.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch") || value.contains("prerender"))
    })
}

/// Returns whether the browser says that another site makes the request. `Origin: null` says
/// nothing: it is what browsers write for a page with `Referrer-Policy: no-referrer`, such as ours.
pub(super) fn is_foreign(headers: &HeaderMap, own: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let by_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let by_origin = text("origin").is_some_and(|origin| origin != "null" && origin != own);
    by_site || by_origin
}
