//! Determines which calls are allowed and when the workspace connection is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::{ActingUser, Label, ProviderId, Scopes, TenantId, UserId};

/// Determines which calls are denied, which must name a label, and when a user without a personal
/// connection may act through a workspace connection.
///
/// The policy is evaluated before any connection is read, using only provider, tool, user, scopes
/// and label. `Display` prints it for an administrator, one line for each rule.
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

/// The reason why a call is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// A rule denies the call.
    Listed,
    /// The call names no label, and the provider requires one.
    LabelRequired,
}

/// The use of the workspace connection to a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkspaceConnections {
    /// The workspace connection is used for users without a personal connection. A personal
    /// connection always takes precedence, even if it needs a new consent: valetkey never switches
    /// to another identity silently. This is the default.
    #[default]
    Fallback,
    /// The workspace connection is never used.
    Forbidden,
    /// The workspace connection is always used. Personal connections to this provider are ignored.
    Required,
}

/// The setting of a [`Policy`] that decided about the workspace connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// The default setting.
    Default,
    /// The setting of the provider.
    Provider,
    /// The setting of the tool.
    Tool,
    /// [`Policy::personal_scopes`].
    Scopes,
}

/// Selects calls by provider, tool and user. Unset criteria match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    provider: Option<String>,
    tool: Option<String>,
    user: Option<(TenantId, UserId)>,
}

/// The properties of a call that a decision depends on.
pub(super) struct Call<'a> {
    pub(super) acting_user: &'a ActingUser,
    pub(super) provider: &'a ProviderId,
    pub(super) tool: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
    pub(super) label: Option<&'a Label>,
}

impl Calls {
    /// Selects all calls.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Limits the selection to calls to this provider. A name that no provider has matches no call.
    #[must_use]
    pub fn provider(mut self, provider: impl AsRef<str>) -> Self {
        self.provider = Some(provider.as_ref().to_owned());
        self
    }

    /// Limits the selection to calls by this tool. Calls that do not
    /// [name](crate::resolver::ResolveOptions::tool) a tool do not match.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// Limits the selection to calls of this user.
    #[must_use]
    pub fn user(mut self, tenant: TenantId, user: UserId) -> Self {
        self.user = Some((tenant, user));
        self
    }

    fn have(&self, call: &Call<'_>) -> bool {
        self.provider
            .as_ref()
            .is_none_or(|provider| provider == call.provider.as_str())
            && self.tool.as_deref().is_none_or(|tool| Some(tool) == call.tool)
            && self.user.as_ref().is_none_or(|(tenant, user)| {
                tenant == call.acting_user.tenant() && user == call.acting_user.user()
            })
    }
}

impl Policy {
    /// Creates a policy that denies nothing and applies this rule to every provider and tool
    /// without a specific setting.
    #[must_use]
    pub fn new(default: WorkspaceConnections) -> Self {
        Self {
            default,
            ..Self::default()
        }
    }

    /// Sets when the workspace connection of one provider is used. If the tool also has a setting,
    /// the stricter one applies. A name that no provider has matches no call.
    #[must_use]
    pub fn provider(mut self, provider: impl AsRef<str>, workspace: WorkspaceConnections) -> Self {
        self.providers.insert(provider.as_ref().to_owned(), workspace);
        self
    }

    /// Sets when workspace connections are used for calls of one tool. If the provider also has a
    /// setting, the stricter one applies: `Forbidden` before `Required` before `Fallback`.
    #[must_use]
    pub fn tool(mut self, tool: impl Into<String>, workspace: WorkspaceConnections) -> Self {
        self.tools.insert(tool.into(), workspace);
        self
    }

    /// Requires a personal connection for calls that need one of these scopes, even if a workspace
    /// connection would be a fallback. For example, reading may fall back while sending may not.
    ///
    /// The policy only sees the scopes that the caller
    /// [names](crate::resolver::ResolveOptions::scopes), so name them for each tool.
    #[must_use]
    pub fn personal_scopes(mut self, scopes: Scopes) -> Self {
        self.personal_scopes = Some(scopes);
        self
    }

    /// Denies these calls, regardless of connections and other settings.
    #[must_use]
    pub fn deny(mut self, calls: Calls) -> Self {
        self.denied.push(calls);
        self
    }

    /// Denies calls to this provider that do not [name](crate::resolver::ResolveOptions::label) a
    /// label, even if there is only one connection. The account is then always explicit.
    #[must_use]
    pub fn require_label(mut self, provider: impl AsRef<str>) -> Self {
        self.labelled.insert(provider.as_ref().to_owned());
        self
    }

    /// Decides whether the call is allowed and, if so, which rule applies to the workspace
    /// connection and which setting determined it.
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
        if let Some((tenant, user)) = &self.user {
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
                "calls that need one of {scopes}: the workspace connection is not a fallback"
            )?;
        }
        for (provider, workspace) in &self.providers {
            writeln!(f, "{provider}: {workspace}")?;
        }
        for (tool, workspace) in &self.tools {
            writeln!(f, "the tool {tool}: {workspace}")?;
        }
        write!(f, "all other calls: {}", self.default)
    }
}
