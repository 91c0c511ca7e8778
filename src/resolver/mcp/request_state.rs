//! `requestState`: what comes back from a client as it was sent, and is text from an attacker until
//! it opens.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::canonical;
use crate::error::{Error, Result};
use crate::model::{ActingUser, ConsentId, Timestamp};
use crate::random;
use crate::resolver::consent_request::ConsentRequest;
use crate::resolver::turn::Turn;
use crate::vault::envelope::{Cipher, MasterKey};

/// The version of the format: the first byte of a state, and bound into its seal.
const FORMAT: u8 = 1;

const NONCE: usize = 12;
const TAG: usize = 16;
const DIGEST: usize = 32;
const ID: usize = 16;

/// What is sealed before the ids of the consents: expiry, serial number, and three digests.
const FIXED: usize = 8 + ID + 3 * DIGEST;

/// The most consents that one state names.
const MAX_CONSENTS: usize = 64;

/// The time for which a state is good unless it is said otherwise.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The members of a request's parameters that belong to the protocol: they differ when the same
/// call comes again.
const NOT_BOUND: [&str; 3] = ["_meta", "requestState", "inputResponses"];

/// The member that holds the arguments of a call.
const ARGUMENTS: &str = "arguments";

/// Seals and opens request states: AES-256-GCM under a key of its own.
///
/// A state is bound to the person, the method and the parameters of the request, is good for an
/// hour, and opens once. Of the parameters, `_meta`, `requestState` and `inputResponses` are left
/// out: they differ when the same call comes again. A state holds the ids of the consents that were
/// asked for and nothing that opens anything: whether the person is connected says the vault.
/// Opening is remembered in this process, until the state has expired; another process with the
/// same key opens it once more.
///
/// ```
/// # use valetkey::AuthorizationResponse;
/// # use valetkey::testing::{ManualClock, Sandbox};
/// # use valetkey::vault::SealedVault;
/// # use valetkey::{ActingUser, Connections, Resolver};
/// use serde_json::json;
/// use valetkey::resolver::mcp::{RequestStateKey, input_required};
/// use valetkey::vault::MasterKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = Sandbox::new(ManualClock::default());
/// # let connections = Connections::builder(SealedVault::in_memory())
/// #   .server(sandbox.server()).provider(sandbox.provider("notes")).http_client(sandbox.clone())
/// #   .clock(ManualClock::default())
/// #   .client("sandbox", sandbox.registration("https://app.example/callback"))
/// #   .build()?;
/// # let alice = ActingUser::authenticated("acme", "alice")?;
/// # let turn = Resolver::new(connections).turn(alice);
/// let states = RequestStateKey::of(&MasterKey::generate()?);
/// let mut parameters = json!({ "name": "read_notes", "arguments": { "limit": 10 } });
/// let error = turn.resolve("notes").unwrap_err();
/// let asked = turn.ask(error.consent_required().unwrap())?;
/// let state = states.seal(&turn, "tools/call", &parameters, &[&asked])?;
/// # let link = "https://app.example/connect/ticket";
/// let _answer = input_required(&[(&asked, link)], Some(&state));
/// // The client calls again, with what it was given.
/// parameters["requestState"] = state.clone().into();
/// assert_eq!(states.open(&turn, "tools/call", &parameters, &state)?, [asked.id()]);
/// # Ok(())
/// # }
/// ```
pub struct RequestStateKey {
    cipher: Cipher,
    lifetime: Duration,
    /// The serial numbers of the states that were opened, until they expire.
    opened: Mutex<HashMap<[u8; ID], Timestamp>>,
}

/// Why a state is refused. To a client all of them are the same: it calls again without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RequestStateError {
    /// It was not made with this key, or was changed.
    #[error("the request state was not created with this key; repeat the call without it")]
    Forged,
    /// It was made for somebody else.
    #[error("the request state belongs to another user; repeat the call without it")]
    WrongUser,
    /// It was made for another method, or with other parameters than the arguments, such as the
    /// name of another tool.
    #[error("the request state belongs to another call; repeat the call without it")]
    OtherCall,
    /// It was made for the same tool with other arguments.
    #[error("the request state belongs to a call with other arguments; repeat the call without it")]
    OtherArguments,
    /// Its time is over.
    #[error("the request state has expired; repeat the call without it")]
    Expired,
    /// It was opened before.
    #[error("the request state was used already; repeat the call without it")]
    Used,
}

impl RequestStateKey {
    /// The key that is derived from this one, by HKDF: the vault's master key, or one of its own,
    /// read as that is read.
    #[must_use]
    pub fn of(key: &MasterKey) -> Self {
        Self {
            cipher: key.derived_cipher(b"request-state"),
            lifetime: LIFETIME,
            opened: Mutex::default(),
        }
    }

