//! The life cycle of two connections, without user input. Fails unless every step succeeds.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use valetkey::http::UreqClient;
use valetkey::model::Connection;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{Erasure, MasterKey, SqliteVault};
use valetkey::{ActingUser, Connections, ConsentOptions, Resolver};

use crate::host::{Host, acting_user};
use crate::support::browser::Browser;
use crate::support::loopback::Loopback;

type Outcome = Result<Connection, valetkey::Error>;

pub fn run() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("connections.db");

    // The example controls the clock of the library and the sandbox, so that a token can expire at
    // once.
    let clock = ManualClock::default();
    let server = Loopback::bind("127.0.0.1", 0)?;
    let sandbox = Sandbox::at(&server.origin(), clock.clone());
    println!("1. A sandbox authorization server listens at {}", server.origin());

    let application = Loopback::bind("127.0.0.1", 0)?;
    let redirect_uri = format!("{}/callback", application.origin());
    let connections = Connections::builder(SqliteVault::open(&file, MasterKey::generate()?)?)
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration(&redirect_uri))
        .http_client(UreqClient::new().dangerous_loopback_http())
        .dangerous_loopback_http()
        .clock(clock.clone())
        .build()?;
    println!(
        "2. The application listens at {}, its vault is {}",
        application.origin(),
        file.display()
    );

    let origin = application.origin();
    let (outcomes, reported) = channel();
    let host = Host {
        connections: connections.clone(),
        provider: "notes".into(),
        options: ConsentOptions::default(),
        outcomes,
    };
    let served = sandbox.clone();
    server.serve(move |request| served.handle(request));
    application.serve(move |request| host.handle(&request));

    let ada = acting_user("ada").ok_or("a valid name")?;
    let grace = acting_user("grace").ok_or("a valid name")?;
    consent(&origin, "ada", &reported)?;
    println!("3. Ada gave her consent in her browser; her tokens are sealed in the vault");
    consent(&origin, "grace", &reported)?;
    println!("4. Grace gave hers; it is another connection under another authorization");

    let resolver = Resolver::new(connections.clone());
    let adas = notes(&resolver, &ada)?;
    let graces = notes(&resolver, &grace)?;
    ensure(
        adas.contains("Note G") && !adas.contains("moth"),
        "Ada sees her own notes",
    )?;
    ensure(
        graces.contains("moth") && !graces.contains("Note G"),
        "Grace sees her own notes",
    )?;
    println!("5. A turn for each: Ada reads {adas}");
    println!("                    Grace reads {graces}");

    let before = resolver.resolve(&ada, "notes")?.generation();
    sandbox.clear_log();
    clock.advance(Duration::from_secs(2 * 3600));
    let after = resolver.resolve(&ada, "notes")?.generation();
    ensure(after == before + 1, "the token was renewed")?;
    ensure(sandbox.count("/token") == 1, "by one request")?;
    resolver.resolve(&ada, "notes")?;
    ensure(sandbox.count("/token") == 1, "and no more")?;
    println!(
        "6. Two hours later Ada's token had expired: one request refreshed it; it is now generation {after}"
    );

    let sealed = secrets_in(directory.path())?;
    ensure(
        sealed == 0,
        "no token of the server stands in a file in the clear",
    )?;
    println!("7. No token can be read in any file of the vault");

    revoke(&connections, &resolver, &sandbox, &grace, &file)?;
    ensure(notes(&resolver, &ada)? == adas, "Ada is not touched by it")?;
    println!("9. Ada's connection still works. Every step succeeded.");
    Ok(())
}

