//! Whether a call may be made at all, and through whose connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::{ActingUser, Label, ProviderId, Scopes, TenantId, UserId};

/// What the host allows: which calls are denied, which must name a label, and when a person without
/// a connection of their own may act through a workspace connection.
///
/// Decided before the vault is asked, by provider, tool, person, scopes and label alone. `Display`
/// prints it for an operator, a rule a line.
///
/// # Examples
///
/// ```
/// use valetkey::resolver::{Calls, Policy, WorkspaceConnections};
///
/// let policy = Policy::new(WorkspaceConnections::Fallback)
///     .provider("gmail", WorkspaceConnections::Forbidden)
///     .deny(Calls::all().provider("gmail").tool("send_mail"));
/// println!("{policy}");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Policy {
    default: WorkspaceConnections,
    providers: BTreeMap<String, WorkspaceConnections>,
    tools: BTreeMap<String, WorkspaceConnections>,
    personal_scopes: Option<Scopes>,
    denied: Vec<Calls>,
    labelled: BTreeSet<String>,
}

/// Why a call may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// It is among the calls that are denied.
    Listed,
    /// It names no label, and the provider needs one.
    LabelRequired,
}

/// Whether the workspace connection to a provider is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkspaceConnections {
    /// For people without a connection of their own. A personal one always wins, even one that
    /// needs consent: nobody is switched to another identity without a word.
    #[default]
    Fallback,
    /// Never: everybody acts with their own.
    Forbidden,
    /// Always: personal connections to this provider are not looked at.
    Required,
}

/// Which setting of a [`Policy`] decided about the workspace connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// The one for whatever has no other.
    Default,
    /// The one for the provider.
    Provider,
    /// The one for the tool.
    Tool,
    /// [`Policy::personal_scopes`].
    Scopes,
}

/// Some of all calls: those to a provider, by a tool, of a person. What is not named is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    provider: Option<String>,
    tool: Option<String>,
    person: Option<(TenantId, UserId)>,
}

/// What a decision goes by.
pub(super) struct Call<'a> {
    pub(super) acting_user: &'a ActingUser,
    pub(super) provider: &'a ProviderId,
    pub(super) tool: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
    pub(super) label: Option<&'a Label>,
}

impl Calls {
    /// Returns all calls.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Restricts the calls to those to this provider. A name that no provider has matches no call.
    #[must_use]
    pub fn provider(mut self, provider: impl AsRef<str>) -> Self {
        self.provider = Some(provider.as_ref().to_owned());
        self
    }

    /// Restricts the calls to those by this tool. A call that
    /// [names](crate::resolver::ResolveOptions::tool) no tool is not among them.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// Restricts the calls to those of this user.
    #[must_use]
    pub fn person(mut self, tenant: TenantId, user: UserId) -> Self {
        self.person = Some((tenant, user));
        self
    }

    fn have(&self, call: &Call<'_>) -> bool {
        self.provider
            .as_ref()
            .is_none_or(|provider| provider == call.provider.as_str())
            && self.tool.as_deref().is_none_or(|tool| Some(tool) == call.tool)
            && self.person.as_ref().is_none_or(|(tenant, user)| {
                tenant == call.acting_user.tenant() && user == call.acting_user.user()
            })
    }
}

impl Policy {
    /// Creates a policy that denies nothing and applies this to every provider and tool without a
    /// setting of its own.
    #[must_use]
    pub fn new(default: WorkspaceConnections) -> Self {
        Self {
            default,
            ..Self::default()
        }
    }

    /// Sets whether the workspace connections of one provider are used. If the tool has a setting
    /// too, the stricter one applies. A name that no provider has matches no call.
    #[must_use]
    pub fn provider(mut self, provider: impl AsRef<str>, workspace: WorkspaceConnections) -> Self {
        self.providers.insert(provider.as_ref().to_owned(), workspace);
        self
    }

