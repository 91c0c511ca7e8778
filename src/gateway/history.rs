//! Searches the audit for the page, the API and the export.

use std::time::Duration;

use super::api::connection_id;
use super::page::for_whom::Named;
use super::refusal::Refusal;
use super::request::Incoming;
use super::{Caller, Inner};
use crate::engine::lists::AuditPage;
use crate::error::{Error, Result};
use crate::model::{ConnectionId, Timestamp, UserId};
use crate::vault::{AuditEntry, AuditKind, AuditOrder};

/// The number of entries that one request examines at most: about a tenth of a second.
const MOST_EXAMINED: usize = 20_000;

/// The number of entries that are read at a time.
const CHUNK: usize = 1_000;

/// The entries that a request wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The user whom the entry concerns, or who acted.
    pub(super) user: Option<UserId>,
    pub(super) provider: Option<String>,
    pub(super) kind: Option<AuditKind>,
    pub(super) connection: Option<ConnectionId>,
    /// The earliest time.
    pub(super) since: Option<Timestamp>,
    /// The time before which the entries are.
    pub(super) until: Option<Timestamp>,
}

/// The entries of one page.
pub(super) struct Found {
    pub(super) entries: Vec<AuditEntry>,
    /// The number after which the search continues. `None` if the whole audit was examined.
    pub(super) next: Option<u64>,
}

impl Wanted {
    /// Reads the filter of a query. An operator can name a user as the host's directory does.
    pub(super) fn of(gateway: &Inner, caller: &Caller, incoming: &Incoming<'_>) -> Result<Self, Refusal> {
        let user = incoming.query("user").map(UserId::new);
        let user = user.transpose().map_err(Error::from)?;
        let user = user.map(|user| match gateway.named_user(caller, user.clone()) {
            Named::One(named) if caller.is_operator() => named,
            _ => user,
        });
        let kind = incoming.query("kind").map(|kind| {
            let known = AuditKind::from_code(kind);
            known.ok_or_else(|| Refusal::invalid("Unknown kind."))
        });
        Ok(Self {
            user,
            provider: incoming.query("provider").map(str::to_owned),
            kind: kind.transpose()?,
            connection: incoming.query("connection").map(connection_id).transpose()?,
            since: incoming.query("since").map(start).transpose()?,
            until: incoming.query("until").map(end).transpose()?,
        })
    }

    /// Returns whether every entry that the vault returns is wanted.
    fn is_plain(&self) -> bool {
        let plain = Self {
            connection: self.connection,
            ..Self::default()
        };
        *self == plain
    }

    fn admits(&self, entry: &AuditEntry) -> bool {
        let is_of_user = |user: &UserId| {
            entry.user.as_ref() == Some(user)
                || entry.actor.as_ref().is_some_and(|actor| actor.user() == user)
        };
        self.user.as_ref().is_none_or(is_of_user)
            && self
                .provider
                .as_deref()
                .is_none_or(|wanted| entry.provider.as_ref().is_some_and(|it| it.as_str() == wanted))
            && self.kind.is_none_or(|kind| entry.kind == kind)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// Parses the beginning of a period: a time in RFC 3339, or a date in UTC.
fn start(text: &str) -> Result<Timestamp, Refusal> {
    let time = if text.len() == 10 {
        format!("{text}T00:00:00Z").parse()
    } else {
        text.parse()
    };
    time.map_err(|_| Refusal::invalid("A time is not in the format of RFC 3339, such as 2026-03-01."))
}

/// Parses the end of a period. A date stands for the whole day.
fn end(text: &str) -> Result<Timestamp, Refusal> {
    let time = start(text)?;
    Ok(if text.len() == 10 {
        time + Duration::from_secs(24 * 3_600)
    } else {
        time
    })
}

impl Inner {
    /// Returns up to `limit` entries that the caller may see, after this number in this order.
    pub(super) fn history(
        &self,
        caller: &Caller,
        wanted: &Wanted,
        (order, after): (AuditOrder, Option<u64>),
        limit: usize,
    ) -> Result<Found, Refusal> {
        if let Some(id) = wanted.connection {
            // An empty list would reveal whether a connection exists.
            self.connections.get(caller.principal(), id)?;
        }
        // One entry more than fits indicates another page.
        let size = if wanted.is_plain() {
            limit.saturating_add(1).min(CHUNK)
        } else {
            CHUNK
        };
        let mut page = AuditPage::default().limit(size);
        page.order = order;
        page.connection = wanted.connection;
        page.after = after.unwrap_or_default();
        let mut entries = Vec::new();
        let mut examined = 0;
        loop {
            let chunk = self.connections.audit(caller.principal(), &page)?;
            let is_last = chunk.len() < size;
            examined += chunk.len();
            for entry in chunk {
                if entries.len() == limit {
                    return Ok(Found {
                        next: entries.last().map(|entry: &AuditEntry| entry.number),
                        entries,
                    });
                }
                page.after = entry.number;
                if wanted.admits(&entry) {
                    entries.push(entry);
                }
            }
            if is_last {
                return Ok(Found { entries, next: None });
            }
            if examined >= MOST_EXAMINED {
                return Ok(Found {
                    entries,
                    next: Some(page.after),
                });
            }
        }
    }
}
