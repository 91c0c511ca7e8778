//! Vaults full of people who have connected something.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection as Database;
use valetkey::model::{Connection, ConnectionId, IssuedBy, Owner, ProviderId};
use valetkey::testing::Sandbox;
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{Grant, SqliteVault, StateHash, StoreOutcome, Tokens, Vault};
use valetkey::{
    AccessToken, ActingUser, Clock as _, Connections, RefreshToken, SystemClock, TenantId, UserId,
};

/// The size of an access token that most providers issue.
pub const TOKEN_BYTES: usize = 570;

pub fn user(person: usize) -> String {
    format!("person-{person:05}")
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").expect("valid")
}

pub fn person(number: usize) -> ActingUser {
    ActingUser::authenticated(tenant(), UserId::new(user(number)).expect("valid"))
}

/// Somebody who has not connected anything.
pub fn stranger() -> ActingUser {
    ActingUser::authenticated(tenant(), UserId::new("nobody").expect("valid"))
}

pub fn master_key() -> MasterKey {
    MasterKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").expect("a key")
}

pub fn vault(path: &Path) -> SqliteVault {
    SqliteVault::open(path, master_key()).expect("a vault")
}

pub fn connections(vault: SqliteVault) -> Connections {
    let sandbox = Sandbox::new(SystemClock);
    Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("sandbox"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox)
        .build()
        .expect("connections")
}

pub fn connect_all(vault: &dyn Vault, people: usize) {
    for number in 0..people {
        store(vault, &connected(&person(number)));
    }
}

/// A connection that needs no renewal for a month.
pub fn connected(person: &ActingUser) -> Connection {
    let now = SystemClock.now();
    let mut connection = Connection::new(
        ConnectionId::generate(now).expect("random numbers"),
        person.tenant().clone(),
        Owner::Personal(person.user().clone()),
        ProviderId::new("sandbox").expect("valid"),
        issued_by_the_sandbox(),
        now,
    );
    connection.refreshable = true;
    connection.expires_at = Some(now + Duration::from_secs(30 * 24 * 3600));
    connection
}

/// A refresh token goes only to where it came from.
fn issued_by_the_sandbox() -> IssuedBy {
    let sandbox = Sandbox::new(SystemClock);
    let server = sandbox.server();
    IssuedBy {
        token_endpoint: server.token_endpoint,
        server: server.id,
        client_id: sandbox
            .registration("https://app.test/callback")
            .client_id()
            .to_owned(),
    }
}

pub fn tokens() -> Tokens {
    Tokens {
        access_token: AccessToken::new("x".repeat(TOKEN_BYTES)),
        refresh_token: Some(RefreshToken::new("r".repeat(100))),
        id_token: None,
    }
}

pub fn store(vault: &dyn Vault, connection: &Connection) {
    let consent = StateHash::from_bytes([0; 32]);
    let tokens = tokens();
    let grant = Grant {
        consent: &consent,
        connection,
        tokens: &tokens,
        members: &[],
    };
    assert_eq!(vault.store_grant(&grant).expect("stored"), StoreOutcome::Stored);
}

/// Copies every row of a vault that is closed, under other names, until there are so many. The copies do not open; they make
/// the tables as large as those of a vault that has grown, in seconds instead of minutes.
pub fn multiply(path: &Path, times: usize) {
    let database = Database::open(path).expect("a database");
    database
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE;")
        .expect("a transaction");
    let last: i64 = database
        .query_row("SELECT max(slot) FROM secrets", [], |row| row.get(0))
        .expect("a slot");
    database
        .execute_batch(
            "CREATE TEMP TABLE grown AS SELECT * FROM connections;
             CREATE TEMP TABLE sealed AS SELECT * FROM secrets WHERE slot IN (SELECT slot FROM connections);",
        )
        .expect("copies");
    for time in 1..i64::try_from(times).expect("a count") {
        database
            .execute_batch(&format!(
                "UPDATE temp.grown SET id = NULL, uuid = randomblob(16), slot = slot + {last},
                        owner = substr(owner, 1, 12) || '-{time}';
                 UPDATE temp.sealed SET slot = slot + {last};
                 INSERT INTO connections SELECT * FROM temp.grown;
                 INSERT INTO secrets SELECT * FROM temp.sealed;"
            ))
            .expect("more rows");
    }
    database
        .execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
        .expect("committed");
}

/// Walks round in an order that is not that of the rows.
pub fn step(next: &Cell<usize>, count: usize) -> usize {
    next.set((next.get() + 37) % count);
    next.get()
}
