//! Files of the vault, opened without following links and without blocking, and only if they belong
//! to this process's user.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::vault::sqlite::failure::{DIRECTORY, FILE, failed_at};
use crate::vault::sqlite::sharing::Sharing;
use crate::vault::{VaultError, VaultWarning};

/// `O_NONBLOCK` and `O_NOFOLLOW`: opening does not wait for a FIFO and does not follow a link.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "powerpc",
        target_arch = "powerpc64"
    )
))]
const PLAIN: i32 = 0o4_000 | 0o100_000;
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "powerpc",
        target_arch = "powerpc64"
    ))
))]
const PLAIN: i32 = 0o4_000 | 0o400_000;
#[cfg(all(unix, any(target_vendor = "apple", target_os = "freebsd")))]
const PLAIN: i32 = 0x4 | 0x100;
#[cfg(all(
    unix,
    not(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "freebsd"
    ))
))]
const PLAIN: i32 = 0;

/// Returns the path with the links of its directory resolved, so that the file itself can be opened
/// without following any.
pub(in crate::vault::sqlite) fn resolve(path: &Path) -> Result<PathBuf, VaultError> {
    let name = path.file_name().ok_or(VaultError::UnsafePath("no file name"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::canonicalize(directory) {
        Ok(directory) if directory.is_dir() => Ok(directory.join(name)),
        Ok(_) => Err(VaultError::UnsafePath("below a file that is not a directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(VaultError::NoDirectory),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(VaultError::UnsafePath("below a file that is not a directory"))
        }
        Err(error) => Err(failed_at(DIRECTORY)(error)),
    }
}

/// Returns the path with a suffix after its name.
pub(in crate::vault::sqlite) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns options for reading a file of any kind.
pub(super) fn reading() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, PLAIN);
    options
}

/// Fills the buffer from this offset of a file.
#[cfg(unix)]
pub(super) fn fill(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

/// All threads share the position of the file, so each read names its own offset.
#[cfg(windows)]
pub(super) fn fill(file: &File, mut buffer: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.split_at_mut(read).1;
        at += read as u64;
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
pub(super) fn fill(mut file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};

    file.seek(SeekFrom::Start(at))?;
    file.read_exact(buffer)
}

/// Returns options for writing to an existing file.
pub(in crate::vault::sqlite) fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, PLAIN);
    options
}

/// Returns options for creating a file that only its owner can use.
pub(in crate::vault::sqlite) fn private() -> OpenOptions {
    making(Sharing::Owner)
}

/// Returns options for creating a file that these users can use, unless the process's umask removes
/// rights.
pub(in crate::vault::sqlite) fn making(sharing: Sharing) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        options.mode(sharing.mode()).custom_flags(PLAIN);
    }
    #[cfg(not(unix))]
    let _ = sharing;
    options
}

/// Opens a regular file for reading. Returns `None` if there is none or it is of another kind.
pub(in crate::vault::sqlite) fn open_regular(path: &Path) -> Result<Option<File>, VaultError> {
    // The kind is checked first: even opening a socket or a device can have an effect.
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VaultError::storage(error)),
    }
    let file = match reading().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed_at(FILE)(error)),
    };
    let is_file = file.metadata().map_err(VaultError::storage)?.is_file();
    Ok(is_file.then_some(file))
}

/// Refuses anything but a regular file with one name.
pub(in crate::vault::sqlite) fn check_kind(metadata: &Metadata) -> Result<(), VaultError> {
    if metadata.is_symlink() {
        return Err(VaultError::UnsafePath("a symbolic link"));
    }
    if !metadata.is_file() {
        return Err(VaultError::UnsafePath("not a regular file"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(metadata) > 1 {
        return Err(VaultError::UnsafePath("a file with a second name (a hard link)"));
    }
    Ok(())
}

/// Returns warnings about the rights that the directory of a vault gives to others. A group that
/// shares the vault creates files in it.
pub(super) fn warnings(path: &Path, sharing: Sharing) -> Vec<VaultWarning> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let mode = path
            .parent()
            .and_then(|directory| fs::metadata(directory).ok())
            .map_or(0, |metadata| metadata.mode());
        let others = match sharing {
            Sharing::Owner => 0o022,
            Sharing::Group => 0o002,
        };
        if mode & others != 0 && mode & 0o1000 == 0 {
            return vec![VaultWarning::SharedDirectory];
        }
    }
    #[cfg(not(unix))]
    let _ = (path, sharing);
    Vec::new()
}

/// Makes the name of a file durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), VaultError> {
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(VaultError::storage)?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Removes a file if it exists.
pub(super) fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed_at(DIRECTORY)(error)),
        _ => Ok(()),
    }
}
