//! Clients that authenticate with a private key, checked by another implementation of JWT.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use valetkey::error::Misconfigured;
use valetkey::internals::provider::{AssertionAudience, ClientAuthentication};
use valetkey::provider::ClientRegistration;
use valetkey::testing::sandbox::Logged;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Error, Resolver};

const REDIRECT: &str = "https://host.test/callback";

const RSA: &[u8] = include_bytes!("../support/keys/rsa.pem");
const P256: &[u8] = include_bytes!("../support/keys/p256.pem");
const P384: &[u8] = include_bytes!("../support/keys/p384.pem");
const ED25519: &[u8] = include_bytes!("../support/keys/ed25519.pem");

struct Host {
    sandbox: Sandbox,
    clock: ManualClock,
    connections: Connections,
}

impl Host {
    fn new(change: impl FnOnce(&Sandbox) -> ClientRegistration) -> Self {
        let clock = ManualClock::default();
        let sandbox = Sandbox::new(clock.clone());
        sandbox.allow_redirect(REDIRECT);
        let registration = change(&sandbox);
        let connections = Connections::builder(SealedVault::in_memory())
            .server(sandbox.server())
            .provider(sandbox.provider("notes"))
            .client("sandbox", registration)
            .http_client(sandbox.clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        Self {
            sandbox,
            clock,
            connections,
        }
    }

    fn with_key(key: &[u8]) -> Self {
        Self::new(|sandbox| {
            let registration = registration(sandbox, key);
            sandbox.trust_key_of(&registration);
            registration
        })
    }

    /// Connects, refreshes and revokes, and returns the requests that authenticated the client.
    fn whole_life(&self) -> Result<Vec<Logged>, Error> {
        let ada = ActingUser::authenticated("acme", "ada").unwrap();
        let consent = self.connections.start(&ada, "notes", ConsentOptions::default())?;
        let callback = self.sandbox.approve(consent.authorization_url(), "ada");
        let response = AuthorizationResponse::parse(&callback)?;
        let connection = self.connections.complete(&ada, response, consent.binding())?;
        self.clock.advance(Duration::from_secs(2 * 3600));
        let resolver = Resolver::new(self.connections.clone());
        resolver.resolve(&ada, "notes")?;
        self.connections.revoke(&ada, connection.id)?;
        assert!(self.sandbox.live_grants().is_empty());
        let log = self.sandbox.log();
        let posts = log
            .into_iter()
            .filter(|logged| ["/token", "/revoke", "/par"].contains(&logged.path()));
        Ok(posts.collect())
    }
}

fn registration(sandbox: &Sandbox, key: &[u8]) -> ClientRegistration {
    ClientRegistration::with_private_key(sandbox.client_id(), key, REDIRECT)
        .unwrap()
        .key_id("key-1")
}

/// Returns the claims, if this key signed them with this algorithm.
fn claims(assertion: &str, algorithm: Algorithm, public_key: &[u8]) -> Value {
    let key = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => DecodingKey::from_rsa_pem(public_key),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(public_key),
        _ => DecodingKey::from_ec_pem(public_key),
    };
    let mut validation = Validation::new(algorithm);
    // The test's clock is not the system's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let header = decode_header(assertion).unwrap();
    assert_eq!(header.kid.as_deref(), Some("key-1"));
    let decoded = decode::<Value>(assertion, &key.unwrap(), &validation);
    decoded.unwrap().claims
}

#[test]
fn each_kind_of_key_proves_the_client_at_every_endpoint() {
    let keys: [(&[u8], &[u8], Algorithm); 4] = [
        (
            RSA,
            include_bytes!("../support/keys/rsa.pub.pem"),
            Algorithm::RS256,
        ),
        (
            P256,
            include_bytes!("../support/keys/p256.pub.pem"),
            Algorithm::ES256,
        ),
        (
            P384,
            include_bytes!("../support/keys/p384.pub.pem"),
            Algorithm::ES384,
        ),
        (
            ED25519,
            include_bytes!("../support/keys/ed25519.pub.pem"),
            Algorithm::EdDSA,
        ),
    ];
    for (key, public_key, algorithm) in keys {
        let host = Host::with_key(key);
        let requests = host.whole_life().unwrap();
        // A code, a refresh, and each of the two tokens revoked.
        assert_eq!(requests.len(), 4, "{algorithm:?}");
        let mut ids = BTreeSet::new();
        for request in requests {
            assert_eq!(request.status(), 200);
            assert_eq!(request.header("authorization"), None);
            assert_eq!(request.parameter("client_secret"), None);
            assert_eq!(
                request.parameter("client_assertion_type"),
                Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            );
            let claims = claims(
                request.parameter("client_assertion").unwrap(),
                algorithm,
                public_key,
            );
            assert_eq!(claims["iss"], "sandbox-client");
            assert_eq!(claims["sub"], "sandbox-client");
            assert_eq!(claims["aud"], "https://sandbox.test");
            let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
            assert_eq!(lifetime, 120);
            assert!(
                ids.insert(claims["jti"].as_str().unwrap().to_owned()),
                "a new id each time"
            );
        }
    }
}

