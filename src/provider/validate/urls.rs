//! Checks the URL templates of a descriptor.

use std::collections::BTreeMap;

use url::Url;

use super::check::{Check, is_credential, is_protocol};
use crate::http::is_clean;
use crate::model::Parameters;
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::template::{Alternative, InvalidTemplate, Template};
use crate::provider::value::BUILT_IN;
use crate::provider::{
    AssertionAudience, ClientAuthentication, IssuerPolicy, ParameterKind, ParameterRule, ParameterSource,
    Transport,
};

/// A place in a URL, and the kinds of values that are allowed there.
struct Place {
    fits: fn(&ParameterKind) -> bool,
    fitting: &'static str,
    stand_in: &'static str,
}

const AT_START: Place = Place {
    fits: ParameterKind::is_base_url,
    fitting: "at the start of a URL stands a \"base_url\" or an \"origin\", or a \"one_of\" list of base URLs",
    stand_in: "https://placeholder.invalid",
};

const WHOLE_HOST: Place = Place {
    fits: ParameterKind::is_host,
    fitting: "a whole host is a \"host\" or a \"word\", or a \"one_of\" list of hosts",
    stand_in: "placeholder.invalid",
};

const IN_HOST: Place = Place {
    fits: ParameterKind::is_word,
    fitting: "a label of a host is a \"word\", or a \"one_of\" list of words",
    stand_in: "placeholder",
};

const BEHIND_HOST: Place = Place {
    fits: ParameterKind::is_segment,
    fitting: "behind the host stands a \"word\" or a \"segment\", or a \"one_of\" list of these",
    stand_in: "placeholder",
};

