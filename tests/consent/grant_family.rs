//! One consent for several services: one grant, and a connection for each service.

use std::collections::BTreeSet;
use std::time::Duration;

use valetkey::connections::{AtProvider, Budget, HealthState};
use valetkey::error::{ConsentError, ConsentReason};
use valetkey::model::{Connection, EventKind, Scopes, Status};
use valetkey::testing::{FaultClient, ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{Connections, ConsentOptions, Error};

use crate::support::family::{FAMILIES, Family, GOOGLE, Host, LOCAL, has, names, parameter, scopes_of};
use crate::support::world::{REDIRECT, person, response};

#[test]
fn one_consent_for_two_services_asks_for_the_scopes_of_both() {
    for family in &FAMILIES {
        let host = Host::new(family);
        let [first, second, _] = family.services;
        let it = family.server;
        let (url, named) = host.walk(first, "ada", ConsentOptions::default().also(second));
        assert_eq!(named.unwrap().provider.as_str(), first, "{it}");
        let asked = scopes_of(&url);
        for (scope, expected) in family.scopes.iter().zip([true, true, false]) {
            assert_eq!(asked.contains(*scope), expected, "{it}: {asked:?}");
        }
        let extends = parameter(&url, "include_granted_scopes");
        assert_eq!(extends, None, "{it}: nothing is extended");
        assert_eq!(host.token_requests().len(), 1, "{it}: one code");
    }
}

#[test]
fn each_service_of_a_consent_has_a_connection_of_its_own() {
    for family in &FAMILIES {
        let host = Host::new(family);
        let [named, other] = host.two(family);
        let it = family.server;
        assert_eq!(
            host.of(family.services[0]),
            named,
            "{it}: what complete gives is what is stored"
        );
        assert_eq!(named.grant, other.grant, "{it}");
        assert_eq!(named.account, other.account, "{it}");
        for (connection, own, foreign) in [(&named, 0, 1), (&other, 1, 0)] {
            let granted = &connection.granted;
            assert!(has(granted, family.scopes[own]), "{it}: {granted:?}");
            assert!(!has(granted, family.scopes[foreign]), "{it}: {granted:?}");
            assert!(connection.missing_scopes().is_empty(), "{it}");
            let health = host.connections.health(&host.alice, connection.id).unwrap();
            assert!(matches!(health.state, HealthState::Healthy { .. }), "{it}");
        }
        let sharing = host.connections.sharing(&host.alice, named.id).unwrap();
        assert_eq!(sharing, std::slice::from_ref(&other), "{it}");
        let completed: Vec<_> = host
            .events
            .all()
            .into_iter()
            .filter(|event| event.kind == EventKind::ConsentCompleted)
            .map(|event| event.connection)
            .collect();
        let each = [Some(named.id), Some(other.id)];
        assert_eq!(completed, each, "{it}: an event for each");
    }
}

#[test]
fn one_refresh_serves_every_service_of_a_grant() {
    for family in &FAMILIES {
        let host = Host::new(family);
        host.two(family);
        let [first, second, _] = family.services;
        let it = family.server;
        assert_eq!(host.token(first), host.token(second), "{it}");
        host.expire();
        let refreshed = host.token(second);
        assert_eq!(host.token(first), refreshed, "{it}");
        assert_eq!(host.token_requests().len(), 2, "{it}: one refresh");
        let generations = (host.of(first).generation, host.of(second).generation);
        assert_eq!(generations, (2, 2), "{it}");
    }
}

/// The requested scopes depend on whether the server adds to a grant.
#[test]
fn a_third_service_is_asked_for_by_what_the_server_needs() {
    for family in &FAMILIES {
        let host = Host::new(family);
        let [_, other] = host.two(family);
        let it = family.server;
        let options = ConsentOptions::default().extending(other.id);
        let (url, _) = host.walk(family.services[2], "ada", options);
        let asked = scopes_of(&url);
        assert!(asked.contains(family.scopes[2]), "{it}: {asked:?}");
        let expected = family.adds.is_none();
        for scope in &family.scopes[..2] {
            assert_eq!(asked.contains(*scope), expected, "{it}: {asked:?}");
        }
        let mut wanted: BTreeSet<_> = [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "redirect_uri",
            "response_type",
            "scope",
            "state",
        ]
        .map(str::to_owned)
        .into();
        match family.adds {
            Some((name, value)) => {
                assert_eq!(parameter(&url, name).as_deref(), Some(value), "{it}");
                wanted.extend([name, "access_type", "prompt"].map(str::to_owned));
                assert_eq!(asked.len(), 1, "{it}: only what is missing: {asked:?}");
            }
            None => wanted.extend(["response_mode".to_owned()]),
        }
        assert_eq!(names(&url), wanted, "{it}: no other parameter");
    }
}

/// Returns a host with all services of a family in one grant.
fn all_three(family: &Family) -> (Host, [Connection; 3]) {
    let host = Host::new(family);
    let [first, second] = host.two(family);
    let options = ConsentOptions::default().extending(second.id);
    let third = host.connect(family.services[2], options);
    (host, [first, second, third])
}

#[test]
fn a_third_service_brings_all_into_the_new_grant() {
    for family in &FAMILIES {
        let (host, [first, _, third]) = all_three(family);
        let it = family.server;
        assert_ne!(third.grant, first.grant, "{it}: a consent makes a new grant");
        for service in family.services {
            assert_eq!(host.token(service), host.token(family.services[0]), "{it}");
            let connection = host.of(service);
            assert_eq!(connection.grant, third.grant, "{it}: all use the new one");
            assert_eq!(connection.generation, 2, "{it}");
            let missing = connection.missing_scopes();
            assert!(missing.is_empty(), "{it}: {service}: {missing:?}");
        }
        assert_eq!(host.of(family.services[0]).id, first.id, "{it}");
    }
}

#[test]
fn a_service_that_leaves_a_grant_sends_nothing_and_the_others_go_on() {
    for family in &FAMILIES {
        let (host, [first, second, third]) = all_three(family);
        let it = family.server;
        let together = host.connections.revoked_together(&host.alice, first.id).unwrap();
        assert!(together.is_empty(), "{it}");
        let requests = host.sandbox.log().len();
        let revocation = host.connections.revoke(&host.alice, first.id).unwrap();
        let mut left = vec![second.id, third.id];
        left.sort();
        assert_eq!(revocation.at_provider, AtProvider::StillUsedBy(left), "{it}");
        assert_eq!(revocation.connection.status, Status::Revoked, "{it}");
        assert_eq!(host.sandbox.log().len(), requests, "{it}: nothing was sent");
        let refusal = host.refusal(family.services[0]);
        assert_eq!(refusal, ConsentReason::NotConnected, "{it}");
        for service in &family.services[1..] {
            assert_eq!(host.token(service), host.token(family.services[1]), "{it}");
        }
        host.expire();
        host.token(family.services[1]);
    }
}

#[test]
fn the_last_service_takes_the_grant_with_it() {
    for family in &FAMILIES {
        let (host, [first, second, third]) = all_three(family);
        let it = family.server;
        for gone in [first, second] {
            let revocation = host.connections.revoke(&host.alice, gone.id).unwrap();
            let at_provider = revocation.at_provider;
            assert!(matches!(at_provider, AtProvider::StillUsedBy(_)), "{it}");
        }
        let last = host.token(family.services[2]);
        let revocation = host.connections.revoke(&host.alice, third.id).unwrap();
        if family.ends {
            assert_eq!(revocation.at_provider, AtProvider::Revoked, "{it}");
            assert!(host.sandbox.live_grants().is_empty(), "{it}");
            assert!(!host.sandbox.is_live(&last), "{it}");
        } else {
            let at_provider = revocation.at_provider;
            assert!(matches!(at_provider, AtProvider::ByUser { .. }), "{it}");
        }
        for service in family.services {
            assert_eq!(host.refusal(service), ConsentReason::NotConnected, "{it}");
        }
    }
}

#[test]
fn maintain_and_a_forced_refresh_make_one_request_for_all() {
    let host = Host::new(GOOGLE);
    let [mail, calendar] = host.two(GOOGLE);
    host.clock.advance(Duration::from_secs(3500));
    let upkeep = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.refreshed, 1);
    assert_eq!(host.token_requests().len(), 2);
    let refreshed = host.connections.refresh(&host.alice, calendar.id).unwrap();
    assert_eq!((refreshed.id, refreshed.generation), (calendar.id, 3));
    assert_eq!(host.of("gmail").generation, 3);
    let kinds: Vec<_> = host
        .events
        .all()
        .into_iter()
        .filter(|event| event.kind == EventKind::Refreshed)
        .map(|event| event.connection.unwrap())
        .collect();
    let mut each = [mail.id, calendar.id];
    each.sort();
    assert_eq!(kinds, [each, each].concat(), "each is told of");
}

