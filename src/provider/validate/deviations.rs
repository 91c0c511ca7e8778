//! Checks of what leaves the standards: renames, captures, shapes, discovery.

use std::collections::BTreeMap;

use http::HeaderName;
use http::header::HeaderValue;
use url::Url;

use super::{Check, DescriptorProblem, InvalidDescriptor, RESERVED_HEADERS};
use crate::provider::template::{Template, names_in};
use crate::provider::{ParameterSource, Provider};

impl Check<'_> {
    /// What is needed before the consent has an alternative without what comes only after it.
    pub(super) fn known_early(&self, field: &'static str, text: &str) -> Result<(), InvalidDescriptor> {
        let template = Template::parse(text).map_err(|problem| self.error(field, problem.into()))?;
        let late = |name: &str| {
            let rule = self.server.parameters.iter().find(|rule| rule.name == name);
            rule.is_some_and(|rule| {
                rule.default.is_none() && (rule.source != ParameterSource::Host || rule.optional)
            })
        };
        let mut unknown = None;
        for alternative in template.alternatives() {
            match alternative.placeholders().find(|name| late(name)) {
                None => return Ok(()),
                Some(name) => unknown = Some(name.to_owned()),
            }
        }
        Err(self.error(field, DescriptorProblem::NotYetKnown(unknown.unwrap_or_default())))
    }

    /// The fields in which a server leaves the standards.
    pub(super) fn deviations(&self) -> Result<(), InvalidDescriptor> {
        /// What protects a consent keeps its name, and what names the code does too.
        const KEPT: [&str; 4] = [
            "state",
            "code_challenge",
            "code_challenge_method",
            "code_verifier",
        ];
        let server = self.server;
        for (field, renames) in [
            ("authorization_renames", &server.authorization_renames),
            ("token_renames", &server.token_renames),
        ] {
            for (old, new) in renames {
                if KEPT.contains(&old.as_str()) || KEPT.contains(&new.as_str()) || old.is_empty() {
                    return Err(self.error(field, DescriptorProblem::Renamed(old.clone())));
                }
            }
        }
        let more = ["client_id", "random"];
        let at_exchange = ["client_id", "random", "redirect_uri", "state"];
        self.values(
            "authorization_parameters",
            &server.authorization_parameters,
            &more,
            true,
        )?;
        self.values("extending_parameters", &server.extending_parameters, &more, false)?;
        self.values("token_parameters", &server.token_parameters, &at_exchange, true)?;
        self.values("token_headers", &server.token_headers, &more, false)?;
        self.values(
            "token_query",
            &server.token_query,
            &["client_id", "redirect_uri"],
            false,
        )?;
        for (name, value) in &server.token_headers {
            let usable = HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| {
                !RESERVED_HEADERS.contains(&name.as_str()) && name.as_str() != "authorization"
            });
            if !usable || HeaderValue::from_str(value).is_err() {
                return Err(self.error("token_headers", DescriptorProblem::Header));
            }
        }
        self.added(
            "token_query",
            &server.token_query,
            &[("redirect_uri", "{redirect_uri}")],
        )?;
        for resource in &server.resources {
            // RFC 8707 §2: an absolute URI without a fragment.
            if !Url::parse(resource).is_ok_and(|url| url.fragment().is_none()) {
                return Err(self.error("resources", DescriptorProblem::Value));
            }
        }
        if server
            .code_parameter
            .as_deref()
            .is_some_and(|name| name.is_empty() || matches!(name, "state" | "iss" | "error"))
        {
            return Err(self.error("code_parameter", DescriptorProblem::Value));
        }
        if server
            .authorization_fragment
            .as_deref()
            .is_some_and(|route| route.contains(['?', '#', ' ']) || route.is_empty())
        {
            return Err(self.error("authorization_fragment", DescriptorProblem::Value));
        }
        if let Some(page) = &server.access_page {
            self.template("access_page", page)?;
        }
        if let Some(page) = &server.register_at {
            self.template("register_at", page)?;
        }
        let shape = &server.answer;
        let flag = shape.success.as_ref().map(|flag| &flag.pointer);
        let pointers = [
            &shape.envelope,
            &shape.access_token,
            &shape.refresh_token,
            &shape.expires,
            &shape.scope,
            &shape.error,
        ];
        let mut pointers = pointers.into_iter().flatten().chain(flag);
        if !pointers.all(|pointer| pointer.starts_with('/')) {
            return Err(self.error("answer", DescriptorProblem::Pointer));
        }
        Ok(())
    }

    pub(super) fn discovery(&self, provider: &Provider) -> Result<(), InvalidDescriptor> {
        let Some(discovery) = &provider.discovery else {
            return Ok(());
        };
        self.template("discovery", &discovery.url)?;
        let is_pointer = |pointer: &str| pointer.is_empty() || pointer.starts_with('/');
        let pick = discovery.pick.as_ref();
        let mut pointers = discovery.values.values().chain(pick.map(|pick| &pick.pointer));
        if !is_pointer(&discovery.entries) || !pointers.all(|pointer| is_pointer(pointer)) {
            return Err(self.error("discovery", DescriptorProblem::Pointer));
        }
        let known = |name: &str| self.server.parameters.iter().find(|rule| rule.name == name);
        if let Some(pick) = pick.filter(|pick| known(&pick.parameter).is_none()) {
            return Err(self.error(
                "discovery",
                DescriptorProblem::Placeholder(pick.parameter.clone()),
            ));
        }
        let filled =
            |name: &&String| known(name).is_some_and(|rule| rule.source == ParameterSource::Discovery);
        match discovery.values.keys().find(|name| !filled(name)) {
            Some(name) => Err(self.error("discovery", DescriptorProblem::Placeholder(name.clone()))),
            None => Ok(()),
        }
    }

    /// Each `{name}` in a value stands for something that is known where the value is sent.
    pub(super) fn values(
        &self,
        field: &'static str,
        values: &BTreeMap<String, String>,
        known: &[&str],
        parameters: bool,
    ) -> Result<(), InvalidDescriptor> {
        for name in values.values().flat_map(|value| names_in(value)) {
            let rule = self.server.parameters.iter().any(|rule| rule.name == name);
            let is_known = known.contains(&name) || (parameters && rule);
            if !is_known {
                return Err(self.error(field, DescriptorProblem::Placeholder(name.into())));
            }
        }
        Ok(())
    }
}
