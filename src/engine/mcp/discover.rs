//! From the URL of an MCP server to the metadata of its authorization server.

use serde_json::json;
use url::Url;

use crate::engine::Context;
use crate::engine::mcp::fetch::{self, Answer};
use crate::error::{McpError, Result};
use crate::model::{Scopes, TenantId};
use crate::protocol::mcp::{
    Resource, ServerMetadata, parse_resource, parse_server, resource_metadata_urls, server_metadata_urls,
};
use crate::protocol::{ResourceChallenge, resource_challenge};

/// The revision that the first request names.
const REVISION: &str = "2025-11-25";

/// The choice of an authorization server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// The issuer that the host chose.
    pub(crate) issuer: Option<&'a str>,
    /// True to accept endpoints on other sites.
    pub(crate) other_hosts: bool,
}

/// The result of a discovery.
pub(crate) struct Found {
    pub(crate) resource: Resource,
    pub(crate) server: ServerMetadata,
    /// The scopes of the challenge, otherwise those that the resource lists, otherwise none.
    pub(crate) scopes: Scopes,
}

/// Discovers the authorization server of an MCP server.
pub(crate) fn discover(cx: &Context, tenant: &TenantId, url: &Url, wish: Wish<'_>) -> Result<Found> {
    let answer = ask_without_token(cx, url)?;
    let challenge = match answer.status.as_u16() {
        401 => resource_challenge(&answer.headers),
        200..=299 => return Err(McpError::NoAuthorization.into()),
        _ => return Err(McpError::NotAnMcpServer.into()),
    };
    let resource = resource(cx, url, &challenge)?;
    let issuer = choose(cx, tenant, &resource, wish)?;
    let server = server(cx, &issuer, wish)?;
    let scopes = if challenge.scopes.is_empty() {
        resource.scopes.clone()
    } else {
        challenge.scopes
    };
    Ok(Found {
        resource,
        server,
        scopes,
    })
}

/// Sends the first message of an MCP client without a token, to be refused with a challenge.
fn ask_without_token(cx: &Context, url: &Url) -> Result<Answer> {
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": { "name": "valetkey", "version": env!("CARGO_PKG_VERSION") },
        },
    });
    let body = message.to_string().into_bytes();
    fetch::post(cx, url.clone(), "application/json, text/event-stream", body)
}

/// Reads the metadata of the resource: at the place that the challenge names, otherwise at the
/// well-known ones.
pub(crate) fn resource(cx: &Context, url: &Url, challenge: &ResourceChallenge) -> Result<Resource> {
    let places = match &challenge.metadata {
        Some(place) => {
            let place = Url::parse(place).map_err(|_| McpError::NoResourceMetadata)?;
            vec![place]
        }
        None => resource_metadata_urls(url),
    };
    for place in places {
        if let Some(body) = fetch::document(cx, place)? {
            return Ok(parse_resource(&body, url)?);
        }
    }
    Err(McpError::NoResourceMetadata.into())
}

/// Chooses one of the authorization servers of a resource: that of the host, otherwise one where
/// the tenant has a client, otherwise the first.
fn choose(cx: &Context, tenant: &TenantId, resource: &Resource, wish: Wish<'_>) -> Result<String> {
    let listed = &resource.authorization_servers;
    if let Some(wanted) = wish.issuer {
        let named = listed.iter().find(|issuer| *issuer == wanted);
        return Ok(named.cloned().ok_or(McpError::NoAuthorizationServer)?);
    }
    for issuer in listed {
        let known = cx.directory.client(&*cx.vault, &cx.registry, tenant, issuer)?;
        if known.is_some_and(|client| client.is_valid_at(cx.now())) {
            return Ok(issuer.clone());
        }
    }
    Ok(listed.first().cloned().ok_or(McpError::NoAuthorizationServer)?)
}

/// Reads the metadata of an issuer at the first place where there are some.
fn server(cx: &Context, issuer: &str, wish: Wish<'_>) -> Result<ServerMetadata> {
    let transport = cx.registry.transport();
    for place in server_metadata_urls(issuer, transport)? {
        if let Some(body) = fetch::document(cx, place)? {
            return Ok(parse_server(&body, issuer, transport, wish.other_hosts)?);
        }
    }
    Err(McpError::NoServerMetadata.into())
}
