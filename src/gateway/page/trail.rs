//! The history of a connection, newest entry first, in words for users.

use super::base::Page;
use super::shell::Moment;
use super::text::Texts;
use crate::engine::lists::AuditPage;
use crate::error::Result;
use crate::gateway::{Caller, Inner};
use crate::model::{Actor, Connection, NeedsConsent, UserId};
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
    pub(super) fn latest(&self, caller: &Caller, connection: &Connection) -> Result<Latest> {
        // One entry more than fits indicates older ones.
        let page = AuditPage::of(connection.id).newest_first().limit(SHOWN + 1);
        let mut entries = self.connections.audit(caller.principal(), &page)?;
        let more = entries.len() > SHOWN;
        entries.truncate(SHOWN);
        Ok(Latest { entries, more })
    }
}

/// The latest entries of a connection's history, as they were read.
pub(super) struct Latest {
    entries: Vec<AuditEntry>,
    more: bool,
}

impl Latest {
    /// Returns the users who acted.
    pub(super) fn users(&self) -> impl Iterator<Item = &UserId> {
        self.entries.iter().filter_map(user_of)
    }

    /// Returns whether the connection was revoked here and its provider has not confirmed it, as
    /// far as the entries say.
    pub(super) fn waits_for_provider(&self) -> bool {
        let end = self
            .entries
            .iter()
            .find(|entry| matches!(entry.kind, AuditKind::Revoked | AuditKind::RevocationEnded));
        end.is_some_and(|entry| entry.kind == AuditKind::Revoked)
    }

    pub(super) fn trail(self, page: &Page<'_>) -> Trail {
        Trail {
            steps: self
                .entries
                .into_iter()
                .map(|entry| Step::new(page, entry))
                .collect(),
            more: self.more,
        }
    }
}

/// Returns the user who acted, if an entry names one.
pub(super) fn user_of(entry: &AuditEntry) -> Option<&UserId> {
    // For the other kinds, the user is the owner, who may not be the one who acted.
    let acted = matches!(
        entry.kind,
        AuditKind::ConsentStarted
            | AuditKind::ConsentCompleted
            | AuditKind::ConsentDenied
            | AuditKind::ConsentFailed
            | AuditKind::TokenUsed
    );
    let actor = entry.actor.as_ref().map(Actor::user);
    actor.or_else(|| entry.user.as_ref().filter(|_| acted))
}

impl Step {
    pub(super) fn new(page: &Page<'_>, entry: AuditEntry) -> Self {
        let service = entry.provider.as_ref();
        let provider = service.map_or_else(String::new, |id| page.gateway.provider_name(id.as_str()));
        let (what, why) = told(page.texts, entry.kind, entry.detail.as_deref(), &provider);
        let by = user_of(&entry).map(|user| {
            if user == page.caller.acting_user().user() {
                page.texts.you.to_owned()
            } else {
                page.name_of(user).to_owned()
            }
        });
        Self {
            at: page.moment(entry.at),
            what,
            why,
            by,
            purpose: entry.purpose,
            turn: entry.turn,
            shared: entry.shared,
        }
    }
}

/// Returns the text of an entry and its details.
fn told(
    texts: &Texts,
    kind: AuditKind,
    detail: Option<&str>,
    provider: &str,
) -> (String, Option<&'static str>) {
    let (what, why) = (texts.audit)(kind, detail, provider);
    let explained = matches!(kind, AuditKind::RefreshRejected | AuditKind::ConsentNeeded);
    (what, why.or_else(|| reason(texts, detail).filter(|_| explained)))
}

fn reason(texts: &Texts, detail: Option<&str>) -> Option<&'static str> {
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
    Some((texts.past_need)(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::page::text::Language;
    use crate::vault::Settlement;

    #[test]
    fn every_kind_has_words_of_its_own() {
        for texts in Language::ALL.map(Language::texts) {
            let mut all: Vec<String> = AuditKind::ALL
                .into_iter()
                .map(|kind| told(texts, kind, None, "Notes").0)
                .collect();
            for end in [Settlement::Confirmed, Settlement::Refused] {
                all.push(told(texts, AuditKind::RevocationEnded, Some(end.as_str()), "Notes").0);
            }
            assert!(all.iter().all(|text| !text.contains('_')));
            let count = all.len();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }

    #[test]
    fn a_reason_is_told_only_if_it_is_one() {
        let texts = Language::English.texts();
        assert!(reason(texts, Some("lost_in_flight")).is_some());
        assert_eq!(reason(texts, Some("<script>")), None);
        assert_eq!(reason(texts, None), None);
    }
}
