//! The default HTTP client, over `ureq`: blocking, rustls, no runtime.

mod dial;
mod failure;
mod settings;
mod tls;

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_LENGTH, HeaderValue};
use rustls::pki_types::CertificateDer;
use ureq::{Agent, Proxy, SendBody};

use self::failure::failure;
use self::tls::Tls;
use crate::http::address::{is_clean, is_loopback};
use crate::http::{Body, HttpClient, HttpError, HttpRequest, HttpResponse};

/// The longest that a name may be looked up, and then a connection made, TLS included, unless the
/// host sets it. The whole request may be allowed less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default HTTP client.
///
/// Follows no redirect, tries nothing again, reads no more than is allowed and ends in time. Bodies
/// that are readers, in either direction, pass through a buffer of fixed size.
///
/// It trusts Mozilla's certificates, which are compiled in, and those that the host
/// [adds](Self::roots). It goes through no proxy and reads no environment variable unless the host
/// [says](Self::proxy) so.
///
/// ```no_run
/// use valetkey::http::UreqClient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = UreqClient::new()
///     .roots(&std::fs::read("/etc/ssl/company-ca.pem")?)?
///     .proxy("http://proxy.example:3128")?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
///
/// Each request has its own connection. One kept from an earlier request may have been closed by
/// the server meanwhile, and then nobody can say whether a refresh token that was written to it has
/// been used. Where a name has addresses of both families, they are tried in turn; a family that
/// failed is tried last for ten minutes.
///
/// An answer may have 128 headers and 64 KiB of them; more are [`HttpError::HeadTooLarge`].
///
/// The request's body is wiped when it is dropped; the buffers of `ureq` and of rustls that it
/// passed through are not.
#[derive(Clone)]
pub struct UreqClient {
    agent: Agent,
    tls: Tls,
    roots: Vec<CertificateDer<'static>>,
    connect_timeout: Duration,
    loopback_http: bool,
}

impl fmt::Debug for UreqClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UreqClient")
            .field("roots", &self.roots.len())
            .field("proxy", &self.agent.config().proxy().map(Proxy::host))
            .field("connect_timeout", &self.connect_timeout)
            .field("loopback_http", &self.loopback_http)
            .finish_non_exhaustive()
    }
}

impl UreqClient {
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
            .timeout_resolve(Some(self.connect_timeout.min(timeout)))
            .timeout_connect(Some(self.connect_timeout.min(timeout)))
            .timeout_per_read(idle_timeout)
            .timeout_per_write(idle_timeout)
            .build();
        self.agent.run(request)
    }
}

/// Methods whose requests say that their body is empty, for servers that wait for one (RFC 9110,
/// section 8.6).
const WITH_BODY: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

impl HttpClient for UreqClient {
    fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let allowed = is_clean(&request.url)
            && (request.url.scheme() == "https" || (self.loopback_http && is_loopback(&request.url)));
        if !allowed {
            return Err(HttpError::Refused);
        }
        let length = request.body.length().ok_or(HttpError::Refused)?;
        let mut body = Outgoing {
            reader: std::mem::take(&mut request.body).into_reader(),
            touched: false,
        };
        let mut prepared = http::Request::new(());
        *prepared.method_mut() = request.method.clone();
        *prepared.uri_mut() = request.url.as_str().parse().map_err(|_| HttpError::Refused)?;
        // Taken, not cloned: a secret header can be wiped once nobody else holds it.
        *prepared.headers_mut() = std::mem::take(&mut request.headers);
        let has_body = length > 0 || WITH_BODY.contains(&request.method);
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
        // The body is asked for only when the connection stands: untouched, it cannot have reached
        // anybody.
        let sent = (length > 0).then_some(body.touched);
        let answer = answered.map_err(|error| failure(&error, sent))?;
        let (parts, incoming) = answer.into_parts();
        let length = incoming.content_length();
        let reader = Incoming(incoming.into_reader());
        let body = match request.max_response_bytes {
            Some(most) => Body::read_from(reader, most)?,
            None => Body::from_reader(reader, length),
        };
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

/// The body of an answer on its way in. Its errors are kinds alone: those of `ureq` may name the
/// address.
struct Incoming<R>(R);

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let kind = match failure(&error.into(), Some(true)) {
                HttpError::Timeout => io::ErrorKind::TimedOut,
                HttpError::Protocol => io::ErrorKind::InvalidData,
                _ => io::ErrorKind::ConnectionAborted,
            };
            kind.into()
        })
    }
}

#[cfg(test)]
mod tests;
