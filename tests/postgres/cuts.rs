//! The connection to the server is cut at every place of every message, in both directions, during
//! a refresh, a revocation and a consent, and while a vault is opened.
//!
//! A cut leaves it open whether the change was stored. Afterwards a second host reads it, and the
//! call is repeated: nothing is lost, and nothing happens twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use valetkey::connections::{Budget, Settings};
use valetkey::model::{Connection, Status};
use valetkey::resolver::Resolver;
use valetkey::testing::Host;

use valetkey::vault::{MasterKey, PostgresOptions, PostgresVault, VaultError};
use valetkey::{ActingUser, AuthorizationResponse, ConsentOptions, Error};

use crate::proxy::{End, Place, Proxy, Way, is_commit};
use crate::support::postgres::Cluster;
use crate::support::processes::{count, key};
use crate::support::world::person;

/// The number of messages in each direction at which the connection is cut, in addition to the ends
/// of transactions.
const MESSAGES: usize = 8;

/// A host whose connection can be cut, and another one on the same vault that is not disturbed.
struct Scene {
    cluster: Cluster,
    proxy: Proxy,
    schema: String,
    host: Host,
    other: Host,
    alice: ActingUser,
}

fn connect(address: &str, schema: &str, key: MasterKey) -> Result<PostgresVault, VaultError> {
    PostgresOptions::new(address)
        .unwrap()
        .schema(schema)
        .unwrap()
        // With one session, the bytes of an operation are the same each time.
        .max_sessions(1)
        // Each read asks the server.
        .max_staleness(Duration::ZERO)
        .unwrap()
        .connect(key)
}

impl Scene {
    fn new() -> Option<Self> {
        let cluster = Cluster::start()?;
        let proxy = Proxy::start(&cluster);
        let schema = cluster.schema();
        let cut = connect(&proxy.address(&cluster), &schema, key()).unwrap();
        let calm = connect(&cluster.address(), &schema, key()).unwrap();
        // A claim whose host never learns of it lapses at once.
        let settings = || Settings::default().refresh_lease(Duration::from_millis(1));
        let host = Host::builder()
            .vault(cut)
            .connections(move |_, builder| builder.settings(settings()))
            .build()
            .unwrap();
        let other = host.another().vault(calm).build().unwrap();
        Some(Self {
            cluster,
            proxy,
            schema,
            host,
            other,
            alice: person("alice"),
        })
    }

    /// Waits until the server has done all that it received, and a claim has lapsed.
    fn settle(&self) -> bool {
        let was_cut = self.proxy.settle();
        self.host.clock.advance(Duration::from_secs(1));
        was_cut
    }

    fn token_requests(&self) -> usize {
        self.host.sandbox.count("/token")
    }

    fn stored(&self, connection: &Connection) -> Connection {
        self.other.connections.get(&self.alice, connection.id).unwrap()
    }

    /// Runs an operation at each place where it can be cut, on a connection that was used before.
    fn at_each_place(&self, operation: &mut dyn FnMut(Option<Place>)) {
        // The first calls prepare the statements.
        for _ in 0..3 {
            operation(None);
        }
        self.proxy.record();
        operation(None);
        let mut cuts = 0;
        for (way, recorded) in self.proxy.recorded() {
            for place in places(way, &recorded) {
                operation(None);
                operation(Some(place));
                cuts += 1;
            }
        }
        assert!(cuts > 20, "{cuts} cuts");
    }
}

/// Returns the places of the cuts: each commit, and a spread of the messages, each after its first
/// byte, before its last one and after it. The full run has every byte of every message.
fn places(way: Way, recorded: &[Vec<u8>]) -> Vec<Place> {
    let is_full = count(0, 1) == 1;
    let step = (recorded.len() / count(MESSAGES, recorded.len())).max(1);
    let mut places = Vec::new();
    for (messages, message) in recorded.iter().enumerate().step_by(step) {
        let spread = BTreeSet::from([1, message.len() - 1, message.len()]);
        for bytes in (1..=message.len()).filter(|bytes| is_full || spread.contains(bytes)) {
            places.push(Place::Byte { way, messages, bytes });
        }
    }
    let commits = recorded.iter().filter(|message| is_commit(message)).count();
    places.extend((0..commits).map(Place::Commit));
    places
}

