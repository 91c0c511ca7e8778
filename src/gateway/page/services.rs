//! The page `GET /services`: each service with its connections, its client, and what its provider
//! can revoke.

use std::collections::BTreeMap;

use askama::Template;
use http::StatusCode;

use super::base::Page;
use super::icon::Icon;
use super::shell::{Shell, Tab};
use super::text::Texts;
use crate::connections::StatusCounts;
use crate::gateway::answer::Answer;
use crate::gateway::ends::Ends;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{ProviderId, ServerId, TenantId};

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage {
    shell: Shell,
    rows: Vec<Row>,
}

/// A service.
struct Row {
    id: String,
    name: String,
    icon: Icon,
    server: String,
    counts: StatusCounts,
    /// True if a consent can begin.
    offered: bool,
    client: &'static str,
    ends: &'static str,
}

impl Row {
    /// Returns the number of connections that can be revoked.
    fn live(&self) -> usize {
        self.counts.active + self.counts.needs_consent
    }
}

impl Inner {
    pub(in crate::gateway) fn services_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let operator = caller.as_operator().ok_or_else(Refusal::forbidden)?;
        let tenant = operator.acting_user().tenant();
        let page = self.page(caller, incoming, []).at(Tab::Services);
        let mut counts = self.connections.counts(operator)?;
        let registry = self.connections.registry();
        let mut clients = BTreeMap::new();
        let mut rows = Vec::new();
        for provider in registry.providers() {
            let counts = counts.remove(&provider.id).unwrap_or_default();
            let offered = page.offers(&provider.id)?;
            // The catalogue has more services than a host sets up.
            if !offered && counts.total() == 0 {
                continue;
            }
            let client = *clients
                .entry(provider.server.clone())
                .or_insert_with(|| self.client_words(&page, tenant, provider.server.as_str(), offered));
            rows.push(Row {
                id: provider.id.to_string(),
                name: provider.name.clone(),
                icon: page.icon(provider.id.as_str()),
                server: provider.server.to_string(),
                counts,
                offered,
                client,
                ends: ends(page.texts, Ends::of(&page.services, &provider.server)),
            });
        }
        for provider in page.added() {
            rows.push(Row {
                id: provider.id().to_string(),
                name: provider.name().to_owned(),
                icon: page.icon(provider.id().as_str()),
                server: provider.server().to_string(),
                counts: counts.remove(provider.id()).unwrap_or_default(),
                offered: true,
                client: page.texts.client_added,
                ends: ends(page.texts, Ends::of(&page.services, provider.server())),
            });
        }
        // Connections of services that were removed from the configuration.
        rows.extend(
            counts
                .into_iter()
                .map(|(id, counts)| self.removed(&page, &id, counts)),
        );
        rows.sort_by_cached_key(|row| row.name.to_lowercase());
        page.show(StatusCode::OK, |shell| ServicesPage { shell, rows })
    }

    fn removed(&self, page: &Page<'_>, id: &ProviderId, counts: StatusCounts) -> Row {
        Row {
            id: id.to_string(),
            name: self.provider_name(id.as_str()),
            icon: page.icon(id.as_str()),
            server: String::new(),
            counts,
            offered: false,
            client: page.texts.client_none,
            ends: page.texts.ends_unknown,
        }
    }

    /// Describes whose registration the tenant uses at a server.
    fn client_words(&self, page: &Page<'_>, tenant: &TenantId, server: &str, offered: bool) -> &'static str {
        let registry = self.connections.registry();
        let t = page.texts;
        let is_added = |clients: Vec<(ServerId, String)>| clients.iter().any(|(id, _)| id.as_str() == server);
        if self.connections.added_clients(tenant).is_ok_and(is_added) {
            return t.client_own;
        }
        let own = registry
            .server(server)
            .map(|server| registry.clients().is_own(tenant, &server.id));
        match own {
            Some(Ok(true)) => t.client_own,
            Some(Ok(false)) if offered => t.client_shared,
            Some(Err(_)) => t.client_unreadable,
            _ => t.client_none,
        }
    }
}

/// Describes how access ends at a provider.
pub(super) fn ends(texts: &Texts, ends: Ends) -> &'static str {
    match ends {
        Ends::Request => texts.ends_by_request,
        Ends::User => texts.ends_by_user,
        Ends::Itself => texts.ends_by_itself,
        Ends::Unknown => texts.ends_unknown,
    }
}
