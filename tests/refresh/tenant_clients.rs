//! Tenants with their own OAuth apps: one `Connections` gets the client of each tenant from a
//! source, at each use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::world::{REDIRECT, response};
use valetkey::connections::{AtProvider, Budget, ConnectionFilter, HealthState};
use valetkey::error::{ConsentReason, Misconfigured};
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::model::{Connection, FailureCode, ServerId};
use valetkey::provider::ClientRegistration;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Operator, Resolver, TenantId};

type Found = Result<Option<Arc<ClientRegistration>>, &'static str>;

/// The registrations that the source returns. Tenants that are not listed have none.
#[derive(Clone, Default)]
struct Apps(Arc<Mutex<HashMap<String, Found>>>);

impl Apps {
    fn set(&self, tenant: &str, app: ClientRegistration) {
        self.answer(tenant, Ok(Some(Arc::new(app))));
    }

    fn answer(&self, tenant: &str, found: Found) {
        self.0.lock().unwrap().insert(tenant.to_owned(), found);
    }

    fn find(&self, tenant: &TenantId, server: &ServerId) -> Found {
        let found = self.0.lock().unwrap().get(tenant.as_str()).cloned();
        match found {
            Some(found) if server.as_str() == "sandbox" => found,
            _ => Ok(None),
        }
    }
}

/// The sandbox, except that requests with these client ids fail.
#[derive(Clone)]
struct Net {
    sandbox: Sandbox,
    broken: Arc<Mutex<HashMap<String, Broken>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    RateLimited,
    Failing,
    TimesOut,
}

impl HttpClient for Net {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let body = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
        let named = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "client_id");
        let broken = named.and_then(|(_, id)| self.broken.lock().unwrap().get(&*id).copied());
        let status = match broken {
            None => return self.sandbox.send(request),
            Some(Broken::TimesOut) => return Err(HttpError::Timeout),
            Some(Broken::RateLimited) => http::StatusCode::TOO_MANY_REQUESTS,
            Some(Broken::Failing) => http::StatusCode::BAD_GATEWAY,
        };
        // The sandbox logs it nevertheless.
        let _ = self.sandbox.send(request);
        Ok(HttpResponse::new(status, ""))
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}

struct Saas {
    sandbox: Sandbox,
    net: Net,
    clock: ManualClock,
    apps: Apps,
    connections: Connections,
    resolver: Resolver,
}

impl Saas {
    /// Returns a host over one vault. `acme` and `zeta` have their own apps.
    fn new() -> Self {
        Self::with(None)
    }

    /// Returns the same host with a client for all other tenants.
    fn with(for_all: Option<&str>) -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::new(clock.clone());
        let net = Net {
            sandbox: sandbox.clone(),
            broken: Arc::default(),
        };
        let apps = Apps::default();
        for tenant in ["acme", "zeta"] {
            apps.set(
                tenant,
                sandbox.another_registration(&format!("app-of-{tenant}"), REDIRECT),
            );
        }
        let source = apps.clone();
        let mut builder = Connections::builder(SealedVault::in_memory())
            .server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .clients(move |tenant: &TenantId, server: &ServerId| {
                source.find(tenant, server).map_err(Into::into)
            })
            .http_client(net.clone())
            .clock(clock.clone());
        if let Some(id) = for_all {
            builder = builder.client("sandbox", sandbox.another_registration(id, REDIRECT));
        }
        let connections = builder.build().unwrap();
        let resolver = Resolver::new(connections.clone());
        Self {
            sandbox,
            net,
            clock,
            apps,
            connections,
            resolver,
        }
    }

    fn connect(&self, person: &ActingUser) -> Connection {
        let options = ConsentOptions::default();
        let consent = self.connections.start(person, "notes", options).unwrap();
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        self.connections
            .complete(person, response(&callback), consent.binding())
            .unwrap()
    }

    /// Returns the client ids and paths of the requests that an action sent, in order.
    fn clients_of(&self, action: impl FnOnce()) -> Vec<(String, String)> {
        let before = self.sandbox.log().len();
        action();
        let log = self.sandbox.log();
        let sent = log[before..].iter();
        sent.filter_map(|logged| {
            let id = logged
                .parameter("client_id")
                .or_else(|| logged.query("client_id"));
            Some((logged.path().to_owned(), id?.to_owned()))
        })
        .collect()
    }

    fn expire(&self) {
        self.clock.advance(Duration::from_secs(3601));
    }

    fn refreshed(&self, tenant: &str) -> usize {
        let all = self
            .connections
            .list(&operator(tenant), &ConnectionFilter::default())
            .unwrap();
        all.iter().filter(|connection| connection.generation > 1).count()
    }
}

