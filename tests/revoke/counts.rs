//! Counts of connections by provider and status.

use valetkey::testing::Host;
use valetkey::{ActingUser, ConnectionManager, ConsentOptions, Operator};

#[test]
fn connections_are_counted_by_provider_and_status_in_the_own_workspace_alone() {
    let host = Host::new();
    let olga = host.operator("olga");
    assert!(host.connections.counts(&olga).unwrap().is_empty());

    let ada = host.user("ada");
    host.connect(&ada, "notes");
    host.connect_workspace(&olga, "notes");
    let mail = host.connect(&ada, "mail");
    host.connections.revoke(&ada, mail.id).unwrap();
    let stranger = ActingUser::authenticated("elsewhere", "ada").unwrap();
    host.connect(&stranger, "notes");

    let grace = host.user("grace");
    host.connect_with(&grace, "mail", "grace", ConsentOptions::default())
        .unwrap();
    host.sandbox.revoke_at_server("grace");
    host.expire();
    assert!(host.resolver.resolve(&grace, "mail").is_err());

    let manager: &dyn ConnectionManager = &host.connections;
    let counts = manager.counts(&olga).unwrap();
    let of = |provider: &str| {
        let counts = counts[provider];
        (
            counts.active,
            counts.needs_consent,
            counts.revoked,
            counts.total(),
        )
    };
    assert_eq!(of("notes"), (2, 0, 0, 2));
    assert_eq!(of("mail"), (0, 1, 1, 2));
    assert_eq!(counts.len(), 2);

    let elsewhere = Operator::authenticated("elsewhere", "olga").unwrap();
    assert_eq!(host.connections.counts(&elsewhere).unwrap()["notes"].total(), 1);
}

#[test]
fn every_page_is_counted() {
    let host = Host::new();
    for number in 0..101 {
        host.connect(&host.user(&format!("person-{number}")), "notes");
    }
    let counts = host.connections.counts(&host.operator("olga")).unwrap();
    assert_eq!(counts["notes"].active, 101);
}
