//! Client authentication with a signed assertion
//! ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use crate::model::Timestamp;
use crate::protocol::form::Fields;
use crate::protocol::request_error::RequestError;
use crate::provider::{AssertionAudience, ClientRegistration, ServerDescriptor};
use crate::random;

/// The type of the assertion.
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The lifetime of an assertion: enough for a slow request and a clock that is a little behind.
const LIFETIME_SECONDS: i64 = 120;

/// Adds an assertion for a request to this endpoint. Each one has its own `jti` and is sent once.
pub(super) fn add(
    fields: &mut Fields<'_>,
    server: &ServerDescriptor,
    registration: &ClientRegistration,
    endpoint: &Url,
    now: Timestamp,
) -> Result<(), RequestError> {
    fields.lend("client_assertion_type", TYPE);
    let audience = match server.client_assertion_audience {
        AssertionAudience::Issuer => server.issuer.as_deref().ok_or(RequestError::Audience)?,
        AssertionAudience::Endpoint => endpoint.as_str(),
    };
    fields.give("client_assertion", assertion(registration, audience, now)?);
    Ok(())
}

/// Returns a signed JWT about the client, for this audience
/// ([RFC 7523 §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)).
fn assertion(
    registration: &ClientRegistration,
    audience: &str,
    now: Timestamp,
) -> Result<Zeroizing<String>, RequestError> {
    let key = registration.key.as_ref().ok_or(RequestError::PrivateKey)?;
    let unavailable = |_| RequestError::Random;
    let mut header = json!({ "alg": key.algorithm(), "typ": "JWT" });
    if let Some(id) = key.id() {
        header["kid"] = id.into();
    }
    let issued_at = now.as_unix_millis().div_euclid(1000);
    let claims = json!({
        "iss": registration.client_id,
        "sub": registration.client_id,
        "aud": audience,
        "jti": random::token_256().map_err(unavailable)?.as_str(),
        "iat": issued_at,
        "exp": issued_at + LIFETIME_SECONDS,
    });
    let encoded = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut signed = format!("{}.{}", encoded(header), encoded(claims));
    let signature = key.sign(signed.as_bytes()).map_err(unavailable)?;
    signed.push('.');
    signed.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(Zeroizing::new(signed))
}
