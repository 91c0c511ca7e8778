//! Vaults full of connected users.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection as Database;
use valetkey::internals::model::{Grant, IssuedBy, new_connection};
use valetkey::internals::random::uuid_v7;
use valetkey::internals::secret::RefreshToken;
use valetkey::internals::vault::{
    Attempt, ClaimOutcome, ClaimRequest, CommitOutcome, ConnectionQuery, GrantStore, NewGrant, RefreshStore,
    Refreshed, StateHash, StoreOutcome, Tokens,
};
use valetkey::model::{Connection, ConnectionId, GrantId, Owner, ProviderId, Timestamp};
use valetkey::testing::Sandbox;
use valetkey::vault::{MasterKey, SqliteVault, Vault};
use valetkey::{AccessToken, ActingUser, Clock as _, Connections, SystemClock, TenantId};

/// The length of an access token at most providers.
pub const TOKEN_BYTES: usize = 570;

pub fn user(person: usize) -> String {
    format!("person-{person:05}")
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").expect("valid")
}

pub fn person(number: usize) -> ActingUser {
    ActingUser::authenticated(tenant(), user(number)).expect("valid")
}

/// A user without a connection.
pub fn stranger() -> ActingUser {
    ActingUser::authenticated(tenant(), "nobody").expect("valid")
}

pub fn master_key() -> MasterKey {
    MasterKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").expect("a key")
}

pub fn vault(path: &Path) -> SqliteVault {
    SqliteVault::open(path, master_key()).expect("a vault")
}

