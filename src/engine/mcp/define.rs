//! The descriptors that follow from what was discovered. They are stored together.

use std::sync::PoisonError;

use url::Url;

use crate::engine::Context;
use crate::engine::directory::{self, Discovered, ProviderDocument, ServerDocument};
use crate::engine::mcp::client::{self, Chosen};
use crate::engine::mcp::discover::{Found, Wish, discover};
use crate::engine::mcp::unregister::unregister;
use crate::error::{Error, McpError, Result};
use crate::model::{FailureCode, ProviderId, Scope, Scopes, ServerId, TenantId};
use crate::protocol::mcp::canonical_text;
use crate::provider::{
    AccountEndpoint, AuthorizationServer, ClientAuthentication, ClientRegistration, IssuerPolicy, Pointer,
    Provider, Revocation, RevocationAuth, RevocationTokens,
};
use crate::vault::{DefinitionKey, DefinitionKind, DefinitionWrite, Expected, NewDefinition, PutDefinitions};

/// The scope that asks for a refresh token.
const OFFLINE: &str = "offline_access";
/// The group of MCP servers on pages.
const GROUP: &str = "MCP";
/// The number of times that another process may be faster.
const ATTEMPTS: usize = 3;

/// Discovers an MCP server, chooses or registers a client, and stores all of it.
pub(crate) fn define(
    cx: &Context,
    tenant: &TenantId,
    url: &Url,
    wish: Wish<'_>,
    mut by_hand: Option<ClientRegistration>,
) -> Result<ProviderId> {
    let id = provider_id(url)?;
    if cx.registry.provider(id.as_str()).is_some() {
        return Ok(id);
    }
    let found = discover(cx, tenant, url, wish)?;
    // One registration at a time for each issuer: concurrent consents use the same client.
    let lock = cx.registering.of(tenant, &found.server.issuer);
    let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let chosen = client::choose(cx, tenant, &found.server, by_hand.take())?;
        if store(cx, tenant, &id, &found, &chosen, wish)? == DefinitionWrite::Stored {
            return Ok(id);
        }
        // Another process registered a client at the same moment. That one is used.
        if let Some((content, _)) = &chosen.new {
            unregister(cx, &found.server.issuer, content);
        }
    }
    Err(Error::unavailable(FailureCode::Interrupted))
}

/// Returns the id of the provider for the MCP server at a URL: its canonical URI.
pub(crate) fn provider_id(url: &Url) -> Result<ProviderId> {
    ProviderId::new(canonical_text(url)).map_err(|_| McpError::Url.into())
}

fn store(
    cx: &Context,
    tenant: &TenantId,
    id: &ProviderId,
    found: &Found,
    chosen: &Chosen,
    wish: Wish<'_>,
) -> Result<DefinitionWrite> {
    let server = server(id, found, chosen.authentication)?;
    let compiled = cx.registry.compile_server(server.clone())?;
    cx.registry.check_client(&compiled, &chosen.registration)?;
    let provider = provider(id, found)?;
    cx.registry.check_provider(&provider, &compiled)?;
    let issuer = ServerId::new(found.server.issuer.as_str()).map_err(|_| McpError::ServerMetadata)?;
    let name = server.0.id.to_string();
    let document = ServerDocument {
        server,
        discovered: Some(Discovered {
            issuer: issuer.clone(),
            other_hosts: wish.other_hosts,
        }),
    };
    let server_content = directory::content(&document, Vec::new())?;
    let provider_content = directory::content(
        &ProviderDocument {
            provider,
            discovered: true,
        },
        Vec::new(),
    )?;
    let mut definitions = vec![
        NewDefinition {
            key: DefinitionKey {
                kind: DefinitionKind::Server,
                name: &name,
            },
            expected: Expected::Anything,
            content: &server_content,
        },
        NewDefinition {
            key: DefinitionKey {
                kind: DefinitionKind::Provider,
                name: id.as_str(),
            },
            expected: Expected::Anything,
            content: &provider_content,
        },
    ];
    if let Some((content, expected)) = &chosen.new {
        definitions.push(NewDefinition {
            key: DefinitionKey {
                kind: DefinitionKind::Client,
                name: issuer.as_str(),
            },
            expected: *expected,
            content,
        });
    }
    Ok(cx.vault.put_definitions(&PutDefinitions {
        tenant,
        definitions: &definitions,
        by: None,
        now: cx.now(),
    })?)
}

/// Returns the server that issues tokens for this resource. Each MCP server has its own, because
/// the resource is part of every request; those of one issuer share a client.
fn server(
    id: &ProviderId,
    found: &Found,
    authentication: ClientAuthentication,
) -> Result<AuthorizationServer> {
    let metadata = &found.server;
    let id = ServerId::new(id.as_str()).map_err(|_| McpError::Url)?;
    let mut server = AuthorizationServer::new(
        id,
        metadata.authorization_endpoint.as_str(),
        metadata.token_endpoint.as_str(),
    )
    .issuer(metadata.issuer.as_str())
    .resource(found.resource.resource.as_str());
    server.0.client_authentication = authentication;
    server.0.issuer_policy = if metadata.names_issuer {
        IssuerPolicy::Required
    } else {
        IssuerPolicy::MatchIfPresent
    };
    if let Some(url) = &metadata.revocation_endpoint {
        server.0.revocation = Revocation::Endpoint {
            url: url.clone(),
            authentication: RevocationAuth::SameAsToken,
            tokens: RevocationTokens::Both,
            grant_wide: false,
        };
        server.0.revocation_is_best_effort = true;
    }
    server
        .0
        .pushed_authorization_request_endpoint
        .clone_from(&metadata.required_push_endpoint);
    server.0.unechoed_scopes = vec![OFFLINE.to_owned()];
    if offline(found).is_some() && found.server.userinfo_endpoint.is_some() {
        // OpenID Connect Core 1.0, section 11: a refresh token is issued only if the user is asked.
        server
            .0
            .authorization_parameters
            .insert("prompt".into(), "consent".into());
    }
    Ok(server)
}

/// Returns the scope for a refresh token, if the authorization server lists it.
fn offline(found: &Found) -> Option<Scope> {
    found
        .server
        .scopes
        .contains(OFFLINE)
        .then(|| Scope::new(OFFLINE).ok())?
}

/// Returns the MCP server as a provider. Its token is sent below its own URL only.
fn provider(id: &ProviderId, found: &Found) -> Result<Provider> {
    let url = id.as_str();
    let server = ServerId::new(url).map_err(|_| McpError::Url)?;
    let name = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut scopes = found.scopes.clone();
    let mut required = Scopes::default();
    if let Some(offline) = offline(found) {
        required.insert(offline);
    }
    let has_account = scopes.contains("openid") && found.server.userinfo_endpoint.is_some();
    scopes = scopes.difference(&required);
    let mut provider = Provider::new(id.clone(), server, name, [url]).scopes(scopes);
    provider.0.group = GROUP.to_owned();
    provider.0.required_scopes = required;
    provider.0.api_base = Some(url.to_owned());
    if has_account {
        let pointer = |text: &str| vec![Pointer::from(text)];
        provider.0.account = found.server.userinfo_endpoint.clone().map(|url| AccountEndpoint {
            url,
            id: pointer("/sub"),
            email: pointer("/email"),
            label: pointer("/name"),
        });
    }
    Ok(provider)
}
