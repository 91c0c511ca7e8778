//! An honest authorization server and a hostile one. Neither keeps state: each secret contains its
//! owner, so that any number of copies of one vault can be used with them.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use url::form_urlencoded;
use valetkey::Clock as _;
use valetkey::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use valetkey::internals::provider::{
    AccountEndpoint, ParameterKind, ParameterRule, Revocation, RevocationAuth, RevocationTokens,
};
use valetkey::model::{ProviderId, Scopes, ServerId, Timestamp};
use valetkey::provider::{AuthorizationServer, ClientRegistration, Provider};
use valetkey::testing::ManualClock;

pub(crate) const REDIRECT: &str = "https://app.test/callback";
/// Both names have the same length, so that one can replace the other in any encoding.
pub(crate) const HONEST: &str = "https://honest.test";
pub(crate) const HOSTILE: &str = "https://robber.test";

/// The lifetime of access tokens, in seconds.
pub(crate) const LIFETIME: i64 = 3_600;

/// A request as the server at this origin received it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) origin: String,
    pub(crate) path: String,
    /// Query, headers and body, both as received and decoded.
    pub(crate) text: String,
}

/// The network, which records the requests to either server.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    clock: ManualClock,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Called with each token request, before it is answered.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

pub(crate) struct Meanwhile(pub(crate) Box<dyn FnMut() + Send>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Network {
    pub(crate) fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            seen: Arc::default(),
            meanwhile: Arc::default(),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Runs `act` during the next token request.
    pub(crate) fn meanwhile(&self, act: impl FnMut() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Meanwhile(Box::new(act)));
    }

    fn token(&self, world: &str, form: &[(String, String)]) -> HttpResponse {
        let act = self.meanwhile.lock().unwrap().take();
        if let Some(mut act) = act {
            (act.0)();
        }
        let value = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let grant = match value("grant_type") {
            "authorization_code" => value("code"),
            _ => value("refresh_token"),
        };
        // kind-world-account-scopes
        let parts: Vec<_> = grant.split('-').collect();
        let [_, _, account, scopes] = parts[..] else {
            return answer(400, r#"{"error":"invalid_grant"}"#);
        };
        if account == "refused" && value("grant_type") == "refresh_token" {
            return answer(400, r#"{"error":"invalid_grant"}"#);
        }
        let now = self.clock.now().as_unix_millis() / 1_000;
        let granted = scopes.replace('+', " ");
        answer(
            200,
            &format!(
                r#"{{"access_token":"at-{world}-{account}-{scopes}-{now}","refresh_token":"rt-{world}-{account}-{scopes}","token_type":"Bearer","expires_in":{LIFETIME},"scope":"{granted}"}}"#
            ),
        )
    }
}

fn answer(status: u16, body: &str) -> HttpResponse {
    HttpResponse::new(StatusCode::from_u16(status).unwrap(), body.to_owned()).with_header(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    )
}

impl HttpClient for Network {
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let origin = request.url.origin().ascii_serialization();
        let path = request.url.path().to_owned();
        let body = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
        let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let headers: Vec<_> = request
            .headers
            .values()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let text = format!(
            "{path} {:?} {} {body} {form:?}",
            request.url.query(),
            headers.join(" ")
        );
        self.seen.lock().unwrap().push(Seen {
            origin: origin.clone(),
            path: path.clone(),
            text,
        });
        let world = match origin.as_str() {
            HONEST => "honest",
            HOSTILE => "robber",
            _ => return Err(HttpError::Connect),
        };
        let bearer = headers.iter().find_map(|value| value.strip_prefix("Bearer at-"));
        let account = bearer
            .and_then(|token| token.split('-').nth(1))
            .unwrap_or("nobody");
        Ok(match path.as_str() {
            "/token" => self.token(world, &form),
            "/userinfo" => answer(
                200,
                &format!(r#"{{"sub":"{account}","email":"{account}@example.test","name":"{account}"}}"#),
            ),
            "/revoke" if body.contains("stuck") => answer(503, "{}"),
            _ => answer(200, "{}"),
        })
    }
}

/// Returns the honest server. Its addresses are templates, as for services that users host
/// themselves.
pub(crate) fn honest_server() -> AuthorizationServer {
    let mut server = AuthorizationServer::new(
        ServerId::new("honest").unwrap(),
        "{base_url}/authorize",
        "{base_url}/token",
    );
    server.parameters = vec![ParameterRule::new("base_url", ParameterKind::BaseUrl).default_value(HONEST)];
    describe(server, "{base_url}")
}

pub(crate) fn hostile_server() -> AuthorizationServer {
    let id = ServerId::new("robber").unwrap();
    let server = AuthorizationServer::new(id, format!("{HOSTILE}/authorize"), format!("{HOSTILE}/token"));
    describe(server, HOSTILE)
}

fn describe(mut server: AuthorizationServer, base: &str) -> AuthorizationServer {
    server.revocation = Revocation::Endpoint {
        url: format!("{base}/revoke"),
        authentication: RevocationAuth::SameAsToken,
        tokens: RevocationTokens::Both,
        grant_wide: false,
    };
    server
}

pub(crate) fn provider(id: &str, server: &str) -> Provider {
    let base = if server == "honest" { "{base_url}" } else { HOSTILE };
    let mut provider = Provider::new(
        ProviderId::new(id).unwrap(),
        ServerId::new(server).unwrap(),
        id,
        [format!("{base}/api")],
    );
    provider.default_scopes = Scopes::new([format!("{id}.read")]).unwrap();
    provider.api_base = Some(format!("{base}/api"));
    provider.account = Some(AccountEndpoint {
        url: format!("{base}/userinfo"),
        id: vec!["/sub".into()],
        email: vec!["/email".into()],
        label: vec!["/name".into()],
    });
    provider
}

pub(crate) fn registration(server: &str) -> ClientRegistration {
    ClientRegistration::new(
        format!("client-{server}"),
        format!("cs-{server}-secret"),
        REDIRECT,
    )
}

/// Returns the account that an access token belongs to, the server that issued it, and its expiry.
pub(crate) fn read_token(token: &str) -> (String, String, Timestamp) {
    let parts: Vec<_> = token.split('-').collect();
    let [_, world, account, _, at] = parts[..] else {
        panic!("not a token of these servers");
    };
    let at: i64 = at.parse().unwrap();
    (
        world.to_owned(),
        account.to_owned(),
        Timestamp::from_unix_millis((at + LIFETIME) * 1_000),
    )
}
