//! Requests and responses whose secrets are wiped.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{Method, StatusCode};
use url::Url;
use zeroize::Zeroize as _;

use crate::http::Body;
use crate::secret::SecretBytes;

/// The default limit of a response's body: 1 MiB.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// The default time limit of a request, from name resolution to the last byte: 10 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request with its limits. The body and the headers that carry credentials are wiped when it is
/// dropped.
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL. Its query never contains a credential.
    pub url: Url,
    /// The headers; those that contain a credential are marked sensitive.
    pub headers: HeaderMap,
    /// The body. It is a reader only if the host sends one: see
    /// [`Turn::send_stream`](crate::resolver::Turn::send_stream).
    pub body: Body,
    /// The time limit until the last byte of the response is read. Default: 10 s.
    pub timeout: Duration,
    /// The time limit of a single wait for the network, if it is set separately.
    pub idle_timeout: Option<Duration>,
    /// The size limit of the response's body, which is then read to its end into memory. Default: 1
    /// MiB. If `None`, the body is returned as a reader of any size as soon as the head of the
    /// response has arrived; a client that cannot do that reads it whole.
    pub max_response_bytes: Option<usize>,
    /// True if the request may be sent only to public addresses.
    pub(super) public_only: bool,
    /// The bytes of the secret headers. `HeaderValue` shares them but cannot be wiped itself.
    secrets: Vec<Bytes>,
}

impl HttpRequest {
    /// Returns a request without headers and body, with the default limits.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::empty(),
            timeout: TIMEOUT,
            idle_timeout: None,
            max_response_bytes: Some(MAX_RESPONSE_BYTES),
            public_only: false,
            secrets: Vec::new(),
        }
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Limits the request to addresses on the public internet, because a server or a user supplied
    /// its URL.
    ///
    /// Without this limit, a server could make the host send requests into its own network: to a
    /// cloud's metadata service, for example. The limit excludes loopback, private, link-local,
    /// shared (carrier-grade NAT), multicast, documentation and reserved addresses, in each
    /// notation of IPv6 that contains an IPv4 address, and hosts that are IP addresses or internal
    /// names.
    #[must_use]
    pub const fn to_public_addresses_only(mut self) -> Self {
        self.public_only = true;
        self
    }

    /// Returns whether the request may be sent only to public addresses: see
    /// [`to_public_addresses_only`](Self::to_public_addresses_only).
    #[must_use]
    pub const fn is_to_public_addresses_only(&self) -> bool {
        self.public_only
    }

    /// Sets a header to a credential, which is marked sensitive and wiped with the request.
    ///
    /// # Errors
    ///
    /// [`InvalidHeaderValue`] if the value contains a character that is not valid in a header.
    pub(crate) fn with_secret_header(
        mut self,
        name: HeaderName,
        value: SecretBytes,
    ) -> Result<Self, InvalidHeaderValue> {
        let bytes = Bytes::copy_from_slice(value.expose_secret());
        let header = HeaderValue::from_maybe_shared(bytes.clone());
        self.secrets.push(bytes);
        let mut header = header?;
        header.set_sensitive(true);
        self.headers.insert(name, header);
        Ok(self)
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        self.headers.clear();
        for secret in self.secrets.drain(..) {
            // Fails only while a clone of the header exists elsewhere: its owner then wipes it.
            if let Ok(mut bytes) = secret.try_into_mut() {
                bytes.as_mut().zeroize();
            }
        }
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A response, whatever its status. The body is wiped when it is dropped.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl HttpResponse {
    /// Returns a response with this status and body.
    #[must_use]
    pub fn new(status: StatusCode, body: impl Into<Body>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    /// Sets a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_query_nor_headers_nor_body() {
        let url = Url::parse("https://as.test/token?code=c0de-marker").unwrap();
        let request = HttpRequest::new(Method::POST, url)
            .with_secret_header(
                http::header::AUTHORIZATION,
                b"Bearer t0ken-marker".to_vec().into(),
            )
            .unwrap()
            .with_body("refresh_token=r3fresh-marker");
        assert!(!format!("{request:?}").contains("marker"));
        assert!(!format!("{:?}", request.headers).contains("marker"));
    }

    #[test]
    fn a_line_break_is_no_header() {
        let url = Url::parse("https://as.test/").unwrap();
        let secret = b"Bearer a\r\nX: y".to_vec().into();
        assert!(
            HttpRequest::new(Method::GET, url)
                .with_secret_header(http::header::AUTHORIZATION, secret)
                .is_err()
        );
    }
}
