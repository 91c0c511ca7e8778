//! Settings of the default HTTP client.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::{Proxy, ProxyProtocol};

use super::{CONNECT_TIMEOUT, UreqClient};

/// The names of environment variables that name a proxy.
const PROXY_VARIABLES: [&str; 6] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

/// Builds a [`UreqClient`]: from [`UreqClient::builder`].
///
/// ```no_run
/// use valetkey::http::UreqClient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = UreqClient::builder()
///     .roots(&std::fs::read("/etc/ssl/company-ca.pem")?)?
///     .proxy("http://proxy.example:3128")?
///     .build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct UreqClientBuilder {
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) proxy: Option<Proxy>,
    pub(super) connect_timeout: Duration,
    pub(super) loopback_http: bool,
}

impl Default for UreqClientBuilder {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            proxy: None,
            connect_timeout: CONNECT_TIMEOUT,
            loopback_http: false,
        }
    }
}

impl UreqClientBuilder {
    /// Trusts these certificates as roots, in PEM, in addition to Mozilla's: those of a company's own authority, or of a
    /// proxy that inspects TLS. Can be called several times.
    ///
    /// # Errors
    ///
    /// [`InvalidHttpClient::Roots`] if the text holds no certificate or one that cannot be read.
    pub fn roots(mut self, pem: &[u8]) -> Result<Self, InvalidHttpClient> {
        let before = self.roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.roots
                .push(certificate.map_err(|_| InvalidHttpClient::Roots)?);
        }
        if self.roots.len() == before {
            return Err(InvalidHttpClient::Roots);
        }
        Ok(self)
    }

    /// Sends every request through this proxy, which must support `CONNECT`: `http://proxy.example:3128`, or `https://` for
    /// TLS to the proxy itself. A user and a password may stand before the host, percent-encoded; they are sent to the proxy
    /// alone and never shown. The proxy resolves the names of servers.
    ///
    /// # Errors
    ///
    /// [`InvalidHttpClient::Proxy`] if it is not such a URL.
    pub fn proxy(mut self, url: &str) -> Result<Self, InvalidHttpClient> {
        let proxy = Proxy::new(url).map_err(|_| InvalidHttpClient::Proxy)?;
        self.proxy = Some(supported(proxy)?);
        Ok(self)
    }

    /// Takes the proxy from the environment, if one is named there: from `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, in this
    /// order, in upper or lower case. `NO_PROXY` lists hosts that are reached directly.
    ///
    /// # Errors
    ///
    /// [`InvalidHttpClient::Proxy`] if a variable is set and is not the URL of a supported proxy.
    ///
    /// # Security
    ///
    /// Whoever sets the environment of the process decides which host sees the names of the servers and the ciphertext.
    pub fn proxy_from_env(mut self) -> Result<Self, InvalidHttpClient> {
        let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        self.proxy = match Proxy::try_from_env() {
            Some(proxy) => Some(supported(proxy)?),
            // A proxy that cannot be used must not become a direct connection.
            None if PROXY_VARIABLES.into_iter().any(named) => return Err(InvalidHttpClient::Proxy),
            None => None,
        };
        Ok(self)
    }

    /// Bounds how long resolving a name may take, and then connecting, TLS included: 5 s each unless set. The timeout of the
    /// request holds as well.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Allows plain `http` to this machine: `127.0.0.0/8`, `[::1]` and `localhost`.
    ///
    /// # Security
    ///
    /// For sandboxes and tests. Whoever listens on that port gets the tokens.
    pub const fn dangerous_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`InvalidHttpClient::Roots`] if a certificate cannot be a root.
    pub fn build(self) -> Result<UreqClient, InvalidHttpClient> {
        UreqClient::with(self)
    }
}

impl fmt::Debug for UreqClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UreqClientBuilder")
            .field("roots", &self.roots.len())
            .field("proxy", &self.proxy.as_ref().map(Proxy::host))
            .field("connect_timeout", &self.connect_timeout)
            .field("loopback_http", &self.loopback_http)
            .finish()
    }
}

fn supported(proxy: Proxy) -> Result<Proxy, InvalidHttpClient> {
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https if !proxy.host().is_empty() => Ok(proxy),
        _ => Err(InvalidHttpClient::Proxy),
    }
}

/// Why an HTTP client cannot be built. Holds nothing of what was given: a proxy's URL may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHttpClient {
    /// The roots are no certificates in PEM.
    #[error("the roots are not certificates in PEM")]
    Roots,
    /// The proxy is no URL of an HTTP proxy.
    #[error("the proxy is not a URL that begins with http:// or https://")]
    Proxy,
}
