//! The words for the health of a connection and the result of a revocation.

use crate::engine::health::HealthState;
use crate::engine::revoke::report::AtProvider;
use crate::error::Misconfigured;
use crate::gateway::time;
use crate::model::{Connection, NeedsConsent, Timestamp};

/// A state in a word or two, an explanation, and a colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Words {
    /// `good`, `busy`, `warn`, `bad` or `off`. The colour is never the only sign: the words say it
    /// too.
    pub(in crate::gateway) tone: &'static str,
    pub(in crate::gateway) short: String,
    pub(in crate::gateway) detail: String,
}

impl Words {
    fn new(tone: &'static str, short: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            tone,
            short: short.into(),
            detail: detail.into(),
        }
    }
}

/// Returns the health of a connection in words.
pub(super) fn health(state: &HealthState, connection: &Connection, provider: &str, now: Timestamp) -> Words {
    match *state {
        HealthState::Healthy { expires_in: None } => {
            Words::new("good", "Healthy", "the access has no known end")
        }
        HealthState::Healthy {
            expires_in: Some(left),
        } if connection.refreshable => Words::new(
            "good",
            "Healthy",
            format!("renews by itself, next in about {}", time::span(left)),
        ),
        HealthState::Healthy {
            expires_in: Some(left),
        } => Words::new(
            "warn",
            format!("Expires in {}", time::span(left)),
            format!("{provider} gave nothing to renew it with"),
        ),
        HealthState::Expiring => Words::new("good", "Healthy", "is renewed when it is next used"),
        HealthState::Refreshing { .. } => Words::new("busy", "Renewing", "new tokens are on their way"),
        HealthState::BackingOff { until, failure } => Words::new(
            "warn",
            format!("Backing off until {}", time::clock(until, now)),
            failure.to_string(),
        ),
        HealthState::RefusedByApi { since } => Words::new(
            "warn",
            "Refused by the service",
            format!(
                "{provider} refused a request with it at {}, even after a renewal; if nothing works with it, connect again",
                time::clock(since, now)
            ),
        ),
        HealthState::Misconfigured(ref problem) => {
            Words::new("bad", "Needs the operator", remedy(problem, provider))
        }
        HealthState::NeedsConsent(reason) => Words::new("bad", "Needs consent", need(reason, provider)),
        HealthState::Revoked => Words::new("off", "Revoked", "nothing here can use it any more"),
    }
}

/// Returns the remedy for a misconfiguration.
fn remedy(problem: &Misconfigured, provider: &str) -> String {
    match problem {
        Misconfigured::UnknownProvider(_) => {
            "this service is not set up any more; set it up again, or disconnect it".into()
        }
        Misconfigured::UnknownServer(_) => {
            format!(
                "the sign-in server of {provider} is not set up any more; set it up again, or disconnect it"
            )
        }
        Misconfigured::NoClient(_) => {
            format!(
                "this application is not registered at {provider} any more; register it again, or disconnect it"
            )
        }
        Misconfigured::Client(_) => {
            format!("the registration of this application does not fit {provider}; correct the registration")
        }
        Misconfigured::ClientChanged(_) => {
            format!(
                "this application has another registration at {provider} now; put the former one back, or connect again"
            )
        }
        Misconfigured::IssuerChanged(_) => {
            format!(
                "the sign-in address of {provider} has changed here; put the former one back, or connect again"
            )
        }
        Misconfigured::StoredParameter { .. } | Misconfigured::Descriptor(_) => {
            format!("the addresses of {provider} do not fit this connection any more; connect again")
        }
        Misconfigured::InstanceNotRegistered(_) => {
            format!(
                "this application is not registered at this instance of {provider}; register it there, or disconnect it"
            )
        }
        Misconfigured::ClientRejected(_) => {
            format!("{provider} refuses this application's id or secret; correct the registration")
        }
        Misconfigured::RequestRejected { .. }
        | Misconfigured::NoUploads
        | Misconfigured::NoLoopbackRedirect(_)
        | Misconfigured::NoHttpClient => {
            format!("{provider} refuses the way in which this application asks; correct its settings")
        }
    }
}

