//! Attacks by a writer that succeed, as `SECURITY.md` says, and the parts of them that are
//! detected.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use valetkey::connections::Budget;
use valetkey::error::{ConsentError, Error};
use valetkey::internals::vault::{AuditLog as _, Housekeeping as _};
use valetkey::model::Label;
use valetkey::testing::ManualClock;
use valetkey::vault::VaultError;
use valetkey::{AuthorizationResponse, ConsentOptions, UserId};

use crate::database_writer::edit::writer;
use crate::database_writer::history::{PUT_BACK, put_back, verify};
use crate::database_writer::servers::{HONEST, Seen, read_token};
use crate::database_writer::world::{ACME, Host, operator, person, scratch, tenant};

struct Small {
    _directory: tempfile::TempDir,
    path: PathBuf,
    older: PathBuf,
    host: Host,
}

impl Small {
    fn new() -> Self {
        let directory = scratch();
        let path = directory.path().join("vault.db");
        let host = Host::open(&path, ManualClock::START).unwrap();
        Self {
            older: directory.path().join("older.db"),
            path,
            host,
            _directory: directory,
        }
    }

    fn remember(&self) {
        self.host.vault.backup(&self.older).unwrap();
    }

    /// Returns the account whose token alice gets for a service.
    fn account_of_alice(&self, service: &str) -> String {
        let token = self
            .host
            .resolver
            .resolve(&person((ACME, "alice")), service)
            .unwrap();
        read_token(token.access_token().expose_secret()).1
    }
}

#[test]
fn an_older_file_is_found_by_an_exported_head_and_a_verification() {
    let small = Small::new();
    let alice = person((ACME, "alice"));
    small
        .host
        .connect(&alice, "notes", "ada", ConsentOptions::default());
    small.remember();
    small
        .host
        .connect(&alice, "game", "adaplays", ConsentOptions::default());
    let head = small
        .host
        .vault
        .audit_heads(Some(&tenant(ACME)))
        .unwrap()
        .remove(0);
    assert!(small.host.vault.proves(&head).unwrap());

    let rolled_back = small.path.with_extension("rolled");
    fs::copy(&small.older, &rolled_back).unwrap();
    let older = Host::open(&rolled_back, ManualClock::START).unwrap();
    assert!(verify(&older).is_intact(), "the older file is whole in itself");
    assert!(!older.vault.proves(&head).unwrap());

    // The entry that the head names is copied into the older file: then the chain is broken.
    let db = writer(&rolled_back);
    db.execute("ATTACH ? AS newer", [small.path.to_str().unwrap()])
        .unwrap();
    db.execute(
        "INSERT INTO audit SELECT * FROM newer.audit WHERE number = ?1 AND chain = (SELECT max(chain) FROM newer.audit)",
        [i64::try_from(head.number()).unwrap()],
    )
    .unwrap();
    assert!(older.vault.proves(&head).unwrap());
    assert!(verify(&older).first_broken.is_some());
}

#[test]
fn an_older_default_can_be_put_back_and_is_not_reported() {
    let small = Small::new();
    let alice = person((ACME, "alice"));
    let work = ConsentOptions::default().label(Label::new("work").unwrap());
    let one = small
        .host
        .connect(&alice, "notes", "ada", ConsentOptions::default());
    let two = small.host.connect(&alice, "notes", "adawork", work);
    small.host.connections.set_default(&alice, one.id).unwrap();
    small.remember();
    small.host.connections.set_default(&alice, two.id).unwrap();
    assert_eq!(small.account_of_alice("notes"), "adawork");
    let db = writer(&small.path);
    db.execute("UPDATE connections SET is_default = 0", []).unwrap();
    for id in [two.id, one.id] {
        assert!(put_back(&small.path, &small.older, id, PUT_BACK[0]));
    }
    assert_eq!(small.account_of_alice("notes"), "ada");
    assert!(verify(&small.host).is_intact());
}

