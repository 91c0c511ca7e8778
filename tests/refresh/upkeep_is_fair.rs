//! Promise 34: with any mix of connections that cannot be tried, every connection that can be
//! refreshed is refreshed before it expires, `next` is zero only if progress was made, and no loop
//! spins.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use valetkey::connections::{Budget, ConnectionFilter, HealthState};
use valetkey::error::Misconfigured;
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::model::{EventKind, FailureCode, NeedsConsent, ServerId};
use valetkey::provider::{AuthorizationServer, ClientRegistration};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{Connections, Error};

use crate::support::world::{self, Events, REDIRECT, person};

/// The state of one authorization server while the host restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Trouble {
    None,
    ClientChanged,
    ClientRemoved,
    ClientSecretWrong,
    EndpointMoved,
    ProviderRemoved,
    ServerRemoved,
    TemplateUnfillable,
    Dead,
    Broken,
    RefusesGrants,
}

const TROUBLES: [Trouble; 10] = [
    Trouble::ClientChanged,
    Trouble::ClientRemoved,
    Trouble::ClientSecretWrong,
    Trouble::EndpointMoved,
    Trouble::ProviderRemoved,
    Trouble::ServerRemoved,
    Trouble::TemplateUnfillable,
    Trouble::Dead,
    Trouble::Broken,
    Trouble::RefusesGrants,
];

/// Several authorization servers behind one client.
#[derive(Clone)]
struct Net {
    clock: ManualClock,
    sandboxes: Arc<BTreeMap<&'static str, Sandbox>>,
    troubles: Arc<Mutex<BTreeMap<&'static str, Trouble>>>,
    requests: Arc<AtomicUsize>,
}

impl HttpClient for Net {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let (name, sandbox) = self
            .sandboxes
            .iter()
            .find(|(name, _)| host == format!("{name}.test"))
            .ok_or(HttpError::Connect)?;
        match self.trouble(name) {
            Trouble::Dead => Err(HttpError::Timeout),
            Trouble::Broken => Ok(HttpResponse::new(http::StatusCode::BAD_GATEWAY, "<html>")),
            _ => sandbox.send(request),
        }
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}

