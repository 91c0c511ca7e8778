//! Searches and their results.

use crate::model::{ConnectionId, GrantId, TenantId};
use crate::vault::Sought;
use crate::vault::tables::row::{ConnectionRow, GrantRow, TenantRow};

/// Selects the connection whose token is wanted. Revoked connections are never found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wanted<'a> {
    /// The only connection of this owner to this provider, or the default among several.
    Owner {
        /// The user; empty for the workspace connection.
        owner: &'a str,
        /// The provider.
        provider: &'a str,
    },
    /// The connection with this label.
    Label {
        /// The user; empty for the workspace connection.
        owner: &'a str,
        /// The provider.
        provider: &'a str,
        /// The label.
        label: &'a str,
    },
    /// The connection with this id.
    Id(ConnectionId),
}

/// A connection with the part of its grant that the hot path needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) connection: ConnectionRow,
    pub(crate) status: String,
    pub(crate) generation: u64,
    pub(crate) refreshable: bool,
    pub(crate) server: String,
    pub(crate) expires_at: Option<i64>,
    pub(crate) refreshed_at: i64,
    pub(crate) route: Vec<u8>,
    pub(crate) state: Vec<u8>,
    /// The sealed access token.
    pub(crate) access: Option<Vec<u8>>,
}

impl TokenRow {
    /// Takes the fields that a token needs from the rows of a connection and its grant.
    pub(crate) fn new(connection: ConnectionRow, grant: GrantRow, access: Option<Vec<u8>>) -> Self {
        Self {
            connection,
            status: grant.status,
            generation: grant.generation,
            refreshable: grant.refreshable,
            server: grant.server,
            expires_at: grant.expires_at,
            refreshed_at: grant.refreshed_at,
            route: grant.route,
            state: grant.state,
            access,
        }
    }
}

/// The result of [`Rows::token`], read in one view.
#[derive(Debug)]
pub(crate) enum FoundRows {
    /// There is no such connection.
    Nothing,
    /// There are several connections, and none is the default.
    Several,
    /// A connection whose grant is missing.
    Damaged,
    /// A connection and what its token needs.
    One(Box<TokenRow>),
}

/// Selects connections to list, in the order of their ids.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    /// Only of this owner; empty for workspace connections.
    pub(crate) owner: Option<&'a str>,
    /// Only of this provider.
    pub(crate) provider: Option<&'a str>,
    /// Only those that use this grant.
    pub(crate) grant: Option<GrantId>,
    /// True to include revoked connections.
    pub(crate) with_revoked: bool,
    /// The state that is looked for. An implementation may leave out connections in other states.
    #[cfg_attr(
        not(feature = "sqlite"),
        allow(dead_code, reason = "other stores list all states")
    )]
    pub(crate) sought: Option<Sought>,
    /// Only after this one.
    pub(crate) after: Option<ConnectionId>,
    /// At most this many.
    pub(crate) limit: usize,
}

impl Listing<'_> {
    /// Returns a search for all connections that use a grant.
    pub(crate) const fn users(grant: GrantId) -> Self {
        Self {
            owner: None,
            provider: None,
            grant: Some(grant),
            with_revoked: true,
            sought: None,
            after: None,
            limit: usize::MAX,
        }
    }
}

/// A listed connection with its grant and the time of its last use, read in one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRow {
    pub(crate) connection: ConnectionRow,
    pub(crate) grant: GrantRow,
    pub(crate) used_at: Option<i64>,
}

/// A read that follows in the same transaction.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "only a database behind a network reads ahead")
)]
pub(crate) enum Ahead<'a> {
    /// The number of a tenant.
    Tenant(&'a TenantId),
    /// A grant.
    Grant(GrantId),
    /// The sealed tokens of a grant.
    Secrets(GrantId),
    /// The connections that use a grant, revoked ones included.
    Users(GrantId),
    /// A connection.
    Connection(ConnectionId),
    /// The head of a chain and the number of its last entry.
    End(Chain),
}

/// Rows of a tenant as they were when a decision was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "writers of other databases follow one another")
)]
pub(crate) struct Expected {
    /// Grants and their revisions.
    pub(crate) grants: Vec<(GrantId, u64)>,
    /// Connections and their MACs.
    pub(crate) connections: Vec<(ConnectionId, [u8; 32])>,
}

/// A row together with the tenant it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Of<T> {
    pub(crate) tenant: TenantRow,
    pub(crate) name: TenantId,
    pub(crate) row: T,
}

/// Selects grants that are due for a refresh at one authorization server: active, refreshable, not
/// former, neither held (`held_until` is not after `now`) nor backing off (`not_before` is not
/// after `now`), and either expiring before `expires_before` or refreshed before
/// `refreshed_before`. Soonest expiry first, then longest idle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DueRows<'a> {
    /// The authorization server.
    pub(crate) server: &'a str,
    /// The current time.
    pub(crate) now: i64,
    /// The time before which the access token must expire.
    pub(crate) expires_before: i64,
    /// The time before which the last refresh must have been, for servers that end idle grants.
    pub(crate) refreshed_before: Option<i64>,
    /// At most this many.
    pub(crate) limit: usize,
}

/// Selects rows to erase.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Doomed<'a> {
    /// The rows of one owner: connections and their grants, consent requests that the user began or
    /// that are for the user, pending revocations, times of use.
    Owner(&'a str),
    /// The rows of the whole tenant, except its keys and its audit.
    Everything,
}

/// The direction in which a chain is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Ascending numbers, from the one after `after`.
    Forward,
    /// Descending numbers, from the one before `after`.
    Backward,
}

/// A chain of audit entries: of the vault itself (0) or of a tenant, or the one chain that schemas
/// 1 and 2 kept for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// The chain of this tenant, or of the vault itself.
    Of(TenantRow),
    /// The entries of schemas 1 and 2.
    Legacy,
}

/// The kind of entries that a pass of pruning deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pruned {
    /// Token uses.
    Uses,
    /// All other entries.
    Changes,
}
