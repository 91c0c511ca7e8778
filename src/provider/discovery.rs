//! Which of a person's sites a connection is for: asked once, right after the consent.

use std::collections::BTreeMap;

use crate::provider::Pointer;

/// A GET with the new access token whose answer lists what the person has; one entry of it becomes
/// parameters of the connection, usable in the API base, the API hosts and the account URL.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a discovery, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Discovery {
    /// The URL, a template.
    pub url: String,
    /// Where the list is; empty: the answer itself. Where there is no array, what is there counts
    /// as the one entry.
    #[serde(default)]
    pub entries: Pointer,
    /// How an entry is chosen where there are several. Absent, or without a value of its parameter:
    /// several are an error, never a silent choice.
    #[serde(default)]
    pub pick: Option<Pick>,
    /// The parameters that the entry fills, and where it says them. Each has a rule with the source
    /// `discovery`.
    pub values: BTreeMap<String, Pointer>,
}

/// Chooses the entry by a parameter that the host names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a choice of an entry, written as an object")]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Pick {
    /// The parameter.
    pub parameter: String,
    /// Where the entry says the same.
    pub pointer: Pointer,
}
