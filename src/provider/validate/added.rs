//! Checks of what a descriptor adds to requests: parameters, headers, queries.

use std::collections::BTreeMap;

use http::HeaderName;
use http::header::HeaderValue;

use super::{Check, DescriptorProblem, InvalidDescriptor, RESERVED_HEADERS, is_protocol};
use crate::provider::Provider;
use crate::provider::value::names_in;

impl Check<'_> {
    /// The parameters that a server adds, each with the names of the protocol that may stand there.
    pub(super) fn added_parameters(&self) -> Result<(), InvalidDescriptor> {
        let server = self.server;
        self.authorization_parameters(&server.authorization_parameters)?;
        let extending = &server.extending_parameters;
        self.added("extending_parameters", extending, |_, _| false)?;
        self.values("extending_parameters", extending, &["client_id", "random"])?;
        let field = "token_parameters";
        self.added(field, &server.token_parameters, |name, value| {
            matches!(name, "grant_type" | "scope" | "resource") || (name, value) == ("state", "{state}")
        })?;
        let known = ["client_id", "random", "redirect_uri", "state"];
        self.values(field, &server.token_parameters, &known)?;
        let field = "refresh_parameters";
        self.added(field, &server.refresh_parameters, |name, value| {
            matches!(name, "grant_type" | "scope" | "resource")
                || (name, value) == ("redirect_uri", "{redirect_uri}")
        })?;
        let known = ["redirect_uri", "scope", "client_id", "random"];
        self.values(field, &server.refresh_parameters, &known)?;
        self.added("token_query", &server.token_query, |name, value| {
            (name, value) == ("redirect_uri", "{redirect_uri}")
        })?;
        self.values("token_query", &server.token_query, &["client_id", "redirect_uri"])?;
        let field = "token_headers";
        self.values(field, &server.token_headers, &["client_id", "random"])?;
        for (name, value) in &server.token_headers {
            if !is_free(name, &[]) || HeaderValue::from_str(value).is_err() {
                return Err(self.error(field, DescriptorProblem::HeaderName(name.clone())));
            }
        }
        // Twice is what nobody means: one for all requests, or one for each.
        let added = [
            &server.authorization_parameters,
            &server.token_parameters,
            &server.refresh_parameters,
        ];
        if !server.resources.is_empty() && added.iter().any(|added| added.contains_key("resource")) {
            let problem = DescriptorProblem::ProtocolParameter("resource".into());
            return Err(self.error("resources", problem));
        }
        Ok(())
    }

    /// The parameters added to the authorization request, by a server or by a provider.
    pub(super) fn authorization_parameters(
        &self,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), InvalidDescriptor> {
        let field = "authorization_parameters";
        self.added(field, parameters, |name, value| match name {
            // What brings no code, or a token with the callback, is another flow.
            "response_type" => value.contains("code") && value.split(' ').all(|word| word != "token"),
            "grant_type" | "resource" => true,
            _ => false,
        })?;
        self.values(field, parameters, &["client_id", "random"])
    }

    /// The headers and the query that a provider adds to requests to its API.
    pub(super) fn api_request(&self, provider: &Provider) -> Result<(), InvalidDescriptor> {
        let known = ["client_id", "random"];
        self.values("api_headers", &provider.api_headers, &known)?;
        for (name, value) in &provider.api_headers {
            let token = name.eq_ignore_ascii_case(&provider.token_header.name);
            if token || !is_free(name, &["content-type"]) || HeaderValue::from_str(value).is_err() {
                return Err(self.error("api_headers", DescriptorProblem::HeaderName(name.clone())));
            }
        }
        self.values("api_query", &provider.api_query, &known)?;
        let credential = |name: &&String| {
            name.is_empty()
                || matches!(
                    name.as_str(),
                    "access_token" | "client_secret" | "refresh_token" | "code"
                )
        };
        match provider.api_query.keys().find(credential) {
            Some(name) => Err(self.error("api_query", DescriptorProblem::ProtocolParameter(name.clone()))),
            None => Ok(()),
        }
    }

    /// No added parameter bears a name of the protocol, but for those that may stand there.
    fn added(
        &self,
        field: &'static str,
        parameters: &BTreeMap<String, String>,
        allowed: impl Fn(&str, &str) -> bool,
    ) -> Result<(), InvalidDescriptor> {
        for (name, value) in parameters {
            if name.is_empty() {
                return Err(self.error(field, DescriptorProblem::Value));
            }
            if is_protocol(name) && !allowed(name, value) {
                return Err(self.error(field, DescriptorProblem::ProtocolParameter(name.clone())));
            }
        }
        Ok(())
    }

    /// Each `{name}` in a value stands for a parameter of the connection, or for something that is known where the value
    /// is sent.
    fn values(
        &self,
        field: &'static str,
        values: &BTreeMap<String, String>,
        known: &[&str],
    ) -> Result<(), InvalidDescriptor> {
        for name in values.values().flat_map(|value| names_in(value)) {
            let rule = self.server.parameters.iter().any(|rule| rule.name == name);
            if !rule && !known.contains(&name) {
                return Err(self.error(field, DescriptorProblem::Placeholder(name.into())));
            }
        }
        Ok(())
    }
}

/// Whether a descriptor may set the header.
fn is_free(name: &str, but: &[&str]) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| {
        let name = name.as_str();
        let reserved = RESERVED_HEADERS.contains(&name) && !but.contains(&name);
        !reserved && !matches!(name, "authorization" | "proxy-authorization")
    })
}
