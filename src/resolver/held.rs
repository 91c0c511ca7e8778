//! The answers of the vault that a turn holds.
//!
//! A turn keeps the tokens that it returned open, because it masks them. The next resolve or `send`
//! of the turn may use such a token again if nothing was committed since it was read: the vault
//! decides that on every call (see [`find_token_again`]). A resolve that begins after a commit has
//! returned, in any process of this machine, therefore never returns a token that the commit
//! removed. The policy, the clock and the configuration are not part of an answer; they are
//! evaluated on every call.
//!
//! [`find_token_again`]: crate::vault::GrantStore::find_token_again

use std::sync::Arc;

use crate::model::{Label, ProviderId, Scopes};
use crate::provider::compiled::CompiledProvider;
use crate::resolver::options::ResolveOptions;
use crate::vault::{AsOf, Found, StoredToken};

/// The number of answers that a turn holds. A further one replaces the oldest.
const MOST: usize = 32;

/// A query of the user of the turn.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// True for the workspace connection, false for the user's own.
    pub(super) is_workspace: bool,
    pub(super) provider: &'a Arc<CompiledProvider>,
    pub(super) options: &'a ResolveOptions<'a>,
}

/// The answer to a query, with the state of the vault that it is from.
pub(super) struct Answer {
    pub(super) as_of: AsOf,
    /// `None` if there is no such connection.
    pub(super) stored: Option<StoredToken>,
}

/// The answers of one turn, each to a different query.
#[derive(Default)]
pub(super) struct Held(Vec<Entry>);

struct Entry {
    is_workspace: bool,
    provider: ProviderId,
    label: Option<Label>,
    scopes: Scopes,
    answer: Answer,
}

impl Held {
    pub(super) fn answer(&self, asked: &Asked<'_>) -> Option<Answer> {
        let entry = self.0.iter().find(|entry| entry.is(asked))?;
        Some(Answer {
            as_of: entry.answer.as_of,
            stored: entry.answer.stored.as_ref().map(StoredToken::shared),
        })
    }

    /// Holds an answer. That there are several connections is not held: it is an error, and rare.
    pub(super) fn hold(&mut self, asked: &Asked<'_>, as_of: AsOf, found: &Found) {
        let stored = match found {
            Found::Nothing => None,
            Found::One(stored) => Some(stored.shared()),
            Found::Several => return,
        };
        let answer = Answer { as_of, stored };
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.is(asked)) {
            entry.answer = answer;
            return;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Entry {
            is_workspace: asked.is_workspace,
            provider: asked.provider.id.clone(),
            label: asked.options.label.clone(),
            scopes: asked.options.scopes.clone(),
            answer,
        });
    }
}

impl Entry {
    fn is(&self, asked: &Asked<'_>) -> bool {
        self.is_workspace == asked.is_workspace
            && self.provider == asked.provider.id
            && self.label == asked.options.label
            && self.scopes == asked.options.scopes
    }
}
