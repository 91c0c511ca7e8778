//! Filters for listing connections and audit entries.

use std::collections::BTreeMap;

use crate::engine::Context;
use crate::engine::health;
use crate::engine::services::{Problem, Services};
use crate::error::{Error, Result};
use crate::model::{Actor, Connection, ConnectionId, Operator, Owner, Principal, ProviderId, Status, UserId};
use crate::vault::{AuditOrder, ConnectionQuery, Sought, VaultError};

/// A filter for audit entries, in pages.
///
/// ```
/// use valetkey::connections::AuditPage;
/// use valetkey::testing::Host;
/// use valetkey::vault::AuditKind;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// host.connect(&ada, "notes");
/// let newest = AuditPage::default().newest_first().limit(1);
/// let entries = host.connections.audit(&ada, &newest)?;
/// assert_eq!(entries[0].kind, AuditKind::ConsentCompleted);
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AuditPage {
    /// The order of the entries.
    pub(crate) order: AuditOrder,
    /// Returns only entries after this number in the order of the page. Pass the last number of the
    /// previous page, or zero to start.
    pub after: u64,
    /// Returns only entries about this connection.
    pub connection: Option<ConnectionId>,
    /// The maximum number of entries. Default: 1000.
    pub limit: Option<usize>,
}

impl AuditPage {
    /// Returns a filter for the entries about one connection.
    #[must_use]
    pub fn of(connection: ConnectionId) -> Self {
        Self {
            connection: Some(connection),
            ..Self::default()
        }
    }

    /// Returns the newest entries first.
    #[must_use]
    pub const fn newest_first(mut self) -> Self {
        self.order = AuditOrder::NewestFirst;
        self
    }

    /// Returns only entries after this number.
    #[must_use]
    pub const fn after(mut self, number: u64) -> Self {
        self.after = number;
        self
    }

    /// Returns at most this many entries.
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// A filter for connections, in pages.
///
/// ```
/// use valetkey::connections::ConnectionFilter;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// let ada = host.user("ada");
/// host.connect(&ada, "notes");
/// let lost = ConnectionFilter::provider("notes").needs_consent().limit(50);
/// assert!(host.connections.list(&ada, &lost)?.is_empty());
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectionFilter {
    /// Returns only this user's own connections. Another user who is not an operator gets an empty
    /// list.
    pub user: Option<UserId>,
    /// Returns only connections to this service.
    pub provider: Option<String>,
    /// Returns only connections with this status.
    pub(crate) status: Option<StatusFilter>,
    /// Returns only connections with this kind of owner.
    pub(crate) kind: Option<KindFilter>,
    /// If true, revoked connections are included. [`revoked`](Self::revoked) implies it.
    pub include_revoked: bool,
    /// Returns only connections after this one. Pass the last id of the previous page.
    pub after: Option<ConnectionId>,
    /// The maximum number of connections. Default: 1000.
    pub limit: Option<usize>,
}

/// A status to filter by, regardless of its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusFilter {
    /// Connections that hold tokens.
    Active,
    /// Connections that need a new consent.
    NeedsConsent,
    /// Revoked connections.
    Revoked,
}

/// A kind of owner to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KindFilter {
    /// Connections of users.
    Personal,
    /// Workspace connections.
    Workspace,
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

/// The number of connections for each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusCounts {
    /// Connections that hold tokens.
    pub active: usize,
    /// Connections that need a new consent.
    pub needs_consent: usize,
    /// Revoked connections that are still listed.
    pub revoked: usize,
}