/// Walks through a consent as a browser would: the application's link, the server's page, its form,
/// the callback.
fn consent(origin: &str, person: &str, reported: &Receiver<Outcome>) -> Result<(), Box<dyn Error>> {
    let mut browser = Browser::new();
    let page = browser.open(&format!("{origin}/login/{person}"))?;
    let scopes = page.values("scope");
    ensure(!scopes.is_empty(), "the server asks what to allow")?;
    let mut form = vec![("account", person), ("decision", "allow")];
    form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    let page = browser.submit(&page, &form)?;
    ensure(
        page.status.is_success(),
        "the browser came back to the application",
    )?;
    let connection = reported.recv_timeout(Duration::from_secs(30))??;
    let account = connection.account.ok_or("the account is known")?;
    ensure(account.id == person, "it is the account that was chosen")
}

/// Returns the response of the protected API to this user.
fn notes(resolver: &Resolver, person: &ActingUser) -> Result<String, Box<dyn Error>> {
    let request = http::Request::get("/notes").body(Vec::new())?;
    let response = resolver.send(person, "notes", request)?;
    ensure(response.status().is_success(), "the API answered")?;
    Ok(String::from_utf8(response.into_body())?)
}

fn revoke(
    connections: &Connections,
    resolver: &Resolver,
    sandbox: &Sandbox,
    grace: &ActingUser,
    file: &Path,
) -> Result<(), Box<dyn Error>> {
    let connection = resolver.resolve(grace, "notes")?.connection();
    let before = sealed_tokens(file)?;
    let revocation = connections.revoke(grace, connection)?;
    ensure(revocation.here == Erasure::Cleared, "every file is free of it")?;
    ensure(sandbox.live_grants().len() == 1, "the server ended the grant")?;
    let error = resolver
        .resolve(grace, "notes")
        .err()
        .ok_or("a revoked connection resolves")?;
    let need = error.consent_required().ok_or("consent is asked for")?;

    let after = sealed_tokens(file)?;
    let erased: Vec<_> = before.difference(&after).collect();
    ensure(erased.len() == 2, "two sealed records were erased")?;
    ensure(
        !any_piece_in(&erased, file)?,
        "no piece of them is left in any file",
    )?;
    println!(
        "8. Grace revoked hers: {:?} here, {:?} at the server, and no 16 consecutive bytes of the ciphertext remain; \
         resolving says \"{need}\"",
        revocation.here, revocation.at_provider
    );
    Ok(())
}

/// Reads the sealed records from the file with plain SQL: ciphertext, as anyone with the file could
/// read it.
fn sealed_tokens(file: &Path) -> Result<BTreeSet<Vec<u8>>, Box<dyn Error>> {
    let database = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = database.prepare("SELECT access FROM secrets UNION ALL SELECT rest FROM secrets")?;
    let records = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(records)
}

/// Returns whether a file of the vault contains any sixteen consecutive bytes of these records.
fn any_piece_in(records: &[&Vec<u8>], file: &Path) -> Result<bool, Box<dyn Error>> {
    // A record is padded with zeros, which occur in every file.
    let sealed = |piece: &&[u8]| piece.iter().filter(|byte| **byte != 0).count() > 8;
    let pieces: BTreeSet<&[u8]> = records
        .iter()
        .flat_map(|record| record.windows(16))
        .filter(sealed)
        .collect();
    let directory = file.parent().ok_or("the file is in a directory")?;
    for entry in fs::read_dir(directory)? {
        let bytes = fs::read(entry?.path())?;
        if bytes.windows(16).any(|window| pieces.contains(window)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the number of occurrences of the sandbox's secrets in a file.
fn secrets_in(directory: &Path) -> Result<usize, Box<dyn Error>> {
    let mut found = 0;
    for entry in fs::read_dir(directory)? {
        let bytes = fs::read(entry?.path())?;
        let prefix = Sandbox::SECRET_PREFIX.as_bytes();
        found += bytes
            .windows(prefix.len())
            .filter(|window| *window == prefix)
            .count();
    }
    Ok(found)
}

fn ensure(held: bool, step: &str) -> Result<(), Box<dyn Error>> {
    if held {
        Ok(())
    } else {
        Err(format!("this step failed: {step}").into())
    }
}
