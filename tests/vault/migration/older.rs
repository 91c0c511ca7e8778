//! Files of schemas 1 and 2 with any number of rows, written with another implementation of their
//! format.

use std::path::Path;

use rusqlite::{Connection as Database, params};

use crate::support::format::{self, Key, Place};
use crate::support::vault::{at, place_of, state};

/// The master key of the kept files.
const MASTER: Key = [1; 32];

/// The kind of a row of an older file, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// A connection with its own tokens.
    Active,
    /// A connection that needs a new consent and has no tokens.
    Expired,
    /// A revoked connection whose tokens wait for the provider.
    Revoked,
    /// Two connections that share the tokens of a third record. Schema 1 had no such record: there
    /// it is [`Active`](Self::Active).
    Shared,
    /// A connection with its own tokens and a refresh claim, and a consent request of the same
    /// user.
    Claimed,
}

impl Row {
    pub(crate) fn of(number: u32, schema: u32) -> Self {
        match number % 10 {
            5 => Self::Claimed,
            6 => Self::Expired,
            7 => Self::Revoked,
            8 if schema == 2 => Self::Shared,
            _ => Self::Active,
        }
    }
}

pub(crate) fn uuid(number: u32, kind: u8) -> [u8; 16] {
    let mut bytes = [0xe0 | kind; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn owner(number: u32) -> String {
    format!("user-{number}")
}

/// Every third row belongs to the other tenant.
pub(crate) const fn workspace(number: u32) -> &'static str {
    if number.is_multiple_of(3) {
        "globex"
    } else {
        "acme"
    }
}

/// The file of a test while it is filled.
struct File<'a> {
    db: &'a Database,
    vault: [u8; 16],
    /// The columns of a connection that all rows have in common.
    common: String,
    /// For each tenant its row and its data keys with their versions.
    acme: (i64, Vec<(u32, Key)>),
    globex: (i64, Vec<(u32, Key)>),
    nonce: u64,
}

/// Returns a file of this schema with the records of the kept one, and this many additional rows.
pub(crate) fn filled(schema: u32, rows: u32) -> (tempfile::TempDir, std::path::PathBuf) {
    let (directory, path) = place_of(schema);
    fill(&path, schema, rows);
    (directory, path)
}

fn fill(path: &Path, schema: u32, rows: u32) {
    let db = Database::open(path).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    let mut file = File::new(&db);
    for number in 0..rows {
        file.add(number, Row::of(number, schema));
    }
    db.execute_batch("COMMIT").unwrap();
}

/// Returns the record in the bytes of a slot.
fn unpad(padded: &[u8]) -> &[u8] {
    let (len, rest) = padded.split_first_chunk::<4>().unwrap();
    &rest[..u32::from_be_bytes(*len) as usize]
}

fn pad(record: &[u8]) -> Vec<u8> {
    let len = u32::try_from(record.len()).unwrap();
    let mut padded = [&len.to_be_bytes(), record].concat();
    padded.resize(padded.len().next_multiple_of(64), 0);
    padded
}