impl StatusCounts {
    /// Returns the total number of connections.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.active + self.needs_consent + self.revoked
    }

    /// Adds one connection of this status.
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
    /// Returns a filter for the connections to one service.
    #[must_use]
    pub fn provider(provider: impl AsRef<str>) -> Self {
        Self {
            provider: Some(provider.as_ref().to_owned()),
            ..Self::default()
        }
    }

    /// Limits the filter to one user's connections.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Limits the filter to connections that hold tokens. Connections with another status are read
    /// and left out.
    #[must_use]
    pub const fn active(mut self) -> Self {
        self.status = Some(StatusFilter::Active);
        self
    }

    /// Limits the filter to connections that need a new consent.
    ///
    /// A vault finds them by an index. Only while a registration
    /// [replaces](crate::provider::ClientRegistration::replacing) another one are all connections
    /// read, because that may end any of them.
    #[must_use]
    pub const fn needs_consent(mut self) -> Self {
        self.status = Some(StatusFilter::NeedsConsent);
        self
    }

    /// Limits the filter to revoked connections.
    #[must_use]
    pub const fn revoked(mut self) -> Self {
        self.status = Some(StatusFilter::Revoked);
        self
    }

    /// Limits the filter to the connections of users.
    #[must_use]
    pub const fn personal(mut self) -> Self {
        self.kind = Some(KindFilter::Personal);
        self
    }

    /// Limits the filter to workspace connections.
    #[must_use]
    pub const fn workspace(mut self) -> Self {
        self.kind = Some(KindFilter::Workspace);
        self
    }

    /// Returns whether a connection has the status and the kind that the vault does not filter by.
    pub(crate) fn admits(&self, connection: &Connection) -> bool {
        self.status.is_none_or(|status| status.matches(connection.status))
            && (self.kind != Some(KindFilter::Personal) || connection.owner != Owner::Workspace)
    }

    /// Includes revoked connections.
    #[must_use]
    pub fn include_revoked(mut self) -> Self {
        self.include_revoked = true;
        self
    }

    /// Returns only connections after this one.
    #[must_use]
    pub fn after(mut self, id: ConnectionId) -> Self {
        self.after = Some(id);
        self
    }

    /// Returns at most this many connections.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Returns the connections that the principal can see and that match the filter, oldest first.
pub(crate) fn list(cx: &Context, by: &dyn Principal, filter: &ConnectionFilter) -> Result<Vec<Connection>> {
    let services = Services::of(cx, by.tenant());
    let limit = filter.limit.unwrap_or(1_000);
    if filter.status.is_none() && filter.kind.is_none() {
        return Lister::new(&services, by, filter)?.page(filter.after, limit);
    }
    let extent = Extent {
        found: limit,
        read: usize::MAX,
    };
    Ok(read_on(&services, by, filter, extent, |_| true)?.connections)
}

/// The bounds of one reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// The number of connections to find.
    pub(crate) found: usize,
    /// The number of connections to read at most, found or not.
    pub(crate) read: usize,
}

/// The connections of one reading.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The connections that match, oldest first.
    pub(crate) connections: Vec<Connection>,
    /// The last connection that was read. `None` if the list has no others.
    #[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "only pages continue"))]
    pub(crate) next: Option<ConnectionId>,
}

/// The largest number of connections that are read at a time.
const CHUNK: usize = 1_000;

/// Reads the connections that match the filter and that `admits` accepts, until a bound is reached.
///
/// The vault leaves out most connections with another status, but not all of them, and does not
/// filter by kind, so a reading can examine many more connections than it finds.
pub(crate) fn read_on(
    services: &Services<'_>,
    by: &dyn Principal,
    filter: &ConnectionFilter,
    extent: Extent,
    admits: impl Fn(&Connection) -> bool,
) -> Result<Reading> {
    let lister = Lister::new(services, by, filter)?;
    let mut connections = Vec::new();
    let mut after = filter.after;
    let mut left = extent.read;
    let mut chunk = extent.found;
    while connections.len() < extent.found && left > 0 {
        let size = chunk.min(CHUNK).min(left);
        let page = lister.page(after, size)?;
        let is_last = page.len() < size;
        for connection in page {
            after = Some(connection.id);
            if filter.admits(&connection) && admits(&connection) {
                connections.push(connection);
            }
            if connections.len() == extent.found {
                break;
            }
        }
        if is_last && connections.len() < extent.found {
            return Ok(Reading {
                connections,
                next: None,
            });
        }
        left -= size;
        // The first read is as large as the list that is wanted. If few connections of it match,
        // the following reads are larger.
        chunk = chunk.saturating_mul(2);
    }
    Ok(Reading {
        connections,
        next: after,
    })
}

