//! The servers, providers and clients that a tenant gained while the host runs, as the vault stores
//! them, and the compiled forms that this process remembers.
//!
//! A remembered form is used only if the vault says that its definition is unchanged, so that what
//! another process adds, changes or removes counts at once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Misconfigured, Result};
use crate::model::{ServerId, TenantId, Timestamp};
use crate::provider::compiled::{CompiledProvider, CompiledServer};
use crate::provider::{
    AuthorizationServer, ClientAuthentication, ClientRegistration, InvalidDescriptor, Provider, Registry,
};
use crate::secret::ClientSecret;
use crate::vault::{
    Definition, DefinitionContent, DefinitionKey, DefinitionKind, FoundDefinition, KnownDefinition, Vault,
    VaultError,
};

/// The number of definitions that are remembered, absent ones included.
const MOST: usize = 4_096;

/// A stored authorization server.
#[derive(Debug)]
pub(crate) struct StoredServer {
    pub(crate) server: Arc<CompiledServer>,
    /// Its origin, if it was discovered.
    pub(crate) discovered: Option<Discovered>,
}

impl StoredServer {
    /// Returns the name under which the tenant's client is stored: servers of one issuer share it.
    pub(crate) fn client(&self) -> &ServerId {
        self.discovered
            .as_ref()
            .map_or(&self.server.id, |discovered| &discovered.issuer)
    }
}

/// The origin of a server whose metadata were discovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Discovered {
    pub(crate) issuer: ServerId,
    /// True if its endpoints may be on other sites.
    #[serde(default)]
    pub(crate) other_hosts: bool,
}

/// A stored provider.
#[derive(Debug)]
pub(crate) struct StoredProvider {
    pub(crate) provider: Arc<CompiledProvider>,
}

/// A stored client registration.
#[derive(Debug)]
pub(crate) struct StoredClient {
    pub(crate) registration: Arc<ClientRegistration>,
    #[cfg_attr(not(feature = "mcp"), allow(dead_code, reason = "only discovery reads it"))]
    pub(crate) authentication: ClientAuthentication,
    pub(crate) origin: ClientOrigin,
    pub(crate) secret_expires_at: Option<Timestamp>,
}

impl StoredClient {
    /// Returns whether the server still accepts the client's secret.
    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.secret_expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// The way in which a client became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientOrigin {
    /// The host added it.
    Added,
    /// It is the URL of a metadata document.
    Document,
    /// It registered itself.
    Registered,
}

/// The document of a stored server.
#[derive(Serialize, Deserialize)]
pub(crate) struct ServerDocument {
    pub(crate) server: AuthorizationServer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) discovered: Option<Discovered>,
}

/// The document of a stored provider.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProviderDocument {
    pub(crate) provider: Provider,
    /// True if it was discovered by the URL of an MCP server.
    #[serde(default)]
    pub(crate) discovered: bool,
}

/// The document of a stored client. Its secrets are not part of it: the client secret comes first,
/// then the token that manages the registration.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClientDocument {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    #[serde(default)]
    pub(crate) replaced: Vec<String>,
    #[serde(default)]
    pub(crate) base_urls: Vec<String>,
    pub(crate) origin: ClientOrigin,
    pub(crate) authentication: ClientAuthentication,
    /// Milliseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) secret_expires_at: Option<i64>,
    /// The URL at which the registration is managed
    /// ([RFC 7592 §2](https://www.rfc-editor.org/rfc/rfc7592#section-2)).
    #[serde(default)]
    pub(crate) management: Option<String>,
}

/// Returns the content of a definition.
pub(crate) fn content(
    document: &impl Serialize,
    secrets: Vec<Zeroizing<String>>,
) -> Result<DefinitionContent, VaultError> {
    Ok(DefinitionContent {
        document: serde_json::to_vec(document).map_err(|_| VaultError::Damaged)?,
        secrets,
    })
}

/// Returns the content of a client that the host added.
pub(crate) fn client_content(
    registration: &ClientRegistration,
    authentication: ClientAuthentication,
) -> Result<DefinitionContent, VaultError> {
    if registration.key.is_some() {
        return Err(VaultError::NotSupported(
            "clients with a private key; return them from a ClientSource",
        ));
    }
    let secret = registration.client_secret.as_ref();
    let document = ClientDocument {
        client_id: registration.client_id.clone(),
        redirect_uri: registration.redirect_uri.clone(),
        replaced: registration.replaced.clone(),
        base_urls: registration.base_urls.clone(),
        origin: ClientOrigin::Added,
        authentication,
        secret_expires_at: None,
        management: None,
    };
    let secret = secret.map_or("", ClientSecret::expose_secret);
    content(
        &document,
        vec![Zeroizing::new(secret.to_owned()), Zeroizing::default()],
    )
}

fn read<T: for<'a> Deserialize<'a>>(definition: &Definition) -> Result<T, VaultError> {
    serde_json::from_slice(&definition.content.document).map_err(|_| VaultError::Damaged)
}

/// A remembered form.
#[derive(Debug, Clone)]
enum Form {
    Nothing,
    Server(Arc<StoredServer>),
    Provider(Arc<StoredProvider>),
    Client(Arc<StoredClient>),
    /// The registry does not accept it any more.
    Invalid(Box<InvalidDescriptor>),
}

type Place = (TenantId, DefinitionKind, String);

/// The remembered forms.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    known: RwLock<HashMap<Place, (KnownDefinition, Form)>>,
}

