use super::*;

/// All admitted kinds. A kind is added here and in the list, with a reason.
const GOOD: [&str; 19] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "nilfs2", "tmpfs",
    "ramfs", "rootfs", "overlay", "apfs", "hfs", "hfsplus", "ufs",
];

/// Kinds that exist and are refused, and some that do not exist.
const REFUSED: [&str; 70] = [
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
    "glusterfs",
    "9p",
    "virtiofs",
    "fakeowner",
    "drvfs",
    "vboxsf",
    "prl_fs",
    "vmhgfs",
    "grpcfuse",
    "osxfs",
    "wslfs",
    "lxfs",
    "fuse",
    "fuseblk",
    "fusectl",
    "fuse.virtiofs",
    "fuse.grpcfuse",
    "fuse.osxfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.blobfuse",
    "fuse.blobfuse2",
    "fuse.juicefs",
    "fuse.mount-s3",
    "fuse.goofys",
    "fuse.seaweedfs",
    "fuse.cephfs",
    "fuse.rclone",
    "fuse.glusterfs",
    "fuse.fuse-overlayfs",
    "fuse.ext4",
    "fuse.zfs",
    "fuse.ntfs",
    "fuse.vmhgfs-fuse",
    "fuse.prl_fsd",
    "fuse.bindfs",
    "fuse.portal",
    "fuse.gvfsd-fuse",
    "vfat",
    "exfat",
    "ntfs",
    "ntfs3",
    "msdos",
    "iso9660",
    "squashfs",
    "erofs",
    "proc",
    "sysfs",
    "future-fs",
    "ext5",
    "EXT4",
    "",
];

fn check_kind(kind: &str, trusted: Option<&str>) -> Result<(), VaultError> {
    let mounts = format!("22 1 8:1 / / rw - {kind} source rw");
    check_in(&mounts, Path::new("/data/vault.db"), trusted)
}

#[test]
fn only_kinds_that_are_known_to_be_good_are_admitted() {
    assert_eq!(GOOD.len(), KNOWN_GOOD.len());
    for kind in GOOD {
        assert!(check_kind(kind, None).is_ok(), "{kind}");
    }
    for kind in REFUSED {
        match check_kind(kind, None) {
            Err(VaultError::UnknownFileSystem(named)) => assert_eq!(named, kind),
            other => panic!("{kind}: {other:?}"),
        }
    }
}

#[test]
fn a_table_that_does_not_show_the_path_is_not_trusted() {
    for table in [
        "",
        "not a line of it",
        "22 1 8:1 / /elsewhere rw - ext4 /dev/sda1 rw",
    ] {
        let refused = check_in(table, Path::new("/data/vault.db"), None);
        assert!(matches!(&refused, Err(VaultError::UnknownFileSystem(kind)) if kind == UNKNOWN));
        assert!(check_in(table, Path::new("/data/vault.db"), Some(UNKNOWN)).is_ok());
    }
}

#[test]
fn the_host_vouches_for_one_kind() {
    for kind in REFUSED {
        assert!(check_kind(kind, Some(kind)).is_ok(), "{kind}");
        assert!(check_kind(kind, Some("another")).is_err(), "{kind}");
    }
    assert!(check_kind("ext4", Some("virtiofs")).is_ok());
}

#[test]
fn a_name_that_somebody_chose_is_cleaned() {
    let chosen = format!("fuse.\u{1b}[31m<b>{}", "x".repeat(4_000));
    let Err(VaultError::UnknownFileSystem(shown)) = check_kind(&chosen, None) else {
        panic!("admitted");
    };
    assert_eq!(shown.len(), LONGEST_NAME);
    assert!(shown.starts_with("fuse.??31m?b?x"), "{shown}");
    assert!(check_kind(&chosen, Some(&shown)).is_ok());
}
