//! The catalogue that each language fills.

use std::borrow::Cow;

use crate::engine::revoke::report::AtProvider;
use crate::error::Misconfigured;
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::Said;
use crate::model::{FailureCode, NeedsConsent};
use crate::provider::ParameterProblem;
use crate::vault::AuditKind;

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
        #[cfg_attr(not(feature = "mcp"), allow(dead_code, reason = "the pages of MCP servers read theirs"))]
        pub(in crate::gateway) struct Texts {
            $($(pub(in crate::gateway) $name: $type,)+)+
        }
    };
}

texts! {
    // The frame and shared words.
    Text: lang, skip, operator, connections, to_connections, back_to_connections, service, status,
        account, you, never, optional, reads, writes, technical_names, shared_tag, default_tag, other_group, everyone;
    fn(&str) -> Option<Text>: of_catalogue;
    // The tabs of operators.
    Text: sections, workspace_connections, open_links, services, audit_log, user, switch_user;
    With1: signed_in_as;
    // The list.
    Text: all_connections, your_connections, connect_service, search, search_hint, search_hint_operator,
        all, current, active, needs_consent, revoked, filter, show_all_users, no_match, no_match_text,
        show_all, nothing_to_connect, nothing_to_connect_text, nothing_connected, nothing_connected_text,
        other_connections, used, refreshed, reconnect, create_link, pages, first_page, next_page, no_match_yet,
        no_more_match, search_paused, continue_search;
    Text: sort, sort_oldest, sort_newest, sort_used, too_many_to_sort, revoke_all_of_user, can_change,
        read_only, cancel;
    With1: only_of, attention;
    With2: of_owner;
    Count: more_scopes, not_granted_count;
    // A connection.
    Text: health, not_granted, not_granted_hint, create_reconnect_link, refresh_now, make_default,
        revoke_dots, operator_only, add_service, add_service_hint, add, create_add_link, belongs_to,
        workspace_owner, account_not_verified, granted, nothing_known, one_consent_with, connected,
        last_refreshed, last_used, token_expires, last_failure, id, activity, no_activity,
        no_activity_managed, no_activity_shared, through_workspace, turn, trail_unreadable,
        done_connected, done_refreshed, done_default;
    Text: change_access, full_history, incomplete, incomplete_text;
    With1: to_provider, account_unverified, by, waits_for, ask_again;
    Count: trail_more;
    // Open links.
    Text: open_links_lead, no_links, no_links_text, link_opened, link_unopened, created, valid_until,
        withdraw, done_withdrawn, done_ended;
    Count: only_latest;
    // Services.
    Text: services_lead, available, not_available, revoke_all, client_own, client_added, client_shared, client_none,
        client_unreadable, ends_by_request, ends_by_user, ends_by_itself, ends_unknown;
    // The audit.
    Text: audit_lead, export, event, from, to, only_connection, show_connection, no_events,
        search_goes_on, older, some_service;
    Count: export_most;
    // Choosing a service.
    Text: connect_lead, choose_below, for_whom, for_whom_hint, share_label, name, name_hint, asks_for,
        full_access, more_options, connect_together, together_lead, connect, example, none;
    Text: access_full, access_error, user_unknown, user_ambiguous;
    With1: connect_named, for_whom_you;
    fn(&str) -> String: label_error;
    fn(ParameterProblem) -> Text: parameter_problem;
    // MCP servers.
    Text: mcp_add, mcp_lead, mcp_address, mcp_look, mcp_server, mcp_authorization, mcp_no_scopes, mcp_warning;
    With1: mcp_heading, mcp_continue;
    fn(&str) -> Text: mcp_mistake;
    // On the way to the provider and back.
    Text: choice_heading, continue_, one_time_link, copy, copied, link_copied, waiting_text, look_again,
        other_values, the_service;
    With1: choice_title, choice_text, departure_heading, departure_text, link_heading, waiting_heading,
        try_again;
    fn(&str, &str, &str, &str) -> String: link_text;
    fn(Outcome, &str) -> (Text, String): outcome;
    // Refusals.
    Text: link_refused, link_expired, sign_in_first, not_allowed, not_found, that_failed, not_right;
    fn(&Said) -> Cow<'static, str>: refusal;
    // Revoking.
    Text: here, at_service, these_end, these_end_text, revoke, keep, erased, erased_text, ended,
        ended_text, these_ended, these_ended_text, for_everyone;
    With1: revoke_title, revoked_title, end_at, here_text, expect_endpoint, expect_by_user, expect_none;
    Text: here_text_shared, revoke_all_title, nothing_to_revoke, revoke_all_text, affected;
    Count: connections_count, users_count, and_more, revoke_count, revoked_count, left_count;
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
