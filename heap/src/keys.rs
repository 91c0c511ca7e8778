//! Reads a vault's keys from its file with another implementation, so that the search includes
//! them.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::format::{self, Key};
use crate::server::Server;
use crate::walk::TENANT;

/// Registers every key that the vault currently has for the workspace, and its audit key.
///
/// Reads a copy, because only SQLite may open a vault that is in use.
pub(crate) fn learn(server: &Server, copy: &Path, masters: &[Key]) {
    let db = Connection::open(copy).expect("the copy opens");
    let vault: [u8; 16] = db
        .query_row("SELECT id FROM vault", [], |row| row.get(0))
        .expect("the vault has an id");
    let mut statement = db
        .prepare(
            "SELECT k.version, s.access FROM tenant_keys AS k JOIN tenants AS t ON t.id = k.tenant
            JOIN secrets AS s ON s.slot = k.slot WHERE t.name = ?1",
        )
        .expect("the tables are there");
    let found: Vec<(u32, Vec<u8>)> = statement
        .query_map(params![TENANT], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("they can be read")
        .collect::<Result<_, _>>()
        .expect("every row");
    assert!(!found.is_empty(), "the workspace has a key");
    for (version, padded) in found {
        let len = u32::from_be_bytes(padded[..4].try_into().expect("a length")) as usize;
        let wrapped = &padded[4..4 + len];
        let opened = masters
            .iter()
            .find_map(|master| format::unwrap(master, vault, TENANT, version, wrapped))
            .expect("one of the master keys opens it");
        server.learn("data key", opened);
        server.learn("row key", format::derive::<32>(&opened, "rows"));
    }
    let wrapped: Vec<u8> = db
        .query_row("SELECT audit_key FROM vault", [], |row| row.get(0))
        .expect("the vault has an audit key");
    let opened = masters
        .iter()
        .find_map(|master| format::unwrap_audit_key(master, vault, &wrapped))
        .expect("one of the master keys opens it");
    server.learn("audit key", opened);
    server.learn("audit key", format::derive::<32>(&opened, "audit"));
}

/// Registers the master key itself, its base64, and the key that it wraps with.
pub(crate) fn learn_master(server: &Server, master: &Key, text: &str) {
    server.learn("master key", master);
    server.learn("master key", text);
    server.learn("wrapping key", format::derive::<32>(master, "kek"));
}
