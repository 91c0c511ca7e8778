//! Operations that the gateway needs in addition to the public ones. They expose the caller's
//! stored consents and the registry, but never a token.

use crate::connections::{Connections, Consent, ConsentOptions, ConsentState, OpenConsent, PreparedConsent};
use crate::engine::consent::scopes::{can_join, one_grant};
use crate::engine::consent::{link, poll, start};
use crate::engine::services::Services;
use crate::error::Result;
use crate::model::{
    ActingUser, Connection, ConnectionId, ConsentId, Event, Owner, ProviderId, Status, TenantId, Timestamp,
    UserId,
};
use crate::provider::{Provider, Registry};
use crate::secret::{State, Ticket};
use crate::vault::{ConnectionQuery, PendingConsent, StateHash, VaultError};

impl Connections {
    pub(crate) fn now(&self) -> Timestamp {
        self.engine.now()
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.engine.tell(event);
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.engine.registry
    }

    /// Returns the client ID metadata document, if the host has one.
    pub(crate) fn client_document(&self) -> Option<serde_json::Value> {
        #[cfg(feature = "mcp")]
        let document = self.engine.mcp_client.as_ref()?.metadata_document();
        #[cfg(not(feature = "mcp"))]
        let document = None;
        document
    }

    /// Reads from the vault to check that it responds.
    pub(crate) fn check_vault(&self, tenant: &TenantId) -> Result<(), VaultError> {
        self.engine
            .vault
            .connection(tenant, ConnectionId::from_bytes([0; 16]))?;
        Ok(())
    }

    /// Starts a consent for this owner. The caller has checked that the acting user is allowed to.
    pub(crate) fn start_for(
        &self,
        acting_user: &ActingUser,
        owner: Owner,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<Consent> {
        start::start(&self.engine, acting_user, owner, provider, options)
    }

    /// Prepares a consent for this owner. The caller has checked that the acting user is allowed
    /// to.
    pub(crate) fn prepare_for(
        &self,
        acting_user: &ActingUser,
        owner: Owner,
        provider: &str,
        options: ConsentOptions,
    ) -> Result<PreparedConsent> {
        link::prepare(&self.engine, acting_user, owner, provider, options)
    }

    /// Returns the stored consent that a ticket belongs to.
    pub(crate) fn consent_of_ticket(
        &self,
        who: &ActingUser,
        ticket: &Ticket,
    ) -> Result<Option<PendingConsent>, VaultError> {
        self.engine
            .vault
            .consent(who.tenant(), &StateHash::of_ticket(ticket))
    }

    /// Returns the stored consent with this state, if this user started it.
    pub(crate) fn consent_of_state(
        &self,
        who: &ActingUser,
        state: &State,
    ) -> Result<Option<PendingConsent>, VaultError> {
        let consent = self.engine.vault.consent(who.tenant(), &StateHash::of(state))?;
        Ok(consent.filter(|consent| consent.user == *who.user()))
    }

    /// Returns the stored consent with this id, if this user started it. For a link and the flow
    /// that it opened, returns the flow.
    pub(crate) fn consent_of_id(
        &self,
        who: &ActingUser,
        id: ConsentId,
    ) -> Result<Option<PendingConsent>, VaultError> {
        let consents = self.engine.vault.consents(who.tenant(), who.user())?;
        let of_id = consents.into_iter().filter(|consent| consent.id == id);
        Ok(of_id.min_by_key(PendingConsent::is_prepared))
    }

    /// Returns the pending consents of a user. The caller has checked that the acting user is
    /// allowed to see them.
    pub(crate) fn pending_of(&self, tenant: &TenantId, user: &UserId) -> Result<Vec<OpenConsent>> {
        poll::open_consents(&self.engine, tenant, user)
    }

    /// Withdraws a consent of a user. The caller has checked that the acting user is allowed to.
    pub(crate) fn withdraw_of(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: ConsentId,
    ) -> Result<ConsentState> {
        poll::withdraw(&self.engine, tenant, user, id)
    }

    /// Returns the services of a tenant, to judge many connections by. Each service is looked up
    /// once.
    pub(crate) fn services<'a>(&'a self, tenant: &'a TenantId) -> Services<'a> {
        Services::of(&self.engine, tenant)
    }

    /// Returns the other services that the grant of this connection could serve.
    pub(crate) fn joinable(&self, connection: &Connection) -> Result<Vec<&Provider>> {
        // Its service may have been removed from the configuration, or use another client now.
        let Ok(service) = self
            .engine
            .service(&connection.tenant, connection.provider.as_str())
        else {
            return Ok(Vec::new());
        };
        // A refused or revoked grant cannot serve any service.
        let ended = connection.status != Status::Active;
        if ended || one_grant(&service, connection, &connection.parameters).is_err() {
            return Ok(Vec::new());
        }
        let all = self.providers_for(&connection.tenant)?;
        Ok(all
            .into_iter()
            .filter(|other| can_join(&service.provider, &other.0))
            .collect())
    }

    /// Returns the services that this owner is connected to, regardless of status.
    pub(crate) fn services_of(
        &self,
        tenant: &TenantId,
        owner: &Owner,
    ) -> Result<Vec<ProviderId>, VaultError> {
        let mut query = ConnectionQuery::of(tenant);
        query.owner = Some(owner);
        let connections = self.engine.vault.connections(&query)?;
        Ok(connections
            .into_iter()
            .map(|connection| connection.provider)
            .collect())
    }
}
