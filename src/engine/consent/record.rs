//! Stores the grant that a consent leads to and the connections that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Context;
use crate::engine::consent::scopes;
use crate::engine::consent::scopes::{adds_to, union};
use crate::engine::context::Service;
use crate::engine::persist;

use crate::engine::revoke;
use crate::error::{ConsentError, Error, Result};
use crate::model::{
    Account, Connection, ConnectionId, Grant, GrantId, IssuedBy, ProviderId, Scopes, Status, Timestamp,
};
use crate::protocol::{Revocable, TokenResponse, granted_scopes, with_offline_access};
use crate::vault::{
    Attempt, ClaimOutcome, ClaimRequest, ConnectionQuery, NewGrant, PendingConsent, Purpose, StoreOutcome,
    Tokens,
};

/// The pause while another process refreshes the grant to be replaced.
const PAUSE: Duration = Duration::from_millis(15);

/// The number of times a grant is rebuilt after another writer changed it.
const STORE_ATTEMPTS: usize = 4;

/// The result of exchanging a code.
pub(crate) struct Issued {
    tokens: Tokens,
    /// True if the refresh token belongs to the extended grant and was not in this response.
    carried: bool,
    /// The account, as identified by each service.
    accounts: BTreeMap<ProviderId, Account>,
    /// The scopes in the response.
    answered: Option<Scopes>,
    issued_by: IssuedBy,
    expires_at: Option<Timestamp>,
    /// The lifetime in the response.
    lifetime: Option<Duration>,
    /// The time when the refresh token expires, according to the response.
    refresh_token_expires_at: Option<Timestamp>,
    at: Timestamp,
}

/// A connection that will use the new grant.
struct Member {
    provider: ProviderId,
    /// The stored connection, if it exists.
    known: Option<Connection>,
    /// The scopes that the consent requested for it. `None` if it merely continues to use the
    /// grant.
    requested: Option<Scopes>,
}

/// The stored result of a consent.
struct Records {
    grant: Grant,
    connections: Vec<Connection>,
    former_dead_at: Option<Timestamp>,
    /// The grants that the connections use until now.
    replaced: BTreeSet<GrantId>,
}

impl Issued {
    pub(crate) fn new(
        consent: &PendingConsent,
        service: &Service,
        answer: TokenResponse,
        accounts: BTreeMap<ProviderId, Account>,
        at: Timestamp,
    ) -> Result<Self> {
        // These addresses may need values from the token response.
        let endpoints = service.endpoints(&consent.parameters)?;
        let expires_in = answer.expires_in.or(service.server.default_expires_in);
        Ok(Self {
            tokens: Tokens {
                access_token: answer.access_token,
                refresh_token: answer.refresh_token,
                id_token: answer.id_token,
            },
            carried: false,
            accounts,
            answered: answer.scopes,
            issued_by: IssuedBy {
                server: service.server.id.clone(),
                token_endpoint: endpoints.token.into(),
                refresh_endpoint: endpoints.refresh.into(),
                revocation_endpoint: endpoints.revocation.map(Into::into),
                client_id: consent.client_id.clone(),
            },
            expires_at: expires_in.map(|lifetime| at + lifetime),
            lifetime: answer.expires_in,
            refresh_token_expires_at: answer.refresh_token_expires_in.map(|left| at + left),
            at,
        })
    }

    /// Returns the tokens in this response.
    pub(crate) fn own_tokens(&self) -> Revocable<'_> {
        Revocable {
            access_token: Some(&self.tokens.access_token),
            refresh_token: self.tokens.refresh_token.as_ref().filter(|_| !self.carried),
        }
    }

    pub(crate) const fn accounts(&self) -> &BTreeMap<ProviderId, Account> {
        &self.accounts
    }

    fn grant(
        &self,
        consent: &PendingConsent,
        before: u64,
        requested: Scopes,
        granted: Scopes,
    ) -> Result<Grant> {
        let mut grant = Grant::new(
            GrantId::generate(self.at)?,
            consent.tenant.clone(),
            consent.owner.clone(),
            consent.provider.clone(),
            self.issued_by.clone(),
            self.at,
        );
        grant.parameters = consent.parameters.clone();
        grant.requested = requested;
        grant.granted = granted;
        grant.account = self.accounts.get(&consent.provider).cloned();
        grant.generation = before + 1;
        grant.refreshable = self.tokens.refresh_token.is_some();
        grant.expires_at = self.expires_at;
        grant.lifetime = self.lifetime;
        grant.refresh.refresh_token_expires_at = self.refresh_token_expires_at;
        Ok(grant)
    }
}

