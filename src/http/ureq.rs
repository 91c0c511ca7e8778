//! The default HTTP client, over `ureq`: blocking, rustls, no runtime.

use std::io::{self, Read};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, SendBody};

use crate::http::address::{is_clean, is_loopback};
use crate::http::{
    Body, Delivery, HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, TooLarge,
};

/// The longest that a name may be looked up, and then a connection made, TLS included. The whole request may be allowed
/// less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default HTTP client.
///
/// Follows no redirect, tries nothing again, reads no more than is allowed and ends in time. Bodies that are readers, in
/// either direction, pass through a buffer of fixed size. The certificates it
/// trusts are Mozilla's, compiled in. It goes through no proxy and reads no environment variable: a host behind a
/// proxy brings an [`HttpClient`] of its own.
///
/// Each request has its own connection. One kept from an earlier request may have been closed by the server meanwhile,
/// and then nobody can say whether a refresh token that was written to it has been used.
///
/// The request's body is wiped when it is dropped; the buffers of `ureq` and of rustls that it passed through are not.
#[derive(Debug, Clone)]
pub struct UreqClient {
    agent: Agent,
    loopback_http: bool,
}

impl Default for UreqClient {
    fn default() -> Self {
        Self::new()
    }
}

impl UreqClient {
    /// A client that speaks `https` and nothing else.
    #[must_use]
    pub fn new() -> Self {
        Self::with(false)
    }

    /// A client that also speaks plain `http` to this machine: `127.0.0.0/8`, `[::1]` and `localhost`.
    ///
    /// # Security
    ///
    /// For sandboxes and tests. Whoever listens on that port gets the tokens.
    #[must_use]
    pub fn dangerous_loopback_http() -> Self {
        Self::with(true)
    }

    fn with(loopback_http: bool) -> Self {
        let agent = Agent::config_builder()
            .https_only(!loopback_http)
            .http_status_as_error(false)
            // WebDAV and CalDAV have methods of their own.
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .user_agent(concat!("valetkey/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
            .build()
            .new_agent();
        Self { agent, loopback_http }
    }

    fn run(
        &self,
        request: http::Request<SendBody<'_>>,
        timeout: Duration,
        idle_timeout: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(timeout))
            .timeout_resolve(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_per_read(idle_timeout)
            .timeout_per_write(idle_timeout)
            .build();
        self.agent.run(request)
    }
}

impl HttpClient for UreqClient {
    fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let allowed = is_clean(&request.url)
            && (request.url.scheme() == "https" || (self.loopback_http && is_loopback(&request.url)));
        if !allowed {
            return Err(HttpErrorKind::Refused.into());
        }
        let length = request.body.length().ok_or(HttpErrorKind::Refused)?;
        let mut body = Outgoing {
            reader: std::mem::take(&mut request.body).into_reader(),
            touched: false,
        };
        let mut prepared = http::Request::new(());
        *prepared.method_mut() = request.method.clone();
        *prepared.uri_mut() = request.url.as_str().parse().map_err(|_| HttpErrorKind::Refused)?;
        // Taken, not cloned: a secret header can be wiped once nobody else holds it.
        *prepared.headers_mut() = std::mem::take(&mut request.headers);
        let has_body = length > 0 || request.method == http::Method::POST;
        if has_body {
            prepared
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let (parts, ()) = prepared.into_parts();
        let answered = if has_body {
            let prepared = http::Request::from_parts(parts, SendBody::from_reader(&mut body));
            self.run(prepared, request.timeout, request.idle_timeout)
        } else {
            self.run(
                http::Request::from_parts(parts, SendBody::none()),
                request.timeout,
                request.idle_timeout,
            )
        };
        // The body is asked for only when the connection stands: untouched, it cannot have reached anybody.
        let sent = (length > 0).then_some(body.touched);
        let answer = answered.map_err(|error| HttpError::new(kind(&error, sent)))?;
        let (parts, incoming) = answer.into_parts();
        if request.delivery == Delivery::Streamed {
            let length = incoming.content_length();
            return Ok(HttpResponse {
                status: parts.status,
                headers: parts.headers,
                body: Body::from_reader(Incoming(incoming.into_reader()), length),
            });
        }
        let body = Body::read_from(incoming.into_reader(), request.max_response_bytes).map_err(|error| {
            let too_large = error.get_ref().is_some_and(|inner| inner.is::<TooLarge>());
            HttpError::new(if too_large {
                HttpErrorKind::TooLarge
            } else {
                kind(&error.into(), Some(true))
            })
        })?;
        Ok(HttpResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

/// The body on its way out, which knows whether it was asked for.
struct Outgoing {
    reader: Box<dyn Read + Send>,
    touched: bool,
}

impl Read for Outgoing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.touched = true;
        self.reader.read(buffer)
    }
}

/// The body of an answer on its way in. Its errors are kinds alone: those of `ureq` may name the address.
struct Incoming<R>(R);

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let kind = match kind(&error.into(), Some(true)) {
                HttpErrorKind::Timeout => io::ErrorKind::TimedOut,
                HttpErrorKind::Protocol => io::ErrorKind::InvalidData,
                _ => io::ErrorKind::ConnectionAborted,
            };
            kind.into()
        })
    }
}

/// What went wrong. `sent` says whether the body began to go out; a request without one leaves that open.
///
/// In doubt the server may have acted: a request that is believed unsent is sent again.
fn kind(error: &ureq::Error, sent: Option<bool>) -> HttpErrorKind {
    use io::ErrorKind as Io;
    match error {
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
            HttpErrorKind::Refused
        }
        _ if sent == Some(false) || (sent.is_none() && precedes_connection(error)) => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(error) if error.kind() == Io::TimedOut => HttpErrorKind::Timeout,
        ureq::Error::LargeResponseHeader(..) => HttpErrorKind::TooLarge,
        ureq::Error::Protocol(_) => HttpErrorKind::Protocol,
        _ => HttpErrorKind::Interrupted,
    }
}

/// Whether the error can only have come before there was a connection.
fn precedes_connection(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Tls(_)
        | ureq::Error::TlsRequired
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
