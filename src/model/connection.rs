//! A connection: everything about it that is not secret.

use std::sync::Arc;

use crate::model::{
    Account, ConnectionId, FailureCode, Grant, GrantId, IssuedBy, Label, Owner, Parameters, ProviderId,
    RefreshState, Scopes, ServerId, Status, TenantId, Timestamp,
};

/// A provider connected for an owner, together with the state of the grant that it uses.
///
/// The connection itself consists of the provider, the owner, the label, the default flag and the
/// account. Status, expiry, generation and refresh state belong to its [grant](Self::grant), which
/// several connections can use.
// Hosts store it in their own formats: a field that is added later needs `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Connection {
    /// The id of the connection. A new consent keeps it.
    pub id: ConnectionId,
    /// The tenant.
    pub tenant: TenantId,
    /// The user, or the workspace itself.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// Distinguishes several accounts of one owner at one provider.
    pub label: Option<Label>,
    /// True if this connection is used when the owner has several and the turn names none.
    pub is_default: bool,
    /// The grant whose tokens the connection uses. Connections with the same grant share status,
    /// expiry and refresh.
    pub grant: GrantId,
    /// The status, which says whether the connection can be resolved.
    pub status: Status,
    /// The account at the provider. `None` if the provider names no account, so that the account is
    /// [not verified](Self::is_account_verified).
    pub account: Option<Account>,
    /// The scopes requested for this service.
    pub requested: Scopes,
    /// The granted scopes, without those that only other services of the same grant requested.
    pub granted: Scopes,
    /// The values of the descriptor's placeholders for this connection.
    pub parameters: Parameters,
    /// The server and client that issued the tokens, and the endpoints that the tokens may be sent
    /// to.
    #[cfg_attr(feature = "serde", serde(with = "shared"))]
    pub(crate) issued_by: Arc<IssuedBy>,
    /// The number of token pairs so far. A consent and a refresh increase it; it never decreases.
    pub generation: u64,
    /// True if there is a usable refresh token.
    pub refreshable: bool,
    /// The time of the first consent.
    pub created_at: Timestamp,
    /// The time of the last consent. A refresh does not change it.
    pub consented_at: Timestamp,
    /// The time when the tokens were issued, by consent or refresh.
    pub refreshed_at: Timestamp,
    /// The time of the last use of a token. It is written in batches, so it lags behind.
    pub used_at: Option<Timestamp>,
    /// The time when the access token expires, if known. `None`: the token is used until the API
    /// refuses it.
    pub expires_at: Option<Timestamp>,
    /// The claim and the failures of refreshes.
    pub(crate) refresh: RefreshState,
}

impl Connection {
    /// Returns a new connection that uses this grant, for the service that the consent named.
    pub(crate) fn new(id: ConnectionId, grant: &Grant) -> Self {
        let (account, requested) = (grant.account.clone(), grant.requested.clone());
        Self::with_account(id, grant.clone(), account, requested)
    }

    /// Returns a new connection that uses this grant, with an account and requested scopes of its
    /// own. Nothing is copied: pages of connections are built this way.
    pub(crate) fn with_account(
        id: ConnectionId,
        grant: Grant,
        account: Option<Account>,
        requested: Scopes,
    ) -> Self {
        let granted = shown_scopes(grant.granted, &grant.requested, &requested);
        Self {
            id,
            tenant: grant.tenant,
            owner: grant.owner,
            provider: grant.provider,
            label: None,
            is_default: false,
            grant: grant.id,
            status: grant.status,
            account,
            requested,
            granted,
            parameters: grant.parameters,
            issued_by: Arc::new(grant.issued_by),
            generation: grant.generation,
            refreshable: grant.refreshable,
            created_at: grant.consented_at,
            consented_at: grant.consented_at,
            refreshed_at: grant.refreshed_at,
            used_at: None,
            expires_at: grant.expires_at,
            refresh: grant.refresh,
        }
    }

    /// Makes the connection use this grant and copies the grant's state.
    pub(crate) fn use_grant(&mut self, grant: &Grant) {
        self.grant = grant.id;
        self.status = grant.status;
        self.issued_by = Arc::new(grant.issued_by.clone());
        self.generation = grant.generation;
        self.refreshable = grant.refreshable;
        self.consented_at = grant.consented_at;
        self.refreshed_at = grant.refreshed_at;
        self.expires_at = grant.expires_at;
        self.refresh = grant.refresh;
        self.granted = shown_scopes(grant.granted.clone(), &grant.requested, &self.requested);
    }

    /// Returns the authorization server that issued the tokens.
    #[must_use]
    pub fn server(&self) -> &ServerId {
        &self.issued_by.server
    }

    /// Returns the client id that the tokens were issued to.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.issued_by.client_id
    }

    /// Returns why the last refresh failed, until a refresh succeeds.
    #[must_use]
    pub const fn last_failure(&self) -> Option<FailureCode> {
        self.refresh.last_failure
    }

    /// Returns the time of that failure.
    #[must_use]
    pub const fn failed_at(&self) -> Option<Timestamp> {
        self.refresh.failed_at
    }

    /// Returns the scopes that were requested but not granted, such as a box that the user left
    /// unticked.
    #[must_use]
    pub fn missing_scopes(&self) -> Scopes {
        self.requested.difference(&self.granted)
    }

    /// Returns whether the provider named the account. If it did not, a later consent can come from
    /// another account without being noticed.
    #[must_use]
    pub const fn is_account_verified(&self) -> bool {
        self.account.is_some()
    }
}

/// Writes and reads a value that connections of one list share.
#[cfg(feature = "serde")]
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::IssuedBy;

    pub(super) fn serialize<S: Serializer>(value: &Arc<IssuedBy>, to: S) -> Result<S::Ok, S::Error> {
        IssuedBy::serialize(value, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<IssuedBy>, D::Error> {
        IssuedBy::deserialize(from).map(Arc::new)
    }
}

/// Returns the granted scopes without those that only other services of the grant requested.
fn shown_scopes(granted: Scopes, of_grant: &Scopes, own: &Scopes) -> Scopes {
    if of_grant == own {
        return granted;
    }
    granted.difference(&of_grant.difference(own))
}