pub fn connections(vault: impl Vault) -> Connections {
    let sandbox = Sandbox::new(SystemClock);
    Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("sandbox"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(sandbox)
        .build()
        .expect("connections")
}

pub fn connect_all(vault: &impl GrantStore, people: usize) {
    for number in 0..people {
        connect(vault, &person(number));
    }
}

/// Stores a new connection of this user, and returns it.
pub fn connect(vault: &impl GrantStore, person: &ActingUser) -> Connection {
    let now = SystemClock.now();
    let grant = granted(person, now);
    let connection = new_connection(
        ConnectionId::from_bytes(uuid_v7(now.as_unix_millis()).expect("random numbers")),
        &grant,
    );
    store(vault, &grant, &connection);
    connection
}

/// Stores a new connection of this user to a provider at another server.
pub fn connect_at(vault: &impl GrantStore, person: &ActingUser, provider: &str, issued_by: IssuedBy) {
    let now = SystemClock.now();
    let mut grant = granted(person, now);
    grant.provider = ProviderId::new(provider).expect("valid");
    grant.issued_by = issued_by;
    let id = ConnectionId::from_bytes(uuid_v7(now.as_unix_millis()).expect("random numbers"));
    store(vault, &grant, &new_connection(id, &grant));
}

/// Stores a new grant for a connection, as another consent of its owner would.
pub fn connect_again(vault: &impl GrantStore, person: &ActingUser, connection: &mut Connection) {
    let mut grant = granted(person, SystemClock.now());
    grant.generation = connection.generation + 1;
    store(vault, &grant, connection);
    (connection.grant, connection.generation) = (grant.id, grant.generation);
}

/// Returns the only connection of this user, or one of them.
pub fn connection_of(vault: &impl GrantStore, person: &ActingUser) -> Connection {
    let owner = Owner::Personal(person.user().clone());
    let mut query = ConnectionQuery::of(person.tenant());
    query.owner = Some(&owner);
    vault.connections(&query).expect("a list").remove(0)
}

/// Claims the refresh of a connection's grant, and stores the next tokens.
pub fn refresh(vault: &impl RefreshStore, connection: &mut Connection) {
    let now = SystemClock.now();
    let claim = vault
        .claim_refresh(&ClaimRequest {
            tenant: &connection.tenant,
            grant: connection.grant,
            holder: vault.holder().expect("a holder"),
            generation: connection.generation,
            attempt: Attempt::Forced,
            now,
            lease: Duration::from_secs(30),
        })
        .expect("a claim");
    let ClaimOutcome::Granted(claimed) = claim else {
        panic!("nobody else claims");
    };
    let tokens = tokens();
    let refreshed = Refreshed {
        refresh_token_expires_at: None,
        tokens: &tokens,
        granted: None,
        expires_at: connection.expires_at,
        lifetime: None,
        at: now,
        by: None,
    };
    let committed = vault
        .commit_refresh(&connection.tenant, connection.grant, &claimed.claim, &refreshed)
        .expect("a commit");
    assert_eq!(committed, CommitOutcome::Stored);
    connection.generation += 1;
}

/// A grant that needs no refresh for a month.
fn granted(person: &ActingUser, now: Timestamp) -> Grant {
    let mut grant = Grant::new(
        GrantId::from_bytes(uuid_v7(now.as_unix_millis()).expect("random numbers")),
        person.tenant().clone(),
        Owner::Personal(person.user().clone()),
        ProviderId::new("sandbox").expect("valid"),
        issued_by_the_sandbox(),
        now,
    );
    grant.refreshable = true;
    grant.expires_at = Some(now + Duration::from_secs(30 * 24 * 3600));
    grant
}

/// A refresh token is sent only to the server that issued it.
pub fn issued_by_the_sandbox() -> IssuedBy {
    let sandbox = Sandbox::new(SystemClock);
    let server = sandbox.server();
    IssuedBy {
        server: server.id.clone(),
        refresh_endpoint: server.token_endpoint.clone(),
        token_endpoint: server.token_endpoint.clone(),
        revocation_endpoint: None,
        client_id: sandbox
            .registration("https://app.test/callback")
            .client_id()
            .to_owned(),
    }
}

fn tokens() -> Tokens {
    Tokens {
        access_token: AccessToken::new("x".repeat(TOKEN_BYTES)),
        refresh_token: Some(RefreshToken::new("r".repeat(100))),
        id_token: None,
    }
}

fn store(vault: &impl GrantStore, grant: &Grant, connection: &Connection) {
    let outcome = vault.store_grant(&NewGrant {
        consent: &StateHash::from_bytes([0; 32]),
        grant,
        tokens: &tokens(),
        connections: std::slice::from_ref(connection),
        former_dead_at: None,
    });
    assert!(matches!(outcome, Ok(StoreOutcome::Stored { .. })), "{outcome:?}");
}

/// Copies every row of a closed vault under other names until there are `times` as many. The copies
/// cannot be decrypted. They make the tables as large as those of a grown vault, within seconds
/// instead of minutes.
pub fn multiply(path: &Path, times: usize) {
    let database = Database::open(path).expect("a database");
    database
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE;
             CREATE TEMP TABLE grown AS SELECT * FROM connections;
             CREATE TEMP TABLE granted AS SELECT * FROM grants;
             CREATE TEMP TABLE sealed AS SELECT * FROM secrets WHERE slot IN (SELECT slot FROM grants);",
        )
        .expect("copies");
    let last: i64 = database
        .query_row("SELECT max(slot) FROM secrets", [], |row| row.get(0))
        .expect("a slot");
    for time in 1..i64::try_from(times).expect("a count") {
        // Ids begin with their creation time, so those of later rows must be greater.
        let later = format!("{:08x}", 0x7000_0000 + time);
        database
            .execute_batch(&format!(
                "UPDATE temp.grown SET uuid = CAST(x'{later}' || substr(uuid, 5) AS BLOB),
                        grant_id = CAST(x'{later}' || substr(grant_id, 5) AS BLOB),
                        owner = substr(owner, 1, 12) || '-{time}';
                 UPDATE temp.granted SET uuid = CAST(x'{later}' || substr(uuid, 5) AS BLOB), slot = slot + {last};
                 UPDATE temp.sealed SET slot = slot + {last};
                 INSERT INTO connections SELECT * FROM temp.grown;
                 INSERT INTO grants SELECT * FROM temp.granted;
                 INSERT INTO secrets SELECT * FROM temp.sealed;"
            ))
            .expect("more rows");
    }
    database
        .execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
        .expect("committed");
}

/// Iterates in an order that differs from that of the rows.
pub fn step(next: &Cell<usize>, count: usize) -> usize {
    next.set((next.get() + 37) % count);
    next.get()
}
