//! A checked client registration, and the instances of a server at which it may be used.

use std::ops::Deref;
use std::sync::Arc;

use crate::http::internal_host::{is_internal, is_loopback};
use crate::model::Parameters;
use crate::provider::compiled::checked::CheckedParameters;
use crate::provider::compiled::provider::CompiledProvider;
use crate::provider::registered_base::RegisteredBase;
use crate::provider::template::Expanded;
use crate::provider::{ClientRegistration, ParameterKind, ParameterRule, ParameterSource, Transport};

/// A client registration that was checked against its server. Dereferences to the registration.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    registration: Arc<ClientRegistration>,
    bases: Arc<[RegisteredBase]>,
}

/// A reason why the values of a connection lead to a place that must not receive secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InstanceProblem {
    /// The client is not registered at the instance.
    NotRegistered,
    /// The parameter with this name leads to a host that is not public.
    InternalHost(String),
}

impl Client {
    /// Returns a registration with the base URLs that its check returned.
    pub(in crate::provider) const fn new(
        registration: Arc<ClientRegistration>,
        bases: Arc<[RegisteredBase]>,
    ) -> Self {
        Self { registration, bases }
    }

    /// Checks that every endpoint whose host comes from a value belongs to the client, and that no
    /// value leads to a host inside a network. `given` are the values that the host application has
    /// just passed, possibly from a user: they are not trusted, regardless of the source that their
    /// rule names. Of the provider's URLs, those with known values are checked.
    pub(crate) fn check_instance(
        &self,
        parameters: &CheckedParameters<'_>,
        provider: Option<&CompiledProvider>,
        given: &Parameters,
        transport: Transport,
    ) -> Result<(), InstanceProblem> {
        let values = Values {
            parameters,
            given,
            transport,
        };
        for place in parameters.places() {
            let belongs = if self.bases.is_empty() {
                place.in_host.iter().all(|name| values.is_set_elsewhere(name))
            } else {
                place.in_host.is_empty() || self.bases.iter().any(|base| base.covers(&place.url))
            };
            if !belongs {
                return Err(InstanceProblem::NotRegistered);
            }
        }
        let of_the_api = provider.into_iter().flat_map(CompiledProvider::api_templates);
        let of_the_api = of_the_api.filter_map(|template| template.located(parameters.values()).ok());
        for place in parameters.places().cloned().chain(of_the_api) {
            self.check_public(&place, &values)?;
        }
        Ok(())
    }

    fn check_public(&self, place: &Expanded<'_>, values: &Values<'_>) -> Result<(), InstanceProblem> {
        let url = &place.url;
        let is_allowed = !is_internal(url)
            || (values.transport == Transport::HttpsOrLoopback && is_loopback(url))
            || self.bases.iter().any(|base| base.names(url));
        let from_value = place.in_host.iter().find(|name| !values.is_from_descriptor(name));
        match from_value.filter(|_| !is_allowed) {
            Some(name) => Err(InstanceProblem::InternalHost((*name).to_owned())),
            None => Ok(()),
        }
    }
}

impl Deref for Client {
    type Target = ClientRegistration;

    fn deref(&self) -> &ClientRegistration {
        &self.registration
    }
}

/// The values of one connection, with the rules that they follow.
struct Values<'a> {
    parameters: &'a CheckedParameters<'a>,
    given: &'a Parameters,
    transport: Transport,
}

impl Values<'_> {
    fn rule(&self, name: &str) -> Option<&ParameterRule> {
        let rules = &self.parameters.server().parameters;
        rules.iter().find(|rule| rule.name == name)
    }

    /// Returns whether the descriptor lists the value, in a closed set or as the default.
    fn is_from_descriptor(&self, name: &str) -> bool {
        let (Some(rule), Some(value)) = (self.rule(name), self.parameters.values().get(name)) else {
            return false;
        };
        let is_default = || {
            let default = rule.default.as_deref().filter(|default| !default.is_empty());
            default.is_some_and(|default| rule.accept(default, self.transport).as_ref() == Ok(value))
        };
        matches!(rule.kind, ParameterKind::OneOf(_)) || is_default()
    }

    /// Returns whether the value comes from the descriptor or from the server, which has the
    /// secrets already.
    fn is_set_elsewhere(&self, name: &str) -> bool {
        let by_server = self.rule(name).is_some_and(|rule| {
            matches!(
                rule.source,
                ParameterSource::TokenAnswer(_) | ParameterSource::Discovery
            )
        });
        self.is_from_descriptor(name) || (by_server && !self.given.contains_key(name))
    }
}
