//! Checks the rules for the values of a connection.

use super::check::{Check, is_credential, is_protocol};
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor, RuleProblem};
use crate::provider::syntax::is_name;
use crate::provider::value::BUILT_IN;
use crate::provider::{ParameterKind, ParameterRule, ParameterSource, Pattern};

impl Check<'_> {
    /// Returns the first problem of each rule.
    pub(super) fn rules(&self) -> impl Iterator<Item = Result<(), InvalidDescriptor>> {
        let rules = &self.server.parameters;
        rules.iter().enumerate().map(|(index, rule)| {
            let is_twice = rules[..index].iter().any(|earlier| earlier.name == rule.name);
            let problem = if is_twice {
                Some(RuleProblem::Twice)
            } else {
                self.rule(rule)
            };
            problem.map_or(Ok(()), |problem| {
                let name = rule.name.clone();
                Err(self.error("parameters", DescriptorProblem::Rule { name, problem }))
            })
        })
    }

    fn rule(&self, rule: &ParameterRule) -> Option<RuleProblem> {
        let is_accepted = |value: &Option<String>| {
            let value = value.as_ref().filter(|value| !value.is_empty());
            value.is_none_or(|value| rule.accept(value, self.transport).is_ok())
        };
        if !is_name(&rule.name) {
            return Some(RuleProblem::Name);
        }
        if BUILT_IN.contains(&rule.name.as_str()) {
            return Some(RuleProblem::Reserved);
        }
        if is_credential(&rule.name) {
            return Some(RuleProblem::Credential);
        }
        if matches!(&rule.kind, ParameterKind::OneOf(values) if values.is_empty()) {
            return Some(RuleProblem::NoValues);
        }
        match &rule.source {
            ParameterSource::Callback(parameter) if parameter.is_empty() || is_protocol(parameter) => {
                return Some(RuleProblem::CallbackName);
            }
            ParameterSource::Callback(_)
                if matches!(
                    rule.kind,
                    ParameterKind::BaseUrl | ParameterKind::Origin | ParameterKind::Host
                ) =>
            {
                return Some(RuleProblem::BaseUrlFromCallback);
            }
            ParameterSource::TokenAnswer(pointer) if !pointer.is_to_a_part() => {
                return Some(RuleProblem::Pointer);
            }
            _ => {}
        }
        if !rule.pattern.as_ref().is_none_or(Pattern::is_usable) {
            return Some(RuleProblem::Pattern);
        }
        let pattern = rule.pattern.as_ref().map_or("", Pattern::as_str);
        if rule.kind == ParameterKind::Host && pattern.trim_start_matches('^').starts_with("http") {
            return Some(RuleProblem::Scheme);
        }
        if !is_accepted(&rule.default) {
            return Some(RuleProblem::Default);
        }
        if !is_accepted(&rule.example) {
            return Some(RuleProblem::Example);
        }
        None
    }
}
