//! Refuses file systems on which SQLite's locks do not hold, where the operating system says which one it is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::vault::VaultError;

/// As Linux names them. Others that are shared over a network may call themselves anything: this is a net, no proof.
const NETWORK: [&str; 14] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "ceph",
    "lustre",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.davfs2",
];

/// Checks the file system of a path whose directory is resolved. Where it cannot be told, it is trusted.
pub(super) fn check(path: &Path) -> Result<(), VaultError> {
    // The kernel writes the table anew for each read, and its length is not known: one read with room enough.
    let mut mounts = String::with_capacity(64 * 1024);
    match File::open("/proc/self/mountinfo").and_then(|mut file| file.read_to_string(&mut mounts)) {
        Ok(_) if is_network(&mounts, path) => Err(VaultError::UnsafePath("on a network file system")),
        _ => Ok(()),
    }
}

/// Whether the innermost mount that has the path is shared over a network; of several at one place, the last counts.
fn is_network(mounts: &str, path: &Path) -> bool {
    let mut innermost = (0, false);
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
            innermost = (depth, NETWORK.contains(&kind));
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
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw
31 30 8:2 / /home/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:42 / /mnt/ssh rw shared:3 master:4 - fuse.sshfs me@server: rw
34 33 8:3 / /mnt/ssh rw - ext4 /dev/sdc1 rw
not a line of it";

    #[test]
    fn the_innermost_mount_decides() {
        for (path, network) in [
            ("/var/vault.db", false),
            ("/home/vault.db", true),
            ("/home/alice/vault.db", true),
            ("/home/local/vault.db", false),
            ("/homestead/vault.db", false),
            ("/mnt/my share/vault.db", true),
            ("/mnt/ssh/vault.db", false),
        ] {
            assert_eq!(is_network(MOUNTS, Path::new(path)), network, "{path}");
        }
        assert!(!is_network("", Path::new("/vault.db")));
    }
}
