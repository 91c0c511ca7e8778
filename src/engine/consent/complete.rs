//! The second half of a consent: validates the callback, exchanges the code and stores the result.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::Context;
use crate::engine::additions;
use crate::engine::consent::account;
use crate::engine::consent::link;
use crate::engine::consent::record;
use crate::engine::consent::record::Issued;
use crate::engine::context::Service;
use crate::engine::outlook;
use crate::error::{ConsentError, Error, Misconfigured, NamedProvider, Result};
use crate::http::HttpResponse;
use crate::model::{
    Account, ActingUser, Connection, EventKind, FailureCode, Parameters, ProviderId, Timestamp,
};
use crate::protocol::{
    AuthorizationResponse, Outcome, Revocable, TokenClient, TokenFailure, account_request, check_issuer,
    discovery_choices, parse_discovery, parse_token_response, revocation_requests, value_in_answer,
};
use crate::provider::compiled::{Endpoints, UnfitParameter};
use crate::provider::{Discovery, InvalidParameter, ParameterProblem, Revocation, ServerDescriptor};
use crate::secret::{AccessToken, AuthorizationCode, Binding, PkceVerifier, State};
use crate::trace;
use crate::vault::{ConnectionQuery, ConsentStatus, PendingConsent, StateHash, Taken};

/// The destination of a consent's authorization code.
struct Route {
    service: Service,
    /// The values of placeholders taken from the callback.
    brought: Parameters,
}

pub(crate) fn complete(
    cx: &Context,
    acting_user: &ActingUser,
    response: AuthorizationResponse,
    binding: &Binding,
) -> Result<Connection> {
    let consent = open_consent(cx, acting_user, &response, binding)?;
    trace::provider(&consent.provider);
    let server = cx.service(&consent.tenant, consent.provider.as_str())?.server;
    let response = response.with_code_of(&server)?;
    route(cx, &consent, &response)?;

    // Nothing before this line consumes the consent: a forged callback must not invalidate the real
    // one. Nothing after it can use the consent twice: a code is sent at most once. The ticket is
    // consumed first: after a crash in between, the callback can arrive again, whereas a remaining
    // ticket would open another flow.
    link::spend_ticket(cx, &consent)?;
    let taken = cx.vault.take_consent(&consent.tenant, &consent.state, cx.now())?;
    // From here on, use only the record that was taken: it is authenticated as a whole.
    let Taken::Consent(mut consent, verifier) = taken else {
        return Err(ConsentError::Used(consent.id).into());
    };
    let completed = redeem(cx, &mut consent, response, verifier.as_ref());
    if let Err(error) = &completed {
        close(cx, &consent, error);
    }
    completed
}

/// Checks that the response comes from the server that was asked, and that the code goes to the
/// intended endpoint.
fn route(cx: &Context, consent: &PendingConsent, response: &AuthorizationResponse) -> Result<Route> {
    let service = cx.service(&consent.tenant, consent.provider.as_str())?;
    if check_issuer(service.server.issuer_policy, consent.issuer.as_deref(), response).is_err() {
        return Err(ConsentError::IssuerMismatch.into());
    }
    let endpoints = service.endpoints(&consent.parameters)?;
    if endpoints.token.as_str() != consent.token_endpoint || service.client.client_id() != consent.client_id {
        return Err(Misconfigured::IssuerChanged(service.server.id.clone()).into());
    }
    // The callback may only select one of the endpoints that the descriptor lists.
    let brought = service
        .server
        .captured_from_callback(|name| response.other(name), cx.registry.transport())?;
    Ok(Route { service, brought })
}

/// Processes the response to a consent that was taken.
fn redeem(
    cx: &Context,
    consent: &mut PendingConsent,
    response: AuthorizationResponse,
    verifier: Option<&PkceVerifier>,
) -> Result<Connection> {
    let Route { service, brought } = route(cx, consent, &response)?;
    consent.parameters.extend(brought);
    let endpoints = service.endpoints(&consent.parameters)?;
    let (state, outcome) = response.into_state_and_outcome();
    match outcome {
        Outcome::Error(error) => Err(ConsentError::Denied(error).into()),
        Outcome::Code(code) => exchange(cx, consent, &service, &endpoints, &code, verifier, &state),
    }
}

