//! Promise 35: all operations agree about a connection: whether a turn gets a token, and what to do
//! otherwise.

use std::sync::Arc;
use std::time::Duration;

use valetkey::connections::{Budget, ConnectionFilter, Health, HealthState};
use valetkey::error::{ConsentReason, Misconfigured};
use valetkey::gateway::{Authenticator, Caller, Gateway, Mount, Refused};
use valetkey::internals::provider::RotationClass;
use valetkey::model::{Connection, NeedsConsent, Status};
use valetkey::provider::ClientRegistration;
use valetkey::resolver::ResolveOptions;
use valetkey::testing::{Fault, ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ConnectionId, Connections, Error, Resolver};

use crate::support::world::{REDIRECT, World, operator, person};

/// The stored state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    Fresh,
    FreshWithoutRefreshToken,
    Expiring,
    Expired,
    ExpiredWithoutRefreshToken,
    BackingOffWithAGoodToken,
    BackingOff,
    SecretRefused,
    RequestRefused,
    TokenRefused,
    Rejected,
    Lost,
    Revoked,
}

const RECORDS: [Record; 13] = [
    Record::Fresh,
    Record::FreshWithoutRefreshToken,
    Record::Expiring,
    Record::Expired,
    Record::ExpiredWithoutRefreshToken,
    Record::BackingOffWithAGoodToken,
    Record::BackingOff,
    Record::SecretRefused,
    Record::RequestRefused,
    Record::TokenRefused,
    Record::Rejected,
    Record::Lost,
    Record::Revoked,
];

/// The current configuration of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Configuration {
    Same,
    ClientChanged,
    ClientReplaced,
    NoClient,
    EndpointMoved,
    NoProvider,
    NoServer,
}

const CONFIGURATIONS: [Configuration; 7] = [
    Configuration::Same,
    Configuration::ClientChanged,
    Configuration::ClientReplaced,
    Configuration::NoClient,
    Configuration::EndpointMoved,
    Configuration::NoProvider,
    Configuration::NoServer,
];

