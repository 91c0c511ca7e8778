//! Every service of the catalogue, walked from the consent to the revocation against a sandbox that plays it.
//!
//! What is expected stands here, written by hand from what the services document: nothing of it is read from the
//! descriptors under test.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use valetkey::connections::AtProvider;
use valetkey::error::{ConsentReason, Misconfigured};
use valetkey::model::{Connection, Status};
use valetkey::testing::sandbox::Logged;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::MemoryVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Error, Resolver, catalog};

use crate::support::world::{person, response};

/// How the client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Post,
    Basic,
    BasicAndId,
    Nothing,
}

/// What a refresh does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresh {
    Never,
    KeepsToken,
    NewToken,
}

/// What revoking does.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Tokens by hint, in this order, with this proof.
    Post(&'static str, Proof, &'static [&'static str]),
    /// The same, reported as an attempt.
    Attempt(&'static str, Proof, &'static [&'static str], &'static str),
    Delete(&'static str),
    ByUser(&'static str),
}

struct Expected {
    id: &'static str,
    server: &'static str,
    redirect: &'static str,
    authorize: &'static str,
    added: &'static [(&'static str, &'static str)],
    scopes: &'static str,
    separator: char,
    pkce: bool,
    token: &'static str,
    proof: Proof,
    lifetime: Option<u64>,
    refresh: Refresh,
    refresh_added: &'static [&'static str],
    asks: &'static [&'static str],
    account: (&'static str, Option<&'static str>),
    api: &'static str,
    end: End,
}

const HTTPS: &str = "https://app.test/callback";

const fn google(id: &'static str, scopes: &'static str, api: &'static str) -> Expected {
    Expected {
        id,
        server: "google",
        redirect: "http://127.0.0.1:8080/callback",
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        added: &[("access_type", "offline"), ("prompt", "consent")],
        scopes,
        separator: ' ',
        pkce: true,
        token: "https://oauth2.googleapis.com/token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::KeepsToken,
        refresh_added: &[],
        asks: &["https://openidconnect.googleapis.com/v1/userinfo"],
        account: ("ada", Some("ada@example.test")),
        api,
        end: End::Post(
            "https://oauth2.googleapis.com/revoke",
            Proof::Nothing,
            &["refresh_token"],
        ),
    }
}

const fn microsoft(id: &'static str, scopes: &'static str) -> Expected {
    Expected {
        id,
        server: "microsoft",
        redirect: "http://localhost:8080/callback",
        authorize: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        added: &[("response_mode", "query")],
        scopes,
        separator: ' ',
        pkce: true,
        token: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::NewToken,
        refresh_added: &["scope"],
        asks: &["https://graph.microsoft.com/v1.0/me"],
        account: ("ada", Some("ada@example.test")),
        api: "https://graph.microsoft.com/v1.0/me/anything",
        end: End::ByUser("https://myapps.microsoft.com/"),
    }
}

const NINETEEN: [Expected; 19] = [
    google(
        "gmail",
        "openid email https://www.googleapis.com/auth/gmail.modify",
        "https://gmail.googleapis.com/gmail/v1/users/me/messages",
    ),
    google(
        "google-calendar",
        "openid email https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.calendarlist.readonly",
        "https://www.googleapis.com/calendar/v3/calendars/primary/events",
    ),
    google(
        "google-contacts",
        "openid email https://www.googleapis.com/auth/contacts",
        "https://people.googleapis.com/v1/people/me",
    ),
    google(
        "google-tasks",
        "openid email https://www.googleapis.com/auth/tasks",
        "https://tasks.googleapis.com/tasks/v1/users/@me/lists",
    ),
    google(
        "google-drive",
        "openid email https://www.googleapis.com/auth/drive",
        "https://www.googleapis.com/drive/v3/files",
    ),
    google(
        "youtube",
        "openid email https://www.googleapis.com/auth/youtube.force-ssl",
        "https://www.googleapis.com/youtube/v3/channels",
    ),
    google(
        "fitbit",
        "openid email \
         https://www.googleapis.com/auth/googlehealth.activity_and_fitness.readonly \
         https://www.googleapis.com/auth/googlehealth.activity_and_fitness.writeonly \
         https://www.googleapis.com/auth/googlehealth.health_metrics_and_measurements.readonly \
         https://www.googleapis.com/auth/googlehealth.sleep.readonly \
         https://www.googleapis.com/auth/googlehealth.nutrition.readonly \
         https://www.googleapis.com/auth/googlehealth.nutrition.writeonly \
         https://www.googleapis.com/auth/googlehealth.profile.readonly",
        "https://health.googleapis.com/v4/users/me/dataTypes",
    ),
    microsoft(
        "outlook-mail",
        "Mail.ReadWrite Mail.Send User.Read offline_access",
    ),
    microsoft("outlook-calendar", "Calendars.ReadWrite User.Read offline_access"),
    microsoft("onedrive", "Files.ReadWrite User.Read offline_access"),
    microsoft("microsoft-todo", "Tasks.ReadWrite User.Read offline_access"),
    Expected {
        id: "todoist",
        server: "todoist",
        redirect: HTTPS,
        authorize: "https://app.todoist.com/oauth/authorize",
        added: &[],
        scopes: "data:read_write",
        separator: ',',
        pkce: true,
        token: "https://api.todoist.com/oauth/access_token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &["https://api.todoist.com/api/v1/user"],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.todoist.com/api/v1/tasks",
        // It takes the access token alone, and does not say that the refresh token ends with it.
        end: End::Attempt(
            "https://api.todoist.com/api/v1/revoke",
            Proof::Basic,
            &["access_token"],
            "https://app.todoist.com/app/settings/integrations",
        ),
    },
    Expected {
        id: "asana",
        server: "asana",
        redirect: HTTPS,
        authorize: "https://app.asana.com/-/oauth_authorize",
        added: &[],
        scopes: "tasks:read tasks:write projects:read stories:read stories:write users:read workspaces:read",
        separator: ' ',
        pkce: true,
        token: "https://app.asana.com/-/oauth_token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::KeepsToken,
        refresh_added: &[],
        asks: &["https://app.asana.com/api/1.0/users/me"],
        account: ("ada", Some("ada@example.test")),
        api: "https://app.asana.com/api/1.0/tasks",
        end: End::Post(
            "https://app.asana.com/-/oauth_revoke",
            Proof::Post,
            &["refresh_token"],
        ),
    },
    Expected {
        id: "jira",
        server: "atlassian",
        redirect: "http://localhost:8080/callback",
        authorize: "https://auth.atlassian.com/authorize",
        added: &[("audience", "api.atlassian.com"), ("prompt", "consent")],
        scopes: "read:jira-work write:jira-work read:jira-user offline_access",
        separator: ' ',
        pkce: true,
        token: "https://auth.atlassian.com/oauth/token",
        proof: Proof::Post,
        lifetime: Some(3600),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &[
            "https://api.atlassian.com/oauth/token/accessible-resources",
            "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/myself",
        ],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/search/jql",
        end: End::Attempt(
            "https://auth.atlassian.com/oauth/revoke",
            Proof::Post,
            &["refresh_token"],
            "https://id.atlassian.com/manage-profile/apps",
        ),
    },
    Expected {
        id: "clickup",
        server: "clickup",
        redirect: "http://localhost:8080/callback",
        authorize: "https://app.clickup.com/api",
        added: &[],
        scopes: "",
        separator: ' ',
        pkce: false,
        token: "https://api.clickup.com/api/v2/oauth/token",
        proof: Proof::Post,
        lifetime: None,
        refresh: Refresh::Never,
        refresh_added: &[],
        asks: &["https://api.clickup.com/api/v2/user"],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.clickup.com/api/v2/team",
        end: End::ByUser("https://app.clickup.com/settings/apps"),
    },
    Expected {
        id: "gitlab",
        server: "gitlab",
        redirect: "http://127.0.0.1:8080/callback",
        authorize: "https://gitlab.com/oauth/authorize",
        added: &[],
        scopes: "api",
        separator: ' ',
        pkce: true,
        token: "https://gitlab.com/oauth/token",
        proof: Proof::Post,
        lifetime: Some(7200),
        refresh: Refresh::NewToken,
        refresh_added: &["redirect_uri"],
        asks: &["https://gitlab.com/api/v4/user"],
        account: ("ada", Some("ada@example.test")),
        api: "https://gitlab.com/api/v4/projects",
        end: End::Post(
            "https://gitlab.com/oauth/revoke",
            Proof::Post,
            &["refresh_token", "access_token"],
        ),
    },
    Expected {
        id: "oura",
        server: "oura",
        redirect: "http://localhost:8080/callback",
        authorize: "https://moi.ouraring.com/oauth/v2/ext/oauth-authorize",
        added: &[],
        scopes: "email extapi:personal extapi:daily extapi:heartrate extapi:workout extapi:session extapi:tag extapi:spo2 \
                 extapi:stress extapi:heart_health",
        separator: ' ',
        pkce: true,
        token: "https://moi.ouraring.com/oauth/v2/ext/oauth-token",
        proof: Proof::Post,
        lifetime: Some(86_400),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &["https://api.ouraring.com/v2/usercollection/personal_info"],
        account: ("ada", Some("ada@example.test")),
        api: "https://api.ouraring.com/v2/usercollection/sleep",
        end: End::Post(
            "https://moi.ouraring.com/oauth/v2/ext/oauth-revoke",
            Proof::Post,
            &["refresh_token"],
        ),
    },
    Expected {
        id: "spotify",
        server: "spotify",
        redirect: "http://127.0.0.1:8080/callback",
        authorize: "https://accounts.spotify.com/authorize",
        added: &[],
        scopes: "user-read-playback-state user-modify-playback-state user-read-currently-playing \
                 user-read-recently-played playlist-read-private playlist-read-collaborative playlist-modify-public \
                 playlist-modify-private user-library-read user-library-modify",
        separator: ' ',
        pkce: true,
        token: "https://accounts.spotify.com/api/token",
        proof: Proof::Basic,
        lifetime: Some(3600),
        refresh: Refresh::KeepsToken,
        refresh_added: &[],
        asks: &["https://api.spotify.com/v1/me"],
        account: ("ada", None),
        api: "https://api.spotify.com/v1/me/player",
        end: End::Attempt(
            "https://accounts.spotify.com/oauth2/revoke/v1",
            Proof::Basic,
            &["refresh_token"],
            "https://www.spotify.com/account/apps/",
        ),
    },
    Expected {
        id: "smartthings",
        server: "smartthings",
        redirect: HTTPS,
        authorize: "https://api.smartthings.com/v1/oauth/authorize",
        added: &[],
        scopes: "r:devices:* x:devices:* r:locations:* r:scenes:* x:scenes:*",
        separator: ' ',
        pkce: false,
        token: "https://api.smartthings.com/v1/oauth/token",
        proof: Proof::BasicAndId,
        lifetime: Some(86_399),
        refresh: Refresh::NewToken,
        refresh_added: &[],
        asks: &[],
        account: ("ada", None),
        api: "https://api.smartthings.com/v1/devices",
        end: End::Delete("https://api.smartthings.com/v1/installedapps/app-ada"),
    },
];

struct Host {
    sandbox: Sandbox,
    clock: ManualClock,
    connections: Connections,
    resolver: Resolver,
    alice: ActingUser,
}

impl Host {
    fn new(service: &str, server: &str, redirect: &str) -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::playing(service, clock.clone());
        let connections = Connections::builder(MemoryVault::new())
            .client(server, sandbox.registration(redirect))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap_or_else(|error| panic!("{service}: {error}"));
        Self {
            resolver: Resolver::new(connections.clone()),
            sandbox,
            clock,
            connections,
            alice: person("alice"),
        }
    }

    fn connect(&self, service: &str) -> Connection {
        self.try_connect(service, ConsentOptions::default())
            .unwrap_or_else(|error| panic!("{service}: {error}"))
    }

    fn try_connect(&self, service: &str, options: ConsentOptions) -> Result<Connection, Error> {
        let consent = self.connections.start(&self.alice, service, options)?;
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        self.connections
            .complete(&self.alice, response(&callback), consent.binding())
    }

    fn requests_to(&self, address: &str) -> Vec<Logged> {
        let mut log = self.sandbox.log();
        log.retain(|logged| logged.address() == address);
        log
    }
}

/// The names of the body, as a set; a name that comes twice fails.
fn names(logged: &Logged) -> BTreeSet<String> {
    let names: BTreeSet<String> = logged.parameter_names().map(str::to_owned).collect();
    assert_eq!(
        names.len(),
        logged.parameter_names().count(),
        "a parameter comes twice"
    );
    names
}

/// Checks proof and fields of a request to a token or revocation endpoint.
fn check_body(host: &Host, it: &str, logged: &Logged, proof: Proof, fields: &[&str]) {
    assert_eq!(logged.method(), "POST", "{it}");
    assert_eq!(
        logged.header("content-type"),
        Some("application/x-www-form-urlencoded"),
        "{it}"
    );
    assert_eq!(logged.query_pairs().count(), 0, "{it}");
    let mut expected: BTreeSet<String> = fields.iter().map(|name| (*name).to_owned()).collect();
    let (id, secret) = (host.sandbox.client_id(), host.sandbox.client_secret());
    if matches!(proof, Proof::Post | Proof::BasicAndId) {
        expected.insert("client_id".into());
        assert_eq!(logged.parameter("client_id"), Some(id.as_str()), "{it}");
    }
    if proof == Proof::Post {
        expected.insert("client_secret".into());
        assert_eq!(logged.parameter("client_secret"), Some(secret.as_str()), "{it}");
    }
    assert_eq!(names(logged), expected, "{it}");
    match logged.header("authorization") {
        Some(header) => {
            assert!(matches!(proof, Proof::Basic | Proof::BasicAndId), "{it}");
            let text = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            assert_eq!(
                String::from_utf8(text).unwrap(),
                format!("{id}:{encoded}"),
                "{it}"
            );
        }
        None => assert!(matches!(proof, Proof::Post | Proof::Nothing), "{it}"),
    }
}

fn check_consent(host: &Host, expected: &Expected) -> Connection {
    let it = expected.id;
    let consent = host
        .connections
        .start(&host.alice, it, ConsentOptions::default())
        .unwrap();
    let url = consent.authorization_url().clone();
    assert_eq!(url.as_str().split('?').next(), Some(expected.authorize), "{it}");
    let mut query: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(
        query.len(),
        url.query_pairs().count(),
        "{it}: a parameter comes twice"
    );
    let mut take = |name: &str| query.remove(name);
    assert_eq!(take("client_id").as_deref(), Some("sandbox-client"), "{it}");
    assert_eq!(take("redirect_uri").as_deref(), Some(expected.redirect), "{it}");
    assert_eq!(take("response_type").as_deref(), Some("code"), "{it}");
    assert_eq!(take("state").map(|state| state.len()), Some(43), "{it}");
    let scope = take("scope");
    if expected.scopes.is_empty() {
        assert_eq!(scope, None, "{it}");
    } else {
        let sent = scope.unwrap();
        let sent: BTreeSet<&str> = sent.split(expected.separator).collect();
        assert_eq!(sent, expected.scopes.split_ascii_whitespace().collect(), "{it}");
    }
    let method = take("code_challenge_method");
    assert_eq!(method.as_deref(), expected.pkce.then_some("S256"), "{it}");
    assert_eq!(take("code_challenge").is_some(), expected.pkce, "{it}");
    for (name, value) in expected.added {
        assert_eq!(take(name).as_deref(), Some(*value), "{it}");
    }
    assert!(query.is_empty(), "{it}: {query:?}");

    let callback = host.sandbox.approve(&url, "ada");
    let connection = host
        .connections
        .complete(&host.alice, response(&callback), consent.binding())
        .unwrap_or_else(|error| panic!("{it}: {error}"));

    let exchanges = host.requests_to(expected.token);
    assert_eq!(exchanges.len(), 1, "{it}");
    let mut fields = vec!["grant_type", "code", "redirect_uri"];
    fields.extend(expected.pkce.then_some("code_verifier"));
    check_body(host, it, &exchanges[0], expected.proof, &fields);
    assert_eq!(
        exchanges[0].parameter("grant_type"),
        Some("authorization_code"),
        "{it}"
    );
    assert_eq!(
        exchanges[0].parameter("redirect_uri"),
        Some(expected.redirect),
        "{it}"
    );

    let asked: Vec<String> = host
        .sandbox
        .log()
        .iter()
        .filter(|logged| logged.method() == "GET" && logged.address() != expected.authorize)
        .map(|logged| {
            assert!(
                logged
                    .header("authorization")
                    .unwrap()
                    .starts_with("Bearer sbx-at-"),
                "{it}"
            );
            logged.address().to_owned()
        })
        .collect();
    assert_eq!(asked, expected.asks, "{it}");
    let account = connection.account.clone().unwrap();
    assert_eq!(
        (account.id.as_str(), account.email.as_deref()),
        expected.account,
        "{it}"
    );
    let missing = connection.missing_scopes();
    assert!(missing.is_empty(), "{it}: {missing} counts as not granted");
    assert_eq!(connection.refreshable, expected.refresh != Refresh::Never, "{it}");
    connection
}

fn resolved(host: &Host, it: &str) -> String {
    let token = host.resolver.resolve(&host.alice, it);
    let token = token.unwrap_or_else(|error| panic!("{it}: {error}"));
    token.access_token().expose_secret().to_owned()
}

fn check_use(host: &Host, expected: &Expected) {
    let it = expected.id;
    let token = resolved(host, it);
    assert!(host.sandbox.is_live(&token), "{it}");
    let request = http::Request::get(expected.api).body(Vec::new()).unwrap();
    let answer = host.resolver.send(&host.alice, it, request).unwrap();
    assert_eq!(answer.status(), 200, "{it}");
    let sent = host.requests_to(expected.api);
    assert_eq!(
        sent[0].header("authorization"),
        Some(format!("Bearer {token}").as_str()),
        "{it}"
    );
    let elsewhere = http::Request::get("https://elsewhere.test/")
        .body(Vec::new())
        .unwrap();
    assert!(host.resolver.send(&host.alice, it, elsewhere).is_err(), "{it}");
}

fn check_expiry(host: &Host, expected: &Expected) {
    let it = expected.id;
    let before = resolved(host, it);
    let Some(lifetime) = expected.lifetime else {
        host.clock.advance(Duration::from_secs(400 * 24 * 3600));
        assert_eq!(resolved(host, it), before, "{it}");
        assert_eq!(host.requests_to(expected.token).len(), 1, "{it}");
        return;
    };
    // Twice, so that the token of the first refresh is put to the test.
    for round in 1..=2 {
        let held = host
            .requests_to(expected.token)
            .last()
            .and_then(|logged| logged.parameter("refresh_token").map(str::to_owned));
        host.clock.advance(Duration::from_secs(lifetime + 1));
        let after = resolved(host, it);
        assert_ne!(after, before, "{it}");
        assert!(host.sandbox.is_live(&after), "{it}");
        let refreshes = host.requests_to(expected.token);
        assert_eq!(refreshes.len(), 1 + round, "{it}");
        let refresh = refreshes.last().unwrap();
        let mut fields = vec!["grant_type", "refresh_token"];
        fields.extend(expected.refresh_added);
        check_body(host, it, refresh, expected.proof, &fields);
        assert_eq!(refresh.parameter("grant_type"), Some("refresh_token"), "{it}");
        if round == 2 {
            let same = refresh.parameter("refresh_token") == held.as_deref();
            assert_eq!(same, expected.refresh == Refresh::KeepsToken, "{it}");
        }
    }
}

fn check_rejection(host: &Host, expected: &Expected, connection: &Connection) {
    let it = expected.id;
    host.sandbox.revoke_at_server("ada");
    let Some(lifetime) = expected.lifetime else {
        // Nothing to refresh: the API's own no is handed on.
        let request = http::Request::get(expected.api).body(Vec::new()).unwrap();
        assert_eq!(
            host.resolver.send(&host.alice, it, request).unwrap().status(),
            401,
            "{it}"
        );
        return;
    };
    host.clock.advance(Duration::from_secs(lifetime + 1));
    let error = host.resolver.resolve(&host.alice, it).unwrap_err();
    let need = error
        .consent_required()
        .unwrap_or_else(|| panic!("{it}: {error}"));
    assert_eq!(
        (need.reason, need.connection),
        (ConsentReason::Rejected, Some(connection.id)),
        "{it}"
    );
    let stored = host.connections.get(&host.alice, connection.id).unwrap();
    assert!(
        matches!(stored.status, Status::NeedsConsent(_)),
        "{it}: {:?}",
        stored.status
    );
}

fn check_end(host: &Host, expected: &Expected, connection: &Connection) {
    let it = expected.id;
    assert_eq!(
        host.connect(it).id,
        connection.id,
        "{it}: the account comes back to its connection"
    );
    host.sandbox.clear_log();
    let revocation = host.connections.revoke(&host.alice, connection.id).unwrap();
    let log = host.sandbox.log();
    let check = |url: &str, proof: Proof, hints: &[&str]| {
        let found: Vec<_> = log
            .iter()
            .map(|logged| logged.parameter("token_type_hint"))
            .collect();
        let hints: Vec<_> = hints.iter().copied().map(Some).collect();
        // First the tokens of the connection, then what is left of those that the last consent replaced.
        let (own, former) = found.split_at(hints.len().min(found.len()));
        assert_eq!(own, hints, "{it}");
        assert!(former.iter().all(|hint| hints.contains(hint)), "{it}: {former:?}");
        for logged in &log {
            assert_eq!(logged.address(), url, "{it}");
            assert_eq!(logged.status(), 200, "{it}");
            check_body(host, it, logged, proof, &["token", "token_type_hint"]);
            assert!(!host.sandbox.is_live(logged.parameter("token").unwrap()), "{it}");
        }
    };
    match expected.end {
        End::Post(url, proof, hints) => {
            check(url, proof, hints);
            assert_eq!(revocation.at_provider, AtProvider::Revoked, "{it}");
        }
        End::Attempt(url, proof, hints, page) => {
            check(url, proof, hints);
            let url = Some(page.to_owned());
            assert_eq!(revocation.at_provider, AtProvider::Attempted { url }, "{it}");
        }
        End::Delete(url) => {
            assert_eq!(log.len(), 1, "{it}");
            assert_eq!(
                (log[0].method().as_str(), log[0].address(), log[0].body()),
                ("DELETE", url, ""),
                "{it}"
            );
            assert!(
                log[0].header("authorization").unwrap().starts_with("Bearer "),
                "{it}"
            );
            assert!(host.sandbox.live_grants().is_empty(), "{it}");
            assert_eq!(revocation.at_provider, AtProvider::Revoked, "{it}");
        }
        End::ByUser(page) => {
            assert!(log.is_empty(), "{it}");
            assert_eq!(
                revocation.at_provider,
                AtProvider::ByUser { url: page.into() },
                "{it}"
            );
        }
    }
    assert!(host.resolver.resolve(&host.alice, it).is_err(), "{it}");
}

#[test]
fn all_nineteen_walk_from_consent_to_revocation() {
    for expected in &NINETEEN {
        let host = Host::new(expected.id, expected.server, expected.redirect);
        let connection = check_consent(&host, expected);
        check_use(&host, expected);
        check_expiry(&host, expected);
        check_rejection(&host, expected, &connection);
        check_end(&host, expected, &connection);
    }
}

#[test]
fn the_catalogue_and_the_sandbox_know_the_same_services() {
    let catalogue: BTreeSet<String> = catalog::providers().iter().map(|it| it.id.to_string()).collect();
    let played: BTreeSet<String> = Sandbox::playable().iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(catalogue, played);
    let mut walked: BTreeSet<String> = NINETEEN.iter().map(|it| it.id.to_owned()).collect();
    walked.extend(["todoist-legacy".into(), "oura-legacy".into()]);
    assert_eq!(catalogue, walked);
}

#[test]
fn a_callback_address_that_a_service_does_not_take_is_refused_with_what_it_takes() {
    for (server, redirect, says) in [
        ("spotify", "http://localhost:8080/cb", "not to localhost"),
        ("microsoft", "http://127.0.0.1:8080/cb", "http to localhost"),
        ("smartthings", "http://127.0.0.1:8080/cb", "https only"),
        ("asana", "http://localhost:8080/cb", "https only"),
        ("google", "http://app.test/cb", "127.0.0.1"),
    ] {
        let error = Connections::builder(MemoryVault::new())
            .client(
                server,
                valetkey::provider::ClientRegistration::new("id", "secret", redirect),
            )
            .http_client(Sandbox::new(ManualClock::default()))
            .build()
            .unwrap_err();
        assert!(error.to_string().contains(says), "{server}: {error}");
    }
}

#[test]
fn an_old_todoist_app_has_tokens_without_an_end() {
    let host = Host::new("todoist-legacy", "todoist-legacy", HTTPS);
    let connection = host.connect("todoist-legacy");
    assert!(!connection.refreshable);
    assert_eq!(
        connection.issued_by.token_endpoint,
        "https://todoist.com/oauth/access_token"
    );
    host.clock.advance(Duration::from_secs(9 * 365 * 24 * 3600));
    resolved(&host, "todoist-legacy");
}

#[test]
fn an_old_oura_app_has_bare_scopes_and_its_grant_stays_with_its_endpoint() {
    let vault = std::sync::Arc::new(MemoryVault::new());
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing("oura-legacy", clock.clone());
    let build = |legacy: bool| {
        let mut provider = if legacy {
            catalog::oura_legacy()
        } else {
            catalog::oura()
        };
        provider.id = catalog::oura().id;
        provider.replaces_builtin = true;
        let server = provider.server.to_string();
        Connections::builder(std::sync::Arc::clone(&vault))
            .provider(provider)
            .client(&server, sandbox.registration(HTTPS))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap()
    };
    let legacy = build(true);
    let alice = person("alice");
    let consent = legacy.start(&alice, "oura", ConsentOptions::default()).unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let connection = legacy
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();
    // Answered with the prefix, and the same scopes.
    assert!(
        connection.missing_scopes().is_empty(),
        "{}",
        connection.missing_scopes()
    );
    assert!(connection.granted.contains("heartrate"));

    // The host moves on to the new server: the old grant's refresh token does not follow.
    let current = build(false);
    sandbox.clear_log();
    let error = current.refresh(&alice, connection.id).unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::IssuerChanged(_))),
        "{error}"
    );
    assert!(sandbox.log().is_empty());
    legacy.refresh(&alice, connection.id).unwrap();
}

