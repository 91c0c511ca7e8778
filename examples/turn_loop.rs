//! An agent that two people talk to. Each acts with their own authorization, and who has none is asked for it.
//!
//! `cargo run --example turn_loop`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;

use valetkey::protocol::AuthorizationResponse;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SqliteVault;
use valetkey::vault::envelope::MasterKey;
use valetkey::{
    ActingUser, ConnectionManager as _, Connections, ConsentOptions, Error as ValetkeyError, Resolver,
    TenantId, UserId,
};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    let connections = Connections::builder(SqliteVault::in_memory(MasterKey::generate()?)?)
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox.clone())
        .clock(clock)
        .build()?;
    let agent = Agent {
        resolver: Resolver::new(connections.clone()),
    };

    let acme = TenantId::new("acme")?;
    let ada = ActingUser::authenticated(acme.clone(), UserId::new("ada")?);
    let grace = ActingUser::authenticated(acme, UserId::new("grace")?);
    connect(&connections, &sandbox, &ada, "ada", ConsentOptions::default())?;

    let conversation = [
        (&ada, "What do my notes say?"),
        (&grace, "What do my notes say?"),
        (&ada, "And now?"),
    ];
    for (person, question) in conversation {
        println!("{}: {question}", person.user());
        match agent.turn(person)? {
            Reply::Answer(answer) => println!("agent: {answer}"),
            Reply::NeedsConsent(message, options) => {
                println!("agent: {message}");
                // Here a host shows its own link, and the person comes back through the browser.
                connect(&connections, &sandbox, person, person.user().as_str(), options)?;
                match agent.turn(person)? {
                    Reply::Answer(answer) => println!("agent: {answer}"),
                    Reply::NeedsConsent(message, _) => return Err(message.into()),
                }
            }
        }
    }
    Ok(())
}

/// What an agent says at the end of a turn.
enum Reply {
    Answer(String),
    NeedsConsent(String, ConsentOptions),
}

/// A toy agent with one tool: it reads the notes of whoever is talking to it.
struct Agent {
    resolver: Resolver,
}

impl Agent {
    fn turn(&self, person: &ActingUser) -> Result<Reply, Box<dyn Error>> {
        // The tool gets an answer of the API, never a token: there is nothing that it could leak.
        let request = http::Request::get("/notes").body(Vec::new())?;
        match self.resolver.send(person, "notes", request) {
            Ok(response) => Ok(Reply::Answer(String::from_utf8(response.into_body())?)),
            Err(ValetkeyError::ConsentRequired(need)) => {
                let message = format!("I cannot do that yet ({need}). Please connect your notes.");
                Ok(Reply::NeedsConsent(message, ConsentOptions::from(&*need)))
            }
            Err(error) if error.is_retryable() => {
                Ok(Reply::Answer(format!("Please ask again in a while: {error}.")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a person does in their browser, done by the sandbox.
fn connect(
    connections: &Connections,
    sandbox: &Sandbox,
    person: &ActingUser,
    account: &str,
    options: ConsentOptions,
) -> Result<(), Box<dyn Error>> {
    let consent = connections.start(person, "notes", options)?;
    let callback = sandbox.approve(consent.authorization_url(), account);
    connections.complete(
        person,
        AuthorizationResponse::parse(&callback)?,
        consent.binding(),
    )?;
    println!("       ({} connected the account {account})", person.user());
    Ok(())
}
