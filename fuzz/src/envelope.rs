//! Sealed records, wrapped keys, and the fields inside them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::internals::vault::envelope::{Context, DataKey, Kind, MAX_SECRET_LEN, VaultId};
use valetkey::model::{ProviderId, TenantId, UserId};
use valetkey::vault::{MasterKey, MasterKeys, VaultError};

use crate::{edit, format};

const MASTER: format::Key = [1; 32];
const SECRET: format::Key = [2; 32];
const VAULT: [u8; 16] = [3; 16];
const VERSION: u32 = 5;
const PLACE: format::Place<'static> = format::Place {
    kind: "rest",
    vault: VAULT,
    tenant: "acme",
    owner: Some("alice"),
    provider: "gmail",
    id: [4; 16],
    generation: 6,
    route: b"route",
};

struct World {
    keys: MasterKeys,
    tenant: TenantId,
    owner: UserId,
    provider: ProviderId,
    data_key: DataKey,
    record: Vec<u8>,
    wrapped: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let keys = MasterKeys::from(MasterKey::from_base64(&STANDARD.encode(MASTER)).unwrap());
    let tenant = TenantId::new("acme").unwrap();
    let wrapped = format::wrap(&MASTER, VAULT, "acme", VERSION, [7; 12], &SECRET);
    let vault = VaultId::from_bytes(VAULT);
    World {
        data_key: DataKey::unwrap(&wrapped, &keys, vault, &tenant, VERSION).unwrap(),
        keys,
        tenant,
        owner: UserId::new("alice").unwrap(),
        provider: ProviderId::new("gmail").unwrap(),
        record: format::seal(
            &SECRET,
            VERSION,
            &PLACE,
            [8; 12],
            &format::join(&["refresh", "id"]),
        ),
        wrapped,
    }
});

impl World {
    fn context(&self) -> Context<'_> {
        Context {
            kind: Kind::Rest,
            vault: VaultId::from_bytes(VAULT),
            tenant: &self.tenant,
            owner: Some(&self.owner),
            provider: &self.provider,
            id: &PLACE.id,
            generation: PLACE.generation,
            route: PLACE.route,
        }
    }
}

/// Returns the input itself, or a valid value that the input edits.
fn candidate(valid: &[u8], data: &[u8]) -> Vec<u8> {
    match data.split_first() {
        Some((first, edits)) if first % 2 == 1 => {
            let mut edited = valid.to_vec();
            edit(&mut edited, edits);
            edited
        }
        Some((_, rest)) => rest.to_vec(),
        None => Vec::new(),
    }
}

/// Only the record that was sealed can be opened.
pub fn sealed_record(data: &[u8]) {
    let record = candidate(&WORLD.record, data);
    let is_whole = record == WORLD.record;
    match WORLD.data_key.open(&WORLD.context(), record) {
        Ok(mut fields) => {
            assert!(is_whole, "an altered record opens");
            assert!(fields.expose_next_text().unwrap() == Some("refresh"));
        }
        Err(error) => {
            assert!(!is_whole, "the sealed record does not open");
            assert!(matches!(error, VaultError::Tampered), "{error:?}");
        }
    }
}

/// Only the key that was wrapped can be unwrapped.
pub fn wrapped_key(data: &[u8]) {
    let wrapped = candidate(&WORLD.wrapped, data);
    let vault = VaultId::from_bytes(VAULT);
    let is_whole = wrapped == WORLD.wrapped;
    match DataKey::unwrap(&wrapped, &WORLD.keys, vault, &WORLD.tenant, VERSION) {
        Ok(key) => {
            assert!(is_whole, "an altered key unwraps");
            assert!(key.open(&WORLD.context(), WORLD.record.clone()).is_ok());
        }
        Err(error) => {
            assert!(!is_whole, "the wrapped key does not unwrap");
            let named = matches!(error, VaultError::Tampered | VaultError::UnknownMasterKey);
            assert!(named, "{error:?}");
        }
    }
}

/// A sealed plaintext of any shape is read as documented, or rejected.
pub fn fields(data: &[u8]) {
    let plaintext = data.get(..MAX_SECRET_LEN).unwrap_or(data);
    let expected = format::split(plaintext);
    let record = format::seal(&SECRET, VERSION, &PLACE, [9; 12], plaintext);
    let open = || WORLD.data_key.open(&WORLD.context(), record.clone()).unwrap();

    let mut fields = open();
    let mut read = Vec::new();
    // Each field has at least four bytes, so this terminates.
    while let Ok(field) = fields.expose_next() {
        read.push(field.to_vec());
    }
    assert!(fields.finish().is_ok() == expected.is_some());
    if let Some(expected) = &expected {
        assert!(read == *expected);
    }

    let mut fields = open();
    for field in &read {
        let text = std::str::from_utf8(field)
            .ok()
            .map(|text| Some(text).filter(|text| !text.is_empty()));
        match fields.expose_next_text() {
            Ok(found) => assert!(Some(found) == text),
            Err(_) => {
                assert!(text.is_none());
                break;
            }
        }
    }

    let only = match expected.as_deref() {
        Some([only]) => std::str::from_utf8(only).ok(),
        _ => None,
    };
    let found = open().into_only_text().ok();
    assert!(found.as_ref().map(|text| text.as_str()) == only);
}
