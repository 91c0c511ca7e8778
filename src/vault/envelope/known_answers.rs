//! Known answers, written by another program from the documentation: the crate seals to the same
//! bytes with the same nonces, and opens them.

use serde::Deserialize;

use crate::model::{ProviderId, TenantId, UserId};
use crate::vault::VaultError;
use crate::vault::envelope::vectors::{self, Hex, Number};
use crate::vault::envelope::{
    AuditKey, Context, DataKey, Fields, Kind, Link, MasterKey, MasterKeys, VaultId, named_entry,
};

#[derive(Deserialize)]
struct WrappedKey {
    name: String,
    master_key: Hex,
    vault: Hex,
    tenant: String,
    version: u32,
    data_key: Hex,
    nonce: Hex,
    wrapped: Hex,
}

#[test]
fn wrapped_keys_have_the_known_bytes() {
    let answers: Vec<WrappedKey> = vectors::format_1("wrapped_keys");
    assert_eq!(answers.len(), 3);
    for answer in answers {
        let keys = MasterKeys::from(MasterKey::new(answer.master_key.secret()));
        let wrapped = answer.data_key.data_key(answer.version).wrap_with_nonce(
            &keys,
            VaultId::from_bytes(answer.vault.array()),
            &TenantId::new(answer.tenant).unwrap(),
            answer.nonce.array(),
        );
        assert!(wrapped.unwrap() == answer.wrapped.0, "{}", answer.name);
    }
}

#[derive(Deserialize)]
struct Record {
    name: String,
    data_key: Hex,
    version: u32,
    kind: String,
    vault: Hex,
    tenant: String,
    owner: Option<String>,
    provider: String,
    id: Hex,
    generation: Number,
    /// Absent from format 1.
    route: Option<Hex>,
    nonce: Hex,
    fields: Vec<Hex>,
    record: Hex,
}

impl Record {
    fn kind(&self) -> Kind {
        match self.kind.as_str() {
            "access_token" => Kind::AccessToken,
            "rest" => Kind::Rest,
            "consent" => Kind::Consent,
            "revocation_access" => Kind::RevocationAccess,
            "revocation_rest" => Kind::RevocationRest,
            other => panic!("no kind is called {other}"),
        }
    }

    fn key(&self) -> DataKey {
        self.data_key.data_key(self.version)
    }

