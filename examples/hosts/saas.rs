//! A service for many customers, each of whom brings an OAuth app of their own.
//!
//! `cargo run --example host_saas`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use valetkey::model::ServerId;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::MemoryVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver, TenantId};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    // The apps of two customers. A real service keeps them in its database, where they can change at any time.
    let apps = BTreeMap::from([
        (
            "acme",
            Arc::new(sandbox.registration("https://acme.example/callback")),
        ),
        (
            "globex",
            Arc::new(sandbox.another_registration("globex", "https://globex.example/callback")),
        ),
    ]);
    let connections = Connections::builder(MemoryVault::new())
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .clients(move |tenant: &TenantId, _: &ServerId| Ok(apps.get(tenant.as_str()).cloned()))
        .http_client(sandbox.clone())
        .clock(clock)
        .build()?;
    let resolver = Resolver::new(connections.clone());

    for tenant in ["acme", "globex"] {
        // The same name in two workspaces is two people.
        let turn = resolver.turn(ActingUser::authenticated(tenant, "ada")?);
        println!("{tenant}: {}", turn.resolve("notes").unwrap_err());
        let consent = connections.start(turn.acting_user(), "notes", ConsentOptions::default())?;
        let callback = sandbox.approve(consent.authorization_url(), "ada");
        let response = AuthorizationResponse::parse(&callback)?;
        connections.complete(turn.acting_user(), response, consent.binding())?;
        println!("{tenant}: connected to {}", turn.resolve("notes")?.provider());
    }
    Ok(())
}
