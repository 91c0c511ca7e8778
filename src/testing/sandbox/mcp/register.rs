//! Registration of clients ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)), with the rules of
//! OpenID Connect for redirect URIs.

use std::collections::BTreeSet;

use http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};
use url::Url;

use super::documents::METHODS;
use super::places::Endpoint;
use crate::http::HttpResponse;
use crate::model::Timestamp;
use crate::provider::ClientAuthentication;
use crate::testing::sandbox::grant::fresh;
use crate::testing::sandbox::log::Received;
use crate::testing::sandbox::refusal::json as answer;
use crate::testing::sandbox::registered::Registration;
use crate::testing::sandbox::state::World;

/// An error code of [RFC 7591 §3.2.2](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    RedirectUri,
    Metadata,
}

impl From<Invalid> for HttpResponse {
    fn from(invalid: Invalid) -> Self {
        let error = match invalid {
            Invalid::RedirectUri => "invalid_redirect_uri",
            Invalid::Metadata => "invalid_client_metadata",
        };
        answer(400, &json!({ "error": error }))
    }
}

/// `POST` to the registration endpoint: registers a client.
pub(super) fn register(world: &mut World, received: &Received, issuer: &str, now: Timestamp) -> HttpResponse {
    if !world.personality.registers_clients {
        return HttpResponse::new(StatusCode::NOT_FOUND, "");
    }
    if let Some(refusal) = &world.personality.registration_refusal {
        return refusal.answer("invalid_client_metadata");
    }
    let is_json = received
        .header(&header::CONTENT_TYPE)
        .is_some_and(|value| value.starts_with("application/json"));
    let request = match serde_json::from_str(&received.body) {
        Ok(Value::Object(request)) if is_json => request,
        _ => return Invalid::Metadata.into(),
    };
    match registered(world, &request, issuer, now) {
        Ok((id, registration)) => {
            let metadata = registration.metadata.clone();
            world.registered.insert(issuer, &id, registration);
            answer(201, &metadata)
        }
        Err(invalid) => invalid.into(),
    }
}

fn registered(
    world: &mut World,
    request: &Map<String, Value>,
    issuer: &str,
    now: Timestamp,
) -> Result<(String, Registration), Invalid> {
    let client = Metadata::read(request)?;
    client.check_redirect_uris()?;
    let method = match &world.personality.registered_method {
        Some(method) => method.clone(),
        None => client.method.to_owned(),
    };
    let authentication = method_of(&method).ok_or(Invalid::Metadata)?;
    let id = fresh("client-");
    let secret = (authentication != ClientAuthentication::None).then(|| fresh("sbx-cs-"));
    let lifetime = world.personality.client_secret_lifetime;
    let secret_expires_at = secret.as_ref().and(lifetime).map(|lifetime| now + lifetime);
    let access_token = fresh("sbx-rat-");
    world.other_secrets.extend(secret.clone());
    world.other_secrets.push(access_token.clone());

    let mut metadata = request.clone();
    for (name, value) in [
        ("client_id", json!(id)),
        ("client_id_issued_at", json!(seconds(now))),
        ("token_endpoint_auth_method", json!(method)),
        ("application_type", json!(client.application_type)),
        ("grant_types", json!(client.grant_types)),
        ("response_types", json!(["code"])),
        ("registration_access_token", json!(access_token)),
        (
            "registration_client_uri",
            json!(format!("{}/{id}", Endpoint::Register.at(issuer))),
        ),
    ] {
        metadata.insert(name.to_owned(), value);
    }
    if let Some(secret) = &secret {
        let expires_at = secret_expires_at.map_or(0, seconds);
        metadata.insert("client_secret".into(), json!(secret));
        metadata.insert("client_secret_expires_at".into(), json!(expires_at));
    }
    let registration = Registration {
        secret,
        secret_expires_at,
        authentication,
        redirect_uris: client.redirect_uris.clone(),
        may_refresh: client.grant_types.contains(&"refresh_token"),
        access_token: Some(access_token),
        metadata: metadata.into(),
    };
    Ok((id, registration))
}

