//! A service that the catalogue does not contain: its descriptor, and a consent with it.
//!
//! `cargo run --example custom_provider`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;

use valetkey::provider::{AuthorizationServer, DescriptorFile};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};

/// The descriptor of the service. Each deviation from the defaults is a member of the document;
/// `docs/descriptors.md` describes them all.
const DESCRIPTORS: &str = r#"{
    "servers": [{
        "id": "example",
        "issuer": "https://sandbox.test",
        "authorization_endpoint": "https://sandbox.test/authorize",
        "token_endpoint": "https://sandbox.test/token",
        "client_authentication": "basic",
        "rotation": "single_use",
        "revocation": { "endpoint": { "url": "https://sandbox.test/revoke" } }
    }],
    "providers": [{
        "id": "notebook",
        "server": "example",
        "name": "Example Notebook",
        "default_scopes": ["notes.read"],
        "api_base": "https://sandbox.test/api",
        "account": {
            "url": "https://sandbox.test/userinfo",
            "id": ["/sub"], "email": ["/email"], "label": ["/name"]
        }
    }]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = DescriptorFile::from_json(DESCRIPTORS)?;
    let sandbox = Sandbox::new(ManualClock::default());
    // The sandbox plays the server: it requires Basic authentication, and a refresh token can be
    // used once.
    sandbox.adjust(|it| it.behave_as(&descriptors.servers[0]));

    let connections = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .descriptors(descriptors)
        .client("example", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox.clone())
        .clock(ManualClock::default())
        .build()?;

    let ada = ActingUser::authenticated("acme", "ada")?;
    let consent = connections.start(&ada, "notebook", ConsentOptions::default())?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection =
        connections.complete(&ada, AuthorizationResponse::parse(&callback)?, consent.binding())?;
    println!(
        "connected {} with {}",
        connection.account.map_or_else(String::new, |account| account.id),
        connection.granted
    );

    let request = http::Request::get("/notes").body(Vec::new())?;
    let response = Resolver::new(connections).send(&ada, "notebook", request)?;
    println!("read {} bytes", response.body().len());

    // A mistake is reported when the connections are built, with its location.
    let plain = AuthorizationServer::from_json(
        r#"{
            "id": "plain",
            "authorization_endpoint": "https://sandbox.test/authorize",
            "token_endpoint": "http://sandbox.test/token"
        }"#,
    )?;
    let refused = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .server(plain)
        .build();
    println!(
        "a plain-http endpoint is refused: {}",
        refused.err().ok_or("it was not refused")?
    );
    Ok(())
}
