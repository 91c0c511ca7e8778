//! Finds the connection for an access.

use std::sync::Arc;

use crate::engine::freshness::Times;
use crate::engine::outlook::Outlook;
use crate::error::{ConsentReason, ConsentRequired, Error, NamedProvider, Result};
use crate::model::{Label, Owner, Status, UserId, check_name};
use crate::provider::compiled::CompiledProvider;
use crate::resolver::access::Access;
use crate::resolver::decision::{Finding, Step};
use crate::resolver::held::Asked;
use crate::resolver::ledger::Ledger;
use crate::resolver::policy::{Call, Denial, WorkspaceConnections};
use crate::resolver::token::ResolvedToken;
use crate::vault::{ConnectionQuery, Found, Of, StoredToken, TokenQuery};

/// An active connection that has the required scopes.
pub(super) struct Candidate {
    pub(super) provider: Arc<CompiledProvider>,
    pub(super) stored: StoredToken,
    pub(super) is_workspace: bool,
}

impl Candidate {
    /// Evaluates the stored token against the requirements of the access.
    pub(super) fn outlook(&self, access: &Access<'_>) -> Outlook {
        let times = Times::from(&self.stored);
        Outlook::of(
            self.stored.status,
            times,
            access.cx().now(),
            access.options.min_ttl,
        )
    }

    /// Returns the error that requests a new consent for this connection.
    pub(super) fn need(&self, reason: ConsentReason) -> Error {
        ConsentRequired::new(NamedProvider::of(&self.provider), reason)
            .reconnecting(self.stored.connection)
            .of(self.is_workspace)
            .into()
    }

    /// The refreshed token belonged to this user until now, and a tool may have seen it.
    pub(super) fn remember(self, ledger: &Ledger) {
        if let Some(token) = &self.stored.access_token {
            ledger.note(token);
        }
    }

    /// Returns the stored token as it is.
    pub(super) fn into_token(mut self) -> Result<ResolvedToken> {
        let Some(access_token) = self.stored.access_token.take() else {
            return Err(self.need(ConsentReason::NotConnected));
        };
        Ok(ResolvedToken {
            grant: self.stored.grant,
            access_token,
            provider: self.provider,
            connection: self.stored.connection,
            generation: self.stored.generation,
            expires_at: self.stored.expires_at,
            is_workspace: self.is_workspace,
            parameters: self.stored.parameters,
        })
    }
}

/// Finds the connection for this user: their own, or the workspace connection if the policy allows
/// it.
pub(super) fn find(access: &Access<'_>, tell: &mut dyn FnMut(Step)) -> Result<Candidate> {
    let options = access.options;
    // A service that the host has not configured is not offered, even if the user is connected to
    // it.
    let provider = &access
        .cx()
        .usable(access.acting_user.tenant(), &options.provider)?
        .provider;
    // A name that no policy rule can contain is not a valid tool name.
    options
        .tool
        .as_deref()
        .map(|tool| check_name("tool name", tool))
        .transpose()?;
    let call = Call {
        acting_user: access.acting_user,
        provider: &provider.id,
        tool: options.tool.as_deref(),
        scopes: &options.scopes,
        label: options.label.as_ref(),
    };
    let (policy, setting) = match access.common.policy.decide(&call) {
        Ok(decided) => decided,
        Err(Denial::Listed) => {
            tell(Step::Denied);
            return Err(Error::Denied(NamedProvider::of(provider)));
        }
        Err(Denial::LabelRequired) => {
            tell(Step::LabelRequired);
            return Err(Error::LabelRequired(NamedProvider::of(provider)));
        }
    };
    tell(Step::Policy(policy, setting));
    let (personal, workspace) = match policy {
        WorkspaceConnections::Fallback => (true, true),
        WorkspaceConnections::Forbidden => (true, false),
        WorkspaceConnections::Required => (false, true),
    };
    if personal && let Some(found) = look_up(access, Some(access.acting_user.user()), provider, tell)? {
        return Ok(found);
    }
    if workspace && let Some(found) = look_up(access, None, provider, tell)? {
        return Ok(found);
    }
    Err(
        ConsentRequired::new(NamedProvider::of(provider), ConsentReason::NotConnected)
            .missing(options.scopes.clone())
            .labelled(options.label.clone())
            .of(!personal)
            .into(),
    )
}

