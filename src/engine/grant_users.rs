//! The connections that use a grant, and events about it, which go to each of them.

use std::sync::Arc;

use crate::engine::Context;
use crate::model::{Connection, ConnectionId, EventKind, Grant, GrantId, ProviderId, TenantId};
use crate::vault::{ConnectionQuery, VaultError};

/// Tells the host of a change of a grant, once for each connection that uses it. Returns those.
pub(crate) fn emit_to_users(
    cx: &Context,
    tenant: &TenantId,
    grant: GrantId,
    kind: EventKind,
) -> Arc<[ConnectionId]> {
    // What changed is stored. That its connections cannot be read now is no reason to fail.
    let users = users(cx, tenant, grant).unwrap_or_default();
    for connection in &users {
        let user = connection.owner.user();
        cx.emit(tenant, user, &connection.provider, Some(connection.id), kind);
    }
    users.iter().map(|connection| connection.id).collect()
}

/// Returns whether any service that uses the grant is in the registry. The service that the consent
/// named need not be: others can use its grant.
pub(crate) fn is_offered(cx: &Context, grant: &Grant) -> Result<bool, VaultError> {
    let is_known = |provider: &ProviderId| cx.registry.provider(provider.as_str()).is_some();
    if is_known(&grant.provider) {
        return Ok(true);
    }
    let users = users(cx, &grant.tenant, grant.id)?;
    Ok(users.iter().any(|user| is_known(&user.provider)))
}

/// The connections that use a grant. Revoked ones do not.
pub(crate) fn users(cx: &Context, tenant: &TenantId, grant: GrantId) -> Result<Vec<Connection>, VaultError> {
    let mut query = ConnectionQuery::of(tenant);
    query.grant = Some(grant);
    cx.vault.connections(&query)
}
