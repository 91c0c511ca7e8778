//! The history of a connection, newest entry first, in words for users.

use super::view::Moment;
use super::words;
use crate::engine::lists::AuditPage;
use crate::error::Result;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, NeedsConsent, Timestamp};
use crate::vault::{AuditEntry, AuditKind};

/// The number of entries on the page.
const SHOWN: usize = 50;

/// The latest entries of a connection's history.
pub(super) struct Trail {
    pub(super) steps: Vec<Step>,
    /// True if there are older entries.
    pub(super) more: bool,
}

/// One entry.
pub(super) struct Step {
    pub(super) at: Moment,
    pub(super) what: String,
    pub(super) why: Option<&'static str>,
    /// The user who acted, if the audit names one.
    pub(super) by: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) turn: Option<String>,
    pub(super) shared: bool,
}

impl Inner {
    /// Returns the part of a connection's history that the caller may see.
    pub(super) fn trail(&self, caller: &Caller, connection: &Connection, now: Timestamp) -> Result<Trail> {
        // One entry more than fits indicates older ones.
        let page = AuditPage::of(connection.id).newest_first().limit(SHOWN + 1);
        let mut latest = self.connections.audit(caller.principal(), &page)?;
        let more = latest.len() > SHOWN;
        latest.truncate(SHOWN);
        let provider = self.provider_name(connection.provider.as_str());
        Ok(Trail {
            steps: latest
                .into_iter()
                .map(|entry| Step::new(entry, caller, &provider, now))
                .collect(),
            more,
        })
    }
}

impl Step {
    fn new(entry: AuditEntry, caller: &Caller, provider: &str, now: Timestamp) -> Self {
        let (what, why) = told(entry.kind, entry.detail.as_deref(), provider);
        // For the other kinds, the user is the owner, who may not be the one who acted.
        let acted = matches!(
            entry.kind,
            AuditKind::ConsentStarted
                | AuditKind::ConsentCompleted
                | AuditKind::ConsentDenied
                | AuditKind::ConsentFailed
                | AuditKind::TokenUsed
        );
        let actor = entry.actor.as_ref().map(|actor| actor.user().clone());
        let user = actor.or_else(|| entry.user.filter(|_| acted));
        Self {
            at: Moment::new(entry.at, now),
            what,
            why,
            by: user.map(|user| {
                if user == *caller.acting_user().user() {
                    "you".into()
                } else {
                    user.to_string()
                }
            }),
            purpose: entry.purpose,
            turn: entry.turn,
            shared: entry.shared,
        }
    }
}

/// Returns the text of an entry and its details.
fn told(kind: AuditKind, detail: Option<&str>, provider: &str) -> (String, Option<&'static str>) {
    let plain = |text: &str| (text.to_owned(), None);
    match kind {
        AuditKind::ConsentStarted => plain("Consent asked for"),
        AuditKind::ConsentCompleted => plain("Consent given"),
        AuditKind::ConsentDenied => plain("Consent not given"),
        AuditKind::ConsentFailed => (
            "Consent failed".into(),
            Some("the code could not be exchanged, or its answer not be used"),
        ),
        AuditKind::Refreshed => plain("Renewed"),
        AuditKind::RefreshRejected => (format!("{provider} refused to renew it"), reason(detail)),
        AuditKind::ConsentNeeded => ("New consent needed".into(), reason(detail)),
        AuditKind::QuarantineErased => plain("The refused token was erased"),
        AuditKind::Revoked => plain("Access ended here"),
        AuditKind::RevocationEnded => match detail {
            Some("confirmed") => (format!("Revoked at {provider}"), None),
            Some("refused") => (
                format!("{provider} refused to revoke it"),
                Some("the access may still exist there"),
            ),
            _ => (
                format!("Not confirmed by {provider}"),
                Some("nobody tries again; the access may still exist there"),
            ),
        },
        AuditKind::DefaultSet => plain("Made the default"),
        AuditKind::TokenUsed => plain("Used"),
        AuditKind::UserForgotten => plain("All of a person was erased"),
        AuditKind::TenantForgotten => plain("All of the workspace was erased"),
        AuditKind::DataKeyRotated => plain("The workspace has a new key"),
        AuditKind::MasterKeyRotated => plain("The keys are wrapped anew"),
    }
}

fn reason(detail: Option<&str>) -> Option<&'static str> {
    let reason = [
        NeedsConsent::Rejected,
        NeedsConsent::Expired,
        NeedsConsent::LostInFlight,
        NeedsConsent::Unexplained,
        NeedsConsent::ClientChanged,
    ];
    let reason = reason
        .into_iter()
        .find(|reason| Some(reason.as_str()) == detail)?;
    Some(words::past_need(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Settlement;

    #[test]
    fn every_kind_has_words_of_its_own() {
        let mut all: Vec<String> = AuditKind::ALL
            .into_iter()
            .map(|kind| told(kind, None, "Notes").0)
            .collect();
        for end in [Settlement::Confirmed, Settlement::Refused] {
            all.push(told(AuditKind::RevocationEnded, Some(end.as_str()), "Notes").0);
        }
        assert!(all.iter().all(|text| !text.contains('_')));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_reason_is_told_only_if_it_is_one() {
        assert!(reason(Some("lost_in_flight")).is_some());
        assert_eq!(reason(Some("<script>")), None);
        assert_eq!(reason(None), None);
    }
}
