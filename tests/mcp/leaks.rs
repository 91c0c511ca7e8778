//! Secrets of registrations appear in no file, no error, no event and no debug output.

#![cfg(feature = "sqlite")]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use valetkey::connections::{AuditPage, McpClient, McpOptions};
use valetkey::testing::{EventLog, ManualClock, Sandbox};
use valetkey::vault::{MasterKey, SqliteVault};
use valetkey::{Connections, Operator};

use crate::host::{Host, ISSUER, REDIRECT, SERVER, person, tenant};

/// Returns the encodings in which a secret could appear.
fn shapes(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = STANDARD_NO_PAD.encode(secret);
    let url_safe = URL_SAFE_NO_PAD.encode(secret);
    vec![secret.to_owned(), hex.to_uppercase(), hex, base64, url_safe]
}

#[test]
fn row_24_secrets_of_a_registration_are_nowhere_in_the_clear() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vault.db");
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing_mcp(clock.clone());
    sandbox.adjust(|it| it.registered_method = Some("client_secret_post".into()));
    let vault = Arc::new(SqliteVault::open(&file, MasterKey::generate().unwrap()).unwrap());
    let events = EventLog::default();
    let connections = Connections::builder(Arc::clone(&vault))
        .mcp(McpClient::new("Agent", REDIRECT))
        .http_client(sandbox.clone())
        .clock(clock.clone())
        .events(events.clone())
        .build()
        .unwrap();
    let host = Host::over(vault.clone(), sandbox, clock);
    let alice = person("alice");
    let mut printed = Vec::new();
    let consent = connections
        .start_mcp(&alice, SERVER, McpOptions::default())
        .unwrap();
    printed.push(format!("{consent:?}"));
    let connection = host.finish(&alice, &consent, "ada").unwrap();
    host.connections.refresh(&alice, connection.id).unwrap();
    printed.push(format!("{connection:?} {connections:?}"));
    printed.push(format!("{:?}", connections.added_clients(&tenant()).unwrap()));
    printed.push(format!("{:?}", connections.added_providers(&tenant()).unwrap()));
    // The registration is refused once, and forgotten.
    let (_, client_id) = host.sandbox.registered_clients().remove(0);
    host.sandbox.forget_client(&client_id);
    let error = connections.refresh(&alice, connection.id).unwrap_err();
    printed.push(format!("{error} {error:?}"));
    let olga = Operator::authenticated(tenant(), "olga").unwrap();
    let audit = connections.audit(&olga, &AuditPage::default()).unwrap();
    printed.push(format!("{audit:?} {events:?}"));

    let secrets = host.sandbox.issued_secrets();
    assert!(secrets.len() >= 3, "a client secret, tokens and a code");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        files.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    for shape in secrets.iter().flat_map(|secret| shapes(secret)) {
        assert!(printed.iter().all(|text| !text.contains(&shape)), "printed");
        let within = |content: &Vec<u8>| {
            content
                .windows(shape.len())
                .any(|window| window == shape.as_bytes())
        };
        assert!(!files.iter().any(within), "in a file");
    }
    // The name of the issuer is not a secret: the search finds what is there.
    assert!(
        files
            .iter()
            .any(|content| content.windows(ISSUER.len()).any(|it| it == ISSUER.as_bytes()))
    );
}
