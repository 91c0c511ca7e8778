//! A service for many customers, each of whom brings their own OAuth app.
//!
//! `cargo run --example host_saas`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use valetkey::model::ServerId;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{
    ActingUser, AuthorizationResponse, Connections, ConsentOptions, Operator, Resolver, TenantId,
};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    // A real service keeps its customers' apps in a database, and a copy of them in memory.
    let mut apps = HashMap::new();
    for tenant in ["acme", "globex"] {
        let app = sandbox.registration(&format!("https://{tenant}.example/callback"));
        apps.insert(TenantId::new(tenant)?, Arc::new(app));
    }
    let connections = Connections::builder(SealedVault::in_memory())
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .clients(move |tenant: &TenantId, server: &ServerId| {
            Ok(apps.get(tenant).filter(|_| server.as_str() == "sandbox").cloned())
        })
        .http_client(sandbox.clone())
        .clock(clock)
        .build()?;

    for tenant in ["acme", "globex"] {
        // The same name in two workspaces denotes two users.
        let ada = ActingUser::authenticated(tenant, "ada")?;
        let turn = Resolver::new(connections.clone()).turn(ada.clone());
        println!("{tenant}: {}", turn.resolve("notes").unwrap_err());
        let consent = connections.start(&ada, "notes", ConsentOptions::default())?;
        let callback = sandbox.approve(consent.authorization_url(), "ada");
        let came_back_to = callback.split('?').next().unwrap_or_default();
        println!("{tenant}: the browser came back to {came_back_to}");
        let response = AuthorizationResponse::parse(&callback)?;
        connections.complete(&ada, response, consent.binding())?;
        let token = turn.resolve("notes")?;
        let counts = connections.counts(&Operator::authenticated(tenant, "olga")?)?;
        let active = counts["notes"].active;
        println!(
            "{tenant}: {} resolves; connections in this workspace: {active}",
            token.provider()
        );
    }
    Ok(())
}
