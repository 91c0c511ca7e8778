//! Grants for several connections under random histories: the in-memory vault and the SQLite vault
//! decide alike, and the invariants hold for every history.

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use valetkey::AccessToken;
use valetkey::internals::model::{Grant, IssuedBy, new_connection, refresh_state, use_grant};
use valetkey::internals::secret::{RefreshToken, State};
use valetkey::internals::vault::{
    Attempt, AuditChain, Claim, ClaimOutcome, ClaimRequest, CommitOutcome, ConnectionQuery, Found, NewGrant,
    Of, RefreshFailure, Refreshed, Retention, Revoke, RevokeWhat, Settlement, StateHash, StoreOutcome,
    SweepLimits, TokenQuery, Tokens,
};
use valetkey::model::{
    Account, Connection, ConnectionId, FailureCode, GrantId, NeedsConsent, Owner, ProviderId, Scopes,
    ServerId, Status, Timestamp, UserId,
};
use valetkey::vault::{MasterKey, SealedVault, SqliteVault, Vault};

use self::steps::*;
use crate::support::world::tenant;

/// A token as a turn sees it: its value, its grant and its generation.
type Shown = (String, GrantId, u64);

/// The state that a host can observe.
#[derive(Debug, PartialEq)]
struct Picture {
    connections: Vec<(Connection, Option<Shown>)>,
    /// Every grant that was ever stored and still exists.
    grants: Vec<Grant>,
}

/// One vault, with the state that a host knows.
struct Side<'a> {
    vault: &'a dyn Vault,
    claims: Vec<(GrantId, Claim)>,
    /// The stored grants in order, with the number of the tokens last stored in each.
    grants: BTreeMap<GrantId, usize>,
    made: u8,
    issued: usize,
}

impl<'a> Side<'a> {
    fn new(vault: &'a dyn Vault) -> Self {
        Self {
            vault,
            claims: Vec::new(),
            grants: BTreeMap::new(),
            made: 100,
            issued: 0,
        }
    }

    fn shown(&self, service: u8) -> Option<Connection> {
        self.vault.connection(&tenant(), id(service)).unwrap()
    }

    fn stored(&self, grant: GrantId) -> Option<Grant> {
        self.vault.grant(&tenant(), grant).unwrap()
    }

    fn generation(&self, service: u8) -> u64 {
        self.shown(service).map_or(0, |connection| connection.generation)
    }

    fn consent(&mut self, services: &[u8], off: u64, now: i64) -> String {
        self.issued += 1;
        self.made += 1;
        let shown = services.iter().map(|service| self.generation(*service)).max();
        let grant = grant(self.made, shown.unwrap_or_default() + 1 + off, services);
        let connections: Vec<_> = services
            .iter()
            .map(|service| connection(*service, &grant))
            .collect();
        let outcome = self.vault.store_grant(&NewGrant {
            consent: &StateHash::of(&State::new("none")),
            grant: &grant,
            tokens: &tokens(self.issued),
            connections: &connections,
            former_dead_at: Some(at(now + 8)),
        });
        let outcome = outcome.unwrap();
        if matches!(outcome, StoreOutcome::Stored { .. }) {
            self.grants.insert(grant.id, self.issued);
        }
        format!("{outcome:?}")
    }

    fn extend(&mut self, of: u8, services: &[u8], now: i64) -> String {
        let Some(known) = self.shown(of).filter(|known| known.status != Status::Revoked) else {
            return "nothing to extend".into();
        };
        let uses = |service: &u8| {
            services.contains(service)
                || self
                    .shown(*service)
                    .is_some_and(|it| it.grant == known.grant && it.status != Status::Revoked)
        };
        let all: Vec<u8> = SERVICES.into_iter().filter(uses).collect();
        self.consent(&all, 0, now)
    }

    /// Performs a step. Returns its outcome.
    fn step(&mut self, step: &Step, now: i64) -> String {
        match step {
            Step::Consent { services, off } => self.consent(services, *off, now),
            Step::Extend { of, services } => self.extend(*of, services, now),
            Step::Claim { service } => self.claim(*service, now),
            Step::Commit { ago } => self.commit(*ago, now),
            Step::Reject { ago } => self.fail(
                *ago,
                &RefreshFailure::Rejected {
                    reason: NeedsConsent::Rejected,
                    at: at(now),
                    quarantined_until: Some(at(now + 5)),
                },
            ),
            Step::Fail { ago } => self.fail(
                *ago,
                &RefreshFailure::Transient {
                    setup: None,
                    code: FailureCode::ServerError,
                    at: at(now),
                    not_before: at(now + 2),
                },
            ),
            Step::NeedConsent { service } => self.need_consent(*service, now),
            Step::Revoke { service, keep } => self.revoke(RevokeWhat::Connection(id(*service)), *keep, now),
            Step::RevokeAll { service, keep } => match self.shown(*service) {
                Some(known) => self.revoke(RevokeWhat::Grant(known.grant), *keep, now),
                None => "nothing".into(),
            },
            Step::RevokeFormer { service } => match self.former_grant(*service) {
                Some(former) => self.revoke(RevokeWhat::Grant(former), false, now),
                None => "nothing".into(),
            },
            Step::Sweep => {
                let swept = self.vault.sweep(&SweepLimits {
                    now: at(now),
                    consents_before: at(now),
                    retention: Retention::default(),
                    rows: 9,
                });
                format!("{:?}", swept.unwrap())
            }
            Step::Settle => self.settle(now),
        }
    }

