//! Discovers an MCP server again: before a consent, and after a request that it refused.

use http::HeaderMap;
use url::Url;

use crate::engine::Context;
use crate::engine::mcp::define::define;
use crate::engine::mcp::discover::{Wish, resource};
use crate::error::Result;
use crate::model::TenantId;
use crate::protocol::resource_challenge;

/// Discovers the provider again if it is an MCP server whose client is not known any more, or if
/// an existing connection is to be renewed. Other providers are left alone.
pub(crate) fn before_consent(
    cx: &Context,
    tenant: &TenantId,
    provider: &str,
    is_reconnect: bool,
) -> Result<()> {
    let Some(known) = known(cx, tenant, provider)? else {
        return Ok(());
    };
    if is_reconnect || cx.client(tenant, &known.server).is_err() {
        rediscover(cx, tenant, &known)?;
    }
    Ok(())
}

/// A stored MCP server.
struct Known {
    url: Url,
    server: std::sync::Arc<crate::provider::compiled::CompiledServer>,
    issuer: String,
    other_hosts: bool,
}

fn known(cx: &Context, tenant: &TenantId, provider: &str) -> Result<Option<Known>> {
    let stored = cx.directory.server(&*cx.vault, &cx.registry, tenant, provider)?;
    let Some((stored, url)) = stored.zip(Url::parse(provider).ok()) else {
        return Ok(None);
    };
    let discovered = stored.discovered.as_ref();
    Ok(discovered.map(|discovered| Known {
        url,
        server: std::sync::Arc::clone(&stored.server),
        issuer: discovered.issuer.to_string(),
        other_hosts: discovered.other_hosts,
    }))
}

fn rediscover(cx: &Context, tenant: &TenantId, known: &Known) -> Result<()> {
    let wish = Wish {
        issuer: None,
        other_hosts: known.other_hosts,
    };
    define(cx, tenant, &known.url, wish, None).map(drop)
}

/// Returns whether an MCP server that refused a request has left the authorization server that
/// issued the token. The new one is discovered at once, so that the next consent goes there.
///
/// Metadata that cannot be read change nothing.
pub(crate) fn has_moved(
    cx: &Context,
    tenant: &TenantId,
    provider: &str,
    headers: &HeaderMap,
) -> Result<bool> {
    let Some(known) = known(cx, tenant, provider)? else {
        return Ok(false);
    };
    let Ok(resource) = resource(cx, &known.url, &resource_challenge(headers)) else {
        return Ok(false);
    };
    if resource.authorization_servers.contains(&known.issuer) {
        return Ok(false);
    }
    // A failure is found again by the consent, which discovers the server before it starts.
    let _ = rediscover(cx, tenant, &known);
    Ok(true)
}
