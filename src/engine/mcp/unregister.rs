//! Deletes the registration of a client at its server
//! ([RFC 7592 §2.3](https://www.rfc-editor.org/rfc/rfc7592#section-2.3)).

use http::Method;
use http::header::AUTHORIZATION;

use crate::engine::Context;
use crate::engine::directory;
use crate::engine::mcp::fetch;
use crate::http::HttpRequest;
use crate::protocol::mcp::management_url;
use crate::secret::SecretBytes;
use crate::vault::DefinitionContent;

/// Asks the issuer of a client that registered itself to delete the registration. The token for it
/// is stored no longer, so this is done once, and a server that does not answer keeps it.
pub(crate) fn unregister(cx: &Context, issuer: &str, client: &DefinitionContent) {
    let Some((address, token)) = directory::management(client) else {
        return;
    };
    let Some(url) = management_url(&address, issuer, cx.registry.transport()) else {
        return;
    };
    let mut value = Vec::with_capacity("Bearer ".len() + token.len());
    value.extend_from_slice(b"Bearer ");
    value.extend_from_slice(token.as_bytes());
    let request = HttpRequest::new(Method::DELETE, url);
    if let Ok(request) = request.with_secret_header(AUTHORIZATION, SecretBytes::from(value)) {
        // RFC 7592 answers 204, and 401 if the registration is gone already.
        let _ = fetch::send(cx, request);
    }
}