    fn claim(&mut self, service: u8, now: i64) -> String {
        let Some(known) = self.shown(service) else {
            return "nothing".into();
        };
        let outcome = self.vault.claim_refresh(&ClaimRequest {
            tenant: &tenant(),
            grant: known.grant,
            holder: self.vault.holder().unwrap(),
            generation: known.generation,
            attempt: Attempt::Forced,
            now: at(now),
            lease: Duration::from_secs(3),
        });
        match outcome.unwrap() {
            ClaimOutcome::Granted(claimed) => {
                self.claims.push((known.grant, claimed.claim));
                let token = claimed.refresh_token.expose_secret();
                let unknown = claimed.outcome_unknown;
                format!("{:?} {token} {unknown}", claimed.claim)
            }
            other => format!("{other:?}"),
        }
    }

    fn commit(&mut self, ago: usize, now: i64) -> String {
        let Some((grant, claim)) = self.claims.iter().rev().nth(ago).copied() else {
            return "no claim".into();
        };
        self.issued += 1;
        let refreshed = Refreshed {
            refresh_token_expires_at: None,
            tokens: &tokens(self.issued),
            granted: None,
            expires_at: Some(at(now + 3_600)),
            lifetime: None,
            at: at(now),
            by: None,
        };
        let outcome = self
            .vault
            .commit_refresh(&tenant(), grant, &claim, &refreshed)
            .unwrap();
        if matches!(outcome, CommitOutcome::Stored | CommitOutcome::Former) {
            self.grants.insert(grant, self.issued);
        }
        format!("{outcome:?}")
    }

    fn fail(&self, ago: usize, failure: &RefreshFailure) -> String {
        let Some((grant, claim)) = self.claims.iter().rev().nth(ago) else {
            return "no claim".into();
        };
        let outcome = self.vault.fail_refresh(&tenant(), *grant, claim, failure);
        format!("{:?}", outcome.unwrap())
    }

