//! The texts of the pages, one file for each language.
//!
//! A language is a value of [`Texts`]: a missing text, or a missing arm for a new state, does not
//! compile. To add a language, write its file and add it to [`Language`].

// One text a line: the formatter would break the lines that have a value.
#[rustfmt::skip]
mod en;
#[rustfmt::skip]
mod ru;

use std::borrow::Cow;

use http::{HeaderMap, header};

use crate::engine::revoke::report::AtProvider;
use crate::error::Misconfigured;
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::Said;
use crate::model::{FailureCode, NeedsConsent};
use crate::provider::ParameterProblem;
use crate::vault::AuditKind;

/// A language of the gateway's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl Language {
    pub(in crate::gateway) const ALL: [Self; 2] = [Self::English, Self::Russian];

    pub(in crate::gateway) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::Russian => &ru::TEXTS,
        }
    }

    /// Returns the language that the browser prefers among those that exist
    /// ([RFC 9110 §12.5.4](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4)): English if there
    /// is none.
    pub(in crate::gateway) fn preferred(headers: &HeaderMap) -> Self {
        let mut best = (0, Self::English);
        let wanted = headers.get_all(header::ACCEPT_LANGUAGE);
        let ranges = wanted
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        for range in ranges {
            let (tag, quality) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let quality = quality.trim().strip_prefix("q=").map_or(1_000, per_mille);
            let found = Self::ALL
                .into_iter()
                .find(|language| language.texts().lang.eq_ignore_ascii_case(primary));
            // Of equal ranges the first one counts.
            if let Some(language) = found
                && quality > best.0
            {
                best = (quality, language);
            }
        }
        best.1
    }
}

/// Parses a weight such as `0.8`. A weight that cannot be parsed counts as zero.
fn per_mille(weight: &str) -> u32 {
    match weight.trim().split_once('.') {
        None => weight
            .trim()
            .parse::<u32>()
            .map_or(0, |whole| whole.min(1) * 1_000),
        Some(("0", digits)) if digits.len() <= 3 => format!("{digits:0<3}").parse().unwrap_or(0),
        Some(("1", _)) => 1_000,
        Some(_) => 0,
    }
}

/// A unit of a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Unit {
    Minutes,
    Hours,
    Days,
    Months,
    Years,
}

/// A text without values.
pub(in crate::gateway) type Text = &'static str;
/// A text with one value.
pub(in crate::gateway) type With1 = fn(&str) -> String;
/// A text with two values.
pub(in crate::gateway) type With2 = fn(&str, &str) -> String;
/// A text with a number, in the right plural.
pub(in crate::gateway) type Count = fn(usize) -> String;

/// Declares a struct whose fields are the names of the texts of one type.
macro_rules! texts {
    ($($type:ty: $($name:ident),+;)+) => {
        /// The texts of one language.
        pub(in crate::gateway) struct Texts {
            $($(pub(in crate::gateway) $name: $type,)+)+
        }
    };
}

texts! {
    // The frame and shared words.
    Text: lang, skip, operator, connections, to_connections, back_to_connections, service, status,
        account, you, never, optional, shared_tag, default_tag, other_group, everyone;
    fn(&str) -> Option<Text>: group;
    // The list.
    Text: all_connections, your_connections, connect_service, search, search_hint, search_hint_operator,
        all, current, active, needs_consent, revoked, filter, show_all_users, no_match, no_match_text,
        show_all, nothing_to_connect, nothing_to_connect_text, nothing_connected, nothing_connected_text,
        used, refreshed, reconnect, create_link, pages, first_page, next_page;
    With1: only_of;
    With2: of_owner;
    Count: more_scopes, not_granted_count;
    // A connection.
    Text: health, not_granted, not_granted_hint, create_reconnect_link, refresh_now, make_default,
        revoke_dots, operator_only, add_service, add_service_hint, add, create_add_link, belongs_to,
        workspace_owner, account_not_verified, granted, nothing_known, one_consent_with, connected,
        last_refreshed, last_used, token_expires, last_failure, id, activity, no_activity,
        no_activity_managed, no_activity_shared, through_workspace, turn, trail_unreadable,
        done_connected, done_refreshed, done_default;
    With1: to_provider, account_unverified, by;
    Count: trail_more;
    // Choosing a service.
    Text: connect_lead, choose_below, for_whom, for_whom_hint, share_label, name, name_hint, asks_for,
        full_access, more_options, connect_together, together_lead, connect, example, none;
    With1: connect_named, for_whom_you;
    fn(&str) -> String: label_error;
    fn(ParameterProblem) -> Text: parameter_problem;
    // On the way to the provider and back.
    Text: choice_heading, continue_, one_time_link, copy, copied, link_copied, waiting_text, look_again,
        other_values, the_service;
    With1: choice_title, choice_text, departure_heading, departure_text, link_heading, waiting_heading,
        try_again;
    fn(&str, &str, &str, &str) -> String: link_text;
    fn(Outcome, &str) -> (Text, String): outcome;
    // Refusals.
    Text: sign_in_first, not_allowed, not_found, that_failed, not_right;
    fn(&Said) -> Cow<'static, str>: refusal;
    // Revoking.
    Text: here, at_service, these_end, these_end_text, revoke, keep, erased, erased_text, ended,
        ended_text, these_ended, these_ended_text, for_everyone;
    With1: revoke_title, revoked_title, end_at, here_text, expect_endpoint, expect_by_user, expect_none;
    Text: here_text_shared;
    With2: account_of, goes_on;
    fn(&AtProvider, &str) -> (Text, String): at_provider;
    // Health.
    Text: healthy, no_known_end, refreshes_on_use, refreshing, refreshing_text, refused_by_api,
        needs_operator, revoked_text;
    With1: refreshes_in, expires_in, no_refresh, backing_off;
    With2: refused_by_api_text;
    fn(FailureCode) -> String: failure;
    fn(NeedsConsent, &str) -> String: need;
    fn(NeedsConsent) -> Text: past_need;
    fn(&Misconfigured, &str) -> String: remedy;
    fn(AuditKind, Option<&str>, &str) -> (String, Option<Text>): audit;
    // Time.
    Text: just_now, less_than_a_minute;
    fn(u64, Unit) -> String: span;
    With1: ago;
    [Text; 12]: months;
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_browser_chooses_among_the_languages_that_exist() {
        for (wanted, language) in [
            ("", Language::English),
            ("ru", Language::Russian),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("en-US,en;q=0.9,ru;q=0.8", Language::English),
            ("de, ru;q=0.5, en;q=0.25", Language::Russian),
            ("de, fr", Language::English),
            ("ru;q=0, en;q=0.001", Language::English),
            ("ru;q=x", Language::English),
            ("RU;q=1.000", Language::Russian),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(wanted));
            assert_eq!(Language::preferred(&headers), language, "{wanted}");
        }
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn plural_forms_follow_the_rules_of_the_language() {
        for (number, text) in [
            (1, "ещё 1 право"),
            (2, "ещё 2 права"),
            (5, "ещё 5 прав"),
            (11, "ещё 11 прав"),
            (21, "ещё 21 право"),
            (22, "ещё 22 права"),
            (112, "ещё 112 прав"),
        ] {
            assert_eq!((ru::TEXTS.more_scopes)(number), text);
        }
        assert_eq!((en::TEXTS.more_scopes)(1), "and 1 more");
    }
}