impl Net {
    fn new(names: &[&'static str]) -> Self {
        let clock = ManualClock::default();
        let sandboxes = names
            .iter()
            .map(|name| (*name, Sandbox::at(&format!("https://{name}.test"), clock.clone())));
        Self {
            sandboxes: Arc::new(sandboxes.collect()),
            clock,
            troubles: Arc::default(),
            requests: Arc::default(),
        }
    }

    fn trouble(&self, name: &str) -> Trouble {
        let troubles = self.troubles.lock().unwrap();
        troubles.get(name).copied().unwrap_or(Trouble::None)
    }

    fn server(&self, name: &str) -> AuthorizationServer {
        let mut server = self.sandboxes[name].server();
        server.id = ServerId::new(name).unwrap();
        server
    }

    fn host(&self, vault: &Arc<SealedVault>, events: &Events) -> Connections {
        let mut builder = Connections::builder(Arc::clone(vault))
            .http_client(self.clone())
            .clock(self.clock.clone())
            .events(events.clone());
        for (name, sandbox) in self.sandboxes.iter() {
            let (mut server, mut provider) = (self.server(name), sandbox.provider(name));
            provider.server = server.id.clone();
            let mut registration = Some(sandbox.registration(REDIRECT));
            match self.trouble(name) {
                Trouble::ClientChanged => {
                    registration = Some(ClientRegistration::new("another", "secret", REDIRECT));
                }
                Trouble::ClientRemoved => registration = None,
                Trouble::ClientSecretWrong => {
                    let id = sandbox.client_id();
                    registration = Some(ClientRegistration::new(id, "wrong", REDIRECT));
                }
                Trouble::EndpointMoved => server.token_endpoint = format!("https://{name}.test/token/v2"),
                Trouble::TemplateUnfillable => {
                    server.token_endpoint = format!("https://{name}.test/{{region}}/token");
                    server.parameters = vec![valetkey::internals::provider::ParameterRule::new(
                        "region",
                        valetkey::internals::provider::ParameterKind::Word,
                    )];
                }
                Trouble::ServerRemoved => continue,
                Trouble::ProviderRemoved => {
                    builder = builder.server(server);
                    builder = builder.client(name, registration.unwrap());
                    continue;
                }
                _ => {}
            }
            builder = builder.server(server).provider(provider);
            if let Some(registration) = registration {
                builder = builder.client(name, registration);
            }
        }
        builder.build().unwrap()
    }

    fn connect(&self, host: &Connections, user: &str, service: &str) {
        let user = person(user);
        let consent = host.start(&user, service, Default::default()).unwrap();
        let callback = self.sandboxes[service].approve(consent.authorization_url(), "ada");
        host.complete(&user, world::response(&callback), consent.binding())
            .unwrap();
    }
}

/// 30 connections at a failing server, due first, and 3 at a healthy server.
fn troubled(trouble: Trouble) -> (Net, Arc<SealedVault>, Events, Connections) {
    let net = Net::new(&["ill", "well"]);
    let (vault, events) = (Arc::new(SealedVault::in_memory()), Events::default());
    let before = net.host(&vault, &events);
    for number in 0..30 {
        net.connect(&before, &format!("person-{number}"), "ill");
    }
    net.clock.advance(Duration::from_secs(60));
    for number in 0..3 {
        net.connect(&before, &format!("person-{number}"), "well");
    }
    net.troubles.lock().unwrap().insert("ill", trouble);
    if trouble == Trouble::RefusesGrants {
        net.sandboxes["ill"].revoke_at_server("ada");
    }
    let after = net.host(&vault, &events);
    (net, vault, events, after)
}

#[test]
fn promise_34_trouble_at_one_server_keeps_no_other_from_being_refreshed() {
    for trouble in TROUBLES {
        for workers in [1, 3, 8] {
            let (net, vault, _, host) = troubled(trouble);
            // All are due, and those of the failing server expire first. The budget is smaller than
            // their number.
            net.clock.advance(Duration::from_secs(55 * 60));
            let budget = Budget::default().refreshes(10).workers(workers);
            let mut rounds = 0;
            while healthy(&host) < 3 {
                rounds += 1;
                let upkeep = host.maintain(budget).unwrap();
                assert!(
                    upkeep.next > Duration::ZERO || upkeep.refreshed > 0,
                    "{trouble:?}: {upkeep:?}"
                );
                assert!(rounds <= 3, "{trouble:?}, {workers} workers: {upkeep:?}");
            }
            // No work is left: a loop that sleeps for `next` does not spin, and no server is
            // contacted again at once.
            let mut calls = 0;
            while host.maintain(budget).unwrap().next.is_zero() {
                calls += 1;
                assert!(calls <= 30, "{trouble:?}: upkeep spins");
            }
            let requests = net.requests.load(Ordering::SeqCst);
            let idle = host.maintain(budget).unwrap();
            if !matches!(trouble, Trouble::Dead | Trouble::Broken | Trouble::RefusesGrants) {
                assert_eq!(
                    net.requests.load(Ordering::SeqCst),
                    requests,
                    "{trouble:?}: {idle:?}"
                );
            }
            drop(vault);
        }
    }
}

/// Returns the number of refreshed connections at the healthy server.
fn healthy(host: &Connections) -> usize {
    let connections = host
        .list(&world::operator(), &ConnectionFilter::default())
        .unwrap();
    connections
        .iter()
        .filter(|it| it.server().as_str() == "well" && it.generation == 2)
        .count()
}

#[test]
fn promise_34_what_cannot_be_tried_is_reported_once() {
    for (trouble, code) in [
        (Trouble::ClientChanged, FailureCode::Misconfigured),
        (Trouble::EndpointMoved, FailureCode::Misconfigured),
        (Trouble::TemplateUnfillable, FailureCode::Misconfigured),
        (Trouble::ProviderRemoved, FailureCode::Misconfigured),
    ] {
        let (net, _vault, events, host) = troubled(trouble);
        net.clock.advance(Duration::from_secs(55 * 60));
        for _ in 0..5 {
            host.maintain(Budget::default()).unwrap();
            net.clock.advance(Duration::from_secs(400));
        }
        let kinds = events.kinds();
        let told = kinds
            .iter()
            .filter(|kind| **kind == EventKind::RefreshFailed(code));
        assert_eq!(told.count(), 30, "{trouble:?}: once for each connection");
    }
}

#[test]
fn promise_34_upkeep_goes_on_as_soon_as_the_configuration_is_corrected() {
    for trouble in [
        Trouble::ClientChanged,
        Trouble::ClientRemoved,
        Trouble::EndpointMoved,
        Trouble::TemplateUnfillable,
        Trouble::ProviderRemoved,
        Trouble::ServerRemoved,
    ] {
        let (net, vault, events, host) = troubled(trouble);
        // Tokens with a lifetime of one hour are due 54 minutes after the consent.
        net.clock.advance(Duration::from_secs(54 * 60));
        host.maintain(Budget::default()).unwrap();
        net.troubles.lock().unwrap().clear();
        let corrected = net.host(&vault, &events);
        for _ in 0..4 {
            net.clock.advance(Duration::from_secs(60));
            corrected.maintain(Budget::default()).unwrap();
        }
        net.clock.advance(Duration::from_secs(50));
        corrected.maintain(Budget::default()).unwrap();
        let stale: Vec<_> = corrected
            .list(&world::operator(), &ConnectionFilter::default())
            .unwrap()
            .into_iter()
            .filter(|it| it.generation != 2)
            .collect();
        assert!(stale.is_empty(), "{trouble:?}: {} are not refreshed", stale.len());
    }
}

#[test]
fn promise_34_a_wrong_secret_is_presented_a_few_times_and_the_right_one_at_once() {
    let (net, vault, events, host) = troubled(Trouble::ClientSecretWrong);
    net.clock.advance(Duration::from_secs(3_700));
    let before = net.requests.load(Ordering::SeqCst);
    let upkeep = host.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.refreshed, 3);
    // Three failures end the queue of that server. The other seven workers may each have sent a
    // request by then.
    let presented = net.requests.load(Ordering::SeqCst) - before - upkeep.refreshed;
    assert!(presented <= 3 + 7, "{presented} times");

