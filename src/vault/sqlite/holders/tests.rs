use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("vault.db");
    (directory, database)
}

fn holders(database: &Path) -> Holders {
    Holders::new(Some(database.to_path_buf()), Sharing::Owner)
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// Creates the lock file that a killed holder leaves.
fn dead_sign(database: &Path, byte: u8) -> Holder {
    let holder = Holder::from_bytes([byte; 16]);
    fs::write(sign_path(database, holder), "").unwrap();
    holder
}

#[test]
fn a_handle_makes_its_sign_and_takes_it_away() {
    let (directory, database) = place();
    let (here, there) = (holders(&database), holders(&database));
    let (one, other) = (here.own().unwrap(), there.own().unwrap());
    assert_ne!(one, other);
    assert_eq!(here.own().unwrap(), one, "the same at every call");
    for holders in [&here, &there] {
        assert!(!holders.is_dead(one) && !holders.is_dead(other));
    }
    drop(there);
    assert_eq!(count(directory.path()), 1);
    drop(here);
    assert_eq!(count(directory.path()), 0);
}

#[test]
fn a_missing_sign_is_not_proof_of_death() {
    let (directory, database) = place();
    let (here, there) = (holders(&database), holders(&database));
    here.own().unwrap();
    let living = there.own().unwrap();
    fs::remove_file(sign_path(&database, living)).unwrap();
    assert!(!here.is_dead(living), "a cleaner deleted its sign");
    assert!(
        !here.is_dead(Holder::from_bytes([9; 16])),
        "a holder that never was"
    );
    fs::remove_dir_all(directory.path()).unwrap();
    assert!(!here.is_dead(living), "the directory is gone");
}

#[test]
fn a_dead_holder_is_recognised_for_as_long_as_its_claims_may_last() {
    let (_directory, database) = place();
    let dead = dead_sign(&database, 7);
    for _ in 0..3 {
        let here = holders(&database);
        here.own().unwrap();
        for _ in 0..2 {
            assert!(here.is_dead(dead));
        }
    }
}

#[test]
fn the_signs_of_the_dead_are_cleared_away_in_the_end() {
    let (directory, database) = place();
    let dead = dead_sign(&database, 7);
    let other = directory.path().join("other.db-holder-07");
    fs::write(&other, "").unwrap();
    let sign = sign_path(&database, dead);
    let now = SystemTime::now();
    clear(&database, Sharing::Owner, now);
    assert_eq!(fs::read(&sign).unwrap(), MARK);
    for (now, remains) in [
        (now, true),
        (now - 2 * KEPT, true),
        (now + KEPT / 2, true),
        (now + 2 * KEPT, false),
    ] {
        clear(&database, Sharing::Owner, now);
        assert_eq!(sign.exists(), remains, "{now:?}");
    }
    assert!(other.exists(), "another vault's");
}

#[test]
fn the_sign_of_a_living_holder_is_neither_marked_nor_removed() {
    let (_directory, database) = place();
    let here = holders(&database);
    let sign = sign_path(&database, here.own().unwrap());
    clear(&database, Sharing::Owner, SystemTime::now() + 2 * KEPT);
    assert_eq!(fs::metadata(&sign).unwrap().len(), 0);
}

#[test]
fn many_begin_at_once_and_all_live() {
    let (_directory, database) = place();
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let holders = holders(&database);
                    let own = holders.own().unwrap();
                    (holders, own)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (holders, _) in &all {
        for (_, other) in &all {
            assert!(!holders.is_dead(*other));
            assert_eq!(fs::metadata(sign_path(&database, *other)).unwrap().len(), 0);
        }
    }
}
