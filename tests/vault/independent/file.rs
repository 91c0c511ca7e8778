//! A vault's file can be read without this crate by a program that has the master key: from the
//! documentation of `vault::envelope` and the names of tables and columns.

use std::time::Duration;

use rusqlite::Connection as Db;
use rusqlite::types::FromSql;
use tempfile::TempDir;
use valetkey::connections::Prompt;
use valetkey::internals::model::{Grant, IssuedBy, new_connection};
use valetkey::internals::secret::{IdToken, PkceVerifier, RefreshToken, State};
use valetkey::internals::vault::{
    ConsentStore as _, GrantStore as _, LateTokens, NewGrant, PendingConsent, Purpose, RequestOptions,
    RevocationStore as _, StateHash, StoreOutcome, Tokens,
};
use valetkey::model::{
    Account, ConnectionId, ConsentId, GrantId, Label, Owner, Parameters, ProviderId, Scopes, ServerId,
    TenantId, Timestamp, UserId,
};
use valetkey::vault::SqliteVault;
use valetkey::{AccessToken, ActingUser, Binding};

use super::master_key;
use crate::support::format;

const MASTER: format::Key = [7; 32];
const NOW: i64 = 1_700_000_000_000;
/// The versions of the tenant's keys.
const DATA_KEY: u32 = 1;
const AUDIT_KEY: u32 = 1 << 31;
const ROW_KEY: u32 = u32::MAX;

const CONNECTION: [u8; 16] = [5; 16];
const GRANT: [u8; 16] = [6; 16];

