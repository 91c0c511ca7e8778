//! The places of values in token answers.

use crate::provider::Pointer;

/// The places of values in the answers of a token endpoint. Default: those of
/// [RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1).
///
/// Pointers start at the root of the answer, so they include an envelope: `/data/access_token`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "the shape of an answer, written as an object"
)]
#[non_exhaustive]
pub struct AnswerShape {
    /// The object that contains the standard members, if it is not the root: `/data`. The pointers
    /// below still start at the root.
    pub envelope: Option<Pointer>,
    /// The access token.
    pub access_token: Option<Pointer>,
    /// The refresh token.
    pub refresh_token: Option<Pointer>,
    /// The lifetime or expiry time of the access token. An unreadable value counts as the default
    /// lifetime, or as five minutes: the token is kept, and refreshed soon. Null and 0 mean that
    /// the token does not expire.
    pub expires: Option<Pointer>,
    /// The format of the lifetime.
    #[serde(deserialize_with = "crate::provider::tagged::deserialize")]
    pub expiry: Expiry,
    /// The scopes.
    pub scope: Option<Pointer>,
    /// The error code.
    pub error: Option<Pointer>,
    /// The member that marks a success, if refusals have status 200.
    pub success: Option<SuccessFlag>,
    /// True if any `token_type` is accepted.
    pub any_token_type: bool,
    /// True if a successful refresh returns no access token: the stored one remains in use.
    pub refresh_without_token: bool,
}

/// The format of an access token's expiry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Expiry {
    /// Seconds from now.
    #[default]
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// Seconds since 1970, compared with the answer's own `Date`; without a `Date`, the default
    /// lifetime applies.
    UnixSeconds,
    /// Milliseconds since 1970, compared in the same way.
    UnixMilliseconds,
    /// A date with its offset, such as `2026-12-22T16:00:00Z` (RFC 3339), compared in the same way.
    Rfc3339,
}

/// A member that has one of these values in a success, and another value in a refusal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mark of success, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct SuccessFlag {
    /// The member.
    pub pointer: Pointer,
    /// The values of a success: `true`, `0`, `"0000"` without the quotes.
    #[serde(deserialize_with = "crate::provider::scalar::list")]
    pub values: Vec<String>,
}
