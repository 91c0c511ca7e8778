//! Checks the parameters, headers and queries that a descriptor adds to requests.

use std::collections::BTreeMap;

use http::HeaderName;
use http::header::HeaderValue;

use super::check::{Check, RESERVED_HEADERS, is_protocol};
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::value::{OR, names_in};
use crate::provider::{ProviderDescriptor, lookalike};

impl Check<'_> {
    /// Returns the first problem of each field with which a server adds to requests.
    pub(super) fn added_parameters(&self) -> [Result<(), InvalidDescriptor>; 7] {
        let server = self.server;
        let extending = &server.extending_parameters;
        [
            self.authorization_parameters(&server.authorization_parameters),
            self.added("extending_parameters", extending, |_, _| false)
                .and_then(|()| self.values("extending_parameters", extending, &["client_id", "random"])),
            self.token_parameters(),
            self.refresh_parameters(),
            self.token_query(),
            self.token_headers(),
            self.one_resource(),
        ]
    }

    fn token_parameters(&self) -> Result<(), InvalidDescriptor> {
        let (field, added) = ("token_parameters", &self.server.token_parameters);
        self.added(field, added, |name, value| {
            matches!(name, "grant_type" | "scope" | "resource") || (name, value) == ("state", "{state}")
        })?;
        self.values(field, added, &["client_id", "random", "redirect_uri", "state"])
    }

    fn refresh_parameters(&self) -> Result<(), InvalidDescriptor> {
        let (field, added) = ("refresh_parameters", &self.server.refresh_parameters);
        self.added(field, added, |name, value| {
            matches!(name, "grant_type" | "scope" | "resource")
                || (name, value) == ("redirect_uri", "{redirect_uri}")
        })?;
        self.values(field, added, &["redirect_uri", "scope", "client_id", "random"])
    }

    fn token_query(&self) -> Result<(), InvalidDescriptor> {
        let (field, added) = ("token_query", &self.server.token_query);
        self.added(field, added, |name, value| {
            (name, value) == ("redirect_uri", "{redirect_uri}")
        })?;
        self.values(field, added, &["client_id", "redirect_uri"])
    }

    fn token_headers(&self) -> Result<(), InvalidDescriptor> {
        let (field, headers) = ("token_headers", &self.server.token_headers);
        self.values(field, headers, &["client_id", "random"])?;
        for (name, value) in headers {
            if !is_free(name, &[]) || HeaderValue::from_str(value).is_err() {
                return Err(self.error(field, DescriptorProblem::HeaderName(name.clone())));
            }
        }
        Ok(())
    }

    /// Checks that a resource is named once: for all requests, or for each kind of request.
    fn one_resource(&self) -> Result<(), InvalidDescriptor> {
        let server = self.server;
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

    /// Checks the parameters that a server or a provider adds to the authorization request.
    pub(super) fn authorization_parameters(
        &self,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), InvalidDescriptor> {
        let field = "authorization_parameters";
        self.added(field, parameters, |name, value| match name {
            // A response type without a code, or with a token in the callback, is another flow.
            "response_type" => value.contains("code") && value.split(' ').all(|word| word != "token"),
            "grant_type" | "resource" => true,
            _ => false,
        })?;
        self.values(field, parameters, &["client_id", "random"])
    }

    /// Checks the headers and the query that a provider adds to API requests.
    pub(super) fn api_request(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
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

    /// Checks that no added parameter has a name of the protocol, except those that are allowed.
    fn added(
        &self,
        field: &'static str,
        parameters: &BTreeMap<String, String>,
        allowed: impl Fn(&str, &str) -> bool,
    ) -> Result<(), InvalidDescriptor> {
        for (name, value) in parameters {
            if name.is_empty() {
                return Err(self.error(field, DescriptorProblem::Empty));
            }
            if is_protocol(name) && !allowed(name, value) {
                return Err(self.error(field, DescriptorProblem::ProtocolParameter(name.clone())));
            }
        }
        Ok(())
    }

    /// Checks that each `{name}` in a value stands for a parameter of the connection, or for
    /// something that is known when the value is sent.
    fn values(
        &self,
        field: &'static str,
        values: &BTreeMap<String, String>,
        known: &[&str],
    ) -> Result<(), InvalidDescriptor> {
        for value in values.values() {
            if let Some(name) = lookalike::in_value(value) {
                return Err(self.error(field, DescriptorProblem::Lookalike(name)));
            }
            if value.split(OR).any(|alternative| alternative.contains("||")) {
                return Err(self.error(field, DescriptorProblem::Bar));
            }
            self.braces(field, value)?;
            for name in names_in(value).filter(|name| !known.contains(name)) {
                self.rule_of(field, name)?;
            }
        }
        Ok(())
    }

    /// Rejects placeholders in a text that is not a template: they would be sent literally.
    pub(super) fn no_placeholder(&self, field: &'static str, text: &str) -> Result<(), InvalidDescriptor> {
        match text.find(['{', '}', '$', '<', '>']) {
            Some(_) => Err(self.error(field, DescriptorProblem::NoTemplate)),
            None => Ok(()),
        }
    }

    /// Rejects unbalanced braces: a broken placeholder would be sent literally.
    pub(super) fn braces(&self, field: &'static str, value: &str) -> Result<(), InvalidDescriptor> {
        let mut open = 0_usize;
        for c in value.chars() {
            match c {
                '{' => open += 1,
                '}' if open == 0 => return Err(self.error(field, DescriptorProblem::Braces)),
                '}' => open -= 1,
                _ => {}
            }
        }
        if open == 0 {
            Ok(())
        } else {
            Err(self.error(field, DescriptorProblem::Braces))
        }
    }
}

/// Returns whether a descriptor may set the header.
fn is_free(name: &str, but: &[&str]) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| {
        let name = name.as_str();
        let reserved = RESERVED_HEADERS.contains(&name) && !but.contains(&name);
        !reserved && !matches!(name, "authorization" | "proxy-authorization")
    })
}
