//! Grants for several connections under random histories: the vault in memory and the one in SQLite decide alike, and
//! what must hold for every history holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use valetkey::model::{
    Account, Connection, ConnectionId, FailureCode, IssuedBy, NeedsConsent, Owner, ProviderId, Scopes,
    ServerId, Status, TenantId, Timestamp, UserId,
};
use valetkey::secret::{AccessToken, RefreshToken, State};
use valetkey::vault::envelope::MasterKey;
use valetkey::vault::{
    Attempt, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConnectionQuery, Grant, MemoryVault,
    RefreshFailure, Renewed, SqliteVault, StateHash, Tokens, Vault,
};

/// Three services of one person; each has one connection, with this number.
const SERVICES: [u8; 3] = [1, 2, 3];

#[derive(Debug, Clone)]
enum Step {
    /// A consent for one service, off by so many generations.
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
    /// A refresh begins at the record of this service.
    Claim {
        service: u8,
    },
    /// The refresh that began so many claims ago ends.
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
    /// The record that keeps the tokens of this service is revoked.
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

fn record(number: u8, service: u8) -> Connection {
    let issued_by = IssuedBy {
        server: ServerId::new("google").unwrap(),
        token_endpoint: "https://issuer.test/token".into(),
        client_id: "client".into(),
    };
    let owner = Owner::Personal(UserId::new("alice").unwrap());
    let provider = ProviderId::new(format!("service-{service}")).unwrap();
    let mut record = Connection::new(id(number), tenant(), owner, provider, issued_by, at(0));
    record.requested = scope(service);
    record.refreshable = true;
    record.expires_at = Some(at(3_600));
    record
}

/// A token as a turn sees it: its value, where it is kept, its generation.
type Shown = (String, ConnectionId, u64);

/// One vault with what a host knows of it.
struct Side<'a> {
    vault: &'a dyn Vault,
    claims: Vec<(ConnectionId, Claim)>,
    keepers: u8,
    issued: usize,
}

impl<'a> Side<'a> {
    fn new(vault: &'a dyn Vault) -> Self {
        Self {
            vault,
            claims: Vec::new(),
            keepers: 100,
            issued: 0,
        }
    }

    fn shown(&self, service: u8) -> Option<Connection> {
        self.vault.connection(&tenant(), id(service)).unwrap()
    }

    fn generation(&self, service: u8) -> u64 {
        self.shown(service).map_or(0, |connection| connection.generation)
    }

    fn keeper(&self, service: u8) -> ConnectionId {
        self.shown(service)
            .map_or(id(service), |connection| connection.keeper())
    }

    fn store(&mut self, holds: &Connection, members: &[Connection]) -> String {
        self.issued += 1;
        let outcome = self.vault.store_grant(&Grant {
            consent: &StateHash::of(&State::new("none")),
            connection: holds,
            tokens: &tokens(self.issued),
            members,
        });
        format!("{:?}", outcome.unwrap())
    }

    fn members(&self, services: &[u8], holds: &Connection) -> Vec<Connection> {
        services
            .iter()
            .map(|service| {
                let mut member = record(*service, *service);
                member.account = Some(Account {
                    id: "account".into(),
                    email: None,
                    label: None,
                });
                member.shares = Some(holds.id);
                member.show_grant(holds);
                member
            })
            .collect()
    }

    fn together(&mut self, holds: Option<Connection>, services: &[u8], off: u64) -> String {
        let mut holds = holds.unwrap_or_else(|| {
            self.keepers += 1;
            let mut new = record(self.keepers, services[0]);
            new.generation = 0;
            new
        });
        let shown = services.iter().map(|service| self.generation(*service)).max();
        holds.is_keeper = true;
        holds.status = Status::Active;
        holds.generation = shown.unwrap_or_default().max(holds.generation) + 1 + off;
        holds.requested = SERVICES
            .iter()
            .fold(Scopes::default(), |all, one| all.union(&scope(*one)));
        holds.granted = holds.requested.clone();
        let members = self.members(services, &holds);
        self.store(&holds, &members)
    }

