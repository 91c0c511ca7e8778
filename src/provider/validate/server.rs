//! Checks an authorization server by itself.

use super::check::Check;
use crate::model::Scope;
use crate::provider::compiled::{CompiledServer, UnfitParameter};
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor, RuleProblem};
use crate::provider::syntax::base_url;
use crate::provider::{AuthorizationServer, Revocation};

impl Check<'_> {
    pub(super) fn id(&self, id: &str) -> Result<(), InvalidDescriptor> {
        // The id of an MCP server is its canonical URL.
        let is_url = || id.contains("://") && base_url(id) == Some(id);
        if id.contains(|c: char| c.is_whitespace() || "/?#%".contains(c)) && !is_url() {
            return Err(self.error("id", DescriptorProblem::Id));
        }
        Ok(())
    }

    pub(super) fn revocation(&self) -> Result<(), InvalidDescriptor> {
        match &self.server.revocation {
            Revocation::Endpoint { url, .. } | Revocation::DeleteWithBearer { url } => {
                self.endpoint("revocation", url)?;
                self.late_url("revocation", url).map(drop)
            }
            Revocation::ByUser { url } => self.template("revocation", url).map(drop),
            Revocation::Unsupported => Ok(()),
        }
    }

    /// Both cannot be true: if consents share a grant, ending an old grant also ends the new one.
    pub(super) fn separate_grants(&self) -> Result<(), InvalidDescriptor> {
        let server = self.server;
        let is_shared = matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. })
            || !server.extending_parameters.is_empty();
        if server.separate_grants && is_shared {
            return Err(self.error("separate_grants", DescriptorProblem::Value));
        }
        Ok(())
    }

    pub(super) fn scope_separator(&self) -> Result<(), InvalidDescriptor> {
        if matches!(self.server.scope_separator.as_str(), " " | "," | "+" | ";" | "|") {
            Ok(())
        } else {
            Err(self.error("scope_separator", DescriptorProblem::Separator))
        }
    }

    pub(super) fn scopes_of_server(&self) -> Result<(), InvalidDescriptor> {
        for scope in &self.server.unechoed_scopes {
            Scope::new(scope.as_str())
                .map_err(|_| self.error("unechoed_scopes", DescriptorProblem::Scope))?;
        }
        match &self.server.scope_prefix {
            Some(prefix) => Scope::new(prefix.as_str())
                .map(drop)
                .map_err(|_| self.error("scope_prefix", DescriptorProblem::Scope)),
            None => Ok(()),
        }
    }

    /// A success or a server error says nothing about an earlier revocation.
    pub(super) fn already_revoked(&self) -> Result<(), InvalidDescriptor> {
        let mut statuses = self.server.already_revoked.iter();
        if statuses.all(|status| (400..=499).contains(status)) {
            return Ok(());
        }
        Err(self.error("already_revoked", DescriptorProblem::RefusalStatus))
    }

    /// A server error counts only with a code: an outage must not look like the end of all grants.
    pub(super) fn dead_grants(&self) -> Result<(), InvalidDescriptor> {
        for dead in &self.server.dead_grants {
            let last = if dead.error.is_some() { 599 } else { 499 };
            let is_status = dead.status.is_none_or(|status| (400..=last).contains(&status));
            let is_code = dead.error.as_ref().is_none_or(|code| !code.is_empty());
            if !is_status || !is_code || (dead.status.is_none() && dead.error.is_none()) {
                return Err(self.error("dead_grants", DescriptorProblem::DeadGrant));
            }
        }
        Ok(())
    }

    /// Checks that the endpoints are URLs with each default in its place. `1.2.3.999` is a word,
    /// but not a host.
    pub(super) fn defaults(&self) -> Result<(), InvalidDescriptor> {
        let server = CompiledServer::compile(AuthorizationServer(self.server.clone()))?;
        let [mut values, _] = self.stand_ins();
        for rule in &self.server.parameters {
            let default = rule.default.as_deref().filter(|default| !default.is_empty());
            let kept = default.and_then(|default| rule.accept(default, self.transport).ok());
            values.extend(kept.map(|kept| (rule.name.clone(), kept)));
        }
        match server.check(&values) {
            Ok(_) => Ok(()),
            Err(UnfitParameter { name }) => {
                let problem = RuleProblem::Default;
                Err(self.error("parameters", DescriptorProblem::Rule { name, problem }))
            }
        }
    }
}
