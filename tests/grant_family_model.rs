//! Grants for several connections under random histories: the vault in memory and the one in SQLite decide alike, and
//! what must hold for every history holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use valetkey::model::{
    Account, Connection, ConnectionId, FailureCode, Grant, GrantId, IssuedBy, NeedsConsent, Owner,
    ProviderId, Scopes, ServerId, Status, TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConnectionQuery, Found, MemoryVault, NewGrant,
    Of, RefreshFailure, RefreshStore as _, Refreshed, Retention, Revoke, RevokeWhat, SqliteVault, StateHash,
    SweepLimits, TokenQuery, Tokens, Vault,
};

/// Three services of one person; each has one connection, with this number.
const SERVICES: [u8; 3] = [1, 2, 3];

#[derive(Debug, Clone)]
enum Step {
    /// A consent for one service, off by this many generations.
    Alone {
        service: u8,
        off: u64,
    },
    /// A consent for these, in a new grant.
    Together {
        services: Vec<u8>,
        off: u64,
    },
    /// A consent that adds these to the grant of one.
    Extend {
        of: u8,
        services: Vec<u8>,
    },
    /// A refresh of the grant of this service begins.
    Claim {
        service: u8,
    },
    /// The refresh that began this many claims ago ends.
    Commit {
        ago: usize,
    },
    Reject {
        ago: usize,
    },
    NeedConsent {
        service: u8,
    },
    Revoke {
        service: u8,
    },
    /// The grant of this service is revoked, with all that use it.
    RevokeAll {
        service: u8,
    },
    EraseQuarantined,
}

fn step() -> impl Strategy<Value = Step> {
    let service = || prop::sample::select(&SERVICES[..]);
    let services = || prop::sample::subsequence(&SERVICES[..], 1..=3);
    let off = || prop_oneof![8 => Just(0_u64), 1 => Just(1_u64)];
    let ago = || 0..3_usize;
    prop_oneof![
        3 => (service(), off()).prop_map(|(service, off)| Step::Alone { service, off }),
        3 => (services(), off()).prop_map(|(services, off)| Step::Together { services, off }),
        3 => (service(), services()).prop_map(|(of, services)| Step::Extend { of, services }),
        4 => service().prop_map(|service| Step::Claim { service }),
        3 => ago().prop_map(|ago| Step::Commit { ago }),
        1 => ago().prop_map(|ago| Step::Reject { ago }),
        1 => service().prop_map(|service| Step::NeedConsent { service }),
        3 => service().prop_map(|service| Step::Revoke { service }),
        1 => service().prop_map(|service| Step::RevokeAll { service }),
        1 => Just(Step::EraseQuarantined),
    ]
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn id(number: u8) -> ConnectionId {
    ConnectionId::from_bytes([number; 16])
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + seconds * 1_000)
}

fn tokens(number: usize) -> Tokens {
    Tokens {
        access_token: AccessToken::new(format!("access-{number}")),
        refresh_token: Some(RefreshToken::new(format!("refresh-{number}"))),
        id_token: None,
    }
}

fn scope(service: u8) -> Scopes {
    format!("scope-{service}").parse().unwrap()
}

fn grant_id(number: u8) -> GrantId {
    GrantId::from_bytes([number; 16])
}

fn grant(number: u8, service: u8) -> Grant {
    let server = ServerId::new("google").unwrap();
    let issued_by = IssuedBy::new(server, "https://issuer.test/token", "client");
    let owner = Owner::Personal(UserId::new("alice").unwrap());
    let provider = ProviderId::new(format!("service-{service}")).unwrap();
    let mut grant = Grant::new(grant_id(number), tenant(), owner, provider, issued_by, at(0));
    grant.refreshable = true;
    grant.expires_at = Some(at(3_600));
    grant
}

/// A token as a turn sees it: its value, its grant, its generation.
type Shown = (String, GrantId, u64);

/// One vault with what a host knows of it.
struct Side<'a> {
    vault: &'a dyn Vault,
    claims: Vec<(GrantId, Claim)>,
    grants: u8,
    issued: usize,
}

impl<'a> Side<'a> {
    fn new(vault: &'a dyn Vault) -> Self {
        Self {
            vault,
            claims: Vec::new(),
            grants: 0,
            issued: 0,
        }
    }

    fn shown(&self, service: u8) -> Option<Connection> {
        self.vault.connection(&tenant(), id(service)).unwrap()
    }

    fn generation(&self, service: u8) -> u64 {
        self.shown(service).map_or(0, |connection| connection.generation)
    }

    /// The services whose connections use the same grant as this one.
    fn family(&self, service: u8) -> Vec<u8> {
        let Some(known) = self.shown(service).filter(|it| it.status != Status::Revoked) else {
            return vec![service];
        };
        let uses = |other: &u8| {
            self.shown(*other)
                .is_some_and(|it| it.grant == known.grant && it.status != Status::Revoked)
        };
        SERVICES.into_iter().filter(uses).collect()
    }

