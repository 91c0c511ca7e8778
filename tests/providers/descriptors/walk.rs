//! A host with one service of a descriptor file, and a server that records its requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::header::{DATE, HeaderValue};
use http::{Method, StatusCode};
use url::Url;
use valetkey::http::{HttpError, HttpRequest, HttpResponse};
use valetkey::model::Connection;
use valetkey::provider::{ClientRegistration, DescriptorFile};
use valetkey::testing::ManualClock;
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, Connections, ConsentOptions, Error};

use crate::support::world::{REDIRECT, person, response};

type Answer = Arc<dyn Fn(&Seen) -> String + Send + Sync>;

/// A request as the server received it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) form: BTreeMap<String, String>,
}

pub(crate) struct Walk {
    pub(crate) connections: Connections,
    pub(crate) clock: ManualClock,
    pub(crate) log: Arc<Mutex<Vec<Seen>>>,
    pub(crate) alice: ActingUser,
}

impl Walk {
    pub(crate) fn new(file: &str, answer: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let file: DescriptorFile = serde_json::from_str(file).unwrap();
        file.validate().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Answer) = (Arc::clone(&log), Arc::new(answer));
        let client = move |request: HttpRequest| -> Result<HttpResponse, HttpError> {
            let body = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
            let one = Seen {
                method: request.method.clone(),
                url: request.url.clone(),
                headers: request
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        (
                            name.to_string(),
                            String::from_utf8_lossy(value.as_bytes()).into_owned(),
                        )
                    })
                    .collect(),
                form: url::form_urlencoded::parse(body.as_bytes())
                    .into_owned()
                    .collect(),
                body,
            };
            let text = answer(&one);
            seen.lock().unwrap().push(one);
            let date = HeaderValue::from_static("Sun, 22 Nov 2026 16:00:00 GMT");
            Ok(HttpResponse::new(StatusCode::OK, text).with_header(DATE, date))
        };
        let clock = ManualClock::default();
        let mut builder = Connections::builder(SealedVault::in_memory())
            .http_client(client)
            .clock(clock.clone());
        for server in &file.servers {
            builder = builder.client(
                server.id.as_str(),
                ClientRegistration::new("the-client", "the-secret", REDIRECT)
                    .for_base_urls(["https://*.acme.test", "https://*.as.test"]),
            );
        }
        Self {
            connections: builder.descriptors(file).build().unwrap(),
            clock,
            log,
            alice: person("alice"),
        }
    }

    pub(crate) fn start(&self, options: ConsentOptions) -> (Url, valetkey::Consent) {
        let consent = self.connections.start(&self.alice, "acme", options).unwrap();
        (consent.authorization_url().clone(), consent)
    }

    pub(crate) fn complete(&self, consent: &valetkey::Consent, callback: &str) -> Result<Connection, Error> {
        let url = consent.authorization_url().as_str().replace("/#", "");
        let query = Url::parse(&url).unwrap();
        let state = query
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1
            .into_owned();
        let callback = format!("{REDIRECT}?state={state}&{callback}");
        self.connections
            .complete(&self.alice, response(&callback), consent.binding())
    }

    pub(crate) fn connect(&self, callback: &str) -> Connection {
        let (_, consent) = self.start(ConsentOptions::default());
        self.complete(&consent, callback).unwrap()
    }

    pub(crate) fn seen(&self, index: usize) -> Seen {
        self.log.lock().unwrap()[index].clone()
    }
}

pub(crate) fn file(server: &str, provider: &str) -> String {
    let server = if server.is_empty() {
        String::new()
    } else {
        format!(",{server}")
    };
    let provider = if provider.is_empty() {
        String::new()
    } else {
        format!(",{provider}")
    };
    let endpoints = if server.contains("token_endpoint") {
        String::new()
    } else {
        r#","token_endpoint":"https://as.test/token""#.into()
    };
    format!(
        r#"{{"servers":[{{"id":"acme","authorization_endpoint":"https://as.test/authorize"{endpoints}{server}}}],
            "providers":[{{"id":"acme","server":"acme","name":"Acme"{provider}}}]}}"#
    )
}

pub(crate) const PLAIN: &str =
    r#"{"access_token":"at-1","token_type":"bearer","expires_in":3600,"refresh_token":"rt-1"}"#;

pub(crate) fn pairs(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}
