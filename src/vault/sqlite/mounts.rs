//! Admits only file systems on which SQLite's locks and shared memory are known to hold, where the operating system
//! says which one it is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::vault::VaultError;
use crate::vault::sqlite::failure::{FILE, failed_at};

/// File systems of one kernel, by the names that Linux gives them: their locks hold between all processes of the
/// machine, and all of them see the same mapped pages. Not among them are those that several machines share, the bind
/// mounts of virtual machines (`9p`, `virtiofs`, `drvfs`, `vboxsf` and their like), everything in user space (`fuse`),
/// and those without owners and modes (`vfat`, `exfat`, `ntfs3`).
const KNOWN_GOOD: [&str; 19] = [
    "apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "hfsplus", "jfs", "nilfs2",
    "overlay", "ramfs", "reiserfs", "rootfs", "tmpfs", "ufs", "xfs", "zfs",
];

/// The table of the mounts that this process sees. Only Linux has it.
const TABLE: &str = "/proc/self/mountinfo";
/// The name of a file system that the table does not show.
const UNKNOWN: &str = "unknown";
/// No kernel has a longer name for a file system.
const LONGEST_NAME: usize = 40;

/// Refuses a path on a file system that is neither known to be good nor `trusted`. The directory of `path` is resolved.
/// Other systems than Linux do not say where a file is; there every file system is admitted.
pub(super) fn check(path: &Path, trusted: Option<&str>) -> Result<(), VaultError> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        check_in(&table()?, path, trusted)
    } else {
        Ok(())
    }
}

/// The table of the mounts; empty if it cannot be read.
fn table() -> Result<String, VaultError> {
    // The kernel generates the table for each read, and its length is not known: one read with room enough.
    let mut mounts = Vec::with_capacity(64 * 1024);
    match File::open(TABLE).and_then(|mut file| file.read_to_end(&mut mounts)) {
        Ok(_) => Ok(String::from_utf8_lossy(&mounts).into_owned()),
        Err(error) => match failed_at(FILE)(error) {
            VaultError::TooManyOpenFiles => Err(VaultError::TooManyOpenFiles),
            _ => Ok(String::new()),
        },
    }
}

fn check_in(mounts: &str, path: &Path, trusted: Option<&str>) -> Result<(), VaultError> {
    // As the table was read: bytes that are not UTF-8 are replaced in both.
    let path = path.to_string_lossy();
    let kind = kind_at(mounts, Path::new(&*path)).unwrap_or(UNKNOWN);
    let shown = shown(kind);
    if KNOWN_GOOD.contains(&kind) || trusted == Some(&shown) {
        Ok(())
    } else {
        Err(VaultError::UnknownFileSystem(shown))
    }
}

/// The name of a file system as errors show it. Whoever mounts a `fuse` file system chooses a part of its name.
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

/// The kind of the innermost mount that has the path. Of several at one place, the last counts.
fn kind_at<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut innermost = (0, None);
    for line in mounts.lines() {
        // id, parent, device, root, mount point, options, optional fields, "-", type, source, options
        let Some((mount, kind)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), kind.split(' ').next()) else {
            continue;
        };
        let point = unescape(point);
        let depth = point.components().count();
        if path.starts_with(&point) && depth >= innermost.0 {
            innermost = (depth, Some(kind));
        }
    }
    innermost.1
}

/// Spaces and their like are written in octal.
fn unescape(point: &str) -> PathBuf {
    let plain = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |point, (code, plain)| {
            point.replace(code, plain)
        });
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests;
