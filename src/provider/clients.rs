//! The client registrations of a host: those of individual tenants take precedence over those for
//! all tenants.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::model::{ServerId, TenantId};
use crate::provider::compiled::{Client, CompiledServer};
use crate::provider::problem::InvalidDescriptor;
use crate::provider::registered_base::RegisteredBase;
use crate::provider::{ClientRegistration, ClientSource, Transport, validate};

/// The client registrations of a host.
#[derive(Default)]
pub(crate) struct Clients {
    for_all: BTreeMap<ServerId, Client>,
    source: Option<Arc<dyn ClientSource>>,
    checked: Mutex<HashMap<(TenantId, ServerId), Checked>>,
}

/// The outcome of the check of one registration.
struct Checked {
    /// The registration that was checked. While this handle exists, no other registration can have
    /// the same address.
    registration: Weak<ClientRegistration>,
    outcome: Result<Arc<[RegisteredBase]>, InvalidDescriptor>,
}

/// A reason why a tenant has no usable client at an authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoClient {
    /// There is no registration.
    NotRegistered,
    /// The registration of the tenant does not fit the server.
    Invalid(InvalidDescriptor),
    /// The source failed.
    SourceFailed,
}

impl Clients {
    /// Returns clients from checked registrations, by the server at which they apply to all
    /// tenants, and a source of the registrations of individual tenants.
    pub(in crate::provider) fn new(
        for_all: BTreeMap<ServerId, Client>,
        source: Option<Arc<dyn ClientSource>>,
    ) -> Self {
        Self {
            for_all,
            source,
            checked: Mutex::default(),
        }
    }

    /// Returns whether tenants can have different registrations.
    pub(crate) const fn differ_by_tenant(&self) -> bool {
        self.source.is_some()
    }

    /// Returns the registration that applies to all tenants without their own.
    pub(crate) fn for_all(&self, server: &ServerId) -> Option<&Client> {
        self.for_all.get(server)
    }

    /// Returns whether every tenant has a client at this server, whatever else is stored for it.
    /// With a source, only the source knows.
    pub(crate) fn has_all(&self, server: &ServerId) -> bool {
        self.source.is_none() && self.for_all.contains_key(server)
    }

    /// Returns the tenant's registration at a server, if the source has one.
    pub(crate) fn own(
        &self,
        tenant: &TenantId,
        server: &ServerId,
    ) -> Result<Option<Arc<ClientRegistration>>, NoClient> {
        match &self.source {
            Some(source) => source.client(tenant, server).map_err(|_| NoClient::SourceFailed),
            None => Ok(None),
        }
    }

    /// Returns the client of a tenant at a server: its own if there is one, otherwise the one for
    /// all tenants.
    pub(crate) fn find(
        &self,
        tenant: &TenantId,
        server: &CompiledServer,
        own: Option<Arc<ClientRegistration>>,
        transport: Transport,
    ) -> Result<Client, NoClient> {
        match own {
            Some(registration) => self
                .check(tenant, server, registration, transport)
                .map_err(NoClient::Invalid),
            None => self.for_all(&server.id).cloned().ok_or(NoClient::NotRegistered),
        }
    }

    /// Returns whether a tenant has its own registration at a server.
    #[cfg(feature = "gateway")]
    pub(crate) fn is_own(&self, tenant: &TenantId, server: &ServerId) -> Result<bool, NoClient> {
        match &self.source {
            Some(source) => {
                let own = source.client(tenant, server);
                Ok(own.map_err(|_| NoClient::SourceFailed)?.is_some())
            }
            None => Ok(false),
        }
    }

    fn check(
        &self,
        tenant: &TenantId,
        server: &CompiledServer,
        registration: Arc<ClientRegistration>,
        transport: Transport,
    ) -> Result<Client, InvalidDescriptor> {
        let key = (tenant.clone(), server.id.clone());
        let known = self.checked().get(&key).and_then(|checked| {
            let is_same = checked.registration.as_ptr() == Arc::as_ptr(&registration);
            is_same.then(|| checked.outcome.clone())
        });
        let outcome = known.unwrap_or_else(|| {
            let outcome = validate::registration(server, &registration, transport).map(Into::into);
            let checked = Checked {
                registration: Arc::downgrade(&registration),
                outcome: outcome.clone(),
            };
            let mut known = self.checked();
            // From time to time, drops the checks of registrations that no longer exist.
            if !known.contains_key(&key) && known.len().is_power_of_two() {
                known.retain(|_, checked| checked.registration.strong_count() > 0);
            }
            known.insert(key, checked);
            outcome
        });
        Ok(Client::new(registration, outcome?))
    }

    fn checked(&self) -> MutexGuard<'_, HashMap<(TenantId, ServerId), Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("for_all", &self.for_all)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{AuthorizationServer, DescriptorProblem};

    fn server() -> CompiledServer {
        let id = ServerId::new("as").unwrap();
        let server = AuthorizationServer::new(id, "https://as.test/authorize", "https://as.test/token");
        CompiledServer::compile(server).unwrap()
    }

