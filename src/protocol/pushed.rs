//! Pushed authorization requests ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)).

use url::Url;

use crate::http::HttpResponse;
use crate::model::FailureCode;
use crate::protocol::json;
use crate::protocol::token_error::{TokenFailure, classify};
use crate::provider::ServerDescriptor;

/// The maximum length of a `request_uri`
/// ([RFC 9126 §2.2](https://www.rfc-editor.org/rfc/rfc9126#section-2.2) asks for a reasonable one).
const MAX_REQUEST_URI: usize = 2048;

/// Returns the URL to send the browser to: it names the pushed request and nothing else
/// ([RFC 9126 §4](https://www.rfc-editor.org/rfc/rfc9126#section-4)).
///
/// # Errors
///
/// [`TokenFailure`] if the server refused the request, or if its answer contains no `request_uri`.
pub(crate) fn pushed_url(
    server: &ServerDescriptor,
    response: &HttpResponse,
    endpoint: &Url,
    client_id: &str,
) -> Result<Url, TokenFailure> {
    if !response.status.is_success() {
        return Err(classify(server, response));
    }
    let request_uri = json::text_of(response.body.as_bytes(), "request_uri")
        .filter(|uri| {
            !uri.is_empty() && uri.len() <= MAX_REQUEST_URI && uri.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .ok_or_else(|| TokenFailure::new(FailureCode::UnreadableAnswer))?;
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("request_uri", &request_uri);
    Ok(url)
}
