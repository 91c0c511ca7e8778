//! What this crate seals, another implementation opens from the documented format alone; and the other way round.

mod format;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde::Deserialize;
use valetkey::model::{ProviderId, TenantId, UserId};
use valetkey::vault::envelope::{Context, DataKey, Fields, Kind, MasterKey, VaultId};

fn master_key(secret: &format::Key) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode(secret)).unwrap()
}

fn kind(name: &str) -> Kind {
    match name {
        "access_token" => Kind::AccessToken,
        "rest" => Kind::Rest,
        "consent" => Kind::Consent,
        _ => panic!("no kind is called {name}"),
    }
}

/// A place with its names checked.
struct Names {
    tenant: TenantId,
    owner: Option<UserId>,
    provider: ProviderId,
}

impl Names {
    fn of(place: &format::Place<'_>) -> Self {
        Self {
            tenant: TenantId::new(place.tenant).unwrap(),
            owner: place.owner.map(|owner| UserId::new(owner).unwrap()),
            provider: ProviderId::new(place.provider).unwrap(),
        }
    }

    fn context<'a>(&'a self, place: &'a format::Place<'_>) -> Context<'a> {
        Context {
            kind: kind(place.kind),
            vault: VaultId::from_bytes(place.vault),
            tenant: &self.tenant,
            owner: self.owner.as_ref(),
            provider: &self.provider,
            id: &place.id,
            generation: place.generation,
        }
    }
}

/// The crate's data key with these bytes: it takes none from outside but wrapped.
fn data_key(secret: &format::Key, version: u32) -> DataKey {
    let wrapped = format::wrap(&[1; 32], [2; 16], "acme", version, [3; 12], secret);
    let tenant = TenantId::new("acme").unwrap();
    let keys = master_key(&[1; 32]).into();
    DataKey::unwrap(&wrapped, &keys, VaultId::from_bytes([2; 16]), &tenant, version).unwrap()
}

fn read(mut fields: Fields, count: usize) -> Vec<Vec<u8>> {
    let read = (0..count)
        .map(|_| fields.expose_next().unwrap().to_vec())
        .collect();
    fields.finish().unwrap();
    read
}

/// What may stand in a name.
const NAME: &str = "[^\\p{C}\\p{Zl}\\p{Zp}]{1,40}";

fn places() -> impl Strategy<Value = (String, Option<String>, usize, [u8; 16], [u8; 16], u64)> {
    (
        NAME,
        prop::option::of(NAME),
        0..3_usize,
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<u64>(),
    )
}

fn secrets() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..16)
}

