//! Walks the descriptor of a class (a consent, an API request, a refresh) and records the requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{DATE, HeaderValue};
use http::{Method, StatusCode};
use url::Url;
use valetkey::http::{HttpError, HttpRequest, HttpResponse};
use valetkey::internals::provider::ClientAuthentication;
use valetkey::provider::{ClientRegistration, DescriptorFile};
use valetkey::testing::ManualClock;
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};

const REDIRECT: &str = "https://app.test/callback";

/// Services with the same requirements.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    /// The number of services, of 343.
    pub(crate) services: u32,
    /// Members of the server, in addition to its id and the usual endpoints.
    pub(crate) server: &'static str,
    /// Members of the provider, in addition to its id, server and name.
    pub(crate) provider: &'static str,
    /// Values that the host sets.
    pub(crate) given: &'static [(&'static str, &'static str)],
    /// Parameters of the callback, in addition to the state.
    pub(crate) callback: &'static str,
    /// The token endpoint's answers to the code and to the refresh. There is no refresh if the
    /// second is empty.
    pub(crate) answer: &'static str,
    pub(crate) renewed: &'static str,
    /// The answer to API requests other than the walk's own.
    pub(crate) api: &'static str,
    /// Headers that the host sets on its own request.
    pub(crate) own: &'static [(&'static str, &'static str)],
    /// Every address and request, in order.
    pub(crate) sends: &'static [&'static str],
}

// The requests to a service that follows the standards: the address for the browser, the exchange,
// the call, the refresh.
pub(crate) const GO: &str = "GO https://as.test/authorize client_id=the-client code_challenge=* code_challenge_method=S256 redirect_uri=https://app.test/callback response_type=code state=*";
pub(crate) const EXCHANGE: &str = "POST https://as.test/token client_id=the-client client_secret=the-secret code=c code_verifier=* grant_type=authorization_code redirect_uri=https://app.test/callback";
pub(crate) const CALL: &str = "GET https://api.test/v1/things [authorization: Bearer at-1]";
pub(crate) const REFRESH: &str = "POST https://as.test/token client_id=the-client client_secret=the-secret grant_type=refresh_token refresh_token=rt-1";

/// A service that follows the standards.
pub(crate) const STANDARD: Class = Class {
    name: "",
    services: 0,
    server: "",
    provider: r#""api_base":"https://api.test/v1""#,
    given: &[],
    callback: "code=c",
    answer: r#"{"access_token":"at-1","token_type":"bearer","expires_in":3600,"refresh_token":"rt-1"}"#,
    renewed: r#"{"access_token":"at-2","token_type":"bearer","expires_in":3600,"refresh_token":"rt-2"}"#,
    api: "{}",
    own: &[],
    sends: &[],
};

impl Class {
    fn file(&self) -> DescriptorFile {
        let joined = |members: &str| {
            if members.is_empty() {
                String::new()
            } else {
                format!(",{members}")
            }
        };
        let mut server = self.server.to_owned();
        for (field, usual) in [
            ("authorization_endpoint", "https://as.test/authorize"),
            ("token_endpoint", "https://as.test/token"),
        ] {
            if !server.contains(field) {
                let more = format!(r#""{field}":"{usual}""#);
                server = if server.is_empty() {
                    more
                } else {
                    format!("{server},{more}")
                };
            }
        }
        let text = format!(
            r#"{{"servers":[{{"id":"acme"{}}}],"providers":[{{"id":"acme","server":"acme","name":"Acme"{}}}]}}"#,
            joined(&server),
            joined(self.provider)
        );
        let file: DescriptorFile =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        file.validate()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        file
    }

    /// Returns the origins that the walk should contact.
    fn asked_origins(&self) -> Vec<String> {
        let addresses = self.sends.iter().filter_map(|line| line.split(' ').nth(1));
        let urls = addresses.map(|address| Url::parse(address).unwrap());
        urls.map(|url| url.origin().ascii_serialization()).collect()
    }

    /// Returns the requests in order: the address for the browser, then each request.
    pub(crate) fn walk(&self) -> Vec<String> {
        let file = self.file();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let client = self.plays(Arc::clone(&sent));
        let clock = ManualClock::default();
        let server = file.servers[0].clone();
        let registration = if server.client_authentication == ClientAuthentication::None {
            ClientRegistration::public("the-client", REDIRECT)
        } else {
            ClientRegistration::new("the-client", "the-secret", REDIRECT)
        };
        let connections = Connections::builder(SealedVault::in_memory())
            .http_client(client)
            .clock(clock.clone())
            .client("acme", registration.for_base_urls(self.asked_origins()))
            .server(server)
            .provider(file.providers[0].clone())
            .build()
            .unwrap();
        let alice = ActingUser::authenticated("t", "alice").unwrap();

        let options = ConsentOptions::default();
        let options = self
            .given
            .iter()
            .fold(options, |options, (name, value)| options.parameter(*name, *value));
        let consent = connections
            .start(&alice, "acme", options)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let shown = consent.authorization_url();
        sent.lock().unwrap().push(address(shown));
        let callback = format!("{REDIRECT}?state={}&{}", state_in(shown), self.callback);
        let callback = AuthorizationResponse::parse(&callback).unwrap();
        let connection = connections
            .complete(&alice, callback, consent.binding())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));