    /// Takes a step, and says what came of it.
    fn step(&mut self, step: &Step, now: i64) -> String {
        match step {
            Step::Alone { service, off } => {
                let mut alone = record(*service, *service);
                alone.generation = self.generation(*service) + 1 + off;
                alone.granted = scope(*service);
                self.store(&alone, &[])
            }
            Step::Together { services, off } => self.together(None, services, *off),
            Step::Extend { of, services } => match self.shown(*of) {
                Some(known) if known.status != Status::Revoked => {
                    let keeper = known.shares.map(|keeper| {
                        let found = self.vault.connection(&tenant(), keeper).unwrap();
                        found.expect("who shares a record names one that is there")
                    });
                    let mut services = services.clone();
                    if keeper.is_none() && !services.contains(of) {
                        services.push(*of);
                    }
                    self.together(keeper, &services, 0)
                }
                _ => "nothing to extend".into(),
            },
            Step::Claim { service } => {
                let keeper = self.keeper(*service);
                let outcome = self.vault.claim_refresh(&ClaimRequest {
                    tenant: &tenant(),
                    connection: keeper,
                    holder: self.vault.holder().unwrap(),
                    generation: self.generation(*service),
                    attempt: Attempt::Forced,
                    now: at(now),
                    lease: std::time::Duration::from_secs(3),
                });
                match outcome.unwrap() {
                    ClaimOutcome::Granted(claimed) => {
                        self.claims.push((keeper, claimed.claim));
                        format!("{:?} {}", claimed.claim, claimed.refresh_token.expose_secret())
                    }
                    other => format!("{other:?}"),
                }
            }
            Step::Commit { ago } => self.with_claim(*ago, |side, keeper, claim| {
                side.issued += 1;
                let renewed = Renewed {
                    tokens: &tokens(side.issued),
                    granted: None,
                    expires_at: Some(at(now + 3_600)),
                    at: at(now),
                    by: None,
                };
                side.vault
                    .commit_refresh(&tenant(), keeper, &claim, &renewed)
                    .unwrap()
            }),
            Step::Reject { ago } => self.with_claim(*ago, |side, keeper, claim| {
                let failure = RefreshFailure::Rejected {
                    reason: NeedsConsent::Rejected,
                    at: at(now),
                    quarantined_until: Some(at(now + 5)),
                };
                side.vault
                    .fail_refresh(&tenant(), keeper, &claim, &failure)
                    .unwrap()
            }),
            Step::NeedConsent { service } => {
                let generation = self.generation(*service);
                let outcome =
                    self.vault
                        .need_consent(&tenant(), id(*service), generation, NeedsConsent::Expired);
                format!("{:?}", outcome.unwrap())
            }
            Step::Revoke { service } => self.revoke(id(*service), now),
            Step::RevokeAll { service } => self.revoke(self.keeper(*service), now),
            Step::EraseQuarantined => {
                format!("{}", self.vault.erase_quarantined(at(now), 9).unwrap())
            }
        }
    }

    fn with_claim(
        &mut self,
        ago: usize,
        end: impl FnOnce(&mut Self, ConnectionId, Claim) -> CommitOutcome,
    ) -> String {
        let Some((keeper, claim)) = self.claims.iter().rev().nth(ago).copied() else {
            return "no claim".into();
        };
        format!("{:?}", end(self, keeper, claim))
    }

    fn revoke(&self, what: ConnectionId, now: i64) -> String {
        let revoked = self.vault.revoke(&tenant(), what, None, at(now)).unwrap();
        revoked.map_or_else(
            || "nothing".into(),
            |revoked| {
                let text = |token: Option<&RefreshToken>| token.map(|it| it.expose_secret().to_owned());
                let tokens = revoked.tokens.as_ref();
                format!(
                    "{:?} {:?} {:?} {:?} {:?}",
                    revoked.connection.id,
                    revoked.connection.status,
                    tokens.map(|tokens| tokens.access_token.expose_secret().to_owned()),
                    text(
                        tokens
                            .and_then(|tokens| tokens.refresh_token.as_ref())
                            .or(revoked.refused.as_ref())
                    ),
                    revoked.still_used_by
                )
            },
        )
    }

    /// What a host can see of everything.
    fn picture(&self) -> Vec<(Connection, Option<Shown>)> {
        let acme = tenant();
        let mut query = ConnectionQuery::of(&acme);
        query.with_revoked = true;
        let listed = self.vault.connections(&query).unwrap();
        listed
            .into_iter()
            .map(|connection| {
                assert_eq!(
                    self.vault.connection(&acme, connection.id).unwrap().as_ref(),
                    Some(&connection)
                );
                let token = self.vault.token(&acme, connection.id).unwrap();
                let token = token.and_then(|token| {
                    let keeper = token.keeper();
                    assert_eq!(token.connection, connection.id);
                    assert_eq!(keeper, connection.keeper());
                    let access = token.access_token?;
                    Some((access.expose_secret().to_owned(), keeper, token.generation))
                });
                (connection, token)
            })
            .collect()
    }

    fn check(&self, before: &BTreeMap<ConnectionId, u64>) {
        let picture = self.picture();
        let mut by_token: BTreeMap<&str, BTreeSet<ConnectionId>> = BTreeMap::new();
        for (connection, token) in &picture {
            assert!(!connection.is_keeper);
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
            if let Some((access, keeper, _)) = token {
                by_token.entry(access).or_default().insert(*keeper);
            }
            if connection.status == Status::Revoked {
                assert_eq!(connection.shares, None);
            }
        }
        for (token, keepers) in by_token {
            assert_eq!(keepers.len(), 1, "{token} is in two places");
        }
        // What keeps tokens is shared by somebody, or gone.
        for number in 101..=self.keepers {
            let keeper = self.vault.connection(&tenant(), id(number)).unwrap();
            let shared = picture.iter().any(|(it, _)| it.shares == Some(id(number)));
            assert_eq!(keeper.is_some(), shared, "record {number}");
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
    let (connection, claim) = side.claims[0];
    let failure = RefreshFailure::Transient {
        code: FailureCode::ServerError,
        at: at(3),
        not_before: at(30),
    };
    let before = side.picture();
    let outcome = vault
        .fail_refresh(&tenant(), connection, &claim, &failure)
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Superseded);
    assert_eq!(side.picture(), before);
}
