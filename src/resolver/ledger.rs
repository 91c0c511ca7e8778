//! What is known of a turn: its tokens, so that they can be masked, and its name, for the audit.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::resolver::redact::{Filter, Masks, SharedMasks};
use crate::secret::AccessToken;

/// Every token that was handed out or used. A token is wiped when the last who holds it lets it go.
#[derive(Default)]
pub(super) struct Ledger {
    page: Mutex<Page>,
    /// The id of the turn in which tokens are used; none outside of a turn. Both names were
    /// checked.
    pub(super) turn: Option<Box<str>>,
    pub(super) purpose: Option<Box<str>>,
}

#[derive(Default)]
struct Page {
    tokens: Vec<Arc<AccessToken>>,
    /// What tells whether a text can hold one of them, from when it was last asked for.
    filter: Option<Arc<Filter>>,
    /// Masks for all of them, from when they were last asked for.
    masks: SharedMasks,
}

impl Ledger {
    /// Writes a token down, unless it is known.
    pub(super) fn note(&self, token: &Arc<AccessToken>) {
        let mut page = self.page();
        let value = token.expose_secret();
        if page.tokens.iter().any(|known| known.expose_secret() == value) {
            return;
        }
        page.tokens.push(Arc::clone(token));
        page.filter = None;
        page.masks = None;
    }

    /// Masks for all tokens written down so far; `None` if there are none.
    pub(super) fn masks(&self) -> SharedMasks {
        let mut page = self.page();
        if page.masks.is_none() {
            page.masks = Masks::new(page.tokens.iter().map(AsRef::as_ref)).map(Arc::new);
        }
        page.masks.clone()
    }

    /// Masks for all tokens written down so far; none as well if no token can be in any of these
    /// texts. Most texts repeat no token. The filter that tells so is made in a small part of the
    /// time that masks take, and is faster.
    pub(super) fn masks_for<'a>(&self, texts: impl IntoIterator<Item = &'a [u8]>) -> SharedMasks {
        let filter = {
            let mut page = self.page();
            if page.filter.is_none() {
                page.filter = Filter::new(page.tokens.iter().map(AsRef::as_ref)).map(Arc::new);
            }
            page.filter.clone()?
        };
        let suspect = texts.into_iter().any(|text| filter.suspects(text));
        suspect.then(|| self.masks()).flatten()
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({} tokens)", self.page().tokens.len())
    }
}
