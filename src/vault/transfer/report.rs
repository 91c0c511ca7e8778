//! The progress and the result of a transfer.

use std::fmt;

/// A part of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransferPhase {
    /// The records are copied.
    Copying,
    /// The records of both vaults are compared, and those of the target authenticated.
    Verifying,
}

/// Writes `copying` or `verifying`.
impl fmt::Display for TransferPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copying => "copying",
            Self::Verifying => "verifying",
        })
    }
}

/// The progress of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// The current part.
    pub phase: TransferPhase,
    /// The number of records of this part that are done, those of an interrupted run included.
    pub done: u64,
    /// The number of records in total. Both parts have the same.
    pub total: u64,
}

impl TransferProgress {
    /// Returns the progress of this part.
    #[must_use]
    pub const fn new(phase: TransferPhase, done: u64, total: u64) -> Self {
        Self { phase, done, total }
    }
}

/// The numbers of records that a transfer moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transferred {
    /// Tenants.
    pub tenants: u64,
    /// Connections, revoked ones included.
    pub connections: u64,
    /// Grants, former ones included.
    pub grants: u64,
    /// Consent requests.
    pub consents: u64,
    /// Providers, authorization servers and client registrations that tenants added.
    pub definitions: u64,
    /// Revocations that a provider has not confirmed.
    pub revocations: u64,
    /// Audit entries.
    pub audit_entries: u64,
    /// Records that do not open in the source either, because they were altered there. They were
    /// copied as they are.
    pub unreadable: u64,
}

impl Transferred {
    /// Returns the number of all records.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.connections
            + self.grants
            + self.consents
            + self.definitions
            + self.revocations
            + self.audit_entries
    }
}