#[test]
fn an_asana_app_with_full_permissions_asks_for_default_and_for_nothing_else() {
    let host = Host::new("asana", "asana", HTTPS);
    let full = ConsentOptions::default().parameter("scope_mode", "full");
    let consent = host.connections.start(&host.alice, "asana", full).unwrap();
    assert_eq!(consent.scopes().to_string(), "default");
    let wrong = ConsentOptions::default().parameter("scope_mode", "both");
    let error = host.connections.start(&host.alice, "asana", wrong).unwrap_err();
    assert!(error.to_string().contains("scope_mode"), "{error}");
}

#[test]
fn a_jira_person_with_a_site_of_another_name_is_told_which_parameter_to_mend() {
    let host = Host::new("jira", "atlassian", HTTPS);
    let other = ConsentOptions::default().parameter("site_url", "https://other.atlassian.net");
    let error = host.try_connect("jira", other.clone()).unwrap_err();
    assert_eq!(error.to_string(), "the parameter \"site_url\" is missing");
    // What was issued for the refused consent does not live on at the provider.
    assert!(host.sandbox.live_grants().is_empty());
    let connection = host.connect("jira");
    assert_eq!(connection.parameters["cloud_id"], "cloud-1");
    // Beside a connection it is left alone: the server might end the connection's tokens together with it.
    let error = host.try_connect("jira", other).unwrap_err();
    assert_eq!(error.to_string(), "the parameter \"site_url\" is missing");
    assert_eq!(host.sandbox.live_grants().len(), 2);
    for evil in [
        "https://evil.test",
        "https://evil.test/acme.atlassian.net",
        "https://atlassian.net",
    ] {
        let evil = ConsentOptions::default().parameter("site_url", evil);
        assert!(host.try_connect("jira", evil).is_err());
    }
    // What people copy from their browser names the site.
    for copied in [
        "https://acme.atlassian.net/jira/your-work?x#y",
        " https://Acme.atlassian.net/\n",
        "acme.atlassian.net",
    ] {
        let options = ConsentOptions::default().parameter("site_url", copied);
        let connection = host.try_connect("jira", options).unwrap();
        assert_eq!(
            connection.parameters["site_url"], "https://acme.atlassian.net",
            "{copied}"
        );
    }
    let older =
        ConsentOptions::default().parameter("site_url", "https://acme.jira.com/secure/Dashboard.jspa");
    let error = host.try_connect("jira", older).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter \"site_url\" is missing",
        "the site is not one of the person's"
    );

    // The token reaches the person's own site and no other behind the same host.
    for (url, allowed) in [
        (
            "https://api.atlassian.com/ex/jira/cloud-1/rest/api/3/issue/A-1",
            true,
        ),
        (
            "https://api.atlassian.com/ex/jira/cloud-2/rest/api/3/issue/A-1",
            false,
        ),
        (
            "https://api.atlassian.com/oauth/token/accessible-resources",
            false,
        ),
        ("https://acme.atlassian.net/rest/api/3/issue/A-1", false),
    ] {
        let request = http::Request::get(url).body(Vec::new()).unwrap();
        assert_eq!(
            host.resolver.send(&host.alice, "jira", request).is_ok(),
            allowed,
            "{url}"
        );
    }
}

#[test]
fn revoking_one_google_service_says_before_which_others_end_with_it() {
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing("gmail", clock.clone());
    let connections = Connections::builder(MemoryVault::new())
        .client("google", sandbox.registration(HTTPS))
        .http_client(sandbox.clone())
        .clock(clock)
        .build()
        .unwrap();
    let alice = person("alice");
    let connect = |provider: &str, account: &str| {
        let consent = connections
            .start(&alice, provider, ConsentOptions::default())
            .unwrap();
        let callback = sandbox.approve(consent.authorization_url(), account);
        connections
            .complete(&alice, response(&callback), consent.binding())
            .unwrap()
    };
    let (mail, calendar, other) = (
        connect("gmail", "ada"),
        connect("google-calendar", "ada"),
        connect("gmail", "grace"),
    );
    let together = connections.revoked_together(&alice, mail.id).unwrap();
    assert_eq!(together.iter().map(|it| it.id).collect::<Vec<_>>(), [calendar.id]);
    assert_eq!(connections.revoked_together(&alice, other.id).unwrap(), []);
    connections.revoke(&alice, mail.id).unwrap();
    assert_eq!(
        sandbox.live_grants().len(),
        1,
        "the server has ended the calendar too"
    );
}
