//! An authorization server and an API in a closure: prepared answers with newly created secrets.
//!
//! Its memory is not inspected, with two exceptions that belong to the library: the request that it
//! receives, which it drops, and the body of its answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;
use valetkey::http::{Body, HttpError, HttpRequest, HttpResponse};

use crate::allocator::apart;
use crate::secrets::Secrets;

/// The format of a token answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Json,
    /// With `\/` for `/`, as some servers write it.
    EscapedJson,
    Form,
}

/// The current behavior of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    /// `invalid_grant`, with the request repeated in the description.
    Refuses,
    /// 503 with a page that repeats the request.
    Out,
    /// 200 with tokens of wrong types next to the correct ones.
    Garbles,
}

#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<State>>);

struct State {
    name: &'static str,
    answer: Answer,
    mood: Mood,
    made: u32,
    secrets: Secrets,
    requests: usize,
}

impl Server {
    pub(crate) fn new(name: &'static str, answer: Answer) -> Self {
        Self(Arc::new(Mutex::new(State {
            name,
            answer,
            mood: Mood::Fine,
            made: 0,
            secrets: Secrets::default(),
            requests: 0,
        })))
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Returns a new secret, which is included in the search from now on.
    pub(crate) fn secret(&self, what: &str) -> String {
        self.state().secret(what)
    }

    pub(crate) fn learn(&self, what: &str, value: impl AsRef<[u8]>) {
        self.state().secrets.add(what, value);
    }

    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    pub(crate) fn into_secrets(self) -> Secrets {
        std::mem::take(&mut self.state().secrets)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the HTTP client for the library.
    pub(crate) fn client(
        &self,
    ) -> impl Fn(HttpRequest) -> Result<HttpResponse, HttpError> + Send + Sync + 'static {
        let server = self.clone();
        move |request| {
            let answer = apart(|| server.state().answer(&request));
            // Outside `apart`: the search checks that the request is wiped when it is dropped.
            drop(request);
            Ok(answer)
        }
    }
}

impl State {
    fn secret(&mut self, what: &str) -> String {
        self.made += 1;
        let hash = Sha256::digest(format!("{} {what} {}", self.name, self.made));
        // All characters of a token that a form, JSON or base64 encodes differently.
        let value = format!("{}~%+/={}", STANDARD.encode(hash), self.made);
        self.secrets.add(format!("{what} {}", self.made), &value);
        value
    }

    fn answer(&mut self, request: &HttpRequest) -> HttpResponse {
        self.requests += 1;
        let sent = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
        let form: Vec<(String, String)> = match serde_json::from_str::<BTreeMap<String, String>>(&sent) {
            Ok(object) => object.into_iter().collect(),
            Err(_) => form_urlencoded::parse(sent.as_bytes()).into_owned().collect(),
        };
        for (_, verifier) in form.iter().filter(|(name, _)| name == "code_verifier") {
            self.secrets.add("verifier", verifier);
        }
        if let Some(pair) = request
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            && let Some(pair) = pair.strip_prefix("Basic ")
        {
            self.secrets.add("Basic credentials", pair);
        }
        match (&request.method, request.url.path()) {
            (_, "/token") => self.tokens(&sent),
            (&Method::DELETE, _) | (_, "/revoke") if self.mood == Mood::Out => echo(503, &sent),
            (&Method::DELETE, _) | (_, "/revoke") => echo(200, &sent),
            (_, "/me") => json(200, r#"{"sub":"ada","email":"ada@people.test"}"#.into()),
            (_, path) => {
                let headers = format!("{:?}", headers(request));
                let status = if path == "/api/forbidden" { 403 } else { 200 };
                echo(status, &format!("{headers} {sent}"))
            }
        }
    }

    fn tokens(&mut self, sent: &str) -> HttpResponse {
        match self.mood {
            Mood::Refuses => {
                let text = serde_json::to_string(sent).expect("text is JSON");
                json(
                    400,
                    format!(r#"{{"error":"invalid_grant","error_description":{text}}}"#),
                )
            }
            Mood::Out => echo(503, sent),
            Mood::Garbles => {
                let (access, refresh) = (self.secret("access token"), self.secret("refresh token"));
                json(
                    200,
                    format!(
                        r#"{{"access_token":["{access}"],"refresh_token":"{refresh}","scope":{{"a":1}}}}"#
                    ),
                )
            }
            Mood::Fine => {
                let (access, refresh) = (self.secret("access token"), self.secret("refresh token"));
                let id = self.secret("id token");
                let plain = format!(
                    r#"{{"access_token":"{access}","refresh_token":"{refresh}","id_token":"{id}","expires_in":3600,"scope":"read"}}"#
                );
                match self.answer {
                    Answer::Json => json(200, plain),
                    Answer::EscapedJson => json(200, plain.replace('/', "\\/")),
                    Answer::Form => {
                        // With a space, which a form encodes as `+`.
                        let body = form_urlencoded::Serializer::new(String::new())
                            .append_pair("access_token", &access)
                            .append_pair("refresh_token", &refresh)
                            .append_pair("id_token", &format!("{id} {id}"))
                            .append_pair("expires_in", "3600")
                            .append_pair("scope", "read")
                            .finish();
                        HttpResponse::new(StatusCode::OK, Body::from(body)).with_header(
                            CONTENT_TYPE,
                            HeaderValue::from_static("application/x-www-form-urlencoded"),
                        )
                    }
                }
            }
        }
    }
}

fn headers(request: &HttpRequest) -> Vec<String> {
    let values = request.headers.values();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

fn json(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).expect("a status");
    HttpResponse::new(status, Body::from(body))
        .with_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

/// Returns a page that repeats the whole request.
fn echo(status: u16, sent: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).expect("a status");
    HttpResponse::new(status, Body::from(format!("<html>You sent: {sent}</html>")))
        .with_header(CONTENT_TYPE, HeaderValue::from_static("text/html"))
}
