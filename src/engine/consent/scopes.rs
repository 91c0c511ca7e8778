//! Which services a consent is for: the named one alone, or several that will use one grant.

use std::collections::BTreeMap;

use crate::engine::Context;
use crate::engine::consent::options::ConsentOptions;
use crate::engine::consent::options::Reconnect;
use crate::engine::context::Service;
use crate::engine::grant_users;
use crate::error::{Error, Result};
use crate::model::{Connection, Grant, Parameters, ProviderId, Scopes, Status};
use crate::provider::compiled::AddedParameters;
use crate::provider::{ProviderDescriptor, ServerDescriptor};

/// What a consent asks for.
pub(crate) struct Asked {
    /// The scopes of the authorization request.
    pub(crate) scopes: Scopes,
    /// Each service with its scopes, where several are to use the grant.
    pub(crate) services: BTreeMap<ProviderId, Scopes>,
    /// What all of the services add to the authorization request.
    pub(crate) added: AddedParameters,
}

/// Puts together what is asked for, and refuses what no single grant can serve.
pub(crate) fn asked(
    cx: &Context,
    service: &Service,
    options: &ConsentOptions,
    target: Option<&Connection>,
    parameters: &Parameters,
) -> Result<Asked> {
    let extends = matches!(options.reconnect, Some(Reconnect::Extend(_)));
    if extends && let Some(target) = target {
        one_grant(service, target, parameters)?;
        if service.provider.discovery.is_some() && target.provider != service.provider.id {
            return Err(Error::NotOneGrant((&service.provider).into()));
        }
    }
    let family = match target {
        Some(target) => family(cx, target)?,
        None => Vec::new(),
    };
    let wanted = |provider: &ProviderDescriptor, named: Option<Scopes>| {
        // A new grant replaces the old one at most servers: what is not asked for again is lost.
        let held = family
            .iter()
            .find(|known| known.provider == provider.id)
            .map(|known| known.requested.clone())
            .unwrap_or_default();
        provider.wanted_scopes(named, &held, parameters)
    };

    let named = &service.provider;
    let mut services = BTreeMap::from([(
        named.id.clone(),
        wanted(named, options.scopes.clone()).union(&options.added_scopes),
    )]);
    let mut added = named.added_to_authorization().clone();
    for also in &options.also {
        let joining = cx.service(&service.tenant, also)?;
        let other = &joining.provider;
        if other.id == named.id {
            continue;
        }
        if !can_join(named, other) || disagree(&added, other.added_to_authorization()) {
            return Err(Error::NotOneGrant(other.into()));
        }
        // The values belong to the server that both share.
        joining.check_instance(parameters, &options.parameters)?;
        added.extend(other.added_to_authorization().clone());
        services.insert(other.id.clone(), wanted(other, None));
    }

    let all = union(services.values());
    // Together or not at all: the others that use the grant would lose their part of it.
    let stays = extends || matches!(options.reconnect, Some(Reconnect::SameAccount(_))) && family.len() > 1;
    let scopes = match target {
        Some(target) if extends && adds_to(&service.server, target) => {
            added.extend(service.server.added_to_extend().clone());
            let granted = whole_grant(cx, target)?.granted;
            let missing = all.difference(&granted);
            if missing.is_empty() { all } else { missing }
        }
        _ if stays => all.union(&union(family.iter().map(|known| &known.requested))),
        _ => all,
    };
    if services.len() == 1 && !stays {
        services.clear();
    }
    Ok(Asked {
        scopes,
        services,
        added,
    })
}

/// The connections that use the same grant as this one, itself included. A revoked connection uses
/// none.
pub(crate) fn family(cx: &Context, connection: &Connection) -> Result<Vec<Connection>> {
    if connection.status == Status::Revoked {
        return Ok(vec![connection.clone()]);
    }
    let users = grant_users::users(cx, &connection.tenant, connection.grant)?;
    if users.iter().all(|user| user.id != connection.id) {
        // It was given another grant, or revoked, since it was read.
        return Ok(vec![connection.clone()]);
    }
    Ok(users)
}

/// The grant of a connection: what was granted as a whole.
pub(crate) fn whole_grant(cx: &Context, connection: &Connection) -> Result<Grant> {
    cx.vault
        .grant(&connection.tenant, connection.grant)?
        .ok_or(Error::NotFound)
}

/// Returns whether one consent can be for both: at one server, and with nothing that is asked for
/// in two ways. Where a service is at is found out for one connection at a time.
pub(crate) fn can_join(named: &ProviderDescriptor, other: &ProviderDescriptor) -> bool {
    other.id != named.id
        && other.server == named.server
        && other.discovery.is_none()
        && !disagree(&named.authorization_parameters, &other.authorization_parameters)
}

fn disagree<V: PartialEq>(one: &BTreeMap<String, V>, other: &BTreeMap<String, V>) -> bool {
    other
        .iter()
        .any(|(name, value)| one.get(name).is_some_and(|known| known != value))
}

/// Returns whether the server adds what is asked for to what this connection was granted: then only
/// what is missing is asked.
pub(crate) fn adds_to(server: &ServerDescriptor, target: &Connection) -> bool {
    !server.extending_parameters.is_empty() && target.status == Status::Active
}

/// Returns whether a service can be served by the grant of a connection: the tokens come from one
/// place, for one client.
pub(crate) fn one_grant(service: &Service, target: &Connection, parameters: &Parameters) -> Result<()> {
    let from = &target.issued_by;
    let other = || Error::NotOneGrant((&service.provider).into());
    // The values of one server say nothing about another.
    if from.server != service.server.id || from.client_id != service.client.client_id() {
        return Err(other());
    }
    let endpoints = service.endpoints(parameters)?;
    let same = from.token_endpoint == endpoints.token.as_str()
        && from.refresh_endpoint == endpoints.refresh.as_str();
    if same { Ok(()) } else { Err(other()) }
}

/// All scopes of these.
pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Scopes>) -> Scopes {
    all.into_iter()
        .fold(Scopes::default(), |all, scopes| all.union(scopes))
}
