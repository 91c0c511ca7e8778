//! Client ID metadata documents: the client id is the https URL of a document that describes the
//! client
//! ([draft-ietf-oauth-client-id-metadata-document](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)).

use std::sync::Arc;

use http::Method;
use serde_json::Value;
use url::Url;

use super::places::{Endpoint, Role};
use super::register::{Metadata, method_of};
use crate::http::{HttpClient, HttpRequest};
use crate::provider::ClientAuthentication;
use crate::testing::sandbox::Sandbox;
use crate::testing::sandbox::log::{Received, single};
use crate::testing::sandbox::registered::Registration;

/// The size limit of a document.
const MOST: usize = 5 * 1024;

impl Sandbox {
    /// Reads client documents with this client: the authorization servers of MCP servers send it a
    /// `GET` for each authorization request whose client id is an https URL. Without one, such
    /// clients are unknown. The client must not call the sandbox.
    pub fn read_client_documents_with(&self, client: impl HttpClient) {
        self.world().documents = Some(Arc::new(client));
    }

    /// Reads the document of a client that asks for authorization, if its id is a URL. No lock is
    /// held meanwhile.
    pub(in crate::testing::sandbox) fn read_client_document(&self, received: &Received) {
        let Some((issuer, client_id, documents)) = self.document_to_read(received) else {
            return;
        };
        let registration = read(&*documents, &client_id);
        let registered = &mut self.world().registered;
        match registration {
            Some(registration) => registered.insert(&issuer, &client_id, registration),
            None => {
                registered.forget(&client_id);
            }
        }
    }

    fn document_to_read(&self, received: &Received) -> Option<(String, String, Arc<dyn HttpClient>)> {
        let world = self.world();
        let Some(Role::Endpoint(issuer, Endpoint::Authorization)) = world.mcp.role(&received.address) else {
            return None;
        };
        let client_id = single(&received.query, "client_id").ok().flatten()?;
        if !client_id.starts_with("https://") || !world.personality.accepts_client_documents {
            return None;
        }
        let documents = Arc::clone(world.documents.as_ref()?);
        Some((issuer, client_id.to_owned(), documents))
    }
}

/// Reads and checks a document. It must name its own URL as the client id, and contain no secret.
fn read(documents: &dyn HttpClient, client_id: &str) -> Option<Registration> {
    let url = Url::parse(client_id).ok()?;
    let is_clean = url.path() != "/" && url.fragment().is_none() && url.username().is_empty();
    if !is_clean || url.as_str() != client_id {
        return None;
    }
    let mut request = HttpRequest::new(Method::GET, url);
    request.max_response_bytes = Some(MOST);
    let answer = documents.send(request).ok()?;
    if answer.status != 200 {
        return None;
    }
    let document: Value = serde_json::from_slice(answer.body.as_bytes()).ok()?;
    let members = document.as_object()?;
    let names_itself = members.get("client_id").and_then(Value::as_str) == Some(client_id);
    if !names_itself || members.contains_key("client_secret") {
        return None;
    }
    let metadata = Metadata::read(members).ok()?;
    let named = members.contains_key("token_endpoint_auth_method");
    let authentication = if named {
        method_of(metadata.method)?
    } else {
        ClientAuthentication::None
    };
    if authentication != ClientAuthentication::None {
        return None;
    }
    Some(Registration {
        secret: None,
        secret_expires_at: None,
        authentication,
        redirect_uris: metadata.redirect_uris.clone(),
        may_refresh: metadata.grant_types.contains(&"refresh_token"),
        access_token: None,
        metadata: document.clone(),
    })
}
