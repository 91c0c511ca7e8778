//! The values that a connection brings for a descriptor's URLs.

use crate::provider::syntax::{base_url, is_host, is_segment, is_word, meant_base_url, meant_host};
use crate::provider::{Pattern, Pointer, Transport};

/// The longest value of a kind without a tighter bound, in bytes.
const MAX_TEXT: usize = 1024;

/// A value that a connection brings, what it may be, and where it comes from. Make one with
/// [`ParameterRule::new`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule, written as an object")]
#[non_exhaustive]
pub struct ParameterRule {
    /// The name, as in `{name}`.
    pub name: String,
    /// What may stand in it.
    #[serde(deserialize_with = "crate::provider::tagged::deserialize")]
    pub kind: ParameterKind,
    /// The value when the host names none. Absent: the host must name one. Empty: there is none,
    /// and none is needed.
    #[serde(default, deserialize_with = "crate::provider::scalar::optional")]
    pub default: Option<String>,
    /// True if it may be missing altogether. A template without its value falls back to its next
    /// alternative.
    #[serde(default)]
    pub optional: bool,
    /// Where the value comes from. The host, unless set.
    #[serde(default, deserialize_with = "crate::provider::tagged::deserialize")]
    pub source: ParameterSource,
    /// What the value must match from end to end: a regular expression without back references, and
    /// with look-ahead only at its very start.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// What people write before the value and is not part of it: `https://`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// What people write after the value and is not part of it: `.example.com`.
    #[serde(default)]
    pub suffix: Option<String>,
    /// The name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// A value to show as an example.
    #[serde(default, deserialize_with = "crate::provider::scalar::optional")]
    pub example: Option<String>,
    /// A sentence that helps users to find the value.
    #[serde(default)]
    pub help: Option<String>,
}

/// Where the value of a parameter comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParameterSource {
    /// The host names it when the consent begins.
    #[default]
    Host,
    /// It comes back with the callback, in the parameter of this name. The browser brings it, so it
    /// chooses only among what the rule allows: it may not be a base URL unless it is one of a
    /// list.
    Callback(String),
    /// It stands in the token answer, at this place.
    TokenAnswer(Pointer),
    /// The provider's `discovery` finds it after the consent.
    Discovery,
}

/// What may stand in a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParameterKind {
    /// Letters, digits, `.`, `-` and `_`, at most 253: a host, a label of one, a tenant's name or
    /// id.
    Word,
    /// A base URL: https, a host, perhaps a port and a path; no user, query, fragment or trailing
    /// slash. `https://` is added where it is missing.
    BaseUrl,
    /// A base URL without a path: what people copy along from their browser, path and query, is cut
    /// off.
    Origin,
    /// A host, perhaps with a port and a path, right behind `https://`: `acme.example:8443/lab`. A
    /// scheme and a trailing slash are cut off.
    Host,
    /// One of these.
    OneOf(#[serde(deserialize_with = "crate::provider::scalar::list")] Vec<String>),
    /// A word that may have `~`, `:` and `@` too: for a path or a query, never for a host.
    Segment,
    /// Visible characters and single spaces, at most 1024 bytes: for added parameters and headers,
    /// never for a URL.
    Text,
}

/// Why the parameters of a connection are not accepted. Names the parameter, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parameter \"{name}\" {problem}")]
#[non_exhaustive]
pub struct InvalidParameter {
    /// The parameter. One that the server does not have is given as `?`: the name may be anything.
    pub name: String,
    /// What is wrong with it.
    pub(crate) problem: ParameterProblem,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterProblem {
    /// The server has no such parameter.
    #[error("is not known to this server")]
    Unknown,
    /// It has no default and was not given, or the provider did not say it.
    #[error("is missing")]
    Missing,
    /// Several fit, and none was named: the choice is the person's, never silent.
    #[error("must be named, because the provider offers several")]
    Several,
    /// The value makes an IP address, or the name of a host inside a network, the receiver of
    /// tokens.
    #[error(
        "names a host that is not public; if you mean it, list its base URL in ClientRegistration::for_base_urls"
    )]
    InternalHost,
    /// The value is not of its kind.
    #[error("does not have an allowed value")]
    Malformed,
}

impl InvalidParameter {
    /// Returns the mistake as a phrase about the parameter, such as `is missing`.
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
    /// The value as it is kept, if it is of this kind.
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

    /// Returns whether a value of this kind may stand inside a template.
    pub(super) fn is_word(&self) -> bool {
        match self {
            Self::Word => true,
            Self::BaseUrl | Self::Origin | Self::Host | Self::Segment | Self::Text => false,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_word(value)),
        }
    }

    /// Returns whether a value of this kind may be all there is of a host.
    pub(super) fn is_host(&self) -> bool {
        match self {
            Self::Host => true,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_host(value)),
            Self::Word | Self::BaseUrl | Self::Origin | Self::Segment | Self::Text => self.is_word(),
        }
    }

    /// Returns whether a value of this kind may stand in a template after its host.
    pub(super) fn is_segment(&self) -> bool {
        match self {
            Self::Segment => true,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_segment(value)),
            Self::Word | Self::BaseUrl | Self::Origin | Self::Host | Self::Text => self.is_word(),
        }
    }
}

/// The scheme, if there is one, and the host with its port: everything before the path.
fn origin(value: &str) -> Option<&str> {
    let start = value.find("://").map_or(0, |at| at + 3);
    let end = value[start..]
        .find(['/', '?', '#'])
        .map_or(value.len(), |at| start + at);
    let tail = &value[end..];
    // A backslash is a slash to a URL parser, and a control character is nothing to it.
    (!tail.contains('\\') && !tail.contains(char::is_control)).then_some(&value[..end])
}

impl ParameterRule {
    /// A value that the host must name.
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

    /// The same with a value for when the host names none.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<String>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// The same, and it may be missing.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same, from another source than the host.
    #[must_use]
    pub fn source(mut self, source: ParameterSource) -> Self {
        self.source = source;
        self
    }

    /// The same, and it must match this from end to end.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<Pattern>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// The value in its kept form, if the rule allows it. Blanks around it are cut off: people
    /// paste values.
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

    /// Returns whether there need be no value: it is optional, or nothing is its default.
    pub(super) fn may_be_missing(&self) -> bool {
        self.optional || self.default.as_ref().is_some_and(String::is_empty)
    }

    /// Returns whether a connection may have no value: none must be given, and no default takes its
    /// place.
    pub(super) fn can_be_missing(&self) -> bool {
        self.may_be_missing() && self.default.as_ref().is_none_or(String::is_empty)
    }
}
