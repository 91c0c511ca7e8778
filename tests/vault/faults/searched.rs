//! Searches the files of a vault for erased records.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::vault::Searched;

/// Returns whether any 16 bytes in a row of a record are in a file of the vault.
pub(crate) fn residue<'a>(path: &Path, dead: impl IntoIterator<Item = &'a Vec<u8>>) -> Option<String> {
    let searched = Searched::new(dead);
    files(path).into_iter().find_map(|(file, content)| {
        let offset = searched.find(&content)?;
        Some(format!("{file:?} at {offset}"))
    })
}

/// Returns the files of the vault at `path` with their content. A backup, or a part of one,
/// contains the records of the time when it was made.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let name = path.file_name().unwrap().to_str().unwrap();
    ["", "-wal", "-shm", "-journal"]
        .map(|suffix| path.with_file_name(format!("{name}{suffix}")))
        .into_iter()
        .filter_map(|file| Some((file.clone(), fs::read(file).ok()?)))
        .collect()
}