    /// Stores a consent for these services: a new grant, and their connections.
    fn consent(&mut self, services: &[u8], off: u64) -> String {
        self.grants += 1;
        self.issued += 1;
        let mut grant = grant(self.grants, services[0]);
        let shown = services.iter().map(|service| self.generation(*service)).max();
        grant.generation = shown.unwrap_or_default() + 1 + off;
        grant.requested = services
            .iter()
            .fold(Scopes::default(), |all, one| all.union(&scope(*one)));
        grant.granted = grant.requested.clone();
        let connections: Vec<_> = services
            .iter()
            .map(|service| {
                let mut connection = self.shown(*service).unwrap_or_else(|| {
                    let mut new = Connection::new(id(*service), &grant);
                    new.provider = ProviderId::new(format!("service-{service}")).unwrap();
                    new.account = Some(Account {
                        id: "account".into(),
                        email: None,
                        label: None,
                    });
                    new
                });
                connection.requested = scope(*service);
                connection.use_grant(&grant);
                connection
            })
            .collect();
        let outcome = self.vault.store_grant(&NewGrant {
            consent: &StateHash::of(&State::new("none")),
            grant: &grant,
            tokens: &tokens(self.issued),
            connections: &connections,
            former_dead_at: None,
        });
        format!("{:?}", outcome.unwrap())
    }

    /// Takes a step, and says what came of it.
    fn step(&mut self, step: &Step, now: i64) -> String {
        match step {
            Step::Alone { service, off } => self.consent(&[*service], *off),
            Step::Together { services, off } => self.consent(services, *off),
            Step::Extend { of, services } => match self.shown(*of) {
                Some(known) if known.status != Status::Revoked => {
                    let mut all = self.family(*of);
                    all.extend(services);
                    all.sort_unstable();
                    all.dedup();
                    self.consent(&all, 0)
                }
                _ => "nothing to extend".into(),
            },
            Step::Claim { service } => self.claim(*service, now),
            Step::Commit { ago } => self.with_claim(*ago, |side, grant, claim| {
                side.issued += 1;
                let refreshed = Refreshed {
                    tokens: &tokens(side.issued),
                    granted: None,
                    expires_at: Some(at(now + 3_600)),
                    lifetime: None,
                    at: at(now),
                    by: None,
                };
                side.vault
                    .commit_refresh(&tenant(), grant, &claim, &refreshed)
                    .unwrap()
            }),
            Step::Reject { ago } => self.with_claim(*ago, |side, grant, claim| {
                let failure = RefreshFailure::Rejected {
                    reason: NeedsConsent::Rejected,
                    at: at(now),
                    quarantined_until: Some(at(now + 5)),
                };
                side.vault
                    .fail_refresh(&tenant(), grant, &claim, &failure)
                    .unwrap()
            }),
            Step::NeedConsent { service } => self.need_consent(*service, now),
            Step::Revoke { service } => self.revoke(RevokeWhat::Connection(id(*service)), now),
            Step::RevokeAll { service } => match self.shown(*service) {
                Some(known) if known.status != Status::Revoked => {
                    self.revoke(RevokeWhat::Grant(known.grant), now)
                }
                _ => "nothing to revoke".into(),
            },
            Step::EraseQuarantined => {
                let swept = self.vault.sweep(&SweepLimits {
                    now: at(now),
                    consents_before: at(0),
                    retention: Retention::default(),
                    rows: 9,
                });
                format!("{:?}", swept.unwrap())
            }
        }
    }

    fn claim(&mut self, service: u8, now: i64) -> String {
        let Some(known) = self.shown(service) else {
            return "nothing to claim".into();
        };
        let outcome = self.vault.claim_refresh(&ClaimRequest {
            tenant: &tenant(),
            grant: known.grant,
            holder: self.vault.holder().unwrap(),
            generation: known.generation,
            attempt: Attempt::Forced,
            now: at(now),
            lease: std::time::Duration::from_secs(3),
        });
        match outcome.unwrap() {
            ClaimOutcome::Granted(claimed) => {
                self.claims.push((known.grant, claimed.claim));
                format!("{:?} {}", claimed.claim, claimed.refresh_token.expose_secret())
            }
            other => format!("{other:?}"),
        }
    }

    fn need_consent(&self, service: u8, now: i64) -> String {
        let Some(known) = self.shown(service) else {
            return "no connection".into();
        };
        let claim = Claim {
            generation: known.generation,
            fence: 0,
        };
        let failure = RefreshFailure::ConsentNeeded {
            reason: NeedsConsent::Expired,
            at: at(now),
        };
        let outcome = self.vault.fail_refresh(&tenant(), known.grant, &claim, &failure);
        format!("{:?}", outcome.unwrap())
    }

    fn with_claim(
        &mut self,
        ago: usize,
        end: impl FnOnce(&mut Self, GrantId, Claim) -> CommitOutcome,
    ) -> String {
        let Some((grant, claim)) = self.claims.iter().rev().nth(ago).copied() else {
            return "no claim".into();
        };
        format!("{:?}", end(self, grant, claim))
    }

