//! The first half of a consent: selects the scopes and creates the flow with its secrets.

use url::Url;

use crate::engine::Context;
use crate::engine::consent::flow::FlowSecrets;
use crate::engine::consent::options::{AuthorizationUrl, Reconnect};
use crate::engine::consent::options::{Consent, ConsentOptions};
use crate::engine::consent::scopes;
use crate::engine::context::Service;
#[cfg(feature = "mcp")]
use crate::engine::mcp::renew;
use crate::engine::outlook;
use crate::error::{Error, Misconfigured, NamedProvider, Result};
use crate::model::{
    ActingUser, Connection, ConsentId, EventKind, FailureCode, Label, Owner, Parameters, ProviderId, Status,
    TenantId,
};
use crate::protocol::{AuthorizationRequest, TokenClient, TokenFailure, pushed_url};
use crate::provider::compiled::{AddedParameters, Endpoints};
use crate::provider::{Pkce, with_loopback_port};
use crate::secret::PkceVerifier;
use crate::trace::{self, Seam};
use crate::vault::{ConnectionQuery, PendingConsent, Purpose, StateHash};

pub(crate) fn start(
    cx: &Context,
    acting_user: &ActingUser,
    owner: Owner,
    provider: &str,
    options: ConsentOptions,
) -> Result<Consent> {
    discover_again(cx, acting_user.tenant(), provider, &options)?;
    start_defined(cx, acting_user, owner, provider, options)
}

/// Discovers the MCP server that a consent is for, if its client or its connection must be renewed.
#[cfg(feature = "mcp")]
pub(crate) fn discover_again(
    cx: &Context,
    tenant: &TenantId,
    provider: &str,
    options: &ConsentOptions,
) -> Result<()> {
    renew::before_consent(cx, tenant, provider, options.reconnect.is_some())
}

/// Does nothing: without the feature `mcp`, no provider is discovered.
#[cfg(not(feature = "mcp"))]
pub(crate) fn discover_again(_: &Context, _: &TenantId, _: &str, _: &ConsentOptions) -> Result<()> {
    Ok(())
}

/// Starts a consent for a provider as it is defined now.
pub(crate) fn start_defined(
    cx: &Context,
    acting_user: &ActingUser,
    owner: Owner,
    provider: &str,
    options: ConsentOptions,
) -> Result<Consent> {
    let id = ConsentId::generate(cx.now())?;
    start_as(
        cx,
        id,
        acting_user,
        owner,
        provider,
        options,
        FlowSecrets::random()?,
    )
}

/// Starts a consent with the id of a ticket and the secrets derived from it.
pub(crate) fn start_as(
    cx: &Context,
    id: ConsentId,
    acting_user: &ActingUser,
    owner: Owner,
    provider: &str,
    options: ConsentOptions,
    secrets: FlowSecrets,
) -> Result<Consent> {
    let about = || cx.about(acting_user, provider);
    trace::within(Seam::Start, about, || {
        begin(cx, id, acting_user, owner, provider, options, secrets)
    })
}

fn begin(
    cx: &Context,
    id: ConsentId,
    acting_user: &ActingUser,
    owner: Owner,
    provider: &str,
    options: ConsentOptions,
    secrets: FlowSecrets,
) -> Result<Consent> {
    let tenant = acting_user.tenant();
    let service = &cx.service(tenant, provider)?;
    let (added, consent) = pending(cx, service, id, acting_user, owner, options, &secrets)?;
    let authorization_url = authorization_url(cx, service, &added, &consent, &secrets)?;
    let verifier = verifier(service, &secrets);
    cx.vault.insert_consent(&consent, verifier)?;
    cx.emit(
        tenant,
        Some(acting_user.user()),
        &consent.provider,
        consent.purpose.target(),
        EventKind::ConsentStarted,
    );
    Ok(started(consent, authorization_url, secrets))
}

