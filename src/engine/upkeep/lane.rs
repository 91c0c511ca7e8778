//! Groups upkeep requests that fail together.

use crate::engine::Context;
use crate::engine::outlook;
use crate::engine::upkeep::rest::Lane;
use crate::model::Grant;

/// Returns the group of requests that fail together with those for this grant. Without a client
/// source, all requests to a server come from one client.
pub(crate) fn lane(cx: &Context, grant: &Grant) -> Lane {
    let mut lane = Lane::of_server(grant.issued_by.server.clone());
    // The clients of a stored server, and those that tenants added, are their own.
    let is_own = || {
        let server = cx.registry.server(grant.issued_by.server.as_str());
        server.is_none_or(|server| matches!(cx.stored_client(&grant.tenant, server), Ok(Some(_))))
    };
    if cx.registry.clients().differ_by_tenant() || is_own() {
        let setup = outlook::issuer(cx, grant.into()).map_or(0, |issuer| issuer.setup_check());
        lane.client = Some((grant.issued_by.client_id.clone(), setup));
    }
    lane
}