#[test]
fn another_account_is_refused_and_the_grant_stays_as_it_was() {
    for family in &FAMILIES {
        let host = Host::new(family);
        let [mail, calendar] = host.two(family);
        let token = host.token(family.services[0]);
        let options = ConsentOptions::default().extending(mail.id);
        let (_, refused) = host.walk(family.services[2], "grace", options);
        assert!(
            matches!(refused, Err(Error::Consent(ConsentError::AccountMismatch))),
            "{refused:?}"
        );
        assert_eq!(
            (host.of(family.services[0]), host.of(family.services[1])),
            (mail, calendar)
        );
        assert_eq!(host.token(family.services[0]), token);
        assert_eq!(host.refusal(family.services[2]), ConsentReason::NotConnected);
        assert!(host.sandbox.is_live(&token));
    }
}

#[test]
fn what_no_grant_can_serve_together_is_refused_before_any_request() {
    let clock = ManualClock::default();
    let sandbox = Sandbox::playing("gmail", clock.clone());
    let http = FaultClient::new(sandbox.clone());
    let connections = Connections::builder(SealedVault::in_memory())
        .client("google", sandbox.registration(REDIRECT))
        .client("microsoft", sandbox.registration(LOCAL))
        .http_client(http.clone())
        .clock(clock)
        .build()
        .unwrap();
    let alice = person("alice");
    let start = |service: &str, options| connections.start(&alice, service, options);
    let refused = start("gmail", ConsentOptions::default().also("outlook-mail")).unwrap_err();
    assert!(
        matches!(&refused, Error::NotOneGrant(it) if it.as_str() == "outlook-mail"),
        "{refused}"
    );
    let unknown = start("gmail", ConsentOptions::default().also("nothing")).unwrap_err();
    assert!(matches!(unknown, Error::UnknownProvider { .. }), "{unknown}");
    let consent = start("gmail", ConsentOptions::default()).unwrap();
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    let mail = connections
        .complete(&alice, response(&callback), consent.binding())
        .unwrap();
    let before = http.requests();
    let refused = start("outlook-mail", ConsentOptions::default().extending(mail.id)).unwrap_err();
    assert!(
        matches!(&refused, Error::NotOneGrant(it) if it.as_str() == "outlook-mail"),
        "{refused}"
    );
    let bob = person("bob");
    let foreign = connections.start(&bob, "google-drive", ConsentOptions::default().extending(mail.id));
    assert!(
        matches!(foreign, Err(Error::NotFound)),
        "another person's grant does not exist"
    );
    assert_eq!(http.requests(), before);
    connections.revoke(&alice, mail.id).unwrap();
    let gone = start("google-drive", ConsentOptions::default().extending(mail.id));
    assert!(
        matches!(gone, Err(Error::NotFound)),
        "what is revoked has no grant to extend"
    );
}

