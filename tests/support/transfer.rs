//! A vault with at least one record of each kind, and what a host sees of a vault.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey::connections::{AuditPage, Budget, ConnectionFilter};
use valetkey::internals::vault::MemoryStore;
use valetkey::internals::vault::*;
use valetkey::model::{Connection, Label, Principal as _};
use valetkey::provider::Provider;
use valetkey::resolver::ResolveOptions;
use valetkey::testing::{Fault, Host};
use valetkey::vault::{
    MasterKey, SealedVault, Store, Transaction, Transfer, TransferPhase, Transferred, VaultError,
};
use valetkey::{ActingUser, ConsentOptions, Error, Operator};

use super::world::{operator, person, stranger, tenant};

/// Returns a host whose vault contains records of each kind.
pub(crate) fn full(vault: Arc<dyn Vault>) -> Host {
    let host = Host::builder().vault(vault).build().unwrap();
    let (alice, bob, carol, dan) = (person("alice"), person("bob"), person("carol"), person("dan"));
    // The server refuses the refresh token: it is kept in quarantine.
    let refused = host
        .connect_with(&dan, "notes", "grace", ConsentOptions::default())
        .unwrap();
    host.sandbox.revoke_at_server("grace");
    assert!(host.connections.refresh(&dan, refused.id).is_err());
    let first = host.connect(&alice, "notes");
    let work = ConsentOptions::default().label(Label::new("work").unwrap());
    host.connect_with(&alice, "notes", "grace", work).unwrap();
    host.connections.set_default(&alice, first.id).unwrap();
    // A second consent for the same account leaves a former grant.
    host.connect(&bob, "mail");
    host.connect(&bob, "mail");
    host.connect_workspace(&operator(), "mail");
    host.connect(&stranger("sam"), "notes");
    for user in ["erin", "frank"] {
        host.connections
            .start(&person(user), "notes", ConsentOptions::default())
            .unwrap();
    }
    let withdrawn = host
        .connections
        .start(&person("grace"), "notes", ConsentOptions::default())
        .unwrap();
    host.connections.cancel(&person("grace"), withdrawn.id()).unwrap();
    host.connections
        .add_provider(&tenant(), None, added(&host))
        .unwrap();
    let registration = host.sandbox.registration(Host::REDIRECT_URI);
    host.connections
        .add_client(&tenant(), "sandbox", registration)
        .unwrap();
    host.resolver.resolve(&alice, labelled("work")).unwrap();
    host.connections.maintain(Budget::default()).unwrap();
    // The provider does not answer: the revocation stays pending.
    let revoked = host.connect(&carol, "notes");
    for _ in 0..4 {
        host.http.on("/revoke").next(Fault::Connect);
    }
    host.connections.revoke(&carol, revoked.id).unwrap();
    host.http.clear();
    host
}

/// Returns a provider with another id at the same server.
fn added(host: &Host) -> Provider {
    let mut document = serde_json::to_value(host.sandbox.provider("notes")).unwrap();
    document["id"] = "added-notes".into();
    serde_json::from_value(document).unwrap()
}

fn labelled(label: &str) -> ResolveOptions<'_> {
    ResolveOptions::new("notes").label(Label::new(label).unwrap())
}

/// Returns everything that a host and its operators see, as lines.
pub(crate) fn seen(host: &Host, vault: &dyn Vault) -> Vec<String> {
    let mut lines = Vec::new();
    let elsewhere = Operator::authenticated("elsewhere", "olga").unwrap();
    for by in [operator(), elsewhere] {
        let filter = ConnectionFilter::default().include_revoked();
        for connection in host.connections.list(&by, &filter).unwrap() {
            lines.push(format!("{connection:?}"));
            lines.push(format!(
                "{:?}",
                host.connections.health(&by, connection.id).unwrap()
            ));
        }
        for entry in host.connections.audit(&by, &AuditPage::default()).unwrap() {
            lines.push(format!("{entry:?}"));
        }
        for consent in host.connections.all_pending(&by).unwrap() {
            lines.push(format!("{consent:?}"));
        }
        let named = by.tenant().clone();
        for provider in host.connections.added_providers(&named).unwrap() {
            lines.push(format!("{provider:?}"));
        }
        lines.push(format!("{:?}", host.connections.added_clients(&named).unwrap()));
        lines.push(format!("{:?}", verified(vault, AuditChain::Tenant(named))));
    }
    lines.push(format!("{:?}", verified(vault, AuditChain::Vault)));
    for (user, options) in [
        (person("alice"), ResolveOptions::new("notes")),
        (person("alice"), labelled("work")),
        (person("bob"), ResolveOptions::new("mail")),
        (stranger("sam"), ResolveOptions::new("notes")),
    ] {
        let token = host.resolver.resolve(&user, &options).unwrap();
        let secret = token.access_token().expose_secret();
        assert!(host.sandbox.is_live(secret));
        lines.push(secret.to_owned());
    }
    lines
}

