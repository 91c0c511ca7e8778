//! The answers of the vault that a turn holds.
//!
//! A turn keeps the tokens that it returned open, because it masks them. The next resolve or `send`
//! of the turn may use such a token again if no commit since it was read may concern it: the vault
//! decides that on every call (see [`is_unchanged_since`]). A resolve that begins after a commit
//! has returned, in any process of this machine, therefore never returns a token that the commit
//! removed. The policy, the clock and the configuration are not part of an answer; they are
//! evaluated on every call.
//!
//! [`is_unchanged_since`]: crate::vault::GrantStore::is_unchanged_since

use crate::model::{Label, ProviderId, Scopes};
use crate::resolver::options::ResolveOptions;
use crate::vault::{AsOf, Found, StoredToken};

/// The number of answers that a turn holds. A further one replaces the oldest.
const MOST: usize = 32;

/// A query of the user of the turn.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// True for the workspace connection, false for the user's own.
    pub(super) is_workspace: bool,
    pub(super) provider: &'a ProviderId,
    pub(super) options: &'a ResolveOptions<'a>,
}

/// The answers of one turn, each to a different query.
#[derive(Default)]
pub(super) struct Held(Vec<Entry>);

struct Entry {
    is_workspace: bool,
    provider: ProviderId,
    label: Option<Label>,
    scopes: Scopes,
    as_of: AsOf,
    /// The answer; `None` if there is no such connection.
    stored: Option<StoredToken>,
}

impl Held {
    /// Returns the answer to this query, if the turn holds one and `is_current` accepts the state
    /// that it is from.
    pub(super) fn answer<E>(
        &self,
        asked: &Asked<'_>,
        is_current: impl FnOnce(AsOf) -> Result<bool, E>,
    ) -> Result<Option<Option<StoredToken>>, E> {
        let Some(entry) = self.0.iter().find(|entry| entry.is(asked)) else {
            return Ok(None);
        };
        let is_current = is_current(entry.as_of)?;
        Ok(is_current.then(|| entry.stored.as_ref().map(StoredToken::shared)))
    }

    /// Holds an answer. That there are several connections is not held: it is an error, and rare.
    pub(super) fn hold(&mut self, asked: &Asked<'_>, as_of: AsOf, found: &Found) {
        let stored = match found {
            Found::Nothing => None,
            Found::One(stored) => Some(stored.shared()),
            Found::Several => return,
        };
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.is(asked)) {
            entry.as_of = as_of;
            entry.stored = stored;
            return;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Entry {
            is_workspace: asked.is_workspace,
            provider: asked.provider.clone(),
            label: asked.options.label.clone(),
            scopes: asked.options.scopes.clone(),
            as_of,
            stored,
        });
    }
}

impl Entry {
    fn is(&self, asked: &Asked<'_>) -> bool {
        self.is_workspace == asked.is_workspace
            && self.provider == *asked.provider
            && self.label == asked.options.label
            && self.scopes == asked.options.scopes
    }
}
