//! The texts in English.

use std::borrow::Cow;

use super::catalogue::{Texts, Unit};
use crate::engine::revoke::report::AtProvider;
use crate::error::Misconfigured;
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::{Said, sentence};
use crate::gateway::time;
use crate::model::NeedsConsent;
use crate::provider::ParameterProblem;
use crate::vault::AuditKind;

pub(super) static TEXTS: Texts = Texts {
    lang: "en",
    skip: "Skip to the content",
    operator: "Operator",
    connections: "Connections",
    to_connections: "To the connections",
    back_to_connections: "Back to the connections",
    service: "Service",
    status: "Status",
    account: "Account",
    you: "you",
    never: "never",
    optional: "optional",
    reads: "View",
    writes: "Change",
    technical_names: "Technical names",
    shared_tag: "Workspace connection",
    default_tag: "Default",
    other_group: "Other",
    everyone: "Everyone",
    of_catalogue: |_| None,

    sections: "Sections",
    workspace_connections: "Workspace connections",
    open_links: "Open links",
    services: "Services",
    audit_log: "Audit log",
    user: "User",
    switch_user: "Sign in as another user",
    signed_in_as: |user| format!("You are signed in as {user}."),

    all_connections: "All connections",
    your_connections: "Your connections",
    connect_service: "Connect a service",
    search: "Search",
    search_hint: "Account, service or name",
    search_hint_operator: "Account, service, user or name",
    all: "All",
    current: "Current",
    active: "Active",
    needs_consent: "Needs consent",
    revoked: "Revoked",
    filter: "Filter",
    show_all_users: "Show all users",
    no_match: "No connections match",
    no_match_text: "Try a shorter search, or remove the filters.",
    show_all: "Show all",
    nothing_to_connect: "No services are available yet",
    nothing_to_connect_text: "An administrator can add services to this application.",
    nothing_connected: "Nothing is connected yet",
    nothing_connected_text: "Choose a service to connect. You decide at the service what agents may do for you, and you can revoke access here at any time.",
    other_connections: "Other connections",
    used: "Used",
    refreshed: "Refreshed",
    reconnect: "Reconnect",
    create_link: "Create link",
    pages: "Pages",
    first_page: "First page",
    next_page: "Next page",
    sort: "Sort by",
    sort_oldest: "Oldest first",
    sort_newest: "Newest first",
    sort_used: "Last used",
    too_many_to_sort: "There are too many connections to sort. Choose a service or a user, or search.",
    revoke_all_of_user: "Revoke all …",
    can_change: "Can change data",
    read_only: "Read only",
    cancel: "Cancel",
    only_of: |user| format!("Only connections of {user}."),
    attention: |number| format!("Needs attention ({number})"),
    of_owner: |provider, owner| format!("{provider} of {owner}"),
    more_scopes: |number| format!("and {number} more"),
    not_granted_count: |number| format!("{number} not granted"),

    health: "Health",
    not_granted: "Not granted",
    not_granted_hint: "If agents need this access, reconnect and keep it selected.",
    create_reconnect_link: "Create reconnect link",
    refresh_now: "Refresh now",
    make_default: "Make default",
    revoke_dots: "Revoke …",
    operator_only: "Only an operator can change a workspace connection.",
    add_service: "Add a service",
    add_service_hint: "Extends the consent of the same account. Existing connections keep working.",
    add: "Add",
    create_add_link: "Create link to add",
    belongs_to: "Belongs to",
    workspace_owner: "the workspace: everyone without their own connection uses it",
    account_not_verified: "Account not verified",
    granted: "Granted",
    nothing_known: "unknown",
    one_consent_with: "Shares its consent with",
    connected: "Connected",
    last_refreshed: "Last refreshed",
    last_used: "Last used",
    token_expires: "Current token expires",
    last_failure: "Last failure",
    id: "ID",
    activity: "Activity",
    no_activity: "No activity yet",
    no_activity_managed: "Consents, refreshes and uses of this connection will appear here.",
    no_activity_shared: "Your agents’ uses of this connection will appear here. You cannot see the uses by others.",
    through_workspace: "through the workspace connection",
    turn: "turn",
    trail_unreadable: "The activity cannot be read right now. The rest of this page is up to date.",
    done_connected: "Connected. Agents can now act with this account for its owner.",
    done_refreshed: "Refreshed. The new tokens are stored.",
    done_default: "This connection is now the default.",
    change_access: "Change access …",
    full_history: "Show the full history",
    waits_for: |provider| format!("{provider} has not confirmed the end of the access yet. The request is repeated automatically."),
    ask_again: |provider| format!("Ask {provider} again"),
    to_provider: |provider| format!("to {provider}"),
    account_unverified: |provider| format!("not verified: {provider} does not name the account, so reconnecting with another account cannot be detected."),
    by: |user| format!("by {user}"),
    trail_more: |number| format!("Showing the latest {number} entries. The audit log contains older ones."),

    open_links_lead: "One-time links that were created for users, and consents that users have begun. A withdrawn link can no longer be used.",
    no_links: "No open links",
    no_links_text: "A link appears here from its creation until it is used, withdrawn or expired.",
    link_opened: "Opened",
    link_unopened: "Not opened",
    created: "Created",
    valid_until: "Valid until",
    withdraw: "Withdraw",
    done_withdrawn: "The link was withdrawn.",
    done_ended: "The link had already ended, so nothing was withdrawn.",
    only_latest: |number| format!("Showing the latest {number}."),

    services_lead: "The services of this workspace, the app registration that each of them uses, and how access ends there.",
    available: "Available",
    not_available: "Cannot be connected",
    revoke_all: "Revoke all …",
    client_own: "This workspace’s own app registration",
    client_shared: "The app registration for all workspaces",
    client_none: "No app registration",
    client_unreadable: "The app registrations cannot be read right now",
    ends_by_request: "Access ends at the service with the revocation",
    ends_by_user: "Only the user can end the access, on the service’s own page",
    ends_by_itself: "The service cannot revoke access; it ends when it expires",
    ends_unknown: "The service is not set up, so no request can be sent to it",

    audit_lead: "Who connected, used and revoked what, newest first.",
    export: "Export CSV",
    event: "Event",
    from: "From",
    to: "To",
    only_connection: "Only one connection.",
    show_connection: "Show the connection",
    no_events: "No events",
    search_goes_on: "No matching events among the latest entries. Continue with older ones.",
    older: "Older events",
    some_service: "the service",
    export_most: |number| format!("A file has at most {number} entries."),

    connect_lead: "You’ll sign in at the service and choose what to allow. Nothing is connected until you approve it.",
    choose_below: "Choose a service below",
    for_whom: "For",
    for_whom_hint: "To connect for someone else, create a link. Only that user can use it.",
    share_label: "Workspace connection: everyone without their own connection uses this account",
    name: "Name",
    name_hint: "such as “work”",
    asks_for: "Requested access",
    full_access: "Full access to the data you select there",
    more_options: "More options",
    connect_together: "Connect several at once",
    together_lead: "You give one consent for everything you choose here. Each service becomes a separate connection, which you can revoke separately.",
    connect: "Connect",
    example: "For example",
    none: "none",
    access_full: "Usual access",
    access_error: "Reading without changing is not possible with these settings. Choose the usual access, or change the settings.",
    user_unknown: "No user has this name or ID. Check the spelling.",
    user_ambiguous: "Choose the user you mean.",
    connect_named: |name| format!("Connect {name}"),
    for_whom_you: |user| format!("{user} (you)"),
    label_error: |problem| format!("The name {problem}."),
    parameter_problem: |problem| match problem {
        ParameterProblem::Missing => "Enter a value.",
        ParameterProblem::Malformed => "This value is not valid. Check it against the example.",
        ParameterProblem::InternalHost => "Addresses in an internal network are not allowed.",
        ParameterProblem::Several => "Enter one of your sites.",
        ParameterProblem::Unknown => "The service has no such value.",
    },

    choice_heading: "Which site do you want to connect?",
    continue_: "Continue",
    one_time_link: "One-time link",
    copy: "Copy",
    copied: "Copied",
    link_copied: "The link was copied.",
    waiting_text: "Your response is being processed. This page reloads automatically.",
    look_again: "Check again",
    other_values: "Enter other values",
    the_service: "The service",
    choice_title: |name| format!("Choose a site of {name}"),
    choice_text: |name| format!("Your account at {name} has several sites, and a connection is for one of them. Nothing is connected yet. {name} will ask for your consent once more."),
    departure_heading: |name| format!("Continue to {name}"),
    departure_text: |host| format!("You are being redirected to {host}, where you choose what to allow."),
    link_heading: |user| format!("A link for {user}"),
    waiting_heading: |name| format!("Connecting {name} …"),
    try_again: |name| format!("Try {name} again"),
    link_text: |user, provider, lasts, time| format!("Send this link to {user}. It connects {provider} once, only {user} can use it, and it expires in {lasts} ({time}). You won’t see this link again."),
    outcome,

    sign_in_first: "Sign in first",
    not_allowed: "Not allowed",
    not_found: "Not found",
    that_failed: "Something went wrong",
    not_right: "The request is not valid",
    refusal,

    here: "Here",
    at_service: "At the service",
    these_end: "These connections end as well",
    these_end_text: "At this service, all connections to an account share one consent. When it ends, these connections stop working too and need a new consent:",
    revoke: "Revoke",
    keep: "Keep it",
    erased: "Erased",
    erased_text: "All tokens were erased from the vault and its files.",
    ended: "Ended",
    ended_text: "The tokens can no longer be used. An encrypted copy is kept until the service has confirmed the revocation, or until the next upkeep.",
    these_ended: "These connections ended as well",
    these_ended_text: "They need a new consent before agents can use them again:",
    for_everyone: "everyone in the workspace",
    revoke_title: |name| format!("Revoke {name}?"),
    revoked_title: |name| format!("{name} is revoked"),
    end_at: |name| format!("End access at {name}"),
    here_text: |owner| format!("The tokens are erased from the vault at once, and agents can no longer act with this account for {owner}. A turn in progress may finish its current request. The record is kept as history, without tokens."),
    expect_endpoint: |name| format!("{name} is asked to end the access. If it does not respond, the access may still exist there, but it cannot be used here. You will see the result."),
    expect_by_user: |name| format!("Only you can end the access at {name}, on its own page. You will get a link to it afterwards."),
    expect_none: |name| format!("{name} offers no way to revoke access. The remaining access expires by itself and cannot be used here."),
    here_text_shared: "The tokens are erased from the vault at once, and no agent can act with this account any longer, except for users with their own connection. A turn in progress may finish its current request. The record is kept as history, without tokens.",
    revoke_all_title: "Revoke all connections?",
    nothing_to_revoke: "There is nothing to revoke.",
    revoke_all_text: "Agents lose access at once. Then the services are asked to end the access there too.",
    affected: "Affected connections",
    connections_count: |number| plural(number, "connection"),
    users_count: |number| plural(number, "user"),
    and_more: |number| format!("and {number} more"),
    revoke_count: |number| format!("Revoke {}", plural(number, "connection")),
    revoked_count: |number| format!("{} revoked", plural(number, "connection")),
    left_count: |number| format!("{} left.", plural(number, "connection")),
    account_of: |account, owner| format!("{account} of {owner}"),
    goes_on: |name, others| format!("{name} shares its consent with {others}. They keep their access, so it is not ended there; it ends with the last of them."),
    at_provider,

    healthy: "Healthy",
    no_known_end: "the access has no known expiry",
    refreshes_on_use: "refreshed when it is next used",
    refreshing: "Refreshing",
    refreshing_text: "new tokens are being requested",
    refused_by_api: "Refused by the service",
    needs_operator: "Needs an administrator",
    revoked_text: "the connection can no longer be used",
    refreshes_in: |span| format!("refreshes automatically, next in about {span}"),
    expires_in: |span| format!("Expires in {span}"),
    no_refresh: |provider| format!("{provider} did not allow automatic refreshes"),
    backing_off: |time| format!("Backing off until {time}"),
    refused_by_api_text: |provider, time| format!("{provider} refused a request at {time}, even after a refresh; if nothing works, reconnect"),
    failure: |failure| failure.to_string(),
    need,
    past_need: |reason| match reason {
        NeedsConsent::Rejected => "access was revoked there or had expired",
        NeedsConsent::Expired => "access had expired and could not be refreshed",
        NeedsConsent::LostInFlight => "a refresh was interrupted and its token was lost",
        NeedsConsent::Unexplained => "the refresh was refused without a reason",
        NeedsConsent::ClientChanged => "the application has a new registration there",
    },
    remedy,
    audit,

    just_now: "just now",
    less_than_a_minute: "less than a minute",
    span: |number, unit| match unit {
        Unit::Minutes => format!("{number} min"),
        Unit::Hours => format!("{number} h"),
        Unit::Days => format!("{number} days"),
        Unit::Months => format!("{number} months"),
        Unit::Years => format!("{number} years"),
    },
    ago: |span| format!("{span} ago"),
    months: [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ],
};

