//! Settings of the default HTTP client.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::config::Config;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _};
use ureq::{Agent, Proxy, ProxyProtocol};

use super::dial::{Dial, Names, PublicNames};
use super::tls::Tls;
use super::{CONNECT_TIMEOUT, UreqClient};
use crate::model::{InvalidValue, Rule};

/// The names of environment variables that name a proxy.
const PROXY_VARIABLES: [&str; 6] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

impl UreqClient {
    /// Returns a client that allows only `https`.
    ///
    /// # Panics
    ///
    /// Never: the settings are valid.
    #[must_use]
    pub fn new() -> Self {
        let tls = Tls::new(&[]).unwrap_or_else(|_| unreachable!("there are no roots to be refused"));
        Self {
            agent: agent(&tls, None, false, Names::default()),
            guarded: agent(&tls, None, false, PublicNames(Names::default())),
            tls,
            roots: Vec::new(),
            connect_timeout: CONNECT_TIMEOUT,
            loopback_http: false,
        }
    }

    /// Trusts these PEM certificates as roots, in addition to Mozilla's: for example those of a
    /// private certificate authority, or of a proxy that inspects TLS. Can be called several times.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the text contains no certificate, or one that cannot be read or used as
    /// a root.
    pub fn roots(mut self, pem: &[u8]) -> Result<Self, InvalidValue> {
        let before = self.roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.roots.push(certificate.map_err(|_| Rule::Roots)?);
        }
        if self.roots.len() == before {
            return Err(Rule::Roots.into());
        }
        self.tls = Tls::new(&self.roots).map_err(|_| Rule::Roots)?;
        let proxy = self.agent.config().proxy().cloned();
        Ok(self.through(proxy))
    }

    /// Sends every request through this proxy, which must support `CONNECT`:
    /// `http://proxy.example:3128`, or `https://` for TLS to the proxy itself. The URL may contain
    /// a percent-encoded user and password; they are sent only to the proxy and never displayed.
    /// The proxy resolves the names of servers.
    ///
    /// # Security
    ///
    /// The client cannot check the addresses that the proxy connects to. For requests
    /// [only to public addresses](crate::http::HttpRequest::to_public_addresses_only) it refuses
    /// hosts that are IP addresses or internal names; the proxy must refuse names that resolve to
    /// addresses inside the network, as an egress proxy does.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if it is not such a URL.
    pub fn proxy(self, url: &str) -> Result<Self, InvalidValue> {
        let proxy = Proxy::new(url).map_err(|_| Rule::Proxy)?;
        Ok(self.through(Some(supported(proxy)?)))
    }

    /// Uses the proxy that the environment names, if any: `ALL_PROXY`, `HTTPS_PROXY` or
    /// `HTTP_PROXY`, in this order, in upper or lower case. `NO_PROXY` lists hosts that are reached
    /// directly.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if a variable is set and is not the URL of a supported proxy.
    ///
    /// # Security
    ///
    /// The environment then determines which host sees the names of the servers and the encrypted
    /// traffic. Do not let a user or a tool set it.
    pub fn proxy_from_env(self) -> Result<Self, InvalidValue> {
        let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let proxy = match Proxy::try_from_env() {
            Some(proxy) => Some(supported(proxy)?),
            // An unusable proxy must not lead to a direct connection.
            None if PROXY_VARIABLES.into_iter().any(named) => return Err(Rule::Proxy.into()),
            None => None,
        };
        Ok(self.through(proxy))
    }

    /// Sets the time limit for resolving a name, and then for connecting, including TLS. Default: 5
    /// s each. The time limit of the request applies as well.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Allows plain `http` to loopback addresses: `127.0.0.0/8`, `[::1]` and `localhost`.
    ///
    /// # Security
    ///
    /// For sandboxes and tests. The process that listens on that port receives the tokens.
    #[must_use]
    pub fn dangerous_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        let proxy = self.agent.config().proxy().cloned();
        self.through(proxy)
    }

    /// Returns the client with this proxy, or none.
    fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.agent = agent(&self.tls, proxy, self.loopback_http, Names::default());
        self.guarded = agent(&self.tls, None, false, PublicNames(Names::default()));
        self
    }
}

fn supported(proxy: Proxy) -> Result<Proxy, InvalidValue> {
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https if !proxy.host().is_empty() => Ok(proxy),
        _ => Err(Rule::Proxy.into()),
    }
}

fn agent(tls: &Tls, proxy: Option<Proxy>, loopback_http: bool, names: impl Resolver) -> Agent {
    let connector = ().chain(ConnectProxyConnector::default()).chain(Dial::default()).chain(tls.clone());
    Agent::with_parts(config(proxy, loopback_http), connector, names)
}

/// Returns the configuration of an agent.
pub(super) fn config(proxy: Option<Proxy>, loopback_http: bool) -> Config {
    Agent::config_builder()
        .https_only(!loopback_http)
        .http_status_as_error(false)
        // WebDAV and CalDAV define their own methods.
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .max_idle_connections(0)
        .user_agent(concat!("valetkey/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Default for UreqClient {
    fn default() -> Self {
        Self::new()
    }
}