fn person(tenant: &str, name: &str) -> ActingUser {
    ActingUser::authenticated(tenant, name).unwrap()
}

fn operator(tenant: &str) -> Operator {
    Operator::authenticated(tenant, "olga").unwrap()
}

fn by(paths: &[&str], id: &str) -> Vec<(String, String)> {
    paths
        .iter()
        .map(|path| ((*path).to_owned(), id.to_owned()))
        .collect()
}

#[test]
fn each_tenant_consents_refreshes_and_revokes_with_its_own_client() {
    let saas = Saas::new();
    for tenant in ["acme", "zeta"] {
        let (alice, id) = (person(tenant, "alice"), format!("app-of-{tenant}"));
        let mut connection = None;
        let sent = saas.clients_of(|| connection = Some(saas.connect(&alice)));
        assert_eq!(sent, by(&["/authorize", "/token"], &id));
        let connection = connection.unwrap();
        assert_eq!(connection.client_id(), id);

        saas.expire();
        let sent = saas.clients_of(|| drop(saas.resolver.resolve(&alice, "notes").unwrap()));
        assert_eq!(sent, by(&["/token"], &id));
    }

    saas.expire();
    let mut sent = saas.clients_of(|| {
        assert_eq!(saas.connections.maintain(Budget::default()).unwrap().refreshed, 2);
    });
    sent.sort();
    assert_eq!(
        sent,
        [by(&["/token"], "app-of-acme"), by(&["/token"], "app-of-zeta")].concat()
    );

    for tenant in ["zeta", "acme"] {
        let alice = person(tenant, "alice");
        let connection = saas
            .connections
            .list(&alice, &ConnectionFilter::default())
            .unwrap();
        let sent = saas.clients_of(|| {
            let revoked = saas.connections.revoke(&alice, connection[0].id).unwrap();
            assert_eq!(revoked.at_provider, AtProvider::Revoked);
        });
        assert!(!sent.is_empty());
        let id = format!("app-of-{tenant}");
        assert!(
            sent.iter().all(|(path, sent)| path == "/revoke" && *sent == id),
            "{sent:?}"
        );
    }
    assert!(saas.sandbox.live_grants().is_empty());
}

#[test]
fn the_source_comes_first_and_the_client_for_all_serves_the_others() {
    let saas = Saas::with(Some("app-for-all"));
    for (tenant, id) in [
        ("acme", "app-of-acme"),
        ("other", "app-for-all"),
        ("zeta", "app-of-zeta"),
    ] {
        let connection = saas.connect(&person(tenant, "alice"));
        assert_eq!(connection.client_id(), id);
        let offered = saas
            .connections
            .providers_for(&TenantId::new(tenant).unwrap())
            .unwrap();
        assert!(offered.iter().any(|provider| provider.id.as_str() == "notes"));
    }
    assert_eq!(saas.connections.providers().len(), 1);
    let saas = Saas::new();
    assert_eq!(saas.connections.providers().len(), 0);
    let offered = |tenant: &str| {
        saas.connections
            .providers_for(&TenantId::new(tenant).unwrap())
            .unwrap()
            .len()
    };
    assert_eq!((offered("acme"), offered("other")), (1, 0));
}

#[test]
fn a_registration_that_changes_counts_from_the_next_use() {
    let saas = Saas::new();
    let (alice, zoe) = (person("acme", "alice"), person("zeta", "zoe"));
    let connection = saas.connect(&alice);
    saas.connect(&zoe);
    saas.expire();

    // Another client, by mistake: the tokens remain with the client that they were issued to.
    saas.apps
        .set("acme", saas.sandbox.another_registration("second", REDIRECT));
    let sent = saas.clients_of(|| {
        let error = saas.resolver.resolve(&alice, "notes").unwrap_err();
        assert!(
            matches!(error, Error::Misconfigured(Misconfigured::ClientChanged(_))),
            "{error}"
        );
        saas.resolver.resolve(&zoe, "notes").unwrap();
    });
    assert_eq!(sent, by(&["/token"], "app-of-zeta"));
    let health = saas.connections.health(&alice, connection.id).unwrap();
    assert_eq!(
        health.state,
        HealthState::Misconfigured(Misconfigured::ClientChanged(connection.server().clone()))
    );

    // The same change, confirmed: the user is asked again, and the new client is used.
    let confirmed = saas
        .sandbox
        .another_registration("second", REDIRECT)
        .replacing("app-of-acme");
    saas.apps.set("acme", confirmed);
    let error = saas.resolver.resolve(&alice, "notes").unwrap_err();
    assert_eq!(
        error.consent_required().unwrap().reason,
        ConsentReason::ClientChanged
    );
    let sent = saas.clients_of(|| drop(saas.connect(&alice)));
    assert_eq!(sent, by(&["/authorize", "/token"], "second"));

    // A wrong secret, and its correction.
    saas.expire();
    saas.apps
        .set("acme", ClientRegistration::new("second", "wrong", REDIRECT));
    let error = saas.resolver.resolve(&alice, "notes").unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::ClientRejected(_))),
        "{error}"
    );
    saas.apps
        .set("acme", saas.sandbox.another_registration("second", REDIRECT));
    saas.resolver.resolve(&alice, "notes").unwrap();
}

