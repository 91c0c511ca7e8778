//! The state of a turn: its tokens, which are masked, and its id and purpose for the audit.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::resolver::held::{Asked, Held};
use crate::resolver::redact::{Secrets, SharedMasks};
use crate::secret::AccessToken;
use crate::vault::{AsOf, Found, StoredToken};

/// The tokens returned or used in a turn. A token is wiped when its last holder drops it.
#[derive(Default)]
pub(super) struct Ledger {
    page: Mutex<Page>,
    /// The answers that the turn holds. `None` outside of a turn, where nothing is asked twice.
    held: Option<Mutex<Held>>,
    /// The id and purpose of the turn, both validated. Empty outside of a turn.
    pub(super) turn: Option<Box<str>>,
    pub(super) purpose: Option<Box<str>>,
}

#[derive(Default)]
struct Page {
    tokens: Vec<Arc<AccessToken>>,
    /// All tokens with what was built to mask them, until another token is recorded.
    secrets: Option<Arc<Secrets>>,
}

impl Ledger {
    /// Returns the empty ledger of a turn.
    pub(super) fn of_turn() -> Self {
        Self {
            held: Some(Mutex::default()),
            ..Self::default()
        }
    }

    /// Returns the answer to a query that the turn holds, if `is_current` accepts the state of the
    /// vault that it is from. The inner `None` is the answer that there is no such connection.
    pub(super) fn held<E>(
        &self,
        asked: &Asked<'_>,
        is_current: impl FnOnce(AsOf) -> Result<bool, E>,
    ) -> Result<Option<Option<StoredToken>>, E> {
        match &self.held {
            Some(held) => lock(held).answer(asked, is_current),
            None => Ok(None),
        }
    }

    /// Holds an answer to a query for the rest of the turn.
    pub(super) fn hold(&self, asked: &Asked<'_>, as_of: AsOf, found: &Found) {
        if let Some(held) = &self.held {
            lock(held).hold(asked, as_of, found);
        }
    }

    /// Records a token, unless it is already recorded.
    pub(super) fn note(&self, token: &Arc<AccessToken>) {
        let mut page = self.page();
        let value = token.expose_secret();
        let is_same = |known: &Arc<AccessToken>| Arc::ptr_eq(known, token) || known.expose_secret() == value;
        if page.tokens.iter().any(is_same) {
            return;
        }
        page.tokens.push(Arc::clone(token));
        page.secrets = None;
    }

    /// Returns all tokens recorded so far; `None` if there are none.
    pub(super) fn secrets(&self) -> Option<Arc<Secrets>> {
        let mut page = self.page();
        if page.secrets.is_none() && !page.tokens.is_empty() {
            page.secrets = Some(Arc::new(Secrets::new(&page.tokens)));
        }
        page.secrets.clone()
    }

    /// Returns masks for all tokens recorded so far, or `None` if there are none or if none of
    /// these texts can contain one.
    pub(super) fn masks_for<'a>(&self, texts: impl IntoIterator<Item = &'a [u8]>) -> SharedMasks {
        self.secrets()?.masks_for(texts)
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        lock(&self.page)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({} tokens)", self.page().tokens.len())
    }
}