    /// The same key, whose states are good for this long.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Returns a state for this call of this turn's person, that names what they were asked for: 64
    /// consents at most, more are not named. Give the method and the `params` of the request as the
    /// client sent them.
    ///
    /// # Errors
    ///
    /// [`RandomUnavailable`](Error::RandomUnavailable) if the operating system has no random
    /// numbers.
    pub fn seal(
        &self,
        turn: &Turn,
        method: &str,
        parameters: &Value,
        asked: &[&ConsentRequest],
    ) -> Result<String> {
        let mut nonce = [0; NONCE];
        let mut serial = [0; ID];
        random::fill(&mut nonce)?;
        random::fill(&mut serial)?;
        let expires_at = turn.now() + self.lifetime;
        let mut state = Vec::with_capacity(1 + NONCE + FIXED + asked.len() * ID + TAG);
        state.push(FORMAT);
        state.extend_from_slice(&nonce);
        state.extend_from_slice(&expires_at.as_unix_millis().to_be_bytes());
        state.extend_from_slice(&serial);
        for part in digests(turn.acting_user(), method, parameters) {
            state.extend_from_slice(&part);
        }
        for consent in asked.iter().take(MAX_CONSENTS) {
            state.extend_from_slice(consent.id().as_bytes());
        }
        // Fails for what is too long, and a state is short.
        self.cipher
            .seal(nonce, &[FORMAT], &mut state, 1 + NONCE)
            .map_err(|_| Error::RandomUnavailable)?;
        Ok(URL_SAFE_NO_PAD.encode(state))
    }

    /// Returns the consents that the state names, if it was made for this call of this turn's
    /// person and is good; it is used up then. Whether they were given says [`Turn::poll`], or the
    /// next resolve.
    ///
    /// # Errors
    ///
    /// [`RequestStateError`] says what is wrong with it. One that was made for somebody or
    /// something else stays good for them.
    pub fn open(
        &self,
        turn: &Turn,
        method: &str,
        parameters: &Value,
        state: &str,
    ) -> Result<Vec<ConsentId>, RequestStateError> {
        let longest = 1 + NONCE + FIXED + MAX_CONSENTS * ID + TAG;
        if state.len() > longest.div_ceil(3) * 4 {
            return Err(RequestStateError::Forged);
        }
        let mut state = URL_SAFE_NO_PAD
            .decode(state)
            .map_err(|_| RequestStateError::Forged)?;
        let (head, sealed) = state
            .split_at_mut_checked(1 + NONCE)
            .ok_or(RequestStateError::Forged)?;
        let nonce = head[1..].try_into().map_err(|_| RequestStateError::Forged)?;
        let plain = self
            .cipher
            .open(nonce, &head[..1], sealed)
            .map_err(|_| RequestStateError::Forged)?;
        if head[0] != FORMAT || plain.len() < FIXED || !(plain.len() - FIXED).is_multiple_of(ID) {
            return Err(RequestStateError::Forged);
        }
        let (fixed, consents) = plain.split_at(FIXED);
        let (expires_at, rest) = fixed.split_at(8);
        let (serial, bound) = rest.split_at(ID);
        let expected = digests(turn.acting_user(), method, parameters);
        let refusals = [
            RequestStateError::WrongUser,
            RequestStateError::OtherCall,
            RequestStateError::OtherArguments,
        ];
        for ((found, expected), refusal) in bound.chunks(DIGEST).zip(expected).zip(refusals) {
            if found != expected {
                return Err(refusal);
            }
        }
        let expires_at = expires_at.try_into().map(i64::from_be_bytes);
        let expires_at = expires_at.map_or(Timestamp::from_unix_millis(0), Timestamp::from_unix_millis);
        if expires_at <= turn.now() {
            return Err(RequestStateError::Expired);
        }
        self.use_up(serial, expires_at, turn.now())?;
        let ids = consents.as_chunks::<ID>().0.iter();
        Ok(ids.map(|id| ConsentId::from_bytes(*id)).collect())
    }

    fn use_up(&self, serial: &[u8], expires_at: Timestamp, now: Timestamp) -> Result<(), RequestStateError> {
        let serial = serial.try_into().map_err(|_| RequestStateError::Forged)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        // Only where it would grow: each is looked at a few times at most before it goes.
        if opened.len() == opened.capacity() {
            opened.retain(|_, expires_at| *expires_at > now);
        }
        match opened.insert(serial, expires_at) {
            None => Ok(()),
            Some(_) => Err(RequestStateError::Used),
        }
    }
}

impl fmt::Debug for RequestStateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestStateKey([redacted])")
    }
}

/// Returns what a state is bound to: the person; the method and all parameters but the arguments;
/// the arguments. Each part with its length: no two lists of parts are the same bytes.
fn digests(person: &ActingUser, method: &str, parameters: &Value) -> [[u8; DIGEST]; 3] {
    let (mut rest, mut arguments) = (Vec::new(), Vec::new());
    match parameters {
        Value::Object(members) => {
            let mut members = members.clone();
            members.retain(|name, _| !NOT_BOUND.contains(&name.as_str()));
            // No arguments are no bytes, and differ from every value.
            if let Some(given) = members.remove(ARGUMENTS) {
                canonical::encode(&given, &mut arguments);
            }
            canonical::encode(&Value::Object(members), &mut rest);
        }
        other => canonical::encode(other, &mut rest),
    }
    [
        digest_of(&[
            person.tenant().as_str().as_bytes(),
            person.user().as_str().as_bytes(),
        ]),
        digest_of(&[method.as_bytes(), &rest]),
        digest_of(&[&arguments]),
    ]
}

fn digest_of(parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    let mut out = [0; DIGEST];
    out.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    out
}
