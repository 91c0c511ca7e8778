//! The decisions of a vault: pure functions, the same for every database.
//!
//! Each takes the stored state (a [`Snapshot`]) and a request, and returns a [`Change`]: the rows
//! to write, the audit entries that commit with them, and the outcome for the caller. The functions
//! read no clock and open no secret. The vault reads the snapshot, decides, seals, and applies the
//! change if no row of the snapshot has changed meanwhile.

pub mod default;
pub mod grant;
pub mod lifecycle;
pub mod refresh;
pub mod revoke;

use crate::model::{
    Account, Connection, ConnectionId, Grant, GrantId, Label, Owner, Parameters, ProviderId, RevocationId,
    Scopes, Status, Timestamp,
};
use crate::vault::AuditEntry;
use crate::vault::change::lifecycle::{Keep, Lifecycle};

/// A connection as it is stored, without the state of its grant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a snapshot must be buildable")]
pub struct StoredConnection {
    /// The id of the connection.
    pub id: ConnectionId,
    /// The owner.
    pub owner: Owner,
    /// The service.
    pub provider: ProviderId,
    /// The label.
    pub label: Option<Label>,
    /// True if it is its owner's default for the service.
    pub is_default: bool,
    /// True if it was revoked.
    pub revoked: bool,
    /// The grant that it uses.
    pub grant: GrantId,
    /// The account at the service.
    pub account: Option<Account>,
    /// The scopes requested for the service.
    pub requested: Scopes,
    /// The values of the descriptor's placeholders.
    pub parameters: Parameters,
    /// The time when it was first connected.
    pub created_at: Timestamp,
}

impl StoredConnection {
    /// Returns the part of a connection that is stored in the connection's row.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        Self {
            id: connection.id,
            owner: connection.owner.clone(),
            provider: connection.provider.clone(),
            label: connection.label.clone(),
            is_default: connection.is_default,
            revoked: connection.status == Status::Revoked,
            grant: connection.grant,
            account: connection.account.clone(),
            requested: connection.requested.clone(),
            parameters: connection.parameters.clone(),
            created_at: connection.created_at,
        }
    }

    /// Returns the connection together with the state of its grant.
    #[must_use]
    pub fn show(self, grant: Grant, used_at: Option<Timestamp>) -> Connection {
        let mut connection = Connection::with_account(self.id, grant, self.account, self.requested);
        connection.owner = self.owner;
        connection.provider = self.provider;
        connection.label = self.label;
        connection.is_default = self.is_default;
        connection.parameters = self.parameters;
        connection.created_at = self.created_at;
        connection.used_at = used_at;
        if self.revoked {
            connection.status = Status::Revoked;
        }
        connection
    }
}

/// A grant as it is stored, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a snapshot must be buildable")]
pub struct StoredGrant {
    /// The grant. Its status, generation and refresh state are those of the lifecycle.
    pub grant: Grant,
    /// The lifecycle of its tokens.
    pub lifecycle: Lifecycle,
    /// The latest time at which the tokens of a former grant expire at the server.
    pub dead_at: Option<Timestamp>,
    /// True if sealed tokens are stored.
    pub has_tokens: bool,
}

impl StoredGrant {
    /// Returns a grant that was just stored, with this lifecycle.
    #[must_use]
    pub fn new(mut grant: Grant, lifecycle: Lifecycle) -> Self {
        lifecycle.show_in(&mut grant);
        Self {
            grant,
            lifecycle,
            dead_at: None,
            has_tokens: true,
        }
    }

    /// Copies the changed lifecycle into the grant.
    fn settle(&mut self) {
        self.lifecycle.show_in(&mut self.grant);
    }
}

/// The rows that a decision is based on, read in one transaction.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "a snapshot must be buildable")]
pub struct Snapshot {
    /// The connections, in the order of their ids.
    pub connections: Vec<StoredConnection>,
    /// The grants.
    pub grants: Vec<StoredGrant>,
}

impl Snapshot {
    /// Returns a connection of the snapshot.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<&StoredConnection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    /// Returns a grant of the snapshot.
    #[must_use]
    pub fn grant(&self, id: GrantId) -> Option<&StoredGrant> {
        self.grants.iter().find(|stored| stored.grant.id == id)
    }

    /// Returns the connections that use a grant and are not revoked.
    pub fn users_of(&self, grant: GrantId) -> impl Iterator<Item = &StoredConnection> {
        self.connections
            .iter()
            .filter(move |connection| connection.grant == grant && !connection.revoked)
    }

    /// Returns the grants that this one replaced.
    pub fn former_of(&self, grant: GrantId) -> impl Iterator<Item = &StoredGrant> {
        self.grants
            .iter()
            .filter(move |stored| stored.grant.former_of == Some(grant))
    }
}

/// The effect of a write on the tokens of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum TokenWrite {
    /// Keeps the tokens to this extent.
    Keep(Keep),
    /// Replaces them with the tokens of the request.
    New,
}

/// A grant to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must read it")]
pub struct GrantWrite {
    /// The grant.
    pub stored: StoredGrant,
    /// Its tokens.
    pub tokens: TokenWrite,
}

/// Tokens of a grant that are kept as a pending revocation when the grant loses them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must read it")]
pub struct Kept {
    /// The grant whose tokens are kept.
    pub grant: GrantId,
    /// The pending revocation.
    pub id: RevocationId,
    /// The connection that it names.
    pub connection: ConnectionId,
    /// The time of the first attempt by upkeep.
    pub not_before: Timestamp,
    /// The time after which upkeep gives up.
    pub give_up_at: Timestamp,
}

/// The writes of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a vault must read it")]
pub struct Change {
    /// Tokens to keep as pending revocations. They are copied before anything else is written.
    pub kept: Vec<Kept>,
    /// Grants to insert or replace.
    pub grants: Vec<GrantWrite>,
    /// Grants to delete, with their tokens.
    pub deleted: Vec<GrantId>,
    /// Connections to insert or replace, in this order.
    pub connections: Vec<StoredConnection>,
    /// The audit entries.
    pub entries: Vec<AuditEntry>,
}

impl Change {
    /// Adds a grant to be written, after its lifecycle has changed.
    fn put(&mut self, mut stored: StoredGrant, tokens: TokenWrite) {
        stored.settle();
        match tokens {
            TokenWrite::New => stored.has_tokens = true,
            TokenWrite::Keep(Keep::Nothing) => stored.has_tokens = false,
            TokenWrite::Keep(_) => {}
        }
        self.grants.push(GrantWrite { stored, tokens });
    }

    /// Adds an audit entry about a connection with this generation.
    fn tell(&mut self, entry: AuditEntry, connection: &StoredConnection, generation: u64) {
        self.entries.push(entry.user(connection.owner.user()).about(
            connection.id,
            &connection.provider,
            generation,
        ));
    }
}

/// A decision: the change to write, if any, and the outcome for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault must handle every case")]
pub enum Decided<T> {
    /// Writes this change.
    Write(Change, T),
    /// Writes nothing.
    Nothing(T),
}

#[cfg(test)]
mod tests;
