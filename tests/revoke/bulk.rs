//! The revocation of many connections at once.

use std::collections::BTreeSet;
use std::time::Duration;

use valetkey::connections::{AtProvider, Budget, ConnectionFilter, Settings};
use valetkey::model::{EventKind, Status};
use valetkey::testing::{Fault, Gate, Host};
use valetkey::{ConnectionManager, Operator};

use crate::support::family::{self, GOOGLE};
use crate::support::world::operator;

fn of(host: &Host, user: &str) -> ConnectionFilter {
    ConnectionFilter::default().user(host.user(user).user().clone())
}

#[test]
fn a_filter_selects_what_is_revoked_in_the_own_workspace_alone() {
    let host = Host::new();
    let (ada, bob, olga) = (host.user("ada"), host.user("bob"), host.operator("olga"));
    let notes = host.connect(&ada, "notes");
    let mail = host.connect(&ada, "mail");
    let kept = host.connect(&bob, "notes");
    host.connect_workspace(&olga, "notes");
    let manager: &dyn ConnectionManager = &host.connections;
    let elsewhere = Operator::authenticated("elsewhere", "olga").unwrap();
    assert!(
        manager
            .revoke_all(&elsewhere, &of(&host, "ada"))
            .unwrap()
            .is_empty()
    );

    let reports = manager.revoke_all(&olga, &of(&host, "ada")).unwrap();
    let ended: BTreeSet<_> = reports.iter().map(|report| report.connection.id).collect();
    assert_eq!(ended, BTreeSet::from([notes.id, mail.id]));
    for report in &reports {
        assert_eq!(report.at_provider, AtProvider::Revoked);
        assert_eq!(report.connection.status, Status::Revoked);
    }
    assert_eq!(
        host.connections.get(&bob, kept.id).unwrap().status,
        Status::Active
    );
    assert_eq!(host.sandbox.live_grants().len(), 2);
    assert!(
        manager.revoke_all(&olga, &of(&host, "ada")).unwrap().is_empty(),
        "nothing is left"
    );
    // All connections to a service, a page at a time.
    let service = ConnectionFilter::provider("notes").limit(1);
    let mut rounds = 0;
    while !manager.revoke_all(&olga, &service).unwrap().is_empty() {
        rounds += 1;
    }
    assert_eq!(rounds, 2, "that of Bob and the workspace connection");
    let revoked = host
        .events
        .kinds()
        .into_iter()
        .filter(|kind| *kind == EventKind::Revoked);
    assert_eq!(revoked.count(), 4);
}

#[test]
fn all_access_ends_here_before_a_provider_is_asked() {
    let host = Host::new();
    let olga = host.operator("olga");
    for service in ["notes", "mail"] {
        host.connect(&host.user("ada"), service);
    }
    let gate = Gate::new();
    host.http.on("/revoke").next(Fault::Hold(gate.clone()));
    std::thread::scope(|scope| {
        let revoking = scope.spawn(|| host.connections.revoke_all(&olga, &of(&host, "ada")));
        gate.wait_for_arrivals(1);
        // One provider has not answered yet, and no connection yields a token any more.
        for service in ["notes", "mail"] {
            assert!(host.resolver.resolve(&host.user("ada"), service).is_err());
        }
        gate.open();
        let reports = revoking.join().unwrap().unwrap();
        assert!(
            reports
                .iter()
                .all(|report| report.at_provider == AtProvider::Revoked)
        );
    });
}

#[test]
fn upkeep_continues_where_the_time_ends() {
    let host = Host::builder()
        .connections(|_, builder| builder.settings(Settings::default().resolve_deadline(Duration::ZERO)))
        .build()
        .unwrap();
    let olga = host.operator("olga");
    host.connect(&host.user("ada"), "notes");
    let reports = host.connections.revoke_all(&olga, &of(&host, "ada")).unwrap();
    assert_eq!(
        reports[0].at_provider,
        AtProvider::Unconfirmed { retry_after: None }
    );
    assert_eq!(host.sandbox.count("/revoke"), 0);
    assert_eq!(host.sandbox.live_grants().len(), 1);
    host.clock.advance(Duration::from_secs(600));
    host.connections.maintain(Budget::default()).unwrap();
    assert!(host.sandbox.live_grants().is_empty());
}

#[test]
fn connections_that_share_a_grant_end_together() {
    let host = family::Host::new(GOOGLE);
    host.two(GOOGLE);
    let filter = ConnectionFilter::default().user(host.alice.user().clone());
    let reports = host.connections.revoke_all(&operator(), &filter).unwrap();
    assert_eq!(reports.len(), 2);
    for report in &reports {
        assert_eq!(report.at_provider, AtProvider::Revoked, "none of them is in use");
    }
    assert_eq!(host.revocations(), 1);
}
