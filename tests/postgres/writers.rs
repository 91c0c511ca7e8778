//! Many writers of one tenant, on two handles, while others read, verify and link the audit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use valetkey::connections::Budget;
use valetkey::internals::secret::RefreshToken;
use valetkey::internals::vault::{
    Attempt, AuditFilter, AuditLog as _, ClaimOutcome, ClaimRequest, CommitOutcome, GrantStore as _,
    RefreshStore as _, Refreshed, Tokens,
};
use valetkey::model::Connection;
use valetkey::testing::Host;
use valetkey::vault::{AuditKind, MasterKey, PostgresOptions, PostgresVault};
use valetkey::{AccessToken, Clock as _, TenantId};

use crate::support::postgres::Cluster;

/// The number of connections, each of which two threads refresh.
const CONNECTIONS: usize = 4;
/// The number of refreshes of each thread.
const REFRESHES: usize = 15;

/// Refreshes the newest tokens of a connection, unless another thread was faster. Returns whether
/// it did.
fn refresh(vault: &PostgresVault, host: &Host, connection: &Connection) -> bool {
    let newest = vault.connection(&connection.tenant, connection.id);
    let newest = newest.unwrap().unwrap();
    let claimed = vault.claim_refresh(&ClaimRequest {
        tenant: &newest.tenant,
        grant: newest.grant,
        holder: vault.holder().unwrap(),
        generation: newest.generation,
        attempt: Attempt::Forced,
        now: host.clock.now(),
        lease: Duration::from_secs(30),
    });
    let ClaimOutcome::Granted(granted) = claimed.unwrap() else {
        return false;
    };
    let committed = vault.commit_refresh(
        &newest.tenant,
        newest.grant,
        &granted.claim,
        &Refreshed {
            refresh_token_expires_at: None,
            tokens: &Tokens {
                access_token: AccessToken::new(format!("a{}", newest.generation)),
                refresh_token: Some(RefreshToken::new("r".to_owned())),
                id_token: None,
            },
            granted: None,
            expires_at: newest.expires_at,
            lifetime: None,
            at: host.clock.now(),
            by: None,
        },
    );
    assert_eq!(committed.unwrap(), CommitOutcome::Stored);
    true
}

/// The number of refreshes of each generation of each connection.
type Counts = BTreeMap<([u8; 16], u64), usize>;

/// Returns the numbers of the audit, and how often each generation was refreshed.
fn audit(vault: &PostgresVault, tenant: &TenantId) -> (Vec<u64>, Counts) {
    let mut filter = AuditFilter::of(tenant);
    filter.limit = usize::MAX;
    let entries = vault.audit(&filter).unwrap();
    let mut refreshed = BTreeMap::new();
    for entry in &entries {
        if entry.kind == AuditKind::Refreshed {
            let of = (*entry.connection.unwrap().as_bytes(), entry.generation.unwrap());
            *refreshed.entry(of).or_default() += 1;
        }
    }
    (entries.iter().map(|entry| entry.number).collect(), refreshed)
}

#[test]
fn promise_28_many_writers_of_one_tenant_leave_one_entry_each_and_no_gap() {
    let Some(cluster) = Cluster::start() else { return };
    let schema = cluster.schema();
    let key = || MasterKey::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let open = || {
        let options = PostgresOptions::new(&cluster.address()).unwrap();
        let options = options.schema(&schema).unwrap().max_sessions(12);
        Arc::new(options.connect(key()).unwrap())
    };
    let vaults = [open(), open()];
    let host = Host::builder().vault(Arc::clone(&vaults[0])).build().unwrap();
    let tenant = TenantId::new(Host::TENANT).unwrap();
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|n| host.connect(&host.user(&format!("user-{n}")), "notes"))
        .collect();
    let left = AtomicUsize::new(2 * CONNECTIONS);
    thread::scope(|scope| {
        for connection in &connections {
            for vault in &vaults {
                let (host, left) = (&host, &left);
                scope.spawn(move || {
                    let mut done = 0;
                    while done < REFRESHES {
                        done += usize::from(refresh(vault, host, connection));
                    }
                    left.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }
        for vault in &vaults {
            let (tenant, left) = (&tenant, &left);
            scope.spawn(move || {
                let mut seen = 0;
                while left.load(Ordering::SeqCst) > 0 {
                    let (numbers, _) = audit(vault, tenant);
                    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
                    assert!(numbers.len() >= seen, "entries are never taken back");
                    seen = numbers.len();
                    let report = vault.verify_audit(tenant, |_, _| {}).unwrap();
                    assert!(report.is_intact(), "{report:?}");
                }
            });
        }
        let (host, left) = (&host, &left);
        scope.spawn(move || {
            while left.load(Ordering::SeqCst) > 0 {
                let _ = host.connections.maintain(Budget::default()).unwrap();
            }
        });
    });
    let (numbers, refreshed) = audit(&vaults[1], &tenant);
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    for connection in &connections {
        let stored = vaults[0].connection(&tenant, connection.id).unwrap().unwrap();
        assert_eq!(stored.generation, 1 + 2 * REFRESHES as u64);
        for generation in 2..=stored.generation {
            let of = (*connection.id.as_bytes(), generation);
            assert_eq!(refreshed.get(&of), Some(&1), "{of:?}");
        }
    }
    assert_eq!(refreshed.len(), CONNECTIONS * 2 * REFRESHES);
    for vault in &vaults {
        let report = vault.verify_audit(&tenant, |_, _| {}).unwrap();
        assert!(report.is_intact(), "{report:?}");
        assert_eq!(report.checked, numbers.len() as u64);
    }
    let waiting = cluster.sql(&format!("SELECT count(*) FROM {schema}.audit_pending"));
    assert_eq!(waiting, "0");
}
