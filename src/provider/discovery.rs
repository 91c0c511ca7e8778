//! Finds the site that a connection is for, right after the consent.

use std::collections::BTreeMap;

use crate::provider::Pointer;

/// A GET with the new access token whose answer lists the user's sites. One entry provides
/// parameters of the connection, which the API base, the API hosts and the account URL can use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a discovery, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Discovery {
    /// The URL, a template.
    pub url: String,
    /// The place of the list; empty: the answer itself. A value that is not an array counts as the
    /// only entry.
    #[serde(default)]
    pub entries: Pointer,
    /// The rule that selects one of several entries. If it is absent, or its parameter has no
    /// value, several entries are an error; none is chosen silently.
    #[serde(default)]
    pub pick: Option<Pick>,
    /// The parameters that the entry provides, with their places in it. The rule of each has the
    /// source `discovery`.
    pub values: BTreeMap<String, Pointer>,
}

/// Selects the entry by a parameter that the host sets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a choice of an entry, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Pick {
    /// The parameter.
    pub parameter: String,
    /// The place of the same value in the entry.
    pub pointer: Pointer,
}