    // Each caller gets the same error during the back-off: the operator must act.
    let user = person("person-0");
    let resolver = valetkey::Resolver::new(host);
    for _ in 0..3 {
        let error = resolver.resolve(&user, "ill").unwrap_err();
        assert!(
            matches!(&error, Error::Misconfigured(Misconfigured::ClientRejected(_))),
            "{error:?}"
        );
        assert!(!error.is_retryable());
    }
    // The operator corrects the secret. The back-offs of the wrong one no longer apply.
    net.troubles.lock().unwrap().clear();
    let corrected = valetkey::Resolver::new(net.host(&vault, &events));
    assert_eq!(corrected.resolve(&user, "ill").unwrap().generation(), 2);
}

#[test]
fn promise_34_a_replaced_client_leads_to_a_consent_once_the_host_confirms_it() {
    let net = Net::new(&["ill"]);
    let (vault, events) = (Arc::new(SealedVault::in_memory()), Events::default());
    let before = net.host(&vault, &events);
    net.connect(&before, "alice", "ill");
    let alice = person("alice");
    let sandbox = &net.sandboxes["ill"];
    let former = sandbox.client_id();

    let replaced = |registration: ClientRegistration| {
        let (server, mut provider) = (net.server("ill"), sandbox.provider("ill"));
        provider.server = server.id.clone();
        Connections::builder(Arc::clone(&vault))
            .server(server)
            .provider(provider)
            .client("ill", registration)
            .http_client(net.clone())
            .clock(net.clock.clone())
            .events(events.clone())
            .build()
            .unwrap()
    };
    let new_client = || ClientRegistration::new("new-client", "secret", REDIRECT);
    let connection = before.list(&alice, &ConnectionFilter::default()).unwrap()[0].id;

    // Without a confirmation it may be a mistake: no user is asked to consent.
    let host = replaced(new_client());
    let resolver = valetkey::Resolver::new(host.clone());
    assert!(resolver.resolve(&alice, "ill").is_ok(), "the token is good still");
    let health = host.health(&alice, connection).unwrap();
    assert!(health.is_usable_now());
    assert!(matches!(
        health.state,
        HealthState::Misconfigured(Misconfigured::ClientChanged(_))
    ));
    net.clock.advance(Duration::from_secs(3_601));
    let error = resolver.resolve(&alice, "ill").unwrap_err();
    assert!(matches!(error, Error::Misconfigured(_)), "{error:?}");

    // With a confirmation, the user is asked to consent, whichever operation is called.
    let host = replaced(new_client().replacing(former));
    let resolver = valetkey::Resolver::new(host.clone());
    let reason = |error: Error| error.consent_required().map(|need| need.reason);
    let wanted = Some(valetkey::error::ConsentReason::ClientChanged);
    assert_eq!(reason(resolver.resolve(&alice, "ill").unwrap_err()), wanted);
    assert_eq!(reason(resolver.peek(&alice, "ill").unwrap_err()), wanted);
    let health = host.health(&alice, connection).unwrap();
    assert!(!health.is_usable_now() && !health.needs_refresh_first());
    assert_eq!(
        health.state,
        HealthState::NeedsConsent(NeedsConsent::ClientChanged)
    );
    host.maintain(Budget::default()).unwrap();
    assert!(
        events
            .kinds()
            .contains(&EventKind::ConsentNeeded(NeedsConsent::ClientChanged))
    );
    assert_eq!(reason(resolver.resolve(&alice, "ill").unwrap_err()), wanted);
}