    fn revoke(&self, what: RevokeWhat, now: i64) -> String {
        let revoked = self.vault.revoke(&Revoke {
            tenant: &tenant(),
            what,
            by: None,
            now: at(now),
            keep_until: None,
        });
        let Some(revoked) = revoked.unwrap() else {
            return "nothing".into();
        };
        let mut ended: Vec<_> = revoked
            .ended
            .iter()
            .map(|ended| {
                let access = ended.access_token.as_ref().map(AccessToken::expose_secret);
                let refresh = ended.refresh_token.as_ref().map(RefreshToken::expose_secret);
                format!(
                    "{:?} {} {access:?} {refresh:?}",
                    ended.grant.id, ended.grant.generation
                )
            })
            .collect();
        ended.sort();
        let connections: Vec<_> = revoked.connections.iter().map(|it| (it.id, it.status)).collect();
        format!("{connections:?} {ended:?} {:?}", revoked.still_used_by)
    }

    /// What a host can see of everything. A revoked connection uses no grant any more.
    fn picture(&self) -> Vec<(Connection, Option<Shown>)> {
        let acme = tenant();
        let mut query = ConnectionQuery::of(&acme);
        query.with_revoked = true;
        let listed = self.vault.connections(&query).unwrap();
        listed
            .into_iter()
            .map(|mut connection| {
                assert_eq!(
                    self.vault.connection(&acme, connection.id).unwrap().as_ref(),
                    Some(&connection)
                );
                let token = self.token(&connection);
                if connection.status == Status::Revoked {
                    connection.grant = grant_id(0);
                }
                (connection, token)
            })
            .collect()
    }

    fn token(&self, connection: &Connection) -> Option<Shown> {
        let query = TokenQuery {
            tenant: &tenant(),
            of: Of::Id(connection.id),
            scopes: &Scopes::default(),
        };
        let Found::One(stored) = self.vault.find_token(&query).unwrap() else {
            return None;
        };
        assert_eq!(
            (stored.connection, stored.grant),
            (connection.id, connection.grant)
        );
        let access = stored.access_token?;
        Some((access.expose_secret().to_owned(), stored.grant, stored.generation))
    }

    fn check(&self, before: &BTreeMap<ConnectionId, u64>) {
        let picture = self.picture();
        let mut by_token: BTreeMap<&str, BTreeSet<GrantId>> = BTreeMap::new();
        for (connection, token) in &picture {
            let known = before.get(&connection.id).copied().unwrap_or_default();
            assert!(
                connection.generation >= known,
                "a generation has fallen: {connection:?}"
            );
            assert_eq!(
                token.is_some(),
                connection.status == Status::Active,
                "{connection:?}"
            );
            if let Some((access, grant, _)) = token {
                by_token.entry(access).or_default().insert(*grant);
            }
        }
        for (token, grants) in by_token {
            assert_eq!(grants.len(), 1, "{token} is in two places");
        }
        // A grant is used by a connection, or was replaced by one that is, or is gone.
        let used: BTreeSet<_> = picture.iter().map(|(it, _)| it.grant).collect();
        for number in 1..=self.grants {
            let Some(grant) = self.vault.grant(&tenant(), grant_id(number)).unwrap() else {
                continue;
            };
            let is_used = used.contains(&grant.former_of.unwrap_or(grant.id));
            assert!(
                is_used || grant.status == Status::Revoked,
                "grant {number}: {grant:?}"
            );
        }
    }

    fn generations(&self) -> BTreeMap<ConnectionId, u64> {
        let shown = self.picture().into_iter();
        shown
            .map(|(connection, _)| (connection.id, connection.generation))
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("VALETKEY_FULL").is_some() { 5_000 } else { 24 }))]

    #[test]
    fn every_history_keeps_one_place_for_each_token(steps in prop::collection::vec(step(), 1..40)) {
        let plain = MemoryVault::new();
        let sealed = SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap();
        let mut sides = [Side::new(&plain), Side::new(&sealed)];
        for (now, step) in (0..).zip(&steps) {
            let before = sides[0].generations();
            let [one, other] = sides.each_mut().map(|side| side.step(step, now));
            prop_assert_eq!(&one, &other, "{:?} of {:?}", step, steps);
            prop_assert_eq!(sides[0].picture(), sides[1].picture(), "{:?}", step);
            for side in &sides {
                side.check(&before);
            }
        }
    }
}

/// The same claim, in two states that a history may bring about, is told apart by its generation alone.
#[test]
fn a_failure_that_is_none_of_the_grants_changes_nothing() {
    let vault = MemoryVault::new();
    let mut side = Side::new(&vault);
    side.step(&Step::Alone { service: 1, off: 0 }, 0);
    side.step(&Step::Claim { service: 1 }, 1);
    side.step(
        &Step::Together {
            services: vec![1, 2],
            off: 0,
        },
        2,
    );
    let (grant, claim) = side.claims[0];
    let failure = RefreshFailure::Transient {
        code: FailureCode::ServerError,
        at: at(3),
        not_before: at(30),
    };
    let before = side.picture();
    vault.fail_refresh(&tenant(), grant, &claim, &failure).unwrap();
    assert_eq!(side.picture(), before);
}
