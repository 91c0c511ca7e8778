//! Adds, lists and removes a tenant's own providers and clients while the host runs.

use crate::engine::Context;
use crate::engine::directory::{self, ClientOrigin, ProviderDocument, ServerDocument};
use crate::error::{Error, Misconfigured, NamedProvider, Result};
use crate::model::{ProviderId, ServerId, TenantId};
use crate::provider::{AuthorizationServer, ClientRegistration, InvalidDescriptor, Provider};
use crate::vault::{
    Definition, DefinitionKey, DefinitionKind, DefinitionRemoval, Expected, FoundDefinition, NewDefinition,
    PutDefinitions, RemoveDefinitions,
};

/// Stores a provider, and its server if it is not in the registry.
pub(crate) fn add_provider(
    cx: &Context,
    tenant: &TenantId,
    server: Option<AuthorizationServer>,
    provider: Provider,
) -> Result<()> {
    let of = provider.0.server.clone();
    let mut contents = Vec::new();
    let compiled = match server {
        Some(server) => {
            let compiled = cx.registry.compile_server(server.clone())?;
            let document = ServerDocument {
                server,
                discovered: None,
            };
            let id = compiled.id.to_string();
            contents.push((
                DefinitionKind::Server,
                id,
                directory::content(&document, Vec::new())?,
            ));
            Some(std::sync::Arc::new(compiled)).filter(|compiled| compiled.id == of)
        }
        None => cx.server(tenant, of.as_str())?,
    };
    let compiled = compiled.ok_or(Misconfigured::UnknownServer(of))?;
    cx.registry.check_provider(&provider, &compiled)?;
    let id = provider.0.id.to_string();
    let document = ProviderDocument {
        provider,
        discovered: false,
    };
    contents.push((
        DefinitionKind::Provider,
        id,
        directory::content(&document, Vec::new())?,
    ));
    let definitions: Vec<_> = contents
        .iter()
        .map(|(kind, name, content)| NewDefinition {
            key: DefinitionKey { kind: *kind, name },
            expected: Expected::Anything,
            content,
        })
        .collect();
    put(cx, tenant, &definitions)
}

/// Stores a tenant's client at a server.
pub(crate) fn add_client(
    cx: &Context,
    tenant: &TenantId,
    server: &str,
    registration: &ClientRegistration,
) -> Result<()> {
    let id = ServerId::new(server)?;
    let compiled = cx
        .server(tenant, server)?
        .ok_or(Misconfigured::UnknownServer(id))?;
    if registration.key.is_some() {
        return Err(InvalidDescriptor::key_not_stored(server).into());
    }
    cx.registry.check_client(&compiled, registration)?;
    let name = cx.client_name(tenant, &compiled)?;
    let content = directory::client_content(registration, compiled.client_authentication)?;
    let definition = NewDefinition {
        key: DefinitionKey {
            kind: DefinitionKind::Client,
            name: name.as_str(),
        },
        expected: Expected::Anything,
        content: &content,
    };
    put(cx, tenant, &[definition])
}

