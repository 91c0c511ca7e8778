//! The whole lifetime of a few connections, from consent to the removal of their workspace.

use std::time::Duration;

use valetkey::model::{Connection, ProviderId, ServerId};
use valetkey::internals::provider::{AccountEndpoint, BodyFormat, ClientAuthentication, RefreshWith, Revocation, RevocationAuth, RevocationTokens, RotationClass};
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
use valetkey::testing::ManualClock;
use valetkey::vault::Vault;
use valetkey::{
    ActingUser, AuthorizationResponse, Binding, Connections, Consent, ConsentOptions, Error, Operator,
    Resolver, TenantId,
};

use crate::allocator::apart;
use crate::server::{Answer, Mood, Server};

/// One combination of server and client behavior.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) authentication: ClientAuthentication,
    pub(crate) body: BodyFormat,
    pub(crate) answer: Answer,
    pub(crate) revocation: RevocationKind,
    pub(crate) refresh_with: RefreshWith,
    /// The callback's parameter for the code.
    pub(crate) code: Option<&'static str>,
    /// True if parameters have other names.
    pub(crate) renamed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevocationKind {
    Post,
    Delete,
}

pub(crate) const TENANT: &str = "acme";

struct Walk<'a> {
    kind: &'a Kind,
    server: &'a Server,
    connections: Connections,
    resolver: Resolver,
    clock: ManualClock,
    alice: ActingUser,
    operator: Operator,
}

/// Runs the lifetime with this vault. `between` is called while tokens are stored, to rotate keys,
/// if there are any.
pub(crate) fn walk(kind: &Kind, server: &Server, vault: impl Vault, between: &dyn Fn()) {
    let clock = ManualClock::default();
    let tenant = || TenantId::new(TENANT).expect("a name");
    let registration = match kind.authentication {
        ClientAuthentication::None => ClientRegistration::public("clïent", "https://app.test/cb"),
        // The string is given away: the search checks that the library wipes it.
        _ => {
            let client_secret = apart(|| server.secret("client secret"));
            ClientRegistration::new("clïent", client_secret, "https://app.test/cb")
        }
    };
    let connections = Connections::builder(vault)
        .server(descriptor(kind))
        .provider(provider())
        .client("as", registration)
        .http_client(server.client())
        .clock(clock.clone())
        .build()
        .expect("the descriptors are valid");
    let walk = Walk {
        kind,
        server,
        resolver: Resolver::new(connections.clone()),
        connections,
        clock,
        alice: ActingUser::authenticated(tenant(), "alice").expect("a name"),
        operator: Operator::authenticated(tenant(), "olga").expect("a name"),
    };
    let connection = walk.connect();
    walk.consents_that_fail();
    walk.turns();
    between();
    walk.refreshes(&connection);
    between();
    walk.ends(&connection);
}

