//! One bounded request to an address that a server named.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::engine::Context;
use crate::error::{Error, McpError, Result};
use crate::http::{HttpError, HttpRequest, HttpResponse};
use crate::model::FailureCode;
use crate::protocol::mcp::MAX_DOCUMENT;

/// An answer with its whole body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Reads a document. Returns `None` if there is none at this address.
pub(super) fn document(cx: &Context, url: Url) -> Result<Option<Vec<u8>>> {
    let mut request = HttpRequest::new(Method::GET, url);
    request
        .headers
        .insert(ACCEPT, HeaderValue::from_static("application/json"));
    let answer = send(cx, request)?;
    if answer.status.is_success() {
        return Ok(Some(answer.body));
    }
    match answer.status.as_u16() {
        429 => Err(Error::unavailable(FailureCode::RateLimited)),
        500.. => Err(Error::unavailable(FailureCode::ServerError)),
        _ => Ok(None),
    }
}

/// Posts a JSON document.
pub(super) fn post(cx: &Context, url: Url, accept: &'static str, body: Vec<u8>) -> Result<Answer> {
    let mut request = HttpRequest::new(Method::POST, url).with_body(body);
    request
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers.insert(ACCEPT, HeaderValue::from_static(accept));
    send(cx, request)
}

/// Sends a request to a public address, with the bounds of a document. A redirect is an error.
pub(super) fn send(cx: &Context, request: HttpRequest) -> Result<Answer> {
    let mut request = request.to_public_addresses_only();
    request.timeout = cx.settings.http_timeout;
    request.max_response_bytes = Some(MAX_DOCUMENT);
    let HttpResponse {
        status,
        headers,
        body,
    } = cx.http.send(request).map_err(failed)?;
    if status.is_redirection() {
        return Err(McpError::Redirected.into());
    }
    let body = if body.is_reader() {
        let body = crate::http::Body::read_from(body.into_reader(), MAX_DOCUMENT).map_err(failed)?;
        body.as_bytes().to_vec()
    } else {
        body.as_bytes().to_vec()
    };
    if body.len() > MAX_DOCUMENT {
        return Err(McpError::TooLarge.into());
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}

fn failed(error: HttpError) -> Error {
    match error {
        HttpError::PrivateAddress => McpError::PrivateAddress.into(),
        HttpError::TooLarge | HttpError::HeadTooLarge => McpError::TooLarge.into(),
        HttpError::Refused => McpError::Endpoint.into(),
        HttpError::Timeout => Error::unavailable(FailureCode::TimedOut),
        HttpError::Interrupted | HttpError::Protocol => Error::unavailable(FailureCode::Interrupted),
        HttpError::Untrusted => Error::unavailable(FailureCode::Untrusted),
        _ => Error::unavailable(FailureCode::Unreachable),
    }
}
