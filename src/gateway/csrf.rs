//! Proves that a page of the gateway requested a change, and not another site.
//!
//! A random secret is kept in a cookie. Forms carry its HMAC over the signed-in user, their
//! session, and the time when the token was made. The gateway stores nothing, so any process can
//! check a token that another has issued. The `__Host-` prefix keeps other sites from planting the
//! cookie, and a token of one user is not valid for another.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use ring::hmac;
use zeroize::Zeroizing;

use super::Caller;
use super::cookie::{self, Cookies};
use crate::model::Timestamp;
use crate::random::{self, RandomUnavailable};

/// The header in which scripts send the token.
pub(super) const HEADER: &str = "x-csrf-token";
/// The field in which forms send it.
pub(super) const FIELD: &str = "csrf_token";

/// The lifetime of a token: more than a day, for pages that stay open.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// The tolerated difference between the clocks of the processes that serve one browser.
const SKEW: Duration = Duration::from_secs(300);
/// The length of the secret in the cookie. The gateway did not set a cookie of another length.
const SECRET_LEN: usize = 43;

/// The secret of a browser, with which tokens are made and checked.
pub(super) struct Csrf {
    secret: Zeroizing<String>,
    fresh: bool,
}

impl Csrf {
    /// Returns the secret that the browser sent, or a new one.
    pub(super) fn of(cookies: Cookies, headers: &HeaderMap) -> Result<Self, RandomUnavailable> {
        match sent(cookies, headers) {
            Some(secret) => Ok(Self {
                secret: Zeroizing::new(secret.to_owned()),
                fresh: false,
            }),
            None => Ok(Self {
                secret: random::token_256()?,
                fresh: true,
            }),
        }
    }

    /// Returns the token for the forms of one response.
    pub(super) fn token(&self, caller: &Caller, now: Timestamp) -> String {
        let issued = now.as_unix_millis().to_be_bytes();
        let tag = hmac::sign(&key(&self.secret), &message(caller, b"form", &[&issued]));
        URL_SAFE_NO_PAD.encode([&issued, tag.as_ref()].concat())
    }

    /// Returns the proof that this gateway made these parts, for this user in this browser.
    pub(super) fn proof(&self, caller: &Caller, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&key(&self.secret), &message(caller, b"proof", parts)))
    }

    /// Returns the secret if the browser does not have it yet.
    pub(super) fn fresh(&self) -> Option<&str> {
        self.fresh.then_some(self.secret.as_str())
    }
}

/// Returns whether the token matches this browser's secret, this user and this session, and has not
/// expired.
pub(super) fn holds(
    cookies: Cookies,
    headers: &HeaderMap,
    caller: &Caller,
    now: Timestamp,
    token: &str,
) -> bool {
    let Some(secret) = sent(cookies, headers) else {
        return false;
    };
    let Ok(token) = URL_SAFE_NO_PAD.decode(token) else {
        return false;
    };
    let Some((issued, tag)) = token.split_first_chunk::<8>() else {
        return false;
    };
    let at = Timestamp::from_unix_millis(i64::from_be_bytes(*issued));
    let is_young = now < at + LIFETIME && at <= now + SKEW;
    is_young && hmac::verify(&key(secret), &message(caller, b"form", &[issued]), tag).is_ok()
}

/// Returns whether this gateway made the proof for these parts.
pub(super) fn proves(
    cookies: Cookies,
    headers: &HeaderMap,
    caller: &Caller,
    parts: &[&[u8]],
    proof: &str,
) -> bool {
    let tag = URL_SAFE_NO_PAD.decode(proof);
    match (sent(cookies, headers), tag) {
        (Some(secret), Ok(tag)) => {
            hmac::verify(&key(secret), &message(caller, b"proof", parts), &tag).is_ok()
        }
        _ => false,
    }
}