fn verified(vault: &dyn Vault, chain: AuditChain) -> AuditReport {
    let report = vault.verify_chain(&chain, &mut |_, _| {}).unwrap();
    assert!(report.is_intact(), "{chain:?}: {report:?}");
    report
}

/// Moves a vault with records of each kind, and compares both sides.
pub(crate) fn moves(from: &Arc<dyn Vault>, to: &Arc<dyn Vault>) -> Transferred {
    let host = full(Arc::clone(from));
    let exported = heads(from);
    let before = seen(&host, from);
    let mut phases = Vec::new();
    let moved = Transfer::new(from, to)
        .run(|progress| {
            assert!(progress.done <= progress.total, "{progress:?}");
            phases.push(progress.phase);
        })
        .unwrap();
    assert!(phases.contains(&TransferPhase::Copying) && phases.contains(&TransferPhase::Verifying));
    arrived(&host, to, &before, &exported);
    assert!(
        moved.grants > moved.connections,
        "former grants are moved: {moved:?}"
    );
    assert!(
        moved.consents >= 8 && moved.definitions == 2 && moved.revocations == 1,
        "{moved:?}"
    );
    assert_eq!((moved.tenants, moved.unreadable), (2, 0));
    moved
}

/// Compares a moved vault with what was seen before, refreshes in the target, and shows that the
/// source refreshes nothing.
pub(crate) fn arrived(host: &Host, to: &Arc<dyn Vault>, before: &[String], exported: &[AuditHead]) {
    let next = host.another().vault(Arc::clone(to)).build().unwrap();
    let after = seen(&next, to);
    // The vault's own chain has one more entry, the one about the move.
    let differing: Vec<_> = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .collect();
    assert_eq!(before.len(), after.len());
    assert!(
        differing
            .iter()
            .all(|(before, _)| before.starts_with("AuditReport"))
            && differing.len() <= 1,
        "{differing:#?}"
    );
    for head in exported {
        assert!(to.proves(head).unwrap(), "{head}");
    }
    let requests = host.http.requests_to("/token");
    for (user, provider) in users() {
        let connection = own(&next, &user, provider);
        let stale = host.connections.refresh(&user, connection.id);
        assert!(matches!(stale, Err(Error::Vault(VaultError::Moved))), "{stale:?}");
        let renewed = next.connections.refresh(&user, connection.id).unwrap();
        assert_eq!(renewed.generation, connection.generation + 1);
    }
    assert_eq!(host.http.requests_to("/token") - requests, users().len());
    let consent = host
        .connections
        .start(&users()[0].0, "notes", ConsentOptions::default());
    assert!(
        matches!(consent, Err(Error::Vault(VaultError::Moved))),
        "{consent:?}"
    );
}

/// Returns the first connection of a user to this service.
pub(crate) fn own(host: &Host, user: &ActingUser, provider: &str) -> Connection {
    let filter = ConnectionFilter::default().personal();
    let connections = host.connections.list(user, &filter).unwrap();
    let mut of_provider = connections
        .into_iter()
        .filter(|found| found.provider.as_str() == provider);
    of_provider.next().unwrap()
}

/// Returns the heads of all chains as a host exports them.
pub(crate) fn heads(vault: &dyn Vault) -> Vec<AuditHead> {
    vault.audit_heads(None).unwrap()
}

/// Returns the users whose connections a host refreshes.
pub(crate) fn users() -> [(ActingUser, &'static str); 3] {
    [
        (person("alice"), "notes"),
        (person("bob"), "mail"),
        (stranger("sam"), "notes"),
    ]
}

/// A store in memory whose writes fail as a test requests. Clones share the values.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailingStore {
    inner: Arc<MemoryStore>,
    left: Arc<AtomicUsize>,
    how: How,
}

/// The way in which a write fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum How {
    /// Nothing is stored.
    #[default]
    Before,
    /// The transaction is stored, but the caller does not learn it.
    After,
}

impl FailingStore {
    /// Returns a handle on the same values that stores this number of transactions, and fails from
    /// then on.
    pub(crate) fn dying_after(&self, writes: usize, how: How) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            left: Arc::new(AtomicUsize::new(writes)),
            how,
        }
    }

    /// Returns a handle on the same values that does not fail.
    pub(crate) fn healthy(&self) -> Self {
        self.dying_after(usize::MAX, How::Before)
    }

    /// Returns a vault over this handle.
    pub(crate) fn vault(&self, key: MasterKey) -> SealedVault {
        SealedVault::open(self.clone(), key).unwrap()
    }

    fn spend(&self) -> bool {
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }
}

impl Store for FailingStore {
    fn read(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        self.inner.read(work)
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut lives = true;
        self.inner.write(&mut |transaction| {
            work(transaction)?;
            lives = self.spend();
            if lives || self.how == How::After {
                Ok(())
            } else {
                Err(VaultError::DiskFull)
            }
        })?;
        if lives {
            Ok(())
        } else {
            Err(VaultError::Unreachable)
        }
    }

    fn erase_residue(&self) -> Result<bool, VaultError> {
        self.inner.erase_residue()
    }
}