fn seconds(time: Timestamp) -> i64 {
    time.as_unix_millis() / 1000
}

/// `GET` and `DELETE` at the address of a registration
/// ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)).
pub(super) fn manage(world: &mut World, received: &Received, issuer: &str, id: &str) -> HttpResponse {
    let presented = received.header(&header::AUTHORIZATION);
    let presented = presented.and_then(|value| value.strip_prefix("Bearer "));
    let registration = world
        .registered
        .registration(issuer, id)
        .filter(|registration| presented.is_some() && registration.access_token.as_deref() == presented);
    let Some(registration) = registration else {
        return answer(401, &json!({ "error": "invalid_token" }));
    };
    match received.method {
        Method::GET => answer(200, &registration.metadata),
        Method::DELETE => {
            world.registered.forget(id);
            HttpResponse::new(StatusCode::NO_CONTENT, "")
        }
        _ => HttpResponse::new(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}

/// The members of a client's metadata that the sandbox reads, with the defaults of
/// [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2).
pub(super) struct Metadata<'a> {
    pub(super) redirect_uris: BTreeSet<String>,
    application_type: &'a str,
    pub(super) grant_types: Vec<&'a str>,
    pub(super) method: &'a str,
}

impl<'a> Metadata<'a> {
    pub(super) fn read(client: &'a Map<String, Value>) -> Result<Self, Invalid> {
        let text = |name: &str, default: &'a str| match client.get(name) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or(Invalid::Metadata),
        };
        let texts = |name: &str| match client.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list
                .iter()
                .map(|value| value.as_str().ok_or(Invalid::Metadata))
                .collect(),
            Some(_) => Err(Invalid::Metadata),
        };
        let redirect_uris: BTreeSet<String> =
            texts("redirect_uris")?.into_iter().map(str::to_owned).collect();
        if redirect_uris.is_empty() {
            return Err(Invalid::RedirectUri);
        }
        let mut grant_types = texts("grant_types")?;
        if grant_types.is_empty() {
            grant_types.push("authorization_code");
        }
        let response_types = texts("response_types")?;
        let gets_codes = response_types.is_empty() || response_types.contains(&"code");
        if !gets_codes || !grant_types.contains(&"authorization_code") {
            return Err(Invalid::Metadata);
        }
        let application_type = text("application_type", "web")?;
        if !["web", "native"].contains(&application_type) {
            return Err(Invalid::Metadata);
        }
        Ok(Self {
            redirect_uris,
            application_type,
            grant_types,
            method: text("token_endpoint_auth_method", "client_secret_basic")?,
        })
    }

    /// A `web` client has https addresses only and none on the user's machine; a `native` one may
    /// also have http addresses on the user's machine, and private schemes.
    fn check_redirect_uris(&self) -> Result<(), Invalid> {
        let is_allowed = |uri: &String| {
            let Ok(uri) = Url::parse(uri) else {
                return false;
            };
            let is_local = matches!(uri.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            let fits = match (uri.scheme(), self.application_type) {
                ("https", "web") => !is_local,
                (_, "web") => false,
                ("http", _) => is_local,
                _ => true,
            };
            fits && uri.fragment().is_none()
        };
        if self.redirect_uris.iter().all(is_allowed) {
            Ok(())
        } else {
            Err(Invalid::RedirectUri)
        }
    }
}

/// Returns the authentication by its registered name.
pub(super) fn method_of(name: &str) -> Option<ClientAuthentication> {
    if !METHODS.contains(&name) {
        return None;
    }
    match name {
        "none" => Some(ClientAuthentication::None),
        "client_secret_basic" => Some(ClientAuthentication::Basic),
        "client_secret_post" => Some(ClientAuthentication::Post),
        _ => None,
    }
}
