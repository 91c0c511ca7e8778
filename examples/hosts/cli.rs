//! A command-line program: its user connects a service in their browser, and the program calls it
//! as them.
//!
//! `cargo run --example host_cli`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::io;

use http::Request;
use support::browser::Browser;
use valetkey::testing::Sandbox;
use valetkey::vault::MasterKey;
use valetkey::{ActingUser, Connections, Resolver, SystemClock, loopback};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let sandbox = Sandbox::new(SystemClock);
    // A real program reads its key (`MasterKey::from_file`) and registers a client of a provider of
    // the catalog.
    let connections = Connections::open(directory.path().join("agent.db"), MasterKey::generate()?)?
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("http://127.0.0.1/callback"))
        .http_client(sandbox.clone())
        .build()?;
    let me = ActingUser::authenticated("local", "me")?;

    let connection = loopback::connect(&connections, &me, "notes", |url| {
        open_browser(&sandbox, url).map_err(|error| io::Error::other(error.to_string()))
    })?;
    let account = connection.account.and_then(|account| account.email);
    println!(
        "connected {} as {}",
        connection.provider,
        account.unwrap_or_default()
    );

    let turn = Resolver::new(connections).turn(me);
    let notes = turn.send("notes", Request::get("/notes").body(Vec::new())?)?;
    println!("notes: {}", String::from_utf8_lossy(notes.body()));
    Ok(())
}

/// Stands for `webbrowser::open` and the user's actions in the browser.
fn open_browser(sandbox: &Sandbox, url: &str) -> Result<(), Box<dyn Error>> {
    println!("the browser opens the consent page of {}", sandbox.base_url());
    let page = Browser::new().open(&sandbox.approve(url, "ada"))?;
    println!("the browser comes back and shows: {}", page.html.trim());
    Ok(())
}