/// The only error that an interrupted connection causes: the call can be repeated.
#[track_caller]
fn interrupted(error: &Error, place: Option<Place>) {
    assert!(
        matches!(error, Error::Vault(VaultError::Unreachable)),
        "{place:?}: {error:?}"
    );
    assert!(error.is_retryable());
}

#[test]
fn promise_41_a_cut_during_a_refresh_neither_loses_nor_repeats_it() {
    let Some(scene) = Scene::new() else { return };
    let (host, alice) = (&scene.host, &scene.alice);
    let connection = host.connect(alice, "notes");
    scene.at_each_place(&mut |place| {
        let before = scene.stored(&connection).generation;
        let requests = scene.token_requests();
        host.expire();
        if let Some(place) = place {
            scene.proxy.end_at(place, End::Cut);
        }
        let refreshed = host.resolver.resolve(alice, "notes");
        scene.settle();
        let stored = scene.stored(&connection);
        match &refreshed {
            Ok(token) => assert_eq!((token.generation(), stored.generation), (before + 1, before + 1)),
            Err(error) => interrupted(error, place),
        }
        // Tokens that were fetched are stored, even if the first attempt was cut.
        let sent = scene.token_requests() - requests;
        assert_eq!(
            stored.generation - before,
            u64::try_from(sent).unwrap(),
            "{place:?}"
        );
        for resolver in [&host.resolver, &scene.other.resolver] {
            let token = resolver.resolve(alice, "notes").unwrap();
            assert_eq!(token.generation(), before + 1, "{place:?}");
            assert!(host.sandbox.is_live(token.access_token().expose_secret()));
        }
        assert_eq!(scene.token_requests(), requests + 1, "{place:?}");
        assert_eq!(host.sandbox.live_grants().len(), 1, "{place:?}");
    });
}

#[test]
fn promise_41_a_cut_during_a_revocation_leaves_no_live_token() {
    let Some(scene) = Scene::new() else { return };
    let (host, alice) = (&scene.host, &scene.alice);
    scene.at_each_place(&mut |place| {
        let connection = scene.other.connect(alice, "notes");
        if let Some(place) = place {
            scene.proxy.end_at(place, End::Cut);
        }
        let revoked = host.connections.revoke(alice, connection.id);
        scene.settle();
        let stored = scene.stored(&connection).status;
        match &revoked {
            Ok(_) => assert_eq!(stored, Status::Revoked, "{place:?}"),
            Err(error) => interrupted(error, place),
        }
        if stored == Status::Active {
            // Nothing was done.
            let token = scene.other.resolver.resolve(alice, "notes").unwrap();
            assert!(host.sandbox.is_live(token.access_token().expose_secret()));
        } else {
            assert!(scene.other.resolver.resolve(alice, "notes").is_err(), "{place:?}");
        }
        host.connections.revoke(alice, connection.id).unwrap();
        assert_eq!(scene.stored(&connection).status, Status::Revoked);
        host.connections.maintain(Budget::default()).unwrap();
        assert_eq!(host.sandbox.live_grants(), [], "{place:?}");
    });
}

#[test]
fn promise_41_a_cut_during_a_consent_connects_once_or_not_at_all() {
    let Some(scene) = Scene::new() else { return };
    let (host, alice) = (&scene.host, &scene.alice);
    // The same connection is made again each time, with the next generation.
    let mut generation = 0;
    scene.at_each_place(&mut |place| {
        if let Some(place) = place {
            scene.proxy.end_at(place, End::Cut);
        }
        let requests = scene.token_requests();
        let begin = || host.connections.start(alice, "notes", ConsentOptions::default());
        let consent = begin().unwrap_or_else(|error| {
            interrupted(&error, place);
            scene.settle();
            begin().unwrap()
        });
        let callback = host.sandbox.approve(consent.authorization_url(), "ada");
        let complete = || {
            let response = AuthorizationResponse::parse(&callback).unwrap();
            host.connections.complete(alice, response, consent.binding())
        };
        let mut completed = complete();
        assert!(
            scene.settle() || !matches!(place, Some(Place::Commit(_))),
            "{place:?}"
        );
        if let Err(error) = &completed {
            interrupted(error, place);
            completed = complete();
        }
        let sent = scene.token_requests() - requests;
        let found = scene.other.connections.list(alice, &Default::default()).unwrap();
        let active: Vec<_> = found
            .iter()
            .filter(|connection| connection.status == Status::Active)
            .collect();
        // A code that was exchanged is never lost, and never stored twice.
        assert_eq!(active.len(), sent, "{place:?}: {completed:?}");
        assert_eq!(host.sandbox.live_grants().len(), sent, "{place:?}");
        match completed {
            Ok(connection) => assert_eq!(active[0].id, connection.id),
            // It is unknown whether the code was sent, so it is not sent again.
            Err(Error::Consent(_)) => assert_eq!(sent, 0, "{place:?}"),
            Err(error) => panic!("{place:?}: {error:?}"),
        }
        for connection in active {
            generation += 1;
            assert_eq!(connection.generation, generation, "{place:?}");
            let token = scene.other.resolver.resolve(alice, "notes").unwrap();
            assert!(host.sandbox.is_live(token.access_token().expose_secret()));
            scene.other.connections.revoke(alice, connection.id).unwrap();
        }
        assert_eq!(host.sandbox.live_grants(), [], "{place:?}");
    });
}

