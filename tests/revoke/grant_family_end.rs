//! The end of a grant that serves several services: one by one, all at once, and during a refresh.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

use valetkey::connections::{AtProvider, AuditPage, Budget, HealthState};
use valetkey::error::ConsentReason;
use valetkey::model::{ConnectionId, EventKind, Status};
use valetkey::testing::{Fault, Gate};
use valetkey::vault::{AuditKind, MasterKey, SqliteVault};
use valetkey::{Connections, ConsentOptions, Resolver};

use crate::support::family::{GOOGLE, Host, vaults};
use crate::support::world::{REDIRECT, operator};

#[test]
fn a_mistaken_refusal_is_undone_for_all_by_one_request() {
    let host = Host::new(GOOGLE);
    let [mail, calendar] = host.two(GOOGLE);
    host.expire();
    let mistake = Fault::Status(400, "{\"error\":\"invalid_grant\"}".into());
    host.http.on("/token").next(mistake);
    assert_eq!(host.refusal("google-calendar"), ConsentReason::Rejected);
    assert_eq!(host.refusal("gmail"), ConsentReason::Rejected);
    for connection in [&mail, &calendar] {
        let health = host.connections.health(&host.alice, connection.id).unwrap();
        assert!(matches!(health.state, HealthState::NeedsConsent(_)), "{health:?}");
    }
    let retried = host
        .connections
        .retry_rejected(&operator(), "gmail", None, 9)
        .unwrap();
    assert_eq!((retried.restored, retried.refused, retried.failed), (1, 0, 0));
    assert_eq!(host.token("gmail"), host.token("google-calendar"));
    let nothing = host
        .connections
        .retry_rejected(&operator(), "google-calendar", None, 9)
        .unwrap();
    assert_eq!(nothing.restored, 0, "it was the same grant");
}

#[test]
fn the_whole_grant_can_be_ended_at_once() {
    let host = Host::new(GOOGLE);
    let [mail, calendar] = host.two(GOOGLE);
    let drive = host.connect("google-drive", ConsentOptions::default());
    let token = host.token("gmail");
    let revocation = host.connections.revoke_grant(&host.alice, calendar.id).unwrap();
    assert_eq!(revocation.connection.id, calendar.id);
    assert_eq!(revocation.at_provider, AtProvider::Revoked);
    assert_eq!(host.revocations(), 1);
    for ended in [&mail, &calendar] {
        let history = host.connections.get(&host.alice, ended.id).unwrap();
        assert_eq!(history.status, Status::Revoked);
    }
    assert!(!host.sandbox.is_live(&token));
    assert_eq!(
        host.of("google-drive").id,
        drive.id,
        "here it stays; the provider has ended it too"
    );
    let revoked: BTreeSet<_> = host
        .events
        .all()
        .into_iter()
        .filter(|event| event.kind == EventKind::Revoked)
        .map(|event| event.connection.unwrap())
        .collect();
    assert_eq!(revoked, BTreeSet::from([mail.id, calendar.id]));
    // A connection that does not share its grant is revoked as usual.
    let alone = host.connections.revoke_grant(&host.alice, drive.id).unwrap();
    assert_eq!(alone.connection.status, Status::Revoked);
}

#[test]
fn a_provider_that_does_not_answer_is_asked_again_for_the_last_one() {
    let host = Host::new(GOOGLE);
    let [mail, calendar] = host.two(GOOGLE);
    host.connections.revoke(&host.alice, mail.id).unwrap();
    host.http.on("/revoke").next(Fault::Timeout);
    let revocation = host.connections.revoke(&host.alice, calendar.id).unwrap();
    assert!(matches!(revocation.at_provider, AtProvider::Unconfirmed { .. }));
    host.clock.advance(Duration::from_secs(3600));
    let upkeep = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!(upkeep.revocations_settled, 1);
    assert!(host.sandbox.live_grants().is_empty());
}

#[test]
fn the_audit_and_the_receipt_name_only_what_people_know() {
    let host = Host::new(GOOGLE);
    let [mail, calendar] = host.two(GOOGLE);
    host.connections.revoke(&host.alice, mail.id).unwrap();
    let told = |id: ConnectionId| -> Vec<(AuditKind, Option<String>)> {
        let entries = host.connections.audit(&host.alice, &AuditPage::of(id)).unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.kind, entry.detail))
            .collect()
    };
    assert_eq!(
        told(mail.id),
        [
            (AuditKind::ConsentCompleted, None),
            (AuditKind::Revoked, Some("grant_still_used".into()))
        ]
    );
    assert_eq!(told(calendar.id), [(AuditKind::ConsentCompleted, None)]);
    let receipt = host
        .connections
        .forget_user(&operator(), host.alice.user())
        .unwrap()
        .unwrap();
    assert_eq!(receipt.connections, 2);
    let upkeep = host.connections.maintain(Budget::default()).unwrap();
    assert_eq!((upkeep.refreshed, upkeep.failed), (0, 0));
}