#[test]
fn a_deleted_connection_is_named_and_another_one_of_the_same_person_is_used() {
    let small = Small::new();
    let alice = person((ACME, "alice"));
    let work = ConsentOptions::default().label(Label::new("work").unwrap());
    small.host.connect(&alice, "notes", "adawork", work);
    let one = small
        .host
        .connect(&alice, "notes", "ada", ConsentOptions::default());
    small.host.connections.set_default(&alice, one.id).unwrap();
    let mail = small
        .host
        .connect(&alice, "mail", "adamail", ConsentOptions::default());
    small.host.connect_workspace(ACME, "mail", "team");
    for id in [one.id, mail.id] {
        assert!(put_back(&small.path, &small.path, id, PUT_BACK[3]));
    }
    assert_eq!(small.account_of_alice("notes"), "adawork");
    assert_eq!(small.account_of_alice("mail"), "team");
    let mut deleted = [one.id, mail.id];
    deleted.sort();
    assert_eq!(verify(&small.host).out_of_date, deleted);
}

#[test]
fn a_consent_that_is_put_back_is_its_persons_still() {
    let small = Small::new();
    let (alice, mallory) = (person((ACME, "alice")), person((ACME, "mallory")));
    let consent = small
        .host
        .connections
        .start(&alice, "notes", ConsentOptions::default())
        .unwrap();
    small.remember();
    let callback = small.host.callback(&consent, "ada");
    let complete = |who| {
        let response = AuthorizationResponse::parse(&callback).unwrap();
        small.host.connections.complete(who, response, consent.binding())
    };
    complete(&alice).unwrap();
    assert!(matches!(
        complete(&alice),
        Err(Error::Consent(ConsentError::Used(_)))
    ));
    let db = writer(&small.path);
    db.execute("ATTACH ? AS old", [small.older.to_str().unwrap()])
        .unwrap();
    db.execute_batch(
        // Its slot was reused for the tokens meanwhile.
        "INSERT OR REPLACE INTO consents SELECT * FROM old.consents;
         INSERT INTO secrets SELECT 1000, s.access, s.rest FROM old.secrets s JOIN old.consents c ON c.slot = s.slot;
         UPDATE consents SET slot = 1000",
    )
    .unwrap();
    assert!(matches!(
        complete(&mallory),
        Err(Error::Consent(ConsentError::WrongUser))
    ));
    assert!(complete(&alice).is_ok());
}

#[test]
fn an_altered_connection_can_be_forgotten_and_not_revoked() {
    let small = Small::new();
    let alice = person((ACME, "alice"));
    let connection = small
        .host
        .connect(&alice, "notes", "ada", ConsentOptions::default());
    writer(&small.path)
        .execute(
            "UPDATE connections SET owner = owner || 'x', mac = zeroblob(32)",
            [],
        )
        .unwrap();
    writer(&small.path)
        .execute("UPDATE connections SET owner = 'alice'", [])
        .unwrap();
    let revoked = small.host.connections.revoke(&operator(ACME), connection.id);
    assert!(
        matches!(revoked, Err(Error::Vault(VaultError::Tampered))),
        "{revoked:?}"
    );
    let forgotten = small
        .host
        .connections
        .forget_user(&operator(ACME), &UserId::new("alice").unwrap())
        .unwrap();
    assert_eq!(forgotten.unwrap().connections, 1);
    let left: i64 = writer(&small.path)
        .query_row("SELECT count(*) FROM grants", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_pending_revocation_that_is_put_back_goes_to_its_own_server() {
    let small = Small::new();
    let alice = person((ACME, "alice"));
    let connection = small
        .host
        .connect(&alice, "notes", "stuck", ConsentOptions::default());
    small.host.connections.revoke(&alice, connection.id).unwrap();
    small.remember();
    writer(&small.path)
        .execute("DELETE FROM revocations", [])
        .unwrap();
    let db = writer(&small.path);
    db.execute("ATTACH ? AS old", [small.older.to_str().unwrap()])
        .unwrap();
    db.execute("INSERT INTO revocations SELECT * FROM old.revocations", [])
        .unwrap();
    let before = small.host.network.seen().len();
    small.host.clock.advance(Duration::from_secs(3_600));
    small.host.connections.maintain(Budget::default()).unwrap();
    let seen = small.host.network.seen().split_off(before);
    assert!(!seen.is_empty());
    let is_right = |request: &Seen| request.origin == HONEST && request.path == "/revoke";
    assert!(seen.iter().all(is_right), "{seen:?}");
}