#[test]
fn an_ordinary_connection_is_extended_and_keeps_its_name() {
    for family in &FAMILIES {
        let host = Host::new(family);
        let [first, second, _] = family.services;
        let alone = host.connect(first, ConsentOptions::default());
        let joined = host.connect(second, ConsentOptions::default().extending(alone.id));
        let extended = host.of(first);
        assert_eq!((extended.id, extended.grant), (alone.id, joined.grant));
        assert_eq!(extended.requested, alone.requested);
        assert!(extended.missing_scopes().is_empty());
        assert_eq!(host.token(first), host.token(second));
        // The same service with more scopes remains a separate connection.
        let single = Host::new(family);
        let alone = single.connect(first, ConsentOptions::default());
        let more = Scopes::new([family.scopes[2]]).unwrap();
        let options = ConsentOptions::default().scopes(more).extending(alone.id);
        let (url, extended) = single.walk(first, "ada", options);
        let extended = extended.unwrap();
        assert_eq!((extended.id, extended.generation), (alone.id, 2));
        let sharing = single.connections.sharing(&single.alice, extended.id).unwrap();
        assert!(sharing.is_empty());
        assert!(has(&extended.granted, family.scopes[0]) && has(&extended.granted, family.scopes[2]));
        assert_eq!(scopes_of(&url).contains(family.scopes[0]), family.adds.is_none());
    }
}