/// Reads a connection of this user or of the tenant from the vault, unless the turn holds an answer
/// from which nothing was committed since.
fn read(access: &Access<'_>, user: Option<&UserId>, provider: &CompiledProvider) -> Result<Found> {
    let options = access.options;
    let asked = Asked {
        is_workspace: user.is_none(),
        provider: &provider.id,
        options,
    };
    let vault = &access.cx().vault;
    if let Some(stored) = access
        .ledger
        .held(&asked, |as_of| vault.is_unchanged_since(as_of))?
    {
        return Ok(stored.map_or(Found::Nothing, Found::One));
    }
    let query = TokenQuery {
        tenant: access.acting_user.tenant(),
        of: Of::Owner {
            user,
            provider: &provider.id,
            label: options.label.as_ref(),
        },
        scopes: &options.scopes,
    };
    let (found, as_of) = vault.find_token_as_of(&query)?;
    if let Some(as_of) = as_of {
        access.ledger.hold(&asked, as_of, &found);
    }
    Ok(found)
}

/// Returns the error for several connections, none of which is the default.
fn ambiguous(access: &Access<'_>, user: Option<&UserId>, provider: &Arc<CompiledProvider>) -> Result<Error> {
    let owner = user.map_or(Owner::Workspace, |user| Owner::Personal(user.clone()));
    let query = ConnectionQuery {
        owner: Some(&owner),
        provider: Some(&provider.id),
        ..ConnectionQuery::of(access.acting_user.tenant())
    };
    let connections = access.cx().vault.connections(&query)?;
    let labels = connections
        .iter()
        .filter_map(|connection| connection.label.clone());
    let mut labels: Vec<Label> = labels.collect();
    labels.sort();
    Ok(Error::Ambiguous {
        provider: NamedProvider::of(provider),
        accounts: connections.len(),
        labels,
    })
}

/// Finds a connection of this user or of the tenant.
fn look_up(
    access: &Access<'_>,
    user: Option<&UserId>,
    provider: &Arc<CompiledProvider>,
    tell: &mut dyn FnMut(Step),
) -> Result<Option<Candidate>> {
    let mut tell = |finding| {
        tell(if user.is_some() {
            Step::Personal(finding)
        } else {
            Step::Workspace(finding)
        });
    };
    let stored = match read(access, user, provider)? {
        Found::Nothing => {
            tell(Finding::Nothing);
            return Ok(None);
        }
        Found::Several => {
            tell(Finding::Several);
            return Err(ambiguous(access, user, provider)?);
        }
        Found::One(stored) => stored,
    };
    let need = |reason| {
        ConsentRequired::new(NamedProvider::of(provider), reason)
            .reconnecting(stored.connection)
            .of(user.is_none())
    };
    match stored.status {
        Status::Active => {}
        Status::NeedsConsent(reason) => {
            tell(Finding::NeedsConsent(stored.connection, reason.into()));
            return Err(need(reason.into()).missing(stored.missing).into());
        }
        Status::Revoked => {
            tell(Finding::Nothing);
            return Ok(None);
        }
    }
    if !stored.missing.is_empty() {
        tell(Finding::NeedsConsent(
            stored.connection,
            ConsentReason::MissingScopes,
        ));
        return Err(need(ConsentReason::MissingScopes).missing(stored.missing).into());
    }
    tell(Finding::Active(stored.connection));
    Ok(Some(Candidate {
        provider: Arc::clone(provider),
        stored,
        is_workspace: user.is_none(),
    }))
}
