//! The requirements of a turn for a token.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::model::{Label, ProviderId, Scopes};

/// The requirements of a turn: the provider, and the properties of its token.
///
/// A provider's id converts into options without further requirements, so `turn.resolve("gmail")`
/// is enough if the user has one account. Options can be reused by reference.
///
/// ```
/// use valetkey::resolver::ResolveOptions;
/// # use valetkey::model::{InvalidValue, Label};
/// # fn main() -> Result<(), InvalidValue> {
/// let options = ResolveOptions::new("gmail").label(Label::new("work")?);
/// assert_eq!(options.provider, "gmail");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolveOptions<'a> {
    /// The provider.
    pub provider: Cow<'a, str>,
    /// The label of the connection, for users with several.
    pub label: Option<Label>,
    /// The agent's tool that makes the call, if the policy distinguishes tools. If the name is
    /// empty, longer than 512 bytes, or contains a control character or an invisible one, the call
    /// fails with [`Error::InvalidValue`](crate::Error::InvalidValue).
    pub tool: Option<Cow<'a, str>>,
    /// The scopes that must have been granted.
    pub scopes: Scopes,
    /// The minimum remaining lifetime of the token.
    pub min_ttl: Duration,
    /// The time limit of the call, including waiting for a refresh and for the API's response. The
    /// limits of the settings also apply.
    pub deadline: Option<Duration>,
}

impl<'a> ResolveOptions<'a> {
    /// Creates options for a provider without further requirements.
    #[must_use]
    pub fn new(provider: impl Into<Cow<'a, str>>) -> Self {
        Self {
            provider: provider.into(),
            label: None,
            tool: None,
            scopes: Scopes::default(),
            min_ttl: Duration::ZERO,
            deadline: None,
        }
    }

    /// Returns the same options without a borrow.
    #[must_use]
    pub fn into_owned(self) -> ResolveOptions<'static> {
        ResolveOptions {
            provider: self.provider.into_owned().into(),
            label: self.label,
            tool: self.tool.map(|tool| tool.into_owned().into()),
            scopes: self.scopes,
            min_ttl: self.min_ttl,
            deadline: self.deadline,
        }
    }

    /// Selects one of several connections.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// Names the tool that makes the call.
    ///
    /// # Security
    ///
    /// Take the name from the host's own registry of tools. A name that a model can choose freely
    /// bypasses the rules of the [`Policy`](crate::resolver::Policy) about tools.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<Cow<'a, str>>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// Requires these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Limits the duration of the call. `send` has the time that a refresh leaves of it.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Returns the deadline of a call that began at this time and that is also limited to this
    /// duration.
    pub(super) fn ends(&self, began: Instant, bound: Duration) -> Instant {
        began + self.deadline.map_or(bound, |deadline| deadline.min(bound))
    }

    /// Requires the token to be valid for at least this long. If it exceeds the lifetime of the
    /// provider's tokens, every call refreshes the token.
    #[must_use]
    pub const fn min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = min_ttl;
        self
    }
}

impl<'a> From<&'a str> for ResolveOptions<'a> {
    fn from(provider: &'a str) -> Self {
        Self::new(provider)
    }
}

impl<'a> From<&'a String> for ResolveOptions<'a> {
    fn from(provider: &'a String) -> Self {
        Self::new(provider.as_str())
    }
}

impl From<String> for ResolveOptions<'_> {
    fn from(provider: String) -> Self {
        Self::new(provider)
    }
}

impl<'a> From<&'a ProviderId> for ResolveOptions<'a> {
    fn from(provider: &'a ProviderId) -> Self {
        Self::new(provider.as_str())
    }
}

impl<'a> From<&'a ResolveOptions<'_>> for ResolveOptions<'a> {
    fn from(options: &'a ResolveOptions<'_>) -> Self {
        ResolveOptions {
            provider: Cow::Borrowed(&options.provider),
            label: options.label.clone(),
            tool: options.tool.as_deref().map(Cow::Borrowed),
            scopes: options.scopes.clone(),
            min_ttl: options.min_ttl,
            deadline: options.deadline,
        }
    }
}
