//! Which connections and which entries of the audit to list.

use std::collections::BTreeMap;

use crate::engine::Context;
use crate::engine::health;
use crate::error::{Error, Result};
use crate::model::{Actor, Connection, ConnectionId, Operator, Owner, Principal, ProviderId, Status, UserId};
use crate::vault::{AuditOrder, ConnectionQuery, VaultError};

/// Which entries of the audit to read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AuditPage {
    /// In which order.
    pub(crate) order: AuditOrder,
    /// Only those that follow this number in the order of the page: the last one of the page
    /// before. Zero: from the beginning.
    pub after: u64,
    /// Only those of this connection.
    pub connection: Option<ConnectionId>,
    /// At most so many. Absent: 1000.
    pub limit: Option<usize>,
}

impl AuditPage {
    /// What happened to one connection.
    #[must_use]
    pub fn of(connection: ConnectionId) -> Self {
        Self {
            connection: Some(connection),
            ..Self::default()
        }
    }

    /// The same, from the last entry back.
    #[must_use]
    pub const fn newest_first(mut self) -> Self {
        self.order = AuditOrder::NewestFirst;
        self
    }

    /// The same, after this number.
    #[must_use]
    pub const fn after(mut self, number: u64) -> Self {
        self.after = number;
        self
    }

    /// The same, at most so many.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Which connections to list.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectionFilter {
    /// Only this person's own. For anybody but an operator and the person: none.
    pub user: Option<UserId>,
    /// Only those to this service.
    pub provider: Option<String>,
    /// Only those of this status.
    pub(crate) status: Option<StatusFilter>,
    /// True if revoked ones are listed too. [`revoked`](Self::revoked) implies it.
    pub include_revoked: bool,
    /// Only those after this one: the last of the page before.
    pub after: Option<ConnectionId>,
    /// At most so many. Absent: 1000.
    pub limit: Option<usize>,
}

/// A status to list by, whatever its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusFilter {
    /// Those that hold tokens.
    Active,
    /// Those that only a new consent brings back.
    NeedsConsent,
    /// Those that were revoked.
    Revoked,
}

impl StatusFilter {
    /// Returns whether a status is of this kind.
    pub(crate) const fn matches(self, status: Status) -> bool {
        matches!(
            (self, status),
            (Self::Active, Status::Active)
                | (Self::NeedsConsent, Status::NeedsConsent(_))
                | (Self::Revoked, Status::Revoked)
        )
    }
}

/// How many connections there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusCounts {
    /// Those that hold tokens.
    pub active: usize,
    /// Those that only a new consent brings back.
    pub needs_consent: usize,
    /// Those that were revoked and are still listed.
    pub revoked: usize,
}

impl StatusCounts {
    /// Returns the number of connections of any status.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.active + self.needs_consent + self.revoked
    }

    /// Counts one more of this status.
    pub(crate) const fn add(&mut self, status: Status) {
        let count = match status {
            Status::Active => &mut self.active,
            Status::NeedsConsent(_) => &mut self.needs_consent,
            Status::Revoked => &mut self.revoked,
        };
        *count += 1;
    }
}

impl ConnectionFilter {
    /// Those to one service.
    #[must_use]
    pub fn provider(provider: impl AsRef<str>) -> Self {
        Self {
            provider: Some(provider.as_ref().to_owned()),
            ..Self::default()
        }
    }

    /// The same, of one person alone.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Returns the same filter for connections that hold tokens alone.
    #[must_use]
    pub const fn active(mut self) -> Self {
        self.status = Some(StatusFilter::Active);
        self
    }

    /// Returns the same filter for connections that only a new consent brings back.
    #[must_use]
    pub const fn needs_consent(mut self) -> Self {
        self.status = Some(StatusFilter::NeedsConsent);
        self
    }

    /// Returns the same filter for revoked connections alone.
    #[must_use]
    pub const fn revoked(mut self) -> Self {
        self.status = Some(StatusFilter::Revoked);
        self
    }

    /// The same, revoked ones included.
    #[must_use]
    pub fn include_revoked(mut self) -> Self {
        self.include_revoked = true;
        self
    }

    /// The same, after this connection.
    #[must_use]
    pub fn after(mut self, id: ConnectionId) -> Self {
        self.after = Some(id);
        self
    }

    /// The same, at most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// At most `limit` connections in reach that the filter's owner and provider admit, after one of
/// them.
pub(crate) fn page(
    cx: &Context,
    by: &dyn Principal,
    filter: &ConnectionFilter,
    after: Option<ConnectionId>,
    limit: usize,
) -> Result<Vec<Connection>> {
    let provider = filter.provider.as_deref().map(ProviderId::new).transpose()?;
    let read = |owner: Option<Owner>| {
        let mut query = ConnectionQuery::of(by.tenant());
        query.owner = owner.as_ref();
        query.provider = provider.as_ref();
        query.with_revoked = filter.include_revoked || filter.status == Some(StatusFilter::Revoked);
        query.after = after;
        query.limit = limit;
        let connections = cx.vault.connections(&query)?;
        Ok::<_, VaultError>(
            connections
                .into_iter()
                .map(|connection| health::shown(cx, connection))
                .collect::<Vec<_>>(),
        )
    };
    match (by.actor(), &filter.user) {
        (Actor::Operator(_), wanted) => Ok(read(wanted.clone().map(Owner::Personal))?),
        (Actor::User(user), Some(wanted)) if user != *wanted => Ok(Vec::new()),
        (Actor::User(user), Some(_)) => Ok(read(Some(Owner::Personal(user)))?),
        (Actor::User(user), None) => {
            let mut connections = read(Some(Owner::Personal(user)))?;
            connections.extend(read(Some(Owner::Workspace))?);
            connections.sort_by_key(|connection| connection.id);
            connections.truncate(limit);
            Ok(connections)
        }
    }
}

/// Returns a connection that the principal can see, as a turn would find it.
pub(crate) fn visible(cx: &Context, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
    Ok(health::shown(cx, stored(cx, by, id)?))
}

/// Returns a connection that the principal can see, as it is stored.
fn stored(cx: &Context, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
    cx.vault
        .connection(by.tenant(), id)?
        .filter(|connection| connection.owner.is_visible_to(&by.actor()))
        .ok_or(Error::NotFound)
}

/// Returns a connection that the principal may change, as it is stored.
pub(crate) fn managed(cx: &Context, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
    let connection = stored(cx, by, id)?;
    if connection.owner.is_managed_by(&by.actor()) {
        Ok(connection)
    } else {
        Err(Error::NotPermitted)
    }
}

/// Counts the connections of a workspace by provider and status.
pub(crate) fn counts(cx: &Context, operator: &Operator) -> Result<BTreeMap<ProviderId, StatusCounts>> {
    const PAGE: usize = 100;
    let filter = ConnectionFilter::default().include_revoked();
    let mut counts = BTreeMap::<ProviderId, StatusCounts>::new();
    let mut after = None;
    loop {
        let page = page(cx, operator, &filter, after, PAGE)?;
        after = page.last().map(|connection| connection.id);
        let is_last = page.len() < PAGE;
        for connection in page {
            counts
                .entry(connection.provider)
                .or_default()
                .add(connection.status);
        }
        if is_last {
            return Ok(counts);
        }
    }
}
