//! Checks of descriptors, once, before anything is built on them.

mod added;
mod deviations;

use std::collections::BTreeMap;

use http::HeaderName;
use http::header::HeaderValue;
use url::Url;

use crate::http::is_clean;
use crate::model::Scope;
use crate::provider::template::{Alternative, InvalidTemplate, Template};
use crate::provider::value::{BUILT_IN, names_in};
use crate::provider::{
    AuthorizationServer, InvalidRedirect, IssuerPolicy, ParameterKind, ParameterSource, Pattern, Provider,
    Revocation,
};

/// Which URLs descriptors and parameters may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// `https` alone: everything outside a test.
    HttpsOnly,
    /// Plain `http` to `127.0.0.0/8`, `[::1]` and `localhost` as well, for sandboxes and tests.
    HttpsOrLoopback,
}

/// A descriptor or a registration that cannot be used. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{descriptor}\": {field}: {problem}")]
#[non_exhaustive]
pub struct InvalidDescriptor {
    /// The id of the server or provider.
    pub descriptor: String,
    /// Its field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: DescriptorProblem,
}

/// What is wrong with a field of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorProblem {
    /// The template is none.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// The URL is `http`.
    #[error("is not https")]
    NotHttps,
    /// The URL has a query or a path where none may be.
    #[error("is not a bare origin or has a query")]
    NotBare,
    /// The query of the endpoint, or an added parameter, has a name that the protocol uses.
    #[error("sets \"{0}\", which the protocol uses")]
    ProtocolParameter(String),
    /// A placeholder without a rule, or with a rule that does not fit its place.
    #[error("{{{0}}} has no rule that fits its place")]
    Placeholder(String),
    /// A rule with a bad name, no values or a default of another kind.
    #[error("the rule for \"{0}\" is not usable")]
    Rule(String),
    /// What should be a scope is none.
    #[error("has a scope that RFC 6749 does not allow")]
    Scope,
    /// What should be a JSON pointer is none.
    #[error("has a JSON pointer that does not begin with \"/\"")]
    Pointer,
    /// A value that the browser brings would decide where secrets go.
    #[error("takes {{{0}}}, which the callback brings: give it a list of values")]
    FromCallback(String),
    /// A value that is known only after the consent is needed before it.
    #[error(
        "needs {{{0}}}, which is known only after the consent: add an alternative without it after \" || \""
    )]
    NotYetKnown(String),
    /// A parameter may not be renamed or left out: state and PKCE protect the consent.
    #[error("may not rename or leave out \"{0}\"")]
    Renamed(String),
    /// The header cannot be sent, or is one that HTTP itself uses.
    #[error("is not a header that can carry a token")]
    Header,
    /// The header is none, or frames the message, or acts as somebody.
    #[error("may not set the header \"{0}\": it is none, frames the message or carries a credential")]
    HeaderName(String),
    /// A list of statuses is empty, or has a status that is not a client error.
    #[error("must list statuses from 400 to 499")]
    RefusalStatus,
    /// Neither a status nor a code, or a status that is no refusal.
    #[error("has an entry with neither a code nor a status from 400 to 499")]
    DeadGrant,
    /// The value is not one of those that are possible here.
    #[error("has a value that is not possible here")]
    Value,
    /// The id names nothing that is known.
    #[error("names what is not known")]
    Unknown,
    /// The redirect URI is not one that the server takes.
    #[error(transparent)]
    Redirect(#[from] InvalidRedirect),
    /// A registration lists a base URL that can be compared with no endpoint.
    #[error(
        "lists a base URL that is not \"https://host\", with a port or a path at most, or \"https://*.domain\" for the \
         hosts below a public domain"
    )]
    BaseUrl,
    /// There are blanks or quotes around the value, from the file or the variable that it was read from.
    #[error("begins or ends with a blank, or is in quotes")]
    Wrapped,
    /// There is a client secret and the client is public, or the other way round.
    #[error("does not fit the server's client authentication")]
    ClientSecret,
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