    fn need_consent(&self, service: u8, now: i64) -> String {
        let Some(known) = self.shown(service) else {
            return "nothing".into();
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

    fn former_grant(&self, service: u8) -> Option<GrantId> {
        let current = self.shown(service)?.grant;
        let former = |grant: &&GrantId| {
            self.stored(**grant)
                .is_some_and(|it| it.former_of == Some(current))
        };
        self.grants.keys().find(former).copied()
    }

    fn revoke(&self, what: RevokeWhat, keep: bool, now: i64) -> String {
        let revoked = self.vault.revoke(&Revoke {
            tenant: &tenant(),
            what,
            by: None,
            now: at(now),
            keep_until: keep.then(|| at(now + 1_000)),
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
                (ended.grant.id, access, refresh, ended.pending.is_some())
            })
            .collect();
        ended.sort();
        for (grant, _, refresh, is_kept) in &ended {
            // An earlier revocation may have left tokens; otherwise they are those last stored in
            // the grant.
            let known = self.grants[grant];
            assert!(*is_kept || refresh.is_none_or(|it| it == format!("refresh-{known}")));
        }
        let named: Vec<_> = revoked.connections.iter().map(|it| (it.id, it.status)).collect();
        format!("{named:?} {ended:?} {:?}", revoked.still_used_by)
    }

    fn settle(&self, now: i64) -> String {
        let taken = self
            .vault
            .take_revocations(at(now + 70), Duration::from_secs(1), 99)
            .unwrap();
        let mut named = Vec::new();
        for pending in taken {
            self.vault
                .settle_revocation(&tenant(), pending.id, Settlement::Confirmed, at(now))
                .unwrap();
            let refresh = pending.refresh_token.map(|it| it.expose_secret().to_owned());
            named.push((pending.connection, pending.grant.id, refresh));
        }
        named.sort();
        format!("{named:?}")
    }

    fn picture(&self) -> Picture {
        let acme = tenant();
        let mut query = ConnectionQuery::of(&acme);
        query.with_revoked = true;
        let listed = self.vault.connections(&query).unwrap();
        let connections = listed
            .into_iter()
            .map(|mut connection| {
                assert_eq!(
                    self.vault.connection(&acme, connection.id).unwrap().as_ref(),
                    Some(&connection)
                );
                let token = self.token(&connection);
                if !self.grants.contains_key(&connection.grant) {
                    // It was revoked while others used its grant, so its grant id is random.
                    assert_eq!(connection.status, Status::Revoked);
                    connection.grant = GrantId::from_bytes([0; 16]);
                }
                (connection, token)
            })
            .collect();
        let grants = self.grants.keys().filter_map(|id| self.stored(*id)).collect();
        Picture { connections, grants }
    }

    fn token(&self, connection: &Connection) -> Option<Shown> {
        let found = self.vault.find_token(&TokenQuery {
            tenant: &tenant(),
            of: Of::Id(connection.id),
            scopes: &Scopes::default(),
        });
        match found.unwrap() {
            Found::One(token) => {
                assert_eq!(token.connection, connection.id);
                assert_eq!(token.grant, connection.grant);
                let access = token.access_token?;
                Some((access.expose_secret().to_owned(), token.grant, token.generation))
            }
            Found::Nothing => {
                assert_eq!(connection.status, Status::Revoked);
                None
            }
            Found::Several => panic!("an id names one connection"),
        }
    }

    fn check(&self, before: &BTreeMap<ConnectionId, u64>) {
        let picture = self.picture();
        let mut in_use: BTreeMap<GrantId, Vec<&Connection>> = BTreeMap::new();
        let mut by_token: BTreeMap<&str, BTreeSet<GrantId>> = BTreeMap::new();
        for (connection, token) in &picture.connections {
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
                assert_eq!(*access, format!("access-{}", self.grants[grant]));
            }
            if connection.status != Status::Revoked {
                in_use.entry(connection.grant).or_default().push(connection);
            }
        }
        for (token, grants) in by_token {
            assert_eq!(grants.len(), 1, "{token} is in two places");
        }
        // Connections of one grant show the same state.
        for users in in_use.values() {
            for user in users {
                assert_eq!(user.status, users[0].status);
                assert_eq!(user.generation, users[0].generation);
                assert_eq!(refresh_state(user), refresh_state(users[0]));
            }
        }
        let used: BTreeSet<_> = picture.connections.iter().map(|(it, _)| it.grant).collect();
        for grant in &picture.grants {
            match grant.former_of {
                // A former grant has no connections, and its successor has some, so it ends
                // together with the successor.
                Some(current) => {
                    assert!(!used.contains(&grant.id), "{grant:?}");
                    assert!(in_use.contains_key(&current), "{grant:?}");
                }
                None => assert!(used.contains(&grant.id), "a grant that nobody uses: {grant:?}"),
            }
        }
    }

    fn generations(&self) -> BTreeMap<ConnectionId, u64> {
        let shown = self.picture().connections.into_iter();
        shown
            .map(|(connection, _)| (connection.id, connection.generation))
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("VALETKEY_FULL").is_some() { 5_000 } else { 200 }))]

    #[test]
    fn every_history_keeps_one_place_for_each_token(steps in prop::collection::vec(step(), 1..40)) {
        let memory = SealedVault::in_memory();
        let sqlite = SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap();
        let mut sides = [Side::new(&memory), Side::new(&sqlite)];
        for (now, step) in (0..).zip(&steps) {
            let before = sides[0].generations();
            let [one, other] = sides.each_mut().map(|side| side.step(step, now));
            prop_assert_eq!(&one, &other, "{:?} of {:?}", step, steps);
            prop_assert_eq!(sides[0].picture(), sides[1].picture(), "{:?}", step);
            for side in &sides {
                side.check(&before);
            }
        }
        for side in &sides {
            let report = side.vault.verify_chain(&AuditChain::Tenant(tenant()), &mut |_, _| {}).unwrap();
            prop_assert!(report.is_intact(), "{:?}", report);
        }
    }
}

/// A refresh that began before a new consent ends in the former grant. The connections are
/// unaffected.
#[test]
fn the_end_of_an_older_refresh_changes_nothing_about_the_connections() {
    for step in [
        Step::Fail { ago: 0 },
        Step::Reject { ago: 0 },
        Step::Commit { ago: 0 },
    ] {
        let vault = SealedVault::in_memory();
        let mut side = Side::new(&vault);
        let consent = |services: &[u8]| Step::Consent {
            services: services.to_vec(),
            off: 0,
        };
        side.step(&consent(&[1]), 0);
        side.step(&Step::Claim { service: 1 }, 1);
        side.step(&consent(&[1, 2]), 2);
        let before = side.picture();
        let outcome = side.step(&step, 3);
        let expected = if matches!(step, Step::Commit { .. }) {
            "Former"
        } else {
            "Stored"
        };
        assert_eq!(outcome, expected);
        let after = side.picture();
        assert_eq!(after.connections, before.connections, "{step:?}");
        assert_ne!(after.grants, before.grants, "{step:?}");
    }
}
