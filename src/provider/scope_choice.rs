//! Which scopes are asked for.

use std::collections::BTreeMap;

use crate::model::Scopes;

/// Named choices of scopes, beside the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "tiers of scopes, written as an object"
)]
#[non_exhaustive]
pub struct ScopeTiers {
    /// Reading alone. Absent: the service has no such scopes.
    pub read_only: Option<Scopes>,
    /// Reading and writing.
    pub read_write: Option<Scopes>,
    /// The least with which something useful can be written (or read, where nothing can be
    /// written).
    pub least_privilege: Option<Scopes>,
}

/// Scopes that depend on how the host's client is registered: a parameter of the connection says
/// how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "modes of scopes, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct ScopeModes {
    /// The parameter that decides.
    pub parameter: String,
    /// By its value: the scopes to ask for, and no others. Values that are not here leave the
    /// choice as it is.
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
