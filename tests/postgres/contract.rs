//! The contract that every vault passes.

use valetkey::testing::vault_contract::check;

use crate::support::postgres::Cluster;
use crate::vault;

#[test]
fn the_contract_of_vaults_holds() {
    let Some(cluster) = Cluster::start() else { return };
    check(&|| vault(&cluster));
}
