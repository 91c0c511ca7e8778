//! The words for the health of a connection and the result of a revocation.

use super::text::Texts;
use crate::engine::health::HealthState;
use crate::engine::revoke::report::AtProvider;
use crate::gateway::time;
use crate::model::{Connection, Timestamp};

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
pub(super) fn health(
    texts: &Texts,
    state: &HealthState,
    connection: &Connection,
    provider: &str,
    now: Timestamp,
) -> Words {
    let t = texts;
    match *state {
        HealthState::Healthy { expires_in: None } => Words::new("good", t.healthy, t.no_known_end),
        HealthState::Healthy {
            expires_in: Some(left),
        } if connection.refreshable => Words::new("good", t.healthy, (t.refreshes_in)(&time::span(t, left))),
        HealthState::Healthy {
            expires_in: Some(left),
        } => Words::new(
            "warn",
            (t.expires_in)(&time::span(t, left)),
            (t.no_refresh)(provider),
        ),
        HealthState::Expiring => Words::new("good", t.healthy, t.refreshes_on_use),
        HealthState::Refreshing { .. } => Words::new("busy", t.refreshing, t.refreshing_text),
        HealthState::BackingOff { until, failure } => Words::new(
            "warn",
            (t.backing_off)(&time::clock(t, until, now)),
            (t.failure)(failure),
        ),
        HealthState::RefusedByApi { since } => Words::new(
            "warn",
            t.refused_by_api,
            (t.refused_by_api_text)(provider, &time::clock(t, since, now)),
        ),
        HealthState::Misconfigured(ref problem) => {
            Words::new("bad", t.needs_operator, (t.remedy)(problem, provider))
        }
        HealthState::NeedsConsent(reason) => Words::new("bad", t.needs_consent, (t.need)(reason, provider)),
        HealthState::Revoked => Words::new("off", t.revoked, t.revoked_text),
    }
}

/// Returns the words for a connection that works with less than it was meant to.
pub(super) fn incomplete(texts: &Texts) -> Words {
    Words::new("warn", texts.incomplete, texts.incomplete_text)
}

/// Returns the outcome of a revocation at the provider in words.
pub(in crate::gateway) fn at_provider(texts: &Texts, outcome: &AtProvider, provider: &str) -> Words {
    let tone = match outcome {
        AtProvider::Revoked => "good",
        AtProvider::NothingLeft => "off",
        _ => "warn",
    };
    let (short, detail) = (texts.at_provider)(outcome, provider);
    Words::new(tone, short, detail)
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