impl Member {
    fn known(connection: Connection) -> Self {
        Self {
            provider: connection.provider.clone(),
            known: Some(connection),
            requested: None,
        }
    }

    fn using(self, grant: &Grant, consent: &PendingConsent, issued: &Issued) -> Result<Connection> {
        let mut connection = match self.known {
            Some(known) => known,
            None => {
                let mut new = Connection::new(ConnectionId::generate(issued.at)?, grant);
                new.provider = self.provider;
                new.account = None;
                new
            }
        };
        if let Some(requested) = self.requested {
            let account = issued.accounts.get(&connection.provider);
            // If the user may have selected another account, the stored account is not evidence.
            if account.is_some() || matches!(consent.purpose, Purpose::SwitchAccount(_)) {
                connection.account = account.cloned();
            }
            if consent.label.is_some() {
                connection.label.clone_from(&consent.label);
            }
            connection.requested = requested;
            connection.parameters.clone_from(&consent.parameters);
        }
        connection.use_grant(grant);
        Ok(connection)
    }
}

/// Stores a new grant and the connections that use it, both new and existing. Returns them, the
/// named one first.
pub(crate) fn store(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    issued: &mut Issued,
) -> Result<Vec<Connection>> {
    persist::prepare(cx, || keep_refresh_token(cx, consent, service, issued))?;
    for _ in 0..STORE_ATTEMPTS {
        let records = persist::prepare(cx, || records(cx, consent, service, issued))?;
        let new = NewGrant {
            consent: &consent.state,
            grant: &records.grant,
            tokens: &issued.tokens,
            connections: &records.connections,
            former_dead_at: records.former_dead_at,
        };
        match persist::persist(cx, || cx.vault.store_grant(&new))? {
            StoreOutcome::Stored { former } => {
                revoke::end_former(cx, &consent.tenant, &service.server, former);
                return Ok(records.connections);
            }
            StoreOutcome::Conflict => {
                if let Some(former) = stored_before(cx, &records)? {
                    revoke::end_former(cx, &consent.tenant, &service.server, former);
                    return Ok(records.connections);
                }
                // Since the read, a refresh increased the generation, or another consent connected
                // the account.
            }
        }
    }
    Err(ConsentError::Conflict.into())
}

/// Returns the grants that this one replaced, if an attempt has stored it whose answer was lost.
/// Storing the same tokens as another grant would end them as those of a former one.
fn stored_before(cx: &Context, records: &Records) -> Result<Option<Vec<GrantId>>> {
    let Records { grant, replaced, .. } = records;
    let read = |id| persist::persist(cx, || cx.vault.grant(&grant.tenant, id));
    // The id is random, so no other call can have stored it.
    if read(grant.id)?.is_none() {
        return Ok(None);
    }
    let mut former = Vec::new();
    for id in replaced {
        if read(*id)?.is_some_and(|replaced| replaced.former_of == Some(grant.id)) {
            former.push(*id);
        }
    }
    Ok(Some(former))
}

/// Builds the records to store from the current state of the vault.
fn records(cx: &Context, consent: &PendingConsent, service: &Service, issued: &Issued) -> Result<Records> {
    let target = target(cx, consent, issued)?;
    let (members, requested, granted) = if consent.services.is_empty() {
        let known = match target {
            Some(target) => Some(target),
            None => same_account(cx, consent, &consent.provider, issued)?,
        };
        let member = Member {
            provider: consent.provider.clone(),
            known,
            requested: Some(consent.scopes.clone()),
        };
        let granted = granted_scopes(&service.server, &consent.scopes, issued.answered.as_ref());
        (vec![member], consent.scopes.clone(), granted)
    } else {
        joint(cx, consent, service, issued, target)?
    };
    let shown = members.iter().filter_map(|member| member.known.as_ref());
    let before = shown
        .clone()
        .map(|known| known.generation)
        .max()
        .unwrap_or_default();
    let replaced: BTreeSet<GrantId> = shown.map(|known| known.grant).collect();
    let granted = match issued.tokens.refresh_token {
        Some(_) => with_offline_access(granted, &requested),
        None => granted,
    };
    let mut grant = issued.grant(consent, before, requested, granted)?;
    if grant.lifetime.is_none() {
        carry_lifetime(cx, &mut grant, &replaced)?;
    }
    let former_dead_at = dead_at(cx, consent, &replaced)?;
    let connections = members
        .into_iter()
        .map(|member| member.using(&grant, consent, issued))
        .collect::<Result<_>>()?;
    Ok(Records {
        grant,
        connections,
        former_dead_at,
        replaced,
    })
}

