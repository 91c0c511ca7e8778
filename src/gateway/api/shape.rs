//! The JSON shapes. Fields that are not listed here, such as tokens, endpoints and clients, never
//! leave the gateway.

use serde::Serialize;

use crate::engine::health::{Health, HealthState, Usable};
use crate::engine::revoke::report::{AtProvider, RevocationReport};
use crate::gateway::page::text::Language;
use crate::gateway::page::words::{self, Words};
use crate::gateway::time::rfc3339;
use crate::model::{Connection, NeedsConsent, Owner, Scope, Scopes, Status, UserId};
use crate::provider::{ParameterKind, ParameterRule, Provider};
use crate::vault::Erasure;

#[derive(Serialize)]
pub(super) struct Session<'a> {
    pub(super) tenant: &'a str,
    pub(super) user: &'a str,
    pub(super) role: &'static str,
    pub(super) csrf_token: &'a str,
}

#[derive(Serialize)]
pub(super) struct Providers<'a> {
    pub(super) providers: Vec<ProviderJson<'a>>,
}

#[derive(Serialize)]
pub(super) struct ProviderJson<'a> {
    id: &'a str,
    name: &'a str,
    group: &'a str,
    server: &'a str,
    scopes: Vec<String>,
    parameters: Vec<ParameterJson<'a>>,
}

#[derive(Serialize)]
struct ParameterJson<'a> {
    name: &'a str,
    title: Option<&'a str>,
    example: Option<&'a str>,
    default: Option<&'a str>,
    required: bool,
    values: Option<&'a [String]>,
}

impl<'a> ParameterJson<'a> {
    fn new(rule: &'a ParameterRule) -> Self {
        Self {
            name: &rule.name,
            title: rule.title.as_deref(),
            example: rule.example.as_deref(),
            default: rule.default.as_deref().filter(|it| !it.is_empty()),
            required: rule.default.is_none() && !rule.optional,
            values: match &rule.kind {
                ParameterKind::OneOf(values) => Some(values),
                _ => None,
            },
        }
    }
}

