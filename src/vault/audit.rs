//! The audit: entries, chains and heads, and how they are read and verified.

mod head;

pub use head::{AuditChain, AuditHead};

use std::fmt;

use crate::model::{Actor, ConnectionId, ProviderId, TenantId, Timestamp, UserId};
use crate::vault::VaultError;

/// Records token uses, and reads and verifies the audit.
///
/// Each tenant has its own chain, and the vault has one for changes that concern no tenant. Every
/// change commits in the same transaction as its entry.
pub trait AuditLog {
    /// Stores token uses in one transaction: the time of the last use of each connection and, for
    /// [`UseRecord::Entries`], an entry for each. Uses of unknown tenants are left out.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was stored.
    fn record_uses(&self, uses: &[TokenUse], record: UseRecord) -> Result<(), VaultError>;

    /// Reads the audit of one tenant in the order that the filter names. A page at the end costs as
    /// much as one at the beginning.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or an entry cannot be opened.
    fn audit(&self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, VaultError>;

    /// Returns the heads of all chains, or of one tenant's, for the host to store elsewhere. An
    /// exported head is recognized even after its entry was pruned.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read or written.
    fn audit_heads(&self, tenant: Option<&TenantId>) -> Result<Vec<AuditHead>, VaultError>;

    /// Verifies a chain from its first entry to its last, and compares the tenant's connections
    /// with it. `progress` receives the number of verified entries and the total.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read. A broken chain is part of the report.
    fn verify_chain(
        &self,
        chain: &AuditChain,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<AuditReport, VaultError>;

    /// Returns whether the vault contains exactly this entry: an exported head, or the proof of a
    /// receipt. If not, the vault was rolled back, or it is another vault.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn proves(&self, head: &AuditHead) -> Result<bool, VaultError>;
}

/// The kind of an audit entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AuditKind {
    /// A consent began.
    ConsentStarted,
    /// A consent was given and the connection stored.
    ConsentCompleted,
    /// The user declined, or the server refused the request.
    ConsentDenied,
    /// The code could not be exchanged, or the response could not be used.
    ConsentFailed,
    /// The tokens were refreshed.
    Refreshed,
    /// The server refused the refresh token.
    RefreshRejected,
    /// The connection needs a new consent for another reason.
    ConsentNeeded,
    /// A refused refresh token was erased at the end of its quarantine.
    QuarantineErased,
    /// The connection was revoked here.
    Revoked,
    /// A pending revocation at the provider ended: confirmed, refused or given up.
    RevocationEnded,
    /// The connection became its owner's default.
    DefaultSet,
    /// A token was returned to a turn, or added to its request.
    TokenUsed,
    /// All data of a user was erased.
    UserForgotten,
    /// All data of a tenant was erased.
    TenantForgotten,
    /// A tenant has a new data key.
    DataKeyRotated,
    /// Every key is wrapped by another master key.
    MasterKeyRotated,
    /// The former master key was destroyed, or its destruction is scheduled.
    MasterKeyDestroyed,
    /// The vault's content was moved into this vault, or out of it.
    VaultMoved,
    /// An authorization server, a provider or a client registration was added.
    DefinitionAdded,
    /// An authorization server, a provider or a client registration was replaced.
    DefinitionChanged,
    /// An authorization server, a provider or a client registration was removed.
    DefinitionRemoved,
}

impl AuditKind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::ConsentStarted,
        Self::ConsentCompleted,
        Self::ConsentDenied,
        Self::ConsentFailed,
        Self::Refreshed,
        Self::RefreshRejected,
        Self::ConsentNeeded,
        Self::QuarantineErased,
        Self::Revoked,
        Self::RevocationEnded,
        Self::DefaultSet,
        Self::TokenUsed,
        Self::UserForgotten,
        Self::TenantForgotten,
        Self::DataKeyRotated,
        Self::MasterKeyRotated,
        Self::MasterKeyDestroyed,
        Self::VaultMoved,
        Self::DefinitionAdded,
        Self::DefinitionChanged,
        Self::DefinitionRemoved,
    ];

    /// Returns the kind as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsentStarted => "consent_started",
            Self::ConsentCompleted => "consent_completed",
            Self::ConsentDenied => "consent_denied",
            Self::ConsentFailed => "consent_failed",
            Self::Refreshed => "refreshed",
            Self::RefreshRejected => "refresh_rejected",
            Self::ConsentNeeded => "consent_needed",
            Self::QuarantineErased => "quarantine_erased",
            Self::Revoked => "revoked",
            Self::RevocationEnded => "revocation_ended",
            Self::DefaultSet => "default_set",
            Self::TokenUsed => "token_used",
            Self::UserForgotten => "user_forgotten",
            Self::TenantForgotten => "tenant_forgotten",
            Self::DataKeyRotated => "data_key_rotated",
            Self::MasterKeyRotated => "master_key_rotated",
            Self::MasterKeyDestroyed => "master_key_destroyed",
            Self::VaultMoved => "vault_moved",
            Self::DefinitionAdded => "definition_added",
            Self::DefinitionChanged => "definition_changed",
            Self::DefinitionRemoved => "definition_removed",
        }
    }

    /// Returns the kind that [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == code)
    }
}