    fn in_context<T>(&self, f: impl FnOnce(&Context<'_>) -> T) -> T {
        let owner = self
            .owner
            .as_ref()
            .map(|owner| UserId::new(owner.as_str()).unwrap());
        f(&Context {
            kind: self.kind(),
            vault: VaultId::from_bytes(self.vault.array()),
            tenant: &TenantId::new(self.tenant.as_str()).unwrap(),
            owner: owner.as_ref(),
            provider: &ProviderId::new(self.provider.as_str()).unwrap(),
            id: &self.id.array(),
            generation: self.generation.0,
            route: self.route.as_ref().map_or(&[], |route| &route.0),
        })
    }
}

fn slices(fields: &[Hex]) -> Vec<&[u8]> {
    fields.iter().map(|field| field.0.as_slice()).collect()
}

fn is_all(fields: &Fields, expected: &[Hex]) -> bool {
    fields.expose_all().unwrap() == slices(expected)
}

#[test]
fn records_of_format_1_open_in_the_migration_and_nowhere_else() {
    let answers: Vec<Record> = vectors::format_1("records");
    assert_eq!(answers.len(), 9);
    for answer in answers {
        let record = &answer.record.0;
        let opened = answer.in_context(|context| answer.key().open_format_1(context, record.clone()));
        assert!(is_all(&opened.unwrap(), &answer.fields), "{}", answer.name);
        let opened = answer.in_context(|context| answer.key().open(context, record.clone()));
        assert!(matches!(opened, Err(VaultError::Tampered)), "{}", answer.name);
    }
}

#[test]
fn records_of_format_2_have_the_known_bytes() {
    let answers: Vec<Record> = vectors::format_2("records");
    assert_eq!(answers.len(), 14);
    for answer in answers {
        let (key, record) = (answer.key(), &answer.record.0);
        let sealed = answer.in_context(|context| {
            key.seal_with_nonce(context, &slices(&answer.fields), answer.nonce.array())
        });
        assert!(sealed.unwrap() == *record, "{}", answer.name);
        let opened = answer.in_context(|context| key.open(context, record.clone()));
        assert!(is_all(&opened.unwrap(), &answer.fields), "{}", answer.name);
        let opened = answer.in_context(|context| key.open_format_1(context, record.clone()));
        assert!(matches!(opened, Err(VaultError::Tampered)), "{}", answer.name);
    }
}

#[derive(Deserialize)]
struct AuditBody {
    name: String,
    data_key: Hex,
    version: u32,
    vault: Hex,
    tenant: String,
    number: Number,
    nonce: Hex,
    fields: Vec<Hex>,
    body: Hex,
}

#[test]
fn audit_bodies_have_the_known_bytes() {
    let answers: Vec<AuditBody> = vectors::format_2("audit_bodies");
    assert_eq!(answers.len(), 2);
    for answer in answers {
        let key = answer.data_key.data_key(answer.version);
        let vault = VaultId::from_bytes(answer.vault.array());
        let tenant = TenantId::new(answer.tenant).unwrap();
        let (number, fields) = (answer.number.0, slices(&answer.fields));
        let sealed = key.seal_audit(vault, &tenant, number, &fields, answer.nonce.array());
        assert!(sealed.unwrap() == answer.body.0, "{}", answer.name);
        let opened = key.open_audit(vault, &tenant, number, answer.body.0);
        assert!(is_all(&opened.unwrap(), &answer.fields), "{}", answer.name);
    }
}

#[derive(Deserialize)]
struct EntryBody {
    name: String,
    data_key: Hex,
    version: u32,
    vault: Hex,
    tenant: String,
    entry: Hex,
    nonce: Hex,
    fields: Vec<Hex>,
    body: Hex,
}

#[test]
fn bodies_of_entries_without_a_number_have_the_known_bytes() {
    let answers: Vec<EntryBody> = vectors::format_2("audit_entries");
    assert_eq!(answers.len(), 2);
    for answer in answers {
        let key = answer.data_key.data_key(answer.version);
        let vault = VaultId::from_bytes(answer.vault.array());
        let tenant = TenantId::new(answer.tenant).unwrap();
        let (entry, fields) = (answer.entry.array(), slices(&answer.fields));
        let sealed = key.seal_entry(vault, &tenant, entry, &fields, answer.nonce.array());
        assert!(sealed.unwrap() == answer.body.0, "{}", answer.name);
        let (named, record) = named_entry(&answer.body.0);
        assert_eq!(named, Some(entry), "{}", answer.name);
        let opened = key.open_entry(vault, &tenant, entry, record.to_vec());
        assert!(is_all(&opened.unwrap(), &answer.fields), "{}", answer.name);
    }
}

#[derive(Deserialize)]
struct RowMac {
    name: String,
    data_key: Hex,
    parts: Vec<Hex>,
    mac: Hex,
}

#[test]
fn row_macs_have_the_known_bytes() {
    let answers: Vec<RowMac> = vectors::format_2("row_macs");
    assert_eq!(answers.len(), 3);
    for answer in answers {
        let key = answer.data_key.data_key(u32::MAX).row_key();
        let parts = slices(&answer.parts);
        assert_eq!(key.sign(&parts), answer.mac.array(), "{}", answer.name);
        assert!(key.verify(&parts, &answer.mac.array()).is_ok(), "{}", answer.name);
    }
}

#[derive(Deserialize)]
struct Audit {
    master_key: Hex,
    vault: Hex,
    wrapped: Hex,
    links: Vec<LinkAnswer>,
    heads: Vec<Head>,
    gaps: Vec<Gap>,
    checkpoints: Vec<Checkpoint>,
    pending: Vec<Pending>,
    fingerprints: Vec<Fingerprint>,
}

#[derive(Deserialize)]
struct LinkAnswer {
    number: Number,
    before: Hex,
    at: i64,
    tenant: Option<i64>,
    kind: String,
    body: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
struct Head {
    /// Absent from the head of the chain that schemas 1 and 2 kept.
    chain: Option<i64>,
    number: Number,
    mac: Hex,
    broken: Option<u64>,
    seal: Hex,
}

#[derive(Deserialize)]
struct Gap {
    chain: i64,
    first: Number,
    last: Number,
    before: Hex,
    mac: Hex,
    seal: Hex,
}

#[derive(Deserialize)]
struct Checkpoint {
    chain: i64,
    number: Number,
    mac: Hex,
    seal: Hex,
}

#[derive(Deserialize)]
struct Pending {
    tenant: i64,
    at: i64,
    kind: String,
    body: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
struct Fingerprint {
    parts: Vec<Hex>,
    fingerprint: Hex,
}

#[test]
fn the_macs_of_the_audit_have_the_known_bytes() {
    let audit: Audit = vectors::format_2("audit");
    let counts = [
        audit.links.len(),
        audit.heads.len(),
        audit.gaps.len(),
        audit.checkpoints.len(),
        audit.pending.len(),
        audit.fingerprints.len(),
    ];
    assert_eq!(counts, [3, 6, 3, 3, 2, 1]);
    let vault = VaultId::from_bytes(audit.vault.array());
    let keys = MasterKeys::from(MasterKey::new(audit.master_key.secret()));
    let key = AuditKey::unwrap(&audit.wrapped.0, &keys, vault).unwrap();
    for link in audit.links {
        let mac = key.link(
            vault,
            &Link {
                number: link.number.0,
                before: &link.before.array(),
                at: link.at,
                tenant: link.tenant,
                kind: &link.kind,
                body: &link.body.0,
            },
        );
        assert_eq!(mac, link.mac.array(), "link {:?}", link.number);
    }
    for head in audit.heads {
        let (number, mac) = (head.number.0, head.mac.array());
        let seal = match head.chain {
            Some(chain) => key.chain_head(vault, chain, number, &mac, head.broken),
            None => key.head(vault, number, &mac, head.broken),
        };
        assert_eq!(seal, head.seal.array(), "head {number} of {:?}", head.chain);
    }
    for gap in audit.gaps {
        let (before, mac) = (gap.before.array(), gap.mac.array());
        let seal = key.gap(vault, gap.chain, gap.first.0, gap.last.0, &before, &mac);
        assert_eq!(seal, gap.seal.array(), "gap of {}", gap.chain);
    }
    for checkpoint in audit.checkpoints {
        let seal = key.checkpoint(
            vault,
            checkpoint.chain,
            checkpoint.number.0,
            &checkpoint.mac.array(),
        );
        assert_eq!(
            seal,
            checkpoint.seal.array(),
            "checkpoint of {}",
            checkpoint.chain
        );
    }
    for entry in audit.pending {
        let mac = key.pending(vault, entry.tenant, entry.at, &entry.kind, &entry.body.0);
        assert_eq!(mac, entry.mac.array(), "pending entry of {}", entry.tenant);
    }
    for answer in audit.fingerprints {
        assert_eq!(
            key.fingerprint(&slices(&answer.parts)),
            answer.fingerprint.array()
        );
    }
}
