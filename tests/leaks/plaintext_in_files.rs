//! The files of a vault contain no secret in any encoding.

#![cfg(feature = "sqlite")]

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use valetkey::ConsentOptions;
use valetkey::internals::secret::PkceVerifier;
use valetkey::internals::vault::{LateTokens, RefreshFailure, Taken};
use valetkey::model::{NeedsConsent, Owner};
use valetkey::testing::Fault;
use valetkey::vault::SqliteVault;

use crate::support::printed;
use crate::support::vault::*;
use crate::support::world::{World, operator, person};

/// Returns the encodings in which a file could contain a text.
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
        // Base64 of the text at each of the three offsets that it can have within a longer text.
        let whole = bytes.len() - skip;
        let part = &bytes[skip..skip + whole / 3 * 3];
        shapes.push(STANDARD.encode(part).into_bytes());
        shapes.push(URL_SAFE.encode(part).into_bytes());
    }
    shapes
}

const MARKERS: [&str; 5] = [
    "MARKER-access",
    "MARKER-refresh",
    "MARKER-id",
    "MARKER-verifier",
    "MARKER-state",
];

/// The secrets in the files of older versions.
const OLDER: [&str; 9] = [
    "access-1-2",
    "refresh-1-2",
    "access-2",
    "refresh-2",
    "refresh-3",
    "longlonglong",
    "refresh-4",
    "refresh-5",
    "verifier-verifier",
];

#[test]
fn promise_01_no_plaintext_in_any_file() {
    for schema in SCHEMAS {
        no_plaintext_in_any_file(schema);
    }
}

fn no_plaintext_in_any_file(schema: u32) {
    let (_directory, path) = place_of(schema);
    let patterns: Vec<Vec<u8>> = MARKERS.into_iter().chain(OLDER).flat_map(shapes).collect();
    let searched = AhoCorasick::new(&patterns).unwrap();
    let scan = |step: &str| {
        for (file, content) in files(&path) {
            let found = searched.find(&content).map(|found| &patterns[found.pattern()]);
            assert!(
                found.is_none(),
                "schema {schema}: {found:?} in {file:?} after {step}"
            );
        }
    };
    let vault =
        SqliteVault::open_with_progress(&path, key(1), |_, _| scan("a step of the migration")).unwrap();
    scan("opening");
    consents(&vault, &scan);
    let long = "MARKER-access".repeat(900);
    grants(&vault, &long, &scan);
    revocations(&vault, &long, &scan);
    rotate_data_key(&vault);
    reseal(&vault, 9);
    scan("resealing");
    vault.backup(&path.with_file_name("backup.db")).unwrap();
    scan("backing up");
    vault.holder().unwrap();
    forget_user(&vault, &user()).unwrap().unwrap();
    scan("forgetting a person");
    forget_tenant(&vault, &tenant()).unwrap().unwrap();
    scan("forgetting a workspace");
    drop(vault);
    scan("closing");
}

fn consents(vault: &SqliteVault, scan: &dyn Fn(&str)) {
    let mut consent = consent("MARKER-state");
    consent.owner = Owner::Workspace;
    let verifier = PkceVerifier::new("MARKER-verifier");
    vault.insert_consent(&consent, Some(&verifier)).unwrap();
    scan("start");
    let taken = take(vault, "MARKER-state", 1);
    assert!(matches!(taken, Taken::Consent(_, Some(_))), "{taken:?}");
    scan("take");
}

fn grants(vault: &SqliteVault, long: &str, scan: &dyn Fn(&str)) {
    grant(vault, &connection(10), &tokens(long, "MARKER-refresh-1"));
    scan("connect");
    let rotated = "MARKER-refresh".repeat(900);
    refresh(vault, 10, &tokens("MARKER-access-2", &rotated));
    scan("refresh");
    let former = grant(vault, &connection(10), &tokens(long, "MARKER-refresh-3"));
    assert_eq!(former.len(), 1);
    scan("connecting again");
    let failure = RefreshFailure::Rejected {
        reason: NeedsConsent::Rejected,
        at: at(3),
        quarantined_until: Some(at(9_000)),
    };
    let claimed = claimed(vault, 10);
    vault
        .fail_refresh(&tenant(), claimed.grant.id, &claimed.claim, &failure)
        .unwrap();
    scan("a refusal");
    assert_eq!(revoke(vault, 10).unwrap().ended.len(), 2);
    scan("revoke");
    vault.clear_residue().unwrap();
    scan("clearing");
}

fn revocations(vault: &SqliteVault, long: &str, scan: &dyn Fn(&str)) {
    for number in 11..=14 {
        grant(vault, &connection(number), &tokens(long, "MARKER-refresh-2"));
    }
    revoke_and_keep(vault, 11);
    scan("a revocation that waits for the provider");
    let ended = vault.grant(&tenant(), stored(vault, 12).grant).unwrap().unwrap();
    let is_kept = vault.queue_revocation(&LateTokens {
        grant: &ended,
        connection: id(12),
        tokens: &tokens("MARKER-access-late", "MARKER-refresh-late"),
        now: at(4),
        give_up_at: at(9_000),
    });
    assert!(is_kept.unwrap());
    scan("tokens that came too late");
}

/// The same for a host: the public operations on a file, and every secret in use so far.
#[test]
fn promise_01_no_plaintext_after_any_public_operation() {
    for schema in SCHEMAS {
        no_plaintext_after_any_public_operation(schema);
    }
}

fn no_plaintext_after_any_public_operation(schema: u32) {
    let (_directory, path) = place_of(schema);
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
    let consent = world.connections.open_link(&alice, prepared.ticket()).unwrap();
    ours.push(consent.binding().expose_secret().to_owned());
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    scan("opening", &ours);
    let connection = world.complete(&alice, &callback, &consent).unwrap();
    world.connect_workspace_account("grace");
    scan("completing", &ours);
    world.expire();
    world.resolver.resolve(&alice, "notes").unwrap();
    scan("refreshing", &ours);
    let request = http::Request::get("/notes").body(Vec::new()).unwrap();
    world.resolver.send(&alice, "notes", request).unwrap();
    world
        .connections
        .maintain(valetkey::connections::Budget::default())
        .unwrap();
    scan("upkeep", &ours);
    world.http.on("/revoke").next(Fault::InterruptedAfterSend);
    world.connections.revoke(&alice, connection.id).unwrap();
    scan("a revocation that nobody answered", &ours);
    world.connections.forget_user(&olga, alice.user()).unwrap();
    world.connections.forget_tenant(&olga).unwrap();
    let secrets = scan("forgetting", &ours);
    assert!(secrets > 12, "only {secrets} secrets were in use");
}
