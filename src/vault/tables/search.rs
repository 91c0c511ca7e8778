//! What is searched, and what a search finds.

use crate::model::{ConnectionId, GrantId, TenantId};
use crate::vault::tables::row::{ConnectionRow, GrantRow, TenantRow};

/// Names a state of the tables: two equal stamps mean that nothing was committed between them, by
/// this process or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Below [`Self::SOURCES`]. Each source counts for itself, so that stamps of two sources are
    /// never equal.
    pub(crate) source: usize,
    /// Counts what others have committed.
    pub(crate) theirs: i64,
    /// Counts what the source itself has written.
    pub(crate) ours: u64,
}

impl Stamp {
    /// How many sources of stamps there may be.
    pub(crate) const SOURCES: usize = 5;
}

/// Which connection's token to find. Revoked connections are never found.
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

/// A connection with as much of its grant as the hot path needs.
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
    /// Takes from the rows of a connection and its grant what a token needs.
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

/// What [`Rows::token`] found, all of one moment.
#[derive(Debug)]
pub(crate) enum FoundRows {
    /// No such connection.
    Nothing,
    /// Several, and none is the default.
    Several,
    /// A connection whose grant is missing.
    Damaged,
    /// A connection and what its token needs.
    One(Box<TokenRow>),
}

/// Which connections to list, in the order of their ids.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    /// Only of this owner; empty for workspace connections.
    pub(crate) owner: Option<&'a str>,
    /// Only of this provider.
    pub(crate) provider: Option<&'a str>,
    /// Only those that use this grant.
    pub(crate) grant: Option<GrantId>,
    /// True if revoked ones are wanted too.
    pub(crate) with_revoked: bool,
    /// Only after this one.
    pub(crate) after: Option<ConnectionId>,
    /// At most this many.
    pub(crate) limit: usize,
}

/// A listed connection with its grant and the time of its last use, all of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRow {
    pub(crate) connection: ConnectionRow,
    pub(crate) grant: GrantRow,
    pub(crate) used_at: Option<i64>,
}

/// A row together with the tenant it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Of<T> {
    pub(crate) tenant: TenantRow,
    pub(crate) name: TenantId,
    pub(crate) row: T,
}

/// Which grants are due for a refresh at one authorization server: active, refreshable, not former,
/// neither held (`held_until` is not after `now`) nor backing off (`not_before` is not after
/// `now`), and either expiring before `expires_before` or refreshed before `refreshed_before`.
/// Soonest expiry first, then longest idle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DueRows<'a> {
    /// The authorization server.
    pub(crate) server: &'a str,
    /// Now.
    pub(crate) now: i64,
    /// Expiring before this time.
    pub(crate) expires_before: i64,
    /// Refreshed before this time, where idle grants die.
    pub(crate) refreshed_before: Option<i64>,
    /// At most this many.
    pub(crate) limit: usize,
}

/// Whose rows to erase.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Doomed<'a> {
    /// Of one owner: connections and their grants, consent requests that the person began or that
    /// are for them, pending revocations, times of use.
    Owner(&'a str),
    /// Of the whole tenant, its keys and its audit excepted.
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

/// What a pass of pruning deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pruned {
    /// Token uses.
    Uses,
    /// All other entries.
    Changes,
}
