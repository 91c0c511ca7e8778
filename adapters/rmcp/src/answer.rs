//! Answers to messages.

use std::io::Read as _;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, ServerJsonRpcMessage};
use rmcp::transport::common::http_header::{EVENT_STREAM_MIME_TYPE, HEADER_SESSION_ID, JSON_MIME_TYPE};
use rmcp::transport::streamable_http_client::{
    HttpStatusError, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use valetkey::resolver::Download;

use crate::{Failure, events};

/// Returns the meaning of the answer to a message.
pub(crate) async fn of_post(
    answer: http::Response<Download>,
    message: &ClientJsonRpcMessage,
    had_session: bool,
    limits: StreamableHttpResponseLimits,
) -> Result<StreamableHttpPostResponse, Failure> {
    let status = answer.status();
    let awaits_answer = matches!(message, ClientJsonRpcMessage::Request(_));
    if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        return Ok(StreamableHttpPostResponse::Accepted);
    }
    if status == StatusCode::NOT_FOUND && had_session {
        return Err(StreamableHttpError::SessionExpired);
    }
    let session = text(answer.headers(), HEADER_SESSION_ID);
    let is_json = media_type(answer.headers()) == JSON_MIME_TYPE;
    if status.is_success() && is_event_stream(answer.headers()) {
        let stream = events::stream(answer.into_body(), limits.max_sse_event_size);
        return Ok(StreamableHttpPostResponse::Sse(stream, session));
    }
    let retry_after = text(answer.headers(), RETRY_AFTER.as_str());
    let body = if is_json {
        read(answer.into_body(), limits.max_json_response_size).await?
    } else {
        Vec::new()
    };
    let parsed = serde_json::from_slice::<ServerJsonRpcMessage>(&body);
    if !status.is_success() {
        return refused(message, had_session, status, parsed.ok(), retry_after)
            .map(|message| StreamableHttpPostResponse::Json(message, session));
    }
    match parsed {
        Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
        // Some servers answer a notification with 200 and any body.
        Err(_) if !awaits_answer => Ok(StreamableHttpPostResponse::Accepted),
        Err(_) if is_json => Err(StreamableHttpError::UnexpectedServerResponse(
            "the answer is not a JSON-RPC message".into(),
        )),
        Err(_) => Err(StreamableHttpError::UnexpectedContentType(None)),
    }
}

/// Returns the JSON-RPC error in a refusal, or one that says that the server does not know
/// `server/discover`, a method of later revisions. Text of the server other than a JSON-RPC error
/// is not passed on.
fn refused(
    message: &ClientJsonRpcMessage,
    had_session: bool,
    status: StatusCode,
    parsed: Option<ServerJsonRpcMessage>,
    retry_after: Option<String>,
) -> Result<ServerJsonRpcMessage, Failure> {
    let is_denied = status == StatusCode::FORBIDDEN;
    if let ClientJsonRpcMessage::Request(request) = message
        && status.is_client_error()
        && !is_denied
        && !had_session
        && matches!(request.request, ClientRequest::DiscoverRequest(_))
    {
        let error = match parsed {
            Some(ServerJsonRpcMessage::Error(error)) => error.error,
            _ => ErrorData::invalid_request(format!("server/discover was refused with HTTP {status}"), None),
        };
        return Ok(ServerJsonRpcMessage::error(error, Some(request.id.clone())));
    }
    match parsed {
        Some(error @ ServerJsonRpcMessage::Error(_)) if !is_denied => Ok(error),
        _ if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            Err(HttpStatusError::new(status.as_u16(), retry_after).into())
        }
        _ => Err(unexpected(status)),
    }
}

pub(crate) fn unexpected(status: StatusCode) -> Failure {
    StreamableHttpError::UnexpectedServerResponse(format!("HTTP {status}").into())
}

pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers) == EVENT_STREAM_MIME_TYPE
}

/// Reads a body of limited size on a blocking thread.
async fn read(body: Download, limit: usize) -> Result<Vec<u8>, Failure> {
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        body.take(most).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = read.await??;
    if bytes.len() > limit {
        return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: limit });
    }
    Ok(bytes)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn media_type(headers: &HeaderMap) -> String {
    let value = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}