fn keys(db: &Database, vault: [u8; 16], tenant: &str) -> (i64, Vec<(u32, Key)>) {
    let mut statement = db
        .prepare(
            "SELECT t.id, k.version, s.access FROM tenants t JOIN tenant_keys k ON k.tenant = t.id
                JOIN secrets s USING (slot) WHERE t.name = ?1 AND k.version < 2147483648 ORDER BY k.version",
        )
        .unwrap();
    let rows = statement
        .query_map([tenant], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .unwrap();
    let rows: Vec<(i64, u32, Vec<u8>)> = rows.map(Result::unwrap).collect();
    let opened = rows
        .iter()
        .map(|(_, version, wrapped)| {
            let key = format::unwrap(&MASTER, vault, tenant, *version, unpad(wrapped));
            (*version, key.unwrap())
        })
        .collect();
    (rows[0].0, opened)
}

impl<'a> File<'a> {
    fn new(db: &'a Database) -> Self {
        let vault: Vec<u8> = db
            .query_row("SELECT id FROM vault", [], |row| row.get(0))
            .unwrap();
        let vault = vault.try_into().unwrap();
        let own = "'id', 'uuid', 'tenant', 'owner', 'provider', 'label', 'is_default', 'status', 'slot', 'key_version',
            'refreshable', 'generation', 'shares', 'is_keeper', 'fence', 'holder', 'held_fence', 'held_since',
            'held_until', 'used_at'";
        let sql = format!(
            "SELECT group_concat(name) FROM pragma_table_info('connections') WHERE name NOT IN ({own})"
        );
        Self {
            db,
            vault,
            common: db.query_row(&sql, [], |row| row.get(0)).unwrap(),
            acme: keys(db, vault, "acme"),
            globex: keys(db, vault, "globex"),
            nonce: 0,
        }
    }

    fn add(&mut self, number: u32, row: Row) {
        match row {
            Row::Active => self.active(number, ""),
            Row::Claimed => {
                self.active(
                    number,
                    ", fence = 7, holder = randomblob(16), held_fence = 7, held_since = 1, held_until = 2",
                );
                self.consent(number);
            }
            Row::Expired => {
                self.connection(uuid(number, 1), number, "gmail", "expired", None);
            }
            Row::Revoked => {
                self.connection(uuid(number, 1), number, "gmail", "revoked", None);
                self.outbox(number);
            }
            Row::Shared => self.shared(number),
        }
    }

    fn active(&mut self, number: u32, also: &str) {
        let id = uuid(number, 1);
        let slot = self.tokens(number, id);
        let row = self.connection(id, number, "gmail", "active", Some(slot));
        let set = format!("UPDATE connections SET refreshable = 1, used_at = {number} {also} WHERE id = ?1");
        self.db.execute(&set, [row]).unwrap();
    }

    /// Inserts a record that keeps tokens, and two connections that share it.
    fn shared(&mut self, number: u32) {
        let keeper = uuid(number, 3);
        let slot = self.tokens(number, keeper);
        let row = self.connection(keeper, number, "gmail", "active", Some(slot));
        self.db
            .execute(
                "UPDATE connections SET refreshable = 1, is_keeper = 1 WHERE id = ?1",
                [row],
            )
            .unwrap();
        for (kind, provider) in [(1, "gmail"), (2, "google-calendar")] {
            let id = uuid(number, kind);
            let row = self.connection(id, number, provider, "active", None);
            self.db
                .execute(
                    "UPDATE connections SET refreshable = 1, shares = ?2 WHERE id = ?1",
                    params![row, keeper],
                )
                .unwrap();
        }
    }

    /// Inserts a connection like the first one of the kept file. Returns its row.
    fn connection(
        &self,
        id: [u8; 16],
        number: u32,
        provider: &str,
        status: &str,
        slot: Option<(i64, u32)>,
    ) -> i64 {
        let common = &self.common;
        let (slot, version) = slot.unzip();
        let sql = format!(
            "INSERT INTO connections (uuid, tenant, owner, provider, status, slot, key_version, is_default, refreshable,
                generation, fence, {common})
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, 1, 0, {common} FROM connections WHERE id = 1"
        );
        let of_tenant = self.of_tenant(number).0;
        self.db
            .execute(
                &sql,
                params![id, of_tenant, owner(number), provider, status, slot, version],
            )
            .unwrap();
        self.db.last_insert_rowid()
    }

    fn of_tenant(&self, number: u32) -> &(i64, Vec<(u32, Key)>) {
        if workspace(number) == "acme" {
            &self.acme
        } else {
            &self.globex
        }
    }

    /// Seals in format 1, with the newest key or an older one.
    fn seal(&mut self, number: u32, kind: &str, id: [u8; 16], fields: &[&str]) -> (Vec<u8>, u32) {
        let owner = owner(number);
        let place = Place {
            kind,
            vault: self.vault,
            tenant: workspace(number),
            owner: Some(&owner),
            provider: "gmail",
            id,
            generation: u64::from(kind != "consent"),
            route: &[],
        };
        self.nonce += 1;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        let keys = &self.of_tenant(number).1;
        let (version, key) = keys[number as usize % keys.len()];
        let record = format::seal_format_1(&key, version, &place, nonce, &format::join(fields));
        (pad(&record), version)
    }

    fn slot(&self, access: &[u8], rest: &[u8]) -> i64 {
        self.db
            .execute(
                "INSERT INTO secrets (access, rest) VALUES (?1, ?2)",
                [access, rest],
            )
            .unwrap();
        self.db.last_insert_rowid()
    }

    fn tokens(&mut self, number: u32, id: [u8; 16]) -> (i64, u32) {
        let (access, version) = self.seal(number, "access_token", id, &[&format!("access-{number}")]);
        let rest = [format!("refresh-{number}"), String::new()];
        let (rest, _) = self.seal(number, "rest", id, &rest.each_ref().map(String::as_str));
        (self.slot(&access, &rest), version)
    }

    fn consent(&mut self, number: u32) {
        let id = uuid(number, 4);
        let (sealed, version) = self.seal(number, "consent", id, &[&format!("verifier-{number}")]);
        let slot = self.slot(&sealed, &[]);
        self.db
            .execute(
                "INSERT INTO consents (state, id, binding, tenant, user, owner, provider, server, token_endpoint, client_id,
                    redirect_uri, scopes, parameters, purpose, created_at, expires_at, status, slot, key_version)
                 VALUES (?1, ?2, ?1, ?3, ?4, ?4, 'gmail', 'google', 'https://issuer.test/token', 'client',
                    'https://host.test/', '', '', 'connect', 0, ?5, 'pending', ?6, ?7)",
                params![
                    state(&format!("state-{number}")).as_bytes(),
                    id,
                    self.of_tenant(number).0,
                    owner(number),
                    at(600).as_unix_millis(),
                    slot,
                    version
                ],
            )
            .unwrap();
    }

    fn outbox(&mut self, number: u32) {
        let (slot, version) = self.tokens(number, uuid(number, 1));
        self.db
            .execute(
                "INSERT INTO outbox (tenant, uuid, owner, provider, server, token_endpoint, client_id, parameters, generation,
                    attempts, not_before, give_up_at, slot, key_version)
                 VALUES (?1, ?2, ?3, 'gmail', 'google', 'https://issuer.test/token', 'client', '', 1, 2, 0, ?4, ?5, ?6)",
                params![
                    self.of_tenant(number).0,
                    uuid(number, 1),
                    owner(number),
                    at(9_000).as_unix_millis(),
                    slot,
                    version
                ],
            )
            .unwrap();
    }
}