/// Returns a number with its noun.
fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn need(reason: NeedsConsent, provider: &str) -> String {
    match reason {
        NeedsConsent::Rejected => format!("access was revoked at {provider} or has expired"),
        NeedsConsent::Expired => "access has expired and cannot be refreshed".into(),
        NeedsConsent::LostInFlight => "a refresh was interrupted and its token was lost".into(),
        NeedsConsent::Unexplained => format!("{provider} refuses to refresh access without giving a reason"),
        NeedsConsent::ClientChanged => format!("this application has a new registration at {provider}"),
    }
}

fn remedy(problem: &Misconfigured, provider: &str) -> String {
    match problem {
        Misconfigured::UnknownProvider(_) => {
            "this service is no longer set up; set it up again, or disconnect it".into()
        }
        Misconfigured::UnknownServer(_) => format!("the sign-in server of {provider} is no longer set up; set it up again, or disconnect it"),
        Misconfigured::NoClient(_) => format!("this application is no longer registered at {provider}; register it again, or disconnect it"),
        Misconfigured::Client(_) => format!("the registration of this application does not match {provider}; correct the registration"),
        Misconfigured::ClientChanged(_) => format!("this application has another registration at {provider} now; restore the former one, or reconnect"),
        Misconfigured::IssuerChanged(_) => format!("the sign-in address of {provider} has changed here; restore the former one, or reconnect"),
        Misconfigured::StoredParameter { .. } | Misconfigured::Descriptor(_) => format!("the addresses of {provider} no longer match this connection; reconnect"),
        Misconfigured::InstanceNotRegistered(_) => format!("this application is not registered at this instance of {provider}; register it there, or disconnect it"),
        Misconfigured::ClientRejected(_) => format!("{provider} refuses this application’s ID or secret; correct the registration"),
        Misconfigured::RequestRejected { .. }
        | Misconfigured::NoUploads
        | Misconfigured::NoLoopbackRedirect(_)
        | Misconfigured::NoHttpClient => format!("{provider} does not accept this application’s requests; correct its settings"),
    }
}