/// Returns the record of a new consent, and the parameters that its services add to the
/// authorization request.
pub(super) fn pending(
    cx: &Context,
    service: &Service,
    id: ConsentId,
    acting_user: &ActingUser,
    owner: Owner,
    options: ConsentOptions,
    secrets: &FlowSecrets,
) -> Result<(AddedParameters, PendingConsent)> {
    let tenant = acting_user.tenant();
    let (purpose, target) = purpose(cx, tenant, &owner, &service.provider.id, &options)?;
    let parameters = parameters(cx, service, options.parameters.clone(), target.as_ref())?;
    let endpoints = service.endpoints(&parameters)?;
    let asked = scopes::asked(cx, service, &options, target.as_ref(), &parameters)?;

    let now = cx.now();
    let mut consent = PendingConsent {
        binding: StateHash::of_binding(&secrets.binding),
        issuer: service.server.issuer.clone(),
        token_endpoint: endpoints.token.to_string(),
        client_id: service.client.client_id().to_owned(),
        redirect_uri: redirect_uri(service, options.loopback_port)?,
        scopes: asked.scopes,
        services: asked.services,
        parameters,
        purpose,
        expires_at: now + cx.settings.consent_lifetime,
        ..PendingConsent::new(
            id,
            StateHash::of(&secrets.state),
            acting_user,
            owner,
            service.provider.id.clone(),
            service.server.id.clone(),
            now,
        )
    };
    options.keep_in(&mut consent);
    Ok((asked.added, consent))
}

/// Returns a started flow that is still pending, to be continued in any browser of its user.
pub(crate) fn resume(cx: &Context, flow: PendingConsent, secrets: FlowSecrets) -> Result<Consent> {
    let service = &cx.service(&flow.tenant, flow.provider.as_str())?;
    let options = ConsentOptions::of(&flow);
    let (_, target) = purpose(cx, &flow.tenant, &flow.owner, &flow.provider, &options)?;
    let asked = scopes::asked(cx, service, &options, target.as_ref(), &flow.parameters)?;
    let authorization_url = authorization_url(cx, service, &asked.added, &flow, &secrets)?;
    Ok(started(flow, authorization_url, secrets))
}

/// Returns the scopes of the consent and the connection it is for, if one is named by id or by a
/// label in use.
pub(crate) fn purpose(
    cx: &Context,
    tenant: &TenantId,
    owner: &Owner,
    provider: &ProviderId,
    options: &ConsentOptions,
) -> Result<(Purpose, Option<Connection>)> {
    if let Some(reconnect) = options.reconnect {
        let target = cx
            .vault
            .connection(tenant, reconnect.id())?
            .filter(|target| target.owner == *owner)
            .filter(|target| match reconnect {
                Reconnect::Extend(_) => target.status != Status::Revoked,
                Reconnect::SameAccount(_) | Reconnect::AnyAccount(_) => target.provider == *provider,
            })
            .ok_or(Error::NotFound)?;
        let purpose = match reconnect {
            Reconnect::Extend(id) => Purpose::Extend(id),
            Reconnect::SameAccount(id) => Purpose::Reconnect(id),
            Reconnect::AnyAccount(id) => Purpose::SwitchAccount(id),
        };
        return Ok((purpose, Some(target)));
    }
    match &options.label {
        None => Ok((Purpose::Connect, None)),
        Some(label) => match labelled(cx, tenant, owner, provider, label)? {
            None => Ok((Purpose::Connect, None)),
            Some(target) => Ok((Purpose::Reconnect(target.id), Some(target))),
        },
    }
}

