//! Providers and clients that a tenant gains while the host runs.

use std::sync::Arc;

use valetkey::model::Connection;
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::{SealedVault, Vault};
use valetkey::{
    ActingUser, AuthorizationResponse, Connections, ConsentOptions, Error, Resolver, Result, TenantId,
};

use crate::host::{REDIRECT, person, tenant};

/// A host that was built without any service.
struct Bare {
    sandbox: Sandbox,
    connections: Connections,
}

impl Bare {
    fn over(vault: &Arc<dyn Vault>, sandbox: &Sandbox, clock: &ManualClock) -> Self {
        let connections = Connections::builder(Arc::clone(vault))
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            sandbox: sandbox.clone(),
            connections,
        }
    }

    fn pair() -> (Self, Self) {
        let vault: Arc<dyn Vault> = Arc::new(SealedVault::in_memory());
        let clock = ManualClock::default();
        let sandbox = Sandbox::new(clock.clone());
        sandbox.allow_redirect(REDIRECT);
        (
            Self::over(&vault, &sandbox, &clock),
            Self::over(&vault, &sandbox, &clock),
        )
    }

    fn server(&self) -> AuthorizationServer {
        self.sandbox.server()
    }

    fn provider(&self) -> Provider {
        self.sandbox.provider("notes")
    }

    fn client(&self) -> ClientRegistration {
        self.sandbox.registration(REDIRECT)
    }

    fn add(&self, tenant: &TenantId) {
        let (server, provider) = (self.server(), self.provider());
        self.connections
            .add_provider(tenant, Some(server), provider)
            .unwrap();
        self.connections
            .add_client(tenant, "sandbox", self.client())
            .unwrap();
    }

    fn connect(&self, who: &ActingUser) -> Result<Connection> {
        let consent = self.connections.start(who, "notes", ConsentOptions::default())?;
        let callback = self.sandbox.approve(consent.authorization_url().clone(), "ada");
        let response = AuthorizationResponse::parse(&callback).unwrap();
        self.connections.complete(who, response, consent.binding())
    }

    fn resolve(&self, who: &ActingUser) -> Result<()> {
        Resolver::new(self.connections.clone())
            .resolve(who, "notes")
            .map(drop)
    }
}

#[test]
fn what_one_host_adds_the_other_uses_at_once() {
    let (one, other) = Bare::pair();
    let alice = person("alice");
    assert!(matches!(
        other.connect(&alice),
        Err(Error::UnknownProvider { .. })
    ));
    one.add(&tenant());
    other.connect(&alice).unwrap();
    for host in [&one, &other] {
        host.resolve(&alice).unwrap();
        let added = host.connections.added_providers(&tenant()).unwrap();
        assert_eq!(added, [one.provider()]);
        let clients = host.connections.added_clients(&tenant()).unwrap();
        assert_eq!(clients[0].0.as_str(), "sandbox");
        assert_eq!(clients[0].1, one.client().client_id());
    }
    // A change counts at once as well, in both directions.
    let renamed = Provider::from_json(
        &serde_json::to_string(&one.provider())
            .unwrap()
            .replace("Sandbox notes", "Papers"),
    );
    other
        .connections
        .add_provider(&tenant(), Some(other.server()), renamed.unwrap())
        .unwrap();
    assert_ne!(
        one.connections.added_providers(&tenant()).unwrap(),
        [one.provider()]
    );
    assert!(one.connections.remove_client(&tenant(), "sandbox").unwrap());
    assert!(!one.connections.remove_client(&tenant(), "sandbox").unwrap());
    assert!(matches!(other.resolve(&alice), Err(Error::Misconfigured(_))));
    one.connections
        .add_client(&tenant(), "sandbox", one.client())
        .unwrap();
    other.resolve(&alice).unwrap();
}

#[test]
fn what_a_tenant_adds_is_unknown_to_all_others() {
    let (one, _) = Bare::pair();
    one.add(&tenant());
    let stranger = ActingUser::authenticated("elsewhere", "alice").unwrap();
    assert!(matches!(
        one.connect(&stranger),
        Err(Error::UnknownProvider { .. })
    ));
    assert!(
        one.connections
            .added_providers(stranger.tenant())
            .unwrap()
            .is_empty()
    );
    assert!(
        !one.connections
            .remove_provider(stranger.tenant(), "notes")
            .unwrap()
    );
    one.connect(&person("alice")).unwrap();
}

