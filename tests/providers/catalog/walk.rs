//! Walks one service and compares it with the expectations.

use super::expected::*;
use super::*;

/// Returns the names in the body as a set; a duplicate name fails the test.
fn names(logged: &Logged) -> BTreeSet<String> {
    let names: BTreeSet<String> = logged.parameter_names().map(str::to_owned).collect();
    assert_eq!(
        names.len(),
        logged.parameter_names().count(),
        "a parameter comes twice"
    );
    names
}

/// Checks the client authentication and the fields of a request to a token or revocation endpoint.
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
    // Twice, so that the second refresh uses the token of the first.
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
        // A refresh is not possible: the API's refusal is passed on.
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
        // First the tokens of the connection, then the remaining ones of the grant that the last
        // consent replaced.
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