proptest! {
    #[test]
    fn records_open_here_and_there(
        (tenant, owner, kind, vault, id, generation) in places(),
        secret in any::<format::Key>(),
        version in any::<u32>(),
        nonce in any::<format::Nonce>(),
        fields in secrets(),
    ) {
        let place = format::Place {
            kind: ["access_token", "rest", "consent"][kind],
            vault,
            tenant: &tenant,
            owner: owner.as_deref(),
            provider: "gmail",
            id,
            generation,
        };
        let names = Names::of(&place);
        let context = names.context(&place);
        let key = data_key(&secret, version);
        let ours = key.seal(&context, &fields.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let plaintext = format::open(&secret, version, &place, &ours);
        prop_assert!(plaintext == Some(format::join(&fields)), "sealed here, not opened there");
        let theirs = format::seal(&secret, version, &place, nonce, &format::join(&fields));
        let opened = key.open(&context, theirs);
        prop_assert!(opened.is_ok_and(|opened| read(opened, fields.len()) == fields), "sealed there, not opened here");
    }

    #[test]
    fn wrapped_keys_open_here_and_there(
        master in any::<format::Key>(),
        vault in any::<[u8; 16]>(),
        tenant in NAME,
        version in any::<u32>(),
        secret in any::<format::Key>(),
        nonce in any::<format::Nonce>(),
    ) {
        let keys = master_key(&master).into();
        let vault_id = VaultId::from_bytes(vault);
        let name = TenantId::new(tenant.as_str()).unwrap();
        let place = format::Place {
            kind: "rest", vault, tenant: &tenant, owner: None, provider: "gmail", id: [1; 16], generation: 1,
        };
        let names = Names::of(&place);

        let ours = DataKey::generate(version).unwrap();
        let wrapped = ours.wrap(&keys, vault_id, &name).unwrap();
        let unwrapped = format::unwrap(&master, vault, &tenant, version, &wrapped);
        prop_assert!(unwrapped.is_some(), "wrapped here, not unwrapped there");
        // The same key, and not only one of the same length.
        let record = ours.seal(&names.context(&place), &[b"token"]).unwrap();
        let opened = format::open(&unwrapped.unwrap(), version, &place, &record);
        prop_assert!(opened.is_some_and(|opened| format::split(&opened) == Some(vec![b"token".to_vec()])));

        let theirs = format::wrap(&master, vault, &tenant, version, nonce, &secret);
        let unwrapped = DataKey::unwrap(&theirs, &keys, vault_id, &name, version);
        prop_assert!(unwrapped.is_ok(), "wrapped there, not unwrapped here");
        let record = format::seal(&secret, version, &place, nonce, &format::join(&[b"token"]));
        prop_assert!(unwrapped.unwrap().open(&names.context(&place), record).is_ok());
    }

    #[test]
    fn names_and_check_values_of_master_keys_agree(master in any::<format::Key>(), vault in any::<[u8; 16]>()) {
        let key = master_key(&master);
        prop_assert!(*key.id() == format::derive::<16>(&master, "id"));
        prop_assert!(key.check_value(VaultId::from_bytes(vault)) == format::check_value(&master, vault));
    }
}

#[cfg(feature = "sqlite")]
mod file {
    use valetkey::model::{Connection, ConnectionId, IssuedBy, Owner, ServerId, Timestamp};
    use valetkey::secret::{AccessToken, IdToken, RefreshToken, State};
    use valetkey::vault::{Grant, SqliteVault, StateHash, StoreOutcome, Tokens, Vault as _};

    use super::*;

    /// Whoever holds the master key can read a vault's file without this crate.
    #[test]
    fn a_file_opens_with_the_master_key_and_the_documentation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault.db");
        let secret = [7; 32];
        let vault = SqliteVault::open(&path, master_key(&secret)).unwrap();
        let connection = Connection::new(
            ConnectionId::from_bytes([5; 16]),
            TenantId::new("acme").unwrap(),
            Owner::Personal(UserId::new("alice").unwrap()),
            ProviderId::new("gmail").unwrap(),
            IssuedBy {
                server: ServerId::new("google").unwrap(),
                token_endpoint: "https://issuer.test/token".into(),
                client_id: "client".into(),
            },
            Timestamp::from_unix_millis(0),
        );
        let tokens = Tokens {
            access_token: AccessToken::new("access"),
            refresh_token: Some(RefreshToken::new("refresh")),
            id_token: Some(IdToken::new("id")),
        };
        let outcome = vault.store_grant(&Grant {
            consent: &StateHash::of(&State::new("none")),
            connection: &connection,
            tokens: &tokens,
            members: &[],
        });
        assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
        drop(vault);

        let db = rusqlite::Connection::open(&path).unwrap();
        let (vault, master_key, check): ([u8; 16], [u8; 16], [u8; 32]) = db
            .query_row("SELECT id, master_key, key_check FROM vault", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(master_key, format::derive::<16>(&secret, "id"));
        assert_eq!(check, format::check_value(&secret, vault));
        let in_slot = |slot: &[u8]| {
            let (len, rest) = slot.split_first_chunk::<4>().unwrap();
            rest[..u32::from_be_bytes(*len) as usize].to_vec()
        };
        // The tenant's other key, numbered from 2^31, is for its audit.
        let (version, slot): (u32, Vec<u8>) = db
            .query_row(
                "SELECT version, access FROM tenant_keys JOIN secrets USING (slot) WHERE version < 2147483648",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        let wrapped = in_slot(&slot);
        let data_key = format::unwrap(&secret, vault, "acme", version, &wrapped).expect("unwraps");
        let slots: [Vec<u8>; 2] = db
            .query_row(
                "SELECT access, rest FROM secrets JOIN connections USING (slot)",
                [],
                |row| Ok([row.get(0)?, row.get(1)?]),
            )
            .unwrap();
        let mut found = slots.iter().zip(["access_token", "rest"]).map(|(slot, kind)| {
            let place = format::Place {
                kind,
                vault,
                tenant: "acme",
                owner: Some("alice"),
                provider: "gmail",
                id: [5; 16],
                generation: 1,
            };
            let plaintext = format::open(&data_key, version, &place, &in_slot(slot)).expect("opens");
            format::split(&plaintext).expect("fields")
        });
        assert!(found.next().unwrap() == [b"access".to_vec()]);
        assert!(found.next().unwrap() == [b"refresh".to_vec(), b"id".to_vec()]);
    }
}

#[derive(Deserialize)]
struct Answers {
    format: u8,
    master_keys: Vec<MasterKeyAnswer>,
    wrapped_keys: Vec<WrappedKeyAnswer>,
    records: Vec<RecordAnswer>,
}

#[derive(Deserialize)]
struct MasterKeyAnswer {
    name: String,
    secret: String,
    id: String,
    vault: String,
    check_value: String,
}

#[derive(Deserialize)]
struct WrappedKeyAnswer {
    name: String,
    master_key: String,
    vault: String,
    tenant: String,
    version: u32,
    data_key: String,
    nonce: String,
    wrapped: String,
}

#[derive(Deserialize)]
struct RecordAnswer {
    name: String,
    data_key: String,
    version: u32,
    kind: String,
    vault: String,
    tenant: String,
    owner: Option<String>,
    provider: String,
    id: String,
    generation: String,
    nonce: String,
    fields: Vec<String>,
    record: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn array<const LEN: usize>(hex: &str) -> [u8; LEN] {
    bytes(hex).try_into().unwrap()
}

#[test]
fn the_known_answers_of_format_1_still_open() {
    let answers: Answers = serde_json::from_str(include_str!("vectors/format-1.json")).unwrap();
    assert_eq!(answers.format, 1);
    for answer in &answers.master_keys {
        let (secret, vault) = (array(&answer.secret), array(&answer.vault));
        assert_eq!(master_key(&secret).id(), &array(&answer.id), "{}", answer.name);
        assert_eq!(format::derive::<16>(&secret, "id"), array(&answer.id));
        let check = master_key(&secret).check_value(VaultId::from_bytes(vault));
        assert_eq!(check, array(&answer.check_value), "{}", answer.name);
        assert_eq!(format::check_value(&secret, vault), check, "{}", answer.name);
    }
    for answer in &answers.wrapped_keys {
        let (master, vault) = (array(&answer.master_key), array(&answer.vault));
        let (wrapped, secret) = (bytes(&answer.wrapped), array(&answer.data_key));
        let theirs = format::wrap(
            &master,
            vault,
            &answer.tenant,
            answer.version,
            array(&answer.nonce),
            &secret,
        );
        assert!(theirs == wrapped, "{}", answer.name);
        let tenant = TenantId::new(answer.tenant.as_str()).unwrap();
        let keys = master_key(&master).into();
        let key = DataKey::unwrap(
            &wrapped,
            &keys,
            VaultId::from_bytes(vault),
            &tenant,
            answer.version,
        );
        // Which key came out shows in what it opens.
        let place = format::Place {
            kind: "rest",
            vault,
            tenant: &answer.tenant,
            owner: None,
            provider: "gmail",
            id: [1; 16],
            generation: 1,
        };
        let record = format::seal(&secret, answer.version, &place, [4; 12], &[]);
        let names = Names::of(&place);
        assert!(
            key.unwrap().open(&names.context(&place), record).is_ok(),
            "{}",
            answer.name
        );
    }
    for answer in &answers.records {
        let place = format::Place {
            kind: &answer.kind,
            vault: array(&answer.vault),
            tenant: &answer.tenant,
            owner: answer.owner.as_deref(),
            provider: &answer.provider,
            id: array(&answer.id),
            generation: answer.generation.parse().unwrap(),
        };
        let fields: Vec<Vec<u8>> = answer.fields.iter().map(|field| bytes(field)).collect();
        let (secret, record) = (array(&answer.data_key), bytes(&answer.record));
        let theirs = format::seal(
            &secret,
            answer.version,
            &place,
            array(&answer.nonce),
            &format::join(&fields),
        );
        assert!(theirs == record, "{}", answer.name);
        let names = Names::of(&place);
        let opened = data_key(&secret, answer.version).open(&names.context(&place), record);
        assert!(read(opened.unwrap(), fields.len()) == fields, "{}", answer.name);
    }
    let counts = (
        answers.master_keys.len(),
        answers.wrapped_keys.len(),
        answers.records.len(),
    );
    assert_eq!(counts, (3, 3, 9), "an answer was taken out");
}
