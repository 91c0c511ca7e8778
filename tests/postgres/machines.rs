//! Several hosts, each in its own process, on one database.

use std::time::{Duration, Instant};

use valetkey::Resolver;
use valetkey::connections::Settings;
use valetkey::http::UreqClient;
use valetkey::internals::provider::RotationClass;

use crate::support::postgres::Cluster;
use crate::support::processes::{Part, Scene, alice, consent, count, renew};

const RACE: &str = "machines::promise_41_hosts_make_one_request_for_each_generation";
const OUTAGES: &str = "machines::promise_41_outages_cost_no_second_request_and_no_token";
const KILLS: &str = "machines::promise_41_a_killed_host_delays_and_loses_nothing";

#[test]
fn promise_41_hosts_make_one_request_for_each_generation() {
    if let Some(part) = Part::of(RACE) {
        let target: u64 = part.argument.parse().unwrap();
        let resolver = Resolver::new(part.connections());
        return std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| while renew(&resolver).unwrap() <= target {});
            }
        });
    }
    let Some(cluster) = Cluster::start() else { return };
    let scene =
        Scene::new(|it| it.rotation = RotationClass::SingleUseRevokesFamily).in_database(&cluster.address());
    let connections = scene.connections();
    let connection = consent(&scene, &connections);
    let target = count(60, 2_000);
    let exchanges = scene.token_requests();
    let children: Vec<_> = (0..4).map(|_| scene.spawn(RACE, &target.to_string())).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a host saw a refresh fail");
    }
    let generation = connections.get(&alice(), connection.id).unwrap().generation;
    let dials = scene.token_requests() - exchanges;
    assert_eq!(u64::try_from(dials).unwrap(), generation - connection.generation);
    assert_eq!(scene.sandbox.live_grants().len(), 1);
}

/// Refreshes until the target is reached, and tries again after every failure that says so.
fn refresh_through_outages(part: &Part) {
    let target: u64 = part.argument.parse().unwrap();
    let resolver = Resolver::new(part.connections());
    let until = Instant::now() + Duration::from_secs(300);
    while Instant::now() < until {
        match renew(&resolver) {
            Ok(generation) if generation > target => return,
            Ok(_) => {}
            Err(error) if error.is_retryable() => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the target was not reached");
}

/// Settings whose claims are short, so that a test need not wait for the lease of a dead host.
fn patient() -> Settings {
    Settings::default().refresh_lease(Duration::from_secs(4))
}

#[test]
fn promise_41_outages_cost_no_second_request_and_no_token() {
    if let Some(part) = Part::of(OUTAGES) {
        return refresh_through_outages(&part);
    }
    let Some(cluster) = Cluster::start() else { return };
    let scene =
        Scene::new(|it| it.rotation = RotationClass::SingleUseRevokesFamily).in_database(&cluster.address());
    let connections = scene.connections();
    let connection = consent(&scene, &connections);
    let target = count(60, 2_000);
    let mut children: Vec<_> = (0..3)
        .map(|_| scene.spawn(OUTAGES, &target.to_string()))
        .collect();
    let mut outages = 0;
    while children
        .iter_mut()
        .any(|child| child.try_wait().unwrap().is_none())
    {
        let before = scene.token_requests();
        // Sessions are ended while hosts refresh, and the server crashes now and then.
        cluster.try_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'valetkey'",
        );
        outages += 1;
        if outages % 8 == 4 {
            cluster.stop("immediate");
            cluster.start_again();
        }
        let until = Instant::now() + Duration::from_secs(2);
        while scene.token_requests() < before + 3 && Instant::now() < until {
            std::thread::yield_now();
        }
    }
    assert!(outages > 4, "{outages} outages: the test proves nothing");
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let stored = loop {
        // The last commit may have been interrupted; its host has stored it since.
        match connections.get(&alice(), connection.id) {
            Ok(stored) => break stored,
            Err(error) if error.is_retryable() => std::thread::yield_now(),
            Err(error) => panic!("{error:?}"),
        }
    };
    assert!(stored.generation > u64::try_from(target).unwrap());
    // The strictest kind of server: one refresh token that is used twice ends the grant.
    assert_eq!(scene.sandbox.live_grants().len(), 1, "{outages} outages");
}

#[test]
fn promise_41_a_killed_host_delays_and_loses_nothing() {
    if let Some(part) = Part::of(KILLS) {
        let resolver =
            Resolver::new(part.connections_with(patient(), UreqClient::new().dangerous_loopback_http()));
        loop {
            let _ = renew(&resolver);
        }
    }
    let Some(cluster) = Cluster::start() else { return };
    let scene = Scene::new(|it| it.rotation = RotationClass::Grace(Duration::from_secs(120)))
        .in_database(&cluster.address());
    let connections = scene.connections_with(patient());
    let resolver = Resolver::new(connections.clone());
    let connection = consent(&scene, &connections);
    for _ in 0..count(3, 100) {
        let before = scene.token_requests();
        let mut child = scene.spawn(KILLS, "");
        while scene.token_requests() < before + 3 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            match renew(&resolver) {
                Ok(_) => break,
                Err(error) if error.is_retryable() && Instant::now() < until => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
        let token = resolver.resolve(&alice(), "notes").unwrap();
        assert!(scene.sandbox.is_live(token.access_token().expose_secret()));
    }
    assert!(connections.get(&alice(), connection.id).unwrap().generation > 6);
}