fn at_provider(outcome: &AtProvider, provider: &str) -> (&'static str, String) {
    match outcome {
        AtProvider::Revoked => ("Revoked", format!("{provider} has confirmed the revocation.")),
        AtProvider::Attempted { .. } => (
            "Revocation requested",
            format!("{provider} accepted the request, but does not guarantee that the access ends. Check on its own page."),
        ),
        AtProvider::Unconfirmed { retry_after } => {
            let wait = retry_after.map_or_else(String::new, |wait| format!(" It asks to wait {}.", time::span(&TEXTS, wait)),);
            (
                "Not confirmed",
                format!("{provider} did not confirm the revocation, so the access may still exist there. It cannot be used here.{wait}"),
            )
        }
        AtProvider::Refused => (
            "Refused",
            format!("{provider} refused the revocation, so the access may still exist there. It cannot be used here."),
        ),
        AtProvider::NotAttempted(problem) => (
            "Not requested",
            format!("No request was sent to {provider}, so the access may still exist there. It cannot be used here. The revocation is repeated once the settings are correct: {}.", remedy(problem, provider)),
        ),
        AtProvider::ByUser { .. } => ("One step is left", format!("Only the user can end the access at {provider}, on its own page.")),
        AtProvider::Unsupported => ("Not supported", format!("{provider} offers no way to revoke access. The remaining access expires by itself.")),
        AtProvider::StillUsedBy(others) => (
            "Still in use",
            format!(
                "{} at {provider} shares the consent and is still connected, so the access itself remains. It ends with the last of them.",
                match others.len() {
                    1 => "One other service".to_owned(),
                    number => format!("Each of {number} other services"),
                }
            ),
        ),
        AtProvider::NothingLeft => ("Nothing to revoke", "There was no token left to revoke.".into()),
    }
}

