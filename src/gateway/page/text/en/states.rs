//! The texts for states, outcomes and refusals in English.

use std::borrow::Cow;

use crate::error::Misconfigured;
use crate::gateway::outcome::Outcome;
use crate::gateway::refusal::{Said, sentence};
use crate::model::NeedsConsent;
use crate::vault::AuditKind;

pub(super) fn need(reason: NeedsConsent, provider: &str) -> String {
    match reason {
        NeedsConsent::Rejected => format!("access was revoked at {provider} or has expired"),
        NeedsConsent::Expired => "access has expired and cannot be refreshed".into(),
        NeedsConsent::LostInFlight => "a refresh was interrupted and its token was lost".into(),
        NeedsConsent::Unexplained => format!("{provider} refuses to refresh access without giving a reason"),
        NeedsConsent::ClientChanged => format!("this application has a new registration at {provider}"),
    }
}

pub(super) fn remedy(problem: &Misconfigured, provider: &str) -> String {
    match problem {
        Misconfigured::UnknownProvider(_) => {
            "this service is no longer set up; set it up again, or revoke the connection".into()
        }
        Misconfigured::UnknownServer(_) => {
            format!("the sign-in server of {provider} is no longer set up; set it up again, or revoke the connection")
        }
        Misconfigured::NoClient(_) => format!(
            "this application is no longer registered at {provider}; register it again, or revoke the connection"
        ),
        Misconfigured::Client(_) => format!(
            "the registration of this application does not match {provider}; correct the registration"
        ),
        Misconfigured::ClientChanged(_) => format!(
            "this application has another registration at {provider} now; restore the former one, or reconnect"
        ),
        Misconfigured::IssuerChanged(_) => format!(
            "the sign-in address of {provider} has changed here; restore the former one, or reconnect"
        ),
        Misconfigured::StoredParameter { .. } | Misconfigured::Descriptor(_) => {
            format!("the addresses of {provider} no longer match this connection; reconnect")
        }
        Misconfigured::InstanceNotRegistered(_) => format!(
            "this application is not registered at this instance of {provider}; register it there, or revoke the connection"
        ),
        Misconfigured::ClientRejected(_) => {
            format!("{provider} refuses this application’s ID or secret; correct the registration")
        }
        Misconfigured::RequestRejected { .. }
        | Misconfigured::NoUploads
        | Misconfigured::NoLoopbackRedirect(_)
        | Misconfigured::NoHttpClient => {
            format!("{provider} does not accept this application’s requests; correct its settings")
        }
    }
}

pub(super) fn audit(kind: AuditKind, detail: Option<&str>, provider: &str) -> (String, Option<&'static str>) {
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
        AuditKind::MasterKeyDestroyed => plain("The former master key was destroyed, or its destruction is scheduled"),
        AuditKind::VaultMoved => plain("The data was moved to another database"),
        AuditKind::DefinitionAdded => plain("Added to the workspace"),
        AuditKind::DefinitionChanged => plain("Changed in the workspace"),
        AuditKind::DefinitionRemoved => plain("Removed from the workspace"),
    }
}

pub(super) fn outcome(outcome: Outcome, name: &str) -> (&'static str, String) {
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

pub(super) fn refusal(said: &Said) -> Cow<'static, str> {
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
            "It may have been made for someone else, or was withdrawn. Ask for a new one, or sign in as the user it was made for."
        }
        Said::LinkExpired => "Ask for a new one, or connect the service from your connections.",
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
            return format!(
                "The account has several sites. Start again with one of them as the parameter {parameter}."
            )
            .into();
        }
    };
    text.into()
}
