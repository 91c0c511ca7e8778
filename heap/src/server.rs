//! An authorization server and an API in a closure: canned answers with secrets made up here.
//!
//! It stands outside of what is inspected, but for two things that are the library's: the request
//! that it is given, which it lets go of where the library answers for it, and the body that it
//! answers with.

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

/// How a token answer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Json,
    /// With `\/` for `/`, as some servers do.
    EscapedJson,
    Form,
}

/// How the server is minded now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    /// `invalid_grant`, with the request repeated in the description.
    Refuses,
    /// 503 with a page that repeats the request.
    Out,
    /// 200 with tokens of the wrong types beside the right ones.
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

    /// A new secret, which is looked for from now on.
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

    /// What the library is given as its HTTP client.
    pub(crate) fn client(
        &self,
    ) -> impl Fn(HttpRequest) -> Result<HttpResponse, HttpError> + Send + Sync + 'static {
        let server = self.clone();
        move |request| {
            let answer = apart(|| server.state().answer(&request));
            // Not in there: that the request is wiped when it is dropped is what is looked at.
            drop(request);
            Ok(answer)
        }
    }
}

impl State {
    fn secret(&mut self, what: &str) -> String {
        self.made += 1;
        let hash = Sha256::digest(format!("{} {what} {}", self.name, self.made));
        // All that a token may hold and a form, JSON or base64 writes in another way.
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
                        // With a blank, which a form writes as `+`.
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

/// A page that repeats all that was sent.
fn echo(status: u16, sent: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).expect("a status");
    HttpResponse::new(status, Body::from(format!("<html>You sent: {sent}</html>")))
        .with_header(CONTENT_TYPE, HeaderValue::from_static("text/html"))
}
