//! Hosts whose clocks are wrong by an hour.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use valetkey::Resolver;
use valetkey::internals::provider::RotationClass;

use crate::support::postgres::Cluster;
use crate::support::processes::{Part, Scene, WrongClock, alice, consent, count, renew};

const WRONG: &str = "clocks::promise_41_clocks_an_hour_off_cost_no_second_request";
const HERD: &str = "clocks::promise_41_a_herd_in_several_processes_makes_one_request";

#[test]
fn promise_41_clocks_an_hour_off_cost_no_second_request() {
    if let Some(part) = Part::of(WRONG) {
        let (target, hours) = part.argument.split_once(' ').unwrap();
        let target: u64 = target.parse().unwrap();
        let clock = WrongClock(hours.parse().unwrap());
        let resolver = Resolver::new(part.connections_at(clock));
        return std::thread::scope(|scope| {
            for _ in 0..2 {
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
    let children: Vec<_> = [-1, 0, 0, 1]
        .map(|hours| scene.spawn(WRONG, &format!("{target} {hours}")))
        .into_iter()
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success(), "a host saw a refresh fail");
    }
    let generation = connections.get(&alice(), connection.id).unwrap().generation;
    let dials = scene.token_requests() - exchanges;
    assert_eq!(u64::try_from(dials).unwrap(), generation - connection.generation);
    assert_eq!(scene.sandbox.live_grants().len(), 1);
}

#[test]
fn promise_41_a_herd_in_several_processes_makes_one_request() {
    if let Some(part) = Part::of(HERD) {
        // By this clock, the token has expired, and its successor has not.
        let resolver = Resolver::new(part.connections_at(WrongClock(2)));
        let mut start = String::new();
        writeln!(std::io::stdout(), "ready").unwrap();
        std::io::stdin().read_line(&mut start).unwrap();
        let threads: usize = part.argument.parse().unwrap();
        return std::thread::scope(|scope| {
            let herd: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| resolver.resolve(&alice(), "notes").unwrap().generation()))
                .collect();
            assert!(herd.into_iter().all(|thread| thread.join().unwrap() == 2));
        });
    }
    let Some(cluster) = Cluster::start() else { return };
    let scene =
        Scene::new(|it| it.rotation = RotationClass::SingleUseRevokesFamily).in_database(&cluster.address());
    consent(&scene, &scene.connections());
    let exchanges = scene.token_requests();
    let mut children: Vec<_> = (0..4).map(|_| scene.spawn_talking_about(HERD, "250")).collect();
    for child in &mut children {
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.as_mut().unwrap());
        while !line.contains("ready") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "a host could not start");
        }
    }
    for child in &mut children {
        writeln!(child.stdin.as_mut().unwrap(), "go").unwrap();
    }
    for mut child in children {
        let mut rest = String::new();
        child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert!(child.wait().unwrap().success(), "{rest}");
    }
    assert_eq!(scene.token_requests() - exchanges, 1);
}
