//! What was erased is in no file.

#![cfg(feature = "sqlite")]

mod vault_support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::Connection as Database;
use valetkey::model::NeedsConsent;
use valetkey::vault::{ClaimOutcome, Erasure, RefreshFailure, SqliteVault, Vault};
use vault_support::*;

/// One history: connections come and are renewed, one is revoked, and somebody may be reading meanwhile.
struct History<'a> {
    vault: &'a SqliteVault,
    path: &'a Path,
    random: &'a mut Random,
    /// The generation of each connection.
    generations: &'a mut [u64; 8],
}

impl History<'_> {
    /// A token of any length that a record can have, small ones more often: overflow pages, slots of all sizes.
    fn token(&mut self, letter: &str, at_least: u64) -> String {
        let bound = [300, 2_000, 5_000, 32_000][usize::try_from(self.random.below(4)).unwrap()];
        let len = at_least.max(100 + self.random.below(bound));
        letter.repeat(usize::try_from(len).unwrap())
    }

    /// Gives tokens to some connection, by a consent or a refresh.
    fn change(&mut self, at_least: u64) {
        let number = self.number();
        let generation = self.generations[usize::from(number)];
        // The id token is as long as the refresh token and lies beside it: together almost 64 KiB.
        let new = tokens(&self.token("a", at_least), &self.token("r", at_least));
        let has_tokens = self.vault.token(&tenant(), id(number)).unwrap().is_some();
        if has_tokens && self.random.below(2) == 0 {
            refresh(self.vault, number, generation, &new);
        } else {
            grant(self.vault, &connection(number, generation + 1), &new);
        }
        self.generations[usize::from(number)] += 1;
    }

    fn number(&mut self) -> u8 {
        u8::try_from(self.random.below(8)).unwrap()
    }

    /// Lives through it. Returns every record that was ever there and is there no more.
    fn live(&mut self, changes: usize, at_least: u64) -> Vec<Vec<u8>> {
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        for _ in 0..changes {
            seen.extend(ciphertexts(self.path));
            self.change(at_least);
        }
        seen.extend(ciphertexts(self.path));
        let victim = self.number();
        self.vault.revoke(&tenant(), id(victim), None, at(9)).unwrap();
        for alive in ciphertexts(self.path) {
            seen.remove(&alive);
        }
        seen.into_iter().collect()
    }
}

/// When the database itself was last written: while the log only grows, it is not.
fn written_at(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// How many histories one vault lives through. Slots of every size pile up in it: a larger file takes longer to search.
const LIVES: usize = 20;
/// Of these, the one that is long: it fills the log until SQLite moves it into the database by itself. The others never
/// do.
const LONG: usize = 10;

#[test]
fn promise_07_revoke_leaves_nothing_in_the_files() {
    let vaults = if full() { 50 } else { 2 };
    for number in 0..vaults {
        many_lives(&mut Random::new(7 + number));
    }
}

fn many_lives(random: &mut Random) {
    let (_directory, path) = place();
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
    for (number, generation) in (0_u8..).zip(generations) {
        let stored = vault.connection(&tenant(), id(number)).unwrap();
        assert_eq!(stored.map_or(0, |stored| stored.generation), generation);
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
    grant(&vault, &connection(1, 1), &tokens("access", "refresh"));
    let dead = ciphertexts(&path);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let _: i64 = reader
        .query_row("SELECT count(*) FROM connections", [], |row| row.get(0))
        .unwrap();
    vault.revoke(&tenant(), id(1), None, at(9)).unwrap();
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
        grant(&vault, &connection(number, 1), &tokens("access", "refresh"));
    }
    let dead = ciphertexts(&path);
    for number in 1..=count {
        let ClaimOutcome::Granted(claimed) = claim(&vault, number, 1) else {
            panic!("not granted");
        };
        let refusal = RefreshFailure::Rejected {
            reason: NeedsConsent::Rejected,
            at: at(2),
            quarantined_until: Some(at(900)),
        };
        vault
            .fail_refresh(&tenant(), id(number), &claimed.claim, &refusal)
            .unwrap();
    }
    assert_eq!(
        ciphertexts(&path).len(),
        usize::from(count),
        "the refresh tokens alone"
    );
    assert_eq!(
        vault.erase_quarantined(at(900), 1_000).unwrap(),
        usize::from(count)
    );
    assert_eq!(vault.clear_residue().unwrap(), Erasure::Cleared);
    assert_eq!(residue(&path, &dead), None);
}
