//! Client assertions at the sandbox ([RFC 7523
//! §3](https://www.rfc-editor.org/rfc/rfc7523#section-3)).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::Value;

use super::log::Received;
use super::refused::{Refused, parameter};
use super::state::{ClientKey, World};
use crate::model::Timestamp;
use crate::provider::AssertionAudience;

/// The type that accompanies an assertion.
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest lifetime of an assertion, in seconds.
const MOST: i64 = 5 * 60;

/// Checks that a request contains an assertion of this client that was not used before. Returns its
/// `jti`.
pub(super) fn proven(
    world: &World,
    received: &Received,
    issuer: &str,
    client: &str,
    now: Timestamp,
) -> Result<String, Refused> {
    if parameter(received, "client_assertion_type")? != Some(TYPE) {
        return Err(Refused::InvalidClient);
    }
    let assertion = parameter(received, "client_assertion")?.ok_or(Refused::InvalidClient)?;
    let key = world.client_key.as_ref().ok_or(Refused::InvalidClient)?;
    let claims = verified(key, assertion).ok_or(Refused::InvalidClient)?;
    let audience = match world.personality.described.client_assertion_audience {
        AssertionAudience::Issuer => issuer,
        AssertionAudience::Endpoint => received.address.as_str(),
    };
    let seconds = now.as_unix_millis() / 1000;
    let expires_at = claims["exp"].as_i64().unwrap_or_default();
    let issued_at = claims["iat"].as_i64().unwrap_or(i64::MAX);
    let is_about_client = claims["iss"] == client && claims["sub"] == client && claims["aud"] == audience;
    let is_current = issued_at <= seconds && seconds < expires_at && expires_at - seconds <= MOST;
    let id = claims["jti"].as_str().unwrap_or_default();
    if is_about_client && is_current && !id.is_empty() && !world.used_assertions.contains(id) {
        Ok(id.to_owned())
    } else {
        Err(Refused::InvalidClient)
    }
}

/// Returns the claims of a JWT that this key signed.
fn verified(key: &ClientKey, jwt: &str) -> Option<Value> {
    let (signed, signature) = jwt.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
    if header["alg"] != key.algorithm || header["kid"].as_str() != key.id.as_deref() {
        return None;
    }
    let algorithm: &'static dyn VerificationAlgorithm = match key.algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "ES256" => &ECDSA_P256_SHA256_FIXED,
        "ES384" => &ECDSA_P384_SHA384_FIXED,
        "EdDSA" => &ED25519,
        _ => return None,
    };
    UnparsedPublicKey::new(algorithm, &key.public_key)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .ok()?;
    serde_json::from_slice(&decoded(claims)?).ok()
}
