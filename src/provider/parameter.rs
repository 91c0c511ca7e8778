//! Values of a connection that fill the URLs of a descriptor.

use crate::provider::syntax::{base_url, is_host, is_segment, is_word, meant_base_url, meant_host};
use crate::provider::{Pattern, Pointer, Transport};

/// The maximum length of a value of a kind without a lower limit, in bytes.
const MAX_TEXT: usize = 1024;

/// The rule for a value of a connection: its name, its allowed form and its source. Create one with
/// [`ParameterRule::new`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule, written as an object")]
#[non_exhaustive]
pub struct ParameterRule {
    /// The name, as in `{name}`.
    pub name: String,
    /// The kind of value.
    #[serde(deserialize_with = "crate::provider::tagged::deserialize")]
    pub kind: ParameterKind,
    /// The value to use if the host sets none. Absent: the host must set one. Empty: there is no
    /// value, and none is needed.
    #[serde(default, deserialize_with = "crate::provider::scalar::optional")]
    pub default: Option<String>,
    /// True if the value may be missing. A template without its value uses its next alternative.
    #[serde(default)]
    pub optional: bool,
    /// The source of the value. Default: the host.
    #[serde(default, deserialize_with = "crate::provider::tagged::deserialize")]
    pub source: ParameterSource,
    /// A regular expression that the value must match from end to end, without back references, and
    /// with look-ahead only at its very start.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// Text before the value that people write and that is removed: `https://`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Text after the value that people write and that is removed: `.example.com`.
    #[serde(default)]
    pub suffix: Option<String>,
    /// The display name.
    #[serde(default)]
    pub title: Option<String>,
    /// An example value to display.
    #[serde(default, deserialize_with = "crate::provider::scalar::optional")]
    pub example: Option<String>,
    /// A sentence that helps users to find the value.
    #[serde(default)]
    pub help: Option<String>,
}

/// The source of a parameter's value.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParameterSource {
    /// The host sets it when the consent starts.
    #[default]
    Host,
    /// The callback contains it, in the parameter of this name. The browser controls it, so it can
    /// only choose among values that the rule allows: it may not be a base URL unless the rule
    /// lists it.
    Callback(String),
    /// The token answer contains it, at this place.
    TokenAnswer(Pointer),
    /// The provider's `discovery` finds it after the consent.
    Discovery,
}

/// The kind of value that a placeholder accepts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParameterKind {
    /// Letters, digits, `.`, `-` and `_`, at most 253: a host, one of its labels, or the name or id
    /// of a tenant.
    Word,
    /// A base URL: https, a host, optionally a port and a path; no user, query, fragment or
    /// trailing slash. A missing `https://` is added.
    BaseUrl,
    /// A base URL without a path. A path and query, which users often copy from the browser, are
    /// removed.
    Origin,
    /// A host directly after `https://`, optionally with a port and a path:
    /// `acme.example:8443/lab`. A scheme and a trailing slash are removed.
    Host,
    /// One of these values.
    OneOf(#[serde(deserialize_with = "crate::provider::scalar::list")] Vec<String>),
    /// A word that may also contain `~`, `:` and `@`: for a path or a query, never for a host.
    Segment,
    /// Visible characters and single spaces, at most 1024 bytes: for added parameters and headers,
    /// never for a URL.
    Text,
}

/// A parameter of a connection that is not valid. Names the parameter, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parameter \"{name}\" {problem}")]
#[non_exhaustive]
pub struct InvalidParameter {
    /// The parameter. `?` if the server does not have it, because the name may be anything.
    pub name: String,
    /// The problem.
    pub(crate) problem: ParameterProblem,
}

/// The problem with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterProblem {
    /// The server has no such parameter.
    #[error("is not known to this server; remove it")]
    Unknown,
    /// The parameter has no default, and neither the host nor the provider gave a value.
    #[error("is missing; pass a valid value with ConsentOptions::parameter")]
    Missing,
    /// Several values are possible and the host set none: the user must choose.
    #[error("is ambiguous; set it, because the provider offers several values")]
    Several,
    /// The value would send tokens to an IP address, or to the name of a host inside a network.
    #[error(
        "names a host that is not public; if this is intended, list its base URL in ClientRegistration::for_base_urls"
    )]
    InternalHost,
    /// The value is not of the required kind.
    #[error("does not have an allowed value; see its rule in the descriptor")]
    Malformed,
}

impl InvalidParameter {
    /// Returns the problem as a phrase about the parameter, such as `is missing`.
    #[must_use]
    pub fn problem(&self) -> String {
        self.problem.to_string()
    }

    pub(crate) const fn internal_host(name: String) -> Self {
        Self {
            name,
            problem: ParameterProblem::InternalHost,
        }
    }
}