impl Directory {
    /// Returns the tenant's stored server with this id.
    pub(crate) fn server(
        &self,
        vault: &dyn Vault,
        registry: &Registry,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<Arc<StoredServer>>> {
        match self.form(vault, registry, tenant, DefinitionKind::Server, id)? {
            Form::Server(server) => Ok(Some(server)),
            Form::Invalid(error) => Err(Misconfigured::Descriptor(error).into()),
            _ => Ok(None),
        }
    }

    /// Returns the tenant's stored provider with this id.
    pub(crate) fn provider(
        &self,
        vault: &dyn Vault,
        registry: &Registry,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Option<Arc<StoredProvider>>> {
        match self.form(vault, registry, tenant, DefinitionKind::Provider, id)? {
            Form::Provider(provider) => Ok(Some(provider)),
            Form::Invalid(error) => Err(Misconfigured::Descriptor(error).into()),
            _ => Ok(None),
        }
    }

    /// Returns the tenant's stored client with this name.
    pub(crate) fn client(
        &self,
        vault: &dyn Vault,
        registry: &Registry,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Option<Arc<StoredClient>>> {
        match self.form(vault, registry, tenant, DefinitionKind::Client, name)? {
            Form::Client(client) => Ok(Some(client)),
            _ => Ok(None),
        }
    }

    fn form(
        &self,
        vault: &dyn Vault,
        registry: &Registry,
        tenant: &TenantId,
        kind: DefinitionKind,
        name: &str,
    ) -> Result<Form> {
        let place = (tenant.clone(), kind, name.to_owned());
        let remembered = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.get(&place).cloned()
        };
        let key = DefinitionKey { kind, name };
        let state = remembered.as_ref().map(|(state, _)| state);
        let (now, form) = match (vault.definition(tenant, key, state)?, remembered) {
            (FoundDefinition::Unchanged(now), Some((state, form))) => {
                if now == state {
                    return Ok(form);
                }
                (now, form)
            }
            (FoundDefinition::Unchanged(now) | FoundDefinition::Nothing(now), _) => (now, Form::Nothing),
            (FoundDefinition::Changed(now, definition), _) => (now, form(registry, &definition)?),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&place) {
            known.clear();
        }
        known.insert(place, (now, form.clone()));
        Ok(form)
    }
}

/// Compiles a definition.
fn form(registry: &Registry, definition: &Definition) -> Result<Form, VaultError> {
    let compiled = match definition.kind {
        DefinitionKind::Server => {
            let document: ServerDocument = read(definition)?;
            let discovered = document.discovered;
            registry.compile_server(document.server).map(|server| {
                let server = Arc::new(match discovered {
                    Some(_) => server.at_public_addresses(),
                    None => server,
                });
                Form::Server(Arc::new(StoredServer { server, discovered }))
            })
        }
        DefinitionKind::Provider => {
            let document: ProviderDocument = read(definition)?;
            let discovered = document.discovered;
            CompiledProvider::compile(document.provider).map(|provider| {
                let provider = Arc::new(if discovered {
                    provider.at_public_addresses()
                } else {
                    provider
                });
                Form::Provider(Arc::new(StoredProvider { provider }))
            })
        }
        DefinitionKind::Client => Ok(Form::Client(Arc::new(stored_client(definition)?))),
    };
    Ok(compiled.unwrap_or_else(|error| Form::Invalid(Box::new(error))))
}

/// Reads a stored client.
pub(crate) fn stored_client(definition: &Definition) -> Result<StoredClient, VaultError> {
    let document: ClientDocument = read(definition)?;
    let secret = definition
        .content
        .secrets
        .first()
        .filter(|secret| !secret.is_empty());
    Ok(StoredClient {
        registration: Arc::new(ClientRegistration {
            client_id: document.client_id,
            client_secret: secret.map(|secret| ClientSecret::new(secret.as_str())),
            key: None,
            redirect_uri: document.redirect_uri,
            replaced: document.replaced,
            base_urls: document.base_urls,
        }),
        authentication: document.authentication,
        origin: document.origin,
        secret_expires_at: document.secret_expires_at.map(Timestamp::from_unix_millis),
    })
}

/// Returns the URL and the token that manage the registration of a stored client, if it registered
/// itself and its server named both.
#[cfg(feature = "mcp")]
pub(crate) fn management(client: &DefinitionContent) -> Option<(String, &str)> {
    let document: ClientDocument = serde_json::from_slice(&client.document).ok()?;
    let token = client.secrets.get(1).filter(|token| !token.is_empty());
    let address = document
        .management
        .filter(|_| document.origin == ClientOrigin::Registered);
    address.zip(token.map(|token| token.as_str()))
}

/// Reads a stored provider's document.
pub(crate) fn stored_provider(definition: &Definition) -> Result<Provider, VaultError> {
    read::<ProviderDocument>(definition).map(|document| document.provider)
}

/// The number of definitions that are read at a time.
const PAGE: usize = 200;

/// Returns all definitions of one kind, in the order of their names.
pub(crate) fn all(
    vault: &dyn Vault,
    tenant: &TenantId,
    kind: DefinitionKind,
) -> Result<Vec<Definition>, VaultError> {
    let mut all: Vec<Definition> = Vec::new();
    loop {
        let after = all.last().map(|last| last.name.clone());
        let page = vault.definitions(tenant, kind, after.as_deref(), PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Reads the id of the server in a stored provider's document.
pub(crate) fn server_of(definition: &Definition) -> Result<ServerId, VaultError> {
    stored_provider(definition).map(|provider| provider.0.server)
}
