//! The connections that use a grant, and the events sent to each of them.

use std::sync::Arc;

use crate::engine::Context;
use crate::error::{Error, Result};
use crate::model::{Connection, ConnectionId, EventKind, Grant, GrantId, ProviderId, TenantId};
use crate::vault::{ConnectionQuery, VaultError};

/// Reports a change of a grant to the host, once for each connection that uses it. Returns these
/// connections.
pub(crate) fn emit_to_users(
    cx: &Context,
    tenant: &TenantId,
    grant: GrantId,
    kind: EventKind,
) -> Arc<[ConnectionId]> {
    // The change is stored. Failing to read the connections now does not make the operation fail.
    let users = users(cx, tenant, grant).unwrap_or_default();
    for connection in &users {
        let user = connection.owner.user();
        cx.emit(tenant, user, &connection.provider, Some(connection.id), kind);
    }
    users.iter().map(|connection| connection.id).collect()
}

/// Returns whether any service that uses the grant is in the registry. This includes services other
/// than the one named in the consent.
pub(crate) fn is_offered(cx: &Context, grant: &Grant) -> Result<bool> {
    let is_known = |provider: &ProviderId| match cx.entry(&grant.tenant, provider.as_str()) {
        // A provider whose descriptor is not accepted any more is known.
        Ok(None) => Ok(false),
        Ok(Some(_)) | Err(Error::Misconfigured(_)) => Ok(true),
        Err(error) => Err(error),
    };
    if is_known(&grant.provider)? {
        return Ok(true);
    }
    for user in users(cx, &grant.tenant, grant.id)? {
        if is_known(&user.provider)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the connections that use a grant, except revoked ones.
pub(crate) fn users(cx: &Context, tenant: &TenantId, grant: GrantId) -> Result<Vec<Connection>, VaultError> {
    let mut query = ConnectionQuery::of(tenant);
    query.grant = Some(grant);
    cx.vault.connections(&query)
}
