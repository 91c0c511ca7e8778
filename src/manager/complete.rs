//! The second half of a consent: who came back, with what, and what becomes of it.

use crate::error::{ConsentError, Error, Misconfigured, Result};
use crate::http::HttpResponse;
use crate::manager::Inner;
use crate::manager::connections::Service;
use crate::model::{
    Account, ActingUser, Connection, ConnectionId, EventKind, FailureCode, IssuedBy, Parameters,
    RefreshState, Scopes, Status, Timestamp,
};
use crate::protocol::{
    AuthorizationResponse, Outcome, Revocable, TokenClient, TokenFailure, TokenResponse, account_in_answer,
    account_request, check_issuer, granted_scopes, parse_account, parse_discovery, parse_token_response,
    revocation_requests, value_in_answer,
};
use crate::provider::{Endpoints, Revocation, Template};
use crate::secret::{AccessToken, AuthorizationCode, Binding, PkceVerifier, State};
use crate::trace;
use crate::vault::{
    ConnectionQuery, ConsentStatus, Grant, PendingConsent, Purpose, StateHash, StoreOutcome, Tokens,
};

/// How often a grant is put together anew when another writer was faster.
const STORE_ATTEMPTS: usize = 4;

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
        let told = service.provider.account_in_answer.as_ref();
        let account = told
            .and_then(|pointers| account_in_answer(pointers, &response))
            .or_else(|| self.account(consent, service, &answer.access_token));
        let issued = Issued::new(consent, service, endpoints, answer, account, sent_at);
        let connection = self.store(consent, &issued)?;
        self.emit(
            &consent.tenant,
            Some(&consent.user),
            &consent.provider,
            Some(connection.id),
            EventKind::ConsentCompleted,
        );
        Ok(connection)
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
        request.timeout = self.settings.http_timeout;
        let response = self.http.send(request).ok()?;
        parse_account(endpoint, &response)
    }

    /// Stores the grant: as a new connection, or as the next generation of the one that it renews.
    fn store(&self, consent: &PendingConsent, issued: &Issued) -> Result<Connection> {
        for _ in 0..STORE_ATTEMPTS {
            let connection = match self.target(consent, issued.account.as_ref())? {
                Some(target) => issued.renew(consent, target),
                None => issued.connect(consent)?,
            };
            let grant = Grant {
                consent: &consent.state,
                connection: &connection,
                tokens: &issued.tokens,
            };
            match self.vault.store_grant(&grant)? {
                StoreOutcome::Stored => return Ok(connection),
                // A refresh raised the generation, or a sibling consent connected the account, since it was read.
                StoreOutcome::Conflict => {}
            }
        }
        Err(ConsentError::Conflict.into())
    }

    /// The connection that this consent renews, if any.
    fn target(&self, consent: &PendingConsent, account: Option<&Account>) -> Result<Option<Connection>> {
        match consent.purpose {
            Purpose::Connect => self.same_account(consent, account),
            Purpose::Reconnect(id) => {
                let target = self.read_target(consent, id)?;
                match (&target.account, account) {
                    (Some(known), Some(chosen)) if known.id != chosen.id => {
                        Err(ConsentError::AccountMismatch.into())
                    }
                    (Some(_), None) => Err(ConsentError::AccountUnknown.into()),
                    _ => Ok(Some(target)),
                }
            }
            Purpose::SwitchAccount(id) => self.read_target(consent, id).map(Some),
        }
    }

    fn read_target(&self, consent: &PendingConsent, id: ConnectionId) -> Result<Connection> {
        self.vault.connection(&consent.tenant, id)?.ok_or(Error::NotFound)
    }

    /// The owner's connection to the same account, a revoked one included: it comes back with its id and history.
    /// Where the provider names no account, the label takes its place.
    fn same_account(
        &self,
        consent: &PendingConsent,
        account: Option<&Account>,
    ) -> Result<Option<Connection>> {
        let mut query = ConnectionQuery::of(&consent.tenant);
        query.owner = Some(&consent.owner);
        query.provider = Some(&consent.provider);
        query.with_revoked = true;
        let known = self.vault.connections(&query)?;
        let mut same = known.into_iter().filter(|known| match (&known.account, account) {
            (Some(known), Some(chosen)) => known.id == chosen.id,
            (None, None) => known.label == consent.label,
            _ => false,
        });
        let mut best = same.next();
        for other in same {
            if best.as_ref().is_some_and(|best| best.status == Status::Revoked) {
                best = Some(other);
            }
        }
        Ok(best)
    }
}

/// What a code was exchanged for.
struct Issued {
    tokens: Tokens,
    account: Option<Account>,
    granted: Scopes,
    issued_by: IssuedBy,
    expires_at: Option<Timestamp>,
    at: Timestamp,
}

impl Issued {
    fn new(
        consent: &PendingConsent,
        service: Service<'_>,
        endpoints: &Endpoints,
        answer: TokenResponse,
        account: Option<Account>,
        at: Timestamp,
    ) -> Self {
        let granted = granted_scopes(service.server, &consent.scopes, answer.scopes.as_ref());
        let expires_in = answer.expires_in.or(service.server.default_expires_in);
        Self {
            tokens: Tokens {
                access_token: answer.access_token,
                refresh_token: answer.refresh_token,
                id_token: answer.id_token,
            },
            account,
            granted,
            // Recorded is where the refresh token will be sent, which may differ from where the code went.
            issued_by: IssuedBy {
                server: service.server.id.clone(),
                token_endpoint: endpoints.refresh.to_string(),
                client_id: consent.client_id.clone(),
            },
            expires_at: expires_in.map(|lifetime| at + lifetime),
            at,
        }
    }

    fn connect(&self, consent: &PendingConsent) -> Result<Connection> {
        let id = ConnectionId::generate(self.at)?;
        let new = Connection::new(
            id,
            consent.tenant.clone(),
            consent.owner.clone(),
            consent.provider.clone(),
            self.issued_by.clone(),
            self.at,
        );
        Ok(self.fill(consent, new))
    }

    fn renew(&self, consent: &PendingConsent, mut target: Connection) -> Connection {
        target.generation += 1;
        target.status = Status::Active;
        target.refresh = RefreshState::default();
        target.consented_at = self.at;
        target.refreshed_at = self.at;
        target.issued_by = self.issued_by.clone();
        self.fill(consent, target)
    }

    fn fill(&self, consent: &PendingConsent, mut connection: Connection) -> Connection {
        if self.account.is_some() {
            connection.account.clone_from(&self.account);
        }
        if consent.label.is_some() {
            connection.label.clone_from(&consent.label);
        }
        connection.requested = consent.scopes.clone();
        connection.granted = self.granted.clone();
        connection.parameters = consent.parameters.clone();
        connection.refreshable = self.tokens.refresh_token.is_some();
        connection.expires_at = self.expires_at;
        connection
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