#[test]
fn a_service_that_was_connected_by_itself_becomes_part_of_the_grant() {
    let host = Host::new(GOOGLE);
    let mail = host.connect("gmail", ConsentOptions::default());
    let drive = host.connect("google-drive", ConsentOptions::default());
    let old = host.token("google-drive");
    host.expire();
    host.token("google-drive");
    assert_eq!(host.of("google-drive").generation, 2);
    let joined = host.connect("google-drive", ConsentOptions::default().extending(mail.id));
    assert_eq!(joined.id, drive.id, "it keeps its id");
    assert_eq!(joined.generation, 3, "no generation falls");
    assert_eq!(host.of("gmail").grant, joined.grant);
    assert_eq!(host.token("gmail"), host.token("google-drive"));
    assert_ne!(host.token("gmail"), old);
    assert_eq!(
        host.revocations(),
        0,
        "to revoke the old tokens would end the new ones"
    );
    assert!(!host.sandbox.live_grants().is_empty());
}

#[test]
fn a_service_that_is_connected_again_by_itself_leaves_the_grant() {
    let host = Host::new(GOOGLE);
    let [mail, calendar] = host.two(GOOGLE);
    let again = host.connect("gmail", ConsentOptions::default());
    assert_eq!(again.id, mail.id);
    assert_ne!(again.grant, calendar.grant);
    assert_ne!(host.token("gmail"), host.token("google-calendar"));
    assert_eq!(host.of("google-calendar"), calendar);
    assert!(
        host.connections
            .sharing(&host.alice, calendar.id)
            .unwrap()
            .is_empty()
    );
    // If it has a separate grant, the provider's revocation ends both, which is reported
    // beforehand.
    let together = host.connections.revoked_together(&host.alice, again.id).unwrap();
    assert_eq!(together.iter().map(|it| it.id).collect::<Vec<_>>(), [calendar.id]);
}

#[test]
fn to_reconnect_one_replaces_the_grant_for_all() {
    for family in &FAMILIES {
        let host = Host::new(family);
        let [mail, calendar] = host.two(family);
        host.sandbox.revoke_at_server("ada");
        host.expire();
        assert_eq!(host.refusal(family.services[1]), ConsentReason::Rejected);
        for service in &family.services[..2] {
            let error = host.resolver.resolve(&host.alice, *service).unwrap_err();
            let need = error.consent_required().unwrap();
            assert_eq!(
                need.provider.as_str(),
                *service,
                "each need is about its own service"
            );
            assert_eq!(need.connection, Some(host.of(service).id));
        }
        assert_eq!(host.token_requests().len(), 2, "a dead grant is asked about once");
        let needed: Vec<_> = host
            .events
            .all()
            .into_iter()
            .filter(|event| matches!(event.kind, EventKind::ConsentNeeded(_)))
            .map(|event| event.connection.unwrap())
            .collect();
        let mut each = [mail.id, calendar.id];
        each.sort();
        assert_eq!(needed, each);
        let error = host
            .resolver
            .resolve(&host.alice, family.services[1])
            .unwrap_err();
        let options = ConsentOptions::from(error.consent_required().unwrap());
        let (url, again) = host.walk(family.services[1], "ada", options);
        let asked = scopes_of(&url);
        assert!(
            asked.contains(family.scopes[0]) && asked.contains(family.scopes[1]),
            "{asked:?}"
        );
        assert_eq!(again.unwrap().grant, host.of(family.services[0]).grant);
        assert_eq!(host.token(family.services[0]), host.token(family.services[1]));
    }
}

