//! Checks of descriptors, once, before anything is built on them.

mod added;
mod deviations;
mod problem;
mod provider;
mod registration;
mod rules;
mod urls;

pub(super) use registration::registration;

pub use problem::{DescriptorProblem, InvalidDescriptor, RuleProblem};

use crate::model::Scope;
use crate::provider::{AuthorizationServer, Provider, Revocation};

/// Which URLs descriptors and parameters may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// `https` alone: everything outside a test.
    HttpsOnly,
    /// Plain `http` to `127.0.0.0/8`, `[::1]` and `localhost` as well, for sandboxes and tests.
    HttpsOrLoopback,
}

/// Names that only the protocol code may set, in a query as in a body.
const PROTOCOL_PARAMETERS: [&str; 15] = [
    "response_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "state",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "scope",
    "resource",
    "grant_type",
    "refresh_token",
];

/// Names of credentials, which no template may take.
const CREDENTIALS: [&str; 7] = [
    "access_token",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "refresh_token",
];

/// Headers by which HTTP itself frames or routes the message.
const RESERVED_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// One descriptor under examination.
struct Check<'a> {
    descriptor: &'a str,
    server: &'a AuthorizationServer,
    transport: Transport,
}

/// Returns the mistakes of a server: the first of each field.
pub(super) fn server(server: &AuthorizationServer, transport: Transport) -> Vec<InvalidDescriptor> {
    let check = Check {
        descriptor: server.id.as_str(),
        server,
        transport,
    };
    let refresh = server.refresh_endpoint.as_deref();
    let rules = check.rules();
    let found = [
        check.id(server.id.as_str()),
        check.early_endpoint("authorization_endpoint", &server.authorization_endpoint),
        check.early_endpoint("token_endpoint", &server.token_endpoint),
        refresh.map_or(Ok(()), |endpoint| {
            check.early_endpoint("refresh_endpoint", endpoint)
        }),
        check.revocation(),
        check.separate_grants(),
        check.issuer(),
        check.scope_separator(),
        check.scopes_of_server(),
        check.dead_grants(),
        check.already_revoked(),
    ];
    let problems = rules
        .chain(found)
        .chain(check.deviations())
        .chain(check.added_parameters());
    problems.filter_map(Result::err).collect()
}

/// Returns the mistakes of a provider at its server: the first of each field.
pub(super) fn provider(
    provider: &Provider,
    server: &AuthorizationServer,
    transport: Transport,
) -> Vec<InvalidDescriptor> {
    let check = Check {
        descriptor: provider.id.as_str(),
        server,
        transport,
    };
    let found = check.provider(provider);
    found.into_iter().filter_map(Result::err).collect()
}

impl Check<'_> {
    fn error(&self, field: &'static str, problem: DescriptorProblem) -> InvalidDescriptor {
        InvalidDescriptor::new(self.descriptor, field, problem)
    }

    fn id(&self, id: &str) -> Result<(), InvalidDescriptor> {
        if id.contains(|c: char| c.is_whitespace() || "/?#%".contains(c)) {
            return Err(self.error("id", DescriptorProblem::Id));
        }
        Ok(())
    }

    fn revocation(&self) -> Result<(), InvalidDescriptor> {
        match &self.server.revocation {
            Revocation::Endpoint { url, .. } | Revocation::DeleteWithBearer { url } => {
                self.endpoint("revocation", url)?;
                self.late_url("revocation", url).map(drop)
            }
            Revocation::ByUser { url } => self.template("revocation", url).map(drop),
            Revocation::Unsupported => Ok(()),
        }
    }

    /// One of the two is not true: where consents share a grant, ending an old one ends the new one.
    fn separate_grants(&self) -> Result<(), InvalidDescriptor> {
        let server = self.server;
        let is_shared = matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. })
            || !server.extending_parameters.is_empty();
        if server.separate_grants && is_shared {
            return Err(self.error("separate_grants", DescriptorProblem::Value));
        }
        Ok(())
    }

    fn scope_separator(&self) -> Result<(), InvalidDescriptor> {
        if matches!(self.server.scope_separator.as_str(), " " | "," | "+" | ";" | "|") {
            Ok(())
        } else {
            Err(self.error("scope_separator", DescriptorProblem::Separator))
        }
    }

    fn scopes_of_server(&self) -> Result<(), InvalidDescriptor> {
        for scope in &self.server.unechoed_scopes {
            Scope::new(scope.as_str())
                .map_err(|_| self.error("unechoed_scopes", DescriptorProblem::Scope))?;
        }
        match &self.server.scope_prefix {
            Some(prefix) => Scope::new(prefix.as_str())
                .map(drop)
                .map_err(|_| self.error("scope_prefix", DescriptorProblem::Scope)),
            None => Ok(()),
        }
    }

    /// A success or a server error says nothing about an earlier revocation.
    fn already_revoked(&self) -> Result<(), InvalidDescriptor> {
        let mut statuses = self.server.already_revoked.iter();
        if statuses.all(|status| (400..=499).contains(status)) {
            return Ok(());
        }
        Err(self.error("already_revoked", DescriptorProblem::RefusalStatus))
    }

    /// A server error counts only with a code: an outage must not look like the end of every grant.
    fn dead_grants(&self) -> Result<(), InvalidDescriptor> {
        for dead in &self.server.dead_grants {
            let last = if dead.error.is_some() { 599 } else { 499 };
            let is_status = dead.status.is_none_or(|status| (400..=last).contains(&status));
            let is_code = dead.error.as_ref().is_none_or(|code| !code.is_empty());
            if !is_status || !is_code || (dead.status.is_none() && dead.error.is_none()) {
                return Err(self.error("dead_grants", DescriptorProblem::DeadGrant));
            }
        }
        Ok(())
    }
}

fn is_protocol(name: &str) -> bool {
    PROTOCOL_PARAMETERS
        .iter()
        .any(|protocol| protocol.eq_ignore_ascii_case(name))
}

fn is_credential(name: &str) -> bool {
    CREDENTIALS
        .iter()
        .any(|credential| credential.eq_ignore_ascii_case(name))
}
