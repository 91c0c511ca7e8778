//! The steps of a decision about a call, as the code that decides reports them.

use std::fmt;

use crate::error::ConsentReason;
use crate::model::ConnectionId;
use crate::resolver::policy::{Setting, WorkspaceConnections};

/// A step of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The policy does not allow the call; nothing else was looked at.
    Denied,
    /// The call names no label, and the policy wants one; nothing else was looked at.
    LabelRequired,
    /// The policy allows the call. What it says of workspace connections, and by which of its
    /// settings.
    Policy(WorkspaceConnections, Setting),
    /// The person's own connections were looked at.
    Personal(Finding),
    /// The workspace connection was looked at.
    Workspace(Finding),
    /// The token of the connection that was chosen.
    Token(TokenState),
}

/// What was found of a kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// None that fits.
    Nothing,
    /// Several, and none named or marked as the default.
    Several,
    /// This one, which needs its person.
    NeedsConsent(ConnectionId, ConsentReason),
    /// This one, with all that is needed.
    Active(ConnectionId),
}

/// What becomes of the token that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenState {
    /// It is handed out.
    Fresh,
    /// It is good and due to be refreshed: refreshed first if that can be done now, else handed
    /// out.
    Expiring,
    /// It is not good for long enough and is refreshed first.
    Stale,
    /// It is not good for long enough, and cannot be refreshed now: the refusal says why.
    Blocked,
    /// It is not good for long enough, and cannot be refreshed without the person.
    Spent,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("policy: denied: the policy lists it"),
            Self::LabelRequired => f.write_str("policy: denied: the policy wants a label to be named"),
            Self::Policy(workspace, setting) => write!(f, "policy: {workspace}, {setting}"),
            Self::Personal(finding) => write!(f, "the person's own connection: {finding}"),
            Self::Workspace(finding) => write!(f, "the workspace connection: {finding}"),
            Self::Token(state) => write!(f, "its token: {state}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("none"),
            Self::Several => f.write_str("several, none of them named or the default"),
            Self::NeedsConsent(id, reason) => write!(f, "{id} needs consent: {reason}"),
            Self::Active(id) => write!(f, "{id} is chosen"),
        }
    }
}

impl fmt::Display for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fresh => "good",
            Self::Expiring => "good, and due to be refreshed",
            Self::Stale => "refreshed first",
            Self::Blocked => "not good for long enough, and cannot be refreshed now",
            Self::Spent => "not good for long enough, with nothing to refresh it by",
        })
    }
}
