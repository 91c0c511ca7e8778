//! The vault is used and dropped on the threads of an asynchronous runtime.

use valetkey::testing::Host;

use crate::support::postgres::Cluster;
use crate::support::world::person;
use crate::vault;

#[test]
fn a_vault_is_used_and_dropped_on_an_asynchronous_thread() {
    let Some(cluster) = Cluster::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let opened = vault(&cluster);
    runtime.block_on(async {
        let used = tokio::spawn(async move {
            let host = Host::builder().vault(opened).build().unwrap();
            let alice = person("alice");
            host.connect(&alice, "notes");
            let token = host.resolver.resolve(&alice, "notes").unwrap();
            assert_eq!(token.generation(), 1);
            drop(host);
        });
        used.await.unwrap();
    });
    // A vault is opened there as well.
    runtime.block_on(async { drop(vault(&cluster)) });
}
