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
use crate::vault::{ConnectionQuery, Found, Of, StoredToken, TokenQuery, VaultError};

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

/// The place from which answers of the vault come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The vault, wherever it is.
    Vault,
    /// This machine. A vault across the network gives only what it remembers.
    Machine,
}

/// The result of a search for a connection of one owner.
#[allow(
    clippy::large_enum_variant,
    reason = "moved once: an allocation on the hot path costs more"
)]
enum Lookup {
    Nothing,
    /// Only the network can tell.
    Unknown,
    One(Candidate),
}

/// Finds the connection for this user: their own, or the workspace connection if the policy allows
/// it.
pub(super) fn find(access: &Access<'_>, tell: &mut dyn FnMut(Step)) -> Result<Candidate> {
    // The vault was asked, so it has answered.
    find_in(access, Source::Vault, tell)?.ok_or_else(|| VaultError::Unreachable.into())
}

/// Finds the connection as [`find`] does, without the network. Returns `None` if only the network
/// can tell.
pub(super) fn find_at_hand(access: &Access<'_>) -> Result<Option<Candidate>> {
    let cx = access.cx();
    // What tenants add is read from the vault.
    if !cx.vault.is_local() && !cx.is_configured(&access.options.provider) {
        return Ok(None);
    }
    find_in(access, Source::Machine, &mut |_| {})
}

fn find_in(access: &Access<'_>, source: Source, tell: &mut dyn FnMut(Step)) -> Result<Option<Candidate>> {
    let plan = plan(access, tell)?;
    let provider = &plan.provider;
    for owner in plan.owners(access) {
        match look_up(access, source, owner, provider, tell)? {
            Lookup::Nothing => {}
            Lookup::Unknown => return Ok(None),
            Lookup::One(found) => return Ok(Some(found)),
        }
    }
    Err(
        ConsentRequired::new(NamedProvider::of(provider), ConsentReason::NotConnected)
            .missing(access.options.scopes.clone())
            .labelled(access.options.label.clone())
            .of(!plan.personal)
            .into(),
    )
}

/// The connections in which an access may find its token: the user's own has precedence.
struct Plan {
    provider: Arc<CompiledProvider>,
    personal: bool,
    workspace: bool,
}

impl Plan {
    /// Returns the owners in their order; `None` is the workspace.
    fn owners<'a>(&self, access: &Access<'a>) -> impl Iterator<Item = Option<&'a UserId>> + use<'a> {
        let personal = self.personal.then(|| Some(access.acting_user.user()));
        let workspace = self.workspace.then_some(None);
        personal.into_iter().chain(workspace)
    }
}

/// Checks that the access is allowed, before the vault is read for it.
fn plan(access: &Access<'_>, tell: &mut dyn FnMut(Step)) -> Result<Plan> {
    let options = access.options;
    // A service that the host has not configured is not offered, even if the user is connected to
    // it.
    let provider = access
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
            return Err(Error::Denied {
                provider: NamedProvider::of(&provider),
                tool: options.tool.as_deref().map(Into::into),
            });
        }
        Err(Denial::LabelRequired) => {
            tell(Step::LabelRequired);
            return Err(Error::LabelRequired(NamedProvider::of(&provider)));
        }
    };
    tell(Step::Policy(policy, setting));
    let (personal, workspace) = match policy {
        WorkspaceConnections::Fallback => (true, true),
        WorkspaceConnections::Forbidden => (true, false),
        WorkspaceConnections::Required => (false, true),
    };
    Ok(Plan {
        provider,
        personal,
        workspace,
    })
}

/// Reads the tokens of several accesses of one turn at once, for the turn to hold. If a token
/// cannot be read, the access itself finds out why.
pub(super) fn prefetch(accesses: &[Access<'_>]) {
    let Some(first) = accesses.first() else { return };
    let vault = &first.cx().vault;
    let plans: Vec<_> = accesses
        .iter()
        .filter_map(|access| Some((access, plan(access, &mut |_| {}).ok()?)))
        .filter(|(access, plan)| !is_at_hand(access, plan))
        .collect();
    let mut asked = Vec::new();
    for (access, plan) in &plans {
        asked.extend(plan.owners(access).map(|user| (*access, user, &*plan.provider)));
    }
    let queries: Vec<_> = asked
        .iter()
        .map(|(access, user, provider)| query(access, *user, provider))
        .collect();
    for ((access, user, provider), read) in asked.iter().zip(vault.find_tokens(&queries)) {
        if let Some((found, as_of)) = read {
            access.ledger.hold(&of(access, *user, provider), as_of, &found);
        }
    }
}

/// Returns whether the connection that has precedence is known without the network.
fn is_at_hand(access: &Access<'_>, plan: &Plan) -> bool {
    let first = plan.owners(access).next();
    first.is_some_and(|user| {
        let known = read(access, Source::Machine, user, &plan.provider);
        matches!(known, Ok(Some(Found::One(_))))
    })
}

fn of<'a>(access: &Access<'a>, user: Option<&UserId>, provider: &'a CompiledProvider) -> Asked<'a> {
    Asked {
        is_workspace: user.is_none(),
        provider: &provider.id,
        options: access.options,
    }
}

fn query<'a>(
    access: &Access<'a>,
    user: Option<&'a UserId>,
    provider: &'a CompiledProvider,
) -> TokenQuery<'a> {
    TokenQuery {
        tenant: access.acting_user.tenant(),
        of: Of::Owner {
            user,
            provider: &provider.id,
            label: access.options.label.as_ref(),
        },
        scopes: &access.options.scopes,
    }
}

/// Reads a connection of this user or of the tenant from the vault, unless the turn holds an answer
/// that still holds. Returns `None` if only the network can tell.
fn read(
    access: &Access<'_>,
    source: Source,
    user: Option<&UserId>,
    provider: &CompiledProvider,
) -> Result<Option<Found>> {
    let asked = of(access, user, provider);
    let vault = &access.cx().vault;
    if let Some(stored) = access
        .ledger
        .held(&asked, |as_of| vault.is_unchanged_since(as_of))?
    {
        return Ok(Some(stored.map_or(Found::Nothing, Found::One)));
    }
    let query = query(access, user, provider);
    let read = match source {
        Source::Vault => Some(vault.find_token_as_of(&query)?),
        Source::Machine => vault.remembered_token(&query)?,
    };
    let Some((found, as_of)) = read else {
        return Ok(None);
    };
    if let Some(as_of) = as_of {
        access.ledger.hold(&asked, as_of, &found);
    }
    Ok(Some(found))
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
    source: Source,
    user: Option<&UserId>,
    provider: &Arc<CompiledProvider>,
    tell: &mut dyn FnMut(Step),
) -> Result<Lookup> {
    let mut tell = |finding| {
        tell(if user.is_some() {
            Step::Personal(finding)
        } else {
            Step::Workspace(finding)
        });
    };
    let stored = match read(access, source, user, provider)? {
        None => return Ok(Lookup::Unknown),
        Some(Found::Nothing) => {
            tell(Finding::Nothing);
            return Ok(Lookup::Nothing);
        }
        Some(Found::Several) => {
            tell(Finding::Several);
            return Err(ambiguous(access, user, provider)?);
        }
        Some(Found::One(stored)) => stored,
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
            return Ok(Lookup::Nothing);
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
    Ok(Lookup::One(Candidate {
        provider: Arc::clone(provider),
        stored,
        is_workspace: user.is_none(),
    }))
}