fn audit(kind: AuditKind, detail: Option<&str>, provider: &str) -> (String, Option<&'static str>) {
    let plain = |text: &str| (text.to_owned(), None);
    match kind {
        AuditKind::ConsentStarted => plain("Consent requested"),
        AuditKind::ConsentCompleted => plain("Consent given"),
        AuditKind::ConsentDenied => plain("Consent declined"),
        AuditKind::ConsentFailed => (
            "Consent failed".into(),
            Some("the code could not be exchanged, or the response was not usable"),
        ),
        AuditKind::Refreshed => plain("Refreshed"),
        AuditKind::RefreshRejected => plain(&format!("{provider} refused the refresh")),
        AuditKind::ConsentNeeded => plain("New consent needed"),
        AuditKind::QuarantineErased => plain("The refused token was erased"),
        AuditKind::Revoked => plain("Access ended here"),
        AuditKind::RevocationEnded => match detail {
            Some("confirmed") => plain(&format!("Revoked at {provider}")),
            Some("refused") => (
                format!("{provider} refused the revocation"),
                Some("the access may still exist there"),
            ),
            _ => (
                format!("Not confirmed by {provider}"),
                Some("no further attempts; the access may still exist there"),
            ),
        },
        AuditKind::DefaultSet => plain("Made the default"),
        AuditKind::TokenUsed => plain("Used"),
        AuditKind::UserForgotten => plain("All data of a user was deleted"),
        AuditKind::TenantForgotten => plain("All data of the workspace was deleted"),
        AuditKind::DataKeyRotated => plain("The workspace has a new key"),
        AuditKind::MasterKeyRotated => plain("The keys were wrapped with a new master key"),
        AuditKind::DefinitionAdded => plain("Added to the workspace"),
        AuditKind::DefinitionChanged => plain("Changed in the workspace"),
        AuditKind::DefinitionRemoved => plain("Removed from the workspace"),
    }
}