/// Checks a server.
pub(super) fn server(server: &AuthorizationServer, transport: Transport) -> Result<(), InvalidDescriptor> {
    let check = Check {
        descriptor: server.id.as_str(),
        server,
        transport,
    };
    check.rules()?;
    check.endpoint("authorization_endpoint", &server.authorization_endpoint)?;
    check.endpoint("token_endpoint", &server.token_endpoint)?;
    check.known_early("authorization_endpoint", &server.authorization_endpoint)?;
    check.known_early("token_endpoint", &server.token_endpoint)?;
    if let Some(endpoint) = &server.refresh_endpoint {
        check.endpoint("refresh_endpoint", endpoint)?;
        check.known_early("refresh_endpoint", endpoint)?;
    }
    check.deviations()?;
    match &server.revocation {
        Revocation::Endpoint { url, .. } | Revocation::DeleteWithBearer { url } => {
            check.endpoint("revocation", url)?;
        }
        Revocation::ByUser { url } => drop(check.template("revocation", url)?),
        Revocation::Unsupported => {}
    }
    // One of the two is not true: where consents share a grant, ending an old one ends the new one.
    let shared = matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. })
        || !server.extending_parameters.is_empty();
    if server.separate_grants && shared {
        return Err(check.error("separate_grants", DescriptorProblem::Value));
    }
    check.issuer()?;
    if !matches!(server.scope_separator.as_str(), " " | "," | "+" | ";" | "|") {
        return Err(check.error("scope_separator", DescriptorProblem::Value));
    }
    check.added_parameters()?;
    for scope in &server.unechoed_scopes {
        Scope::new(scope.as_str()).map_err(|_| check.error("unechoed_scopes", DescriptorProblem::Scope))?;
    }
    if let Some(prefix) = &server.scope_prefix {
        Scope::new(prefix.as_str()).map_err(|_| check.error("scope_prefix", DescriptorProblem::Scope))?;
    }
    for dead in &server.dead_grants {
        // A server error counts only with a code: an outage must not look like the end of every grant.
        let last = if dead.error.is_some() { 599 } else { 499 };
        let status = dead.status.is_none_or(|status| (400..=last).contains(&status));
        let code = dead.error.as_ref().is_none_or(|code| !code.is_empty());
        if !status || !code || (dead.status.is_none() && dead.error.is_none()) {
            return Err(check.error("dead_grants", DescriptorProblem::DeadGrant));
        }
    }
    Ok(())
}

/// Checks a provider against its server.
pub(super) fn provider(
    provider: &Provider,
    server: &AuthorizationServer,
    transport: Transport,
) -> Result<(), InvalidDescriptor> {
    let check = Check {
        descriptor: provider.id.as_str(),
        server,
        transport,
    };
    if let Some(base) = &provider.api_base {
        let url = check.template("api_base", base)?;
        if url.query().is_some() {
            return Err(check.error("api_base", DescriptorProblem::NotBare));
        }
    }
    for host in &provider.api_hosts {
        let url = check.template("api_hosts", &host.origin)?;
        let template =
            Template::parse(&host.origin).map_err(|problem| check.error("api_hosts", problem.into()))?;
        let based = template.alternatives().all(|one| one.base_url().is_some());
        let bare = url.query().is_none() && (based || url.path() == "/");
        let prefix = host.path_prefix.starts_with('/')
            && host
                .path_prefix
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte));
        if !bare || !prefix {
            return Err(check.error("api_hosts", DescriptorProblem::NotBare));
        }
        for name in names_in(&host.path_prefix) {
            let rule = server.parameters.iter().find(|rule| rule.name == name);
            if !rule.is_some_and(|rule| rule.kind.is_segment()) {
                return Err(check.error("api_hosts", DescriptorProblem::Placeholder(name.into())));
            }
        }
    }
    if let Some(account) = &provider.account {
        check.template("account", &account.url)?;
        let mut pointers = account.id.iter().chain(&account.email).chain(&account.label);
        if account.id.is_empty() || !pointers.all(|pointer| pointer.starts_with('/')) {
            return Err(check.error("account", DescriptorProblem::Pointer));
        }
    }
    if let Some(account) = &provider.account_in_answer {
        let mut pointers = account.id.iter().chain(&account.email).chain(&account.label);
        if account.id.is_empty() || !pointers.all(|pointer| pointer.starts_with('/')) {
            return Err(check.error("account_in_answer", DescriptorProblem::Pointer));
        }
    }
    check.discovery(provider)?;
    if let Some(modes) = &provider.scope_modes
        && server.parameters.iter().all(|rule| rule.name != modes.parameter)
    {
        return Err(check.error(
            "scope_modes",
            DescriptorProblem::Placeholder(modes.parameter.clone()),
        ));
    }
    check.token_header(provider)?;
    check.token_refused(provider)?;
    check.api_request(provider)?;
    check.authorization_parameters(&provider.authorization_parameters)
}