/// A refresh in progress belongs to the remaining connections; the revoked one gets no token.
#[test]
fn who_leaves_during_a_refresh_gets_no_token_and_loses_nobody_elses() {
    let holds: [fn(Gate) -> Fault; 2] = [Fault::Hold, Fault::HoldAnswer];
    for (vault, hold) in vaults().iter().flat_map(|vault| holds.map(|hold| (vault, hold))) {
        let host = Host::over(GOOGLE, vault());
        let [mail, calendar] = host.two(GOOGLE);
        host.expire();
        let gate = Gate::new();
        host.http.on("/token").next(hold(gate.clone()));
        std::thread::scope(|scope| {
            let leaving = scope.spawn(|| host.resolver.resolve(&host.alice, "gmail"));
            gate.wait_for_arrivals(1);
            let revocation = host.connections.revoke(&host.alice, mail.id).unwrap();
            assert_eq!(revocation.at_provider, AtProvider::StillUsedBy(vec![calendar.id]));
            gate.open();
            let error = leaving.join().unwrap().unwrap_err();
            let need = error.consent_required().unwrap();
            assert_eq!(
                (need.reason, need.connection),
                (ConsentReason::NotConnected, Some(mail.id))
            );
        });
        let token = host.token("google-calendar");
        assert!(host.sandbox.is_live(&token));
        assert_eq!(
            host.of("google-calendar").generation,
            2,
            "the refresh is stored, once"
        );
        assert_eq!((host.token_requests().len(), host.revocations()), (2, 0));
    }
}

/// The last connection is revoked during a refresh: the late token is revoked as well.
#[test]
fn the_last_to_leave_takes_a_late_token_along() {
    for vault in vaults() {
        let host = Host::over(GOOGLE, vault());
        let [mail, calendar] = host.two(GOOGLE);
        host.connections.revoke(&host.alice, mail.id).unwrap();
        host.expire();
        let gate = Gate::new();
        host.http.on("/token").next(Fault::HoldAnswer(gate.clone()));
        std::thread::scope(|scope| {
            let late = scope.spawn(|| host.resolver.resolve(&host.alice, "google-calendar"));
            gate.wait_for_arrivals(1);
            host.connections.revoke(&host.alice, calendar.id).unwrap();
            gate.open();
            let error = late.join().unwrap().unwrap_err();
            assert_eq!(
                error.consent_required().unwrap().reason,
                ConsentReason::NotConnected
            );
        });
        assert!(host.sandbox.live_grants().is_empty());
        assert_eq!(host.revocations(), 2, "of the grant, and of what came late");
    }
}

/// The last connection moves to a separate grant while the old one is being refreshed: the late
/// token is dropped instead of revoked, because revoking it would end the new grant too.
#[test]
fn a_late_token_of_a_grant_that_was_left_does_not_end_the_new_one() {
    for vault in vaults() {
        let host = Host::over(GOOGLE, vault());
        let [mail, calendar] = host.two(GOOGLE);
        host.connections.revoke(&host.alice, mail.id).unwrap();
        host.expire();
        let gate = Gate::new();
        host.http.on("/token").next(Fault::HoldAnswer(gate.clone()));
        let own = std::thread::scope(|scope| {
            let late = scope.spawn(|| host.resolver.resolve(&host.alice, "google-calendar"));
            gate.wait_for_arrivals(1);
            let again = host.connect("google-calendar", ConsentOptions::default());
            assert_eq!(again.id, calendar.id);
            assert_ne!(again.grant, calendar.grant);
            gate.open();
            let token = late.join().unwrap().unwrap();
            token.access_token().expose_secret().to_owned()
        });
        assert_eq!(
            host.token("google-calendar"),
            own,
            "whoever waited has the new one"
        );
        assert!(host.sandbox.is_live(&own));
        assert_eq!(host.revocations(), 0);
    }
}

/// Many concurrent turns for several services, while one service is connected and revoked: one
/// refresh for each generation, and no turn ever gets another grant's token.
#[test]
fn a_herd_over_several_services_makes_one_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault.db");
    let key = MasterKey::generate().unwrap();
    let open = || SqliteVault::open(&path, MasterKey::from_base64(&key.to_base64()).unwrap()).unwrap();
    let host = Host::over(GOOGLE, open());
    host.two(GOOGLE);
    // A second handle on the same file acts as a second process: they share only the file.
    let other = Connections::builder(open())
        .client("google", host.sandbox.registration(REDIRECT))
        .http_client(host.http.clone())
        .clock(host.clock.clone())
        .build()
        .unwrap();
    let resolvers = [host.resolver.clone(), Resolver::new(other)];
    for round in 1..=3_usize {
        host.expire();
        let start = Barrier::new(16);
        let tokens: BTreeSet<String> = std::thread::scope(|scope| {
            let turns: Vec<_> = (0..16)
                .map(|turn| {
                    let (resolver, start, alice) = (&resolvers[turn % 2], &start, &host.alice);
                    let service = GOOGLE.services[turn / 2 % 2];
                    scope.spawn(move || {
                        start.wait();
                        let token = resolver.resolve(alice, service).unwrap();
                        token.access_token().expose_secret().to_owned()
                    })
                })
                .collect();
            turns.into_iter().map(|turn| turn.join().unwrap()).collect()
        });
        assert_eq!(tokens.len(), 1, "one token for all");
        assert_eq!(host.token_requests().len(), 1 + round, "one request for all");
    }
}
