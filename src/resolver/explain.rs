//! Why a call is answered as it is, step by step, for an operator.

use std::fmt;

use crate::engine::outlook::Outlook;
use crate::error::{ConsentReason, DenialReason, Error};
use crate::model::{ActingUser, ConnectionId};
use crate::resolver::{ResolveOptions, Resolver, Setting, WorkspaceConnections};

/// How [`Resolver::resolve_with`] decides, told by the code that decides: from [`Resolver::explain`].
///
/// Holds ids and reasons, no secret. `Display` prints it for an operator, a step a line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// What was looked at, in this order.
    pub steps: Vec<Step>,
    /// Why there is no token, if that is clear without asking the provider.
    pub refusal: Option<Error>,
}

/// A step of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The policy does not allow the call; nothing else was looked at.
    Denied(DenialReason),
    /// The policy allows the call. What it says of the shared connection, and by which of its settings.
    Policy(WorkspaceConnections, Setting),
    /// The person's own connections were looked at.
    Personal(Finding),
    /// The shared connection was looked at.
    Shared(Finding),
    /// The token of the connection that was chosen.
    Token(TokenState),
}

/// What was found of a kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
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
#[non_exhaustive]
pub enum TokenState {
    /// It is handed out.
    Fresh,
    /// It is good and due to be renewed: renewed first if that can be done now, else handed out.
    Expiring,
    /// It is not good for long enough and is renewed first.
    Stale,
    /// It is not good for long enough, and cannot be renewed now: the [refusal](Explanation::refusal) says why.
    Blocked,
    /// It is not good for long enough, and cannot be renewed without the person.
    Spent,
}

impl Resolver {
    /// How a call would be decided now. Asks no provider, renews nothing and leaves no trace of a use.
    #[must_use]
    pub fn explain(&self, acting_user: &ActingUser, provider: &str, options: &ResolveOptions) -> Explanation {
        let mut steps = Vec::new();
        let found = self.find(acting_user, provider, options, &mut |step| steps.push(step));
        let refusal = match found {
            Ok(found) => {
                let refusal = self.refusal(acting_user, &found, options).unwrap_or_else(Some);
                steps.push(Step::Token(
                    match found.outlook(self.connections.inner().now(), options) {
                        Outlook::Token(_) => TokenState::Fresh,
                        Outlook::Expiring => TokenState::Expiring,
                        Outlook::Refresh if refusal.is_some() => TokenState::Blocked,
                        Outlook::Refresh => TokenState::Stale,
                        Outlook::Spent(_) | Outlook::Revoked => TokenState::Spent,
                    },
                ));
                refusal
            }
            Err(error) => Some(error),
        };
        Explanation { steps, refusal }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "{number}. {step}")?;
        }
        match &self.refusal {
            Some(error) => write!(f, "=> no token: {error}"),
            None => f.write_str("=> a token, unless the provider refuses to renew it"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "policy: denied: {reason}"),
            Self::Policy(shared, setting) => write!(f, "policy: {shared}, {setting}"),
            Self::Personal(finding) => write!(f, "the person's own connection: {finding}"),
            Self::Shared(finding) => write!(f, "the shared connection: {finding}"),
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
            Self::Expiring => "good, and due to be renewed",
            Self::Stale => "renewed first",
            Self::Blocked => "not good for long enough, and cannot be renewed now",
            Self::Spent => "not good for long enough, with nothing to renew it by",
        })
    }
}