impl Check<'_> {
    fn error(&self, field: &'static str, problem: DescriptorProblem) -> InvalidDescriptor {
        InvalidDescriptor {
            descriptor: self.descriptor.into(),
            field,
            problem,
        }
    }

    fn rules(&self) -> Result<(), InvalidDescriptor> {
        for (index, rule) in self.server.parameters.iter().enumerate() {
            let named = Template::parse(&format!("https://as.invalid/{{{}}}", rule.name)).is_ok();
            let once = self.server.parameters[..index]
                .iter()
                .all(|earlier| earlier.name != rule.name);
            let fits = !matches!(&rule.kind, ParameterKind::OneOf(values) if values.is_empty());
            let pattern = rule.pattern.as_ref().is_none_or(Pattern::is_usable);
            let source = match &rule.source {
                ParameterSource::Host => true,
                ParameterSource::Callback(parameter) => {
                    !parameter.is_empty()
                        && !is_protocol(parameter)
                        && !matches!(rule.kind, ParameterKind::BaseUrl | ParameterKind::Host)
                }
                ParameterSource::TokenAnswer(pointer) => pointer.starts_with('/'),
                ParameterSource::Discovery => true,
            };
            let reserved = BUILT_IN.contains(&rule.name.as_str());
            if !(named
                && once
                && fits
                && pattern
                && source
                && !reserved
                && rule.default_is_accepted(self.transport))
            {
                return Err(self.error("parameters", DescriptorProblem::Rule(rule.name.clone())));
            }
        }
        Ok(())
    }

    /// Expands the template with a stand-in for each placeholder, which must have a rule that fits its place.
    fn template(&self, field: &'static str, text: &str) -> Result<Url, InvalidDescriptor> {
        let template = Template::parse(text).map_err(|problem| self.error(field, problem.into()))?;
        let mut first = None;
        for alternative in template.alternatives() {
            let url = self.alternative(field, alternative)?;
            first.get_or_insert(url);
        }
        first.ok_or_else(|| self.error(field, InvalidTemplate::Syntax.into()))
    }

    fn alternative(&self, field: &'static str, template: &Alternative<'_>) -> Result<Url, InvalidDescriptor> {
        let base = template.base_url();
        let whole_host = template.whole_host();
        let in_host: Vec<&str> = template.host_placeholders().collect();
        let mut values = BTreeMap::new();
        for name in template.placeholders() {
            let rule = self.server.parameters.iter().find(|rule| rule.name == name);
            let at_start = base == Some(name);
            // Where the browser chose a host, it would choose who gets the code or the token.
            if let Some(rule) = rule
                && matches!(rule.source, ParameterSource::Callback(_))
                && (at_start || in_host.contains(&name))
                && !matches!(rule.kind, ParameterKind::OneOf(_))
            {
                return Err(self.error(field, DescriptorProblem::FromCallback(name.into())));
            }
            let stand_in = rule.and_then(|rule| {
                let (fits, plain) = if at_start {
                    (rule.kind.is_base_url(), "https://placeholder.invalid")
                } else if whole_host == Some(name)
                    && template.placeholders().filter(|it| *it == name).count() == 1
                {
                    (rule.kind.is_host(), "placeholder.invalid")
                } else if in_host.contains(&name) {
                    (rule.kind.is_word(), "placeholder")
                } else {
                    (rule.kind.is_segment(), "placeholder")
                };
                let value = match &rule.kind {
                    ParameterKind::OneOf(values) => values.first().map(String::as_str),
                    _ => Some(plain),
                };
                fits.then_some(value).flatten()
            });
            let stand_in =
                stand_in.ok_or_else(|| self.error(field, DescriptorProblem::Placeholder(name.into())))?;
            values.insert(name.to_owned(), stand_in.to_owned());
        }
        let url = template
            .expand(&values)
            .map_err(|problem| self.error(field, problem.into()))?;
        self.scheme(field, &url)?;
        Ok(url)
    }

    fn scheme(&self, field: &'static str, url: &Url) -> Result<(), InvalidDescriptor> {
        if url.scheme() == "https" || self.transport == Transport::HttpsOrLoopback {
            Ok(())
        } else {
            Err(self.error(field, DescriptorProblem::NotHttps))
        }
    }

    /// An endpoint may have a query of its own (RFC 6749 §3.1), without the protocol's names in it.
    fn endpoint(&self, field: &'static str, text: &str) -> Result<(), InvalidDescriptor> {
        let url = self.template(field, text)?;
        match url.query_pairs().find(|(name, _)| is_protocol(name)) {
            Some((name, _)) => Err(self.error(field, DescriptorProblem::ProtocolParameter(name.into()))),
            None => Ok(()),
        }
    }

    fn issuer(&self) -> Result<(), InvalidDescriptor> {
        let Some(issuer) = &self.server.issuer else {
            return match self.server.issuer_policy {
                IssuerPolicy::Required => Err(self.error("issuer", DescriptorProblem::Value)),
                IssuerPolicy::MatchIfPresent | IssuerPolicy::Ignored => Ok(()),
            };
        };
        // RFC 8414 §2: https, no query, no fragment. It is compared as text, so it is not normalised here.
        let url = Url::parse(issuer).map_err(|_| self.error("issuer", InvalidTemplate::Url.into()))?;
        if !is_clean(&url) || url.query().is_some() {
            return Err(self.error("issuer", DescriptorProblem::NotBare));
        }
        self.scheme("issuer", &url)
    }

    fn token_header(&self, provider: &Provider) -> Result<(), InvalidDescriptor> {
        let header = &provider.token_header;
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .is_ok_and(|name| !RESERVED_HEADERS.contains(&name.as_str()));
        let prefix = HeaderValue::from_str(&header.prefix).is_ok() && header.prefix.is_ascii();
        if name && prefix {
            Ok(())
        } else {
            Err(self.error("token_header", DescriptorProblem::Header))
        }
    }
}

impl Check<'_> {
    /// A server error is not a statement about the token, and a success even less.
    fn token_refused(&self, provider: &Provider) -> Result<(), InvalidDescriptor> {
        let statuses = &provider.token_refused;
        let refusals = statuses.iter().all(|status| (400..=499).contains(status));
        if statuses.is_empty() || !refusals {
            return Err(self.error("token_refused", DescriptorProblem::RefusalStatus));
        }
        Ok(())
    }
}

fn is_protocol(name: &str) -> bool {
    PROTOCOL_PARAMETERS
        .iter()
        .any(|protocol| protocol.eq_ignore_ascii_case(name))
}
