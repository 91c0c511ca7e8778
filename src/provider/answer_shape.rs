//! Where a token answer says what.

use crate::provider::Pointer;

/// Where the answers of a token endpoint say what. Silent: at the places of
/// [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1).
///
/// Pointers start at the root of the answer, so an envelope is a part of each:
/// `/data/access_token`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "the shape of an answer, written as an object"
)]
#[non_exhaustive]
pub struct AnswerShape {
    /// The object that holds the standard members, if not the root: `/data`. The pointers below
    /// start at the root still.
    pub envelope: Option<Pointer>,
    /// The access token.
    pub access_token: Option<Pointer>,
    /// The refresh token.
    pub refresh_token: Option<Pointer>,
    /// The lifetime or the end of the access token. A value there that cannot be read counts as the
    /// default lifetime, or as five minutes: the token is kept, and refreshed soon. Null and 0 mean
    /// that it does not expire.
    pub expires: Option<Pointer>,
    /// How the lifetime is written.
    #[serde(deserialize_with = "crate::provider::tagged::deserialize")]
    pub expiry: Expiry,
    /// The scopes.
    pub scope: Option<Pointer>,
    /// The error code.
    pub error: Option<Pointer>,
    /// What marks a success, where refusals come with status 200.
    pub success: Option<SuccessFlag>,
    /// True if `token_type` may be anything.
    pub any_token_type: bool,
    /// True if a refresh that succeeds brings no access token: the one that is held lives on.
    pub refresh_without_token: bool,
}

/// How an answer writes when the access token expires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expiry {
    /// Seconds from now.
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970, compared with the answer's own `Date`; without one the default lifetime
    /// counts.
    UnixSeconds,
    /// Milliseconds since 1970, in the same way.
    UnixMilliseconds,
    /// A date with its offset, such as `2026-12-22T16:00:00Z` (RFC 3339), in the same way.
    Rfc3339,
}

/// A member that has one of these values in a success, and another in a refusal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mark of success, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct SuccessFlag {
    /// The member.
    pub pointer: Pointer,
    /// What it says in a success: `true`, `0`, `"0000"` without the quotes.
    #[serde(deserialize_with = "crate::provider::scalar::list")]
    pub values: Vec<String>,
}
