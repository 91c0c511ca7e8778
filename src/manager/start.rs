//! The first half of a consent: what is asked for, and what is bound.

use crate::error::{Error, Result};
use crate::manager::connections::Service;
use crate::manager::consent::{AuthorizationUrl, Reconnect};
use crate::manager::{Consent, ConsentOptions, Inner};
use crate::model::{
    ActingUser, Connection, ConsentId, EventKind, Label, Owner, Parameters, ProviderId, Status, TenantId,
};
use crate::protocol::{AuthorizationRequest, new_binding, new_state, new_verifier};
use crate::provider::Pkce;
use crate::trace::{self, Seam};
use crate::vault::{ConnectionQuery, ConsentStatus, PendingConsent, Purpose, StateHash};

impl Inner {
    pub(crate) fn start(
        &self,
        acting_user: &ActingUser,
        owner: Owner,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<Consent> {
        let id = ConsentId::generate(self.now())?;
        self.start_as(id, acting_user, owner, provider, options)
    }

    /// As [`start`](Self::start), under an id that a ticket has already: what was asked for is one consent to people.
    pub(crate) fn start_as(
        &self,
        id: ConsentId,
        acting_user: &ActingUser,
        owner: Owner,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<Consent> {
        let about = || self.about(acting_user, provider);
        trace::within(Seam::Start, about, || {
            self.begin(id, acting_user, owner, provider, options)
        })
    }

    fn begin(
        &self,
        id: ConsentId,
        acting_user: &ActingUser,
        owner: Owner,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<Consent> {
        let service = self.service(provider)?;
        let provider = service.provider;
        let tenant = acting_user.tenant();
        let (purpose, target) = self.purpose(tenant, &owner, &provider.id, &options)?;

        let parameters = self.parameters(service, options.parameters.clone(), target.as_ref())?;
        let endpoints = service.endpoints(&parameters)?;

        let asked = self.asked(service, &options, target.as_ref(), &parameters)?;
        let server = service.server.for_connection(&parameters);

        let state = new_state()?;
        let binding = new_binding()?;
        let verifier = match service.server.pkce {
            Pkce::S256 => Some(new_verifier()?),
            Pkce::Refused => None,
        };
        let authorization_url = AuthorizationRequest {
            server: &server,
            provider: &asked.provider.for_connection(&parameters),
            endpoint: &endpoints.authorization,
            client_id: service.client.client_id(),
            redirect_uri: service.client.redirect_uri(),
            scopes: &asked.scopes,
            state: &state,
            verifier: verifier.as_ref(),
            hints: &options.hints,
        }
        .url();

        let now = self.now();
        let consent = PendingConsent {
            id,
            state: StateHash::of(&state),
            binding: StateHash::of_binding(&binding),
            tenant: tenant.clone(),
            user: acting_user.user().clone(),
            owner,
            provider: provider.id.clone(),
            server: service.server.id.clone(),
            issuer: service.server.issuer.clone(),
            token_endpoint: endpoints.token.to_string(),
            client_id: service.client.client_id().to_owned(),
            redirect_uri: service.client.redirect_uri().to_owned(),
            scopes: asked.scopes,
            services: asked.services,
            parameters,
            label: options.label,
            require_account: options.require_account,
            purpose,
            return_to: options.return_to,
            created_at: now,
            expires_at: now + self.settings.consent_lifetime,
            status: ConsentStatus::Pending,
        };
        self.vault.insert_consent(&consent, verifier.as_ref())?;
        self.emit(
            tenant,
            Some(acting_user.user()),
            &provider.id,
            purpose.target(),
            EventKind::ConsentStarted,
        );

        Ok(Consent {
            id: consent.id,
            provider: consent.provider,
            authorization_url: AuthorizationUrl(authorization_url),
            binding,
            scopes: consent.scopes,
            expires_at: consent.expires_at,
        })
    }

    /// What the consent is for, and the connection that it is for, if one is named: by id, or by a label that is in
    /// use.
    pub(crate) fn purpose(
        &self,
        tenant: &TenantId,
        owner: &Owner,
        provider: &ProviderId,
        options: &ConsentOptions,
    ) -> Result<(Purpose, Option<Connection>)> {
        if let Some(reconnect) = options.reconnect {
            let target = self
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
            Some(label) => match self.labelled(tenant, owner, provider, label)? {
                None => Ok((Purpose::Connect, None)),
                Some(target) => Ok((Purpose::Reconnect(target.id), Some(target))),
            },
        }
    }

    /// The values of the placeholders: what the host names counts, else what the connection had, else the default. They
    /// lead only to instances for which the client is registered.
    pub(crate) fn parameters(
        &self,
        service: Service<'_>,
        mut given: Parameters,
        target: Option<&Connection>,
    ) -> Result<Parameters> {
        let mut all = given.clone();
        for (name, value) in target.iter().flat_map(|target| &target.parameters) {
            // The connection has it already, from where its rule says.
            given.retain(|other, same| (other, &*same) != (name, value));
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let parameters = service.server.complete_parameters(&all, self.transport)?;
        service.check_instance(&parameters, &given)?;
        Ok(parameters)
    }

    fn labelled(
        &self,
        tenant: &TenantId,
        owner: &Owner,
        provider: &ProviderId,
        label: &Label,
    ) -> Result<Option<Connection>> {
        let mut query = ConnectionQuery::of(tenant);
        query.owner = Some(owner);
        query.provider = Some(provider);
        Ok(self
            .vault
            .connections(&query)?
            .into_iter()
            .find(|known| known.label.as_ref() == Some(label)))
    }
}
