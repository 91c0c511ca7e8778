//! Attempts to hide an alteration of the audit or of a row. They fail.

use std::time::Duration;

use valetkey::ConsentOptions;
use valetkey::connections::Budget;
use valetkey::internals::vault::Housekeeping as _;

use crate::database_writer::edit::writer;
use crate::database_writer::history::{History, PUT_BACK, put_back, verify};
use crate::database_writer::world::{ACME, operator, person};

/// Upkeep deletes entries whose retention has ended, and leaves an authenticated gap. It does not
/// delete an entry that a writer made old.
#[test]
fn promise_31_an_entry_that_was_made_old_is_not_pruned() {
    let history = History::new(0);
    let alice = person((ACME, "alice"));
    history
        .host
        .connect(&alice, "notes", "ada", ConsentOptions::default());
    assert!(verify(&history.host).is_intact());
    let db = writer(&history.path);
    let changed = db.execute(
        "UPDATE audit SET at = 1 WHERE number = 1 AND kind = 'consent_started'",
        [],
    );
    assert_eq!(changed, Ok(1));
    let upkeep = history.host.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.audit_entries_pruned, 0);
    assert_eq!(verify(&history.host).first_broken, Some(1));
}

/// A gap that a writer inserted in the place of a deleted entry is not joined with one that upkeep
/// leaves.
#[test]
fn promise_31_a_forged_gap_stays_a_break() {
    let history = History::new(0);
    for (name, account) in [("alice", "ada"), ("bob", "bobby")] {
        history
            .host
            .connect(&person((ACME, name)), "notes", account, ConsentOptions::default());
    }
    let db = writer(&history.path);
    db.execute_batch(
        "INSERT INTO audit_gaps SELECT two.chain, 2, 2, one.mac, two.mac, zeroblob(32)
             FROM audit one JOIN audit two ON two.chain = one.chain WHERE one.number = 1 AND two.number = 2;
         DELETE FROM audit WHERE number = 2",
    )
    .unwrap();
    history.host.clock.advance(Duration::from_secs(48 * 3_600));
    let upkeep = history
        .host
        .connections
        .maintain(Budget::default().refreshes(0))
        .unwrap();
    assert!(
        upkeep.audit_entries_pruned > 0,
        "nothing was pruned beside the gap"
    );
    assert_eq!(verify(&history.host).first_broken, Some(2));
}

/// A connection without its grant cannot be read. The report names it, and it hides no other.
#[test]
fn promise_31_a_row_that_cannot_be_read_hides_no_other() {
    let history = History::new(0);
    let none = ConsentOptions::default;
    let alice = history
        .host
        .connect(&person((ACME, "alice")), "notes", "ada", none());
    let bob = history
        .host
        .connect(&person((ACME, "bob")), "notes", "bobby", none());
    history
        .host
        .connect(&person((ACME, "carol")), "notes", "carla", none());
    let older = history.path.with_extension("older");
    history.host.vault.backup(&older).unwrap();
    history.host.connections.revoke(&operator(ACME), bob.id).unwrap();
    assert!(put_back(&history.path, &older, bob.id, PUT_BACK[2]));
    let db = writer(&history.path);
    db.execute("DELETE FROM grants WHERE uuid = ?", [alice.grant.as_bytes()])
        .unwrap();
    let mut wrong = [alice.id, bob.id];
    wrong.sort();
    assert_eq!(verify(&history.host).out_of_date, wrong);
}
