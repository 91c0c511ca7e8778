//! Checks deviations from the standards: renames, captures, shapes, discovery.

use std::collections::BTreeMap;

use url::Url;

use super::check::Check;
use super::urls::without_rule;
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::{ParameterSource, Pointer, ProviderDescriptor};

impl Check<'_> {
    /// Returns the first problem of each field with which a server deviates from the standards.
    pub(super) fn deviations(&self) -> [Result<(), InvalidDescriptor>; 8] {
        let server = self.server;
        let page = |field, page: &Option<String>| match page {
            Some(page) => self.template(field, page).map(drop),
            None => Ok(()),
        };
        [
            self.renames("authorization_renames", &server.authorization_renames),
            self.renames("token_renames", &server.token_renames),
            self.resources(),
            self.code_parameter(),
            self.authorization_fragment(),
            page("access_page", &server.access_page),
            page("register_at", &server.register_at),
            self.answer(),
        ]
    }

    fn renames(
        &self,
        field: &'static str,
        renames: &BTreeMap<String, String>,
    ) -> Result<(), InvalidDescriptor> {
        /// Parameters that keep their names: those that protect a consent, and the code.
        const KEPT: [&str; 4] = [
            "state",
            "code_challenge",
            "code_challenge_method",
            "code_verifier",
        ];
        for (old, new) in renames {
            if KEPT.contains(&old.as_str()) || KEPT.contains(&new.as_str()) || old.is_empty() {
                return Err(self.error(field, DescriptorProblem::Renamed(old.clone())));
            }
        }
        Ok(())
    }

    /// RFC 8707 §2: an absolute URI without a fragment.
    fn resources(&self) -> Result<(), InvalidDescriptor> {
        let resources = &self.server.resources;
        for resource in resources {
            self.no_placeholder("resources", resource)?;
        }
        let is_resource = |resource: &String| Url::parse(resource).is_ok_and(|url| url.fragment().is_none());
        if resources.iter().all(is_resource) {
            Ok(())
        } else {
            Err(self.error("resources", DescriptorProblem::Value))
        }
    }

    fn code_parameter(&self) -> Result<(), InvalidDescriptor> {
        let name = self.server.code_parameter.as_deref();
        self.no_placeholder("code_parameter", name.unwrap_or_default())?;
        match self.server.code_parameter.as_deref() {
            Some("") => Err(self.error("code_parameter", DescriptorProblem::Empty)),
            Some(name @ ("state" | "iss" | "error")) => {
                let problem = DescriptorProblem::ProtocolParameter(name.into());
                Err(self.error("code_parameter", problem))
            }
            _ => Ok(()),
        }
    }

    fn authorization_fragment(&self) -> Result<(), InvalidDescriptor> {
        let route = self.server.authorization_fragment.as_deref();
        self.no_placeholder("authorization_fragment", route.unwrap_or_default())?;
        if route.is_some_and(|route| route.contains(['?', '#', ' ']) || route.is_empty()) {
            return Err(self.error("authorization_fragment", DescriptorProblem::Value));
        }
        Ok(())
    }

    fn answer(&self) -> Result<(), InvalidDescriptor> {
        let shape = &self.server.answer;
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
        if !pointers.all(Pointer::is_to_a_part) {
            return Err(self.error("answer", DescriptorProblem::Pointer));
        }
        Ok(())
    }

    pub(super) fn discovery(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let Some(discovery) = &provider.discovery else {
            return Ok(());
        };
        self.late_url("discovery", &discovery.url)?;
        let pick = discovery.pick.as_ref();
        let mut pointers = discovery.values.values().chain(pick.map(|pick| &pick.pointer));
        if !discovery.entries.is_valid() || !pointers.all(Pointer::is_valid) {
            return Err(self.error("discovery", DescriptorProblem::Pointer));
        }
        let known = |name: &str| self.server.parameters.iter().find(|rule| rule.name == name);
        if let Some(pick) = pick.filter(|pick| known(&pick.parameter).is_none()) {
            return Err(self.error("discovery", without_rule(&pick.parameter)));
        }
        let filled =
            |name: &&String| known(name).is_some_and(|rule| rule.source == ParameterSource::Discovery);
        match discovery.values.keys().find(|name| !filled(name)) {
            Some(name) if known(name).is_none() => Err(self.error("discovery", without_rule(name))),
            Some(name) => Err(self.error("discovery", DescriptorProblem::NotDiscovered(name.clone()))),
            None => Ok(()),
        }
    }
}