fn outcome(outcome: Outcome, name: &str) -> (&'static str, String) {
    match outcome {
        Outcome::Denied => ("Access was declined", format!("{name} reported that access was declined. Nothing was connected or changed.")),
        Outcome::Refused => ("Access was not given", format!("{name} refused access without a known reason. Nothing was connected.")),
        Outcome::Interaction => ("More is needed at the service", format!("{name} has to ask you something before it gives access, but was not allowed to. Nothing was connected.")),
        Outcome::TryLater => ("The service is not available now", format!("{name} has a temporary problem. Nothing was connected. Try again later.")),
        Outcome::NotValid => ("This consent is no longer valid", "It has expired, or another user began it. If you have completed it, the account is among your connections. Otherwise, start again.".into()),
        Outcome::OtherBrowser => ("This consent was started in another browser", "Continue in the browser in which you started, or start again here. If you have completed it there, the account is among your connections.".into()),
        Outcome::OtherServer => ("The response came from another server", format!("The response does not come from {name}, so it was not used. Nothing was connected. If this happens again, ask an administrator.")),
        Outcome::Withdrawn => ("This request was withdrawn", "It was withdrawn before you responded. Nothing was connected.".into()),
        Outcome::Failed => ("The connection could not be completed", format!("{name} did not return the expected response in time. No connection was stored. Start again.")),
        Outcome::Conflict => ("The connection was changed at the same time", "Another request changed the same connection. Check your connections, and start again if the account is not there.".into()),
        Outcome::OtherAccount => ("That was another account", "You chose a different account than the connected one. Nothing was changed. Start again with the same account, or connect the other one as a new connection.".into()),
        Outcome::UnknownAccount => ("The account is unknown", format!("{name} did not name the chosen account, so it cannot be compared with the connected one. Nothing was changed.")),
        Outcome::Parameter => ("The values do not match this account", format!("{name} needs other values, or the account has no access there. Nothing was connected. Check the values, or choose another account.")),
        Outcome::NotOffered => ("This service is not available", "The service was removed from this application. Nothing was connected.".into()),
        Outcome::NotOneGrant => ("These services cannot share one consent", "Connect each of them separately. Nothing was connected.".into()),
        Outcome::NotPermitted => ("Not allowed", "You are not allowed to connect this. Nothing was connected. Ask an administrator.".into()),
        Outcome::Misconfigured => ("This service is not configured correctly", format!("{name} does not accept the requests of this application. Nothing was connected. Ask an administrator to check the registration.")),
        Outcome::Unavailable => ("The connection could not be stored", "The storage of connections is not available. Check your connections later, and start again if the account is not there.".into()),
        Outcome::Internal => ("Something went wrong here", "The request could not be processed. Check your connections, and ask an administrator if this happens again.".into()),
    }
}

