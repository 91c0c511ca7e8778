//! Connections by an identity of the user's organization: the identity provider decides in place of
//! a consent page.

use crate::engine::Context;
use crate::engine::consent::complete::{close, exchange_error, store};
use crate::engine::consent::flow::FlowSecrets;
use crate::engine::consent::options::ConsentOptions;
use crate::engine::consent::start::pending;
use crate::engine::context::Service;
use crate::error::{ConsentError, Misconfigured, Result};
use crate::http::{HttpRequest, HttpResponse};
use crate::model::{ActingUser, Connection, ConsentId, FailureCode, Owner, Parameters, ServerId};
use crate::protocol::{Target, TokenClient, TokenFailure, parse_identity};
use crate::provider::compiled::{Client, CompiledServer};
use crate::secret::IdentityAssertion;
use crate::vault::{PendingConsent, Taken};

/// The identity provider and the host's client there.
struct IdentityProvider<'a> {
    server: &'a CompiledServer,
    client: Client,
}

pub(crate) fn connect(
    cx: &Context,
    acting_user: &ActingUser,
    provider: &str,
    (identity_provider, id_token): (&str, &str),
    options: ConsentOptions,
) -> Result<Connection> {
    let tenant = acting_user.tenant();
    let idp = identity_provider_of(cx, acting_user, identity_provider)?;
    let service = cx.service(tenant, provider)?;
    let owner = Owner::Personal(acting_user.user().clone());
    let id = ConsentId::generate(cx.now())?;
    let secrets = FlowSecrets::random()?;
    let (_, consent) = pending(cx, &service, id, acting_user, owner, options, &secrets)?;
    // The consent request is stored and taken at once. It is the record of this connection's origin
    // in the audit, and no callback can complete it.
    cx.vault.insert_consent(&consent, None)?;
    let taken = cx.vault.take_consent(tenant, &consent.state, cx.now())?;
    let Taken::Consent(mut consent, _) = taken else {
        return Err(ConsentError::Used(consent.id).into());
    };
    let connected = redeem(cx, &mut consent, &service, &idp, id_token);
    if let Err(error) = &connected {
        close(cx, &consent, error);
    }
    connected
}

fn identity_provider_of<'a>(
    cx: &'a Context,
    acting_user: &ActingUser,
    id: &str,
) -> Result<IdentityProvider<'a>> {
    let Some(server) = cx.registry.server(id) else {
        return Err(Misconfigured::UnknownServer(ServerId::new(id)?).into());
    };
    Ok(IdentityProvider {
        server,
        client: cx.client(acting_user.tenant(), server)?,
    })
}

/// Exchanges the identity for an assertion, and the assertion for a token, which is stored like
/// that of any other consent.
fn redeem(
    cx: &Context,
    consent: &mut PendingConsent,
    service: &Service,
    idp: &IdentityProvider<'_>,
    id_token: &str,
) -> Result<Connection> {
    let assertion = assertion(cx, consent, service, idp, id_token)?;
    let client = TokenClient {
        server: &service.server,
        registration: &service.client,
        parameters: &consent.parameters,
        now: cx.now(),
    };
    let endpoint = service.endpoints(&consent.parameters)?.token;
    let request = client
        .assertion_request(&endpoint, &assertion, &consent.scopes)
        .map_err(|_| ConsentError::ExchangeFailed(FailureCode::RequestRejected))?;
    let sent_at = cx.now();
    let response = send(cx, request).map_err(|failure| exchange_error(&service.server, &failure))?;
    store(cx, consent, service, &response, sent_at)
}

/// Returns the assertion that the identity provider issues for the service's authorization server.
fn assertion(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    idp: &IdentityProvider<'_>,
    id_token: &str,
) -> Result<IdentityAssertion> {
    let issuer = service.server.issuer.as_deref();
    let issuer = issuer.ok_or_else(|| unusable(&service.server))?;
    let none = Parameters::new();
    let parameters = idp.server.complete_parameters(&none, cx.registry.transport())?;
    let checked = idp.server.check(&parameters);
    let endpoint = checked.map_err(|_| unusable(idp.server))?.endpoints().token;
    let client = TokenClient {
        server: idp.server,
        registration: &idp.client,
        parameters: &parameters,
        now: cx.now(),
    };
    let target = Target {
        issuer,
        resources: &service.server.resources,
        scopes: &consent.scopes.join(&service.server.scope_separator),
    };
    let failed = |failure: TokenFailure| exchange_error(idp.server, &failure);
    let request = client
        .identity_request(&endpoint, id_token, target)
        .map_err(|_| failed(TokenFailure::new(FailureCode::RequestRejected)))?;
    let response = send(cx, request).map_err(failed)?;
    parse_identity(idp.server, &response).map_err(failed)
}

fn send(cx: &Context, mut request: HttpRequest) -> Result<HttpResponse, TokenFailure> {
    request.timeout = cx.settings.token_timeout();
    cx.http.send(request).map_err(TokenFailure::from)
}

/// Returns the error for a server whose descriptor lacks what this grant needs.
fn unusable(server: &CompiledServer) -> Misconfigured {
    Misconfigured::RequestRejected {
        server: server.id.clone(),
        failure: FailureCode::Misconfigured,
    }
}
