//! How the sandbox says no, and JSON answers in general.

use http::{HeaderValue, StatusCode, header};

use crate::http::HttpResponse;

/// How a refusal is told, at the token endpoint or at the revocation endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// As [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2) says: 400 and JSON.
    Json,
    /// The same JSON with another status: 401, 403, 500 and even 200 are seen.
    JsonWith(u16),
    /// Another error code than the standard's.
    Code {
        /// The status.
        status: u16,
        /// The `error` member.
        error: String,
    },
    /// This status and nothing else.
    Empty(u16),
    /// This status and an HTML page, as a proxy in front of a server sends it.
    Html(u16),
    /// 429 with this `Retry-After`.
    RateLimited(String),
    /// The standard's JSON, with this text in every member but `error`: to be searched for where it
    /// must not be.
    Marked(String),
}

impl Refusal {
    pub(super) fn answer(&self, error: &str) -> HttpResponse {
        let plain = serde_json::json!({ "error": error });
        match self {
            Self::Json => json(400, &plain),
            Self::JsonWith(status) => json(*status, &plain),
            Self::Code { status, error } => json(*status, &serde_json::json!({ "error": error })),
            Self::Empty(status) => HttpResponse::new(code(*status), ""),
            Self::Html(status) => HttpResponse::new(code(*status), "<html><h1>Bad Gateway</h1></html>")
                .with_header(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/html; charset=utf-8"),
                ),
            Self::RateLimited(after) => {
                let after = HeaderValue::from_str(after).expect("Retry-After is a legal header value");
                json(429, &serde_json::json!({ "error": "slow_down" }))
                    .with_header(header::RETRY_AFTER, after)
            }
            Self::Marked(marker) => {
                let mut body = serde_json::json!({
                    "error": error,
                    "error_description": format!("{marker}\nsecond line {marker}"),
                    "error_uri": format!("https://sandbox.test/{marker}"),
                });
                body[marker.as_str()] = serde_json::json!({ "nested": [marker] });
                json(400, &body)
            }
        }
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("the status lies between 100 and 999")
}

/// A JSON answer that no cache keeps.
pub(super) fn json(status: u16, body: &serde_json::Value) -> HttpResponse {
    json_text(code(status), body.to_string())
}

/// The same, from text that is JSON already.
pub(super) fn json_text(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::new(status, body)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