fn put(cx: &Context, tenant: &TenantId, definitions: &[NewDefinition<'_>]) -> Result<()> {
    cx.vault.put_definitions(&PutDefinitions {
        tenant,
        definitions,
        by: None,
        now: cx.now(),
    })?;
    Ok(())
}

/// Returns the stored providers of a tenant, in the order of their ids.
pub(crate) fn added_providers(cx: &Context, tenant: &TenantId) -> Result<Vec<Provider>> {
    let all = directory::all(&*cx.vault, tenant, DefinitionKind::Provider)?;
    Ok(all
        .iter()
        .map(directory::stored_provider)
        .collect::<std::result::Result<_, _>>()?)
}

/// Returns the servers at which a tenant has stored clients, with the client ids.
pub(crate) fn added_clients(cx: &Context, tenant: &TenantId) -> Result<Vec<(ServerId, String)>> {
    let mut clients = Vec::new();
    for definition in directory::all(&*cx.vault, tenant, DefinitionKind::Client)? {
        let client = directory::stored_client(&definition)?;
        let server = ServerId::new(definition.name)?;
        clients.push((server, client.registration.client_id().to_owned()));
    }
    Ok(clients)
}

/// Removes a provider, together with its server and the client there unless another stored provider
/// uses them.
pub(crate) fn remove_provider(cx: &Context, tenant: &TenantId, id: &str) -> Result<bool> {
    let Some(stored) = cx.directory.provider(&*cx.vault, &cx.registry, tenant, id)? else {
        return Ok(false);
    };
    let server = stored.provider.server.clone();
    let mut keys = vec![DefinitionKey {
        kind: DefinitionKind::Provider,
        name: id,
    }];
    let mut client = None;
    if let Some(stored) = cx
        .directory
        .server(&*cx.vault, &cx.registry, tenant, server.as_str())?
    {
        let providers = directory::all(&*cx.vault, tenant, DefinitionKind::Provider)?;
        let others = providers.iter().filter(|other| other.name != id);
        let mut servers = Vec::new();
        for other in others {
            servers.push(directory::server_of(other)?);
        }
        if !servers.contains(&server) {
            keys.push(DefinitionKey {
                kind: DefinitionKind::Server,
                name: server.as_str(),
            });
            let mut is_used = false;
            for other in &servers {
                let other = cx
                    .directory
                    .server(&*cx.vault, &cx.registry, tenant, other.as_str())?;
                is_used |= other.is_some_and(|other| other.client() == stored.client());
            }
            client = (!is_used).then(|| stored.client().clone());
        }
    }
    if let Some(client) = &client {
        keys.push(DefinitionKey {
            kind: DefinitionKind::Client,
            name: client.as_str(),
        });
    }
    let registered = client.as_ref().map(|name| registered_client(cx, tenant, name));
    let registered = registered.transpose()?.flatten();
    match remove(cx, tenant, &keys, Some(&stored.provider.id))? {
        DefinitionRemoval::InUse => Err(Error::InUse(NamedProvider::of(&stored.provider))),
        DefinitionRemoval::Removed(number) => {
            unregister(cx, registered);
            Ok(number > 0)
        }
        DefinitionRemoval::Unexpected => Ok(false),
    }
}

/// Removes a registration that its server does not know any more, so that the next consent
/// registers again. Returns `false` if the client did not register itself, or another one has
/// replaced it.
pub(crate) fn discard_client(cx: &Context, tenant: &TenantId, server: &str, client_id: &str) -> Result<bool> {
    let Some(compiled) = cx.server(tenant, server)? else {
        return Ok(false);
    };
    let name = cx.client_name(tenant, &compiled)?;
    let key = DefinitionKey {
        kind: DefinitionKind::Client,
        name: name.as_str(),
    };
    let FoundDefinition::Changed(_, found) = cx.vault.definition(tenant, key, None)? else {
        return Ok(false);
    };
    let client = directory::stored_client(&found)?;
    if client.origin != ClientOrigin::Registered || client.registration.client_id() != client_id {
        return Ok(false);
    }
    let removed = cx.vault.remove_definitions(&RemoveDefinitions {
        tenant,
        keys: &[key],
        expected: Expected::Version(found.version),
        unless_connected: None,
        by: None,
        now: cx.now(),
    })?;
    // If another caller was faster, the registration is gone as well.
    Ok(!matches!(removed, DefinitionRemoval::InUse))
}

/// Removes a tenant's stored client at a server.
pub(crate) fn remove_client(cx: &Context, tenant: &TenantId, server: &str) -> Result<bool> {
    let name = match cx.server(tenant, server)? {
        Some(compiled) => cx.client_name(tenant, &compiled)?,
        None => ServerId::new(server)?,
    };
    let keys = [DefinitionKey {
        kind: DefinitionKind::Client,
        name: name.as_str(),
    }];
    let registered = registered_client(cx, tenant, &name)?;
    let removed = remove(cx, tenant, &keys, None)?;
    let is_removed = matches!(removed, DefinitionRemoval::Removed(1));
    unregister(cx, registered.filter(|_| is_removed));
    Ok(is_removed)
}

/// Returns the definition of a tenant's client, whose registration may have to be deleted.
fn registered_client(cx: &Context, tenant: &TenantId, name: &ServerId) -> Result<Option<Definition>> {
    let key = DefinitionKey {
        kind: DefinitionKind::Client,
        name: name.as_str(),
    };
    Ok(match cx.vault.definition(tenant, key, None)? {
        FoundDefinition::Changed(_, found) => Some(*found),
        FoundDefinition::Nothing(_) | FoundDefinition::Unchanged(_) => None,
    })
}

/// Deletes the registration of a client that registered itself, after it was removed here.
fn unregister(cx: &Context, client: Option<Definition>) {
    #[cfg(feature = "mcp")]
    if let Some(client) = client {
        crate::engine::mcp::unregister::unregister(cx, &client.name, &client.content);
    }
    #[cfg(not(feature = "mcp"))]
    let _ = (cx, client);
}

fn remove(
    cx: &Context,
    tenant: &TenantId,
    keys: &[DefinitionKey<'_>],
    unless_connected: Option<&ProviderId>,
) -> Result<DefinitionRemoval> {
    Ok(cx.vault.remove_definitions(&RemoveDefinitions {
        tenant,
        keys,
        expected: Expected::Anything,
        unless_connected,
        by: None,
        now: cx.now(),
    })?)
}
