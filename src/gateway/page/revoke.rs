//! The pages of a revocation: the confirmation, then the result.

use askama::Template;
use http::StatusCode;

use super::base::Page;
use super::people::owners;
use super::shell::Shell;
use super::text::Texts;
use super::view::ConnectionView;
use super::words::{self, Words};
use crate::engine::lists::ConnectionFilter;
use crate::engine::revoke::report::AtProvider;
use crate::error::Result;
use crate::gateway::answer::{self, Answer};
use crate::gateway::api::connection_id;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, Status};
use crate::provider::Revocation;
use crate::vault::Erasure;

#[derive(Template)]
#[template(path = "revoke.html")]
struct ConfirmPage {
    shell: Shell,
    row: ConnectionView,
    there: String,
    page: Option<String>,
    siblings: Vec<ConnectionView>,
}

#[derive(Template)]
#[template(path = "revoked.html")]
struct RevokedPage {
    shell: Shell,
    row: ConnectionView,
    cleared: bool,
    there: Words,
    page: Option<String>,
    siblings: Vec<ConnectionView>,
}

impl Inner {
    pub(in crate::gateway) fn confirm_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        id: &str,
    ) -> Answer {
        let connection = self.connections.get(caller.principal(), connection_id(id)?)?;
        if connection.status == Status::Revoked {
            return answer::see_other(&self.path(&format!("/connections/{}", connection.id)));
        }
        if !connection.owner.is_managed_by(&caller.principal().actor()) {
            return Err(crate::error::Error::NotPermitted.into());
        }
        let sharing = self.connections.sharing(caller.principal(), connection.id)?;
        let name = self.provider_name(connection.provider.as_str());
        let siblings = if sharing.is_empty() {
            self.siblings(caller, &connection)?
        } else {
            Vec::new()
        };
        let users = owners(&siblings).chain(connection.owner.user());
        let page = self.page(caller, incoming, users);
        let (there, link) = if sharing.is_empty() {
            self.expectation(page.texts, &connection, &name)
        } else {
            (self.goes_on(page.texts, &sharing, &name), None)
        };
        page.show(StatusCode::OK, |shell| ConfirmPage {
            shell,
            row: ConnectionView::new(&page, &connection),
            there,
            page: link,
            siblings: views(&page, &siblings),
        })
    }

    /// Renders the result at once instead of redirecting: the provider's answer is not stored, and
    /// an address must not be able to forge it. Loading the page again repeats the revocation,
    /// which has no effect.
    pub(in crate::gateway) fn revoke_by_form(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        id: &str,
    ) -> Answer {
        let id = connection_id(id)?;
        let before = self.connections.get(caller.principal(), id)?;
        let siblings = self.siblings(caller, &before)?;
        let revocation = self.connections.revoke(caller.principal(), id)?;
        let name = self.provider_name(before.provider.as_str());
        let users = owners(&siblings).chain(before.owner.user());
        let page = self.page(caller, incoming, users);
        let ended = revocation.at_provider == AtProvider::Revoked;
        let link = match &revocation.at_provider {
            AtProvider::ByUser { url } | AtProvider::Attempted { url: Some(url) } => link(url),
            _ => None,
        };
        page.show(StatusCode::OK, |shell| RevokedPage {
            shell,
            row: ConnectionView::new(&page, &revocation.connection),
            cleared: revocation.here == Erasure::Cleared,
            there: words::at_provider(page.texts, &revocation.at_provider, &name),
            page: link,
            siblings: if ended {
                views(&page, &siblings)
            } else {
                Vec::new()
            },
        })
    }

    /// Explains the consequence if other connections use the same grant.
    fn goes_on(&self, texts: &Texts, sharing: &[Connection], name: &str) -> String {
        let names: Vec<_> = sharing
            .iter()
            .map(|other| self.provider_name(other.provider.as_str()))
            .collect();
        (texts.goes_on)(name, &names.join(", "))
    }

    /// Describes the effect of a revocation at the provider.
    fn expectation(&self, texts: &Texts, connection: &Connection, name: &str) -> (String, Option<String>) {
        let registry = self.connections.registry();
        let server = registry
            .provider(connection.provider.as_str())
            .map(|service| service.server);
        match server.map(|server| &server.revocation) {
            Some(Revocation::Endpoint { .. }) => ((texts.expect_endpoint)(name), None),
            Some(Revocation::ByUser { .. }) => {
                ((texts.expect_by_user)(name), self.revocation_link(connection))
            }
            _ => ((texts.expect_none)(name), None),
        }
    }

    /// Returns the page of the provider on which the user ends the access of a connection.
    pub(super) fn revocation_link(&self, connection: &Connection) -> Option<String> {
        let service = self
            .connections
            .registry()
            .provider(connection.provider.as_str())?;
        let page = service.server.revocation_page(&connection.parameters)?;
        link(page.as_str())
    }

    /// Returns the other connections in reach that end with this one, at servers where all
    /// connections of an account share one grant.
    fn siblings(&self, caller: &Caller, connection: &Connection) -> Result<Vec<Connection>> {
        let registry = self.connections.registry();
        let wide = registry
            .server(connection.issued_by.server.as_str())
            .is_some_and(|server| matches!(server.revocation, Revocation::Endpoint { grant_wide: true, .. }));
        let (true, Some(account)) = (wide, &connection.account) else {
            return Ok(Vec::new());
        };
        let mut siblings = Vec::new();
        let of_server = registry
            .providers()
            .filter(|provider| provider.server == connection.issued_by.server);
        for provider in of_server {
            let filter = ConnectionFilter::provider(provider.id.clone()).limit(usize::MAX);
            let found = self.connections.list(caller.principal(), &filter)?;
            siblings.extend(found.into_iter().filter(|it| {
                it.id != connection.id && it.account.as_ref().is_some_and(|other| other.id == account.id)
            }));
        }
        Ok(siblings)
    }
}

fn views(page: &Page<'_>, connections: &[Connection]) -> Vec<ConnectionView> {
    let view = |connection| ConnectionView::new(page, connection);
    connections.iter().map(view).collect()
}

/// Returns a page of the provider, if it can be linked.
fn link(url: &str) -> Option<String> {
    url.starts_with("https://").then(|| url.to_owned())
}