/// Returns the values of the placeholders: those of the host, else those of the connection, else
/// the defaults. They must lead to an instance for which the client is registered.
pub(crate) fn parameters(
    cx: &Context,
    service: &Service,
    mut given: Parameters,
    target: Option<&Connection>,
) -> Result<Parameters> {
    let mut all = given.clone();
    for (name, value) in target.iter().flat_map(|target| &target.parameters) {
        // The connection already has the value, obtained as its rule requires.
        given.retain(|other, same| (other, &*same) != (name, value));
        all.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let parameters = service
        .server
        .complete_parameters(&all, cx.registry.transport())?;
    service.check_instance(&parameters, &given)?;
    Ok(parameters)
}

fn labelled(
    cx: &Context,
    tenant: &TenantId,
    owner: &Owner,
    provider: &ProviderId,
    label: &Label,
) -> Result<Option<Connection>> {
    let mut query = ConnectionQuery::of(tenant);
    query.owner = Some(owner);
    query.provider = Some(provider);
    Ok(cx
        .vault
        .connections(&query)?
        .into_iter()
        .find(|known| known.label.as_ref() == Some(label)))
}

/// Returns the redirect URI of a flow: the registered one, with this port if given.
pub(crate) fn redirect_uri(service: &Service, loopback_port: Option<u16>) -> Result<String> {
    let registered = service.client.redirect_uri();
    match loopback_port {
        None => Ok(registered.to_owned()),
        Some(port) => with_loopback_port(registered, port)
            .ok_or_else(|| Misconfigured::NoLoopbackRedirect(service.server.id.clone()).into()),
    }
}

/// Returns the PKCE verifier of a flow, if the server supports PKCE.
fn verifier<'a>(service: &Service, secrets: &'a FlowSecrets) -> Option<&'a PkceVerifier> {
    match service.server.pkce {
        Pkce::S256 => Some(&secrets.verifier),
        Pkce::Refused => None,
    }
}

/// Builds the authorization request of a flow. The same flow and secrets produce the same request.
///
/// If the server takes pushed requests, this sends the request there, and the URL only refers to
/// it.
fn authorization_url(
    cx: &Context,
    service: &Service,
    added: &AddedParameters,
    flow: &PendingConsent,
    secrets: &FlowSecrets,
) -> Result<AuthorizationUrl> {
    let endpoints = service.endpoints(&flow.parameters)?;
    let url = AuthorizationRequest {
        server: &service.server,
        added,
        parameters: &flow.parameters,
        endpoint: &endpoints.authorization,
        client_id: &flow.client_id,
        redirect_uri: &flow.redirect_uri,
        scopes: &flow.scopes,
        state: &secrets.state,
        verifier: verifier(service, secrets),
        hints: &flow.request.hints,
    }
    .url();
    match &endpoints.pushed {
        None => Ok(AuthorizationUrl(url)),
        Some(endpoint) => pushed(cx, service, flow, (&endpoints, endpoint), &url),
    }
}

/// Pushes an authorization request ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)). Each call
/// sends it again, because a reference can be used once.
fn pushed(
    cx: &Context,
    service: &Service,
    flow: &PendingConsent,
    (endpoints, endpoint): (&Endpoints, &Url),
    url: &Url,
) -> Result<AuthorizationUrl> {
    let client = TokenClient {
        server: &service.server,
        registration: &service.client,
        parameters: &flow.parameters,
        now: cx.now(),
    };
    let failed = |failure: TokenFailure| {
        let wait = failure.retry_after.unwrap_or_default();
        outlook::failed(&service.server.id, failure.code, wait)
            .of_provider(|| NamedProvider::of(&service.provider))
    };
    let mut request = client
        .pushed_request(endpoint, url)
        .map_err(|_| failed(TokenFailure::new(FailureCode::RequestRejected)))?;
    request.timeout = cx.settings.token_timeout();
    let request = service.server.bounded(request);
    let response = cx.http.send(request).map_err(|error| failed(error.into()))?;
    pushed_url(
        &service.server,
        &response,
        &endpoints.authorization,
        &flow.client_id,
    )
    .map(AuthorizationUrl)
    .map_err(failed)
}

fn started(flow: PendingConsent, authorization_url: AuthorizationUrl, secrets: FlowSecrets) -> Consent {
    Consent {
        id: flow.id,
        provider: flow.provider,
        authorization_url,
        state: secrets.state,
        binding: secrets.binding,
        scopes: flow.scopes,
        expires_at: flow.expires_at,
    }
}
