//! Items that this crate's tests, fuzz targets and benches use beyond the public API.
//!
//! Not covered by semantic versioning: anything here can change or disappear in any release.

/// The parts of descriptors, and compiled descriptors.
pub mod provider {
    pub use crate::provider::compiled::{
        AddedParameters, CheckedParameters, CompiledProvider, CompiledServer, Endpoints, UnfitParameter,
    };
    pub use crate::provider::data::*;
    pub use crate::provider::transport::Transport;
    pub use crate::provider::value::AddedValue;
}

/// Grants, and the parts of a connection that only the crate reads.
pub mod model {
    pub use crate::model::grant::{Grant, Origin};
    pub use crate::model::id::RevocationId;
    pub use crate::model::state::{InFlight, IssuedBy, RefreshState};
    use crate::model::{Connection, ConnectionId};

    /// Returns a new connection that uses this grant.
    #[must_use]
    pub fn new_connection(id: ConnectionId, grant: &Grant) -> Connection {
        Connection::new(id, grant)
    }

    /// Makes a connection use this grant.
    pub fn use_grant(connection: &mut Connection, grant: &Grant) {
        connection.use_grant(grant);
    }

    /// Returns the issuer of a connection's tokens.
    #[must_use]
    pub fn issued_by(connection: &Connection) -> &IssuedBy {
        &connection.issued_by
    }

    /// Returns the claim and the failures of a connection's refreshes.
    #[must_use]
    pub const fn refresh_state(connection: &Connection) -> &RefreshState {
        &connection.refresh
    }
}

/// The outcome for each set of tokens that a revocation ended.
pub mod revocation {
    use crate::connections::RevocationReport;
    pub use crate::engine::revoke::report::EndedTokens;

    /// Returns the revoked token sets.
    #[must_use]
    pub fn ended(report: &RevocationReport) -> &[EndedTokens] {
        &report.ended
    }
}

/// Requests to authorization servers, and the interpretation of their responses.
pub mod protocol {
    pub use crate::protocol::*;
}

/// The operations of a vault, with their requests and responses.
pub mod vault {
    pub use crate::vault::audit::*;
    pub use crate::vault::consent::*;
    pub use crate::vault::definition::*;
    pub use crate::vault::grant::*;
    pub use crate::vault::refresh::*;
    pub use crate::vault::revocation::*;
    pub use crate::vault::sealed::MemoryStore;
    pub use crate::vault::transfer::side::{Sided, Transferable};
    pub use crate::vault::upkeep::*;
    pub use crate::vault::{Erasure, SealedVault, Store, Transaction, Vault, VaultError, VaultWarning};
    #[cfg(feature = "sqlite")]
    pub use crate::vault::{SqliteOptions, SqliteVault};

    /// Makes a vault read its rows again for each query.
    #[cfg(feature = "sqlite")]
    pub const fn remembering_nothing(options: SqliteOptions) -> SqliteOptions {
        options.remembering_nothing()
    }

    /// Returns the chain that a head belongs to.
    #[must_use]
    pub fn chain_of(head: &AuditHead) -> AuditChain {
        head.chain.clone()
    }

    /// Returns a head of a chain, with any number and MAC.
    #[must_use]
    pub fn audit_head(chain: AuditChain, number: u64, mac: [u8; 32]) -> AuditHead {
        AuditHead::new(chain, number, mac)
    }

    /// The time, the round trips and the sessions of a vault in PostgreSQL.
    #[cfg(feature = "postgres")]
    pub mod postgres {
        pub use crate::clock::monotonic::ManualMonotonic;
        pub use crate::vault::postgres::probe::{execute, open_with, take_trips};
    }

    /// The decisions of a vault.
    pub mod change {
        pub use crate::vault::change::*;
    }

    /// Keys and encryption.
    pub mod envelope {
        pub use crate::vault::envelope::*;
    }
}

/// All kinds of secrets.
pub mod secret {
    pub use crate::secret::*;
}

/// Random numbers.
pub mod random {
    /// Returns the bytes of a new id, or an error if the operating system has no random numbers.
    #[must_use]
    pub fn uuid_v7(unix_millis: i64) -> Option<[u8; 16]> {
        crate::random::uuid_v7(unix_millis).ok()
    }
}

/// The rules of a descriptor that the sandbox follows.
#[cfg(feature = "testing")]
pub mod testing {
    pub use crate::testing::sandbox::personality::Described;
}
