//! The main use: a consent in a browser, a token sealed in a vault, and a turn that acts with it.
//!
//! ```text
//! cargo run --example consent_flow                      # two users, a sandbox, no input
//! cargo run --example consent_flow -- --browser         # you are the user, at a sandbox
//! cargo run --example consent_flow -- --provider gmail  # you, at the real service
//! cargo run --example consent_flow -- --server URL …    # you, at any server: see --help
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
