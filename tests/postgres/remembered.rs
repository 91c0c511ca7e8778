//! Tokens are used again for a bounded time without asking the server. A round trip is counted, not
//! timed, and the time is moved by the test.

use std::sync::Arc;
use std::time::Duration;

use valetkey::internals::vault::postgres::{ManualMonotonic, open_with, take_trips};
use valetkey::resolver::ResolvedToken;
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault, VaultError};
use valetkey::{ActingUser, ConnectionId, Error};

use crate::support::postgres::Cluster;

const BOUND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_nanos(1);

/// A host on one machine, with its vault handle and its time.
struct Machine {
    host: Host,
    vault: Arc<PostgresVault>,
    time: ManualMonotonic,
}

/// Machines that share a database.
struct Machines<'c> {
    cluster: &'c Cluster,
    schema: String,
}

impl<'c> Machines<'c> {
    fn over(cluster: &'c Cluster) -> Self {
        Self {
            cluster,
            schema: cluster.schema(),
        }
    }

    fn options(&self) -> PostgresOptions {
        PostgresOptions::new(&self.cluster.address())
            .unwrap()
            .schema(self.schema.as_str())
            .unwrap()
    }

    fn first(&self, options: PostgresOptions) -> Machine {
        let (vault, time) = open(options);
        let host = Host::builder().vault(Arc::clone(&vault)).build().unwrap();
        Machine { host, vault, time }
    }

    fn another(&self, first: &Machine) -> Machine {
        let (vault, time) = open(self.options());
        let host = first.host.another().vault(Arc::clone(&vault)).build().unwrap();
        Machine { host, vault, time }
    }
}

fn open(options: PostgresOptions) -> (Arc<PostgresVault>, ManualMonotonic) {
    let time = ManualMonotonic::default();
    let key = MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    (Arc::new(open_with(options, key, &time).unwrap()), time)
}

impl Machine {
    fn alice(&self) -> ActingUser {
        self.host.user("alice")
    }

    fn connect(&self) -> ConnectionId {
        self.host.connect(&self.alice(), "notes").id
    }

    fn resolve(&self) -> Result<ResolvedToken, Error> {
        self.host.resolver.resolve(&self.alice(), "notes")
    }

    fn peek(&self) -> Option<ResolvedToken> {
        self.host.resolver.peek(&self.alice(), "notes").unwrap()
    }

    fn revoke(&self, id: ConnectionId) {
        self.host.connections.revoke(&self.alice(), id).unwrap();
    }

    /// Returns the number of round trips to the server that `work` makes, and its result.
    fn trips<T>(&self, work: impl FnOnce(&Self) -> T) -> (usize, T) {
        let _ = take_trips(&self.vault);
        let done = work(self);
        (take_trips(&self.vault), done)
    }
}

#[track_caller]
fn assert_not_connected(resolved: Result<ResolvedToken, Error>) {
    assert!(matches!(resolved, Err(Error::ConsentRequired(_))), "{resolved:?}");
}

#[test]
fn a_token_that_was_just_read_takes_no_round_trip() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let machine = machines.first(machines.options());
    machine.connect();
    let (trips, first) = machine.trips(|it| it.resolve().unwrap());
    assert_eq!(trips, 1);
    machine.time.advance(BOUND - TICK);
    let (trips, again) = machine.trips(|it| it.resolve().unwrap());
    assert_eq!(trips, 0);
    assert_eq!(
        first.access_token().expose_secret(),
        again.access_token().expose_secret()
    );
    machine.time.advance(TICK);
    let (trips, _) = machine.trips(|it| it.resolve().unwrap());
    assert_eq!(trips, 1);
    // A turn that holds the token asks as seldom as one that does not.
    let turn = machine.host.resolver.turn(machine.alice());
    for expected in [0, 1] {
        let (trips, _) = machine.trips(|_| turn.resolve("notes").unwrap());
        assert_eq!(trips, expected);
        machine.time.advance(BOUND);
    }
}

