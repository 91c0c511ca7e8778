//! What this crate's own tests, fuzz targets and benches use beyond the public face.
//!
//! Not covered by semantic versioning: anything here can change or go away in any release.

/// Compiled descriptors.
pub mod provider {
    pub use crate::provider::compiled::{
        AddedParameters, CheckedParameters, CompiledProvider, CompiledServer, Endpoints, UnfitParameter,
    };
    pub use crate::provider::transport::Transport;
    pub use crate::provider::value::AddedValue;
}

/// Requests to authorization servers, and the meanings of their answers.
pub mod protocol {
    pub use crate::protocol::*;
}

/// The operations of a vault, with their requests and answers.
pub mod vault {
    pub use crate::vault::audit::*;
    pub use crate::vault::consent::*;
    pub use crate::vault::grant::*;
    pub use crate::vault::refresh::*;
    pub use crate::vault::revocation::*;
    pub use crate::vault::upkeep::*;
    pub use crate::vault::{
        Erasure, MemoryStore, MemoryVault, Mode, SealedVault, Store, Transaction, Vault, VaultError,
        VaultWarning,
    };
    #[cfg(feature = "sqlite")]
    pub use crate::vault::{SqliteOptions, SqliteVault};

    /// The decisions of a vault.
    pub mod change {
        pub use crate::vault::change::*;
    }

    /// Keys and seals.
    pub mod envelope {
        pub use crate::vault::envelope::*;
    }
}

/// Every kind of secret.
pub mod secret {
    pub use crate::secret::*;
}

/// Random numbers.
pub mod random {
    /// The bytes of a new id, or nothing if the operating system has no random numbers.
    #[must_use]
    pub fn uuid_v7(unix_millis: i64) -> Option<[u8; 16]> {
        crate::random::uuid_v7(unix_millis).ok()
    }
}
