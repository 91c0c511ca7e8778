//! The client ID metadata document, which authorization servers read at the gateway.

use http::{Method, Request, StatusCode};
use valetkey::connections::{McpClient, McpOptions};
use valetkey::gateway::{Gateway, Mount};
use valetkey::http::{HttpRequest, HttpResponse};
use valetkey::testing::{Host, ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections};

use crate::support::gateway::{BASE, Door, ORIGIN, header_of, json};

const PATH: &str = "/oauth/client.json";

fn gateway(connections: Connections) -> Gateway {
    let mount = Mount::new(ORIGIN).unwrap().under(BASE).unwrap();
    Gateway::new(connections, mount, Door)
}

fn get(url: &str) -> Request<Vec<u8>> {
    Request::get(url).body(Vec::new()).unwrap()
}

#[test]
fn an_authorization_server_reads_the_document_and_registers_nothing() {
    let url = format!("{ORIGIN}{BASE}{PATH}");
    let sandbox = Sandbox::playing_mcp(ManualClock::default());
    let connections = Connections::builder(SealedVault::in_memory())
        .mcp(McpClient::new("Acme Agent", "https://agent.example/callback").document_url(&url))
        .http_client(sandbox.clone())
        .build()
        .unwrap();
    let served = gateway(connections.clone());
    sandbox.read_client_documents_with(move |request: HttpRequest| {
        let answer = served.handle(get(request.url.path()));
        let (parts, body) = answer.into_parts();
        Ok(HttpResponse::new(parts.status, body))
    });

    let alice = ActingUser::authenticated("acme", "alice").unwrap();
    let consent = connections
        .start_mcp(&alice, Sandbox::MCP_SERVER, McpOptions::default())
        .unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let response = AuthorizationResponse::parse(&callback).unwrap();
    connections.complete(&alice, response, consent.binding()).unwrap();
    assert_eq!(
        sandbox.registered_clients(),
        [(Sandbox::MCP_ISSUER.to_owned(), url)]
    );
    assert_eq!(sandbox.count("/register"), 0);
}

#[test]
fn the_document_names_its_own_url_and_needs_no_sign_in() {
    let url = format!("{ORIGIN}{BASE}{PATH}");
    let connections = Connections::builder(SealedVault::in_memory())
        .mcp(McpClient::new("Acme Agent", "https://agent.example/callback").document_url(&url))
        .http_client(Sandbox::new(ManualClock::default()))
        .build()
        .unwrap();
    let gateway = gateway(connections);
    let answer = gateway.handle(get(&format!("{BASE}{PATH}")));
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header_of(&answer, "content-type"), Some("application/json"));
    assert_eq!(header_of(&answer, "cache-control"), Some("public, max-age=3600"));
    let document = json(&answer);
    assert_eq!(document["client_id"], url.as_str());
    assert_eq!(document["redirect_uris"][0], "https://agent.example/callback");
    assert_eq!(document.get("client_secret"), None);
    let mut post = get(&format!("{BASE}{PATH}"));
    *post.method_mut() = Method::POST;
    assert_eq!(gateway.handle(post).status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn a_host_without_a_document_serves_none() {
    let gateway = gateway(Host::new().connections);
    let answer = gateway.handle(get(&format!("{BASE}{PATH}")));
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
