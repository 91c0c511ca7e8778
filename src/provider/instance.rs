//! The instances of a server at which a client is registered, and the hosts that the values of a connection may name.

use std::collections::BTreeSet;

use url::{Host, Url};

use crate::http::is_clean;
use crate::model::Parameters;
use crate::provider::internal_host::{is_internal, is_loopback};
use crate::provider::service::strip_segments;
use crate::provider::{
    AuthorizationServer, ClientRegistration, ParameterKind, ParameterRule, ParameterSource, Provider,
    Revocation, Template, Transport,
};

/// Why the values of a connection lead to a place that must not receive secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InstanceProblem {
    /// The client is not registered at the instance.
    NotRegistered,
    /// The parameter of this name makes a host that is not public.
    InternalHost(String),
}

/// One of the base URLs at which a client is registered.
#[derive(Debug)]
pub(super) struct RegisteredBase {
    base: Url,
    /// Whether every host below that of `base` is meant, and not that host itself.
    below: bool,
}

impl RegisteredBase {
    /// Reads `https://host`, perhaps with a port and a path, or `https://*.domain` for every host below the domain.
    pub(super) fn parse(text: &str, transport: Transport) -> Option<Self> {
        // The parser would trim blanks and take a backslash for a slash.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return None;
        }
        let (below, text) = match text.strip_prefix("https://*.") {
            Some(rest) => (true, format!("https://{rest}")),
            None => (false, text.to_owned()),
        };
        let base = Url::parse(&text).ok()?;
        let is_allowed = base.scheme() == "https" || transport == Transport::HttpsOrLoopback;
        let is_base = is_allowed && is_clean(&base) && base.query().is_none() && !text.contains('*');
        // A wildcard never allows an internal host: the list must name it.
        let is_domain = matches!(base.host(), Some(Host::Domain(_))) && !is_internal(&base);
        (is_base && (!below || is_domain)).then_some(Self { base, below })
    }

    fn covers(&self, url: &Url) -> bool {
        let same_host = match (self.base.host_str(), url.host_str()) {
            (Some(domain), Some(host)) if self.below => host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            (domain, host) => domain == host,
        };
        same_host
            && self.base.scheme() == url.scheme()
            && self.base.port_or_known_default() == url.port_or_known_default()
            && strip_segments(url.path(), self.base.path()).is_some()
    }

    /// Whether the very host is named: the consent to one that is not public.
    fn names(&self, url: &Url) -> bool {
        !self.below && self.base.origin() == url.origin()
    }
}

/// The values of one connection, to be checked against the host's client.
pub(crate) struct Instance<'a> {
    pub(crate) server: &'a AuthorizationServer,
    /// The service, if it is in the registry.
    pub(crate) provider: Option<&'a Provider>,
    pub(crate) client: &'a ClientRegistration,
    pub(crate) transport: Transport,
    pub(crate) parameters: &'a Parameters,
}

impl Instance<'_> {
    /// Checks that every endpoint whose host comes from a value belongs to the client, and that no value makes a host
    /// inside a network. `given` are the values that the host of this library has just passed on, perhaps from a person:
    /// they are not trusted, wherever the rule says that the value comes from.
    pub(crate) fn check(&self, given: &Parameters) -> Result<(), InstanceProblem> {
        let registered = self.client.registered_bases(self.transport);
        for template in endpoint_templates(self.server) {
            let Some((url, names)) = self.expanded(template) else {
                continue;
            };
            let belongs = if registered.is_empty() {
                names.iter().all(|name| self.is_set_elsewhere(name, given))
            } else {
                names.is_empty() || registered.iter().any(|base| base.covers(&url))
            };
            if !belongs {
                return Err(InstanceProblem::NotRegistered);
            }
        }
        let of_the_api = self.provider.into_iter().flat_map(api_templates);
        let all = endpoint_templates(self.server).chain(of_the_api);
        for (url, names) in all.filter_map(|template| self.expanded(template)) {
            let from_value = names.iter().find(|name| !self.is_from_descriptor(name));
            let is_allowed = !is_internal(&url)
                || (self.transport == Transport::HttpsOrLoopback && is_loopback(&url))
                || registered.iter().any(|base| base.names(&url));
            if let Some(name) = from_value.filter(|_| !is_allowed) {
                return Err(InstanceProblem::InternalHost((*name).to_owned()));
            }
        }
        Ok(())
    }

    /// The URL that the template makes of the values, and the names of those that stand in its host.
    fn expanded<'t>(&self, template: &'t str) -> Option<(Url, BTreeSet<&'t str>)> {
        let template = Template::parse(template).ok()?;
        let chosen = template.chosen(self.parameters)?;
        let url = chosen.expand(self.parameters).ok()?;
        Some((url, chosen.host_placeholders().collect()))
    }

    fn rule(&self, name: &str) -> Option<&ParameterRule> {
        self.server.parameters.iter().find(|rule| rule.name == name)
    }

    /// Whether the descriptor lists the value: as one of a closed set, or as the default.
    fn is_from_descriptor(&self, name: &str) -> bool {
        let (Some(rule), Some(value)) = (self.rule(name), self.parameters.get(name)) else {
            return false;
        };
        let is_default = || {
            let default = rule.default.as_deref().filter(|default| !default.is_empty());
            default.is_some_and(|default| rule.accept(default, self.transport).as_ref() == Ok(value))
        };
        matches!(rule.kind, ParameterKind::OneOf(_)) || is_default()
    }

    /// Whether the descriptor lists the value, or the server has said it: that server has the secrets already.
    fn is_set_elsewhere(&self, name: &str, given: &Parameters) -> bool {
        let by_server = self.rule(name).is_some_and(|rule| {
            matches!(
                rule.source,
                ParameterSource::TokenAnswer(_) | ParameterSource::Discovery
            )
        });
        self.is_from_descriptor(name) || (by_server && !given.contains_key(name))
    }
}

/// Where codes, secrets, verifiers and refresh tokens go, and where the person is sent.
fn endpoint_templates(server: &AuthorizationServer) -> impl Iterator<Item = &str> {
    let revocation = match &server.revocation {
        Revocation::Endpoint { url, .. } | Revocation::DeleteWithBearer { url } => Some(url),
        Revocation::ByUser { .. } | Revocation::Unsupported => None,
    };
    [&server.authorization_endpoint, &server.token_endpoint]
        .into_iter()
        .chain(&server.refresh_endpoint)
        .chain(revocation)
        .map(String::as_str)
}

/// Where access tokens go.
fn api_templates(provider: &Provider) -> impl Iterator<Item = &str> {
    let account = provider.account.as_ref().map(|account| account.url.as_str());
    let discovery = provider
        .discovery
        .as_ref()
        .map(|discovery| discovery.url.as_str());
    let hosts = provider.api_hosts.iter().map(|host| host.origin.as_str());
    hosts
        .chain(provider.api_base.as_deref())
        .chain(account)
        .chain(discovery)
}
