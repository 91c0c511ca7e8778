//! The tokens that a turn knows at one time, and what is built from them when it is first needed.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Filter, Masks, SharedMasks, Skim};
use crate::secret::AccessToken;

/// Some tokens, with the filters and masks for them.
///
/// Most texts contain no token. The filters that rule these out take much less time to build than
/// masks, so masks are built for the first text that may contain a token.
pub(crate) struct Secrets {
    tokens: Box<[Arc<AccessToken>]>,
    filter: OnceLock<Option<Filter>>,
    skim: OnceLock<Option<Arc<Skim>>>,
    masks: OnceLock<SharedMasks>,
}

impl Secrets {
    pub(crate) fn new(tokens: &[Arc<AccessToken>]) -> Self {
        Self {
            tokens: tokens.into(),
            filter: OnceLock::new(),
            skim: OnceLock::new(),
            masks: OnceLock::new(),
        }
    }

    /// Returns secrets for which every piece is searched.
    #[cfg(test)]
    pub(super) fn searched(masks: Arc<Masks>) -> Self {
        Self {
            tokens: Box::default(),
            filter: OnceLock::new(),
            skim: OnceLock::from(None),
            masks: OnceLock::from(Some(masks)),
        }
    }

    /// Returns whether a text had to be searched.
    #[cfg(test)]
    pub(super) fn has_masks(&self) -> bool {
        self.masks.get().is_some()
    }

    fn tokens(&self) -> impl ExactSizeIterator<Item = &AccessToken> {
        self.tokens.iter().map(AsRef::as_ref)
    }

    /// Returns the filter for whole texts; `None` if there is nothing to mask.
    fn filter(&self) -> Option<&Filter> {
        self.filter.get_or_init(|| Filter::new(self.tokens())).as_ref()
    }

    /// Returns the filter for large pieces of a text; `None` if every text must be searched.
    pub(super) fn skim(&self) -> Option<&Arc<Skim>> {
        let skim = || Skim::new(self.tokens()).map(Arc::new);
        self.skim.get_or_init(skim).as_ref()
    }

    /// Returns masks for all of the tokens; `None` if there is nothing to mask.
    pub(crate) fn masks(&self) -> SharedMasks {
        let masks = || {
            let masks = Masks::new(self.tokens())?;
            Some(Arc::new(masks.skimming(self.skim().cloned())))
        };
        self.masks.get_or_init(masks).clone()
    }

    /// Returns masks for all of the tokens, or `None` if none of these texts can contain one.
    pub(crate) fn masks_for<'a>(&self, texts: impl IntoIterator<Item = &'a [u8]>) -> SharedMasks {
        let filter = self.filter()?;
        let suspect = texts.into_iter().any(|text| filter.suspects(text));
        suspect.then(|| self.masks()).flatten()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} tokens)", self.tokens.len())
    }
}
