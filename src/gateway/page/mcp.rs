//! The page `GET /mcp`, where a user enters the address of an MCP server, and the page that shows
//! what was found there.

use askama::Template;
use http::StatusCode;
use url::Url;

use super::shell::Shell;
use crate::connections::McpOptions;
use crate::engine::consent::options::Consent;
use crate::error::Error;
use crate::gateway::answer::Answer;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};

#[derive(Template)]
#[template(path = "mcp.html")]
struct McpPage {
    shell: Shell,
    address: String,
    mistake: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "mcp_found.html")]
struct FoundPage {
    shell: Shell,
    /// The host of the MCP server.
    host: String,
    /// The address of the MCP server.
    server: String,
    /// The host of the authorization server.
    authorization: String,
    scopes: Vec<String>,
    address: String,
}

impl Inner {
    /// Handles `GET /mcp`.
    pub(in crate::gateway) fn mcp_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        self.check_mcp()?;
        let address = incoming.query("url").unwrap_or_default().to_owned();
        self.mcp_form(caller, incoming, StatusCode::OK, address, None)
    }

    /// Handles `POST /mcp`: looks the server up and shows what it asks for. The consent begins when
    /// the user continues.
    pub(in crate::gateway) fn begin_mcp(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        self.check_mcp()?;
        let address = incoming.field("url").unwrap_or_default().trim();
        let kind = match self
            .connections
            .start_mcp(caller.acting_user(), address, McpOptions::default())
        {
            Ok(consent) => return self.found_page(caller, incoming, &consent),
            Err(Error::Mcp(mistake)) => mistake.as_str(),
            Err(Error::Unavailable { .. }) => "unavailable",
            Err(error) => return Err(error.into()),
        };
        let mistake = (self.texts(&incoming.head.headers).mcp_mistake)(kind);
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        self.mcp_form(caller, incoming, status, address.to_owned(), Some(mistake))
    }

    /// Refuses the page as one that does not exist, unless the host allows it.
    fn check_mcp(&self) -> Result<(), Refusal> {
        if self.offers_mcp() {
            Ok(())
        } else {
            Err(Refusal::not_found())
        }
    }

    fn mcp_form(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        status: StatusCode,
        address: String,
        mistake: Option<&'static str>,
    ) -> Answer {
        let page = self.page(caller, incoming, []);
        page.show(status, |shell| McpPage {
            shell,
            address,
            mistake,
        })
    }

    fn found_page(&self, caller: &Caller, incoming: &Incoming<'_>, consent: &Consent) -> Answer {
        let url = consent.authorization_url();
        let server = consent.provider().as_str();
        let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
        let page = self.page(caller, incoming, []);
        let found = page.show(StatusCode::OK, |shell| FoundPage {
            shell,
            host: Url::parse(server).map_or_else(|_| server.to_owned(), |url| host(&url)),
            server: server.to_owned(),
            authorization: host(url),
            scopes: consent
                .scopes()
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            address: url.to_string(),
        })?;
        Ok(self.with_binding(found, incoming, consent))
    }
}