#[test]
fn a_revocation_on_another_machine_counts_after_the_bound() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let here = machines.first(machines.options());
    let there = machines.another(&here);
    let id = here.connect();
    for machine in [&here, &there] {
        machine.resolve().unwrap();
    }
    let turn = here.host.resolver.turn(here.alice());
    turn.resolve("notes").unwrap();
    there.revoke(id);
    // The machine that revoked knows at once.
    assert!(there.peek().is_none());
    assert_not_connected(there.resolve());
    // The other one knows nothing yet, which shows that the bound is what ends the token here.
    here.time.advance(BOUND - TICK);
    assert!(here.resolve().is_ok());
    here.time.advance(TICK);
    assert!(here.peek().is_none() && turn.peek("notes").unwrap().is_none());
    assert_not_connected(turn.resolve("notes"));
    assert_not_connected(here.resolve());
}

#[test]
fn own_changes_count_at_once() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let machine = machines.first(machines.options());
    let id = machine.connect();
    let before = machine.resolve().unwrap();
    let (alice, connections) = (machine.alice(), &machine.host.connections);
    connections.refresh(&alice, id).unwrap();
    let after = machine.resolve().unwrap();
    assert_eq!(after.generation(), before.generation() + 1);
    // Changes of another user drop nothing.
    let bob = machine.host.user("bob");
    let theirs = machine.host.connect(&bob, "notes").id;
    connections.refresh(&bob, theirs).unwrap();
    connections.revoke(&bob, theirs).unwrap();
    let (trips, _) = machine.trips(|it| it.resolve().unwrap());
    assert_eq!(trips, 0);
    machine.revoke(id);
    assert_not_connected(machine.resolve());
    machine.connect();
    machine.resolve().unwrap();
    let root = machine.host.operator("root");
    connections.forget_user(&root, alice.user()).unwrap();
    assert_not_connected(machine.resolve());
}

#[test]
fn peek_makes_no_round_trip() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let here = machines.first(machines.options());
    here.connect();
    let cold = machines.another(&here);
    // Nothing is known: not even the tenant.
    let (trips, known) = cold.trips(Machine::peek);
    assert_eq!((trips, known.is_some()), (0, false));
    cold.resolve().unwrap();
    let (trips, known) = cold.trips(Machine::peek);
    assert_eq!((trips, known.is_some()), (0, true));
    // The token is about to expire, and the reason why it is not refreshed is not asked for.
    cold.host.clock.advance(Duration::from_secs(30 * 24 * 3_600));
    let (trips, known) = cold.trips(Machine::peek);
    assert_eq!((trips, known.is_some()), (0, false));
    let stranger = cold.host.user("nobody");
    let (trips, known) = cold.trips(|it| it.host.resolver.peek(&stranger, "notes").unwrap());
    assert_eq!((trips, known.is_some()), (0, false));
    cold.time.advance(BOUND);
    let (trips, known) = cold.trips(Machine::peek);
    assert_eq!((trips, known.is_some()), (0, false));
}

#[test]
fn that_a_user_is_not_connected_is_not_remembered() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let here = machines.first(machines.options());
    let there = machines.another(&here);
    // The tenant exists.
    here.host.connect(&here.host.user("bob"), "notes");
    for _ in 0..2 {
        assert_not_connected(here.resolve());
    }
    there.connect();
    here.resolve().unwrap();
}

#[test]
fn without_the_network_a_token_is_returned_up_to_the_bound_and_an_error_afterwards() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let here = machines.first(machines.options());
    let there = machines.another(&here);
    let id = here.connect();
    here.resolve().unwrap();
    cluster.stop("immediate");
    here.time.advance(BOUND - TICK);
    assert!(here.resolve().is_ok() && here.peek().is_some());
    here.time.advance(TICK);
    assert!(here.peek().is_none());
    let unreachable = here.resolve();
    assert!(
        matches!(unreachable, Err(Error::Vault(VaultError::Unreachable))),
        "{unreachable:?}"
    );
    cluster.start_again();
    until(|| here.resolve().ok());
    // All sessions are lost while another machine revokes.
    until(|| there.resolve().ok());
    there.revoke(id);
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'valetkey'");
    here.time.advance(BOUND);
    until(|| match here.resolve() {
        Err(Error::Vault(VaultError::Unreachable)) => None,
        resolved => {
            assert_not_connected(resolved);
            Some(())
        }
    });
}

