//! The values that a connection brings for a descriptor's URLs.

/// A placeholder of a server's URLs, and what may stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ParameterRule {
    /// The name, as in `{name}`.
    pub name: String,
    /// What may stand in it.
    pub kind: ParameterKind,
    /// The value when the host names none. Absent: the host must name one.
    #[cfg_attr(feature = "serde", serde(default))]
    pub default: Option<String>,
}

/// What may stand in a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ParameterKind {
    /// Letters, digits, `.` and `-`, at most 253: a host label, a tenant's name or id.
    Word,
    /// A base URL: https, a host, perhaps a port and a path; no user, query, fragment or trailing slash.
    BaseUrl,
    /// One of these.
    OneOf(Vec<String>),
}