fn refusal(said: &Said) -> Cow<'static, str> {
    let text = match said {
        Said::NotFound => "This page does not exist, or you do not have access to it.",
        Said::Forbidden => "You are not allowed to do this.",
        Said::OutsideMount => "The address is not below the place where the gateway is mounted.",
        Said::Csrf => "The page is too old, or belongs to another user. Load it again.",
        Said::Prefetch => "This address cannot be prefetched.",
        Said::InvalidGrant => "This consent is not valid here, or no longer valid. Start again.",
        Said::Denied => "Access was declined.",
        Said::BeingCompleted => "This consent is being completed. Try again.",
        Said::Method => "This method is not allowed here.",
        Said::Internal => "An internal error occurred. Nothing was changed.",
        Said::Vault => "The connections cannot be read or written at the moment.",
        Said::SignIn => "Sign in first.",
        Said::NotOneGrant => "These services cannot share one consent.",
        Said::Misconfigured => "This service is not configured correctly. Ask an administrator.",
        Said::UnknownProvider => "There is no such service.",
        Said::NotAResponse => "This is not a response of an authorization server.",
        Said::ProviderDown => "The provider could not respond. Start again.",
        Said::LinkRefused => {
            "This link is not valid for you: it may have been made for someone else, or was withdrawn. Ask for a new one, or sign in as the user it was made for."
        }
        Said::LinkExpired => {
            "This link has expired. Ask for a new one, or connect the service from your connections."
        }
        Said::NoProvider => "No service is named.",
        Said::NoParameter => "The service has no such parameter.",
        Said::UnknownUser => "No user, or more than one, has this name or ID.",
        Said::NoReadOnly => "Reading without changing is not possible for this service with these values.",
        Said::NoAccess => "The access must be full or read_only.",
        Said::NoSelection => "Name a user or a service.",
        Said::ReturnTo => "This return address is not allowed.",
        Said::Program(text) => return text.clone(),
        Said::ForeignOrigin(address) => {
            return format!("The request was made from another address. Open {address} and try it there.")
                .into();
        }
        Said::Need(reason) => return format!("A new consent is required: {reason}.").into(),
        Said::Unavailable(failure) => return format!("Temporarily unavailable: {failure}.").into(),
        Said::Exchange(failure) => {
            return format!("The code could not be exchanged: {failure}. Start again.").into();
        }
        Said::Unchanged(error) => return format!("Nothing was changed: {error}.").into(),
        Said::Label(error) => return format!("The name {}.", error.problem()).into(),
        Said::Value(error) => return sentence(error).into(),
        Said::Parameter(error) => return format!("The service needs other values: {error}.").into(),
        Said::Choice(parameter) => {
            return format!("The account has several sites. Start again with one of them as the parameter {parameter}.")
            .into();
        }
    };
    text.into()
}
