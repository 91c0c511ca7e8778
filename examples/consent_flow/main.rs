//! The main job: a consent in a browser, the token sealed in a vault, a turn that acts with it.
//!
//! ```text
//! cargo run --example consent_flow                        # two people, a sandbox on loopback, nobody asked
//! cargo run --example consent_flow -- --browser           # you are the person; the server is the sandbox
//! cargo run --example consent_flow -- --provider gmail    # you, and the real service (VALETKEY_CLIENT_ID, …_SECRET)
//! cargo run --example consent_flow -- --server URL …      # you, and any server: see --help
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to its reader"
)]
#![allow(unreachable_pub, reason = "the modules of an example")]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod by_hand;
mod host;
mod unattended;

use std::process::ExitCode;

use arguments::{Arguments, Mode};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    let outcome = match arguments.mode {
        Mode::Unattended => unattended::run(),
        Mode::Sandbox | Mode::Catalogue(_) | Mode::Server(_) => by_hand::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("✗ {error}");
            ExitCode::FAILURE
        }
    }
}
