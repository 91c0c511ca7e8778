//! A vault in PostgreSQL that hosts on several machines share.

mod asynchronous;
#[cfg(feature = "aws-kms")]
mod bad_inputs;
mod clocks;
mod contract;
mod cuts;
mod erasing;
mod failover;
mod failures;
mod machines;
mod pooler;
mod proxy;
mod remembered;
mod row_security;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod tampering;
mod transfer;
mod trips;
mod upgrade;
mod writers;

use std::sync::Arc;

use support::postgres::Cluster;
use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault};

/// Returns options for a new schema.
fn options(cluster: &Cluster) -> PostgresOptions {
    PostgresOptions::new(&cluster.address())
        .unwrap()
        .schema(cluster.schema())
        .unwrap()
}

/// Returns a vault in a new schema.
fn vault(cluster: &Cluster) -> Arc<PostgresVault> {
    Arc::new(options(cluster).connect(MasterKey::generate().unwrap()).unwrap())
}