    fn client(id: &str) -> Arc<ClientRegistration> {
        Arc::new(ClientRegistration::new(id, "secret", "https://app.test/cb"))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    type Apps = Mutex<HashMap<String, Arc<ClientRegistration>>>;

    fn clients(apps: &Arc<Apps>) -> Clients {
        let apps = Arc::clone(apps);
        let source =
            move |tenant: &TenantId, _: &ServerId| Ok(apps.lock().unwrap().get(tenant.as_str()).cloned());
        let for_all = Client::new(client("for-all"), Arc::default());
        let for_all = BTreeMap::from([(ServerId::new("as").unwrap(), for_all)]);
        Clients::new(for_all, Some(Arc::new(source)))
    }

    fn found(clients: &Clients, name: &str) -> Result<String, NoClient> {
        let own = clients.own(&tenant(name), &server().id)?;
        let client = clients.find(&tenant(name), &server(), own, Transport::HttpsOnly)?;
        Ok(client.client_id().to_owned())
    }

    #[test]
    fn a_tenants_own_client_comes_first_and_is_nobody_elses() {
        let apps = Arc::<Apps>::default();
        let clients = clients(&apps);
        let put = |name: &str, app| apps.lock().unwrap().insert(name.to_owned(), app);
        put("one", client("of-one"));
        put("two", client("of-two"));
        for _ in 0..2 {
            assert_eq!(found(&clients, "one").unwrap(), "of-one");
            assert_eq!(found(&clients, "two").unwrap(), "of-two");
            assert_eq!(found(&clients, "three").unwrap(), "for-all");
        }
        put("one", client("of-one-later"));
        assert_eq!(found(&clients, "one").unwrap(), "of-one-later");
        assert_eq!(found(&clients, "two").unwrap(), "of-two");
        apps.lock().unwrap().remove("two");
        assert_eq!(found(&clients, "two").unwrap(), "for-all");
    }

    #[test]
    fn an_invalid_client_is_refused_at_each_use_and_its_correction_counts_at_once() {
        let apps = Arc::<Apps>::default();
        let clients = clients(&apps);
        let put = |app| apps.lock().unwrap().insert("one".to_owned(), Arc::new(app));
        put(ClientRegistration::public("id", "https://app.test/cb"));
        for _ in 0..2 {
            let Err(NoClient::Invalid(error)) = found(&clients, "one") else {
                panic!("the server wants a secret");
            };
            assert!(matches!(error.problem, DescriptorProblem::ClientSecret { .. }));
        }
        put(ClientRegistration::new("id", "secret", "https://app.test/cb"));
        assert_eq!(found(&clients, "one").unwrap(), "id");
        put(ClientRegistration::new("id", "secret\n", "https://app.test/cb"));
        assert!(matches!(found(&clients, "one"), Err(NoClient::Invalid(_))));
    }

    #[test]
    fn the_client_for_all_does_not_stand_in_for_a_source_that_fails() {
        let failing = |_: &TenantId, _: &ServerId| Err("the database is down".into());
        let for_all = Client::new(client("for-all"), Arc::default());
        let for_all = BTreeMap::from([(ServerId::new("as").unwrap(), for_all)]);
        let clients = Clients::new(for_all, Some(Arc::new(failing)));
        assert_eq!(found(&clients, "one"), Err(NoClient::SourceFailed));
        let clients = Clients::new(BTreeMap::new(), None);
        assert_eq!(found(&clients, "one"), Err(NoClient::NotRegistered));
    }

    #[test]
    fn a_registration_is_checked_once() {
        let apps = Arc::<Apps>::default();
        let clients = clients(&apps);
        let app = Arc::new(
            ClientRegistration::new("id", "secret", "https://app.test/cb").for_base_urls(["https://x.test"]),
        );
        apps.lock().unwrap().insert("one".to_owned(), Arc::clone(&app));
        let bases = || {
            found(&clients, "one").unwrap();
            let checked = clients.checked();
            let (_, checked) = checked.iter().next().unwrap();
            checked.outcome.clone().unwrap()
        };
        let first = bases();
        assert!(Arc::ptr_eq(&first, &bases()));
        let copy =
            ClientRegistration::new("id", "secret", "https://app.test/cb").for_base_urls(["https://x.test"]);
        apps.lock().unwrap().insert("one".to_owned(), Arc::new(copy));
        assert!(!Arc::ptr_eq(&first, &bases()));
        drop(app);
        assert_eq!(clients.checked().len(), 1);
    }

    #[test]
    fn checks_of_registrations_that_are_gone_are_dropped() {
        let fresh = |_: &TenantId, _: &ServerId| Ok(Some(client("id")));
        let clients = Clients::new(BTreeMap::new(), Some(Arc::new(fresh)));
        for number in 0..1000 {
            found(&clients, &format!("tenant-{number}")).unwrap();
        }
        assert!(clients.checked().len() < 4, "{}", clients.checked().len());
    }
}
