//! The floor of a read: what no vault can avoid.

use std::cell::Cell;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::Connection as Database;

use super::people::{TOKEN_BYTES, step, user};

/// The number of users that a process serves within a few minutes.
const PEOPLE: usize = 100;

/// The minimum work of any vault: one cached statement, one blob, one decryption.
pub struct Floor {
    database: Database,
    key: LessSafeKey,
    users: Vec<String>,
    next: Cell<usize>,
}

impl Floor {
    pub fn new(path: &Path) -> Self {
        let database = Database::open(path).expect("a database");
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA cache_size = -8000;
                 CREATE TABLE secrets (tenant INTEGER, user TEXT, provider TEXT, sealed BLOB,
                                       UNIQUE (tenant, user, provider)) STRICT;",
            )
            .expect("a schema");
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a key"));
        for person in 0..PEOPLE {
            let mut sealed = vec![b'x'; TOKEN_BYTES];
            key.seal_in_place_append_tag(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from([0; 43]),
                &mut sealed,
            )
            .expect("sealing");
            database
                .execute(
                    "INSERT INTO secrets VALUES (1, ?1, 'gmail', ?2)",
                    (user(person), sealed),
                )
                .expect("a row");
        }
        Self {
            database,
            key,
            users: (0..PEOPLE).map(user).collect(),
            next: Cell::new(0),
        }
    }

    pub fn read(&self) -> Box<str> {
        let user = &self.users[step(&self.next, PEOPLE)];
        let mut statement = self
            .database
            .prepare_cached(
                "SELECT sealed FROM secrets WHERE tenant = 1 AND user = ?1 AND provider = 'gmail'",
            )
            .expect("a statement");
        let mut sealed: Vec<u8> = statement.query_row([user], |row| row.get(0)).expect("a row");
        let open = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key([0; 12]),
                Aad::from([0; 43]),
                &mut sealed,
            )
            .expect("opens");
        Box::from(std::str::from_utf8(open).expect("text"))
    }
}