fn prepared(record: Record) -> (World, Arc<SealedVault>, Connection) {
    let vault = Arc::new(SealedVault::in_memory());
    let world = World::over(Arc::clone(&vault));
    let alice = person("alice");
    let without = matches!(
        record,
        Record::FreshWithoutRefreshToken | Record::ExpiredWithoutRefreshToken
    );
    world.sandbox.adjust(|it| {
        it.issues_refresh_tokens = !without;
        it.rotation = RotationClass::SingleUse;
    });
    let connection = world.connect(&alice, "ada");
    let answer = |status: u16, body: &str| Fault::Status(status, body.into());
    let fails = |fault| {
        world.http.on("/token").next(fault);
        let _ = world.resolver.resolve(&alice, "notes");
    };
    match record {
        Record::Fresh | Record::FreshWithoutRefreshToken => {}
        Record::Expiring => world.clock.advance(Duration::from_secs(3_500)),
        Record::Expired | Record::ExpiredWithoutRefreshToken => world.expire(),
        Record::BackingOffWithAGoodToken => {
            world.clock.advance(Duration::from_secs(3_500));
            fails(answer(503, ""));
        }
        Record::BackingOff => {
            world.expire();
            fails(answer(503, ""));
        }
        Record::SecretRefused => {
            world.expire();
            fails(answer(401, r#"{"error":"invalid_client"}"#));
        }
        Record::RequestRefused => {
            world.expire();
            fails(answer(400, r#"{"error":"unsupported_grant_type"}"#));
        }
        Record::TokenRefused => {
            for _ in 0..2 {
                world.http.on("/api/notes").next(answer(401, ""));
            }
            let request = http::Request::get("/notes").body(Vec::new()).unwrap();
            world.resolver.send(&alice, "notes", request).unwrap();
        }
        Record::Rejected => {
            world.sandbox.revoke_at_server("ada");
            world.expire();
            let _ = world.resolver.resolve(&alice, "notes");
        }
        Record::Lost => {
            world.expire();
            fails(Fault::InterruptedAfterSend);
            world.clock.advance(Duration::from_secs(60));
            let _ = world.resolver.resolve(&alice, "notes");
        }
        Record::Revoked => {
            world.connections.revoke(&alice, connection.id).unwrap();
        }
    }
    (world, vault, connection)
}

fn host_over(
    sandbox: &Sandbox,
    clock: &ManualClock,
    vault: &Arc<SealedVault>,
    configuration: Configuration,
) -> Connections {
    let mut server = sandbox.server();
    if configuration == Configuration::EndpointMoved {
        server.token_endpoint = "https://sandbox.test/token/v2".into();
    }
    let other = || ClientRegistration::new("another", "secret", REDIRECT);
    let registration = match configuration {
        Configuration::ClientChanged => Some(other()),
        Configuration::ClientReplaced => Some(other().replacing(sandbox.client_id())),
        Configuration::NoClient => None,
        _ => Some(sandbox.registration(REDIRECT)),
    };
    let mut builder = Connections::builder(Arc::clone(vault))
        .http_client(sandbox.clone())
        .clock(clock.clone());
    if configuration != Configuration::NoServer {
        builder = builder.server(server);
        if configuration != Configuration::NoProvider {
            builder = builder.provider(sandbox.provider("notes"));
        }
        if let Some(registration) = registration {
            builder = builder.client("sandbox", registration);
        }
    }
    builder.build().unwrap()
}

/// The answer of one operation, in common terms.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Token,
    Consent(ConsentReason),
    Operator,
    Wait,
    Nothing,
}

fn said(error: &Error) -> Said {
    match error {
        Error::ConsentRequired(need) => Said::Consent(need.reason),
        Error::Misconfigured(_) | Error::UnknownProvider { .. } => Said::Operator,
        Error::Unavailable { .. } => Said::Wait,
        other => panic!("{other:?}"),
    }
}

/// Interprets the state of a connection as shown in a list or on a page.
fn read(health: &Health) -> Said {
    match &health.state {
        _ if health.is_usable_now() || health.needs_refresh_first() => Said::Token,
        HealthState::NeedsConsent(reason) => Said::Consent((*reason).into()),
        HealthState::Misconfigured(_) => Said::Operator,
        HealthState::BackingOff { .. } => Said::Wait,
        HealthState::Revoked => Said::Nothing,
        _ => panic!("{health:?}"),
    }
}

/// The host's sign-in: every caller is the operator.
#[derive(Debug)]
struct OperatorsOnly;

impl Authenticator for OperatorsOnly {
    fn authenticate(&self, _: &http::request::Parts) -> Result<Caller, Refused> {
        Ok(Caller::operator(operator()).explicit_credentials())
    }
}

/// Returns the API's report on a connection, and the text of its page.
fn api_and_page(host: &Connections, connection: ConnectionId) -> (serde_json::Value, String) {
    let mount = Mount::new("https://app.test").unwrap();
    let gateway = Gateway::new(host.clone(), mount, OperatorsOnly);
    let get = |path: String| {
        let response = gateway.handle(http::Request::get(path).body(Vec::new()).unwrap());
        assert_eq!(response.status(), 200);
        String::from_utf8(response.into_body()).unwrap()
    };
    let api = get(format!("/v1/connections/{connection}"));
    let page = get(format!("/connections/{connection}"));
    (serde_json::from_str(&api).unwrap(), page)
}

#[test]
fn promise_35_whoever_is_asked_says_the_same() {
    let mut seen = std::collections::BTreeSet::new();
    for record in RECORDS {
        for configuration in CONFIGURATIONS {
            let (world, vault, connection) = prepared(record);
            let it = format!("{record:?} {configuration:?}");
            let host = if configuration == Configuration::Same {
                world.connections.clone()
            } else {
                host_over(&world.sandbox, &world.clock, &vault, configuration)
            };
            let resolver = Resolver::new(host.clone());
            let alice = person("alice");
            let options = ResolveOptions::new("notes");

            // Operations without requests come first.
            let health = host.health(&alice, connection.id).unwrap();
            let read_state = read(&health);
            let shown = host.get(&alice, connection.id).unwrap();
            let explanation = resolver.turn(alice.clone()).explain(&options);
            let peeked = resolver.peek(&alice, "notes");
            let (api, page) = api_and_page(&host, connection.id);
            let listed = |filter: ConnectionFilter| {
                let found = host.list(&operator(), &filter).unwrap();
                found.iter().any(|it| it.id == connection.id)
            };
            let active = listed(ConnectionFilter::default().active());
            let needy = listed(ConnectionFilter::default().needs_consent());
            let resolved = resolver.resolve(&alice, "notes").map(|token| token.generation());

            let expected = match &resolved {
                Ok(_) => Said::Token,
                Err(error) => said(error),
            };
            seen.insert(format!("{:?}", expected).split('(').next().unwrap().to_owned());
            let of_health = match (&read_state, &expected) {
                // For a turn, a revoked connection does not exist.
                (Said::Nothing, Said::Consent(ConsentReason::NotConnected) | Said::Operator) => {
                    expected.clone()
                }
                _ => read_state.clone(),
            };
            assert_eq!(of_health, expected, "{it}: health: {health:?}");
            let explained = explanation.refusal().map_or(Said::Token, said);
            assert_eq!(explained, expected, "{it}: {explanation}");
            match peeked {
                Ok(Some(_)) => assert!(expected == Said::Token && health.is_usable_now(), "{it}"),
                Ok(None) => assert!(expected == Said::Token && health.needs_refresh_first(), "{it}"),
                Err(error) => assert_eq!(said(&error), expected, "{it}: peek"),
            }
            let usable = match (health.is_usable_now(), health.needs_refresh_first()) {
                (true, _) => "now",
                (_, true) => "after_refresh",
                _ => "no",
            };
            assert_eq!(api["health"]["usable"], usable, "{it}: {api}");
            let state = api["health"]["state"].as_str().unwrap();
            let (word, title) = match health.state {
                HealthState::Healthy { .. } => ("healthy", "Healthy"),
                HealthState::Expiring => ("expiring", "Healthy"),
                HealthState::BackingOff { .. } => ("backing_off", "Next attempt at"),
                HealthState::RefusedByApi { .. } => ("refused_by_api", "Refused by the service"),
                HealthState::Misconfigured(_) => ("misconfigured", "Needs an administrator"),
                HealthState::NeedsConsent(_) => ("needs_consent", "Needs consent"),
                HealthState::Revoked => ("revoked", "Revoked"),
                other => panic!("{it}: {other:?}"),
            };
            // The expiry of a token that cannot be refreshed is shown.
            let ends = record == Record::FreshWithoutRefreshToken && word == "healthy";
            let title = if ends { "Expires in" } else { title };
            assert_eq!(state, word, "{it}: {api}");
            assert!(page.contains(title), "{it}: the page does not say {title:?}");
            let needs_consent = matches!(shown.status, Status::NeedsConsent(_));
            assert_eq!(
                (active, needy),
                (shown.status == Status::Active, needs_consent),
                "{it}: lists"
            );
            if let (Status::NeedsConsent(reason), Said::Consent(wanted)) = (shown.status, &expected) {
                assert_eq!(ConsentReason::from(reason), *wanted, "{it}: status");
            }
            if matches!(expected, Said::Consent(reason) if reason != ConsentReason::NotConnected) {
                assert!(needs_consent, "{it}: {:?}", shown.status);
            }
            if expected == Said::Token {
                assert_eq!(shown.status, Status::Active, "{it}");
                let states = ["good", "good, and due to be refreshed", "refreshed first"];
                let told = explanation.steps().last().unwrap().to_string();
                assert!(
                    states.iter().any(|state| told == format!("its token: {state}")),
                    "{it}: {explanation}"
                );
            }
            // A second caller gets the same answer as the first.
            match resolver.resolve(&alice, "notes") {
                Ok(_) => assert_eq!(expected, Said::Token, "{it}"),
                Err(error) => assert_eq!(said(&error), expected, "{it}: the second call"),
            }
        }
    }
    let all = ["Consent", "Operator", "Token", "Wait"];
    assert_eq!(seen, all.map(str::to_owned).into(), "every kind of answer occurs");
}

#[test]
fn promise_35_the_remedy_is_named() {
    let code = |health: &Health| match &health.state {
        HealthState::Misconfigured(problem) => problem.as_str(),
        state => panic!("{state:?}"),
    };
    for (configuration, problem) in [
        (Configuration::ClientChanged, "client_changed"),
        (Configuration::NoClient, "no_client"),
        (Configuration::EndpointMoved, "issuer_changed"),
        (Configuration::NoProvider, "unknown_provider"),
        (Configuration::NoServer, "unknown_provider"),
    ] {
        let (world, vault, connection) = prepared(Record::Expired);
        let host = host_over(&world.sandbox, &world.clock, &vault, configuration);
        let health = host.health(&operator(), connection.id).unwrap();
        assert_eq!(code(&health), problem, "{configuration:?}");
        host.maintain(Budget::default()).unwrap();
        let health = host.health(&operator(), connection.id).unwrap();
        assert_eq!(code(&health), problem, "{configuration:?}, after upkeep");
    }
    for (record, problem) in [
        (Record::SecretRefused, "client_rejected"),
        (Record::RequestRefused, "request_rejected"),
    ] {
        let (world, _vault, connection) = prepared(record);
        let health = world.connections.health(&operator(), connection.id).unwrap();
        assert_eq!(code(&health), problem, "{record:?}");
    }
}

/// The errors of the caller that sent the request, and of later callers during the back-off.
#[test]
fn promise_35_one_cause_has_one_class_of_error_for_every_caller() {
    type Answer = (&'static str, fn() -> Fault);
    let answers: [Answer; 9] = [
        ("refused client", || {
            Fault::Status(401, r#"{"error":"invalid_client"}"#.into())
        }),
        ("401 alone", || Fault::Status(401, String::new())),
        ("refused request", || {
            Fault::Status(400, r#"{"error":"invalid_request"}"#.into())
        }),
        ("redirect", || Fault::Status(302, String::new())),
        ("server error", || Fault::Status(500, String::new())),
        ("too many", || Fault::Status(429, String::new())),
        ("empty refusal", || Fault::Status(400, String::new())),
        ("page", || Fault::Status(403, "<html>".into())),
        ("timeout", || Fault::Timeout),
    ];
    for (name, fault) in answers {
        let world = World::new();
        let alice = person("alice");
        world.connect(&alice, "ada");
        world.expire();
        world.http.on("/token").next(fault());
        let class = |error: &Error| {
            let kind = match error {
                Error::Misconfigured(Misconfigured::ClientRejected(_)) => "client",
                Error::Misconfigured(Misconfigured::RequestRejected { .. }) => "request",
                Error::Unavailable { .. } => "unavailable",
                other => panic!("{name}: {other:?}"),
            };
            (kind, error.is_retryable(), error.to_string())
        };
        let first = class(&world.resolver.resolve(&alice, "notes").unwrap_err());
        let requests = world.http.requests();
        for _ in 0..3 {
            let later = class(&world.resolver.resolve(&alice, "notes").unwrap_err());
            assert_eq!(later, first, "{name}");
        }
        assert_eq!(world.http.requests(), requests, "{name}: it backs off");
    }
}

/// Glewlwyd refuses a dead grant with a status and an empty body.
#[test]
fn promise_35_a_refusal_without_a_reason_is_not_repeated_for_months() {
    for status in [400, 401] {
        let world = World::new();
        let alice = person("alice");
        world.connect(&alice, "ada");
        world.expire();
        let mut asked = 0;
        let mut told = None;
        for hour in 0..(30 * 24) {
            world.http.on("/token").next(Fault::Status(status, String::new()));
            let before = world.http.requests();
            let error = world.resolver.resolve(&alice, "notes").unwrap_err();
            asked += world.http.requests() - before;
            if let Some(need) = error.consent_required() {
                assert_eq!(need.reason, ConsentReason::Unexplained);
                told.get_or_insert(hour);
            }
            world.clock.advance(Duration::from_secs(3_600));
        }
        let told = told.unwrap_or_else(|| panic!("{status}: nobody was told"));
        assert!((24..48).contains(&told), "{status}: told after {told} hours");
        assert!(asked < 60, "{status}: {asked} requests");
        let connection = &world
            .connections
            .list(&alice, &ConnectionFilter::default())
            .unwrap()[0];
        assert_eq!(connection.status, Status::NeedsConsent(NeedsConsent::Unexplained));
    }
    // The cause turned out to be a different one: nothing is lost.
    let world = World::new();
    let alice = person("alice");
    world.connect(&alice, "ada");
    world.expire();
    for _ in 0..40 {
        world.http.on("/token").next(Fault::Status(400, String::new()));
        let _ = world.resolver.resolve(&alice, "notes");
        world.clock.advance(Duration::from_secs(3_600));
    }
    world.http.clear();
    let retried = world
        .connections
        .retry_rejected(&operator(), "notes", None, usize::MAX)
        .unwrap();
    assert_eq!(retried.restored, 1);
    assert!(world.resolver.resolve(&alice, "notes").is_ok());
}
