//! Settings of the default HTTP client.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _};
use ureq::{Agent, Proxy, ProxyProtocol};

use super::dial::{Dial, Names};
use super::tls::Tls;
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
    /// The environment then decides which host sees the names of the servers and the ciphertext. Do not let a user or a tool
    /// set it.
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
    /// For sandboxes and tests. Any process that listens on that port receives the tokens.
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
    /// The roots are not certificates in PEM, or a certificate cannot be a root.
    #[error("the roots are not certificates in PEM")]
    Roots,
    /// The proxy is not the URL of an HTTP proxy.
    #[error("the proxy is not a URL that begins with http:// or https://")]
    Proxy,
}

impl UreqClient {
    /// A client that speaks `https` and nothing else.
    ///
    /// # Panics
    ///
    /// Never: the settings are valid.
    #[must_use]
    pub fn new() -> Self {
        Self::built(Self::builder())
    }

    /// A client that also speaks plain `http` to this machine: `127.0.0.0/8`, `[::1]` and `localhost`.
    ///
    /// # Security
    ///
    /// For sandboxes and tests. Whoever listens on that port gets the tokens.
    ///
    /// # Panics
    ///
    /// Never: the settings are valid.
    #[must_use]
    pub fn dangerous_loopback_http() -> Self {
        Self::built(Self::builder().dangerous_loopback_http())
    }

    /// Returns a builder, to add roots, a proxy or other bounds.
    pub fn builder() -> UreqClientBuilder {
        UreqClientBuilder::default()
    }

    fn built(builder: UreqClientBuilder) -> Self {
        Self::with(builder).unwrap_or_else(|_| unreachable!("there are no roots to be refused"))
    }

    fn with(builder: UreqClientBuilder) -> Result<Self, InvalidHttpClient> {
        let tls = Tls::new(&builder.roots).map_err(|_| InvalidHttpClient::Roots)?;
        let config = Agent::config_builder()
            .https_only(!builder.loopback_http)
            .http_status_as_error(false)
            // WebDAV and CalDAV have methods of their own.
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(builder.proxy)
            .max_idle_connections(0)
            .user_agent(concat!("valetkey/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = ().chain(ConnectProxyConnector::default()).chain(Dial::default()).chain(tls);
        Ok(Self {
            agent: Agent::with_parts(config, connector, Names::default()),
            loopback_http: builder.loopback_http,
            connect_timeout: builder.connect_timeout,
        })
    }
}

impl Default for UreqClient {
    fn default() -> Self {
        Self::new()
    }
}
