//! A wrong client secret at a server that answers `invalid_grant` for it: no grant is lost once the
//! secret is corrected.

use std::time::Duration;

use valetkey::Error;
use valetkey::connections::Budget;
use valetkey::internals::model::refresh_state;
use valetkey::model::{NeedsConsent, Status};
use valetkey::vault::{MasterKey, SqliteVault};

use crate::support::world::{World, operator, person};

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[test]
fn promise_29_a_mass_refusal_is_undone() {
    let people = if std::env::var_os("VALETKEY_FULL").is_some() {
        1_000
    } else {
        60
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vault.db");
    let vault = SqliteVault::open(&file, MasterKey::generate().unwrap()).unwrap();
    let world = World::with(vault, |it| it.hides_invalid_client = true);
    let people: Vec<_> = (0..people)
        .map(|number| person(&format!("person-{number}")))
        .collect();
    for person in &people {
        world.connect(person, "ada");
    }
    world.expire();
    let right = world.sandbox.client_secret();
    world.sandbox.change_client_secret("sbx-cs-wrong");
    for person in &people {
        assert!(matches!(
            world.resolver.resolve(person, "notes"),
            Err(Error::ConsentRequired(_))
        ));
        // Unavailable: turns do not even retry it.
        let requests = world.http.requests();
        assert!(world.resolver.resolve(person, "notes").is_err());
        assert_eq!(world.http.requests(), requests);
    }
    world.clock.advance(6 * DAY);
    assert_eq!(
        world
            .connections
            .maintain(Budget::default())
            .unwrap()
            .quarantines_ended,
        0
    );

    // Retrying too early loses nothing either.
    let early = world
        .connections
        .retry_rejected(&operator(), "notes", None, 5)
        .unwrap();
    assert_eq!((early.restored, early.refused), (0, 5));
    // The next call continues with other grants: those refused again do not hide them.
    let mut tried = early.refused;
    let mut after = early.next;
    while let Some(last) = after {
        let more = world
            .connections
            .retry_rejected(&operator(), "notes", Some(last), 40)
            .unwrap();
        tried += more.refused;
        after = more.next;
    }
    assert_eq!(tried, people.len());

    world.sandbox.change_client_secret(right);
    let mut restored = 0;
    let mut after = None;
    loop {
        let retried = world
            .connections
            .retry_rejected(&operator(), "notes", after, 25)
            .unwrap();
        assert_eq!((retried.refused, retried.failed), (0, 0));
        restored += retried.restored;
        after = retried.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(restored, people.len());
    for person in &people {
        let token = world.resolver.resolve(person, "notes").unwrap();
        assert!(world.sandbox.is_live(token.access_token().expose_secret()));
    }
}

#[test]
fn promise_29_after_the_quarantine_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vault.db");
    let vault = SqliteVault::open(&file, MasterKey::generate().unwrap()).unwrap();
    let world = World::with(vault, |it| it.hides_invalid_client = true);
    let alice = person("alice");
    let connection = world.connect(&alice, "ada");
    let sealed = sealed_records(&file);
    world.expire();
    world.sandbox.change_client_secret("sbx-cs-wrong");
    assert!(world.resolver.resolve(&alice, "notes").is_err());

    world.clock.advance(8 * DAY);
    let upkeep = world.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.quarantines_ended, 1);
    let record = world.connections.get(&alice, connection.id).unwrap();
    assert_eq!(record.status, Status::NeedsConsent(NeedsConsent::Rejected));
    assert_eq!(refresh_state(&record).quarantined_until, None);
    let retried = world
        .connections
        .retry_rejected(&operator(), "notes", None, 10)
        .unwrap();
    assert_eq!((retried.restored, retried.refused), (0, 0));

    for entry in std::fs::read_dir(directory.path()).unwrap().flatten() {
        if !entry.file_type().unwrap().is_file() {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        for piece in sealed.iter().flat_map(|record| record.windows(16)) {
            let padding = piece.iter().filter(|byte| **byte == 0).count() > 8;
            let found = !padding && bytes.windows(16).any(|window| window == piece);
            assert!(
                !found,
                "a piece of a refused token is left in {:?}",
                entry.file_name()
            );
        }
    }
}

fn sealed_records(file: &std::path::Path) -> Vec<Vec<u8>> {
    let database =
        rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = database
        .prepare(
            "SELECT s.access FROM secrets s JOIN grants g ON g.slot = s.slot
             UNION ALL SELECT s.rest FROM secrets s JOIN grants g ON g.slot = s.slot",
        )
        .unwrap();
    statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}