#[test]
fn promise_34_a_dead_server_occupies_a_part_of_the_workers() {
    let net = Net::new(&["dead", "well"]);
    let (vault, events) = (Arc::new(SealedVault::in_memory()), Events::default());
    let host = net.host(&vault, &events);
    for number in 0..20 {
        net.connect(&host, &format!("person-{number}"), "dead");
    }
    for number in 0..20 {
        net.connect(&host, &format!("person-{number}"), "well");
    }
    net.clock.advance(Duration::from_secs(3_500));
    // The dead server answers only after all healthy ones: if it occupied all workers, this would
    // never happen.
    let answered = Arc::new(AtomicUsize::new(0));
    let client = {
        let (net, answered) = (net.clone(), Arc::clone(&answered));
        move |request: HttpRequest| {
            if request.url.host_str() == Some("dead.test") {
                let begun = std::time::Instant::now();
                while answered.load(Ordering::SeqCst) < 20 && begun.elapsed() < Duration::from_secs(20) {
                    std::thread::yield_now();
                }
                return Err(HttpError::Timeout);
            }
            let answer = net.send(request);
            answered.fetch_add(1, Ordering::SeqCst);
            answer
        }
    };
    let mut builder = Connections::builder(vault)
        .http_client(client)
        .clock(net.clock.clone());
    for name in ["dead", "well"] {
        let (server, mut provider) = (net.server(name), net.sandboxes[name].provider(name));
        provider.server = server.id.clone();
        builder = builder
            .client(name, net.sandboxes[name].registration(REDIRECT))
            .server(server)
            .provider(provider);
    }
    let host = builder.build().unwrap();
    let upkeep = host.maintain(Budget::default().workers(4)).unwrap();
    assert_eq!(upkeep.refreshed, 20);
    assert_eq!(answered.load(Ordering::SeqCst), 20);
    assert!(
        upkeep.failed < 10,
        "it is left alone after a few attempts: {upkeep:?}"
    );
}

#[test]
fn promise_34_callers_divide_the_work_and_each_counts_what_it_did() {
    let net = Net::new(&["well"]);
    let (vault, events) = (Arc::new(SealedVault::in_memory()), Events::default());
    let host = net.host(&vault, &events);
    for number in 0..60 {
        net.connect(&host, &format!("person-{number}"), "well");
    }
    net.clock.advance(Duration::from_secs(3_500));
    net.sandboxes["well"].clear_log();
    let hosts: Vec<_> = (0..4).map(|_| net.host(&vault, &events)).collect();
    let start = Barrier::new(hosts.len());
    let refreshed: usize = std::thread::scope(|scope| {
        let callers: Vec<_> = hosts
            .iter()
            .map(|host| {
                scope.spawn(|| {
                    start.wait();
                    host.maintain(Budget::default().workers(4)).unwrap().refreshed
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(refreshed, 60);
    assert_eq!(net.sandboxes["well"].count("/token"), 60);
}

#[test]
fn promise_34_the_budget_is_exact_with_any_number_of_workers() {
    for workers in [0, 1, 2, 7, 32] {
        let net = Net::new(&["one", "two", "three"]);
        let (vault, events) = (Arc::new(SealedVault::in_memory()), Events::default());
        let host = net.host(&vault, &events);
        for number in 0..10 {
            for service in ["one", "two", "three"] {
                net.connect(&host, &format!("person-{number}"), service);
            }
        }
        net.clock.advance(Duration::from_secs(3_500));
        let mut counts = Vec::new();
        loop {
            let upkeep = host
                .maintain(Budget::default().refreshes(12).workers(workers))
                .unwrap();
            counts.push(upkeep.refreshed);
            if !upkeep.next.is_zero() {
                break;
            }
        }
        assert_eq!(counts, [12, 12, 6], "{workers}");
    }
}