/// Returns the connections that one consent serves, with the scopes requested for and granted to
/// each.
fn joint(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    issued: &Issued,
    target: Option<Connection>,
) -> Result<(Vec<Member>, Scopes, Scopes)> {
    // The grant that continues and the connections that use it. A consent for another account ends
    // it.
    let goes_on = matches!(consent.purpose, Purpose::Reconnect(_) | Purpose::Extend(_));
    let family = match &target {
        Some(target) if goes_on => scopes::family(cx, target)?,
        target => target.iter().cloned().collect(),
    };
    let continued = target.as_ref().filter(|_| goes_on);
    let granted = granted(cx, consent, service, issued, continued, &family)?;
    let known = family.iter().map(|known| &known.requested);
    let requested = union(consent.services.values().chain(known));
    let members = members(cx, consent, issued, family)?;
    Ok((members, requested, granted))
}

/// Returns the connections of the requested services, the named one first, followed by the rest of
/// the family.
fn members(
    cx: &Context,
    consent: &PendingConsent,
    issued: &Issued,
    mut family: Vec<Connection>,
) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for (provider, requested) in &consent.services {
        let known = match family.iter().position(|known| known.provider == *provider) {
            Some(at) => Some(family.swap_remove(at)),
            None => same_account(cx, consent, provider, issued)?,
        };
        members.push(Member {
            provider: provider.clone(),
            known,
            requested: Some(requested.clone()),
        });
    }
    members.sort_by_key(|member| member.provider != consent.provider);
    members.extend(family.into_iter().map(Member::known));
    Ok(members)
}

/// Returns the scopes of the whole grant.
fn granted(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    issued: &Issued,
    continued: Option<&Connection>,
    family: &[Connection],
) -> Result<Scopes> {
    let adds = continued
        .filter(|target| matches!(consent.purpose, Purpose::Extend(_)) && adds_to(&service.server, target));
    let asked = match adds {
        Some(target) => {
            let known = union(family.iter().map(|known| &known.requested));
            if issued.answered.is_none() {
                return Ok(consent.scopes.union(&scopes::whole_grant(cx, target)?.granted));
            }
            consent
                .scopes
                .union(&known)
                .union(&union(consent.services.values()))
        }
        None => consent.scopes.clone(),
    };
    Ok(granted_scopes(&service.server, &asked, issued.answered.as_ref()))
}

/// Assumes the lifetime of a replaced grant if the response does not include one.
fn carry_lifetime(cx: &Context, grant: &mut Grant, replaced: &BTreeSet<GrantId>) -> Result<()> {
    for id in replaced {
        let before = cx.vault.grant(&grant.tenant, *id)?;
        let same_server = before.filter(|it| it.issued_by.server == grant.issued_by.server);
        if let Some(lifetime) = same_server.and_then(|it| it.lifetime) {
            grant.lifetime = Some(lifetime);
            grant.expires_at = Some(grant.refreshed_at + lifetime);
            return Ok(());
        }
    }
    Ok(())
}

/// Returns the connection that this consent reconnects or extends, if any.
fn target(cx: &Context, consent: &PendingConsent, issued: &Issued) -> Result<Option<Connection>> {
    let read = |id| cx.vault.connection(&consent.tenant, id)?.ok_or(Error::NotFound);
    match consent.purpose {
        Purpose::Connect => Ok(None),
        Purpose::SwitchAccount(id) => read(id).map(Some),
        Purpose::Reconnect(id) | Purpose::Extend(id) => {
            let target = read(id)?;
            match (&target.account, issued.accounts.get(&target.provider)) {
                (Some(known), Some(chosen)) if known.id != chosen.id => {
                    Err(ConsentError::AccountMismatch.into())
                }
                (Some(_), None) => Err(ConsentError::AccountUnknown.into()),
                // Revoked while the user was at the server: there is nothing left to extend.
                _ if target.status == Status::Revoked && matches!(consent.purpose, Purpose::Extend(_)) => {
                    Err(Error::NotFound)
                }
                _ => Ok(Some(target)),
            }
        }
    }
}

