//! Checks a provider against its server.

use http::HeaderName;
use http::header::HeaderValue;

use super::check::{Check, RESERVED_HEADERS};
use super::urls::without_rule;
use crate::model::Scopes;
use crate::provider::compiled::CompiledProvider;
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::template::Template;
use crate::provider::value::names_in;
use crate::provider::{ApiHost, Pointer, Provider, ProviderDescriptor, lookalike};

impl Check<'_> {
    /// Returns the first problem of each field.
    pub(super) fn provider(&self, provider: &ProviderDescriptor) -> Vec<Result<(), InvalidDescriptor>> {
        let hosts = provider.api_hosts.iter().map(|host| self.api_host(host));
        let mut found: Vec<_> = hosts.collect();
        found.extend([
            self.id(provider.id.as_str()),
            self.api_base(provider),
            self.account(provider),
            self.discovery(provider),
            self.scope_modes(provider),
            self.token_header(provider),
            self.token_refused(provider),
            self.api_request(provider),
            self.authorization_parameters(&provider.authorization_parameters),
            self.scopes(provider),
        ]);
        if found.iter().all(Result::is_ok) {
            found.push(self.coverage(provider));
        }
        found
    }

    fn api_base(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let Some(base) = &provider.api_base else {
            return Ok(());
        };
        match self.late_url("api_base", base)?.query() {
            Some(_) => Err(self.error("api_base", DescriptorProblem::NotBare)),
            None => Ok(()),
        }
    }

    fn api_host(&self, host: &ApiHost) -> Result<(), InvalidDescriptor> {
        let field = "api_hosts";
        let url = self.template(field, &host.origin)?;
        let template = Template::parse(&host.origin).map_err(|problem| self.error(field, problem.into()))?;
        let is_based = template.alternatives().all(|one| one.base_url().is_some());
        let is_bare = url.query().is_none() && (is_based || url.path() == "/");
        let prefix = &host.path_prefix;
        if let Some(name) = lookalike::in_url(prefix) {
            return Err(self.error(field, DescriptorProblem::Lookalike(name)));
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\$|<>\"`^".contains(&byte);
        let is_prefix = prefix.starts_with('/') && prefix.bytes().all(is_plain);
        if !is_bare || !is_prefix {
            return Err(self.error(field, DescriptorProblem::NotBare));
        }
        self.braces(field, prefix)?;
        for name in names_in(prefix) {
            if !self.rule_of(field, name)?.kind.is_segment() {
                let fitting = "in a path stands a \"word\" or a \"segment\", or a \"one_of\" list of these";
                let name = name.to_owned();
                return Err(self.error(field, DescriptorProblem::WrongKind { name, fitting }));
            }
        }
        Ok(())
    }

    /// A request with only a path is resolved against the API base. If no API host covers it, no
    /// such request would be sent.
    fn coverage(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let provider = CompiledProvider::compile(Provider(provider.clone()))?;
        let uncovered = self.stand_ins().into_iter().any(|values| {
            let base = provider.api_base(&values);
            base.is_some_and(|base| !provider.allows(&base, &values))
        });
        if uncovered {
            return Err(self.error("api_hosts", DescriptorProblem::NotCovered));
        }
        Ok(())
    }

    fn account(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        if let Some(account) = &provider.account {
            self.late_url("account", &account.url)?;
            self.pointers("account", &account.id, account.email.iter().chain(&account.label))?;
        }
        match &provider.account_in_answer {
            Some(account) => {
                let more = account.email.iter().chain(&account.label);
                self.pointers("account_in_answer", &account.id, more)
            }
            None => Ok(()),
        }
    }

    fn pointers<'p>(
        &self,
        field: &'static str,
        id: &'p [Pointer],
        more: impl Iterator<Item = &'p Pointer>,
    ) -> Result<(), InvalidDescriptor> {
        if id.is_empty() {
            return Err(self.error(field, DescriptorProblem::NoPointer));
        }
        if id.iter().chain(more).all(Pointer::is_to_a_part) {
            Ok(())
        } else {
            Err(self.error(field, DescriptorProblem::Pointer))
        }
    }

    fn scope_modes(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let unknown = provider.scope_modes.as_ref().filter(|modes| {
            let mut rules = self.server.parameters.iter();
            rules.all(|rule| rule.name != modes.parameter)
        });
        match unknown {
            Some(modes) => Err(self.error("scope_modes", without_rule(&modes.parameter))),
            None => Ok(()),
        }
    }

    /// A scope that contains the separator would arrive as two scopes.
    fn scopes(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let separator = self.server.scope_separator.as_str();
        let is_split = |scopes: &Scopes| scopes.iter().any(|scope| scope.as_str().contains(separator));
        let tiers = [
            &provider.tiers.read_only,
            &provider.tiers.read_write,
            &provider.tiers.least_privilege,
        ];
        let all = tiers.into_iter().flatten();
        let all = all.chain([&provider.default_scopes, &provider.required_scopes]);
        let lookalike = all
            .flat_map(Scopes::iter)
            .find_map(|scope| lookalike::in_value(scope.as_str()));
        if let Some(name) = lookalike {
            return Err(self.error("default_scopes", DescriptorProblem::Lookalike(name)));
        }
        for (field, is_wrong) in [
            ("default_scopes", is_split(&provider.default_scopes)),
            ("required_scopes", is_split(&provider.required_scopes)),
            ("tiers", tiers.into_iter().flatten().any(is_split)),
        ] {
            if is_wrong {
                return Err(self.error(field, DescriptorProblem::Scope));
            }
        }
        Ok(())
    }

    fn token_header(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let header = &provider.token_header;
        self.no_placeholder("token_header", &header.prefix)?;
        let is_name = HeaderName::from_bytes(header.name.as_bytes())
            .is_ok_and(|name| !RESERVED_HEADERS.contains(&name.as_str()));
        let is_prefix = HeaderValue::from_str(&header.prefix).is_ok() && header.prefix.is_ascii();
        if is_name && is_prefix {
            Ok(())
        } else {
            Err(self.error("token_header", DescriptorProblem::Header))
        }
    }

    /// A server error says nothing about the token, and neither does a success.
    fn token_refused(&self, provider: &ProviderDescriptor) -> Result<(), InvalidDescriptor> {
        let statuses = &provider.token_refused;
        let refusals = statuses.iter().all(|status| (400..=499).contains(status));
        if statuses.is_empty() || !refusals {
            return Err(self.error("token_refused", DescriptorProblem::RefusalStatus));
        }
        Ok(())
    }
}
