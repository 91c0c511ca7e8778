//! Metadata documents of resources and authorization servers.

use serde_json::json;

use super::places::Endpoint;
use crate::http::HttpResponse;
use crate::testing::sandbox::personality::IssuerEcho;
use crate::testing::sandbox::refusal::json as answer;
use crate::testing::sandbox::state::World;

/// The authentication methods of registered clients.
pub(super) const METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// The metadata of a resource
/// ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
pub(super) fn resource(world: &World, resource: &str) -> HttpResponse {
    if !world.personality.requires_token {
        return HttpResponse::new(http::StatusCode::NOT_FOUND, "");
    }
    let document = json!({
        "resource": resource,
        "authorization_servers": world.mcp.issuers_of(resource),
        "scopes_supported": ["mcp.read", "mcp.write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Sandbox MCP",
    });
    answer(200, &document)
}

/// The metadata of an authorization server
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
pub(super) fn authorization_server(world: &World, issuer: &str) -> HttpResponse {
    let personality = &world.personality;
    let mut scopes = vec!["openid", "mcp.read", "mcp.write"];
    scopes.extend(personality.offline_scope.as_deref());
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": Endpoint::Authorization.at(issuer),
        "token_endpoint": Endpoint::Token.at(issuer),
        "revocation_endpoint": Endpoint::Revocation.at(issuer),
        "pushed_authorization_request_endpoint": Endpoint::Pushed.at(issuer),
        "require_pushed_authorization_requests": personality.requires_pushed_requests,
        "userinfo_endpoint": Endpoint::Account.at(issuer),
        "jwks_uri": Endpoint::Keys.at(issuer),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": METHODS,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["none"],
        "authorization_response_iss_parameter_supported": personality.issuer != IssuerEcho::Never,
        "client_id_metadata_document_supported": personality.accepts_client_documents,
    });
    if personality.registers_clients {
        document["registration_endpoint"] = Endpoint::Register.at(issuer).into();
    }
    answer(200, &document)
}

/// The public keys of the authorization server: its ID tokens are not signed.
pub(super) fn keys() -> HttpResponse {
    answer(200, &json!({ "keys": [] }))
}
