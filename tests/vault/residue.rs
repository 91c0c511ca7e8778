//! Erased records are in no file.

#![cfg(feature = "sqlite")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::Connection as Database;
use valetkey::internals::vault::{RefreshFailure, Revoke, RevokeWhat};
use valetkey::model::NeedsConsent;
use valetkey::vault::{Erasure, SqliteVault};

use crate::support::vault::*;

/// The connections of a history. Their numbers do not occur in the files of older versions.
const NUMBERS: std::ops::Range<u8> = 10..18;

/// One history: connections are created, connected again, refreshed and share grants; former grants
/// end; one connection is revoked; and a reader may be active meanwhile.
struct History<'a> {
    vault: &'a SqliteVault,
    path: &'a Path,
    random: &'a mut Random,
    /// The generation of each connection.
    generations: &'a mut [u64; 8],
}

impl History<'_> {
    /// Returns a token of any length that a record can have, small ones more often, to cover
    /// overflow pages and slots of all sizes.
    fn token(&mut self, letter: &str, at_least: u64) -> String {
        let bound = [300, 2_000, 5_000, 32_000][usize::try_from(self.random.below(4)).unwrap()];
        let len = at_least.max(100 + self.random.below(bound));
        letter.repeat(usize::try_from(len).unwrap())
    }

    /// Gives tokens to some connections, by a consent or a refresh, or ends a former grant.
    fn change(&mut self, at_least: u64) {
        let number = self.number();
        // The id token is as long as the refresh token and shares its record: together almost 64
        // KiB.
        let new = tokens(&self.token("a", at_least), &self.token("r", at_least));
        let token = find(self.vault, &tenant(), id(number)).unwrap();
        match self.random.below(4) {
            0 | 1 if token.is_some() => refresh(self.vault, number, &new),
            2 if token.is_some() => {
                let other = NUMBERS.start + (number - NUMBERS.start + 1) % 8;
                grant_all(self.vault, &[connection(number), connection(other)], &new);
            }
            _ => {
                let former = grant(self.vault, &connection(number), &new);
                if let Some(ended) = former.first().filter(|_| self.random.below(2) == 0) {
                    self.revoke(RevokeWhat::Grant(*ended));
                }
            }
        }
    }

    fn revoke(&self, what: RevokeWhat) {
        let request = Revoke {
            tenant: &tenant(),
            what,
            by: None,
            now: at(9),
            keep_until: None,
        };
        self.vault.revoke(&request).unwrap();
    }

    fn number(&mut self) -> u8 {
        NUMBERS.start + u8::try_from(self.random.below(8)).unwrap()
    }

    /// Runs the history. Returns every record that existed at some time and no longer does.
    fn live(&mut self, changes: usize, at_least: u64) -> Vec<Vec<u8>> {
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        for _ in 0..changes {
            seen.extend(ciphertexts(self.path));
            self.change(at_least);
        }
        seen.extend(ciphertexts(self.path));
        let victim = self.number();
        self.revoke(RevokeWhat::Connection(id(victim)));
        if self.random.below(4) == 0 {
            sweep(self.vault, FORMER_DEAD_AT);
        }
        for alive in ciphertexts(self.path) {
            seen.remove(&alive);
        }
        self.check_generations();
        seen.into_iter().collect()
    }

    /// Checks that no generation decreases.
    fn check_generations(&mut self) {
        for (number, known) in NUMBERS.zip(self.generations.iter_mut()) {
            let stored = self.vault.connection(&tenant(), id(number)).unwrap();
            let shown = stored.map_or(0, |stored| stored.generation);
            assert!(shown >= *known, "{number}");
            *known = shown;
        }
    }
}

