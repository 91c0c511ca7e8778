//! A vault moves into PostgreSQL, out of it, and between two databases.

use std::sync::Arc;

use valetkey::internals::vault::*;
use valetkey::vault::{MasterKey, PostgresVault, SqliteVault, Transfer, TransferError, VaultError};

use crate::support::postgres::Cluster;
use crate::support::transfer::{arrived, full, heads, moves, own, seen, users};
use crate::{options, vault};

fn file() -> Arc<dyn Vault> {
    Arc::new(SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap())
}

fn memory() -> Arc<dyn Vault> {
    Arc::new(SealedVault::in_memory())
}

#[test]
fn a_vault_moves_into_the_database_and_out_of_it() {
    let Some(cluster) = Cluster::start() else { return };
    let database = || vault(&cluster) as Arc<dyn Vault>;
    for (from, to) in [
        (file(), database()),
        (database(), file()),
        (memory(), database()),
        (database(), memory()),
        (database(), database()),
    ] {
        moves(&from, &to);
    }
}

#[test]
fn a_transfer_continues_after_the_server_crashed() {
    let Some(cluster) = Cluster::start() else { return };
    let (keys, options) = (MasterKey::generate().unwrap().to_base64(), options(&cluster));
    let connect = || -> Arc<dyn Vault> {
        loop {
            match options.clone().connect(MasterKey::from_base64(&keys).unwrap()) {
                Ok(vault) => return Arc::new(vault),
                Err(error) if error.is_retryable() => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let source = file();
    let host = full(Arc::clone(&source));
    let (exported, before) = (heads(&source), seen(&host, &source));
    for crash in 1..4 {
        let mut pages = 0;
        let ended = Transfer::new(&source, &connect()).run(|_| {
            pages += 1;
            if pages == 4 * crash {
                cluster.stop("immediate");
            }
        });
        assert!(
            matches!(ended, Err(TransferError::Target(VaultError::Unreachable))),
            "{ended:?}"
        );
        cluster.start_again();
    }
    let target = connect();
    Transfer::new(&source, &target).run(|_| {}).unwrap();
    arrived(&host, &target, &before, &exported);
}

/// A host of the source refreshes all the time, and the transfer begins in between.
#[test]
fn a_host_that_still_runs_forks_no_generation() {
    let Some(cluster) = Cluster::start() else { return };
    let source = vault(&cluster) as Arc<dyn Vault>;
    let host = full(Arc::clone(&source));
    host.clock.set(valetkey::Clock::now(&valetkey::SystemClock));
    let target = vault(&cluster) as Arc<dyn Vault>;
    let requests = host.http.requests_to("/token");
    let found = |host: &valetkey::testing::Host, number: usize| {
        let (user, provider) = users()[number].clone();
        own(host, &user, provider)
    };
    let before: u64 = (0..users().len())
        .map(|number| found(&host, number).generation)
        .sum();
    std::thread::scope(|scope| {
        for number in 0..users().len() {
            let host = &host;
            scope.spawn(move || {
                let ((user, _), connection) = (users()[number].clone(), found(host, number));
                loop {
                    match host.connections.refresh(&user, connection.id) {
                        Ok(_) => {}
                        Err(valetkey::Error::Vault(VaultError::Moved)) => return,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
        while host.http.requests_to("/token") < requests + 9 {
            std::thread::yield_now();
        }
        loop {
            match Transfer::new(&source, &target).run(|_| {}) {
                Ok(_) => break,
                Err(error) if error.is_retryable() => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    let next = host.another().vault(Arc::clone(&target)).build().unwrap();
    let after: u64 = (0..users().len())
        .map(|number| found(&next, number).generation)
        .sum();
    let sent = host.http.requests_to("/token") - requests;
    assert_eq!(
        u64::try_from(sent).unwrap(),
        after - before,
        "one request for each generation"
    );
    for (number, (user, _)) in users().into_iter().enumerate() {
        let id = found(&next, number).id;
        next.connections.refresh(&user, id).unwrap();
    }
    seen(&next, &target);
}

#[test]
fn the_target_must_be_a_new_schema() {
    let Some(cluster) = Cluster::start() else { return };
    let used: Arc<PostgresVault> = vault(&cluster);
    full(Arc::clone(&used) as Arc<dyn Vault>);
    let refused = Transfer::new(&file(), &used).run(|_| {});
    assert!(matches!(refused, Err(TransferError::NotEmpty)), "{refused:?}");
}
