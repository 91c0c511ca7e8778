//! One JSON request to a key service and its answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use crate::secret::SecretBytes;
use crate::vault::KeyServiceError;

/// The limit of an answer: a wrapped key has a few kilobytes at most.
pub(super) const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// The room for a request, so that a key in it is not left in an outgrown buffer.
const REQUEST_BYTES: usize = 32 * 1024;

/// Returns a JSON body that is wiped when it is dropped.
pub(super) fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, KeyServiceError> {
    let mut body = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES));
    match serde_json::to_writer(&mut *body, value) {
        Ok(()) if body.len() <= REQUEST_BYTES => Ok(body),
        _ => Err(KeyServiceError::Protocol("the request is larger than 32 KiB")),
    }
}

/// Sends the request and returns the answer, whatever its status.
pub(super) fn send(
    client: &dyn HttpClient,
    mut request: HttpRequest,
    max_response_bytes: usize,
) -> Result<HttpResponse, KeyServiceError> {
    request.max_response_bytes = Some(max_response_bytes);
    client.send(request).map_err(|error| match error {
        HttpError::Refused => KeyServiceError::Protocol("its address is not an https URL"),
        HttpError::Untrusted => KeyServiceError::Protocol("its certificate is not trusted"),
        HttpError::TooLarge | HttpError::HeadTooLarge | HttpError::Protocol => {
            KeyServiceError::Protocol("its answer cannot be read")
        }
        _ => KeyServiceError::Unavailable { retry_after: None },
    })
}

/// Returns the error that the status alone means, for services that are overloaded or down.
pub(super) fn unavailable(status: StatusCode, headers: &HeaderMap) -> Option<KeyServiceError> {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let retry_after = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(std::time::Duration::from_secs);
        return Some(KeyServiceError::Unavailable { retry_after });
    }
    None
}

/// Encodes a key in base64.
pub(super) fn base64_of(key: &SecretBytes) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(4 * key.expose_secret().len().div_ceil(3)));
    STANDARD.encode_string(key.expose_secret(), &mut text);
    text
}

/// Decodes a key from base64.
pub(super) fn key_of(text: &str) -> Result<SecretBytes, KeyServiceError> {
    // The vector is not outgrown, because its capacity is an upper bound.
    let mut key = Zeroizing::new(Vec::with_capacity(text.len().div_ceil(4) * 3));
    STANDARD
        .decode_vec(text, &mut key)
        .map_err(|_| KeyServiceError::Protocol("its answer contains no base64"))?;
    Ok(SecretBytes::new(std::mem::take(&mut key)))
}
