//! A complete demonstration in a browser, without any setup: a host, its users, the gateway's page,
//! and a provider that grants everything.
//!
//! ```text
//! cargo run --example gateway              # prints an address; open it, sign in, connect, revoke
//! cargo run --example gateway -- --check   # walks through it alone and exits
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to its reader"
)]
#![allow(unreachable_pub, reason = "the modules of an example")]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod host;
mod people;
mod seeds;
mod services;
mod world;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use support::loopback::Loopback;
use valetkey::connections::Budget;
use world::World;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: gateway [--check]");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("✗ {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), Box<dyn Error>> {
    let provider = Loopback::bind("127.0.0.1", 0)?;
    // The same port each time, if it is free, so that an open tab keeps working.
    let port = if check { 0 } else { 8686 };
    let site = Loopback::bind("127.0.0.1", port).or_else(|_| Loopback::bind("127.0.0.1", 0))?;
    let origin = site.origin();

    let World { host, sandbox, seeds } = World::build(&origin, &provider.origin())?;
    let connections = host.connections.clone();
    provider.serve(move |request| sandbox.handle(request));
    site.serve(move |request| host.handle(request));
    seeds.sow()?;

    if check {
        return check::walk(&origin);
    }
    println!("The page is at    {origin}/");
    println!("The provider is   a sandbox in this process; its accounts are fictitious.");
    println!("Sign in as Ada to connect something, as Olga to manage all connections.");
    println!("Nothing is stored on disk. Press Ctrl-C to stop.");
    loop {
        // The host calls `maintain`: here every few seconds, so that "last used" shows soon.
        connections.maintain(Budget::default())?;
        std::thread::sleep(Duration::from_secs(5));
    }
}
