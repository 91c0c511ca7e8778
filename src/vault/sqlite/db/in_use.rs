//! The files that this process has open.
//!
//! SQLite's locks belong to the process, and closing any descriptor of the file drops them all:
//! another process would then consider itself the last one and truncate the log. So each file has
//! one descriptor in addition to SQLite's, its anchor. It is closed after the last connection, and
//! never while another handle begins to use the file.

use std::fs::{File, Metadata};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::vault::VaultError;
use crate::vault::sqlite::db::identity::Identity;
use crate::vault::sqlite::db::log_index::Indexes;
use crate::vault::sqlite::process::Process;

static OPEN: Mutex<Vec<Arc<Anchor>>> = Mutex::new(Vec::new());

/// An open file, and the facts that were observed in it.
#[derive(Debug)]
pub(in crate::vault::sqlite) struct Anchor {
    pub(super) identity: Identity,
    pub(super) file: File,
    process: Process,
    /// The highest beat that was observed in the database file itself; 0 if there was none.
    pub(super) highest: AtomicU64,
    pub(super) indexes: Indexes,
}

impl Anchor {
    /// Fails if another file is at the path now.
    pub(super) fn check_place(&self, path: &Path) -> Result<(), VaultError> {
        if Identity::at(path).as_ref() == Some(&self.identity) {
            Ok(())
        } else {
            Err(VaultError::Replaced)
        }
    }
}

/// The locked list of open files. While it exists, no other thread opens or closes a file.
pub(super) struct OpenFiles(MutexGuard<'static, Vec<Arc<Anchor>>>);

impl OpenFiles {
    pub(super) fn lock() -> Self {
        Self(OPEN.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers another use of the file at this path, if it is open already. Refuses a file that
    /// was open before a fork: SQLite would assume that it owns its parent's locks.
    pub(super) fn share(&self, path: &Path, metadata: &Metadata) -> Result<Option<InUse>, VaultError> {
        let identity = Identity::from_metadata(path, metadata);
        let Some(anchor) = self.0.iter().find(|anchor| anchor.identity == identity) else {
            return Ok(None);
        };
        anchor.process.check()?;
        Ok(Some(InUse {
            anchor: Some(Arc::clone(anchor)),
        }))
    }

    /// Returns whether the file at this path is open.
    pub(super) fn has(&self, path: &Path, metadata: &Metadata) -> bool {
        let identity = Identity::from_metadata(path, metadata);
        self.0.iter().any(|anchor| anchor.identity == identity)
    }

    /// Registers the first use of a file.
    pub(super) fn enter(&mut self, path: &Path, file: File) -> Result<InUse, VaultError> {
        let anchor = Arc::new(Anchor {
            identity: Identity::of(path, &file).map_err(VaultError::storage)?,
            file,
            process: Process::current(),
            highest: AtomicU64::new(0),
            indexes: Indexes::default(),
        });
        self.0.push(Arc::clone(&anchor));
        Ok(InUse { anchor: Some(anchor) })
    }
}

/// Marks a file as in use until it is dropped, which happens after its owner's last connection is
/// closed.
#[derive(Debug)]
pub(in crate::vault::sqlite) struct InUse {
    /// `None` only while it is being dropped.
    anchor: Option<Arc<Anchor>>,
}

impl InUse {
    pub(super) fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_deref()
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut open = OpenFiles::lock();
        drop(self.anchor.take());
        // If only the list holds the anchor, it is closed here, under the list's lock.
        open.0.retain(|anchor| Arc::strong_count(anchor) > 1);
    }
}