        let resolver = Resolver::new(connections);
        let mut request = http::Request::get("/things").body(Vec::new()).unwrap();
        for (name, value) in self.own {
            request
                .headers_mut()
                .insert(*name, HeaderValue::from_static(value));
        }
        resolver
            .send(&alice, "acme", request)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        if !self.renewed.is_empty() {
            let end = connection
                .expires_at
                .unwrap_or_else(|| panic!("{}: no end", self.name));
            clock.advance(end.saturating_since(connection.refreshed_at) + Duration::from_secs(1));
            let token = resolver
                .resolve(&alice, "acme")
                .unwrap_or_else(|error| panic!("{}: {error}", self.name));
            let lives_on = !self.renewed.contains("at-2");
            let expected = if lives_on { "at-1" } else { "at-2" };
            assert_eq!(token.access_token().expose_secret(), expected, "{}", self.name);
        }
        std::mem::take(&mut *sent.lock().unwrap())
    }

    fn plays(
        &self,
        sent: Arc<Mutex<Vec<String>>>,
    ) -> impl Fn(HttpRequest) -> Result<HttpResponse, HttpError> + Send + Sync + 'static {
        let (answer, renewed, api) = (self.answer, self.renewed, self.api);
        move |request| {
            let mut sent = sent.lock().unwrap();
            let exchanges = sent.iter().filter(|line| line.starts_with("POST")).count();
            let text = match (&request.method, exchanges) {
                (&Method::POST, 0) => answer,
                (&Method::POST, _) => renewed,
                _ if request.url.path().ends_with("/things") => "{}",
                _ => api,
            };
            sent.push(line(&request));
            let date = HeaderValue::from_static("Sun, 22 Nov 2026 16:00:00 GMT");
            Ok(HttpResponse::new(StatusCode::OK, text).with_header(DATE, date))
        }
    }
}

fn state_in(url: &Url) -> String {
    let query = url
        .fragment()
        .and_then(|fragment| fragment.split_once('?'))
        .map(|(_, query)| query);
    let query = query.or(url.query()).unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "state").unwrap().1.into_owned()
}

/// Returns the address for the browser: the endpoint, and its parameters ordered by name. New
/// random values are replaced by a star.
fn address(url: &Url) -> String {
    let text = url.as_str();
    let (place, query) = text.rsplit_once('?').unwrap();
    // Unencoded text must be compared as it is written.
    let raw = query.split('&').find(|pair| pair.starts_with("scope="));
    let raw = raw.map(|pair| format!(" ({pair})")).unwrap_or_default();
    format!("GO {place} {}{raw}", pairs(query))
}

/// Returns a request: the address, its headers except the usual ones, and the fields of its body.
fn line(request: &HttpRequest) -> String {
    let mut line = format!("{} {}", request.method, request.url);
    let mut headers: Vec<String> = Vec::new();
    for (name, value) in &request.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let usual = matches!(
            (name.as_str(), value.as_str()),
            ("accept", "application/json")
                | ("content-type", "application/x-www-form-urlencoded")
                | ("accept-encoding", "identity")
        );
        if !usual {
            headers.push(format!("{name}: {}", starred(name.as_str(), &value)));
        }
    }
    headers.sort();
    for header in headers {
        line.push_str(&format!(" [{header}]"));
    }
    let body = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
    match serde_json::from_str::<std::collections::BTreeMap<String, String>>(&body) {
        Ok(members) => {
            for (name, value) in members {
                line.push_str(&format!(" {name}={}", starred(&name, &value)));
            }
        }
        Err(_) if body.is_empty() => {}
        Err(_) => line.push_str(&format!(" {}", pairs(&body))),
    }
    line
}

fn pairs(query: &str) -> String {
    let mut pairs: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("{name}={}", starred(&name, &value)))
        .collect();
    pairs.sort();
    pairs.join(" ")
}

/// Replaces states, verifiers and nonces, which are 43 new characters each time.
fn starred(name: &str, value: &str) -> String {
    let random = value.len() == 43
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if random && name != "authorization" {
        "*".into()
    } else {
        value.into()
    }
}
