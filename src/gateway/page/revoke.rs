//! The pages of a revocation: the confirmation, then the result.

use askama::Template;
use http::StatusCode;

use super::text::Texts;
use super::view::{ConnectionView, Shell};
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
        let texts = self.texts(&incoming.head.headers);
        let (siblings, (there, page)) = if sharing.is_empty() {
            (
                self.siblings(caller, &connection)?,
                self.expectation(texts, &connection, &name),
            )
        } else {
            (Vec::new(), (self.goes_on(texts, &sharing, &name), None))
        };
        let now = self.now();
        self.show(caller, incoming, StatusCode::OK, |shell| ConfirmPage {
            shell,
            row: ConnectionView::new(self, texts, caller, &connection, now),
            there,
            page,
            siblings: self.views(texts, caller, &siblings),
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
        let texts = self.texts(&incoming.head.headers);
        let ended = revocation.at_provider == AtProvider::Revoked;
        let page = match &revocation.at_provider {
            AtProvider::ByUser { url } | AtProvider::Attempted { url: Some(url) } => link(url),
            _ => None,
        };
        let now = self.now();
        self.show(caller, incoming, StatusCode::OK, |shell| RevokedPage {
            shell,
            row: ConnectionView::new(self, texts, caller, &revocation.connection, now),
            cleared: revocation.here == Erasure::Cleared,
            there: words::at_provider(texts, &revocation.at_provider, &name),
            page,
            siblings: if ended {
                self.views(texts, caller, &siblings)
            } else {
                Vec::new()
            },
        })
    }

    fn views(&self, texts: &Texts, caller: &Caller, connections: &[Connection]) -> Vec<ConnectionView> {
        let now = self.now();
        let view = |connection| ConnectionView::new(self, texts, caller, connection, now);
        connections.iter().map(view).collect()
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
                let page = server.and_then(|server| server.revocation_page(&connection.parameters));
                let page = page.and_then(|page| link(page.as_str()));
                ((texts.expect_by_user)(name), page)
            }
            _ => ((texts.expect_none)(name), None),
        }
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

/// Returns a page of the provider, if it can be linked.
fn link(url: &str) -> Option<String> {
    url.starts_with("https://").then(|| url.to_owned())
}