/// Writes the name that [`as_str`](AuditKind::as_str) returns.
impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of the audit. It holds ids and codes, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AuditEntry {
    /// The position of the entry in its chain.
    pub number: u64,
    /// The time of the event, by the host's clock.
    pub at: Timestamp,
    /// The kind of the event.
    pub kind: AuditKind,
    /// The user who owns the connection; for a consent, the user who gave it; for a use, the user
    /// it was made for. `None` for a workspace connection.
    pub user: Option<UserId>,
    /// The actor who requested the change: a revocation, a new default, a refresh, or the erasure
    /// of a user. `None` for changes by upkeep, a server or a turn, for consents and uses (there
    /// [`user`](Self::user) acted), and in entries of vaults that did not record it yet.
    #[cfg_attr(feature = "serde", serde(default))]
    pub actor: Option<Actor>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// The service. For a definition, its id, which for `server` and `client` in
    /// [`detail`](Self::detail) is that of the authorization server.
    pub provider: Option<ProviderId>,
    /// The generation of the tokens concerned, or the revision of the definition.
    pub generation: Option<u64>,
    /// A keyed fingerprint of the access token of that generation, if one was stored, or of the
    /// version of a definition.
    pub fingerprint: Option<[u8; 8]>,
    /// A detail from a closed set: why a consent is needed, how a revocation ended, the kind of a
    /// definition.
    pub detail: Option<String>,
    /// The purpose of a use, in the host's words.
    pub purpose: Option<String>,
    /// The turn of a use, in the host's words.
    pub turn: Option<String>,
    /// For a completed consent: whether it is a workspace connection. For a use: whether the token
    /// of the workspace connection was given to a user without a connection.
    pub shared: bool,
}

impl AuditEntry {
    /// Returns an entry of this kind without details and without a number.
    #[must_use]
    pub const fn new(kind: AuditKind, at: Timestamp) -> Self {
        Self {
            number: 0,
            at,
            kind,
            user: None,
            actor: None,
            connection: None,
            provider: None,
            generation: None,
            fingerprint: None,
            detail: None,
            purpose: None,
            turn: None,
            shared: false,
        }
    }

    /// Sets the user that the entry concerns.
    #[must_use]
    pub fn user(mut self, user: Option<&UserId>) -> Self {
        self.user = user.cloned();
        self
    }

    /// Sets the actor.
    #[must_use]
    pub fn by(mut self, actor: Option<&Actor>) -> Self {
        self.actor = actor.cloned();
        self
    }

    /// Sets the connection that the entry concerns.
    #[must_use]
    pub fn about(mut self, connection: ConnectionId, provider: &ProviderId, generation: u64) -> Self {
        self.connection = Some(connection);
        self.provider = Some(provider.clone());
        self.generation = Some(generation);
        self
    }

    /// Sets the detail.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }
}

