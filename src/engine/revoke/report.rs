//! What revoking did, in the words that a host acts on.

use std::time::Duration;

use crate::error::Misconfigured;
use crate::model::{Connection, ConnectionId, GrantId};
use crate::vault::Erasure;

/// What revoking did, here and at the provider.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RevocationReport {
    /// The connection, revoked; its record stays as history.
    pub connection: Connection,
    /// Whether every file is free of the sealed tokens. Nothing can use them either way. Pending
    /// while a reader keeps the log, and while tokens are kept for upkeep because the provider has
    /// not answered.
    pub here: Erasure,
    /// What became of the access at the provider: the worst outcome of all sets of tokens that
    /// ended, or that other connections go on using it.
    pub at_provider: AtProvider,
    /// Each set of tokens that ended: those of the grant, those of the grants that it had replaced,
    /// and those that an earlier revocation of the connection left unconfirmed.
    pub(crate) ended: Vec<EndedTokens>,
}

impl RevocationReport {
    /// Returns how many sets of tokens ended that the provider has not confirmed to be dead. A
    /// connection has several sets where later consents replaced its grant, or where an earlier
    /// revocation was not confirmed.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        let is_open = |ended: &&EndedTokens| {
            !matches!(ended.at_provider, AtProvider::Revoked | AtProvider::NothingLeft)
        };
        self.ended.iter().filter(is_open).count()
    }
}

/// A set of tokens that ended with a connection, and what the provider said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTokens {
    /// The grant that they belonged to.
    pub grant: GrantId,
    /// Their generation.
    pub generation: u64,
    /// True if they belonged to a former grant, which a later consent had replaced.
    pub former: bool,
    /// What the provider said.
    pub at_provider: AtProvider,
}

/// What became of the access at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtProvider {
    /// The provider confirmed that every set of tokens is dead.
    Revoked,
    /// The provider said yes, and it is not documented that the grant ends by it. The person can
    /// make sure at this page.
    Attempted {
        /// The page, if there is one.
        url: Option<String>,
    },
    /// The provider did not answer, or asks to try later. The grant may still live there; nothing
    /// here can use it.
    Unconfirmed {
        /// The time for which to wait, where that is known.
        retry_after: Option<Duration>,
    },
    /// The provider refused to revoke it. The grant may still live there; nothing here can use it.
    /// The tokens are kept sealed for a while, so that it can be tried again.
    Refused,
    /// Nothing was sent, because the configuration does not fit the tokens any more: they go only
    /// where they came from. They are kept sealed for upkeep, in case the operator corrects it.
    NotAttempted(Misconfigured),
    /// The provider has no way to revoke it by program; the person can do it at this page.
    ByUser {
        /// The page.
        url: String,
    },
    /// No way to revoke it is known: the descriptor names neither an endpoint nor a page. The grant
    /// lives on at the provider.
    Unsupported,
    /// No token is held here that could be revoked: none was issued, all are dead, or an earlier
    /// answer said what became of them.
    NothingLeft,
    /// Nothing was sent: these connections use the grant and go on with it. It is revoked with the
    /// last of them.
    StillUsedBy(Vec<ConnectionId>),
}

impl AtProvider {
    /// Returns the worse of two outcomes: the one that leaves more alive.
    #[must_use]
    pub(crate) fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// Returns whether another attempt may end what this one did not.
    pub(crate) const fn may_be_tried_again(&self) -> bool {
        matches!(
            self,
            Self::Unconfirmed { .. } | Self::NotAttempted(_) | Self::Refused
        )
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::NothingLeft => 0,
            Self::Revoked => 1,
            Self::Attempted { .. } => 2,
            Self::ByUser { .. } => 3,
            Self::Unsupported => 4,
            Self::Unconfirmed { .. } => 5,
            Self::NotAttempted(_) => 6,
            Self::Refused => 7,
            Self::StillUsedBy(_) => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revoked_is_said_only_if_nothing_is_worse() {
        let unconfirmed = || AtProvider::Unconfirmed { retry_after: None };
        let worst = |all: Vec<AtProvider>| all.into_iter().fold(AtProvider::NothingLeft, AtProvider::worse);
        assert_eq!(
            worst(vec![AtProvider::Revoked, AtProvider::NothingLeft]),
            AtProvider::Revoked
        );
        assert_eq!(worst(vec![AtProvider::Revoked, unconfirmed()]), unconfirmed());
        assert_eq!(worst(vec![unconfirmed(), AtProvider::Revoked]), unconfirmed());
        assert_eq!(
            worst(vec![AtProvider::Refused, unconfirmed()]),
            AtProvider::Refused
        );
        assert_eq!(worst(Vec::new()), AtProvider::NothingLeft);
    }
}