// n8n-io/n8n#6268, nextcloud/integration_google#79: a scope was declined, and the failure came
// later.
#[test]
fn an_unticked_service_says_which_scopes_it_misses() {
    let host = Host::new(GOOGLE);
    let options = ConsentOptions::default().also("google-calendar");
    let consent = host.connections.start(&host.alice, "gmail", options).unwrap();
    let ticked: Vec<_> = scopes_of(consent.authorization_url())
        .into_iter()
        .filter(|scope| scope != GOOGLE.scopes[1])
        .collect();
    let callback = host
        .sandbox
        .approve_some(consent.authorization_url(), "ada", &ticked);
    let mail = host
        .connections
        .complete(&host.alice, response(&callback), consent.binding())
        .unwrap();
    assert!(mail.missing_scopes().is_empty());
    let calendar = host.of("google-calendar");
    assert!(has(&calendar.missing_scopes(), GOOGLE.scopes[1]));
    let options = valetkey::resolver::ResolveOptions::new("google-calendar")
        .scopes(Scopes::new([GOOGLE.scopes[1]]).unwrap());
    let error = host.resolver.resolve(&host.alice, &options).unwrap_err();
    let need = error.consent_required().unwrap();
    assert_eq!(
        (need.reason, need.connection),
        (ConsentReason::MissingScopes, Some(calendar.id))
    );
    let again = host.connect("google-calendar", ConsentOptions::from(need));
    assert!(again.missing_scopes().is_empty());
    assert_eq!(again.grant, host.of("gmail").grant);
}

#[test]
fn an_answer_without_a_refresh_token_leaves_the_old_one_in_force() {
    let host = Host::new(GOOGLE);
    let [mail, _] = host.two(GOOGLE);
    host.sandbox
        .adjust(|personality| personality.issues_refresh_tokens = false);
    let drive = host.connect("google-drive", ConsentOptions::default().extending(mail.id));
    assert!(drive.refreshable);
    host.expire();
    host.token("google-drive");
    host.token("gmail");
    let refreshes: Vec<_> = host
        .token_requests()
        .into_iter()
        .filter(|logged| logged.parameter("grant_type") == Some("refresh_token"))
        .collect();
    assert_eq!(refreshes.len(), 1);
}

#[test]
fn a_prepared_consent_remembers_what_it_was_for() {
    let host = Host::new(GOOGLE);
    let options = ConsentOptions::default().also("google-calendar");
    let prepared = host.connections.prepare(&host.alice, "gmail", options).unwrap();
    let consent = host
        .connections
        .open_link(&host.alice, prepared.ticket())
        .unwrap();
    let callback = host.sandbox.approve(consent.authorization_url(), "ada");
    let mail = host
        .connections
        .complete(&host.alice, response(&callback), consent.binding())
        .unwrap();
    assert_eq!(host.of("google-calendar").grant, mail.grant);
    let options = ConsentOptions::default().extending(mail.id);
    let prepared = host
        .connections
        .prepare(&host.alice, "google-drive", options)
        .unwrap();
    let consent = host
        .connections
        .open_link(&host.alice, prepared.ticket())
        .unwrap();
    assert_eq!(scopes_of(consent.authorization_url()).len(), 1);
    let refused = host
        .connections
        .prepare(&host.alice, "gmail", ConsentOptions::default().also("todoist"));
    assert!(refused.is_err(), "what start would refuse is refused at once");
}