impl Check<'_> {
    /// Expands the template with an example value for each placeholder, which must have a rule that
    /// fits its place.
    pub(super) fn template(&self, field: &'static str, text: &str) -> Result<Url, InvalidDescriptor> {
        let template = Template::parse(text).map_err(|problem| self.error(field, problem.into()))?;
        let mut first = None;
        for alternative in template.alternatives() {
            let url = self.alternative(field, alternative)?;
            first.get_or_insert(url);
        }
        first.ok_or_else(|| self.error(field, InvalidTemplate::Url.into()))
    }

    fn alternative(&self, field: &'static str, template: &Alternative) -> Result<Url, InvalidDescriptor> {
        let base = template.base_url();
        let whole_host = template.whole_host();
        let in_host: Vec<&str> = template.host_placeholders().collect();
        let mut values = BTreeMap::new();
        for name in template.placeholders() {
            let rule = self.rule_of(field, name)?;
            let is_in_host = base == Some(name) || in_host.contains(&name);
            if is_in_host
                && matches!(rule.source, ParameterSource::Callback(_))
                && !matches!(rule.kind, ParameterKind::OneOf(_))
            {
                return Err(self.error(field, DescriptorProblem::FromCallback(name.into())));
            }
            let is_alone = || template.placeholders().filter(|it| *it == name).count() == 1;
            let place = if base == Some(name) {
                AT_START
            } else if whole_host == Some(name) && is_alone() {
                WHOLE_HOST
            } else if is_in_host {
                IN_HOST
            } else {
                BEHIND_HOST
            };
            if !(place.fits)(&rule.kind) {
                let (name, fitting) = (name.into(), place.fitting);
                return Err(self.error(field, DescriptorProblem::WrongKind { name, fitting }));
            }
            let stand_in = match &rule.kind {
                ParameterKind::OneOf(values) => values.first().map_or(place.stand_in, String::as_str),
                _ => place.stand_in,
            };
            values.insert(name.to_owned(), stand_in.to_owned());
        }
        let url = template
            .expand(&values)
            .map_err(|unfilled| self.error(field, unfilled.into()))?;
        self.scheme(field, &url)?;
        Ok(url)
    }

    /// Returns the rule of a placeholder in a URL.
    pub(super) fn rule_of(
        &self,
        field: &'static str,
        name: &str,
    ) -> Result<&ParameterRule, InvalidDescriptor> {
        let rule = self.server.parameters.iter().find(|rule| rule.name == name);
        rule.filter(|_| !is_credential(name))
            .ok_or_else(|| self.error(field, without_rule(name)))
    }

    fn scheme(&self, field: &'static str, url: &Url) -> Result<(), InvalidDescriptor> {
        if url.scheme() == "https" || self.transport == Transport::HttpsOrLoopback {
            Ok(())
        } else {
            Err(self.error(field, DescriptorProblem::NotHttps))
        }
    }

    /// Checks an endpoint. It may have its own query (RFC 6749 §3.1), but without the protocol's
    /// names.
    pub(super) fn endpoint(&self, field: &'static str, text: &str) -> Result<(), InvalidDescriptor> {
        let url = self.template(field, text)?;
        match url.query_pairs().find(|(name, _)| is_protocol(name)) {
            Some((name, _)) => Err(self.error(field, DescriptorProblem::ProtocolParameter(name.into()))),
            None => Ok(()),
        }
    }

    /// Checks an endpoint that is needed before the consent: one alternative must use only values
    /// that are known by then.
    pub(super) fn early_endpoint(&self, field: &'static str, text: &str) -> Result<(), InvalidDescriptor> {
        self.endpoint(field, text)?;
        self.always_filled(field, text, |rule| {
            let is_late = rule.default.is_none() && rule.source != ParameterSource::Host;
            is_late.then_some(DescriptorProblem::NotYetKnown as fn(String) -> _)
        })
    }

    /// Checks a URL that is needed once the consent is complete: one alternative must use only
    /// values that are never missing.
    pub(super) fn late_url(&self, field: &'static str, text: &str) -> Result<Url, InvalidDescriptor> {
        let url = self.template(field, text)?;
        self.always_filled(field, text, |_| None)?;
        Ok(url)
    }

    /// Rejects a template if every alternative has a value that can be missing or is not known in
    /// time.
    fn always_filled(
        &self,
        field: &'static str,
        text: &str,
        unknown: impl Fn(&ParameterRule) -> Option<fn(String) -> DescriptorProblem>,
    ) -> Result<(), InvalidDescriptor> {
        let template = Template::parse(text).map_err(|problem| self.error(field, problem.into()))?;
        let mut problem = None;
        for alternative in template.alternatives() {
            let missing = alternative.placeholders().find_map(|name| {
                let rule = self.server.parameters.iter().find(|rule| rule.name == name)?;
                let missing = rule
                    .can_be_missing()
                    .then_some(DescriptorProblem::MayBeMissing as fn(String) -> _);
                unknown(rule).or(missing).map(|problem| problem(name.to_owned()))
            });
            match missing {
                None => return Ok(()),
                Some(missing) => problem = Some(missing),
            }
        }
        problem.map_or(Ok(()), |problem| Err(self.error(field, problem)))
    }

    /// Returns example values that fit the rules, to check a descriptor with them: all values, and
    /// only those that are always present.
    pub(super) fn stand_ins(&self) -> [Parameters; 2] {
        let all = self.server.parameters.iter().map(|rule| {
            let value = match &rule.kind {
                ParameterKind::OneOf(values) => values.first().cloned().unwrap_or_default(),
                ParameterKind::BaseUrl | ParameterKind::Origin => AT_START.stand_in.into(),
                ParameterKind::Host => WHOLE_HOST.stand_in.into(),
                ParameterKind::Word | ParameterKind::Segment | ParameterKind::Text => IN_HOST.stand_in.into(),
            };
            (rule, value)
        });
        let named = |(rule, value): (&ParameterRule, String)| (rule.name.clone(), value);
        let always = all.clone().filter(|(rule, _)| !rule.can_be_missing());
        [all.clone().map(named).collect(), always.map(named).collect()]
    }

    pub(super) fn issuer(&self) -> Result<(), InvalidDescriptor> {
        let Some(issuer) = &self.server.issuer else {
            let needs_audience = self.server.client_authentication == ClientAuthentication::PrivateKeyJwt
                && self.server.client_assertion_audience == AssertionAudience::Issuer;
            if needs_audience {
                return Err(self.error("issuer", DescriptorProblem::NoAudience));
            }
            return match self.server.issuer_policy {
                IssuerPolicy::Required | IssuerPolicy::MatchIfPresent => {
                    Err(self.error("issuer", DescriptorProblem::NoIssuer))
                }
                IssuerPolicy::IfKnown | IssuerPolicy::Ignored => Ok(()),
            };
        };
        self.no_placeholder("issuer", issuer)?;
        // RFC 8414 §2: https, no query, no fragment. It is compared as text, so it is not
        // normalized here.
        let url = Url::parse(issuer).map_err(|_| self.error("issuer", InvalidTemplate::Url.into()))?;
        if !is_clean(&url) || url.query().is_some() {
            return Err(self.error("issuer", DescriptorProblem::NotBare));
        }
        self.scheme("issuer", &url)
    }
}

/// Returns why a name in braces has no rule.
pub(super) fn without_rule(name: &str) -> DescriptorProblem {
    if is_credential(name) {
        DescriptorProblem::Credential(name.into())
    } else if BUILT_IN.contains(&name) {
        DescriptorProblem::BuiltIn(name.into())
    } else {
        DescriptorProblem::NoRule(name.into())
    }
}
