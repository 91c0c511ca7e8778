//! The basis of every page: its reader, the language, the time, and the people on it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use askama::Template;
use http::StatusCode;

use super::actions::Actions;
use super::icon::Icon;
use super::people::{People, PersonView};
use super::shell::{Moment, Shell, Tab};
use super::text::Texts;
use crate::engine::health::HealthState;
use crate::engine::services::Services;
use crate::error::Result;
use crate::gateway::answer::{self, Answer};
use crate::gateway::csrf::Csrf;
use crate::gateway::look::Frame;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{Connection, ProviderId, Timestamp, UserId};
use crate::provider::Provider;

/// A page that answers a request.
pub(super) struct Page<'a> {
    pub(super) gateway: &'a Inner,
    pub(super) caller: &'a Caller,
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) texts: &'static Texts,
    pub(super) now: Timestamp,
    frame: Frame,
    tab: Option<Tab>,
    people: People,
    /// The services of the tenant, to judge connections by.
    pub(super) services: Services<'a>,
    /// The services that can be connected, read once if a page needs them.
    offered: OnceCell<BTreeSet<ProviderId>>,
    /// The services that the tenant added, among them MCP servers, read once if a page needs them.
    added: OnceCell<Vec<Provider>>,
}

impl Inner {
    /// Returns a page for this request. `users` are the users on it beside the caller.
    pub(super) fn page<'a, 'u>(
        &'a self,
        caller: &'a Caller,
        incoming: &'a Incoming<'a>,
        users: impl IntoIterator<Item = &'u UserId>,
    ) -> Page<'a> {
        Page {
            gateway: self,
            caller,
            incoming,
            texts: self.texts(&incoming.head.headers),
            now: self.now(),
            frame: Frame::Page,
            tab: None,
            people: People::of(self, caller, users),
            services: self.connections.services(caller.acting_user().tenant()),
            offered: OnceCell::new(),
            added: OnceCell::new(),
        }
    }
}

impl Page<'_> {
    /// Sets the place where the page is shown.
    pub(super) const fn within(mut self, frame: Frame) -> Self {
        self.frame = frame;
        self
    }

    /// Sets the tab of the operator's pages that is marked as current.
    pub(super) const fn at(mut self, tab: Tab) -> Self {
        self.tab = Some(tab);
        self
    }

    /// Renders the page, with a CSRF token for its forms.
    pub(super) fn show<T: Template>(&self, status: StatusCode, page: impl FnOnce(Shell) -> T) -> Answer {
        let cookies = self.gateway.cookies();
        let csrf = Csrf::of(cookies, &self.incoming.head.headers)?;
        let mut shell = Shell::new(self.gateway, self.texts, csrf.token(self.caller, self.now));
        shell.frame = self.frame;
        shell.who = Some(self.person(self.caller.acting_user().user()));
        shell.operator = self.caller.is_operator();
        shell.tab = self.tab;
        // Rendering into a string fails only if a template does, and these do not.
        let html = page(shell).render().map_err(|_| Refusal::internal())?;
        let cookie = csrf.fresh().and_then(|secret| cookies.keep_csrf(secret));
        Ok(answer::with_cookie(answer::html(status, html), cookie))
    }

    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        Moment::new(self.texts, at, self.now)
    }

    pub(super) fn person(&self, user: &UserId) -> PersonView {
        self.people.view(self.gateway, user)
    }

    /// Returns the display name of a user.
    pub(super) fn name_of<'n>(&'n self, user: &'n UserId) -> &'n str {
        self.people.name(user)
    }

    pub(super) fn icon(&self, service: &str) -> Icon {
        Icon::of(self.gateway, service)
    }

    /// Returns the services that the tenant added. If they cannot be read, there are none.
    pub(super) fn added(&self) -> &[Provider] {
        let tenant = self.caller.acting_user().tenant();
        self.added.get_or_init(|| {
            self.gateway
                .connections
                .added_providers(tenant)
                .unwrap_or_default()
        })
    }

    /// Returns the descriptor of a service: of the host, or of the tenant.
    pub(super) fn provider(&self, id: &str) -> Option<&Provider> {
        let of_host = self.gateway.provider(id);
        of_host.or_else(|| self.added().iter().find(|it| it.id().as_str() == id))
    }

    pub(super) fn provider_name(&self, id: &str) -> String {
        self.provider(id)
            .map_or_else(|| id.to_owned(), |it| it.name().to_owned())
    }

    /// Returns whether a consent for a service can begin.
    pub(super) fn offers(&self, service: &ProviderId) -> Result<bool> {
        let offered = match self.offered.get() {
            Some(offered) => offered,
            None => {
                let all = self
                    .gateway
                    .connections
                    .providers_for(self.caller.acting_user().tenant())?;
                let ids = all.into_iter().map(|provider| provider.id().clone());
                self.offered.get_or_init(|| ids.collect())
            }
        };
        Ok(offered.contains(service) || self.added().iter().any(|it| it.id() == service))
    }

    /// Returns whether the reader may change a connection.
    pub(super) fn manages(&self, connection: &Connection) -> bool {
        connection.owner.is_managed_by(&self.caller.principal().actor())
    }

    /// Returns the actions that can help in this state of a connection.
    pub(super) fn actions(&self, connection: &Connection, state: &HealthState) -> Actions {
        // A source of registrations that fails lets nothing begin.
        let offered = self.offers(&connection.provider).unwrap_or(false);
        Actions::of(state, connection, self.manages(connection), offered)
    }
}
