//! No file of a vault shows a secret, in any shape.

#![cfg(feature = "sqlite")]

mod printed;
mod vault_support;
mod world;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use valetkey::model::Owner;
use valetkey::secret::PkceVerifier;
use valetkey::testing::Fault;
use valetkey::vault::Vault;
use valetkey::{ConnectionManager as _, ConsentOptions};
use vault_support::*;
use world::{World, operator, person};

/// A text in the shapes in which it might lie in a file.
fn shapes(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let mut shapes = vec![
        bytes.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        percent.into_bytes(),
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
    ];
    for skip in 0..3 {
        // Base64 of the text at each of the three offsets that it may have within a longer one.
        let whole = bytes.len() - skip;
        let part = &bytes[skip..skip + whole / 3 * 3];
        shapes.push(STANDARD.encode(part).into_bytes());
        shapes.push(URL_SAFE.encode(part).into_bytes());
    }
    shapes
}

#[test]
fn promise_01_no_plaintext_in_any_file() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let markers = ["MARKER-access", "MARKER-refresh", "MARKER-id", "MARKER-verifier"];
    let patterns: Vec<Vec<u8>> = markers.into_iter().flat_map(shapes).collect();
    let searched = AhoCorasick::new(&patterns).unwrap();
    let scan = |step: &str| {
        for (file, content) in files(&path) {
            let found = searched.find(&content).map(|found| &patterns[found.pattern()]);
            assert!(found.is_none(), "{found:?} in {file:?} after {step}");
        }
    };
    let mut consent = consent("MARKER-state");
    consent.owner = Owner::Shared;
    let verifier = PkceVerifier::new("MARKER-verifier");
    vault.insert_consent(&consent, Some(&verifier)).unwrap();
    scan("start");
    assert!(
        vault
            .take_consent(&tenant(), &consent.state, at(1))
            .unwrap()
            .is_some()
    );
    scan("take");
    let long = "MARKER-access".repeat(900);
    grant(&vault, &connection(1, 1), &tokens(&long, "MARKER-refresh-1"));
    scan("connect");
    refresh(
        &vault,
        1,
        1,
        &tokens("MARKER-access-2", &"MARKER-refresh".repeat(900)),
    );
    scan("refresh");
    assert!(vault.revoke(&tenant(), id(1), None, at(3)).unwrap().is_some());
    scan("revoke");
    vault.clear_residue().unwrap();
    scan("clearing");
    for number in 2..=4 {
        grant(&vault, &connection(number, 1), &tokens(&long, "MARKER-refresh-2"));
    }
    let queued = vault
        .revoke_and_queue(&tenant(), id(2), None, at(3), at(9_000))
        .unwrap();
    assert!(queued.unwrap().queued.is_some());
    scan("queueing");
    vault.rotate_data_key(&tenant()).unwrap();
    vault.reseal(9).unwrap();
    scan("resealing");
    vault.backup(path.with_file_name("backup.db")).unwrap();
    scan("backing up");
    vault.holder().unwrap();
    vault.forget_user(&tenant(), &user(), None, at(4)).unwrap();
    scan("forgetting a person");
    vault.forget_tenant(&tenant(), at(5)).unwrap();
    scan("forgetting a workspace");
    drop(vault);
    scan("closing");
}

/// The same from where a host stands: the public operations over a file, and every secret that was in play by then.
#[test]
fn promise_01_no_plaintext_after_any_public_operation() {
    let (_directory, path) = place();
    let world = World::over(open(&path).unwrap());
    let (alice, olga) = (person("alice"), operator());
    let mut ours: Vec<String> = Vec::new();
    let scan = |step: &str, ours: &[String]| {
        let mut secrets = printed::secrets(&world.sandbox);
        secrets.extend_from_slice(ours);
        let patterns: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| shapes(secret)).collect();
        let searched = AhoCorasick::new(&patterns).unwrap();
        for (file, content) in files(&path) {
            assert!(!searched.is_match(&content), "a secret in {file:?} after {step}");
        }
        secrets.len()
    };
    let prepared = world
        .connections
        .prepare(&alice, "notes", ConsentOptions::default())
        .unwrap();
    ours.push(prepared.ticket().expose_secret().to_owned());
    scan("preparing", &ours);
    let consent = world.connections.open(&alice, prepared.ticket()).unwrap();
    ours.push(consent.binding().expose_secret().to_owned());
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    scan("opening", &ours);
    let connection = world.complete(&alice, &callback, &consent).unwrap();
    world.connect_shared("grace");
    scan("completing", &ours);
    world.expire();
    world.resolver.resolve(&alice, "notes").unwrap();
    scan("refreshing", &ours);
    let request = http::Request::get("/notes").body(Vec::new()).unwrap();
    world.resolver.send(&alice, "notes", request).unwrap();
    world
        .connections
        .maintain(valetkey::manager::Budget::default())
        .unwrap();
    scan("upkeep", &ours);
    world.http.on("/revoke").next(Fault::InterruptedAfterSend);
    world.connections.revoke(&alice, connection.id).unwrap();
    scan("a revocation that nobody answered", &ours);
    world.connections.forget_user(&olga, alice.user()).unwrap();
    world.connections.forget_tenant(&olga).unwrap();
    let secrets = scan("forgetting", &ours);
    assert!(secrets > 12, "only {secrets} secrets were in play");
}
