//! A user connects their notes, and an agent reads them.
//!
//! `cargo run --example hello`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;

use http::Request;
use valetkey::testing::Host;
use valetkey::{ActingUser, AuthorizationResponse, ConsentOptions};

fn main() -> Result<(), Box<dyn Error>> {
    // Connections and a resolver, with a vault in memory and a sandbox in place of a provider.
    let host = Host::new();
    let ada = ActingUser::authenticated("acme", "ada")?;

    // Ada's browser goes to the provider, where she allows everything, and returns with a code.
    let consent = host.connections.start(&ada, "notes", ConsentOptions::default())?;
    let callback = host.sandbox.approve(consent.authorization_url(), "ada");
    let response = AuthorizationResponse::parse(&callback)?;
    let connection = host.connections.complete(&ada, response, consent.binding())?;
    println!("Ada connected {}", connection.provider);

    let turn = host.resolver.turn(ada);
    let answer = turn.send("notes", Request::get("/notes").body(Vec::new())?)?;
    println!("the agent read {}", String::from_utf8_lossy(answer.body()));
    Ok(())
}
