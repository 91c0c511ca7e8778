//! A substitute for connections, as a host writes one for its own tests: it forwards all calls, and
//! lets the test intervene before `start`, `complete` and `maintain`.

use std::collections::BTreeMap;

use valetkey::AuthorizationResponse;
use valetkey::connections::{
    AuditPage, Budget, ConnectionFilter, Consent, ConsentState, Health, OpenConsent, PreparedConsent,
    Retried, RevocationReport, StatusCounts, UpkeepReport,
};
use valetkey::model::{Connection, ConsentId, Principal, ProviderId, TenantId};
use valetkey::provider::Provider;
use valetkey::vault::{AuditEntry, Forgotten};
use valetkey::{
    ActingUser, Binding, ConnectionId, ConnectionManager, Connections, ConsentOptions, Operator, Result,
    Ticket, UserId,
};

pub(crate) struct Substitute {
    pub(crate) connections: Connections,
    pub(crate) on_start: Box<dyn Fn(ConsentOptions) -> ConsentOptions + Send + Sync>,
    pub(crate) on_complete: Box<dyn Fn() + Send + Sync>,
    pub(crate) on_maintain: Box<dyn Fn() -> Option<Result<UpkeepReport>> + Send + Sync>,
}

impl Substitute {
    pub(crate) fn new(connections: Connections) -> Self {
        Self {
            connections,
            on_start: Box::new(|options| options),
            on_complete: Box::new(|| {}),
            on_maintain: Box::new(|| None),
        }
    }
}

/// Forwards methods to the connections unchanged.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> $result {
            ConnectionManager::$name(&self.connections, $($argument),*)
        })*
    };
}

impl ConnectionManager for Substitute {
    fn start(&self, user: &ActingUser, provider: &str, options: ConsentOptions) -> Result<Consent> {
        self.connections.start(user, provider, (self.on_start)(options))
    }

    fn complete(
        &self,
        user: &ActingUser,
        response: AuthorizationResponse,
        binding: &Binding,
    ) -> Result<Connection> {
        (self.on_complete)();
        self.connections.complete(user, response, binding)
    }

    fn maintain(&self, budget: Budget) -> Result<UpkeepReport> {
        (self.on_maintain)().unwrap_or_else(|| self.connections.maintain(budget))
    }

    forward! {
        providers() -> Vec<&Provider>;
        providers_for(tenant: &TenantId) -> Result<Vec<&Provider>>;
        start_workspace(by: &Operator, provider: &str, options: ConsentOptions) -> Result<Consent>;
        prepare(user: &ActingUser, provider: &str, options: ConsentOptions) -> Result<PreparedConsent>;
        open_link(user: &ActingUser, ticket: &Ticket) -> Result<Consent>;
        poll(user: &ActingUser, id: ConsentId) -> Result<ConsentState>;
        cancel(user: &ActingUser, id: ConsentId) -> Result<ConsentState>;
        pending(by: &Operator, user: &UserId) -> Result<Vec<OpenConsent>>;
        all_pending(by: &Operator) -> Result<Vec<OpenConsent>>;
        revoke_all(by: &Operator, filter: &ConnectionFilter) -> Result<Vec<RevocationReport>>;
        withdraw(by: &Operator, user: &UserId, id: ConsentId) -> Result<ConsentState>;
        connect_with_identity(user: &ActingUser, provider: &str, idp: &str, id_token: &str, options: ConsentOptions)
            -> Result<Connection>;
        list(by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>>;
        counts(by: &Operator) -> Result<BTreeMap<ProviderId, StatusCounts>>;
        get(by: &dyn Principal, id: ConnectionId) -> Result<Connection>;
        health(by: &dyn Principal, id: ConnectionId) -> Result<Health>;
        refresh(by: &dyn Principal, id: ConnectionId) -> Result<Connection>;
        retry_rejected(by: &Operator, provider: &str, after: Option<ConnectionId>, limit: usize) -> Result<Retried>;
        revoke(by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport>;
        set_default(by: &dyn Principal, id: ConnectionId) -> Result<()>;
        audit(by: &dyn Principal, page: &AuditPage) -> Result<Vec<AuditEntry>>;
        forget_user(by: &Operator, user: &UserId) -> Result<Option<Forgotten>>;
        forget_tenant(by: &Operator) -> Result<Option<Forgotten>>;
        sharing(by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>>;
        revoke_grant(by: &dyn Principal, id: ConnectionId) -> Result<RevocationReport>;
        revoked_together(by: &dyn Principal, id: ConnectionId) -> Result<Vec<Connection>>;
    }
}
