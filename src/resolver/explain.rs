//! Explains the decision about a call, step by step, for the administrator of the host.

use std::fmt;

use crate::engine::outlook::Outlook;
use crate::error::Error;
use crate::resolver::access::Access;
use crate::resolver::decision::{Step, TokenState};
use crate::resolver::find::find;
use crate::resolver::resolve::refusal;

/// The decision of [`Turn::resolve`](crate::resolver::Turn::resolve), reported by the code that
/// makes it: returned by [`Turn::explain`](crate::resolver::Turn::explain).
///
/// It contains ids and reasons, but no secret. `Display` prints it for an administrator, one line
/// for each step.
#[derive(Debug, Clone)]
pub struct Explanation {
    steps: Vec<Step>,
    refusal: Option<Error>,
}

impl Explanation {
    /// Returns what was looked at, in this order, a line of text each, such as
    /// `the user's own connection: none`.
    pub fn steps(&self) -> impl Iterator<Item = impl fmt::Display> {
        self.steps.iter()
    }

    /// Returns why there is no token, if this is known without contacting the provider.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }
}

/// Returns how an access would be decided now.
pub(super) fn explain(access: &Access<'_>) -> Explanation {
    let mut steps = Vec::new();
    let refusal = match find(access, &mut |step| steps.push(step)) {
        Ok(found) => {
            let refusal = refusal(access, &found).unwrap_or_else(Some);
            steps.push(Step::Token(match found.outlook(access) {
                Outlook::Token(_) => TokenState::Fresh,
                Outlook::Expiring => TokenState::Expiring,
                Outlook::Refresh if refusal.is_some() => TokenState::Blocked,
                Outlook::Refresh => TokenState::Stale,
                Outlook::Spent(_) | Outlook::Revoked => TokenState::Spent,
            }));
            refusal
        }
        Err(error) => Some(error),
    };
    Explanation { steps, refusal }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "{number}. {step}")?;
        }
        match &self.refusal {
            Some(error) => write!(f, "=> no token: {error}"),
            None => f.write_str("=> a token, unless the provider refuses to refresh it"),
        }
    }
}
