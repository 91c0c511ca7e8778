//! Options of one consent for an MCP server.

use crate::engine::consent::options::ConsentOptions;
use crate::provider::ClientRegistration;

/// Options for connecting an MCP server by its URL.
///
/// ```
/// use valetkey::ConsentOptions;
/// use valetkey::connections::McpOptions;
/// use valetkey::model::Label;
///
/// let work = ConsentOptions::default().label(Label::new("work")?);
/// let options = McpOptions::default().consent(work).authorization_server("https://login.example");
/// # let _ = options;
/// # Ok::<(), valetkey::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct McpOptions {
    pub(crate) consent: ConsentOptions,
    pub(crate) client: Option<ClientRegistration>,
    pub(crate) issuer: Option<String>,
    pub(crate) other_hosts: bool,
}

impl McpOptions {
    /// Sets the options of the consent. Scopes that it names replace those of the server.
    #[must_use]
    pub fn consent(mut self, options: ConsentOptions) -> Self {
        self.consent = options;
        self
    }

    /// Uses this client, which was registered by hand, at the authorization server. It is stored
    /// for the tenant, and takes precedence over every other way to become known.
    #[must_use]
    pub fn client(mut self, registration: ClientRegistration) -> Self {
        self.client = Some(registration);
        self
    }

    /// Chooses the authorization server with this issuer. Default: one where the tenant has a
    /// client, otherwise the first that the MCP server names.
    #[must_use]
    pub fn authorization_server(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Accepts endpoints on hosts of other sites than that of the issuer.
    ///
    /// # Security
    ///
    /// The metadata of an issuer may name any endpoint. An issuer whose metadata were replaced
    /// could send codes elsewhere.
    #[must_use]
    pub const fn endpoints_on_other_hosts(mut self) -> Self {
        self.other_hosts = true;
        self
    }
}