/// Finds the consent and checks that it is open and belongs to this user and browser.
fn open_consent(
    cx: &Context,
    acting_user: &ActingUser,
    response: &AuthorizationResponse,
    binding: &Binding,
) -> Result<PendingConsent> {
    let state = StateHash::of(response.state());
    let consent = cx
        .vault
        .consent(acting_user.tenant(), &state)?
        .ok_or(ConsentError::Unknown)?;
    if consent.user != *acting_user.user() {
        return Err(ConsentError::WrongUser.into());
    }
    // Both sides are hashes of 256 random bits, so the timing of the comparison reveals nothing
    // useful.
    if consent.binding != StateHash::of_binding(binding) {
        return Err(ConsentError::WrongBrowser.into());
    }
    if consent.status != ConsentStatus::Pending {
        return Err(ConsentError::Used(consent.id).into());
    }
    if consent.expires_at <= cx.now() {
        return Err(ConsentError::Expired.into());
    }
    Ok(consent)
}

/// Records how a taken consent failed. The original error matters more than a failure to record it.
pub(super) fn close(cx: &Context, consent: &PendingConsent, error: &Error) {
    let (status, kind) = match error {
        Error::Consent(ConsentError::Denied(_)) => (ConsentStatus::Denied, EventKind::ConsentDenied),
        _ => (ConsentStatus::Failed, EventKind::ConsentFailed),
    };
    let _ = cx
        .vault
        .close_consent(&consent.tenant, &consent.state, status, cx.now());
    cx.emit(
        &consent.tenant,
        Some(&consent.user),
        &consent.provider,
        consent.purpose.target(),
        kind,
    );
}

fn exchange(
    cx: &Context,
    consent: &mut PendingConsent,
    service: &Service,
    endpoints: &Endpoints,
    code: &AuthorizationCode,
    verifier: Option<&PkceVerifier>,
    state: &State,
) -> Result<Connection> {
    let client = TokenClient {
        server: &service.server,
        registration: &service.client,
        parameters: &consent.parameters,
        now: cx.now(),
    };
    let mut request = client
        .code_request(
            &endpoints.token,
            code,
            &consent.redirect_uri,
            verifier,
            Some(state),
        )
        .map_err(|_| ConsentError::ExchangeFailed(FailureCode::RequestRejected))?;
    request.timeout = cx.settings.token_timeout();
    let request = service.server.bounded(request);

    // The lifetime starts before the request: a slow response must not extend it.
    let sent_at = cx.now();
    let response = cx
        .http
        .send(request)
        .map_err(|error| exchange_error(&service.server, &TokenFailure::from(error)))?;
    store(cx, consent, service, &response, sent_at)
}

/// Reads the tokens in a response, finds out whose they are, and stores them. `sent_at` is the time
/// of the request.
pub(super) fn store(
    cx: &Context,
    consent: &mut PendingConsent,
    service: &Service,
    response: &HttpResponse,
    sent_at: Timestamp,
) -> Result<Connection> {
    let answer = match parse_token_response(&service.server, response) {
        Ok(answer) => answer,
        Err(failure) if is_forgotten(cx, service, &failure)? => {
            // The next consent registers another client.
            return Err(ConsentError::ExchangeFailed(failure.code).into());
        }
        Err(failure) => return Err(exchange_error(&service.server, &failure)),
    };
    let accounts = capture(cx, consent, service, response, &answer.access_token)
        .and_then(|()| account::accounts(cx, consent, service, response, &answer));
    let accounts = match accounts {
        Ok(accounts) => accounts,
        Err(error) => {
            give_back(cx, consent, service, answer.tokens(), &BTreeMap::new());
            return Err(error);
        }
    };
    let mut issued = Issued::new(consent, service, answer, accounts, sent_at)?;
    let connections = match record::store(cx, consent, service, &mut issued) {
        Ok(connections) => connections,
        Err(error) => {
            // The vault may have stored them all even though it returned an error.
            if !matches!(error, Error::Vault(_)) {
                give_back(cx, consent, service, issued.own_tokens(), issued.accounts());
            }
            return Err(error);
        }
    };
    announce(cx, consent, &connections);
    connections.into_iter().next().ok_or(Error::NotFound)
}

fn announce(cx: &Context, consent: &PendingConsent, connections: &[Connection]) {
    for connection in connections {
        let emit = |kind| {
            let (user, id) = (Some(&consent.user), Some(connection.id));
            cx.emit(&consent.tenant, user, &connection.provider, id, kind);
        };
        emit(EventKind::ConsentCompleted);
        if !connection.is_account_verified() {
            emit(EventKind::AccountNotVerified);
        }
    }
}

/// Records the values of this connection from the response or a later query.
fn capture(
    cx: &Context,
    consent: &mut PendingConsent,
    service: &Service,
    response: &HttpResponse,
    access_token: &AccessToken,
) -> Result<()> {
    let brought = service.server.captured_from_answer(
        |pointer| value_in_answer(response, pointer),
        cx.registry.transport(),
    )?;
    consent.parameters.extend(brought);
    // A value from the response may determine the host that is queried next.
    service.check_instance(&consent.parameters, &Parameters::new())?;
    discover(cx, consent, service, access_token)?;
    service.check_instance(&consent.parameters, &Parameters::new())?;
    Ok(service.server.check_captured(&consent.parameters)?)
}

