//! A host's upkeep: one thread, no runtime, any number of processes.
//!
//! `cargo run --example upkeep`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use valetkey::connections::Budget;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    let connections = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox.clone())
        .clock(clock.clone())
        .build()?;
    let ada = ActingUser::authenticated("acme", "ada")?;
    let consent = connections.start(&ada, "notes", ConsentOptions::default())?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    connections.complete(&ada, AuthorizationResponse::parse(&callback)?, consent.binding())?;

    // An hour passes. The token is about to expire, and no caller is waiting for it.
    clock.advance(Duration::from_secs(3_400));

    let (stop, stopped) = channel::<()>();
    let worker = thread::spawn(move || {
        loop {
            let wait = match connections.maintain(Budget::default()) {
                Ok(upkeep) => {
                    println!(
                        "{} refreshed, {} failed; again in {:?}",
                        upkeep.refreshed, upkeep.failed, upkeep.next
                    );
                    upkeep.next
                }
                // The vault is busy or the disk is full; the next round repeats the work.
                Err(error) => {
                    println!("upkeep failed: {error}");
                    Duration::from_secs(60)
                }
            };
            // Sleeps until the next round, or until the host shuts down.
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    });

    // The host would do its own work here. The example waits until the refresh shows.
    while sandbox.count("/token") < 2 {
        thread::yield_now();
    }
    drop(stop);
    worker.join().map_err(|_| "the worker panicked")?;
    println!("the token was refreshed before a turn had to wait for it");
    Ok(())
}
