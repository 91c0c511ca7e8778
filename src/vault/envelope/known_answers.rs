//! Wrapped keys are written, and records of format 1 are read, as the known answers say.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::model::{ProviderId, TenantId, UserId};
use crate::vault::envelope::{Context, DataKey, Kind, MasterKey, MasterKeys, VaultId};

#[derive(Deserialize)]
struct Answers {
    wrapped_keys: Vec<WrappedKey>,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct WrappedKey {
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
struct Record {
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
    fields: Vec<String>,
    record: String,
}

fn answers() -> Answers {
    serde_json::from_str(include_str!("../../../tests/vectors/format-1.json")).unwrap()
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

fn secret(hex: &str) -> Box<Zeroizing<[u8; 32]>> {
    Box::new(Zeroizing::new(array(hex)))
}

#[test]
fn wrapped_keys() {
    for answer in answers().wrapped_keys {
        let keys = MasterKeys::from(MasterKey::new(secret(&answer.master_key)));
        let wrapped = DataKey::new(answer.version, secret(&answer.data_key)).wrap_with_nonce(
            &keys,
            VaultId::from_bytes(array(&answer.vault)),
            &TenantId::new(answer.tenant).unwrap(),
            array(&answer.nonce),
        );
        assert!(wrapped.unwrap() == bytes(&answer.wrapped), "{}", answer.name);
    }
}

#[test]
fn records() {
    for answer in answers().records {
        let owner = answer.owner.map(|owner| UserId::new(owner).unwrap());
        let context = Context {
            kind: match answer.kind.as_str() {
                "access_token" => Kind::AccessToken,
                "rest" => Kind::Rest,
                _ => Kind::Consent,
            },
            vault: VaultId::from_bytes(array(&answer.vault)),
            tenant: &TenantId::new(answer.tenant).unwrap(),
            owner: owner.as_ref(),
            provider: &ProviderId::new(answer.provider).unwrap(),
            id: &array(&answer.id),
            generation: answer.generation.parse().unwrap(),
            route: &[],
        };
        let fields: Vec<Vec<u8>> = answer.fields.iter().map(|field| bytes(field)).collect();
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let key = DataKey::new(answer.version, secret(&answer.data_key));
        // This version does not write format 1 any more. It must still read it.
        let opened = key.open_format_1(&context, bytes(&answer.record)).unwrap();
        assert_eq!(opened.expose_all().unwrap(), fields, "{}", answer.name);
    }
}