fn time(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

fn grant() -> Grant {
    let mut issued_by = IssuedBy::new(
        ServerId::new("google").unwrap(),
        "https://issuer.test/token",
        "client",
    );
    issued_by.revocation_endpoint = Some("https://issuer.test/revoke".into());
    let mut grant = Grant::new(
        GrantId::from_bytes(GRANT),
        TenantId::new("acme").unwrap(),
        Owner::Personal(UserId::new("alice").unwrap()),
        ProviderId::new("gmail").unwrap(),
        issued_by,
        time(NOW),
    );
    grant.parameters = Parameters::from([("region".into(), "eu".into())]);
    grant.requested = Scopes::new(["mail", "openid"]).unwrap();
    grant.granted = Scopes::new(["mail"]).unwrap();
    grant.expires_at = Some(time(NOW + 3_600_000));
    grant.account = Some(Account {
        id: "1234".into(),
        email: Some("alice@example.test".into()),
        label: None,
    });
    grant.refreshable = true;
    grant
}

/// Returns the route of [`grant`] according to the documentation.
fn route() -> Vec<u8> {
    format::join::<Vec<u8>>(&[
        b"google".to_vec(),
        format::optional(Some((NOW + 3_600_000).to_be_bytes())),
        b"mail".to_vec(),
        b"alice".to_vec(),
        b"gmail".to_vec(),
        b"authorization_code".to_vec(),
        b"https://issuer.test/token".to_vec(),
        b"https://issuer.test/token".to_vec(),
        format::optional(Some("https://issuer.test/revoke")),
        b"client".to_vec(),
        1_u32.to_be_bytes().to_vec(),
        b"region".to_vec(),
        b"eu".to_vec(),
        b"mail openid".to_vec(),
        NOW.to_be_bytes().to_vec(),
        format::optional::<[u8; 0]>(None),
        format::optional(Some("1234")),
        format::optional(Some("alice@example.test")),
        format::optional::<[u8; 0]>(None),
    ])
}

fn tokens() -> Tokens {
    Tokens {
        access_token: AccessToken::new("access"),
        refresh_token: Some(RefreshToken::new("refresh")),
        id_token: Some(IdToken::new("id")),
    }
}

fn state() -> StateHash {
    StateHash::of(&State::new("state"))
}

fn consent() -> PendingConsent {
    PendingConsent {
        binding: StateHash::of_binding(&Binding::new("binding")),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
        redirect_uri: "https://host.test/callback".into(),
        scopes: Scopes::new(["mail"]).unwrap(),
        services: [(ProviderId::new("gmail").unwrap(), Scopes::new(["mail"]).unwrap())].into(),
        label: Some(Label::new("Work").unwrap()),
        purpose: Purpose::Reconnect(ConnectionId::from_bytes(CONNECTION)),
        require_account: true,
        request: request(),
        expires_at: time(NOW + 600_000),
        ..PendingConsent::new(
            ConsentId::from_bytes([8; 16]),
            state(),
            &ActingUser::authenticated("acme", "alice").unwrap(),
            Owner::Workspace,
            ProviderId::new("gmail").unwrap(),
            ServerId::new("google").unwrap(),
            time(NOW),
        )
    }
}

fn request() -> RequestOptions {
    let mut request = RequestOptions {
        scopes: Some(Scopes::default()),
        added_scopes: Scopes::new(["mail"]).unwrap(),
        ..RequestOptions::default()
    };
    request.hints.login_hint = Some("alice@example.test".into());
    request.hints.prompt = Some(Prompt::SelectAccount);
    request.hints.max_age = Some(Duration::from_secs(60));
    request
}

/// Returns the body of [`consent`] according to the documentation.
fn consent_body() -> Vec<u8> {
    format::join::<Vec<u8>>(&[
        consent().binding.as_bytes().to_vec(),
        b"gmail".to_vec(),
        b"google".to_vec(),
        format::optional::<[u8; 0]>(None),
        b"https://issuer.test/token".to_vec(),
        b"client".to_vec(),
        b"https://host.test/callback".to_vec(),
        b"mail".to_vec(),
        1_u32.to_be_bytes().to_vec(),
        b"gmail".to_vec(),
        b"mail".to_vec(),
        0_u32.to_be_bytes().to_vec(),
        format::optional(Some("Work")),
        b"reconnect".to_vec(),
        format::optional(Some(CONNECTION)),
        vec![1],
        format::optional::<[u8; 0]>(None),
        format::optional(Some("")),
        b"mail".to_vec(),
        format::optional(Some("alice@example.test")),
        format::optional(Some("select_account")),
        format::optional(Some(60_000_000_000_u64.to_be_bytes())),
        format::optional::<[u8; 0]>(None),
        NOW.to_be_bytes().to_vec(),
    ])
}

/// A vault's file, and the values that were read from it with the master key.
struct File {
    db: Db,
    vault: [u8; 16],
    tenant: i64,
    _directory: TempDir,
}

impl File {
    /// Fills a vault with `write`, closes it, and opens its file.
    fn of(write: impl FnOnce(&SqliteVault)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault.db");
        let vault = SqliteVault::open(&path, master_key(&MASTER)).unwrap();
        write(&vault);
        drop(vault);
        let db = Db::open(&path).unwrap();
        let (vault, tenant) = db
            .query_row(
                "SELECT v.id, t.id FROM vault v, tenants t WHERE t.name = 'acme'",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        Self {
            db,
            vault,
            tenant,
            _directory: directory,
        }
    }

    /// Returns one value of the only row of a table.
    fn value<T: FromSql>(&self, column: &str, table: &str) -> T {
        let query = format!("SELECT {column} FROM {table}");
        self.db.query_one(&query, [], |row| row.get(0)).unwrap()
    }

    /// Returns a record: u32 length, the record, zeros.
    fn slot(&self, column: &str, slot: i64) -> Vec<u8> {
        let slot: Vec<u8> = self.value(column, &format!("secrets WHERE slot = {slot}"));
        let (len, rest) = slot.split_first_chunk::<4>().unwrap();
        let (record, padding) = rest.split_at(u32::from_be_bytes(*len) as usize);
        assert!(padding.iter().all(|byte| *byte == 0));
        record.to_vec()
    }

    fn key(&self, version: u32) -> format::Key {
        let slot = self.value("slot", &format!("tenant_keys WHERE version = {version}"));
        let wrapped = self.slot("access", slot);
        format::unwrap(&MASTER, self.vault, "acme", version, &wrapped).expect("unwraps")
    }

    fn audit_key(&self) -> format::Key {
        let wrapped: Vec<u8> = self.value("audit_key", "vault");
        format::unwrap_audit_key(&MASTER, self.vault, &wrapped).expect("unwraps")
    }

    fn place<'a>(&self, kind: &'a str, id: [u8; 16], generation: u64, route: &'a [u8]) -> format::Place<'a> {
        format::Place {
            kind,
            vault: self.vault,
            tenant: "acme",
            owner: Some("alice"),
            provider: "gmail",
            id,
            generation,
            route,
        }
    }

    /// Returns the fields of a record that the tenant's data key sealed.
    fn open(&self, place: &format::Place<'_>, record: &[u8]) -> Vec<Vec<u8>> {
        let plaintext = format::open(&self.key(DATA_KEY), DATA_KEY, place, record).expect("opens");
        format::split(&plaintext).expect("fields")
    }
}

fn with_consent(vault: &SqliteVault) {
    let verifier = PkceVerifier::new("verifier");
    vault.insert_consent(&consent(), Some(&verifier)).unwrap();
}

fn with_grant(vault: &SqliteVault) {
    let grant = grant();
    let mut connection = new_connection(ConnectionId::from_bytes(CONNECTION), &grant);
    connection.label = Some(Label::new("Work").unwrap());
    let new = NewGrant {
        consent: &state(),
        grant: &grant,
        tokens: &tokens(),
        connections: &[connection],
        former_dead_at: None,
    };
    let outcome = vault.store_grant(&new).unwrap();
    assert!(matches!(outcome, StoreOutcome::Stored { .. }), "{outcome:?}");
}

#[test]
fn the_master_key_is_recognised() {
    let file = File::of(with_grant);
    assert!(file.value::<[u8; 16]>("master_key", "vault") == format::derive::<16>(&MASTER, "id"));
    assert!(file.value::<[u8; 32]>("key_check", "vault") == format::check_value(&MASTER, file.vault));
}

#[test]
fn tokens_open_with_the_route_in_their_row() {
    let file = File::of(with_grant);
    assert!(file.value::<Vec<u8>>("route", "grants") == route());
    let (id, generation) = (
        file.value("uuid", "grants"),
        file.value::<i64>("generation", "grants"),
    );
    assert_eq!((id, generation), (GRANT, 1));
    assert_eq!(file.value::<u32>("key_version", "grants"), DATA_KEY);
    let (slot, route) = (file.value("slot", "grants"), route());
    let access = file.open(
        &file.place("access_token", id, 1, &route),
        &file.slot("access", slot),
    );
    assert!(access == [b"access".to_vec()]);
    let rest = file.open(&file.place("rest", id, 1, &route), &file.slot("rest", slot));
    assert!(rest == [b"refresh".to_vec(), b"id".to_vec()]);
}

#[test]
fn the_row_of_a_grant_has_the_mac_of_its_columns() {
    let file = File::of(with_grant);
    let number = |column: &str| file.value::<i64>(column, "grants").to_be_bytes();
    let absent = |column: &str| {
        let value: Option<i64> = file.value(column, "grants");
        format::optional(value.map(i64::to_be_bytes))
    };
    let former: Option<[u8; 16]> = file.value("former_of", "grants");
    let version: u32 = file.value("key_version", "grants");
    let fields = format::join(&[
        file.value::<[u8; 16]>("uuid", "grants").to_vec(),
        format::optional(former),
        file.value::<String>("status", "grants").into_bytes(),
        number("generation").to_vec(),
        vec![u8::from(file.value::<i64>("refreshable", "grants") == 1)],
        file.value::<String>("server", "grants").into_bytes(),
        absent("expires_at"),
        number("refreshed_at").to_vec(),
        absent("not_before"),
        absent("held_until"),
        absent("quarantined_until"),
        absent("dead_at"),
        file.value("route", "grants"),
        file.value("state", "grants"),
        version.to_be_bytes().to_vec(),
        number("revision").to_vec(),
    ]);
    let mac: [u8; 32] = file.value("mac", "grants");
    assert!(mac == format::row_mac(&file.key(ROW_KEY), &[b"grant", &fields]));
}

#[test]
fn the_row_of_a_consent_request_has_the_mac_of_its_columns() {
    let file = File::of(with_consent);
    let fields = format::join(&[
        file.value::<[u8; 32]>("state", "consents").to_vec(),
        file.value::<[u8; 16]>("id", "consents").to_vec(),
        file.value::<String>("user", "consents").into_bytes(),
        file.value::<String>("owner", "consents").into_bytes(),
        file.value::<i64>("expires_at", "consents").to_be_bytes().to_vec(),
        file.value("body", "consents"),
    ]);
    let mac: [u8; 32] = file.value("mac", "consents");
    assert!(mac == format::row_mac(&file.key(ROW_KEY), &[b"consent", &fields]));
}

#[test]
fn the_row_of_a_connection_has_the_mac_of_its_columns() {
    let file = File::of(with_grant);
    let text = |column: &str| file.value::<String>(column, "connections").into_bytes();
    let flag = |column: &str| u8::from(file.value::<i64>(column, "connections") == 1);
    let details: Vec<u8> = file.value("details", "connections");
    let parts: [&[u8]; 11] = [
        b"connection",
        &file.value::<[u8; 16]>("uuid", "connections"),
        &text("owner"),
        &text("provider"),
        &[1],
        &text("label"),
        &[flag("is_default"), flag("revoked")],
        &file.value::<[u8; 16]>("grant_id", "connections"),
        &[1],
        &text("account"),
        &details,
    ];
    let mac: [u8; 32] = file.value("mac", "connections");
    assert!(mac == format::row_mac(&file.key(ROW_KEY), &parts));
    let fields = format::split(&details).expect("fields");
    assert_eq!(fields[0], format::optional(Some("1234")));
    assert_eq!(fields.last().unwrap(), &NOW.to_be_bytes());
}

#[test]
fn the_verifier_of_a_consent_request_opens_with_its_row() {
    let file = File::of(with_consent);
    let body: Vec<u8> = file.value("body", "consents");
    assert!(body == consent_body());
    let route = format::join(&[
        file.value::<[u8; 32]>("state", "consents").to_vec(),
        file.value::<String>("user", "consents").into_bytes(),
        file.value::<i64>("expires_at", "consents").to_be_bytes().to_vec(),
        body,
    ]);
    let place = format::Place {
        owner: None,
        ..file.place("consent", file.value("id", "consents"), 0, &route)
    };
    let record = file.slot("access", file.value("slot", "consents"));
    assert!(file.open(&place, &record) == [b"verifier".to_vec()]);
}

#[test]
fn the_tokens_of_a_pending_revocation_open_with_its_row() {
    let file = File::of(|vault| {
        let late = LateTokens {
            grant: &grant(),
            connection: ConnectionId::from_bytes(CONNECTION),
            tokens: &tokens(),
            now: time(NOW),
            give_up_at: time(NOW + 86_400_000),
        };
        assert!(vault.queue_revocation(&late).unwrap());
    });
    let body: Vec<u8> = file.value("body", "revocations");
    assert!(body == format::join(&[GRANT.as_slice(), &1_u64.to_be_bytes(), &route()]));
    let bound = format::join(&[
        CONNECTION.as_slice(),
        b"alice",
        &(NOW + 86_400_000).to_be_bytes(),
        &body,
    ]);
    let (id, slot) = (
        file.value("uuid", "revocations"),
        file.value("slot", "revocations"),
    );
    let access = file.open(
        &file.place("revocation_access", id, 1, &bound),
        &file.slot("access", slot),
    );
    assert!(access == [b"access".to_vec()]);
    let refresh = file.open(
        &file.place("revocation_rest", id, 1, &bound),
        &file.slot("rest", slot),
    );
    assert!(refresh == [b"refresh".to_vec()]);
}

#[test]
fn the_chain_of_the_audit_is_linked_and_its_bodies_open() {
    let file = File::of(with_grant);
    let (mac_key, body_key) = (file.audit_key(), file.key(AUDIT_KEY));
    let mut statement = file
        .db
        .prepare("SELECT number, at, kind, body, mac FROM audit WHERE chain = ?1 ORDER BY number")
        .unwrap();
    let mut rows = statement.query([file.tenant]).unwrap();
    let (mut number, mut before) = (0_u64, [0; 32]);
    let mut kinds = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        number += 1;
        assert_eq!(row.get::<_, i64>(0).unwrap(), i64::try_from(number).unwrap());
        let (at, kind): (i64, String) = (row.get(1).unwrap(), row.get(2).unwrap());
        let (body, mac): (Vec<u8>, [u8; 32]) = (row.get(3).unwrap(), row.get(4).unwrap());
        let link: [&[u8]; 8] = [
            b"link",
            &file.vault,
            &number.to_be_bytes(),
            &before,
            &at.to_be_bytes(),
            &file.tenant.to_be_bytes(),
            kind.as_bytes(),
            &body,
        ];
        assert!(mac == format::audit_mac(&mac_key, &link), "entry {number}");
        let place = (file.vault, "acme", number);
        let fields = format::open_audit(&body_key, AUDIT_KEY, place, &body).expect("opens");
        assert!(format::split(&fields).expect("fields")[2] == b"gmail");
        kinds.push(kind);
        before = mac;
    }
    assert_eq!(kinds, ["consent_completed"]);

    let head = format!("audit_heads WHERE chain = {}", file.tenant);
    assert!(file.value::<[u8; 32]>("mac", &head) == before);
    let sealed: [&[u8]; 6] = [
        b"chain head",
        &file.vault,
        &file.tenant.to_be_bytes(),
        &number.to_be_bytes(),
        &before,
        b"",
    ];
    assert!(file.value::<[u8; 32]>("seal", &head) == format::audit_mac(&mac_key, &sealed));
}
