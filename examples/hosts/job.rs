//! A nightly job: it acts for users who are absent, mails a link to those who must connect, and
//! leaves upkeep to a thread.
//!
//! `cargo run --example host_job`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::sync::mpsc::channel;
use std::time::Duration;

use http::Request;
use valetkey::gateway::Mount;
use valetkey::testing::Host;
use valetkey::{Error as ValetkeyError, UpkeepGuard};

fn main() -> Result<(), Box<dyn Error>> {
    let host = Host::new();
    let mount = Mount::new("https://agent.example")?.under("/connections")?;
    host.connect(&host.user("ada"), "notes");
    // The token is about to expire, and no caller is waiting for it.
    host.clock.advance(Duration::from_secs(3_400));

    let (sender, runs) = channel();
    let upkeep = UpkeepGuard::options()
        .on_run(move |result| {
            let _ = sender.send(result.as_ref().map_or(0, |report| report.refreshed));
        })
        .spawn(host.connections.clone())?;
    println!("upkeep refreshed {} grant", runs.recv()?);

    for person in ["ada", "grace"] {
        let turn = host.resolver.turn(host.user(person)).purpose("nightly digest")?;
        match turn.send("notes", Request::get("/notes").body(Vec::new())?) {
            Ok(notes) => println!("{person}: {}", String::from_utf8_lossy(notes.body())),
            Err(ValetkeyError::ConsentRequired(need)) => {
                // Only this user can use the link, so it can be mailed.
                let link = mount.connect_url(turn.ask(&need)?.prepared().ticket());
                println!("{person}: mailed a link of {} characters", link.len());
            }
            Err(error) if error.is_retryable() => println!("{person}: tomorrow"),
            Err(error) => println!("{person}: ask an administrator: {error}"),
        }
    }
    drop(upkeep);
    println!("upkeep has ended");
    Ok(())
}