/// Opens the vault of this schema at each place where the connection can be cut.
fn open_at_each_place(scene: &Scene, schema: &mut dyn FnMut() -> String, check: &dyn Fn(&str)) {
    let address = scene.proxy.address(&scene.cluster);
    scene.proxy.record();
    drop(connect(&address, &schema(), key()).unwrap());
    for (way, recorded) in scene.proxy.recorded() {
        for place in places(way, &recorded) {
            let schema = schema();
            scene.proxy.end_at(place, End::Cut);
            let opened = connect(&address, &schema, key());
            if let Err(error) = &opened {
                assert!(matches!(error, VaultError::Unreachable), "{place:?}: {error:?}");
            }
            drop(opened);
            scene.proxy.settle();
            check(&schema);
        }
    }
}

#[test]
fn a_cut_while_a_vault_is_opened_changes_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.host.connect(&scene.alice, "notes");
    open_at_each_place(&scene, &mut || scene.schema.clone(), &|_| {
        let token = scene.other.resolver.resolve(&scene.alice, "notes").unwrap();
        assert_eq!(token.generation(), 1);
    });
}

#[test]
fn a_cut_while_a_vault_is_created_leaves_a_whole_one_or_none() {
    let Some(scene) = Scene::new() else { return };
    let new = |cluster: &Cluster| cluster.schema();
    open_at_each_place(&scene, &mut || new(&scene.cluster), &|schema| {
        let address = scene.cluster.address();
        let vault = connect(&address, schema, key()).unwrap();
        let host = scene.host.another().vault(vault).build().unwrap();
        host.connect(&scene.alice, "notes");
        drop(host);
        // A vault that was created with one key opens with no other.
        let wrong = connect(&address, schema, MasterKey::generate().unwrap()).unwrap_err();
        assert!(matches!(wrong, VaultError::WrongMasterKey), "{wrong:?}");
        scene.cluster.sql(&format!("DROP SCHEMA {schema} CASCADE"));
    });
}

#[test]
fn a_server_that_stops_answering_costs_one_deadline() {
    let Some(cluster) = Cluster::start() else { return };
    let proxy = Proxy::start(&cluster);
    let schema = cluster.schema();
    let vault = PostgresOptions::new(&proxy.address(&cluster))
        .unwrap()
        .schema(schema)
        .unwrap()
        .max_sessions(1)
        .max_staleness(Duration::ZERO)
        .unwrap()
        .deadline(Duration::from_secs(2))
        .connect(key())
        .unwrap();
    let host = Host::builder().vault(Arc::new(vault)).build().unwrap();
    let alice = person("alice");
    host.connect(&alice, "notes");
    let resolver = Resolver::new(host.connections);
    for way in Way::BOTH {
        let first = Place::Byte {
            way,
            messages: 0,
            bytes: 1,
        };
        proxy.end_at(first, End::Stall);
        interrupted(&resolver.resolve(&alice, "notes").unwrap_err(), None);
        assert!(proxy.settle(), "the connection stalled");
        // The session that stalled is not used again.
        assert_eq!(resolver.resolve(&alice, "notes").unwrap().generation(), 1);
    }
}
