//! The settings of a gateway: language, appearance, and what it may link to.

use std::sync::Arc;

use super::address::{self, is_address};
use super::directory::Directory;
use super::page::text::Language;
use super::refusal::SignIn;
use super::{Gateway, Inner};
use crate::model::{InvalidValue, Rule};

/// Returns an address of the host, if it is one.
fn of_host(text: impl Into<String>) -> Result<String, InvalidValue> {
    let text = text.into();
    if is_address(&text) {
        Ok(text)
    } else {
        Err(Rule::HostAddress.into())
    }
}

impl Gateway {
    fn set(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }

    /// Sets the title of the pages: "Connections" in their language by default.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        let title = title.into();
        self.set(|inner| inner.title = Some(title))
    }

    /// Sets the language of the pages. By default, each browser chooses with `Accept-Language`; a
    /// browser that asks for no language that exists gets English. The API answers in English.
    #[must_use]
    pub fn language(self, language: Language) -> Self {
        self.set(|inner| inner.language = Some(language))
    }

    /// Shows the users with the names of this directory, and lets operators search it when they
    /// connect another user.
    #[must_use]
    pub fn directory(self, directory: impl Directory) -> Self {
        self.set(|inner| inner.directory = Some(Arc::new(directory)))
    }

    /// Adds a link of the host, such as "Sign out", to the header of each page. Its address begins
    /// with one `/`, or with `https://`.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the address is neither a path nor an `https` URL.
    pub fn account_link(
        self,
        label: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<Self, InvalidValue> {
        let address = address.into();
        if !is_address(&address) {
            return Err(Rule::AccountLink.into());
        }
        let label = label.into();
        Ok(self.set(|inner| inner.account_link = Some((label, address))))
    }

    /// Lets users connect MCP servers by their addresses, with a page that shows what a server asks
    /// for before the user signs in there. The connections need an
    /// [`McpClient`](crate::connections::McpClient). By default, only the host's code connects MCP
    /// servers.
    ///
    /// # Security
    ///
    /// A server that a user adds receives what the agent sends to it for that user. Requests to the
    /// address go to public addresses only.
    #[cfg(feature = "mcp")]
    #[must_use]
    pub fn mcp_servers(self) -> Self {
        self.set(|inner| inner.mcp_servers = true)
    }

    /// Sets the address at which the host signs a user out and another one in. The page for a
    /// one-time link that was made for another user leads there. As for
    /// [`Refused::SignIn`](crate::gateway::Refused::SignIn), the gateway adds the way back in the
    /// query parameter `return_parameter`, so that the link is opened again afterwards.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the address is neither a path nor an `https` URL.
    pub fn switch_user(
        self,
        address: impl Into<String>,
        return_parameter: impl Into<String>,
    ) -> Result<Self, InvalidValue> {
        let switch = SignIn {
            address: of_host(address)?,
            return_parameter: return_parameter.into(),
        };
        Ok(self.set(|inner| inner.switch_user = Some(switch)))
    }

    /// Adds a style sheet of the host to every page, after the gateway's own. It can set the
    /// properties that begin with `--vk-`, such as `--vk-brand`, on `.valetkey`; the guide lists
    /// them. An address at another origin also needs
    /// [`allow_resources_from`](Self::allow_resources_from).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the address is neither a path nor an `https` URL.
    pub fn stylesheet(self, address: impl Into<String>) -> Result<Self, InvalidValue> {
        let address = of_host(address)?;
        Ok(self.set(|inner| inner.look.stylesheet = Some(address)))
    }

    /// Adds markup to the `<head>` of every page, such as the host's icons and `<meta>` elements.
    /// The content security policy applies to it: inline styles and scripts do not run.
    ///
    /// # Security
    ///
    /// The markup is written as it is. It must not contain text that users can choose.
    #[must_use]
    pub fn head(self, markup: impl Into<String>) -> Self {
        let markup = markup.into();
        self.set(|inner| inner.look.head = Some(markup))
    }

    /// Replaces the key in the header of the pages with the picture at this address. A picture at
    /// another origin also needs [`allow_resources_from`](Self::allow_resources_from).
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if the address is neither a path nor an `https` URL.
    pub fn logo(self, address: impl Into<String>) -> Result<Self, InvalidValue> {
        let address = of_host(address)?;
        Ok(self.set(|inner| inner.look.logo = Some(address)))
    }

    /// Shows the host's own logos of services: `logos` receives the id of a service and returns the
    /// address of a square picture, or `None` for the gateway's own icon. An address at another
    /// origin also needs [`allow_resources_from`](Self::allow_resources_from); otherwise the
    /// gateway's own icon is shown.
    #[must_use]
    pub fn service_logos(self, logos: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|inner| inner.look.logos = Some(Arc::new(logos)))
    }

    /// Lets the pages load pictures, style sheets and fonts from an origin, such as
    /// `https://cdn.example`, in addition to their own. May be called several times.
    ///
    /// # Security
    ///
    /// That origin sees the addresses of the browsers that open the pages.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if it is neither an `https` origin nor one at a loopback address.
    pub fn allow_resources_from(self, origin: &str) -> Result<Self, InvalidValue> {
        let origin = address::origin(origin).ok_or(Rule::HostOrigin)?;
        Ok(self.set(|inner| inner.look.allow_resources(origin)))
    }

    /// Lets the pages of this origin show `/embed/connections` and `/embed/connect` in a frame. May
    /// be called several times. All other pages refuse to be framed.
    ///
    /// # Security
    ///
    /// A page that frames the gateway can lay other things over it. Name only origins of the host.
    /// Browsers send the session cookie to a frame only if both origins are of one site.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if it is neither an `https` origin nor one at a loopback address.
    pub fn allow_embedding_in(self, origin: &str) -> Result<Self, InvalidValue> {
        let origin = address::origin(origin).ok_or(Rule::HostOrigin)?;
        Ok(self.set(|inner| inner.look.allow_ancestor(origin)))
    }

    /// Lets consents name exactly this address as the place to go afterwards
    /// ([`ConsentOptions::return_to`](crate::ConsentOptions)). For every other address, the user
    /// returns to the page. May be called several times.
    #[must_use]
    pub fn allow_return_to(self, address: impl Into<String>) -> Self {
        let address = address.into();
        self.set(|inner| inner.return_to.push(address))
    }

    /// Sets the largest body that is read: 64 KiB by default. The server in front should set its
    /// own limit.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        self.set(|inner| inner.max_body = bytes)
    }

    /// Sets how many connections a page shows: 50 by default, at most 200.
    #[must_use]
    pub fn page_size(self, rows: usize) -> Self {
        self.set(|inner| inner.page_size = rows.clamp(1, 200))
    }
}
