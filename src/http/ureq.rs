//! The default HTTP client: blocking, based on `ureq` and rustls, without an async runtime.

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
use crate::http::internal_host::is_internal;
use crate::http::{Body, HttpClient, HttpError, HttpRequest, HttpResponse};

/// The default time limit for resolving a name, and then for connecting, including TLS. The time
/// limit of the whole request may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default HTTP client.
///
/// Follows no redirects, retries nothing, reads no more than is allowed and respects its time
/// limits. Bodies that are readers pass through a buffer of fixed size in either direction.
///
/// The client trusts Mozilla's certificates, which are compiled in, and those that the host
/// [adds](Self::roots). It uses no proxy and reads no environment variables unless the host
/// [enables](Self::proxy) it.
///
/// For requests [only to public addresses](HttpRequest::to_public_addresses_only), it resolves the
/// name once, refuses the request if any of the addresses is not public, and connects to the
/// addresses that it checked.
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
/// Each request uses its own connection. The server may have closed a connection kept from an
/// earlier request, and it would then be unknown whether a refresh token that was written to it has
/// been used. If a name has addresses of both families, the client alternates between them; for ten
/// minutes after a family failed, it is tried last.
///
/// A response may have 128 headers and 64 KiB of them; more are [`HttpError::HeadTooLarge`].
///
/// The request's body is wiped when it is dropped. The buffers of `ureq` and rustls that it passed
/// through are not wiped.
#[derive(Clone)]
pub struct UreqClient {
    agent: Agent,
    /// For requests to public addresses only. It uses no proxy.
    guarded: Agent,
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
        agent: &Agent,
        request: http::Request<SendBody<'_>>,
        timeout: Duration,
        idle_timeout: Option<Duration>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let request = agent
            .configure_request(request)
            .timeout_global(Some(timeout))
            .timeout_resolve(Some(self.connect_timeout.min(timeout)))
            .timeout_connect(Some(self.connect_timeout.min(timeout)))
            .timeout_per_read(idle_timeout)
            .timeout_per_write(idle_timeout)
            .build();
        agent.run(request)
    }

    /// Returns the agent for a request to this address. A proxy resolves the name itself.
    fn agent_for(&self, uri: &http::Uri, public_only: bool) -> &Agent {
        let proxy = self.agent.config().proxy();
        let is_proxied = proxy.is_some_and(|proxy| !proxy.is_no_proxy(uri));
        if public_only && !is_proxied {
            &self.guarded
        } else {
            &self.agent
        }
    }
}

/// Methods whose requests declare an empty body, for servers that wait for one (RFC 9110, section
/// 8.6).
const WITH_BODY: [Method; 3] = [Method::POST, Method::PUT, Method::PATCH];

impl HttpClient for UreqClient {
    fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let allowed = is_clean(&request.url)
            && (request.url.scheme() == "https" || (self.loopback_http && is_loopback(&request.url)));
        if !allowed {
            return Err(HttpError::Refused);
        }
        if request.public_only && is_internal(&request.url) {
            return Err(HttpError::PrivateAddress);
        }
        let length = request.body.length().ok_or(HttpError::Refused)?;
        let mut body = Outgoing {
            reader: std::mem::take(&mut request.body).into_reader(),
            touched: false,
        };
        let mut prepared = http::Request::new(());
        *prepared.method_mut() = request.method.clone();
        *prepared.uri_mut() = request.url.as_str().parse().map_err(|_| HttpError::Refused)?;
        // Taken, not cloned: a secret header can be wiped once no other reference exists.
        *prepared.headers_mut() = std::mem::take(&mut request.headers);
        let has_body = length > 0 || WITH_BODY.contains(&request.method);
        if has_body {
            prepared
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let (parts, ()) = prepared.into_parts();
        let agent = self.agent_for(&parts.uri, request.public_only);
        let answered = if has_body {
            let prepared = http::Request::from_parts(parts, SendBody::from_reader(&mut body));
            self.run(agent, prepared, request.timeout, request.idle_timeout)
        } else {
            self.run(
                agent,
                http::Request::from_parts(parts, SendBody::none()),
                request.timeout,
                request.idle_timeout,
            )
        };
        // The body is read only after the connection is established. If it is untouched, no byte of
        // it can have been sent.
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

/// The outgoing body, which records whether it was read.
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

/// The incoming body of a response. Its errors contain only a kind, because those of `ureq` may
/// name the address.
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