/// Repeats an attempt that may fail because a lost session was not noticed yet.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000 {
        if let Some(done) = attempt() {
            return done;
        }
        std::thread::yield_now();
    }
    panic!("no attempt succeeded");
}

#[test]
fn the_bound_is_zero_to_five_seconds() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let most = Duration::from_secs(5);
    assert!(machines.options().max_staleness(most).is_ok());
    let refused = machines.options().max_staleness(most + TICK);
    assert!(matches!(refused, Err(VaultError::Unsupported(_))));
    let machine = machines.first(machines.options().max_staleness(Duration::ZERO).unwrap());
    machine.connect();
    let turn = machine.host.resolver.turn(machine.alice());
    for _ in 0..2 {
        let (trips, _) = machine.trips(|it| it.resolve().unwrap());
        assert_eq!(trips, 1);
        let (trips, _) = machine.trips(|_| turn.resolve("notes").unwrap());
        assert_eq!(trips, 1);
        assert!(machine.peek().is_none());
    }
}

#[test]
fn the_services_of_a_turn_are_read_in_one_round_trip() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let first = machines.first(machines.options());
    let alice = first.alice();
    for provider in ["notes", "mail"] {
        first.host.connect(&alice, provider);
    }
    let machine = machines.another(&first);
    // The keys of the tenant are read once.
    machine.host.resolver.resolve(&alice, "notes").unwrap();
    machine.time.advance(BOUND);
    let turn = machine.host.resolver.turn(alice);
    let (trips, ()) = machine.trips(|_| turn.prefetch(["notes", "mail"]));
    assert_eq!(trips, 1);
    // An unknown name prevents nothing.
    turn.prefetch(["unknown"]);
    let (trips, ()) = machine.trips(|_| {
        for provider in ["notes", "mail"] {
            turn.resolve(provider).unwrap();
            assert!(turn.peek(provider).unwrap().is_some());
        }
        turn.prefetch(["mail", "notes"]);
    });
    assert_eq!(trips, 0);
    // The bound counts from before they were read.
    machine.time.advance(BOUND);
    let (trips, ()) = machine.trips(|_| {
        turn.resolve("notes").unwrap();
        turn.resolve("mail").unwrap();
    });
    assert_eq!(trips, 2);
    // A user without connections costs one round trip as well.
    machine.time.advance(BOUND);
    let stranger = machine.host.resolver.turn(machine.host.user("nobody"));
    let (trips, ()) = machine.trips(|_| stranger.prefetch(["notes", "mail"]));
    assert_eq!(trips, 1);
    assert!(stranger.resolve("notes").is_err());
}

#[test]
fn a_provider_that_another_machine_removes_is_known_up_to_the_bound() {
    let Some(cluster) = Cluster::start() else { return };
    let machines = Machines::over(&cluster);
    let (vault, time) = open(machines.options());
    let builder = Host::builder().services(["mail"]).vault(Arc::clone(&vault));
    let host = builder.build().unwrap();
    let here = Machine { host, vault, time };
    let (vault, time) = open(machines.options());
    let builder = here.host.another().services(["mail"]).vault(Arc::clone(&vault));
    let host = builder.build().unwrap();
    let there = Machine { host, vault, time };
    let (tenant, notes) = (here.alice().tenant().clone(), here.host.sandbox.provider("notes"));
    here.host.connections.add_provider(&tenant, None, notes).unwrap();
    for machine in [&here, &there] {
        let (first, resolved) = machine.trips(Machine::resolve);
        assert_not_connected(resolved);
        let (again, resolved) = machine.trips(Machine::resolve);
        assert_not_connected(resolved);
        assert!(again < first, "{again} {first}");
    }
    assert!(there.host.connections.remove_provider(&tenant, "notes").unwrap());
    let is_unknown = |machine: &Machine| matches!(machine.resolve(), Err(Error::UnknownProvider { .. }));
    assert!(is_unknown(&there));
    here.time.advance(BOUND - TICK);
    assert_not_connected(here.resolve());
    here.time.advance(TICK);
    assert!(is_unknown(&here));
}