impl ParameterKind {
    /// Returns the value as it is stored, if it is of this kind.
    fn accept(&self, value: &str, transport: Transport) -> Option<String> {
        match self {
            Self::Word => is_word(value).then(|| value.into()),
            Self::BaseUrl => {
                let value = meant_base_url(value)?;
                let allowed = transport == Transport::HttpsOrLoopback || value.starts_with("https:");
                allowed.then_some(value)
            }
            Self::Origin => {
                let value = meant_base_url(origin(value)?)?;
                let allowed = transport == Transport::HttpsOrLoopback || value.starts_with("https:");
                allowed.then_some(value)
            }
            Self::Host => meant_host(value),
            Self::OneOf(values) => values.iter().find(|one| *one == value).cloned(),
            Self::Segment => is_segment(value).then(|| value.into()),
            Self::Text => {
                let plain =
                    !value.is_empty() && value.trim() == value && !value.chars().any(char::is_control);
                (plain && value.len() <= MAX_TEXT).then(|| value.into())
            }
        }
    }

    /// Returns whether a value of this kind may begin a template.
    pub(super) fn is_base_url(&self) -> bool {
        match self {
            Self::Word | Self::Host | Self::Segment | Self::Text => false,
            Self::BaseUrl | Self::Origin => true,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| base_url(value).is_some()),
        }
    }

    /// Returns whether a value of this kind may be inside a template.
    pub(super) fn is_word(&self) -> bool {
        match self {
            Self::Word => true,
            Self::BaseUrl | Self::Origin | Self::Host | Self::Segment | Self::Text => false,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_word(value)),
        }
    }

    /// Returns whether a value of this kind may be a whole host.
    pub(super) fn is_host(&self) -> bool {
        match self {
            Self::Host => true,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_host(value)),
            Self::Word | Self::BaseUrl | Self::Origin | Self::Segment | Self::Text => self.is_word(),
        }
    }

    /// Returns whether a value of this kind may come after the host of a template.
    pub(super) fn is_segment(&self) -> bool {
        match self {
            Self::Segment => true,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_segment(value)),
            Self::Word | Self::BaseUrl | Self::Origin | Self::Host | Self::Text => self.is_word(),
        }
    }
}

/// Returns the scheme, if there is one, and the host with its port: everything before the path.
fn origin(value: &str) -> Option<&str> {
    let start = value.find("://").map_or(0, |at| at + 3);
    let end = value[start..]
        .find(['/', '?', '#'])
        .map_or(value.len(), |at| start + at);
    let tail = &value[end..];
    // A URL parser reads a backslash as a slash and removes control characters.
    (!tail.contains('\\') && !tail.contains(char::is_control)).then_some(&value[..end])
}

impl ParameterRule {
    /// Returns a rule for a value that the host must set.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ParameterKind) -> Self {
        Self {
            name: name.into(),
            kind,
            default: None,
            optional: false,
            source: ParameterSource::Host,
            pattern: None,
            prefix: None,
            suffix: None,
            title: None,
            example: None,
            help: None,
        }
    }

    /// Sets the value to use if the host sets none.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<String>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Allows the value to be missing.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Sets the source of the value.
    #[must_use]
    pub fn source(mut self, source: ParameterSource) -> Self {
        self.source = source;
        self
    }

    /// Sets a pattern that the value must match from end to end.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<Pattern>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// Returns the value as it is stored, if the rule allows it. Surrounding whitespace is removed,
    /// because users paste values.
    pub(crate) fn accept(&self, value: &str, transport: Transport) -> Result<String, InvalidParameter> {
        let value = value.trim();
        let value = self
            .prefix
            .as_deref()
            .map_or(value, |prefix| value.strip_prefix(prefix).unwrap_or(value));
        let value = self
            .suffix
            .as_deref()
            .map_or(value, |suffix| value.strip_suffix(suffix).unwrap_or(value));
        let matches = |value: &str| self.pattern.as_ref().is_none_or(|pattern| pattern.matches(value));
        self.kind
            .accept(value, transport)
            .filter(|kept| matches(kept))
            .ok_or_else(|| self.invalid(ParameterProblem::Malformed))
    }

    pub(crate) fn invalid(&self, problem: ParameterProblem) -> InvalidParameter {
        InvalidParameter {
            name: self.name.clone(),
            problem,
        }
    }

    /// Returns whether no value is needed: the parameter is optional, or its default is empty.
    pub(super) fn may_be_missing(&self) -> bool {
        self.optional || self.default.as_ref().is_some_and(String::is_empty)
    }

    /// Returns whether a connection may have no value: none is required, and no default replaces
    /// it.
    pub(super) fn can_be_missing(&self) -> bool {
        self.may_be_missing() && self.default.as_ref().is_none_or(String::is_empty)
    }
}
