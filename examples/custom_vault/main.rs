//! A host's own vault, over the database that it already has, put through the contract suite.
//!
//! `cargo run --example custom_vault`
//!
//! ```text
//! main     the proof: the contract, a day's work, and a look at every stored byte
//! vault    the trait, method by method: load, let `lifecycle` decide, store
//! outbox   revocations that wait for their provider
//! sharing  one grant for several connections: who joins, who leaves
//! audit    what is told of each change, in its batch
//! forget   erasing a person or a workspace
//! rows     connections and consents as rows
//! sealing  data keys, and what is sealed with them: all that touches cryptography
//! shelf    the stand-in for the database: put yours in its place
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]
#![allow(unreachable_pub, reason = "the modules of an example")]

mod audit;
mod forget;
mod outbox;
mod rows;
mod sealing;
mod sharing;
mod shelf;
mod vault;

use std::error::Error;
use std::sync::Arc;

use valetkey::protocol::AuthorizationResponse;
use valetkey::testing::{ManualClock, Sandbox, vault_contract};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{SqliteVault, VaultError};
use valetkey::{ActingUser, ConnectionManager as _, Connections, ConsentOptions, Resolver, TenantId, UserId};

use shelf::Shelf;
use vault::ShelfVault;

fn main() -> Result<(), Box<dyn Error>> {
    vault_contract::check(&|| Arc::new(empty_shelf().expect("an empty vault on a shelf")));
    println!("the vault on the shelf keeps the whole contract");
    vault_contract::check(&|| Arc::new(empty_sqlite().expect("an empty vault in SQLite")));
    println!("the built-in SQLite vault keeps the same one");

    let shelf = Arc::new(Shelf::default());
    let key = MasterKey::generate()?;
    let same_key = MasterKey::from_base64(&key.to_base64())?;
    let sandbox = Sandbox::new(ManualClock::default());
    let ada = ActingUser::authenticated(TenantId::new("acme")?, UserId::new("ada")?);

    let connections = connections(ShelfVault::open(Arc::clone(&shelf), key)?, &sandbox)?;
    let consent = connections.start(&ada, "notes", ConsentOptions::default())?;
    let mut rows = shelf.dump();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let response = AuthorizationResponse::parse(&callback)?;
    let connection = connections.complete(&ada, response, consent.binding())?;
    connections.refresh(&ada, connection.id)?;
    println!("ada has connected her notes, and the tokens were refreshed once");

    rows.extend(shelf.dump());
    let is_shown = |text: &str| {
        rows.iter()
            .any(|row| row.windows(text.len()).any(|part| part == text.as_bytes()))
    };
    let mut secrets = sandbox.issued_secrets();
    for request in sandbox.log() {
        secrets.extend(request.parameter("code_verifier").map(str::to_owned));
    }
    assert!(secrets.len() > 4, "two pairs of tokens, and more");
    assert!(
        !secrets.iter().any(|secret| is_shown(secret)),
        "a token lies open"
    );
    // The same search does find what is no secret: it is not blind.
    assert!(is_shown("notes") && is_shown("ada"));
    println!(
        "none of the {} tokens, codes and verifiers lies open in any row",
        secrets.len()
    );

    let stranger = ShelfVault::open(Arc::clone(&shelf), MasterKey::generate()?);
    assert!(matches!(stranger, Err(VaultError::WrongMasterKey)));
    let reopened = self::connections(ShelfVault::open(shelf, same_key)?, &sandbox)?;
    let token = Resolver::new(reopened).resolve(&ada, "notes")?;
    assert!(
        sandbox.is_live(token.access_token().expose_secret()),
        "it is the newest one"
    );
    println!("after a restart: a wrong master key is refused, the right one gives the newest token");
    Ok(())
}

fn empty_shelf() -> Result<ShelfVault, VaultError> {
    ShelfVault::open(Arc::default(), MasterKey::generate()?)
}

fn empty_sqlite() -> Result<SqliteVault, VaultError> {
    SqliteVault::in_memory(MasterKey::generate()?)
}

fn connections(vault: ShelfVault, sandbox: &Sandbox) -> Result<Connections, Box<dyn Error>> {
    Ok(Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox.clone())
        .clock(ManualClock::default())
        .build()?)
}
