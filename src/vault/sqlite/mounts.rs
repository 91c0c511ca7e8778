//! Admits only file systems on which SQLite's locks and shared memory are known to work, on systems
//! that report the kind of a file system.

use std::path::Path;

use crate::vault::sqlite::failure::{FILE, failed_at};
use crate::vault::{VaultError, mountinfo};

/// File systems of one kernel, by the names that Linux gives them: their locks work between all
/// processes of the machine, and all of them see the same mapped pages. The list does not contain
/// those that several machines share, the bind mounts of virtual machines (`9p`, `virtiofs`,
/// `drvfs`, `vboxsf` and similar ones), everything in user space (`fuse`), and those without owners
/// and modes (`vfat`, `exfat`, `ntfs3`).
const KNOWN_GOOD: [&str; 19] = [
    "apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "hfsplus", "jfs", "nilfs2",
    "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "ufs", "xfs", "zfs",
];

/// The name of a file system that the table does not contain.
const UNKNOWN: &str = "unknown";
/// The longest name of a file system that is shown; no kernel has a longer one.
const LONGEST_NAME: usize = 40;

/// Refuses a path on a file system that is neither known to be safe nor `trusted`. The directory of
/// `path` is resolved. Systems other than Linux do not report the kind of a file system, so all are
/// admitted there.
pub(super) fn check(path: &Path, trusted: Option<&str>) -> Result<(), VaultError> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        check_in(&table()?, path, trusted)
    } else {
        Ok(())
    }
}

/// Returns the table of the mounts; empty if it cannot be read.
fn table() -> Result<String, VaultError> {
    mountinfo::read().or_else(|error| match failed_at(FILE)(error) {
        VaultError::TooManyOpenFiles => Err(VaultError::TooManyOpenFiles),
        _ => Ok(String::new()),
    })
}

fn check_in(mounts: &str, path: &Path, trusted: Option<&str>) -> Result<(), VaultError> {
    let mount = mountinfo::innermost(mounts, path);
    let kind = mount.map_or(UNKNOWN, |mount| mount.kind);
    let shown = shown(kind);
    if KNOWN_GOOD.contains(&kind) || trusted == Some(&shown) {
        Ok(())
    } else {
        Err(VaultError::UnknownFileSystem(shown))
    }
}

/// Returns the name of a file system for errors. A part of the name is chosen by the user who
/// mounts a `fuse` file system.
fn shown(kind: &str) -> String {
    kind.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '?'
            }
        })
        .take(LONGEST_NAME)
        .collect()
}

#[cfg(test)]
mod tests;