/// Revokes tokens that will not be stored, unless that would revoke a stored grant as well.
fn give_back(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    tokens: Revocable<'_>,
    accounts: &BTreeMap<ProviderId, Account>,
) {
    if !can_give_back(cx, consent, service, accounts) {
        return;
    }
    let endpoints = service.endpoints(&consent.parameters);
    let endpoint = endpoints.ok().and_then(|them| them.revocation);
    let requests = revocation_requests(
        &service.server,
        &service.client,
        endpoint.as_ref(),
        tokens,
        cx.now(),
    );
    for mut request in requests.unwrap_or_default() {
        request.timeout = cx.settings.http_timeout;
        let _ = cx.http.send(service.server.bounded(request));
    }
}

/// Returns true if the tokens do not belong to the grant of any connection. Some servers put all
/// consents of an account into one grant; revoking these tokens would then end an existing
/// connection.
fn can_give_back(
    cx: &Context,
    consent: &PendingConsent,
    service: &Service,
    accounts: &BTreeMap<ProviderId, Account>,
) -> bool {
    let server = &service.server;
    if server.separate_grants {
        return true;
    }
    if matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. }) {
        return false;
    }
    let mut query = ConnectionQuery::of(&consent.tenant);
    query.owner = Some(&consent.owner);
    let Ok(known) = cx.vault.connections(&query) else {
        return false;
    };
    known.iter().all(|it| {
        let other_account = match (&it.account, accounts.get(&it.provider)) {
            (Some(its), Some(chosen)) => its.id != chosen.id,
            _ => false,
        };
        it.issued_by.server != server.id || other_account
    })
}

/// Asks which of the user's sites the connection is for, if the descriptor defines how.
fn discover(
    cx: &Context,
    consent: &mut PendingConsent,
    service: &Service,
    access_token: &AccessToken,
) -> Result<()> {
    let Some(discovery) = &service.provider.discovery else {
        return Ok(());
    };
    let rejected = |_| ConsentError::ExchangeFailed(FailureCode::RequestRejected);
    let Some(template) = service.provider.discovery_template() else {
        return Ok(());
    };
    // Use the values of this consent, not of an earlier one.
    let url = template
        .expand(&consent.parameters)
        .map_err(|unfilled| InvalidParameter {
            name: UnfitParameter::from(unfilled).name,
            problem: ParameterProblem::Malformed,
        })?;
    let mut request = account_request(&service.provider, &url, access_token).map_err(rejected)?;
    service.add_to_request(&consent.parameters, &mut request);
    request.timeout = cx.settings.http_timeout;
    let response = cx
        .http
        .send(request)
        .map_err(|error| exchange_error(&service.server, &TokenFailure::from(error)))?;
    let found = parse_discovery(
        discovery,
        &service.server,
        &consent.parameters,
        &response,
        cx.registry.transport(),
    );
    match found {
        Ok(found) => {
            consent.parameters.extend(found);
            Ok(())
        }
        Err(error) if error.problem == ParameterProblem::Several => {
            Err(choice(cx, service, discovery, &response).unwrap_or_else(|| error.into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// The maximum number of choices. A user with more sites must name the value when the consent
/// starts.
const MOST_CHOICES: usize = 50;

/// Returns the choices among the discovered entries, if a parameter can distinguish them.
fn choice(cx: &Context, service: &Service, discovery: &Discovery, response: &HttpResponse) -> Option<Error> {
    let choices = discovery_choices(
        discovery,
        &service.server,
        response,
        cx.registry.transport(),
        MOST_CHOICES,
    );
    let parameter = discovery.pick.as_ref()?.parameter.clone();
    (choices.len() > 1).then(|| Error::ChoiceRequired {
        provider: NamedProvider::of(&service.provider),
        parameter,
        choices,
    })
}

/// Returns whether the server has forgotten a client that registered itself. The registration is
/// then discarded.
fn is_forgotten(cx: &Context, service: &Service, failure: &TokenFailure) -> Result<bool> {
    if failure.code != FailureCode::ClientRejected {
        return Ok(false);
    }
    let (server, client_id) = (service.server.id.as_str(), service.client.client_id());
    additions::discard_client(cx, &service.tenant, server, client_id)
}

pub(super) fn exchange_error(server: &ServerDescriptor, failure: &TokenFailure) -> Error {
    if failure.code.needs_administrator() {
        outlook::failed(&server.id, failure.code, Duration::ZERO)
    } else {
        ConsentError::ExchangeFailed(failure.code).into()
    }
}
