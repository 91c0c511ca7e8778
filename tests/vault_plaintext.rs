//! No file of a vault shows a secret, in any shape.

#![cfg(feature = "sqlite")]

mod vault_support;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use valetkey::model::Owner;
use valetkey::secret::PkceVerifier;
use valetkey::vault::Vault;
use vault_support::*;

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
