//! A service that the catalogue does not have: its descriptor, and a consent with it.
//!
//! `cargo run --example custom_provider`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;

use valetkey::model::{ProviderId, ServerId};
use valetkey::provider::{
    AccountEndpoint, ApiHost, AuthorizationServer, ClientAuthentication, Provider, Revocation,
    RevocationAuth, RevocationTokens, RotationClass,
};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::new(ManualClock::default());
    // The sandbox plays a server that wants Basic authentication and rotates without mercy.
    sandbox.adjust(|personality| {
        personality.client_authentication = ClientAuthentication::Basic;
        personality.rotation = RotationClass::SingleUse;
    });

    let mut server = AuthorizationServer::new(
        ServerId::new("example")?,
        "https://sandbox.test/authorize",
        "https://sandbox.test/token",
    );
    server.client_authentication = ClientAuthentication::Basic;
    server.rotation = RotationClass::SingleUse;
    server.revocation = Revocation::Endpoint {
        url: "https://sandbox.test/revoke".into(),
        authentication: RevocationAuth::SameAsToken,
        tokens: RevocationTokens::Both,
        grant_wide: false,
    };
    server.issuer = Some("https://sandbox.test".into());

    let hosts = vec![ApiHost::under("https://sandbox.test", "/api")];
    let mut provider = Provider::new(
        ProviderId::new("notebook")?,
        server.id.clone(),
        "Example Notebook",
        hosts,
    );
    provider.default_scopes = "notes.read".parse()?;
    provider.api_base = Some("https://sandbox.test/api".into());
    provider.account = Some(AccountEndpoint {
        url: "https://sandbox.test/userinfo".into(),
        id: vec!["/sub".into()],
        email: vec!["/email".into()],
        label: vec!["/name".into()],
    });

    let connections = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .server(server.clone())
        .provider(provider.clone())
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

    // A mistake is found when the connections are built, and says where it is.
    server.token_endpoint = "http://sandbox.test/token".into();
    let refused = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .server(server)
        .provider(provider)
        .build();
    println!(
        "a plain-http endpoint is refused: {}",
        refused.err().ok_or("it was not refused")?
    );
    Ok(())
}
