//! Error responses of the sandbox, and JSON responses in general.

use http::{HeaderValue, StatusCode, header};

use crate::http::HttpResponse;

/// The form of an error response from the token or the revocation endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// As in [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2): 400 and JSON.
    Json,
    /// The same JSON with another status: servers use 401, 403, 500 and even 200.
    JsonWith(u16),
    /// An error code other than the standard's.
    Code {
        /// The status.
        status: u16,
        /// The `error` member.
        error: String,
    },
    /// This status without a body.
    Empty(u16),
    /// This status and an HTML page, as sent by a proxy in front of a server.
    Html(u16),
    /// 429 with this `Retry-After`.
    RateLimited(String),
    /// The standard's JSON with this text in every member except `error`. A test can search for the
    /// text where it must not appear.
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

/// Returns an uncacheable JSON response.
pub(super) fn json(status: u16, body: &serde_json::Value) -> HttpResponse {
    json_text(code(status), body.to_string())
}

/// Returns an uncacheable response with text that is already JSON.
pub(super) fn json_text(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::new(status, body)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
