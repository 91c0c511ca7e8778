//! Determines which services a consent is for: only the named one, or several that will share a
//! grant.

use std::collections::BTreeMap;

use crate::engine::Context;
use crate::engine::consent::options::ConsentOptions;
use crate::engine::consent::options::Reconnect;
use crate::engine::context::Service;
use crate::engine::grant_users;
use crate::error::{Error, NamedProvider, Result};
use crate::model::{Connection, Grant, Parameters, ProviderId, Scopes, Status};
use crate::provider::compiled::AddedParameters;
use crate::provider::{ProviderDescriptor, ServerDescriptor};

/// The services and scopes of a consent.
pub(crate) struct Asked {
    /// The scopes of the authorization request.
    pub(crate) scopes: Scopes,
    /// Each service with its scopes, if several share the grant.
    pub(crate) services: BTreeMap<ProviderId, Scopes>,
    /// Parameters of the authorization request that all services contribute.
    pub(crate) added: AddedParameters,
}

/// Computes the scopes to request; fails if one grant cannot cover all services.
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
            return Err(Error::NotOneGrant(NamedProvider::of(&service.provider)));
        }
    }
    let family = match target {
        Some(target) => family(cx, target)?,
        None => Vec::new(),
    };
    let wanted = |provider: &ProviderDescriptor, named: Option<Scopes>| {
        // At most servers, a new grant replaces the old one: scopes that are not requested again
        // are lost.
        let held = family
            .iter()
            .find(|known| known.provider == provider.id)
            .map(|known| known.requested.clone())
            .unwrap_or_default();
        // A connection that only reads is not given more by reconnecting it.
        let reads = || provider.tiers.read_only.clone();
        let named = named.or_else(|| reads().filter(|_| provider.reads_only(&held)));
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
            return Err(Error::NotOneGrant(NamedProvider::of(other)));
        }
        // The values belong to the server that both services use.
        joining.check_instance(parameters, &options.parameters)?;
        added.extend(other.added_to_authorization().clone());
        let scopes = options.also_scopes.get(also).cloned();
        services.insert(other.id.clone(), wanted(other, scopes));
    }

    let all = union(services.values());
    // All or none: the other connections of the grant would otherwise lose their scopes.
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

/// Returns the connections that use the same grant as this one, including itself. A revoked
/// connection does not use a grant.
pub(crate) fn family(cx: &Context, connection: &Connection) -> Result<Vec<Connection>> {
    if connection.status == Status::Revoked {
        return Ok(vec![connection.clone()]);
    }
    let users = grant_users::users(cx, &connection.tenant, connection.grant)?;
    if users.iter().all(|user| user.id != connection.id) {
        // It was moved to another grant or revoked since it was read.
        return Ok(vec![connection.clone()]);
    }
    Ok(users)
}

/// Returns the grant of a connection, with the scopes of the whole grant.
pub(crate) fn whole_grant(cx: &Context, connection: &Connection) -> Result<Grant> {
    cx.vault
        .grant(&connection.tenant, connection.grant)?
        .ok_or(Error::NotFound)
}

/// Returns whether one consent can cover both services: they use one server and their request
/// parameters do not conflict. A service whose server is discovered needs one consent for each
/// connection.
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

/// Returns whether the server adds the requested scopes to those that this connection has. If so,
/// only the missing scopes are requested.
pub(crate) fn adds_to(server: &ServerDescriptor, target: &Connection) -> bool {
    !server.extending_parameters.is_empty() && target.status == Status::Active
}

/// Returns whether the grant of a connection can serve a service: the tokens come from the same
/// server, for the same client.
pub(crate) fn one_grant(service: &Service, target: &Connection, parameters: &Parameters) -> Result<()> {
    let from = &target.issued_by;
    let other = || Error::NotOneGrant(NamedProvider::of(&service.provider));
    // Values for one server do not apply to another.
    if from.server != service.server.id || from.client_id != service.client.client_id() {
        return Err(other());
    }
    let endpoints = service.endpoints(parameters)?;
    let same = from.token_endpoint == endpoints.token.as_str()
        && from.refresh_endpoint == endpoints.refresh.as_str();
    if same { Ok(()) } else { Err(other()) }
}

/// Returns the union of these scopes.
pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Scopes>) -> Scopes {
    all.into_iter()
        .fold(Scopes::default(), |all, scopes| all.union(scopes))
}
