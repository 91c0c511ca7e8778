//! Named choices of scopes.

use std::collections::BTreeMap;

use crate::model::Scopes;

/// Named choices of scopes, in addition to the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "tiers of scopes, written as an object"
)]
#[non_exhaustive]
pub struct ScopeTiers {
    /// Scopes for reading only. Absent: the service has no such scopes.
    pub read_only: Option<Scopes>,
    /// Scopes for reading and writing.
    pub read_write: Option<Scopes>,
    /// The minimum scopes for writing something useful (or reading it, if nothing can be written).
    pub least_privilege: Option<Scopes>,
}

/// Scopes that depend on the registration of the host's client, which a parameter of the connection
/// describes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "modes of scopes, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ScopeModes {
    /// The parameter.
    pub parameter: String,
    /// For each value, the only scopes to request. Other values do not affect the scopes.
    pub scopes: BTreeMap<String, Scopes>,
}

/// A sentence that explains a scope to users.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "the words for a scope, written as an object"
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ScopeName {
    /// The scope, as it is requested.
    pub scope: String,
    /// True if the scope allows changes.
    #[serde(default)]
    pub writes: bool,
    /// The sentence, such as "Read email", by its language: `en` or `ru`. A missing language falls
    /// back to `en`.
    pub text: BTreeMap<String, String>,
}
