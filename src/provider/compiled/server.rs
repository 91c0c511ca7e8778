//! An authorization server with parsed templates.

use std::collections::BTreeMap;
use std::ops::Deref;

use http::HeaderName;
use url::Url;

use crate::http::HttpRequest;
use crate::model::Parameters;
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::template::{InvalidTemplate, Template};
use crate::provider::value::AddedValue;
use crate::provider::{AuthorizationServer, Pattern, Revocation, ServerDescriptor};

/// Parameters that a descriptor adds to a request, by name.
pub type AddedParameters = BTreeMap<String, AddedValue>;

/// An authorization server with parsed templates. Dereferences to its descriptor.
#[derive(Debug)]
pub struct CompiledServer {
    descriptor: ServerDescriptor,
    endpoints: EndpointTemplates,
    /// The page where the user can revoke access.
    page: Option<Template>,
    authorization_parameters: AddedParameters,
    extending_parameters: AddedParameters,
    token_parameters: AddedParameters,
    refresh_parameters: AddedParameters,
    token_query: AddedParameters,
    token_headers: Vec<(HeaderName, AddedValue)>,
    /// True if requests go to public addresses only.
    is_public: bool,
}

#[derive(Debug)]
pub(super) struct EndpointTemplates {
    pub(super) authorization: Template,
    pub(super) token: Template,
    pub(super) refresh: Option<Template>,
    pub(super) revocation: Option<Template>,
    pub(super) pushed: Option<Template>,
}

impl CompiledServer {
    /// Parses the templates of a descriptor and compiles the patterns of its rules.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first template that cannot be parsed. A validated descriptor
    /// has none.
    pub fn compile(server: AuthorizationServer) -> Result<Self, InvalidDescriptor> {
        let descriptor = server.0;
        let read = |field, text: &String| template(descriptor.id.as_str(), field, text);
        let revocation = match &descriptor.revocation {
            Revocation::Endpoint { url, .. } | Revocation::DeleteWithBearer { url } => Some(url),
            Revocation::ByUser { .. } | Revocation::Unsupported => None,
        };
        let page = match &descriptor.revocation {
            Revocation::ByUser { url } => Some(("revocation", url)),
            _ => descriptor.access_page.as_ref().map(|page| ("access_page", page)),
        };
        let patterns = descriptor
            .parameters
            .iter()
            .filter_map(|rule| rule.pattern.as_ref());
        if !patterns.into_iter().all(Pattern::is_usable) {
            let problem = DescriptorProblem::Value;
            return Err(InvalidDescriptor::new(
                descriptor.id.as_str(),
                "parameters",
                problem,
            ));
        }
        Ok(Self {
            endpoints: EndpointTemplates {
                authorization: read("authorization_endpoint", &descriptor.authorization_endpoint)?,
                token: read("token_endpoint", &descriptor.token_endpoint)?,
                refresh: (descriptor.refresh_endpoint.as_ref())
                    .map(|url| read("refresh_endpoint", url))
                    .transpose()?,
                revocation: revocation.map(|url| read("revocation", url)).transpose()?,
                pushed: (descriptor.pushed_authorization_request_endpoint.as_ref())
                    .map(|url| read("pushed_authorization_request_endpoint", url))
                    .transpose()?,
            },
            page: page.map(|(field, page)| read(field, page)).transpose()?,
            authorization_parameters: added(&descriptor.authorization_parameters),
            extending_parameters: added(&descriptor.extending_parameters),
            token_parameters: added(&descriptor.token_parameters),
            refresh_parameters: added(&descriptor.refresh_parameters),
            token_query: added(&descriptor.token_query),
            token_headers: headers(descriptor.id.as_str(), "token_headers", &descriptor.token_headers)?,
            is_public: false,
            descriptor,
        })
    }

    /// Returns the same server, whose requests go to public addresses only: it was described by a
    /// server and not by the host.
    pub(crate) const fn at_public_addresses(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Returns a request to it, restricted to public addresses if necessary.
    pub(crate) fn bounded(&self, request: HttpRequest) -> HttpRequest {
        if self.is_public {
            request.to_public_addresses_only()
        } else {
            request
        }
    }

    pub(super) const fn endpoint_templates(&self) -> &EndpointTemplates {
        &self.endpoints
    }

    /// Returns the page where the user can revoke access, if there is one.
    #[must_use]
    pub fn revocation_page(&self, parameters: &Parameters) -> Option<Url> {
        self.page.as_ref()?.expand(parameters).ok()
    }

    /// Returns the parameters that the server adds to the authorization request.
    #[must_use]
    pub const fn added_to_authorization(&self) -> &AddedParameters {
        &self.authorization_parameters
    }

    /// Returns the parameters that extend an earlier grant.
    pub(crate) const fn added_to_extend(&self) -> &AddedParameters {
        &self.extending_parameters
    }

    /// Returns the parameters that the server adds to the code exchange.
    pub(crate) const fn added_to_exchange(&self) -> &AddedParameters {
        &self.token_parameters
    }

    /// Returns the parameters that the server adds to the refresh.
    pub(crate) const fn added_to_refresh(&self) -> &AddedParameters {
        &self.refresh_parameters
    }

    /// Returns the parameters that the server adds to the query of token requests.
    pub(crate) const fn added_to_token_query(&self) -> &AddedParameters {
        &self.token_query
    }

    /// Returns the headers that the server adds to token requests.
    pub(crate) fn added_token_headers(&self) -> &[(HeaderName, AddedValue)] {
        &self.token_headers
    }
}

impl Deref for CompiledServer {
    type Target = ServerDescriptor;

    fn deref(&self) -> &ServerDescriptor {
        &self.descriptor
    }
}

pub(super) fn template(
    descriptor: &str,
    field: &'static str,
    text: &str,
) -> Result<Template, InvalidDescriptor> {
    Template::parse(text)
        .map_err(|problem: InvalidTemplate| InvalidDescriptor::new(descriptor, field, problem.into()))
}

pub(super) fn added(parameters: &BTreeMap<String, String>) -> AddedParameters {
    parameters
        .iter()
        .map(|(name, value)| (name.clone(), AddedValue::parse(value)))
        .collect()
}

pub(super) fn headers(
    descriptor: &str,
    field: &'static str,
    headers: &BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, AddedValue)>, InvalidDescriptor> {
    headers
        .iter()
        .map(|(name, value)| match HeaderName::from_bytes(name.as_bytes()) {
            Ok(header) => Ok((header, AddedValue::parse(value))),
            Err(_) => Err(InvalidDescriptor::new(
                descriptor,
                field,
                DescriptorProblem::HeaderName(name.clone()),
            )),
        })
        .collect()
}
