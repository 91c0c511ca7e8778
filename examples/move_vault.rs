//! Moves a vault from a file into PostgreSQL, or into another file under another master key.
//!
//! `cargo run --example move_vault`
//!
//! With `--features postgres` and `DATABASE_URL=postgres://agent@localhost/agent`, the target is
//! that database.
//!
//! The schema `moved_vault` of the database must not exist yet.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use valetkey::connections::ConnectionFilter;
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, SqliteVault, Transfer, TransferProgress, Vault};
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver, SystemClock};

const USERS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let sandbox = Sandbox::new(SystemClock);
    let source: Arc<dyn Vault> = Arc::new(SqliteVault::open(
        directory.path().join("agent.db"),
        MasterKey::generate()?,
    )?);
    let connections = host(&source, &sandbox)?;
    for number in 0..USERS {
        connect(&connections, &sandbox, &user(number)?)?;
    }
    println!("{USERS} users have connected their notes; the vault is a file");

    // In production, stop the hosts here.
    let target = target(directory.path())?;
    let moved = Transfer::new(&source, &target).run(show)?;
    println!(
        "\nmoved and verified: {} connections, {} grants, {} audit entries",
        moved.connections, moved.grants, moved.audit_entries
    );

    // Start them again with the new vault.
    let resolver = Resolver::new(host(&target, &sandbox)?);
    let token = resolver.resolve(&user(USERS / 2)?, "notes")?;
    assert!(sandbox.is_live(token.access_token().expose_secret()));
    println!("a token is resolved from the new vault");

    // A host that was forgotten cannot use up a refresh token that the new vault has.
    let ada = user(0)?;
    let id = connections.list(&ada, &ConnectionFilter::default())?[0].id;
    let refused = connections
        .refresh(&ada, id)
        .err()
        .ok_or("the old vault still refreshes")?;
    println!("a refresh from the old vault: {refused}");
    Ok(())
}

fn user(number: usize) -> Result<ActingUser, Box<dyn Error>> {
    Ok(ActingUser::authenticated("acme", format!("user-{number}"))?)
}

fn host(vault: &Arc<dyn Vault>, sandbox: &Sandbox) -> Result<Connections, Box<dyn Error>> {
    Ok(Connections::builder(Arc::clone(vault))
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox.clone())
        .build()?)
}

fn connect(connections: &Connections, sandbox: &Sandbox, user: &ActingUser) -> Result<(), Box<dyn Error>> {
    let consent = connections.start(user, "notes", ConsentOptions::default())?;
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    connections.complete(user, AuthorizationResponse::parse(&callback)?, consent.binding())?;
    Ok(())
}

/// Opens the new vault: in the database that `DATABASE_URL` names, or in another file.
fn target(directory: &Path) -> Result<Arc<dyn Vault>, Box<dyn Error>> {
    let key = MasterKey::generate()?;
    if let Some(url) = std::env::var_os("DATABASE_URL") {
        let url = url.into_string().map_err(|_| "DATABASE_URL is not text")?;
        return in_database(&url, key);
    }
    println!("it moves into another file; set DATABASE_URL to move it into PostgreSQL");
    Ok(Arc::new(SqliteVault::open(directory.join("moved.db"), key)?))
}

#[cfg(feature = "postgres")]
fn in_database(url: &str, key: MasterKey) -> Result<Arc<dyn Vault>, Box<dyn Error>> {
    let options = valetkey::vault::PostgresOptions::new(url)?.schema("moved_vault")?;
    println!("it moves into PostgreSQL");
    Ok(Arc::new(options.connect(key)?))
}

#[cfg(not(feature = "postgres"))]
fn in_database(_: &str, _: MasterKey) -> Result<Arc<dyn Vault>, Box<dyn Error>> {
    Err("add --features postgres to move into the database of DATABASE_URL".into())
}

/// Draws the progress on one line.
fn show(progress: TransferProgress) {
    const WIDTH: u64 = 40;
    let filled = (progress.done * WIDTH)
        .checked_div(progress.total)
        .unwrap_or(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if at < filled { '#' } else { '.' }).collect();
    let phase = progress.phase;
    print!("\r{phase:<9} [{bar}] {} of {}", progress.done, progress.total);
    // The line is only for the eye.
    let _ = std::io::stdout().flush();
}