/// Returns the errors of all ways to get a token, and of a consent.
fn errors(saas: &Saas, person: &ActingUser) -> Vec<Error> {
    let request = || http::Request::get("/notes").body(Vec::new()).unwrap();
    vec![
        saas.resolver.resolve(person, "notes").unwrap_err(),
        saas.resolver.peek(person, "notes").unwrap_err(),
        saas.resolver.send(person, "notes", request()).unwrap_err(),
        saas.resolver
            .turn(person.clone())
            .explain("notes")
            .refusal()
            .cloned()
            .unwrap(),
        saas.connections
            .start(person, "notes", ConsentOptions::default())
            .unwrap_err(),
    ]
}

#[test]
fn a_tenant_without_a_usable_client_gets_the_same_error_everywhere() {
    const SECRET: &str = "s3cret-with-a-line-break\n";
    let saas = Saas::new();
    let alice = person("acme", "alice");
    let connection = saas.connect(&alice);
    let health = || saas.connections.health(&alice, connection.id).unwrap().state;

    saas.apps.answer("acme", Ok(None));
    for error in errors(&saas, &alice) {
        assert!(
            matches!(error, Error::Misconfigured(Misconfigured::NoClient(_))),
            "{error:?}"
        );
    }
    let server = connection.server().clone();
    assert_eq!(
        health(),
        HealthState::Misconfigured(Misconfigured::NoClient(server))
    );

    saas.apps
        .set("acme", ClientRegistration::new("app-of-acme", SECRET, REDIRECT));
    for error in errors(&saas, &alice) {
        let Error::Misconfigured(Misconfigured::Client(invalid)) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(
            (invalid.descriptor.as_str(), invalid.field),
            ("sandbox", "client_secret")
        );
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
    assert!(matches!(
        health(),
        HealthState::Misconfigured(Misconfigured::Client(_))
    ));

    saas.apps.answer("acme", Err("s3cret: the database is down"));
    for error in errors(&saas, &alice) {
        assert!(
            matches!(
                &error,
                Error::Unavailable {
                    failure: FailureCode::ClientSourceFailed,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.is_retryable());
    }
    assert!(matches!(
        health(),
        HealthState::BackingOff {
            failure: FailureCode::ClientSourceFailed,
            ..
        }
    ));
    assert!(saas.connections.providers_for(alice.tenant()).is_err());
    // Upkeep waits for the source; a caller that needs a token does not.
    saas.expire();
    let upkeep = saas.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.passed_over, upkeep.failed), (1, 0));
    let stored = saas.connections.get(&alice, connection.id).unwrap();
    assert_eq!(stored.last_failure(), Some(FailureCode::ClientSourceFailed));

    saas.apps
        .set("acme", saas.sandbox.another_registration("app-of-acme", REDIRECT));
    saas.resolver.resolve(&alice, "notes").unwrap();
}

#[test]
fn a_tenant_in_trouble_does_not_delay_another_at_the_same_server() {
    type Trouble = fn(&Saas);
    let broken = |saas: &Saas, how| {
        saas.net.broken.lock().unwrap().insert("app-of-acme".into(), how);
    };
    let troubles: [(&str, Trouble, bool); 7] = [
        (
            "wrong secret",
            |saas| {
                saas.apps
                    .set("acme", ClientRegistration::new("app-of-acme", "wrong", REDIRECT))
            },
            true,
        ),
        ("no client", |saas| saas.apps.answer("acme", Ok(None)), false),
        (
            "another client",
            |saas| {
                saas.apps
                    .set("acme", ClientRegistration::new("other", "secret", REDIRECT))
            },
            false,
        ),
        (
            "invalid client",
            |saas| {
                saas.apps
                    .set("acme", ClientRegistration::public("app-of-acme", REDIRECT))
            },
            false,
        ),
        (
            "source fails",
            |saas| saas.apps.answer("acme", Err("s3cret: the database is down")),
            false,
        ),
        ("rate limited", |_| {}, true),
        ("failing", |_| {}, true),
    ];
    for (name, trouble, asks) in troubles {
        for workers in [1, 8] {
            let saas = Saas::new();
            for number in 0..30 {
                saas.connect(&person("acme", &format!("person-{number}")));
            }
            saas.clock.advance(Duration::from_secs(60));
            for number in 0..3 {
                saas.connect(&person("zeta", &format!("person-{number}")));
            }
            trouble(&saas);
            match name {
                "rate limited" => broken(&saas, Broken::RateLimited),
                "failing" => broken(&saas, Broken::Failing),
                _ => {}
            }
            // All are due, and those of the failing tenant are first.
            saas.clock.advance(Duration::from_secs(55 * 60));
            let budget = Budget::default().refreshes(10).workers(workers);
            let sent = saas.clients_of(|| {
                for _ in 0..2 {
                    saas.connections.maintain(budget).unwrap();
                }
            });
            assert_eq!(saas.refreshed("zeta"), 3, "{name}, {workers} workers");
            let of_acme = sent.iter().filter(|(_, id)| id == "app-of-acme").count();
            assert!(
                of_acme <= workers + 3,
                "{name}, {workers} workers: {of_acme} requests"
            );
            assert_eq!(of_acme > 0, asks, "{name}");
            assert_eq!(saas.refreshed("acme"), 0, "{name}");
        }
    }
}

#[test]
fn a_client_that_is_corrected_is_refreshed_again_before_its_tokens_expire() {
    let saas = Saas::new();
    for number in 0..10 {
        saas.connect(&person("acme", &format!("person-{number}")));
    }
    saas.apps
        .set("acme", ClientRegistration::new("app-of-acme", "wrong", REDIRECT));
    saas.clock.advance(Duration::from_secs(55 * 60));
    saas.connections.maintain(Budget::default()).unwrap();
    assert_eq!(saas.refreshed("acme"), 0);
    saas.apps
        .set("acme", saas.sandbox.another_registration("app-of-acme", REDIRECT));
    for _ in 0..4 {
        saas.clock.advance(Duration::from_secs(60));
        saas.connections.maintain(Budget::default()).unwrap();
    }
    // All except those tried with the wrong secret, which wait for their back-off.
    assert!(saas.refreshed("acme") >= 1, "{}", saas.refreshed("acme"));
    let person = person("acme", "person-9");
    saas.resolver.resolve(&person, "notes").unwrap();
}

#[test]
fn a_server_that_does_not_answer_anybody_is_left_alone_as_a_whole() {
    let saas = Saas::new();
    let tenants = ["one", "two", "three", "four", "five", "six"];
    for tenant in tenants {
        let id = format!("app-of-{tenant}");
        saas.apps
            .set(tenant, saas.sandbox.another_registration(&id, REDIRECT));
        saas.connect(&person(tenant, "alice"));
        saas.net.broken.lock().unwrap().insert(id, Broken::TimesOut);
    }
    saas.clock.advance(Duration::from_secs(55 * 60));
    let upkeep = saas.connections.maintain(Budget::default().workers(1)).unwrap();
    assert_eq!((upkeep.failed, upkeep.refreshed), (3, 0));
    let upkeep = saas.connections.maintain(Budget::default().workers(1)).unwrap();
    assert_eq!(upkeep.failed, 0, "the server rests");
}

#[test]
fn pending_revocations_of_a_tenant_in_trouble_do_not_delay_those_of_another() {
    let saas = Saas::new();
    let mut pending = Vec::new();
    for tenant in ["acme", "zeta"] {
        for number in 0..6 {
            let person = person(tenant, &format!("person-{number}"));
            let connection = saas.connect(&person);
            pending.push((person, connection.id));
        }
    }
    for tenant in ["acme", "zeta"] {
        let mut broken = saas.net.broken.lock().unwrap();
        broken.insert(format!("app-of-{tenant}"), Broken::Failing);
    }
    for (person, id) in &pending {
        let revoked = saas.connections.revoke(person, *id).unwrap();
        assert!(matches!(revoked.at_provider, AtProvider::Unconfirmed { .. }));
    }
    saas.net.broken.lock().unwrap().remove("app-of-zeta");
    saas.clock.advance(Duration::from_secs(3600));
    let upkeep = saas.connections.maintain(Budget::default().workers(1)).unwrap();
    assert_eq!(upkeep.revocations_settled, 6);
}