impl<'a> ProviderJson<'a> {
    pub(super) fn new(provider: &'a Provider, parameters: impl Iterator<Item = &'a ParameterRule>) -> Self {
        Self {
            id: provider.id().as_str(),
            name: provider.name(),
            group: provider.group(),
            server: provider.server().as_str(),
            scopes: texts(&provider.default_scopes().union(provider.required_scopes())),
            parameters: parameters.map(ParameterJson::new).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Page {
    pub(super) connections: Vec<ConnectionJson>,
    pub(super) next_after: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ConnectionJson {
    id: String,
    provider: String,
    server: String,
    user: Option<String>,
    shared: bool,
    label: Option<String>,
    is_default: bool,
    managed: bool,
    status: &'static str,
    reason: Option<&'static str>,
    account: Option<AccountJson>,
    account_verified: bool,
    granted_scopes: Vec<String>,
    missing_scopes: Vec<String>,
    /// Equal for connections that share one grant.
    grant: String,
    health: HealthJson,
    refreshable: bool,
    created_at: String,
    refreshed_at: String,
    used_at: Option<String>,
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct AccountJson {
    id: String,
    email: Option<String>,
    label: Option<String>,
}

#[derive(Serialize)]
struct HealthJson {
    state: &'static str,
    usable: &'static str,
    reason: Option<&'static str>,
    until: Option<String>,
    last_failure: Option<&'static str>,
    failed_at: Option<String>,
}

impl ConnectionJson {
    pub(super) fn new(connection: &Connection, health: &Health, managed: bool) -> Self {
        let (status, reason) = match connection.status {
            Status::Active => ("active", None),
            Status::NeedsConsent(reason) => ("needs_consent", Some(reason_code(reason))),
            Status::Revoked => ("revoked", None),
        };
        Self {
            id: connection.id.to_string(),
            provider: connection.provider.as_str().into(),
            server: connection.issued_by.server.as_str().into(),
            user: connection.owner.user().map(UserId::to_string),
            shared: connection.owner == Owner::Workspace,
            label: connection.label.as_ref().map(ToString::to_string),
            is_default: connection.is_default,
            managed,
            status,
            reason,
            account: connection.account.as_ref().map(|account| AccountJson {
                id: account.id.clone(),
                email: account.email.clone(),
                label: account.label.clone(),
            }),
            account_verified: connection.is_account_verified(),
            granted_scopes: texts(&connection.granted),
            missing_scopes: texts(&connection.missing_scopes()),
            grant: connection.grant.to_string(),
            health: HealthJson::new(health),
            refreshable: connection.refreshable,
            created_at: rfc3339(connection.created_at),
            refreshed_at: rfc3339(connection.refreshed_at),
            used_at: connection.used_at.map(rfc3339),
            expires_at: connection.expires_at.map(rfc3339),
        }
    }
}

impl HealthJson {
    fn new(health: &Health) -> Self {
        let mut json = Self {
            state: "healthy",
            usable: match health.usable {
                Usable::Now => "now",
                Usable::AfterRefresh => "after_refresh",
                Usable::No => "no",
            },
            reason: None,
            until: None,
            last_failure: health.last_failure.map(|failure| failure.as_str()),
            failed_at: health.failed_at.map(rfc3339),
        };
        match &health.state {
            HealthState::Healthy { .. } => {}
            HealthState::Expiring => json.state = "expiring",
            HealthState::Refreshing { .. } => json.state = "refreshing",
            &HealthState::BackingOff { until, failure } => {
                json.state = "backing_off";
                json.reason = Some(failure.as_str());
                json.until = Some(rfc3339(until));
            }
            &HealthState::RefusedByApi { since } => {
                json.state = "refused_by_api";
                json.failed_at = Some(rfc3339(since));
            }
            HealthState::Misconfigured(problem) => {
                json.state = "misconfigured";
                json.reason = Some(problem.as_str());
            }
            &HealthState::NeedsConsent(reason) => {
                json.state = "needs_consent";
                json.reason = Some(reason_code(reason));
            }
            HealthState::Revoked => json.state = "revoked",
        }
        json
    }
}

#[derive(Serialize)]
pub(super) struct RevocationJson {
    connection: ConnectionJson,
    here: &'static str,
    at_provider: &'static str,
    page: Option<String>,
    retry_after: Option<u64>,
    ended: Vec<EndedJson>,
    text: String,
}

#[derive(Serialize)]
struct EndedJson {
    grant: String,
    generation: u64,
    former: bool,
    at_provider: &'static str,
}

impl RevocationJson {
    pub(super) fn new(connection: ConnectionJson, revocation: &RevocationReport) -> Self {
        let (page, retry_after) = match &revocation.at_provider {
            AtProvider::Unconfirmed { retry_after } => (None, retry_after.map(|wait| wait.as_secs())),
            AtProvider::Attempted { url } => (url.clone(), None),
            AtProvider::ByUser { url } => (Some(url.clone()), None),
            AtProvider::Revoked
            | AtProvider::Refused
            | AtProvider::NotAttempted(_)
            | AtProvider::Unsupported
            | AtProvider::NothingLeft
            | AtProvider::StillUsedBy(_) => (None, None),
        };
        let ended = revocation.ended.iter().map(|ended| EndedJson {
            grant: ended.grant.to_string(),
            generation: ended.generation,
            former: ended.former,
            at_provider: outcome_code(&ended.at_provider),
        });
        let english = Language::English.texts();
        let Words { detail, .. } = words::at_provider(english, &revocation.at_provider, "the provider");
        Self {
            connection,
            here: match revocation.here {
                Erasure::Cleared => "cleared",
                Erasure::Pending => "pending",
            },
            at_provider: outcome_code(&revocation.at_provider),
            page,
            retry_after,
            ended: ended.collect(),
            text: detail,
        }
    }
}

const fn outcome_code(outcome: &AtProvider) -> &'static str {
    match outcome {
        AtProvider::Revoked => "revoked",
        AtProvider::Unconfirmed { .. } => "unconfirmed",
        AtProvider::Attempted { .. } => "attempted",
        AtProvider::Refused => "refused",
        AtProvider::NotAttempted(_) => "not_attempted",
        AtProvider::ByUser { .. } => "by_user",
        AtProvider::Unsupported => "unsupported",
        AtProvider::NothingLeft => "nothing_left",
        AtProvider::StillUsedBy(_) => "still_used",
    }
}

const fn reason_code(reason: NeedsConsent) -> &'static str {
    match reason {
        NeedsConsent::Rejected => "rejected",
        NeedsConsent::Expired => "expired",
        NeedsConsent::LostInFlight => "lost_in_flight",
        NeedsConsent::Unexplained => "unexplained",
        NeedsConsent::ClientChanged => "client_changed",
    }
}

fn texts(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(Scope::to_string).collect()
}