/// Reads the pages of one list.
struct Lister<'a> {
    services: &'a Services<'a>,
    by: &'a dyn Principal,
    filter: &'a ConnectionFilter,
    provider: Option<ProviderId>,
    sought: Option<Sought>,
}

impl<'a> Lister<'a> {
    fn new(services: &'a Services<'a>, by: &'a dyn Principal, filter: &'a ConnectionFilter) -> Result<Self> {
        Ok(Self {
            provider: filter.provider.as_deref().map(ProviderId::new).transpose()?,
            sought: sought(services, filter.status),
            services,
            by,
            filter,
        })
    }

    fn read(
        &self,
        owner: Option<Owner>,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Vec<Connection>, VaultError> {
        let mut query = ConnectionQuery::of(self.by.tenant());
        query.owner = owner.as_ref();
        query.provider = self.provider.as_ref();
        query.with_revoked = self.filter.include_revoked || self.filter.status == Some(StatusFilter::Revoked);
        query.sought = self.sought;
        query.after = after;
        query.limit = limit;
        let connections = self.services.cx.vault.connections(&query)?;
        let shown = |connection| health::shown(self.services, connection);
        Ok(connections.into_iter().map(shown).collect())
    }

    /// Returns up to `limit` visible connections that match the filter's owner and provider, after
    /// the given one.
    fn page(&self, after: Option<ConnectionId>, limit: usize) -> Result<Vec<Connection>> {
        let (by, filter) = (self.by, self.filter);
        let read = |owner| self.read(owner, after, limit);
        if filter.kind == Some(KindFilter::Workspace) {
            // A workspace connection belongs to no user.
            return match filter.user {
                Some(_) => Ok(Vec::new()),
                None => Ok(read(Some(Owner::Workspace))?),
            };
        }
        match (by.actor(), &filter.user) {
            (Actor::User(user), None) if filter.kind == Some(KindFilter::Personal) => {
                Ok(read(Some(Owner::Personal(user)))?)
            }
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
}

/// Returns the state that the vault should look for, if the stored state decides about it.
fn sought(services: &Services<'_>, status: Option<StatusFilter>) -> Option<Sought> {
    match status? {
        StatusFilter::Active => None,
        StatusFilter::Revoked => Some(Sought::Revoked),
        // A client that was replaced ends the grants of its server. The vault does not know that.
        StatusFilter::NeedsConsent if replaces_clients(services) => None,
        StatusFilter::NeedsConsent => Some(Sought::NeedsConsent {
            now: services.cx.now(),
        }),
    }
}

fn replaces_clients(services: &Services<'_>) -> bool {
    services.cx.registry.servers().any(|server| {
        // If a client cannot be looked up now, it may be one that replaces another.
        let client = services.server(&server.id).map(|server| {
            let server = server.as_deref();
            server.map(|server| services.client(server))
        });
        match client {
            Ok(Some(Ok(client))) => client.replaces_any(),
            Ok(None | Some(Err(Problem::Misconfigured(_)))) => false,
            Ok(Some(Err(_))) | Err(_) => true,
        }
    })
}

/// Returns a connection that the principal can see, as a turn would find it.
pub(crate) fn visible(cx: &Context, by: &dyn Principal, id: ConnectionId) -> Result<Connection> {
    visible_among(&Services::of(cx, by.tenant()), by, id)
}

/// Returns a connection that the principal can see, judged by services that were looked up before.
pub(crate) fn visible_among(
    services: &Services<'_>,
    by: &dyn Principal,
    id: ConnectionId,
) -> Result<Connection> {
    Ok(health::shown(services, stored(services.cx, by, id)?))
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

/// Counts the connections of a tenant by provider and status.
pub(crate) fn counts(cx: &Context, operator: &Operator) -> Result<BTreeMap<ProviderId, StatusCounts>> {
    const PAGE: usize = 500;
    let filter = ConnectionFilter::default().include_revoked();
    let services = Services::of(cx, operator.tenant());
    let lister = Lister::new(&services, operator, &filter)?;
    let mut counts = BTreeMap::<ProviderId, StatusCounts>::new();
    let mut after = None;
    loop {
        let page = lister.page(after, PAGE)?;
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
