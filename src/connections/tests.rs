//! Every option survives storage in a ticket. When a field is added to one of the types, this file
//! does not compile until the field is compared.

use std::time::Duration;

use tempfile::TempDir;

use crate::connections::Connections;
use crate::engine::consent::options::{ConsentOptions, Reconnect};
use crate::model::{ActingUser, ConnectionId, Label, Scopes};
use crate::protocol::{Hints, Prompt};
use crate::provider::{ClientRegistration, catalog};
use crate::vault::{MasterKey, PendingConsent, Purpose, SqliteVault, StateHash};

fn open(directory: &TempDir) -> Connections {
    let key = MasterKey::of_bytes([7; 32].into());
    let vault = SqliteVault::open(directory.path().join("vault.db"), key).unwrap();
    let client = ClientRegistration::new("client", "secret", "http://localhost/callback");
    Connections::builder(vault)
        .client(catalog::MICROSOFT, client)
        .http_client(|_| unreachable!("a ticket is prepared without a request"))
        .build()
        .unwrap()
}

#[test]
fn promise_37_every_field_of_the_options_survives_a_ticket_and_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let alice = ActingUser::authenticated("acme", "alice").unwrap();
    let connections = open(&directory);
    let scopes = |text: &str| text.parse::<Scopes>().unwrap();
    let options = || ConsentOptions {
        scopes: Some(scopes("Mail.Read")),
        added_scopes: scopes("Mail.Send"),
        label: Some(Label::new("work").unwrap()),
        hints: Hints {
            login_hint: Some("alice@example.test".into()),
            prompt: Some(Prompt::SelectAccount),
            max_age: Some(Duration::from_millis(90_500)),
            acr_values: Some("urn:a urn:b".into()),
        },
        parameters: [("tenant".to_owned(), "organizations".to_owned())].into(),
        reconnect: None,
        also: vec!["onedrive".into()],
        also_scopes: [("onedrive".to_owned(), scopes("Files.Read"))].into(),
        require_account: true,
        return_to: Some("/chat".into()),
        loopback_port: Some(4_711),
    };
    let prepared = connections.prepare(&alice, "outlook-mail", options()).unwrap();
    drop(connections);

    let hash = StateHash::of_ticket(prepared.ticket());
    let connections = open(&directory);
    let stored = connections
        .engine()
        .vault
        .consent(alice.tenant(), &hash)
        .unwrap()
        .unwrap();
    let before = options();
    let ConsentOptions {
        scopes,
        added_scopes,
        label,
        hints,
        parameters,
        reconnect,
        also,
        also_scopes,
        require_account,
        return_to,
        loopback_port,
    } = ConsentOptions::of(&stored);
    assert_eq!(scopes, before.scopes);
    // With the scopes that the service requires.
    let held = &also_scopes["onedrive"];
    assert!(before.also_scopes["onedrive"].difference(held).is_empty());
    assert!(!held.to_string().contains("Files.ReadWrite"), "{held}");
    assert_eq!(added_scopes, before.added_scopes);
    assert_eq!(label, before.label);
    let Hints {
        login_hint,
        prompt,
        max_age,
        acr_values,
    } = hints;
    assert_eq!(login_hint, before.hints.login_hint);
    assert_eq!(prompt, before.hints.prompt);
    assert_eq!(max_age, before.hints.max_age);
    assert_eq!(acr_values, before.hints.acr_values);
    // Values that the host did not set now have their defaults.
    for (name, value) in &before.parameters {
        assert_eq!(parameters.get(name), Some(value), "{name}");
    }
    assert!(reconnect.is_none());
    assert_eq!(also, before.also);
    assert_eq!(require_account, before.require_account);
    assert_eq!(return_to, before.return_to);
    assert_eq!(loopback_port, before.loopback_port);

    let id = ConnectionId::from_bytes([5; 16]);
    for (purpose, expected) in [
        (Purpose::Reconnect(id), Reconnect::SameAccount(id)),
        (Purpose::SwitchAccount(id), Reconnect::AnyAccount(id)),
        (Purpose::Extend(id), Reconnect::Extend(id)),
    ] {
        let stored = PendingConsent {
            purpose,
            ..stored.clone()
        };
        assert_eq!(ConsentOptions::of(&stored).reconnect, Some(expected));
    }
}
