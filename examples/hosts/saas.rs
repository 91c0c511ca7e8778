//! A service for many customers, each of whom brings an OAuth app of their own.
//!
//! `cargo run --example host_saas`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::sync::Arc;

use valetkey::AuthorizationResponse;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::MemoryVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Operator, Resolver};

/// The redirect URI of each customer's app. A real service reads the apps from its database.
const APPS: [(&str, &str); 2] = [
    ("acme", "https://acme.example/callback"),
    ("globex", "https://globex.example/callback"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    let vault = Arc::new(MemoryVault::new());
    for (tenant, redirect_uri) in APPS {
        let connections = Connections::builder(Arc::clone(&vault))
            .server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .client("sandbox", sandbox.registration(redirect_uri))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()?;

        // The same name in two workspaces is two people.
        let ada = ActingUser::authenticated(tenant, "ada")?;
        let resolver = Resolver::new(connections.clone());
        let need = resolver.turn(ada.clone()).resolve("notes").unwrap_err();
        println!("{tenant}: {need}");
        let consent = connections.start(&ada, "notes", ConsentOptions::default())?;
        let callback = sandbox.approve(consent.authorization_url(), "ada");
        println!(
            "{tenant}: the browser came back to {}",
            callback.split('?').next().unwrap_or_default()
        );
        let response = AuthorizationResponse::parse(&callback)?;
        connections.complete(&ada, response, consent.binding())?;
        let token = resolver.turn(ada).resolve("notes")?;
        let counts = connections.counts(&Operator::authenticated(tenant, "olga")?)?;
        println!(
            "{tenant}: {} resolves, {} connection in this workspace",
            token.provider(),
            counts["notes"].active
        );
    }
    Ok(())
}
