//! The identity of a file.

use std::fs::{self, File, Metadata};
use std::path::Path;

/// The identity of a file, independent of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault::sqlite) struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

impl Identity {
    #[cfg(unix)]
    pub(super) fn from_metadata(_: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;

        Self {
            device_and_inode: (metadata.dev(), metadata.ino()),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn from_metadata(path: &Path, _: &Metadata) -> Self {
        Self {
            path: path.to_path_buf(),
        }
    }

    /// Returns the identity of an open file.
    pub(super) fn of(path: &Path, file: &File) -> std::io::Result<Self> {
        Ok(Self::from_metadata(path, &file.metadata()?))
    }

    /// Returns the identity of the file at this path; `None` if there is none.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        Some(Self::from_metadata(path, &metadata))
    }
}
