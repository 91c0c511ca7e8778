//! Proof that a change was asked for by a page of the gateway, not by another site.
//!
//! A random secret stays in a cookie; forms carry its HMAC over who is signed in. Nothing is kept here, so any process
//! can check what another has issued; a cookie that an attacker plants is of no use to them without the `__Host-`
//! prefix's guarantee, and a token of one person is none for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use ring::hmac;
use zeroize::Zeroizing;

use super::cookie::{self, Cookies};
use crate::error::RandomUnavailable;
use crate::model::ActingUser;
use crate::random;

/// The header in which scripts send the token.
pub(super) const HEADER: &str = "x-csrf-token";
/// The field in which forms send it.
pub(super) const FIELD: &str = "csrf_token";

/// The token for the forms of one answer, and the secret to be kept if there was none.
pub(super) struct Csrf {
    pub(super) token: String,
    pub(super) fresh: Option<Zeroizing<String>>,
}

pub(super) fn issue(
    cookies: Cookies,
    headers: &HeaderMap,
    who: &ActingUser,
) -> Result<Csrf, RandomUnavailable> {
    if let Some(secret) = secret(cookies, headers) {
        return Ok(Csrf {
            token: URL_SAFE_NO_PAD.encode(hmac::sign(&key(secret), &message(who))),
            fresh: None,
        });
    }
    let fresh = random::token_256()?;
    Ok(Csrf {
        token: URL_SAFE_NO_PAD.encode(hmac::sign(&key(&fresh), &message(who))),
        fresh: Some(fresh),
    })
}

/// Whether the token is that of this browser's secret and this person.
pub(super) fn holds(cookies: Cookies, headers: &HeaderMap, who: &ActingUser, token: &str) -> bool {
    let Some(secret) = secret(cookies, headers) else {
        return false;
    };
    let Ok(tag) = URL_SAFE_NO_PAD.decode(token) else {
        return false;
    };
    hmac::verify(&key(secret), &message(who), &tag).is_ok()
}

fn secret(cookies: Cookies, headers: &HeaderMap) -> Option<&str> {
    // Shorter than what is issued: somebody else's.
    cookie::find(headers, &cookies.csrf()).filter(|secret| secret.len() == 43)
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn message(who: &ActingUser) -> Vec<u8> {
    let mut message = b"valetkey csrf".to_vec();
    for part in [who.tenant().as_str(), who.user().as_str()] {
        // Ids have no control characters: the zero ends each without ambiguity.
        message.push(0);
        message.extend_from_slice(part.as_bytes());
    }
    message
}
