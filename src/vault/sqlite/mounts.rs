//! Refuses file systems on which SQLite's locks do not hold, where the operating system says which one it is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::vault::VaultError;

/// File systems that several machines share, or whose locks and shared memory another machine does not see, by the
/// names that Linux gives them. The second group are the bind mounts of containers and virtual machines.
const UNSAFE: [&str; 26] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb2",
    "smb3",
    "smbfs",
    "ncpfs",
    "afs",
    "ceph",
    "lustre",
    "beegfs",
    "gpfs",
    "ocfs2",
    "gfs2",
    "orangefs",
    "pvfs2",
    "coda",
    "glusterfs", //
    "9p",
    "virtiofs",
    "fakeowner",
    "drvfs",
    "vboxsf",
    "prl_fs",
    "vmhgfs",
    "grpcfuse",
];

/// File systems in user space that keep their files on a local disk. All others may be on another machine.
const LOCAL_FUSE: [&str; 5] = [
    "fuse.ext2",
    "fuse.ext4",
    "fuse.fuse-overlayfs",
    "fuse.ntfs",
    "fuse.zfs",
];

fn is_unsafe(kind: &str) -> bool {
    UNSAFE.contains(&kind) || (kind.starts_with("fuse.") && !LOCAL_FUSE.contains(&kind))
}

/// Checks the file system of a path whose directory is resolved. Where it cannot be told, it is trusted.
pub(super) fn check(path: &Path) -> Result<(), VaultError> {
    // The kernel writes the table anew for each read, and its length is not known: one read with room enough.
    let mut mounts = String::with_capacity(64 * 1024);
    match File::open("/proc/self/mountinfo").and_then(|mut file| file.read_to_string(&mut mounts)) {
        Ok(_) if is_on_unsafe(&mounts, path) => Err(VaultError::UnsafePath(
            "on a file system that other machines share",
        )),
        _ => Ok(()),
    }
}

/// Whether the innermost mount that has the path is one of an unsafe kind. Of several at one place, the last counts.
fn is_on_unsafe(mounts: &str, path: &Path) -> bool {
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
            innermost = (depth, is_unsafe(kind));
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
            assert_eq!(is_on_unsafe(MOUNTS, Path::new(path)), network, "{path}");
        }
        assert!(!is_on_unsafe("", Path::new("/vault.db")));
    }

    #[test]
    fn each_kind_is_known_to_be_shared_or_local() {
        let shared = [
            "9p",
            "virtiofs",
            "fuse.virtiofs",
            "fuse.grpcfuse",
            "fakeowner",
            "drvfs",
            "vboxsf",
            "prl_fs",
            "smb2",
            "fuse.gcsfuse",
            "fuse.blobfuse",
            "fuse.blobfuse2",
            "fuse.juicefs",
            "fuse.mount-s3",
            "fuse.goofys",
            "fuse.seaweedfs",
            "fuse.cephfs",
            "beegfs",
            "gpfs",
            "ocfs2",
            "gfs2",
            "fuse.s3fs",
            "fuse.rclone",
        ];
        for kind in shared {
            let mounts = format!("22 1 8:1 / / rw - {kind} source rw");
            assert!(is_on_unsafe(&mounts, Path::new("/vault.db")), "{kind}");
        }
        for kind in [
            "ext4",
            "xfs",
            "btrfs",
            "zfs",
            "f2fs",
            "overlay",
            "tmpfs",
            "fuse.fuse-overlayfs",
            "fuseblk",
        ] {
            let mounts = format!("22 1 8:1 / / rw - {kind} source rw");
            assert!(!is_on_unsafe(&mounts, Path::new("/vault.db")), "{kind}");
        }
    }
}
