//! The mounts that this process sees, as Linux lists them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Only Linux has this table.
const TABLE: &str = "/proc/self/mountinfo";

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mount<'a> {
    /// The name of the file system.
    pub(super) kind: &'a str,
    /// True if this mount admits no writes.
    pub(super) is_read_only: bool,
}

/// Reads the table.
pub(super) fn read() -> io::Result<String> {
    // The kernel generates the table for each read and reports no length, so the buffer is large
    // enough for one read.
    let mut table = Vec::with_capacity(64 * 1024);
    File::open(TABLE)?.read_to_end(&mut table)?;
    Ok(String::from_utf8_lossy(&table).into_owned())
}

/// Finds the innermost mount that contains a path, which has no links. Of several mounts at one
/// place, the last one counts.
pub(super) fn innermost<'a>(table: &'a str, path: &Path) -> Option<Mount<'a>> {
    // The table was read with invalid UTF-8 replaced, so the path is converted in the same way.
    let path = path.to_string_lossy();
    let path = Path::new(&*path);
    let mut innermost = (0, None);
    for line in table.lines() {
        let Some((point, mount)) = parse(line) else {
            continue;
        };
        let depth = point.components().count();
        if path.starts_with(&point) && depth >= innermost.0 {
            innermost = (depth, Some(mount));
        }
    }
    innermost.1
}

/// Parses the fields of a line: id, parent, device, root, mount point, options, optional fields,
/// "-", type, source, options.
fn parse(line: &str) -> Option<(PathBuf, Mount<'_>)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(4);
    let (point, options) = (fields.next()?, fields.next()?);
    let mount = Mount {
        kind: file_system.split(' ').next()?,
        is_read_only: options.split(',').any(|option| option == "ro"),
    };
    Some((unescape(point), mount))
}

/// Decodes spaces and similar characters, which are written in octal.
fn unescape(point: &str) -> PathBuf {
    let plain = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |point, (code, plain)| {
            point.replace(code, plain)
        });
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw
31 30 8:2 / /home/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:42 / /mnt/ssh rw shared:3 master:4 - fuse.sshfs me@server: rw
34 33 8:3 / /mnt/ssh rw - ext4 /dev/sdc1 rw
35 22 0:43 / /mnt/odd rw - future-fs source rw
36 22 0:44 / /run/secrets ro,relatime - tmpfs tmpfs rw,size=4k
not a line of it";

    #[test]
    fn the_innermost_mount_decides() {
        for (path, kind, is_read_only) in [
            ("/var/vault.db", "ext4", false),
            ("/home/vault.db", "nfs4", false),
            ("/home/alice/vault.db", "nfs4", false),
            ("/home/local/vault.db", "xfs", false),
            ("/homestead/vault.db", "ext4", false),
            ("/mnt/my share/vault.db", "cifs", false),
            ("/mnt/ssh/vault.db", "ext4", false),
            ("/mnt/odd/vault.db", "future-fs", false),
            ("/run/secrets/key", "tmpfs", true),
            ("/run/secretsx", "ext4", false),
        ] {
            let expected = Mount { kind, is_read_only };
            assert_eq!(innermost(MOUNTS, Path::new(path)), Some(expected), "{path}");
        }
        assert_eq!(innermost("", Path::new("/vault.db")), None);
    }
}