    /// Sets whether workspace connections are used for the calls of one tool. If the provider has a
    /// setting too, the stricter one applies: `Forbidden` before `Required` before `Fallback`.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>, workspace: WorkspaceConnections) -> Self {
        self.tools.insert(tool.into(), workspace);
        self
    }

    /// Requires a personal connection for calls that need one of these scopes, even where a
    /// workspace connection would be a fallback. For example, reading may fall back and sending may
    /// not.
    ///
    /// The policy sees the scopes that the caller [names](crate::resolver::ResolveOptions::scopes),
    /// so name them for each tool.
    #[must_use]
    pub fn personal_scopes(mut self, scopes: Scopes) -> Self {
        self.personal_scopes = Some(scopes);
        self
    }

    /// Denies these calls, whatever is connected and whatever else is set.
    #[must_use]
    pub fn deny(mut self, calls: Calls) -> Self {
        self.denied.push(calls);
        self
    }

    /// Denies calls to this provider that [name](crate::resolver::ResolveOptions::label) no label,
    /// however few connections there are: which account is used is then never left to chance, nor
    /// to a default.
    #[must_use]
    pub fn require_label(mut self, provider: impl AsRef<str>) -> Self {
        self.labelled.insert(provider.as_ref().to_owned());
        self
    }

    /// The whole decision: may the call be made, and if so, what holds for the workspace
    /// connection, and by which setting.
    pub(super) fn decide(&self, call: &Call<'_>) -> Result<(WorkspaceConnections, Setting), Denial> {
        if self.denied.iter().any(|calls| calls.have(call)) {
            return Err(Denial::Listed);
        }
        if call.label.is_none() && self.labelled.contains(call.provider.as_str()) {
            return Err(Denial::LabelRequired);
        }
        let of_tool = call.tool.and_then(|tool| self.tools.get(tool));
        let (workspace, setting) = match (self.providers.get(call.provider.as_str()), of_tool) {
            (Some(provider), Some(tool)) if tool.strictness() > provider.strictness() => {
                (*tool, Setting::Tool)
            }
            (Some(provider), _) => (*provider, Setting::Provider),
            (None, Some(tool)) => (*tool, Setting::Tool),
            (None, None) => (self.default, Setting::Default),
        };
        let personal = self
            .personal_scopes
            .as_ref()
            .is_some_and(|personal| call.scopes.iter().any(|scope| personal.contains(scope.as_str())));
        if personal && workspace == WorkspaceConnections::Fallback {
            return Ok((WorkspaceConnections::Forbidden, Setting::Scopes));
        }
        Ok((workspace, setting))
    }
}

impl WorkspaceConnections {
    const fn strictness(self) -> u8 {
        match self {
            Self::Fallback => 0,
            Self::Required => 1,
            Self::Forbidden => 2,
        }
    }
}

impl fmt::Display for WorkspaceConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fallback => "the workspace connection is a fallback",
            Self::Forbidden => "the workspace connection may not be used",
            Self::Required => "the workspace connection must be used",
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "by default",
            Self::Provider => "as set for the provider",
            Self::Tool => "as set for the tool",
            Self::Scopes => "for one of the scopes",
        })
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "calls to {provider}")?,
            None => f.write_str("calls to every provider")?,
        }
        if let Some(tool) = &self.tool {
            write!(f, ", by the tool {tool}")?;
        }
        if let Some((tenant, user)) = &self.person {
            write!(f, ", of {user} in {tenant}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for calls in &self.denied {
            writeln!(f, "denied: {calls}")?;
        }
        for provider in &self.labelled {
            writeln!(f, "{provider}: a label must be named")?;
        }
        if let Some(scopes) = &self.personal_scopes {
            writeln!(
                f,
                "what needs one of {scopes}: never a fallback to the workspace connection"
            )?;
        }
        for (provider, workspace) in &self.providers {
            writeln!(f, "{provider}: {workspace}")?;
        }
        for (tool, workspace) in &self.tools {
            writeln!(f, "the tool {tool}: {workspace}")?;
        }
        write!(f, "else: {}", self.default)
    }
}
