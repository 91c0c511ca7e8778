//! Reports of a revocation.

use std::time::Duration;

use crate::error::Misconfigured;
use crate::model::{Connection, ConnectionId, GrantId};
use crate::vault::Erasure;

/// A report of a revocation, locally and at the provider.
///
/// ```
/// use valetkey::connections::AtProvider;
/// use valetkey::testing::Host;
/// use valetkey::vault::Erasure;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// let id = host.connect(&ada, "notes").id;
/// let report = host.connections.revoke(&ada, id)?;
/// assert_eq!((report.here, &report.at_provider), (Erasure::Cleared, &AtProvider::Revoked));
/// assert_eq!(report.unconfirmed().count(), 0);
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RevocationReport {
    /// The revoked connection. Its record is kept as history.
    pub connection: Connection,
    /// The state of the encrypted tokens in the vault's files. They are unusable in any case. The
    /// state is pending while a reader holds the log, and while tokens are kept for upkeep because
    /// the provider has not answered.
    pub here: Erasure,
    /// The outcome at the provider: the worst outcome of all revoked token sets, or
    /// [`AtProvider::StillUsedBy`] if other connections continue to use the access.
    pub at_provider: AtProvider,
    /// Each revoked token set: those of the grant, of the grants that it replaced, and those that
    /// an earlier revocation of the connection left unconfirmed.
    pub(crate) ended: Vec<EndedTokens>,
}

impl RevocationReport {
    /// Returns the token sets that the provider has not confirmed to be dead: the grant of each,
    /// and what the provider said. A connection has several sets if later consents replaced its
    /// grant, or if an earlier revocation was not confirmed.
    pub fn unconfirmed(&self) -> impl Iterator<Item = (GrantId, &AtProvider)> {
        let is_open = |at: &AtProvider| !matches!(at, AtProvider::Revoked | AtProvider::NothingLeft);
        self.ended
            .iter()
            .filter(move |ended| is_open(&ended.at_provider))
            .map(|ended| (ended.grant, &ended.at_provider))
    }
}

/// A set of tokens revoked with a connection, and the provider's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTokens {
    /// The grant that the tokens belonged to.
    pub grant: GrantId,
    /// The generation of the tokens.
    pub generation: u64,
    /// True if the tokens belonged to a former grant, which a later consent had replaced.
    pub former: bool,
    /// The outcome at the provider.
    pub at_provider: AtProvider,
}

/// The outcome of a revocation at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtProvider {
    /// The provider confirmed that every set of tokens is dead.
    Revoked,
    /// The provider accepted the request, but does not document that this ends the grant. The user
    /// can check on this page.
    Attempted {
        /// The page, if there is one.
        url: Option<String>,
    },
    /// The provider did not answer, or asked to retry later. The grant may still be valid there,
    /// but valetkey can no longer use it.
    Unconfirmed {
        /// The time to wait, if known.
        retry_after: Option<Duration>,
    },
    /// The provider refused the revocation. The grant may still be valid there, but valetkey can no
    /// longer use it. The tokens are kept encrypted for a while, so that the revocation can be
    /// retried.
    Refused,
    /// Nothing was sent, because the configuration does not match the tokens: they are sent only to
    /// the server that issued them. They are kept encrypted for upkeep, in case an administrator
    /// corrects the configuration.
    NotAttempted(Misconfigured),
    /// The provider has no revocation endpoint. The user can revoke the access on this page.
    ByUser {
        /// The page.
        url: String,
    },
    /// The descriptor names neither a revocation endpoint nor a page. The grant remains valid at
    /// the provider.
    Unsupported,
    /// No token is stored that could be revoked: none was issued, all are dead, or an earlier
    /// response settled them.
    NothingLeft,
    /// Nothing was sent: these connections continue to use the grant. It is revoked with the last
    /// of them.
    StillUsedBy(Vec<ConnectionId>),
}

impl AtProvider {
    /// Returns the worse of two outcomes: the one that leaves more access valid.
    #[must_use]
    pub(crate) fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// Returns whether another attempt may revoke tokens that this one did not.
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