#[test]
fn a_provider_in_use_is_not_removed() {
    let (one, other) = Bare::pair();
    let alice = person("alice");
    one.add(&tenant());
    let connection = one.connect(&alice).unwrap();
    let error = other.connections.remove_provider(&tenant(), "notes").unwrap_err();
    assert!(
        matches!(&error, Error::InUse(provider) if provider.as_str() == "notes"),
        "{error:?}"
    );
    one.resolve(&alice).unwrap();
    one.connections.revoke(&alice, connection.id).unwrap();
    assert!(other.connections.remove_provider(&tenant(), "notes").unwrap());
    assert!(matches!(one.connect(&alice), Err(Error::UnknownProvider { .. })));
    assert!(one.connections.added_clients(&tenant()).unwrap().is_empty());
}

#[test]
fn what_does_not_fit_is_refused_and_not_stored() {
    let (one, _) = Bare::pair();
    let refused = |server: Option<AuthorizationServer>, provider: Provider| {
        let error = one
            .connections
            .add_provider(&tenant(), server, provider)
            .unwrap_err();
        assert!(matches!(error, Error::Misconfigured(_)), "{error:?}");
        assert!(one.connections.added_providers(&tenant()).unwrap().is_empty());
    };
    refused(None, one.provider());
    let http = r#"{"id": "sandbox", "authorization_endpoint": "http://a.test/a", "token_endpoint": "https://a.test/t"}"#;
    refused(
        Some(AuthorizationServer::from_json(http).unwrap()),
        one.provider(),
    );
    let other = r#"{"id": "other", "authorization_endpoint": "https://a.test/a", "token_endpoint": "https://a.test/t"}"#;
    refused(
        Some(AuthorizationServer::from_json(other).unwrap()),
        one.provider(),
    );
    // The host's own descriptors cannot be replaced by a tenant's.
    refused(Some(one.server()), valetkey::catalog::gmail());
    let google = format!(
        r#"{{"id": "{}", "authorization_endpoint": "https://a.test/a", "token_endpoint": "https://a.test/t"}}"#,
        valetkey::catalog::GOOGLE
    );
    refused(
        Some(AuthorizationServer::from_json(&google).unwrap()),
        one.provider(),
    );
    let public = ClientRegistration::public("id", REDIRECT);
    for (server, client) in [("nowhere", one.client()), (valetkey::catalog::GOOGLE, public)] {
        let error = one.connections.add_client(&tenant(), server, client).unwrap_err();
        assert!(matches!(error, Error::Misconfigured(_)), "{error:?}");
    }
    assert!(one.connections.added_clients(&tenant()).unwrap().is_empty());
}

#[test]
fn a_tenants_own_client_at_a_server_of_the_host_comes_before_the_one_for_all() {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    sandbox.allow_redirect(REDIRECT);
    let connections = Connections::builder(SealedVault::in_memory())
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration(REDIRECT))
        .http_client(sandbox.clone())
        .clock(clock)
        .build()
        .unwrap();
    let client_of = |who: &ActingUser| {
        let consent = connections
            .start(who, "notes", ConsentOptions::default())
            .unwrap();
        let mut pairs = consent.authorization_url().query_pairs();
        pairs
            .find(|(name, _)| name == "client_id")
            .unwrap()
            .1
            .into_owned()
    };
    let own = ClientRegistration::new("acmes-own", "secret", REDIRECT);
    connections.add_client(&tenant(), "sandbox", own).unwrap();
    assert_eq!(client_of(&person("alice")), "acmes-own");
    let stranger = ActingUser::authenticated("elsewhere", "alice").unwrap();
    assert_eq!(client_of(&stranger), sandbox.registration(REDIRECT).client_id());
    assert!(connections.remove_client(&tenant(), "sandbox").unwrap());
    assert_eq!(
        client_of(&person("alice")),
        sandbox.registration(REDIRECT).client_id()
    );
}
