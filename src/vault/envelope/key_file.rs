//! A file that holds a master key.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::vault::VaultError;
use crate::vault::mountinfo;

/// The largest file that can hold a key and surrounding blanks. A longer file is not a key.
const LONGEST: usize = 4_096;

/// Reads a key file and checks that only its owner can read it.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    // The file type is checked before opening, because opening a pipe blocks until its other end is
    // opened.
    check_kind(&fs::metadata(path).map_err(unreadable)?)?;
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check_kind(&metadata)?;
    check_rights(path, &metadata)?;
    // The buffer is allocated at full size, because growing it would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > LONGEST {
        return Err(VaultError::KeyWrongLength);
    }
    Ok(bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
fn unreadable(error: std::io::Error) -> VaultError {
    VaultError::KeyUnreadable(error.kind())
}

fn check_kind(metadata: &Metadata) -> Result<(), VaultError> {
    if metadata.is_file() {
        Ok(())
    } else {
        Err(VaultError::KeyNotAFile)
    }
}

#[cfg(unix)]
fn check_rights(path: &Path, metadata: &Metadata) -> Result<(), VaultError> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777;
    if mode & 0o077 == 0 || is_mounted_read_only(path, &mountinfo::read().unwrap_or_default()) {
        Ok(())
    } else {
        Err(VaultError::KeyExposed { mode })
    }
}

#[cfg(not(unix))]
const fn check_rights(_: &Path, _: &Metadata) -> Result<(), VaultError> {
    Ok(())
}

/// Returns whether the file was placed there by a container runtime or systemd, or is on another
/// mount that this process cannot write to.
#[cfg(unix)]
fn is_mounted_read_only(path: &Path, mounts: &str) -> bool {
    fs::canonicalize(path)
        .is_ok_and(|path| mountinfo::innermost(mounts, &path).is_some_and(|mount| mount.is_read_only))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use crate::vault::envelope::MasterKey;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    fn refused(path: &Path) -> String {
        format!("{:?}", MasterKey::from_file(path).unwrap_err())
    }

    #[test]
    fn a_key_is_read_without_the_blanks_around_it() {
        let expected = MasterKey::from_base64(KEY).unwrap();
        for text in [
            KEY.to_owned(),
            format!("{KEY}\n"),
            format!("\n  {KEY}\r\n\t\n"),
            KEY.trim_end_matches('=').to_owned(),
        ] {
            let (_directory, path) = file(text.as_bytes(), 0o400);
            assert_eq!(
                MasterKey::from_file(&path).unwrap().id(),
                expected.id(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_bytes_of_a_key_are_read_as_they_are() {
        let mut bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let expected = MasterKey::from_base64(KEY).unwrap();
        let (_directory, path) = file(&bytes, 0o400);
        assert_eq!(MasterKey::from_file(&path).unwrap().id(), expected.id());
        // Blanks around base64 are ignored; blanks at the ends of a binary key belong to the key.
        (bytes[0], bytes[31]) = (b' ', b'\n');
        let (_directory, path) = file(&bytes, 0o400);
        let read = MasterKey::from_file(&path).unwrap();
        assert_eq!(read.id(), MasterKey::of_bytes(bytes.into()).id());
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        let long = KEY.repeat(200);
        for (content, expected) in [
            (&b""[..], VaultError::KeyWrongLength),
            (&KEY.as_bytes()[..40], VaultError::KeyWrongLength),
            (long.as_bytes(), VaultError::KeyWrongLength),
            (b"not base64 at all!", VaultError::KeyNotBase64),
            (&[0xff; 31], VaultError::KeyNotBase64),
            (&[0xff; 33], VaultError::KeyNotBase64),
            // These are 32 bytes of text: a password, or a truncated key. Neither has the entropy
            // of a key.
            (b"correct horse battery staple 123", VaultError::KeyNotBase64),
            (&KEY.as_bytes()[..32], VaultError::KeyWrongLength),
            (&[b'\n'; 32], VaultError::KeyWrongLength),
        ] {
            let (_directory, path) = file(content, 0o600);
            assert_eq!(refused(&path), format!("{expected:?}"));
        }
        // The host passed the key instead of its path.
        let error = MasterKey::from_file(Path::new(KEY)).unwrap_err();
        assert!(matches!(
            error,
            VaultError::KeyUnreadable(std::io::ErrorKind::NotFound)
        ));
        assert!(!format!("{error} {error:?}").contains(KEY));
    }

    #[test]
    fn a_file_that_others_have_rights_to_is_refused() {
        for (mode, is_accepted) in [
            (0o400, true),
            (0o600, true),
            (0o700, true),
            (0o440, false),
            (0o404, false),
            (0o620, false),
            (0o601, false),
            (0o644, false),
            (0o777, false),
        ] {
            let (_directory, path) = file(KEY.as_bytes(), mode);
            match MasterKey::from_file(&path) {
                Ok(_) => assert!(is_accepted, "{mode:o}"),
                Err(VaultError::KeyExposed { mode: found }) => {
                    assert_eq!((found, is_accepted), (mode, false))
                }
                Err(error) => panic!("{mode:o}: {error:?}"),
            }
        }
    }

    #[test]
    fn a_link_is_followed_and_its_target_is_checked() {
        for (mode, is_accepted) in [(0o400, true), (0o644, false)] {
            let (directory, path) = file(KEY.as_bytes(), mode);
            let link = directory.path().join("link");
            symlink(&path, &link).unwrap();
            assert_eq!(MasterKey::from_file(&link).is_ok(), is_accepted);
        }
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        for path in [directory.path(), &fifo, Path::new("/dev/null")] {
            assert_eq!(refused(path), "KeyNotAFile", "{path:?}");
        }
        let missing = refused(&directory.path().join("missing"));
        assert_eq!(missing, "KeyUnreadable(NotFound)");
    }

    #[test]
    fn only_a_read_only_mount_excuses_wide_rights() {
        let (_directory, path) = file(KEY.as_bytes(), 0o444);
        let point = fs::canonicalize(path.parent().unwrap()).unwrap();
        let mounts = |options: &str| {
            let point = point.display();
            format!("22 1 8:1 / / rw - ext4 source rw\n23 22 0:9 / {point} {options} - tmpfs source rw")
        };
        for (options, is_read_only) in [
            ("ro", true),
            ("ro,nosuid,nodev,noexec", true),
            ("nosuid,ro", true),
            ("rw,relatime", false),
            ("rw,errors=remount-ro", false),
        ] {
            assert_eq!(
                is_mounted_read_only(&path, &mounts(options)),
                is_read_only,
                "{options}"
            );
        }
        assert!(!is_mounted_read_only(&path, ""));
    }
}
