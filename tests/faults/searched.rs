//! Looks for erased records in the files of a vault.

#[path = "../support/vault/residue.rs"]
mod residue;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use residue::residue;

/// The files of the vault at `path` with what is in them. A backup, or a part of one, holds what was there when it was
/// made.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let name = path.file_name().unwrap().to_str().unwrap();
    ["", "-wal", "-shm", "-journal"]
        .map(|suffix| path.with_file_name(format!("{name}{suffix}")))
        .into_iter()
        .filter_map(|file| Some((file.clone(), fs::read(file).ok()?)))
        .collect()
}
