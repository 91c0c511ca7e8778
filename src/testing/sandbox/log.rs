//! The requests received by the sandbox, for inspection by tests.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, header};
use url::form_urlencoded;

use crate::http::HttpRequest;

/// Names and values in order of arrival. Names may repeat.
pub(super) type Pairs = Vec<(String, String)>;

/// A received request, parsed once for the handlers and the log.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    /// The URL without its query.
    pub(super) address: String,
    pub(super) query: Pairs,
    pub(super) form: Pairs,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// A parameter that must not be repeated occurs twice
/// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
#[derive(Debug)]
pub(super) struct Repeated;

impl Received {
    pub(super) fn new(request: &HttpRequest) -> Self {
        let body = String::from_utf8_lossy(request.body.as_bytes()).into_owned();
        Self {
            method: request.method.clone(),
            path: request.url.path().to_owned(),
            address: format!(
                "{}{}",
                request.url.origin().ascii_serialization(),
                request.url.path()
            ),
            query: request.url.query_pairs().into_owned().collect(),
            form: parameters(&request.headers, &body),
            headers: copied(&request.headers),
            body,
        }
    }

    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Returns the only value of this name.
pub(super) fn single<'a>(pairs: &'a Pairs, name: &str) -> Result<Option<&'a str>, Repeated> {
    let mut values = pairs.iter().filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Repeated),
        (first, None) => Ok(first.map(|(_, value)| value.as_str())),
    }
}

fn parameters(headers: &HeaderMap, body: &str) -> Pairs {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    } else if content_type.starts_with("application/json") {
        let Ok(serde_json::Value::Object(members)) = serde_json::from_str(body) else {
            return Pairs::new();
        };
        members
            .into_iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect()
    } else {
        Pairs::new()
    }
}

/// Copies the headers: a clone would share the credential's bytes and prevent the client from
/// wiping them.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut copies = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).expect("a header value stays one");
        copy.set_sensitive(value.is_sensitive());
        copies.append(name, copy);
    }
    copies
}

/// A request that the sandbox answered. `Debug` prints the names of its parameters but not their
/// values.
#[derive(Clone)]
pub struct Logged {
    received: Received,
    status: StatusCode,
}

impl Logged {
    pub(super) const fn new(received: Received, status: StatusCode) -> Self {
        Self { received, status }
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.received.method
    }

    /// Returns the path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.received.path
    }

    /// Returns the URL, without the query.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.received.address
    }

    /// Returns the names and values of the query, in order of arrival.
    pub fn query_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.received
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the first value of a parameter in the body.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        first(&self.received.form, name)
    }

    /// Returns the names of the parameters in the body, in order of arrival.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.received.form.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the first value of a parameter in the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.received.query, name)
    }

    /// Returns the headers as received.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.received.headers
    }

    /// Returns the first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.received
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// Returns the body as received.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.received.body
    }
}

fn first<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

impl fmt::Debug for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &Pairs| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Logged")
            .field("method", &self.received.method)
            .field("path", &self.received.path)
            .field("query", &names(&self.received.query))
            .field("parameters", &names(&self.received.form))
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
