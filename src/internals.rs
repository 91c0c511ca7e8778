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