/// Returns when the database itself was last written. While only the log grows, this does not
/// change.
fn written_at(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// The number of histories in one vault. Slots of every size accumulate in it, and a larger file
/// takes longer to search.
const LIVES: usize = 20;
/// The number of the one long history, which fills the log until SQLite moves it into the database
/// automatically. The others never do.
const LONG: usize = 10;

#[test]
fn promise_07_revoke_leaves_nothing_in_the_files() {
    let vaults = if full() { 50 } else { 3 };
    for (number, schema) in (0..vaults).zip(SCHEMAS.into_iter().cycle()) {
        many_lives(schema, &mut Random::new(7 + number));
    }
}

fn many_lives(schema: u32, random: &mut Random) {
    let (_directory, path) = place_of(schema);
    let vault = open(&path).unwrap();
    vault.clear_residue().unwrap();
    let mut generations = [0; 8];
    for number in 0..LIVES {
        let (changes, at_least) = if number == LONG { (60, 20_000) } else { (6, 0) };
        let before = written_at(&path);
        let reader = (number % 5 == 3).then(|| {
            let reader = Database::open(&path).unwrap();
            reader
                .execute_batch("BEGIN; SELECT count(*) FROM connections")
                .unwrap();
            reader
        });
        let mut history = History {
            vault: &vault,
            path: &path,
            random,
            generations: &mut generations,
        };
        let dead = history.live(changes, at_least);
        let moved = written_at(&path) != before;
        assert_eq!(
            moved,
            number == LONG,
            "history {number}: the log was moved by itself: {moved}"
        );

        if let Some(reader) = reader {
            assert_eq!(
                vault.clear_residue().unwrap(),
                Erasure::Pending,
                "history {number}"
            );
            reader.execute_batch("COMMIT").unwrap();
        }
        assert_eq!(
            vault.clear_residue().unwrap(),
            Erasure::Cleared,
            "history {number}"
        );
        assert_eq!(residue(&path, &dead), None, "after history {number}");
    }
    vault.integrity_check().unwrap();
    assert_intact(&vault);
    assert!(generations.iter().sum::<u64>() > 60, "{generations:?}");
}

/// Records that an older version sealed are sealed again, in another format. No part of the old
/// records may remain.
#[test]
fn promise_07_a_migration_leaves_nothing_of_the_old_records() {
    for schema in [1, 2] {
        let (_directory, path) = place_of(schema);
        // The keys stay unchanged: they are wrapped as before.
        let dead = records(
            &path,
            "slot NOT IN (SELECT slot FROM tenant_keys UNION SELECT slot FROM free_slots)",
        );
        assert!(dead.len() >= 9, "{}", dead.len());
        assert!(residue(&path, &dead).is_some(), "so this test can see it");
        let vault = open(&path).unwrap();
        assert_eq!(residue(&path, &dead), None, "schema {schema}");
        drop(vault);
        assert_eq!(residue(&path, &dead), None, "schema {schema}");
    }
}

#[test]
fn what_is_left_is_found_wherever_it_lies() {
    let mut random = Random::new(16);
    let mut bytes = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect()
    };
    let record = bytes(200);
    let searched = Searched::new([&record]);
    assert_eq!(searched.find(&bytes(5_000)), None);
    for from in 17..=200 - 16 {
        for around in [0, 1, 7, 8, 100] {
            let mut file = bytes(around);
            file.extend(&record[from..from + 16]);
            file.extend(bytes(around));
            assert!(searched.find(&file).is_some(), "{from}, {around}");
            file.remove(around + 8);
            assert_eq!(searched.find(&file), None, "{from}, {around}: cut in two");
        }
    }
}

#[test]
fn promise_07_a_reader_makes_it_pending() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(1), &tokens("access", "refresh"));
    let dead = ciphertexts(&path);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let _: i64 = reader
        .query_row("SELECT count(*) FROM connections", [], |row| row.get(0))
        .unwrap();
    revoke(&vault, 1).unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Pending);
    assert!(residue(&path, &dead).is_some(), "so this test can see it");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
}

#[test]
fn promise_29_after_the_quarantine_nothing_is_left() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let count = if full() { 200 } else { 20 };
    for number in 1..=count {
        grant(&vault, &connection(number), &tokens("access", "refresh"));
    }
    let dead = ciphertexts(&path);
    for number in 1..=count {
        let claimed = claimed(&vault, number);
        let refusal = RefreshFailure::Rejected {
            reason: NeedsConsent::Rejected,
            at: at(2),
            quarantined_until: Some(at(900)),
        };
        vault
            .fail_refresh(&tenant(), claimed.grant.id, &claimed.claim, &refusal)
            .unwrap();
    }
    assert_eq!(
        ciphertexts(&path).len(),
        usize::from(count),
        "the refresh tokens alone"
    );
    assert_eq!(sweep(&vault, 899).quarantines, 0);
    assert_eq!(sweep(&vault, 900).quarantines, usize::from(count));
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
}

#[test]
fn promise_07_a_former_grant_that_has_died_leaves_nothing() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    let mut dead = Vec::new();
    for number in 1..=20 {
        grant(&vault, &connection(number), &tokens("access", "refresh"));
        dead.extend(ciphertexts(&path));
    }
    for number in 1..=20 {
        let former = grant(&vault, &connection(number), &tokens("other", "tokens"));
        assert_eq!(former.len(), 1);
    }
    assert!(residue(&path, &dead).is_some(), "they are kept");
    assert_eq!(sweep(&vault, FORMER_DEAD_AT - 1).former_grants, 0);
    assert_eq!(sweep(&vault, FORMER_DEAD_AT).former_grants, 20);
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
    for number in 1..=20 {
        assert_eq!(access(&vault, &tenant(), number).as_deref(), Some("other"));
    }
}
