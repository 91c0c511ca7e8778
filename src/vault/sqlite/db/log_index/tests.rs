use std::fs;

use super::*;

/// Returns the copies of a valid header.
fn copies() -> Vec<u8> {
    let mut copy = [7; COPY];
    copy[..4].copy_from_slice(&VERSION.to_ne_bytes());
    copy[INITIALISED] = 1;
    [copy, copy].concat()
}

fn stamp(content: &[u8]) -> Option<Stamp> {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("vault.db");
    fs::write(beside(&database, "-shm"), content).unwrap();
    Indexes::default().of(&database)?.stamp()
}

#[test]
fn a_valid_header_is_the_stamp() {
    let stamp = stamp(&copies()).unwrap();
    let bytes: Vec<u8> = stamp.state.into_iter().flat_map(u64::to_ne_bytes).collect();
    assert_eq!(bytes, copies()[..COPY]);
    assert_eq!(stamp.source, Stamp::SHARED);
}

#[test]
fn a_header_that_is_not_known_is_not_used() {
    let copies = copies();
    assert_eq!(stamp(&copies[..2 * COPY - 1]), None);
    let both = |place: usize, byte: u8| {
        let mut other = copies.clone();
        other[place] = byte;
        other[COPY + place] = byte;
        other
    };
    assert!(stamp(&both(8, 9)).is_some());
    assert_eq!(stamp(&both(0, 9)), None);
    assert_eq!(stamp(&both(INITIALISED, 0)), None);
    let mut swapped = copies.clone();
    for copy in swapped.chunks_exact_mut(COPY) {
        copy[..4].reverse();
    }
    assert_eq!(stamp(&swapped), None);
}

#[test]
fn a_header_is_not_used_while_its_copies_differ_anywhere() {
    for place in 0..2 * COPY {
        let mut torn = copies();
        torn[place] ^= 1;
        assert_eq!(stamp(&torn), None, "{place}");
    }
}

#[test]
fn every_byte_of_the_header_counts() {
    let before = stamp(&copies());
    for place in (4..COPY).filter(|place| *place != INITIALISED) {
        let mut other = copies();
        other[place] ^= 1;
        other[COPY + place] ^= 1;
        let after = stamp(&other);
        assert!(after.is_some() && after != before, "{place}");
    }
}

#[test]
fn an_index_that_does_not_show_a_commit_is_not_used_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("vault.db");
    fs::write(beside(&database, "-shm"), copies()).unwrap();
    let index = Indexes::default().of(&database).unwrap();
    index.check_commit(None);
    assert!(index.is_reliable());
    index.check_commit(index.stamp());
    assert!(!index.is_reliable() && !index.is_in_place());
}

#[test]
fn an_index_is_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("vault.db");
    let path = beside(&database, "-shm");
    let indexes = Indexes::default();
    assert!(indexes.of(&database).is_none());
    fs::write(&path, copies()).unwrap();
    let first = indexes.of(&database).unwrap();
    assert!(Arc::ptr_eq(&first, &indexes.of(&database).unwrap()));
    fs::rename(&path, directory.path().join("moved")).unwrap();
    fs::write(&path, copies()).unwrap();
    assert!(!first.is_in_place());
    assert!(!Arc::ptr_eq(&first, &indexes.of(&database).unwrap()));
}
