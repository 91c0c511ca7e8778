//! The MCP `requestState`: returned by a client, and untrusted until it is decrypted.

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

/// The version of the format: the first byte of a state, which is also authenticated.
const FORMAT: u8 = 1;

const NONCE: usize = 12;
const TAG: usize = 16;
const DIGEST: usize = 32;
const ID: usize = 16;

/// The encrypted data before the ids of the consents: expiry, serial number, and three digests.
const FIXED: usize = 8 + ID + 3 * DIGEST;

/// The maximum number of consents in one state.
const MAX_CONSENTS: usize = 64;

/// The default lifetime of a state.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Members of a request's parameters that belong to the protocol and differ when the same call is
/// repeated.
const NOT_BOUND: [&str; 3] = ["_meta", "requestState", "inputResponses"];

/// The member that holds the arguments of a call.
const ARGUMENTS: &str = "arguments";

/// Encrypts and decrypts request states with AES-256-GCM under a separate key.
///
/// A state is bound to the user, the method and the parameters of the request, is valid for an
/// hour, and opens once. The parameters `_meta`, `requestState` and `inputResponses` are excluded,
/// because they differ when the same call is repeated. A state contains the ids of the requested
/// consents, which grant no access: only the vault knows whether the user is connected. Each
/// process remembers the opened states until they expire; another process with the same key can
/// open a state once more.
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
    /// The serial numbers of opened states, until they expire.
    opened: Mutex<HashMap<[u8; ID], Timestamp>>,
}

/// The reason why a state is refused. Clients handle all of them alike: they call again without a
/// state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RequestStateError {
    /// The state was not created with this key, or was changed.
    #[error("the request state was not created with this key; repeat the call without it")]
    Forged,
    /// The state belongs to another user.
    #[error("the request state belongs to another user; repeat the call without it")]
    WrongUser,
    /// The state belongs to another method, or to other parameters than the arguments, such as the
    /// name of another tool.
    #[error("the request state belongs to another call; repeat the call without it")]
    OtherCall,
    /// The state belongs to the same tool with other arguments.
    #[error("the request state belongs to a call with other arguments; repeat the call without it")]
    OtherArguments,
    /// The state has expired.
    #[error("the request state has expired; repeat the call without it")]
    Expired,
    /// The state was already used.
    #[error("the request state was already used; repeat the call without it")]
    Used,
}

impl RequestStateKey {
    /// Derives the key by HKDF from this one: the vault's master key, or a separate key in the same
    /// format.
    #[must_use]
    pub fn of(key: &MasterKey) -> Self {
        Self {
            cipher: key.derived_cipher(b"request-state"),
            lifetime: LIFETIME,
            opened: Mutex::default(),
        }
    }

    /// Sets the lifetime of states.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Returns a state for this call of this turn's user that names the requested consents. At most
    /// 64 consents are named; further ones are omitted. Pass the method and the `params` of the
    /// request as the client sent them.
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
        // Fails only for data that is too long, and a state is short.
        self.cipher
            .seal(nonce, &[FORMAT], &mut state, 1 + NONCE)
            .map_err(|_| Error::RandomUnavailable)?;
        Ok(URL_SAFE_NO_PAD.encode(state))
    }

    /// Opens a state and returns the consents that it names, if it is valid and was created for
    /// this call of this turn's user. The state is then used up. Call [`Turn::poll`], or resolve
    /// again, to find out whether the user consented.
    ///
    /// # Errors
    ///
    /// [`RequestStateError`] gives the reason. A state that belongs to another user or call remains
    /// valid for them.
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
        // Expired entries are only removed when the list would grow, so each is examined a few
        // times at most.
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

/// Returns the digests that a state is bound to: the user; the method and all parameters except the
/// arguments; the arguments. Each part is prefixed with its length, so different lists of parts
/// have different bytes.
fn digests(person: &ActingUser, method: &str, parameters: &Value) -> [[u8; DIGEST]; 3] {
    let (mut rest, mut arguments) = (Vec::new(), Vec::new());
    match parameters {
        Value::Object(members) => {
            let mut members = members.clone();
            members.retain(|name, _| !NOT_BOUND.contains(&name.as_str()));
            // Absent arguments contribute no bytes and differ from every value.
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
