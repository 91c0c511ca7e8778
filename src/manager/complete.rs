//! The second half of a consent: who came back, with what, and what becomes of it.

use std::collections::BTreeMap;

use crate::error::{ConsentError, Error, Misconfigured, Result};
use crate::http::HttpResponse;
use crate::manager::Inner;
use crate::manager::connections::Service;
use crate::manager::grant::Issued;
use crate::model::{Account, ActingUser, Connection, EventKind, FailureCode, Parameters, ProviderId};
use crate::protocol::{
    AuthorizationResponse, Outcome, Revocable, TokenClient, TokenFailure, TokenResponse, account_in_answer,
    account_request, check_issuer, parse_account, parse_discovery, parse_token_response, revocation_requests,
    value_in_answer,
};
use crate::provider::{Endpoints, Provider, Revocation, Template};
use crate::secret::{AccessToken, AuthorizationCode, Binding, PkceVerifier, State};
use crate::trace;
use crate::vault::{ConsentStatus, PendingConsent, Purpose, StateHash};

impl Inner {
    pub(crate) fn complete(
        &self,
        acting_user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection> {
        let consent = self.open_consent(acting_user, &response, binding)?;
        trace::provider(&consent.provider);
        let service = self.service(consent.provider.as_str())?;
        let response = response.with_code_of(service.server)?;
        if check_issuer(service.server.issuer_policy, consent.issuer.as_deref(), &response).is_err() {
            return Err(ConsentError::IssuerMismatch.into());
        }
        let endpoints = service.server.endpoints(&consent.parameters)?;
        if endpoints.token.as_str() != consent.token_endpoint
            || service.client.client_id() != consent.client_id
        {
            return Err(Misconfigured::IssuerChanged(service.server.id.clone()).into());
        }

        // What the callback brings may choose among the endpoints that the descriptor lists, and nothing else.
        let brought = service
            .server
            .captured_from_callback(|name| response.other(name), self.transport)?;
        let mut consent = consent;
        consent.parameters.extend(brought);
        let endpoints = service.server.endpoints(&consent.parameters)?;

        // Nothing before this line uses the consent up: a forged callback must not close the genuine one's door.
        // Nothing after it can use it twice: a code is sent at most once.
        let taken = self
            .vault
            .take_consent(&consent.tenant, &consent.state, self.now())?;
        let verifier = taken.ok_or(ConsentError::Used)?;

        let (state, outcome) = response.into_state_and_outcome();
        let completed = match outcome {
            Outcome::Error(error) => Err(ConsentError::Denied(error).into()),
            Outcome::Code(code) => self.exchange(
                &mut consent,
                service,
                &endpoints,
                &code,
                verifier.as_ref(),
                &state,
            ),
        };
        if let Err(error) = &completed {
            self.close(&consent, error);
        }
        completed
    }

    /// Finds the consent and checks that it is still open, for this person, in this browser.
    fn open_consent(
        &self,
        acting_user: &ActingUser,
        response: &AuthorizationResponse,
        binding: &Binding,
    ) -> Result<PendingConsent> {
        let state = StateHash::of(response.state());
        let consent = self
            .vault
            .consent(acting_user.tenant(), &state)?
            .ok_or(ConsentError::Unknown)?;
        if consent.user != *acting_user.user() {
            return Err(ConsentError::WrongUser.into());
        }
        // Both sides are hashes of 256 random bits: how long the comparison takes says nothing of use.
        if consent.binding != StateHash::of_binding(binding) {
            return Err(ConsentError::WrongBrowser.into());
        }
        if consent.status != ConsentStatus::Pending {
            return Err(ConsentError::Used.into());
        }
        if consent.expires_at <= self.now() {
            return Err(ConsentError::Expired.into());
        }
        Ok(consent)
    }

    /// Records how a consent that was taken has failed. The error in hand is worth more than a failure to record it.
    fn close(&self, consent: &PendingConsent, error: &Error) {
        let (status, kind) = match error {
            Error::Consent(ConsentError::Denied(_)) => (ConsentStatus::Denied, EventKind::ConsentDenied),
            _ => (ConsentStatus::Failed, EventKind::ConsentFailed),
        };
        let _ = self.vault.close_consent(&consent.tenant, &consent.state, status);
        self.emit(
            &consent.tenant,
            Some(&consent.user),
            &consent.provider,
            consent.purpose.target(),
            kind,
        );
    }

    fn exchange(
        &self,
        consent: &mut PendingConsent,
        service: Service<'_>,
        endpoints: &Endpoints,
        code: &AuthorizationCode,
        verifier: Option<&PkceVerifier>,
        state: &State,
    ) -> Result<Connection> {
        let server = service.server.for_connection(&consent.parameters);
        let client = TokenClient {
            server: &server,
            registration: service.client,
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
        request.timeout = self.settings.token_timeout();

        // The lifetime counts from before the request: an answer that took long must not lengthen it.
        let sent_at = self.now();
        let response = self
            .http
            .send(request)
            .map_err(|error| exchange_error(service, &TokenFailure::from(error)))?;
        let answer = parse_token_response(service.server, &response)
            .map_err(|failure| exchange_error(service, &failure))?;
        if let Err(error) = self.capture(consent, service, &response, &answer.access_token) {
            self.give_back(service, &consent.parameters, answer);
            return Err(error);
        }
        let accounts = self.accounts(consent, service, &response, &answer.access_token)?;
        let issued = Issued::new(consent, service, endpoints, answer, accounts, sent_at);
        let connections = self.store(consent, service, issued)?;
        for connection in &connections {
            self.emit(
                &consent.tenant,
                Some(&consent.user),
                &connection.provider,
                Some(connection.id),
                EventKind::ConsentCompleted,
            );
        }
        connections.into_iter().next().ok_or(Error::NotFound)
    }

    /// Whose account it is, as each service tells that has a part in the consent. Those that ask at the same place are
    /// asked once.
    fn accounts(
        &self,
        consent: &PendingConsent,
        service: Service<'_>,
        response: &HttpResponse,
        access_token: &AccessToken,
    ) -> Result<BTreeMap<ProviderId, Account>> {
        let target = match consent.purpose {
            Purpose::Extend(id) => self.vault.connection(&consent.tenant, id)?,
            _ => None,
        };
        let target = target.map(|target| target.provider);
        let mut accounts = BTreeMap::new();
        let mut asked: Vec<(&Provider, Option<Account>)> = Vec::new();
        let others = consent.services.keys().chain(&target);
        for provider in [&consent.provider].into_iter().chain(others) {
            let Ok(service) = self.service(provider.as_str()).map(|other| Service {
                provider: other.provider,
                ..service
            }) else {
                continue;
            };
            let alike = asked.iter().find(|(other, _)| {
                other.account == service.provider.account
                    && other.account_in_answer == service.provider.account_in_answer
            });
            let account = match alike {
                Some((_, account)) => account.clone(),
                None => {
                    let told = service.provider.account_in_answer.as_ref();
                    let account = told
                        .and_then(|pointers| account_in_answer(pointers, response))
                        .or_else(|| self.account(consent, service, access_token));
                    asked.push((service.provider, account.clone()));
                    account
                }
            };
            accounts.extend(account.map(|account| (provider.clone(), account)));
        }
        Ok(accounts)
    }

    /// Keeps what the answer, or a question after it, says of this connection's values.
    fn capture(
        &self,
        consent: &mut PendingConsent,
        service: Service<'_>,
        response: &HttpResponse,
        access_token: &AccessToken,
    ) -> Result<()> {
        let brought = service
            .server
            .captured_from_answer(|pointer| value_in_answer(response, pointer), self.transport)?;
        consent.parameters.extend(brought);
        self.discover(consent, service, access_token)?;
        Ok(service.server.check_captured(&consent.parameters)?)
    }

    /// Revokes tokens that will not be stored, once and as well as it goes; not where others would end with them.
    fn give_back(&self, service: Service<'_>, parameters: &Parameters, answer: TokenResponse) {
        if matches!(
            service.server.revocation,
            Revocation::Endpoint { grant_wide: true, .. }
        ) {
            return;
        }
        let tokens = Revocable {
            access_token: Some(&answer.access_token),
            refresh_token: answer.refresh_token.as_ref(),
        };
        let endpoint = service
            .server
            .endpoints(parameters)
            .ok()
            .and_then(|them| them.revocation);
        let requests = revocation_requests(service.server, service.client, endpoint.as_ref(), tokens);
        for mut request in requests.unwrap_or_default() {
            request.timeout = self.settings.http_timeout;
            let _ = self.http.send(request);
        }
    }

    /// Asks which of the person's sites the connection is for, where the descriptor says how.
    fn discover(
        &self,
        consent: &mut PendingConsent,
        service: Service<'_>,
        access_token: &AccessToken,
    ) -> Result<()> {
        let Some(discovery) = &service.provider.discovery else {
            return Ok(());
        };
        let rejected = |_| ConsentError::ExchangeFailed(FailureCode::RequestRejected);
        let url = Template::parse(&discovery.url)?.expand(&consent.parameters)?;
        let mut request = account_request(service.provider, &url, access_token).map_err(rejected)?;
        service.add_to_request(&consent.parameters, &mut request);
        request.timeout = self.settings.http_timeout;
        let response = self
            .http
            .send(request)
            .map_err(|error| exchange_error(service, &TokenFailure::from(error)))?;
        let found = parse_discovery(
            discovery,
            service.server,
            &consent.parameters,
            &response,
            self.transport,
        )?;
        consent.parameters.extend(found);
        Ok(())
    }

    /// Asks whose account it is. A provider that does not say, or not now, is no reason to lose the tokens.
    pub(crate) fn account(
        &self,
        consent: &PendingConsent,
        service: Service<'_>,
        access_token: &AccessToken,
    ) -> Option<Account> {
        let endpoint = service.provider.account.as_ref()?;
        let url = service.provider.account_url(&consent.parameters)?;
        let mut request = account_request(service.provider, &url, access_token).ok()?;
        service.add_to_request(&consent.parameters, &mut request);
        request.timeout = self.settings.http_timeout;
        let response = self.http.send(request).ok()?;
        parse_account(endpoint, &response)
    }
}

fn exchange_error(service: Service<'_>, failure: &TokenFailure) -> Error {
    use crate::model::FailureCode::{ClientRejected, Redirected, RequestRejected};
    let server = service.server.id.clone();
    match failure.code {
        ClientRejected => Misconfigured::ClientRejected(server).into(),
        RequestRejected | Redirected => Misconfigured::RequestRejected {
            server,
            failure: failure.code,
        }
        .into(),
        code => ConsentError::ExchangeFailed(code).into(),
    }
}
