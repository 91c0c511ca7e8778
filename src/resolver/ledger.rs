//! What is known of a turn: its tokens, so that they can be masked, and its name, for the audit.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{TurnId, TurnPurpose};
use crate::resolver::redact::{Masks, SharedMasks};
use crate::secret::AccessToken;

/// Every token that was handed out or used. A token is wiped when the last who holds it lets it go.
#[derive(Default)]
pub(super) struct Ledger {
    page: Mutex<Page>,
    /// In which turn tokens are used; none outside of a turn.
    pub(super) turn: Option<TurnId>,
    pub(super) purpose: Option<TurnPurpose>,
}

#[derive(Default)]
struct Page {
    tokens: Vec<Arc<AccessToken>>,
    /// Masks for the endings of all of them, from when they were last asked for.
    endings: SharedMasks,
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
        page.endings = None;
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

    /// Masks for all tokens written down so far; none as well if no token can be in any of these texts. Most texts repeat
    /// no token. Then the masks of the tokens' endings are enough, which are made in a small part of the time.
    pub(super) fn masks_for<'a>(&self, texts: impl IntoIterator<Item = &'a [u8]>) -> SharedMasks {
        let endings = {
            let mut page = self.page();
            if page.masks.is_some() {
                return page.masks.clone();
            }
            if page.endings.is_none() {
                page.endings = Masks::endings(page.tokens.iter().map(AsRef::as_ref)).map(Arc::new);
            }
            page.endings.clone()?
        };
        let suspect = texts.into_iter().any(|text| !endings.find(text).is_empty());
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