/// The order in which entries are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditOrder {
    /// Starts at the first entry.
    #[default]
    OldestFirst,
    /// Starts at the last entry.
    NewestFirst,
}

/// Selects audit entries.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditFilter<'a> {
    /// The tenant. Entries of other tenants are never read.
    pub tenant: &'a TenantId,
    /// The order.
    pub order: AuditOrder,
    /// Only entries that follow this number in that order: the last number of the previous page.
    /// Zero starts at the beginning.
    pub after: u64,
    /// Only entries about this connection.
    pub connection: Option<ConnectionId>,
    /// Only entries about this user or about an action of this user.
    pub user: Option<&'a UserId>,
    /// The largest number of entries to return.
    pub limit: usize,
}

impl<'a> AuditFilter<'a> {
    /// Returns a filter for the first thousand entries of a tenant.
    #[must_use]
    pub const fn of(tenant: &'a TenantId) -> Self {
        Self {
            tenant,
            order: AuditOrder::OldestFirst,
            after: 0,
            connection: None,
            user: None,
            limit: 1_000,
        }
    }

    /// Returns whether the entry with this number comes later in the order than those that were
    /// read.
    #[must_use]
    pub const fn reaches(&self, number: u64) -> bool {
        match self.order {
            AuditOrder::OldestFirst => number > self.after,
            AuditOrder::NewestFirst => self.after == 0 || number < self.after,
        }
    }

    /// Returns whether the filter selects an entry, whose tenant and number match already.
    #[must_use]
    pub fn wants(&self, entry: &AuditEntry) -> bool {
        self.connection.is_none_or(|id| entry.connection == Some(id))
            && self.user.is_none_or(|user| {
                let actor = entry.actor.as_ref().map(Actor::user);
                entry.user.as_ref() == Some(user) || actor == Some(user)
            })
    }
}

/// One token use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct TokenUse {
    /// The tenant.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// The service.
    pub provider: ProviderId,
    /// The time of the use.
    pub at: Timestamp,
    /// The acting user.
    pub user: UserId,
    /// True if it was the workspace connection's token, used because the user has no connection.
    pub shared: bool,
    /// The purpose, in the host's words.
    pub purpose: Option<String>,
    /// The turn, in the host's words.
    pub turn: Option<String>,
}

impl TokenUse {
    /// Returns the audit entry of the use.
    #[must_use]
    pub fn entry(&self) -> AuditEntry {
        AuditEntry {
            user: Some(self.user.clone()),
            connection: Some(self.connection),
            provider: Some(self.provider.clone()),
            purpose: self.purpose.clone(),
            turn: self.turn.clone(),
            shared: self.shared,
            ..AuditEntry::new(AuditKind::TokenUsed, self.at)
        }
    }
}

/// The extent to which token uses are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UseRecord {
    /// Only the time when each connection was last used.
    Times,
    /// The times, and an audit entry for each use.
    Entries,
}

/// The result of verifying a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a broken chain is part of the report: look at `is_intact`"]
pub struct AuditReport {
    /// The number of entries that were verified. Pruned ones are not counted.
    pub checked: u64,
    /// The number of the first entry that is altered, missing, out of place or added. `None` if the
    /// chain is intact.
    pub first_broken: Option<u64>,
    /// Connections whose row does not match the newest audit entry about it: an older row was put
    /// back, or the row was removed. In PostgreSQL also connections about which an entry was
    /// removed before it was linked to the chain.
    pub out_of_date: Vec<ConnectionId>,
    /// Definitions that do not match the newest audit entry about them: an older one was put back,
    /// or one was altered or removed. Each is the kind and the id, as `provider notes`.
    pub definitions_out_of_date: Vec<String>,
}

impl AuditReport {
    /// Returns whether no entry was altered, removed or added, and every row is current.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.first_broken.is_none() && self.out_of_date.is_empty() && self.definitions_out_of_date.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_being_stored() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::from_code(&kind.to_string()), Some(kind));
            #[cfg(feature = "serde")]
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
