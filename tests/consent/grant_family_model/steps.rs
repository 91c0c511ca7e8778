//! The steps of a history, and the records that they store.

use super::*;

/// Three services of one user; each has one connection with this number.
pub(super) const SERVICES: [u8; 3] = [1, 2, 3];

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A consent for these services, whose generation is off by this much.
    Consent { services: Vec<u8>, off: u64 },
    /// A consent that extends the grant of one service by these services.
    Extend { of: u8, services: Vec<u8> },
    /// The start of a refresh of the grant that this service uses.
    Claim { service: u8 },
    /// The end of the refresh that began this many claims ago.
    Commit { ago: usize },
    /// The server refuses the refresh token of that claim.
    Reject { ago: usize },
    /// The refresh of that claim fails temporarily.
    Fail { ago: usize },
    /// The grant of this service needs a new consent.
    NeedConsent { service: u8 },
    /// The revocation of one connection, with or without keeping its tokens for the provider.
    Revoke { service: u8, keep: bool },
    /// The revocation of the grant that this service uses, with all its connections.
    RevokeAll { service: u8, keep: bool },
    /// The revocation of a former grant of the one that this service uses.
    RevokeFormer { service: u8 },
    /// The deletion of expired records.
    Sweep,
    /// The provider confirms the pending revocations.
    Settle,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let service = || prop::sample::select(&SERVICES[..]);
    let services = || prop::sample::subsequence(&SERVICES[..], 1..=3);
    let off = || prop_oneof![8 => Just(0_u64), 1 => Just(1_u64)];
    let ago = || 0..3_usize;
    prop_oneof![
        3 => (service(), off()).prop_map(|(service, off)| Step::Consent { services: vec![service], off }),
        3 => (services(), off()).prop_map(|(services, off)| Step::Consent { services, off }),
        3 => (service(), services()).prop_map(|(of, services)| Step::Extend { of, services }),
        4 => service().prop_map(|service| Step::Claim { service }),
        3 => ago().prop_map(|ago| Step::Commit { ago }),
        1 => ago().prop_map(|ago| Step::Reject { ago }),
        1 => ago().prop_map(|ago| Step::Fail { ago }),
        1 => service().prop_map(|service| Step::NeedConsent { service }),
        3 => (service(), any::<bool>()).prop_map(|(service, keep)| Step::Revoke { service, keep }),
        1 => (service(), any::<bool>()).prop_map(|(service, keep)| Step::RevokeAll { service, keep }),
        1 => service().prop_map(|service| Step::RevokeFormer { service }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Settle),
    ]
}

pub(super) fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + seconds * 1_000)
}

pub(super) fn tokens(number: usize) -> Tokens {
    Tokens {
        access_token: AccessToken::new(format!("access-{number}")),
        refresh_token: Some(RefreshToken::new(format!("refresh-{number}"))),
        id_token: None,
    }
}

pub(super) fn scope(service: u8) -> Scopes {
    format!("scope-{service}").parse().unwrap()
}

pub(super) fn provider(service: u8) -> ProviderId {
    ProviderId::new(format!("service-{service}")).unwrap()
}

/// Returns the grant of a consent for these services.
pub(super) fn grant(number: u8, generation: u64, services: &[u8]) -> Grant {
    let mut grant = Grant::new(
        GrantId::from_bytes([number; 16]),
        tenant(),
        Owner::Personal(UserId::new("alice").unwrap()),
        provider(services[0]),
        IssuedBy::new(
            ServerId::new("google").unwrap(),
            "https://issuer.test/token",
            "client",
        ),
        at(0),
    );
    grant.generation = generation;
    grant.refreshable = true;
    grant.expires_at = Some(at(3_600));
    grant.requested = services
        .iter()
        .fold(Scopes::default(), |all, one| all.union(&scope(*one)));
    grant.granted = grant.requested.clone();
    grant
}

pub(super) fn connection(service: u8, grant: &Grant) -> Connection {
    let mut connection = new_connection(id(service), grant);
    connection.provider = provider(service);
    connection.requested = scope(service);
    connection.account = Some(Account {
        id: "account".into(),
        email: None,
        label: None,
    });
    use_grant(&mut connection, grant);
    connection
}
