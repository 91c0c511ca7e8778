//! What a turn needs of a token.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::model::{Label, ProviderId, Scopes};

/// What a turn needs: the provider, and what its token must satisfy.
///
/// A provider's id converts into options without further requirements, so `turn.resolve("gmail")`
/// is enough where a person has one account. Options can be used several times by reference.
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
    /// Which provider.
    pub provider: Cow<'a, str>,
    /// Which of the person's connections, where they have several.
    pub label: Option<Label>,
    /// Which of the agent's tools calls, where the policy tells them apart. A call with a name that
    /// is empty, is longer than 512 bytes, or has a control character or an invisible one in it
    /// fails with [`Error::InvalidValue`](crate::Error::InvalidValue).
    pub tool: Option<Cow<'a, str>>,
    /// The scopes that must have been granted.
    pub scopes: Scopes,
    /// The time for which the token must be good for at least.
    pub min_ttl: Duration,
    /// The time for which the call may take, waiting for a refresh and for the API's answer. The
    /// settings' bounds hold besides.
    pub deadline: Option<Duration>,
}

impl<'a> ResolveOptions<'a> {
    /// The options for a provider, with no further requirement.
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

    /// Names one of several connections.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    /// Names the tool that calls.
    ///
    /// # Security
    ///
    /// Take the name from the host's own registry of tools. One that a model may choose freely
    /// passes by every rule of the [`Policy`](crate::resolver::Policy) about tools.
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

    /// Gives the call this long at most. `send` has what the refresh leaves of it.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Returns when a call that began then must end, if it is not to take longer than this besides.
    pub(super) fn ends(&self, began: Instant, bound: Duration) -> Instant {
        began + self.deadline.map_or(bound, |deadline| deadline.min(bound))
    }

    /// Requires the token to be good for at least this long. More than the provider's tokens ever
    /// live leads to a refresh on each call.
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
