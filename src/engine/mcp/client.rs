//! The client at an authorization server, in the order of the specification: known, a metadata
//! document, registered.

use std::sync::Arc;

use url::Url;
use zeroize::Zeroizing;

use crate::engine::Context;
use crate::engine::directory::{self, ClientDocument, ClientOrigin, StoredClient};
use crate::engine::mcp::fetch;
use crate::error::{McpError, Result};
use crate::model::TenantId;
use crate::protocol::mcp::{Registered, ServerMetadata, parse_registration};
use crate::provider::{ClientAuthentication, ClientRegistration};
use crate::secret::ClientSecret;
use crate::vault::{DefinitionContent, DefinitionKey, DefinitionKind, Expected, FoundDefinition};

/// The client to be used, and what must be stored for it.
pub(crate) struct Chosen {
    pub(crate) registration: Arc<ClientRegistration>,
    pub(crate) authentication: ClientAuthentication,
    /// The definition to store, and the stored one that it replaces.
    pub(crate) new: Option<(DefinitionContent, Expected)>,
}

impl Chosen {
    fn stored(stored: &StoredClient) -> Self {
        Self {
            registration: Arc::clone(&stored.registration),
            authentication: stored.authentication,
            new: None,
        }
    }
}

/// Returns the client of a tenant at an authorization server. Registers one if that is necessary.
pub(crate) fn choose(
    cx: &Context,
    tenant: &TenantId,
    server: &ServerMetadata,
    by_hand: Option<ClientRegistration>,
) -> Result<Chosen> {
    let key = DefinitionKey {
        kind: DefinitionKind::Client,
        name: &server.issuer,
    };
    if let Some(registration) = by_hand {
        return known(server, registration);
    }
    let (stored, expected) = match cx.vault.definition(tenant, key, None)? {
        FoundDefinition::Changed(_, found) => (
            Some(directory::stored_client(&found)?),
            Expected::Version(found.version),
        ),
        FoundDefinition::Nothing(_) | FoundDefinition::Unchanged(_) => (None, Expected::Nothing),
    };
    let usable = stored.filter(|stored| stored.is_valid_at(cx.now()));
    if let Some(stored) = &usable {
        return Ok(Chosen::stored(stored));
    }
    let client = cx.mcp_client.as_ref().ok_or(McpError::NoClientDescription)?;
    if let Some(url) = client
        .document_url
        .as_ref()
        .filter(|_| server.accepts_client_documents)
    {
        let document = ClientDocument {
            client_id: url.clone(),
            redirect_uri: client.redirect_uri.clone(),
            replaced: Vec::new(),
            base_urls: Vec::new(),
            origin: ClientOrigin::Document,
            authentication: ClientAuthentication::None,
            secret_expires_at: None,
            management: None,
        };
        let content = directory::content(&document, vec![Zeroizing::default(), Zeroizing::default()])?;
        return Ok(Chosen {
            registration: Arc::new(ClientRegistration::public(url, &client.redirect_uri)),
            authentication: ClientAuthentication::None,
            new: Some((content, expected)),
        });
    }
    let endpoint = server.registration_endpoint.clone();
    let endpoint = endpoint.ok_or(McpError::RegistrationRequired)?;
    registered(cx, server, endpoint, expected)
}

/// Takes a client that was registered by hand.
fn known(server: &ServerMetadata, registration: ClientRegistration) -> Result<Chosen> {
    let authentication = match &registration.client_secret {
        None => ClientAuthentication::None,
        Some(_) => server
            .authentication
            .filter(|authentication| *authentication != ClientAuthentication::None)
            .unwrap_or(ClientAuthentication::Basic),
    };
    let content = directory::client_content(&registration, authentication)?;
    Ok(Chosen {
        registration: Arc::new(registration),
        authentication,
        new: Some((content, Expected::Anything)),
    })
}

/// Registers a client dynamically.
fn registered(cx: &Context, server: &ServerMetadata, endpoint: Url, expected: Expected) -> Result<Chosen> {
    let client = cx.mcp_client.as_ref().ok_or(McpError::NoClientDescription)?;
    let authentication = server.authentication.ok_or(McpError::ClientAuthentication)?;
    let asked = client.metadata(authentication);
    let answer = fetch::post(cx, endpoint, "application/json", asked.registration())?;
    let body = Zeroizing::new(answer.body);
    let registered = parse_registration(answer.status.as_u16(), &body, &asked)?;
    let Registered {
        client_id,
        client_secret,
        secret_expires_at,
        authentication,
        access_token,
        management,
        ..
    } = registered;
    let document = ClientDocument {
        client_id: client_id.clone(),
        redirect_uri: client.redirect_uri.clone(),
        replaced: Vec::new(),
        base_urls: Vec::new(),
        origin: ClientOrigin::Registered,
        authentication,
        secret_expires_at: secret_expires_at.map(crate::model::Timestamp::as_unix_millis),
        management,
    };
    let secret = client_secret.as_ref().map_or("", ClientSecret::expose_secret);
    let secrets = vec![Zeroizing::new(secret.to_owned()), access_token];
    let content = directory::content(&document, secrets)?;
    let registration = match client_secret {
        Some(secret) => ClientRegistration::new(client_id, secret.expose_secret(), &client.redirect_uri),
        None => ClientRegistration::public(client_id, &client.redirect_uri),
    };
    Ok(Chosen {
        registration: Arc::new(registration),
        authentication,
        new: Some((content, expected)),
    })
}