#[test]
fn an_rsa_key_signs_with_pss_if_it_is_told_to() {
    let host = Host::new(|sandbox| {
        let registration = registration(sandbox, RSA).signing_with_pss();
        sandbox.trust_key_of(&registration);
        registration
    });
    let requests = host.whole_life().unwrap();
    let assertion = requests[0].parameter("client_assertion").unwrap();
    let public_key = include_bytes!("../support/keys/rsa.pub.pem");
    claims(assertion, Algorithm::PS256, public_key);
}

#[test]
fn the_audience_may_be_the_endpoint() {
    let host = Host::new(|sandbox| {
        let registration = registration(sandbox, P256);
        sandbox.trust_key_of(&registration);
        sandbox.adjust(|it| {
            it.client_assertion_audience = AssertionAudience::Endpoint;
            it.requires_pushed_requests = true;
        });
        registration
    });
    for request in host.whole_life().unwrap() {
        let assertion = request.parameter("client_assertion").unwrap();
        let public_key = include_bytes!("../support/keys/p256.pub.pem");
        let claims = claims(assertion, Algorithm::ES256, public_key);
        assert_eq!(claims["aud"], request.address());
    }
}

#[test]
fn another_key_is_refused_as_the_administrators_mistake() {
    let host = Host::new(|sandbox| {
        sandbox.trust_key_of(&registration(sandbox, P256));
        registration(sandbox, P384)
    });
    let error = host.whole_life().unwrap_err();
    assert!(
        matches!(error, Error::Misconfigured(Misconfigured::ClientRejected(_))),
        "{error:?}"
    );
}

#[test]
fn a_used_assertion_is_refused() {
    use valetkey::http::{HttpClient as _, HttpRequest};

    let host = Host::with_key(ED25519);
    let requests = host.whole_life().unwrap();
    let again = HttpRequest::new(http::Method::POST, "https://sandbox.test/revoke".parse().unwrap())
        .with_header(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .with_body(requests[3].body().to_owned());
    assert_eq!(host.sandbox.send(again).unwrap().status, 401);
}

#[test]
fn a_key_is_read_in_each_form_or_refused() {
    use base64::Engine as _;

    let pem = std::str::from_utf8(P256).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    ClientRegistration::with_private_key("id", &der, REDIRECT).unwrap();
    let windows = pem.replace('\n', "\r\n");
    ClientRegistration::with_private_key("id", windows.as_bytes(), REDIRECT).unwrap();
    for text in [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        include_str!("../support/keys/p256.pub.pem"),
        &pem[..pem.len() / 2],
    ] {
        let error = ClientRegistration::with_private_key("id", text.as_bytes(), REDIRECT).unwrap_err();
        assert_eq!(error.rule(), "private_key", "{text}");
    }
}

#[test]
fn a_key_is_printed_nowhere() {
    let registration = ClientRegistration::with_private_key("id", P256, REDIRECT).unwrap();
    let printed = format!("{registration:?}");
    let body = std::str::from_utf8(P256).unwrap().lines().nth(1).unwrap();
    assert!(printed.contains("ES256") && !printed.contains(body), "{printed}");
}

#[test]
fn a_registration_fits_its_server_or_the_connections_are_not_built() {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock);
    let build = |registration: ClientRegistration| {
        let builder = Connections::builder(SealedVault::in_memory()).server(sandbox.server());
        let builder = builder
            .client("sandbox", registration)
            .http_client(sandbox.clone());
        builder.build().map(drop)
    };
    let with_key = || registration(&sandbox, P256);
    let with_secret = || ClientRegistration::new("id", "secret", REDIRECT);
    build(with_secret()).unwrap();
    let error = build(with_key()).unwrap_err().to_string();
    assert!(
        error.contains("private_key") && error.contains("ClientRegistration::new"),
        "{error}"
    );

    sandbox.adjust(|it| it.client_authentication = ClientAuthentication::PrivateKeyJwt);
    build(with_key()).unwrap();
    let error = build(with_secret()).unwrap_err().to_string();
    assert!(error.contains("with_private_key"), "{error}");
}
