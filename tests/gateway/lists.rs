//! The cost of lists: each service is looked up once, whatever the number of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey::connections::ConnectionFilter;
use valetkey::model::ServerId;
use valetkey::provider::ClientRegistration;
use valetkey::testing::Host;
use valetkey::vault::{MasterKey, SealedVault};
use valetkey::{ConsentOptions, Operator, TenantId};

use crate::support::counting::CountingStore;
use crate::support::gateway::{self, BASE, Site, program};

const OLGA: &str = "acme.olga.operator";

/// A host whose source of clients is counted. The service `board` and the client are the tenant's
/// own, so they are in the vault.
struct Counted {
    site: Site,
    store: CountingStore,
    asked: Arc<AtomicUsize>,
}

impl Counted {
    fn new() -> Self {
        let store = CountingStore::default();
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let vault = SealedVault::open(store.clone(), MasterKey::generate().unwrap()).unwrap();
        let site = Site::configured(vault, move |_, builder| {
            builder.clients(move |_: &TenantId, _: &ServerId| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            })
        });
        let tenant = TenantId::new(Host::TENANT).unwrap();
        let provider = site.sandbox.provider("board");
        site.connections.add_provider(&tenant, None, provider).unwrap();
        let callback = format!("https://app.test{BASE}/callback/sandbox");
        let client: ClientRegistration = site.sandbox.registration(&callback);
        site.connections.add_client(&tenant, "sandbox", client).unwrap();
        Self { site, store, asked }
    }

    fn connect(&self, people: std::ops::Range<usize>) {
        for number in people {
            let person = format!("acme.person-{number}.user");
            let options = ConsentOptions::default();
            self.site
                .connect_with(&gateway::person(&person), "board", "ada", options)
                .unwrap();
        }
    }

    /// Returns the values that a call reads from the store, and how often it asks for a client.
    fn of(&self, call: impl Fn()) -> (usize, usize) {
        call();
        let before = (self.store.reads(), self.asked.load(Ordering::Relaxed));
        call();
        (
            self.store.reads() - before.0,
            self.asked.load(Ordering::Relaxed) - before.1,
        )
    }

    fn operator(&self) -> Operator {
        self.site.operator("olga")
    }

    fn list(&self) {
        let all = ConnectionFilter::default();
        assert!(
            !self
                .site
                .connections
                .list(&self.operator(), &all)
                .unwrap()
                .is_empty()
        );
    }

    fn counts(&self) {
        assert!(!self.site.connections.counts(&self.operator()).unwrap().is_empty());
    }

    fn answer(&self, path: &str) {
        let request = program(OLGA, http::Method::GET, path);
        assert_eq!(self.site.send(request).status(), 200, "{path}");
    }
}

const FEW: usize = 2;
const MANY: usize = 22;

#[test]
fn what_a_list_looks_up_in_addition_to_its_rows_does_not_grow() {
    let counted = Counted::new();
    counted.connect(0..FEW);
    let calls: [(&str, &dyn Fn()); 2] = [("list", &|| counted.list()), ("counts", &|| counted.counts())];
    let fresh_few = calls.map(|(_, call)| counted.of(call));
    counted.site.expire();
    let few = calls.map(|(_, call)| counted.of(call));
    counted.connect(FEW..MANY);
    let fresh_many = calls.map(|(_, call)| counted.of(call));
    counted.site.expire();
    let many = calls.map(|(_, call)| counted.of(call));
    for (at, (name, _)) in calls.iter().enumerate() {
        assert_eq!(few[at].1, many[at].1, "{name}: questions to the source");
        // Whether an expired token can be refreshed depends on the configuration. Of the twenty-two
        // connections, two were expired before.
        let in_addition = many[at].0 - fresh_many[at].0;
        assert_eq!(in_addition, 0, "{name}: values read, {few:?} {many:?}");
        assert!(few[at].0 > fresh_few[at].0, "{name}: nothing was looked up");
    }
}

#[test]
fn a_page_asks_for_each_client_once() {
    let counted = Counted::new();
    counted.connect(0..FEW);
    let paths = [
        "/",
        "/?status=needs_consent",
        "/?sort=newest",
        "/?q=person",
        "/v1/connections",
        "/v1/revocation?provider=board",
        "/revoke?provider=board",
        "/services",
    ];
    counted.site.expire();
    let few = paths.map(|path| counted.of(|| counted.answer(path)).1);
    counted.connect(FEW..MANY);
    counted.site.expire();
    let many = paths.map(|path| counted.of(|| counted.answer(path)).1);
    assert_eq!(few, many);
    assert!(few[0] > 0);
}