/// Returns the owner's connection to the same account, including a revoked one, which keeps its id
/// and history.
///
/// A connection whose account was never verified is recognized by its label. It becomes verified if
/// its service now identifies the account.
fn same_account(
    cx: &Context,
    consent: &PendingConsent,
    provider: &ProviderId,
    issued: &Issued,
) -> Result<Option<Connection>> {
    let account = issued.accounts.get(provider);
    let mut query = ConnectionQuery::of(&consent.tenant);
    query.owner = Some(&consent.owner);
    query.provider = Some(provider);
    query.with_revoked = true;
    let known = cx.vault.connections(&query)?;
    let rank = |known: &Connection| {
        let live = known.status != Status::Revoked;
        match (&known.account, account) {
            (Some(known), Some(chosen)) if known.id == chosen.id => Some(if live { 0 } else { 1 }),
            (None, None) if known.label == consent.label => Some(if live { 0 } else { 1 }),
            (None, Some(_)) if live && known.label == consent.label => Some(2),
            _ => None,
        }
    };
    let ranked = known.into_iter().filter_map(|known| Some((rank(&known)?, known)));
    Ok(ranked.min_by_key(|(rank, _)| *rank).map(|(_, known)| known))
}

/// Returns the latest time at which the tokens of these grants expire at the server, if known for
/// all of them.
fn dead_at(
    cx: &Context,
    consent: &PendingConsent,
    replaced: &BTreeSet<GrantId>,
) -> Result<Option<Timestamp>> {
    let mut latest = None;
    for id in replaced {
        let Some(grant) = cx.vault.grant(&consent.tenant, *id)? else {
            continue;
        };
        if grant.status == Status::Revoked {
            continue;
        }
        let Some(dead_at) = tokens_dead_at(cx, &grant) else {
            return Ok(None);
        };
        latest = latest.max(Some(dead_at));
    }
    Ok(latest)
}

fn tokens_dead_at(cx: &Context, grant: &Grant) -> Option<Timestamp> {
    // A token without an expiry lives until the server refuses it.
    let access_token = grant.expires_at?;
    if !grant.refreshable && grant.refresh.quarantined_until.is_none() {
        return Some(access_token);
    }
    let server = cx.server(&grant.tenant, grant.issued_by.server.as_str()).ok()??;
    let by_age = server.refresh_token_lifetime.map(|it| grant.consented_at + it);
    let by_idling = server.refresh_token_idle.map(|it| grant.refreshed_at + it);
    let refresh_token = by_age.into_iter().chain(by_idling).min()?;
    Some(refresh_token.max(access_token))
}

/// A server that adds to a grant may leave its refresh token in force without returning it. The
/// grant is claimed, so that no other process uses the refresh token meanwhile, and the token is
/// stored with the new access token.
fn keep_refresh_token(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    issued: &mut Issued,
) -> Result<()> {
    let (Purpose::Extend(_), None) = (consent.purpose, &issued.tokens.refresh_token) else {
        return Ok(());
    };
    if service.server.separate_grants {
        return Ok(());
    }
    let deadline = Instant::now() + cx.settings.resolve_deadline;
    loop {
        // Read with all checks: a token of another account's grant must not be kept.
        let Some(target) = target(cx, consent, issued)? else {
            return Ok(());
        };
        let request = ClaimRequest {
            tenant: &consent.tenant,
            grant: target.grant,
            holder: cx.holder,
            generation: target.generation,
            attempt: Attempt::Forced,
            now: cx.claim_time(),
            lease: cx.settings.refresh_lease,
        };
        match cx.vault.claim_refresh(&request)? {
            ClaimOutcome::Granted(claimed) => {
                issued.tokens.refresh_token = Some(claimed.refresh_token);
                issued.carried = true;
                return Ok(());
            }
            ClaimOutcome::Moved => {}
            ClaimOutcome::Held(_) if Instant::now() + PAUSE < deadline => thread::sleep(PAUSE),
            ClaimOutcome::Held(_) => return Err(ConsentError::Conflict.into()),
            _ => return Ok(()),
        }
    }
}
