//! Inputs and outcomes of a refresh.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{ConsentReason, ConsentRequired, Error, NamedProvider};
use crate::model::{Actor, ConnectionId, FailureCode, GrantId, ProviderId, TenantId, Timestamp};
use crate::secret::AccessToken;
use crate::vault::{Attempt, StoredToken};

/// A token that is stored and usable.
#[derive(Debug, Clone)]
pub(crate) struct CurrentToken {
    pub(crate) generation: u64,
    pub(crate) access_token: Arc<AccessToken>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl CurrentToken {
    pub(crate) fn from_stored(stored: StoredToken) -> Option<Self> {
        Some(Self {
            generation: stored.generation,
            access_token: stored.access_token?,
            expires_at: stored.expires_at,
        })
    }
}

/// The token that a refresh returned, which is stored before any caller sees it, and the
/// connections that use its grant.
#[derive(Debug, Clone)]
pub(crate) struct RefreshedToken {
    pub(crate) token: CurrentToken,
    pub(crate) users: Arc<[ConnectionId]>,
}

/// The reason why a refresh did not return a token.
#[derive(Debug, Clone)]
pub(crate) enum NotRefreshed {
    /// The stored tokens have another generation, or the connections use another grant: each
    /// connection reads its own.
    Moved(u64),
    /// A new consent is required.
    NeedsConsent(ConsentReason),
    /// The refresh failed.
    Failed(Error),
    /// No request was sent, and none can be until the configuration changes.
    Untried(Error),
}

impl NotRefreshed {
    /// Returns the error for an operator.
    pub(crate) fn to_error(&self, provider: NamedProvider) -> Error {
        match self {
            Self::Moved(_) => Error::unavailable(FailureCode::Interrupted).of_provider(|| provider),
            Self::NeedsConsent(reason) => ConsentRequired::new(provider, *reason).into(),
            Self::Failed(error) | Self::Untried(error) => error.clone().of_provider(|| provider),
        }
    }
}

impl<E: Into<Error>> From<E> for NotRefreshed {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A requested refresh.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) tenant: &'a TenantId,
    /// The connection to refresh, named in errors.
    pub(crate) connection: ConnectionId,
    /// The service of the connection.
    pub(crate) provider: &'a ProviderId,
    /// The grant that the connection uses.
    pub(crate) grant: GrantId,
    /// The generation to replace.
    pub(crate) generation: u64,
    pub(crate) attempt: Attempt,
    /// The caller that requested the refresh by name, if any.
    pub(crate) by: Option<&'a Actor>,
    pub(crate) deadline: Instant,
}
