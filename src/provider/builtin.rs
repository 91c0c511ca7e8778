//! The built-in descriptors, compiled once for the process.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::model::{ProviderId, ServerId};
use crate::provider::catalog;
use crate::provider::compiled::{CompiledProvider, CompiledServer};

/// The built-in descriptors. Tests check that each of them is valid, so none is omitted here.
pub(super) static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| {
    let servers = catalog::servers().into_iter().map(CompiledServer::compile);
    let providers = catalog::providers().into_iter().map(CompiledProvider::compile);
    BuiltIn {
        servers: servers
            .flatten()
            .map(|server| (server.id.clone(), Arc::new(server)))
            .collect(),
        providers: providers
            .flatten()
            .map(|provider| (provider.id.clone(), Arc::new(provider)))
            .collect(),
    }
});

/// Compiled descriptors, by id.
pub(super) struct BuiltIn {
    pub(super) servers: BTreeMap<ServerId, Arc<CompiledServer>>,
    pub(super) providers: BTreeMap<ProviderId, Arc<CompiledProvider>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_built_in_descriptor_is_left_out() {
        assert_eq!(BUILT_IN.servers.len(), catalog::servers().len());
        assert_eq!(BUILT_IN.providers.len(), catalog::providers().len());
    }
}