impl Walk<'_> {
    fn callback(&self, consent: &Consent) -> String {
        let code = self.server.secret("code");
        let url = consent.authorization_url();
        let state = url.query_pairs().find(|(name, _)| name == "state");
        let state = state.expect("every consent has a state").1.into_owned();
        self.server.learn("state", &state);
        self.server.learn("binding", consent.binding().expose_secret());
        let mut callback = url::Url::parse("https://app.test/cb").expect("a URL");
        callback
            .query_pairs_mut()
            .append_pair(self.kind.code.unwrap_or("code"), &code)
            .append_pair("state", &state);
        callback.into()
    }

    /// Completes a consent as the host does when the browser returns; the host wipes its own copies
    /// of the callback.
    fn complete(&self, consent: &Consent) -> Result<Connection, Error> {
        let callback = apart(|| self.callback(consent));
        let response = AuthorizationResponse::parse(&callback)?;
        apart(|| drop(callback));
        self.connections
            .complete(&self.alice, response, consent.binding())
    }

    fn start(&self, options: ConsentOptions) -> Consent {
        let consent = self.connections.start(&self.alice, "notes", options);
        consent.expect("a consent begins")
    }

    fn connect(&self) -> Connection {
        let consent = self.start(ConsentOptions::default());
        self.complete(&consent).expect("the consent is completed")
    }

    fn consents_that_fail(&self) {
        for mood in [Mood::Refuses, Mood::Out, Mood::Garbles] {
            self.server.be(mood);
            let consent = self.start(ConsentOptions::default());
            assert!(self.complete(&consent).is_err());
        }
        self.server.be(Mood::Fine);
        let consent = self.start(ConsentOptions::default());
        let callback = apart(|| self.callback(&consent));
        let response = AuthorizationResponse::parse(&callback).expect("it is one");
        let other = Binding::new("another browser's");
        assert!(self.connections.complete(&self.alice, response, &other).is_err());
        apart(|| drop(callback));

        let prepared = self
            .connections
            .prepare(&self.alice, "notes", ConsentOptions::default())
            .expect("a consent is prepared");
        apart(|| self.server.learn("ticket", prepared.ticket().expose_secret()));
        let opened = self.connections.open_link(&self.alice, prepared.ticket());
        drop(opened.expect("the ticket opens it"));
    }

    fn turns(&self) {
        let token = self.resolver.resolve(&self.alice, "notes").expect("connected");
        drop(token);
        drop(self.resolver.peek(&self.alice, "notes").expect("connected"));
        for path in ["/echo", "/forbidden"] {
            let request = http::Request::post(path)
                .body(b"hello".to_vec())
                .expect("a request");
            drop(self.resolver.send(&self.alice, "notes", request));
        }

        let turn = self.resolver.turn(self.alice.clone());
        let token = turn.resolve("notes").expect("connected");
        // The output of a tool belongs to the host.
        let said = apart(|| format!("I called it with {}, twice", token.access_token().expose_secret()));
        drop(token);
        let clean = turn.redact(&said);
        assert!(clean.contains("[redacted]"));
        assert!(turn.contains_secret(&said));
        drop(turn.redact_bytes(said.as_bytes()));
        let mut redactor = turn.redactor();
        let (first, second) = said.split_at(said.len() / 2);
        drop((redactor.push(first), redactor.push(second), redactor.finish()));
        drop(clean);
        apart(|| drop(said));

        let placeholder = turn.placeholder("notes").expect("the provider is known");
        let request = || {
            http::Request::get("/echo")
                .header("authorization", format!("Bearer {placeholder}"))
                .body(Vec::new())
                .expect("a request")
        };
        drop(turn.fill(request()).expect("the placeholder stands for a token"));
        drop(turn.send_filled(request()).expect("it is sent"));
        let request = http::Request::get("/echo").body(Vec::new()).expect("a request");
        drop(turn.send("notes", request).expect("it is sent"));
    }

    fn refreshes(&self, connection: &Connection) {
        let turn = self.resolver.turn(self.alice.clone());
        drop(turn.resolve("notes").expect("connected"));
        self.clock.advance(Duration::from_secs(3_601));
        drop(turn.resolve("notes").expect("renewed"));
        drop(turn);
        drop(self.connections.refresh(&self.operator, connection.id));

        for mood in [Mood::Out, Mood::Garbles, Mood::Refuses] {
            self.server.be(mood);
            self.clock.advance(Duration::from_secs(7_200));
            assert!(self.resolver.resolve(&self.alice, "notes").is_err());
        }
        self.server.be(Mood::Fine);
        let retried = self.connections.retry_rejected(&self.operator, "notes", None, 10);
        assert_eq!(retried.expect("the quarantine is tried").restored, 1);
        drop(self.resolver.resolve(&self.alice, "notes").expect("restored"));

        // A new consent for the same connection, under the same label.
        let options = ConsentOptions::default().reconnect(connection.id);
        drop(self.complete(&self.start(options)).expect("connected again"));
        self.clock.advance(Duration::from_secs(3_400));
        self.connections.maintain(Default::default()).expect("upkeep");
    }

    fn ends(&self, connection: &Connection) {
        self.server.be(Mood::Out);
        drop(
            self.connections
                .revoke(&self.alice, connection.id)
                .expect("revoked here"),
        );
        self.clock.advance(Duration::from_secs(3_600));
        self.connections.maintain(Default::default()).expect("upkeep");
        self.server.be(Mood::Fine);
        self.clock.advance(Duration::from_secs(24 * 3_600));
        let upkeep = self.connections.maintain(Default::default()).expect("upkeep");
        // The revocations of the connection and of its former grant.
        assert_eq!(upkeep.revocations_settled, 2);

        let second = self.connect();
        drop(self.connections.revoke(&self.alice, second.id).expect("revoked"));
        drop(self.connect());
        drop(
            self.connections
                .audit(&self.operator, &Default::default())
                .expect("the audit"),
        );
        let alice = self.alice.user();
        self.connections
            .forget_user(&self.operator, alice)
            .expect("forgotten");
        drop(self.connect());
        self.connections.forget_tenant(&self.operator).expect("forgotten");
    }
}

fn descriptor(kind: &Kind) -> AuthorizationServer {
    let id = ServerId::new("as").expect("an id");
    let mut server = AuthorizationServer::new(id, "https://as.test/authorize", "https://as.test/token");
    server.client_authentication = kind.authentication;
    server.body_format = kind.body;
    // A refusal after a lost answer can then be recovered.
    server.rotation = RotationClass::OldStaysValid;
    server.refresh_with = kind.refresh_with;
    server.code_parameter = kind.code.map(Into::into);
    if kind.renamed {
        server.token_renames.insert("client_id".into(), "app_id".into());
        server
            .token_renames
            .insert("client_secret".into(), "app_secret".into());
        server.refresh_grant_type = Some("renew".into());
        server
            .authorization_renames
            .insert("client_id".into(), "app_id".into());
        server.token_parameters.insert(
            "echo".into(),
            "{state}, and text that makes the buffer grow after it".into(),
        );
    }
    server.revocation = match kind.revocation {
        RevocationKind::Post => Revocation::Endpoint {
            url: "https://as.test/revoke".into(),
            authentication: RevocationAuth::SameAsToken,
            tokens: RevocationTokens::Both,
            grant_wide: false,
        },
        RevocationKind::Delete => Revocation::DeleteWithBearer {
            url: "https://as.test/grant".into(),
        },
    };
    server
}

fn provider() -> Provider {
    let id = ProviderId::new("notes").expect("an id");
    let server = ServerId::new("as").expect("an id");
    let hosts = ["https://as.test/api"];
    let mut provider = Provider::new(id, server, "Notes", hosts);
    provider.api_base = Some("https://as.test/api".into());
    provider.account = Some(AccountEndpoint {
        url: "https://as.test/me".into(),
        id: vec!["/sub".into()],
        email: vec!["/email".into()],
        label: Vec::new(),
    });
    provider
}
