//! The steps of a decision about a call.

use std::fmt;

use crate::error::ConsentReason;
use crate::model::ConnectionId;
use crate::resolver::policy::{Setting, WorkspaceConnections};

/// A step of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The policy denies the call. No further steps were taken.
    Denied,
    /// The policy requires a label, and the call names none. No further steps were taken.
    LabelRequired,
    /// The policy allows the call. Contains its rule for workspace connections, and the setting
    /// that determined it.
    Policy(WorkspaceConnections, Setting),
    /// The lookup of the user's own connections.
    Personal(Finding),
    /// The lookup of the workspace connection.
    Workspace(Finding),
    /// The state of the selected connection's token.
    Token(TokenState),
}

/// The result of looking up one kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// No matching connection.
    Nothing,
    /// Several connections, none of which is named or the default.
    Several,
    /// This connection, which needs its user's consent.
    NeedsConsent(ConnectionId, ConsentReason),
    /// This connection, which satisfies all requirements.
    Active(ConnectionId),
}

/// The use of the stored token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenState {
    /// The token is returned as is.
    Fresh,
    /// The token is valid but due for refresh: it is refreshed first if possible now, otherwise
    /// returned as is.
    Expiring,
    /// The token does not remain valid for long enough and is refreshed first.
    Stale,
    /// The token does not remain valid for long enough and cannot be refreshed now; the error says
    /// why.
    Blocked,
    /// The token does not remain valid for long enough and cannot be refreshed without the user.
    Spent,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("policy: denied: the policy lists it"),
            Self::LabelRequired => f.write_str("policy: denied: a label is required"),
            Self::Policy(workspace, setting) => write!(f, "policy: {workspace}, {setting}"),
            Self::Personal(finding) => write!(f, "the user's own connection: {finding}"),
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
            Self::Spent => "not good for long enough, and there is no refresh token",
        })
    }
}