fn sent(cookies: Cookies, headers: &HeaderMap) -> Option<&str> {
    cookie::find(headers, &cookies.csrf()).filter(|secret| secret.len() == SECRET_LEN)
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

/// Encodes the user, the session and the parts, each preceded by its length.
fn message(caller: &Caller, purpose: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let who = caller.acting_user();
    let session = caller.session().map_or(&[][..], |session| &session[..]);
    let fixed = [
        b"valetkey csrf",
        purpose,
        who.tenant().as_str().as_bytes(),
        who.user().as_str().as_bytes(),
        session,
    ];
    let mut message = Vec::new();
    for part in fixed.into_iter().chain(parts.iter().copied()) {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;
    use crate::model::{ActingUser, TenantId};

    const COOKIES: Cookies = Cookies { secure: true };

    fn caller(tenant: &str, user: &str) -> Caller {
        let tenant = TenantId::new(tenant).unwrap();
        Caller::user(ActingUser::authenticated(tenant, user).unwrap())
    }

    fn browser(secret: &str) -> HeaderMap {
        let cookie = format!("{}={secret}", COOKIES.csrf());
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&cookie).unwrap())])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn a_token_is_good_for_its_browser_person_and_session_alone() {
        let alice = || caller("acme", "alice").in_session("one");
        let (here, there) = (browser(&"s".repeat(43)), browser(&"t".repeat(43)));
        let without = HeaderMap::new();
        let token = Csrf::of(COOKIES, &here).unwrap().token(&alice(), at(0));
        let holds = |headers, caller: &Caller| holds(COOKIES, headers, caller, at(1), &token);
        assert!(holds(&here, &alice()));
        assert!(!holds(&there, &alice()), "another browser");
        assert!(!holds(&without, &alice()), "no cookie");
        assert!(
            !holds(&here, &caller("acme", "bob").in_session("one")),
            "another person"
        );
        assert!(
            !holds(&here, &caller("zeta", "alice").in_session("one")),
            "another tenant"
        );
        assert!(
            !holds(&here, &caller("acmealice", "x").in_session("one")),
            "shifted"
        );
        assert!(!holds(&here, &alice().in_session("two")), "after a new sign-in");
        assert!(!holds(&here, &caller("acme", "alice")), "without a session");
    }

    #[test]
    fn a_token_ages_and_cannot_be_made_younger() {
        let (alice, here) = (caller("acme", "alice"), browser(&"s".repeat(43)));
        let token = Csrf::of(COOKIES, &here).unwrap().token(&alice, at(1_000));
        let holds = |token: &str, seconds| holds(COOKIES, &here, &alice, at(seconds), token);
        for (seconds, good) in [
            (1_000, true),
            (87_399, true),
            (87_400, false),
            (700, true),
            (699, false),
        ] {
            assert_eq!(holds(&token, seconds), good, "{seconds}");
        }
        let mut younger = URL_SAFE_NO_PAD.decode(&token).unwrap();
        younger[6] ^= 1;
        let younger = URL_SAFE_NO_PAD.encode(younger);
        assert!(!holds(&younger, 1_000) && !holds("", 1_000) && !holds(&token[..8], 1_000));
    }

    #[test]
    fn a_secret_of_another_length_is_not_ours() {
        let alice = caller("acme", "alice");
        for length in [0, 1, 42, 44] {
            let planted = "s".repeat(length);
            let headers = browser(&planted);
            assert!(Csrf::of(COOKIES, &headers).unwrap().fresh().is_some(), "{length}");
            let of_planted = Csrf {
                secret: Zeroizing::new(planted),
                fresh: false,
            };
            let token = of_planted.token(&alice, at(0));
            assert!(!holds(COOKIES, &headers, &alice, at(0), &token), "{length}");
            let proof = of_planted.proof(&alice, &[b"x"]);
            assert!(!proves(COOKIES, &headers, &alice, &[b"x"], &proof), "{length}");
        }
    }

    #[test]
    fn a_proof_is_of_its_parts_and_no_token() {
        let (alice, here) = (caller("acme", "alice"), browser(&"s".repeat(43)));
        let csrf = Csrf::of(COOKIES, &here).unwrap();
        let proof = csrf.proof(&alice, &[b"ab", b"c"]);
        let proves = |parts: &[&[u8]], proof: &str| proves(COOKIES, &here, &alice, parts, proof);
        assert!(proves(&[b"ab", b"c"], &proof));
        assert!(!proves(&[b"a", b"bc"], &proof) && !proves(&[b"ab"], &proof));
        assert!(!proves(&[b"ab", b"c"], &csrf.token(&alice, at(0))));
        assert!(!holds(COOKIES, &here, &alice, at(0), &proof));
    }
}