fn need(reason: NeedsConsent, provider: &str) -> String {
    match reason {
        NeedsConsent::Rejected => format!("access was removed at {provider}, or grew too old there"),
        NeedsConsent::Expired => "the access expired and cannot be renewed".into(),
        NeedsConsent::LostInFlight => "a renewal was cut off and its token was lost".into(),
        NeedsConsent::Unexplained => format!("{provider} refuses to renew the access and does not say why"),
        NeedsConsent::ClientChanged => format!("this application has a new registration at {provider}"),
    }
}

/// Returns the reason why a consent became necessary, in the past tense.
pub(super) const fn past_need(reason: NeedsConsent) -> &'static str {
    match reason {
        NeedsConsent::Rejected => "the access was removed there, or had grown too old",
        NeedsConsent::Expired => "the access had expired and could not be renewed",
        NeedsConsent::LostInFlight => "a renewal was cut off and its token was lost",
        NeedsConsent::Unexplained => "the renewal was refused without a reason",
        NeedsConsent::ClientChanged => "the application has a new registration there",
    }
}

/// Returns the outcome of a revocation at the provider in words.
pub(in crate::gateway) fn at_provider(outcome: &AtProvider, provider: &str) -> Words {
    match outcome {
        AtProvider::Revoked => Words::new("good", "Ended there too", format!("{provider} has confirmed it.")),
        AtProvider::Attempted { .. } => Words::new(
            "warn",
            "Said to be ended there",
            format!("{provider} said yes, without a promise that the access ends by it. Its own page shows."),
        ),
        AtProvider::Unconfirmed { retry_after } => {
            let wait = match retry_after {
                Some(wait) => format!(" It asks to wait {}.", time::span(*wait)),
                None => String::new(),
            };
            Words::new(
                "warn",
                "Not confirmed there",
                format!(
                    "{provider} did not confirm it, so the access may still exist there. Nothing here can use it.{wait}"
                ),
            )
        }
        AtProvider::Refused => Words::new(
            "warn",
            "Refused there",
            format!(
                "{provider} refused to end the access, so it may still exist there. Nothing here can use it."
            ),
        ),
        AtProvider::NotAttempted(problem) => Words::new(
            "warn",
            "Not ended there",
            format!(
                "Nothing was sent to {provider}, so the access may still exist there. Nothing here can use it. It is tried again when the settings fit: {}.",
                remedy(problem, provider)
            ),
        ),
        AtProvider::ByUser { .. } => Words::new(
            "warn",
            "One step is left",
            format!("{provider} lets only its own users end an access, on a page of theirs."),
        ),
        AtProvider::Unsupported => Words::new(
            "warn",
            "Not possible there",
            format!("{provider} has no way to end an access. What is left of it runs out by itself."),
        ),
        AtProvider::StillUsedBy(others) => Words::new(
            "warn",
            "Still in use there",
            format!(
                "{} at {provider} came with the same consent and is still connected, so the access itself goes on. It ends \
                 with the last one.",
                match others.len() {
                    1 => "One other service".to_owned(),
                    number => format!("{number} other services"),
                }
            ),
        ),
        AtProvider::NothingLeft => Words::new(
            "off",
            "Nothing to end there",
            "There was no token left that could have been revoked.",
        ),
    }
}

/// Returns the short form of a scope: the last part of a URL.
pub(super) fn scope(scope: &str) -> &str {
    let Some(rest) = scope.strip_prefix("https://") else {
        return scope;
    };
    let trimmed = rest.trim_end_matches('/');
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_a_url_is_its_last_part() {
        for (text, short) in [
            ("https://www.googleapis.com/auth/gmail.modify", "gmail.modify"),
            ("https://mail.google.com/", "mail.google.com"),
            ("notes.read", "notes.read"),
            ("https://", ""),
        ] {
            assert_eq!(scope(text), short);
        }
    }
}
