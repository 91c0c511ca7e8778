//! A grant: the result of one consent, without its tokens.

use std::time::Duration;

use crate::model::{
    Account, GrantId, IssuedBy, Owner, Parameters, ProviderId, RefreshState, Scopes, Status, TenantId,
    Timestamp,
};

/// The origin of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Origin {
    /// The user consented in a browser: the authorization code grant
    /// ([RFC 6749 §4.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1)).
    AuthorizationCode,
}

impl Origin {
    /// Returns the origin as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
        }
    }

    /// Returns the origin with this name, as written by [`as_str`](Self::as_str).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        (code == "authorization_code").then_some(Self::AuthorizationCode)
    }
}

/// One set of tokens, used by one or several [connections](crate::model::Connection): everything
/// about it that is not secret.
///
/// A refresh changes the tokens, the generation, the times and, if the server names them, the
/// scopes. A new consent creates a new grant. The grant that it replaces becomes a *former grant*,
/// which is never resolved and is revoked together with its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Grant {
    /// The id of the grant.
    pub id: GrantId,
    /// The tenant.
    pub tenant: TenantId,
    /// The user, or the workspace itself.
    pub owner: Owner,
    /// The service that the consent named.
    pub provider: ProviderId,
    /// The way in which the tokens were obtained.
    pub origin: Origin,
    /// The server and client that issued the tokens, and the endpoints that the tokens may be sent
    /// to.
    pub issued_by: IssuedBy,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The scopes requested for all services of the grant together.
    pub requested: Scopes,
    /// The granted scopes: those that the server named, or those requested if it named none
    /// ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
    pub granted: Scopes,
    /// The account, as reported by the service that the consent named.
    pub account: Option<Account>,
    /// The status, which says whether the tokens can be used.
    pub status: Status,
    /// The number of token pairs so far. A consent and a refresh increase it; it never decreases.
    pub generation: u64,
    /// True if there is a usable refresh token.
    pub refreshable: bool,
    /// The time of the last consent.
    pub consented_at: Timestamp,
    /// The time when the tokens were issued.
    pub refreshed_at: Timestamp,
    /// The time when the access token expires, if known.
    pub expires_at: Option<Timestamp>,
    /// The lifetime of access tokens that this server last reported for this grant. It applies to
    /// answers without a lifetime.
    pub lifetime: Option<Duration>,
    /// The claim and the failures of refreshes.
    pub refresh: RefreshState,
    /// The grant that replaced this one, if it is a former grant.
    #[cfg_attr(feature = "serde", serde(default))]
    pub former_of: Option<GrantId>,
}

impl Grant {
    /// Returns a grant of generation 1, active, without scopes, account or expiry.
    #[must_use]
    pub fn new(
        id: GrantId,
        tenant: TenantId,
        owner: Owner,
        provider: ProviderId,
        issued_by: IssuedBy,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            owner,
            provider,
            origin: Origin::AuthorizationCode,
            issued_by,
            parameters: Parameters::new(),
            requested: Scopes::default(),
            granted: Scopes::default(),
            account: None,
            status: Status::Active,
            generation: 1,
            refreshable: false,
            consented_at: now,
            refreshed_at: now,
            expires_at: None,
            lifetime: None,
            refresh: RefreshState::default(),
            former_of: None,
        }
    }
}
