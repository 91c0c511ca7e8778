//! The known answers, opened and written by both implementations.

use serde::Deserialize;
use valetkey::internals::vault::envelope::{DataKey, VaultId, check_value};
use valetkey::model::TenantId;

use super::{Names, data_key, master_key, read};
use crate::support::format;

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
    /// Absent from format 1.
    #[serde(default)]
    route: String,
    nonce: String,
    fields: Vec<String>,
    record: String,
}

impl RecordAnswer {
    /// Seals with the other implementation and opens with both.
    fn check(&self, format: u8) {
        let (route, secret, record) = (bytes(&self.route), array(&self.data_key), bytes(&self.record));
        let place = format::Place {
            kind: &self.kind,
            vault: array(&self.vault),
            tenant: &self.tenant,
            owner: self.owner.as_deref(),
            provider: &self.provider,
            id: array(&self.id),
            generation: self.generation.parse().unwrap(),
            route: &route,
        };
        let fields: Vec<Vec<u8>> = self.fields.iter().map(|field| bytes(field)).collect();
        let (nonce, plaintext) = (array(&self.nonce), format::join(&fields));
        let names = Names::of(&place);
        let (context, key) = (names.context(&place), data_key(&secret, self.version));
        let (theirs, opened) = match format {
            1 => (
                format::seal_format_1(&secret, self.version, &place, nonce, &plaintext),
                key.open_format_1(&context, record.clone()),
            ),
            _ => (
                format::seal(&secret, self.version, &place, nonce, &plaintext),
                key.open(&context, record.clone()),
            ),
        };
        assert!(theirs == record, "{}", self.name);
        assert!(read(opened.unwrap(), fields.len()) == fields, "{}", self.name);
    }
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
    let answers: Answers = serde_json::from_str(include_str!("../../vectors/format-1.json")).unwrap();
    assert_eq!(answers.format, 1);
    for answer in &answers.master_keys {
        let (secret, vault) = (array(&answer.secret), array(&answer.vault));
        assert_eq!(master_key(&secret).id(), &array(&answer.id), "{}", answer.name);
        assert_eq!(format::derive::<16>(&secret, "id"), array(&answer.id));
        let check = check_value(&master_key(&secret), VaultId::from_bytes(vault));
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
        // The opened record shows which key was unwrapped.
        let place = format::Place {
            kind: "rest",
            vault,
            tenant: &answer.tenant,
            owner: None,
            provider: "gmail",
            id: [1; 16],
            generation: 1,
            route: &[],
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
        answer.check(1);
    }
    let counts = (
        answers.master_keys.len(),
        answers.wrapped_keys.len(),
        answers.records.len(),
    );
    assert_eq!(counts, (3, 3, 9), "an answer was taken out");
}

#[derive(Deserialize)]
struct NewerAnswers {
    format: u8,
    records: Vec<RecordAnswer>,
}

#[test]
fn the_known_answers_of_format_2_open() {
    let answers: NewerAnswers = serde_json::from_str(include_str!("../../vectors/format-2.json")).unwrap();
    assert_eq!(answers.format, 2);
    for answer in &answers.records {
        answer.check(2);
    }
    assert_eq!(answers.records.len(), 14, "an answer was taken out");
}
