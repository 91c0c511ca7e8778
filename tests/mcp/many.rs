//! Many users, threads, hosts and processes connect one MCP server.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{SealedVault, Vault};

use crate::host::{Host, SERVER, person, tenant};

/// Runs something on many threads that begin at the same moment.
fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn promise_10_many_people_who_start_at_once_use_one_registration() {
    let host = Host::new();
    at_once(24, |number| {
        host.start(&person(&format!("user-{number}"))).unwrap()
    });
    assert_eq!(host.count("/register"), 1);
    assert_eq!(host.connections.added_clients(&tenant()).unwrap().len(), 1);
}

#[test]
fn two_hosts_that_register_at_once_agree_on_one_client() {
    for _ in 0..10 {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing_mcp(clock.clone());
        let vault: Arc<dyn Vault> = Arc::new(SealedVault::in_memory());
        let hosts = [0, 1].map(|_| Host::over(Arc::clone(&vault), sandbox.clone(), clock.clone()));
        let consents = at_once(2, |number| {
            let who = person(&format!("user-{number}"));
            hosts[number].start(&who).unwrap()
        });
        assert_eq!(hosts[0].connections.added_clients(&tenant()).unwrap().len(), 1);
        // A registration that came second was deleted again.
        assert_eq!(sandbox.registered_clients().len(), 1);
        // Each consent can be completed, by either host.
        for (number, consent) in consents.iter().enumerate() {
            let who = person(&format!("user-{number}"));
            hosts[1 - number].finish(&who, consent, "ada").unwrap();
            assert_eq!(hosts[number].call(&who, "whoami").unwrap().1, "ada");
        }
    }
}

#[test]
fn promise_10_one_refresh_for_each_generation_of_a_discovered_server() {
    let host = Host::new();
    let alice = person("alice");
    host.connect(&alice, "ada");
    for _ in 0..5 {
        host.clock.advance(Duration::from_secs(3_600));
        let before = host.count("/token");
        at_once(24, |_| host.resolver.resolve(&alice, SERVER).unwrap());
        assert_eq!(host.count("/token"), before + 1);
    }
}

#[test]
fn a_thousand_servers_are_remembered_within_a_bound() {
    let host = Host::new();
    let alice = person("alice");
    for number in 0..40 {
        let url = format!("https://mcp.sandbox.test/{number}");
        host.sandbox.serve_mcp(&url, &[Sandbox::MCP_ISSUER]);
        let options = valetkey::connections::McpOptions::default();
        let consent = host.connections.start_mcp(&alice, &url, options).unwrap();
        let connection = host.finish(&alice, &consent, "ada").unwrap();
        assert_eq!(connection.provider.as_str(), url);
    }
    assert_eq!(host.count("/register"), 1);
    assert_eq!(host.connections.added_providers(&tenant()).unwrap().len(), 40);
    host.clock.advance(Duration::from_secs(3_600));
    let report = host
        .connections
        .maintain(valetkey::connections::Budget::default().refreshes(100))
        .unwrap();
    assert_eq!((report.refreshed, report.failed), (40, 0));
}

#[cfg(all(feature = "sqlite", unix))]
mod processes {
    //! Processes that are killed while they connect a server: the vault holds a whole definition or
    //! none, and the next process continues.

    use std::process::Command;

    use valetkey::vault::{MasterKey, SqliteVault};

    use super::*;
    use crate::host::ISSUER;

    const TEST: &str = "many::processes::promise_11_kills_during_discovery_leave_whole_definitions";

    fn key() -> MasterKey {
        MasterKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap()
    }

    fn host(file: &std::path::Path) -> Host {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing_mcp(clock.clone());
        Host::over(Arc::new(SqliteVault::open(file, key()).unwrap()), sandbox, clock)
    }

    #[test]
    fn promise_11_kills_during_discovery_leave_whole_definitions() {
        if let Some(file) = std::env::var_os("VALETKEY_MCP_CHILD") {
            let host = host(file.as_ref());
            for number in 0.. {
                let url = format!("https://mcp.sandbox.test/{number}");
                host.sandbox.serve_mcp(&url, &[ISSUER]);
                let options = valetkey::connections::McpOptions::default();
                host.connections
                    .start_mcp(&person("alice"), &url, options)
                    .unwrap();
                if number % 3 == 2 {
                    host.connections.remove_client(&tenant(), ISSUER).unwrap();
                }
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vault.db");
        drop(host(&file));
        let kills = if std::env::var_os("VALETKEY_FULL").is_some() {
            500
        } else {
            12
        };
        for number in 0..kills {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
                .env("VALETKEY_MCP_CHILD", &file)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let host = host(&file);
            let known = host.connections.added_providers(&tenant()).unwrap().len();
            // The child is at work once it has stored a server.
            while host.connections.added_providers(&tenant()).unwrap().len() <= known.min(number) {
                assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            for provider in host.connections.added_providers(&tenant()).unwrap() {
                let url = provider.id().as_str();
                host.sandbox.serve_mcp(url, &[ISSUER]);
                let options = valetkey::ConsentOptions::default();
                // Its server is stored with it; a client that is missing is registered.
                host.connections.start(&person("bob"), url, options).unwrap();
            }
            let vault = SqliteVault::open(&file, key()).unwrap();
            let report = vault.verify_audit(&tenant(), |_, _| {}).unwrap();
            assert!(report.is_intact(), "{report:?}");
            vault.integrity_check().unwrap();
        }
    }
}
