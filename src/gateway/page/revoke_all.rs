//! The pages `GET` and `POST /revoke`: all connections of a user, or of a service.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use http::StatusCode;
use url::form_urlencoded;

use super::base::Page;
use super::people::{PersonView, owners};
use super::services;
use super::shell::{Shell, Tab};
use super::view::ConnectionView;
use super::words::{self, Words};
use crate::connections::RevocationReport;
use crate::engine::lists::ConnectionFilter;
use crate::gateway::answer::Answer;
use crate::gateway::ends::Ends;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::revocation::{MOST, MOST_PREVIEWED, Selection};
use crate::gateway::{Caller, Inner};
use crate::model::Connection;

/// The number of connections that a page names.
const NAMED: usize = 100;

#[derive(Template)]
#[template(path = "revoke_all.html")]
struct PreviewPage {
    shell: Shell,
    subject: Subject,
    count: usize,
    /// True if there are more connections than were counted.
    more: bool,
    users: usize,
    ends: Vec<EndsView>,
    rows: Vec<ConnectionView>,
}

#[derive(Template)]
#[template(path = "revoked_all.html")]
struct ResultPage {
    shell: Shell,
    subject: Subject,
    count: usize,
    outcomes: Vec<OutcomeView>,
    /// The number of connections that are left.
    left: usize,
    left_more: bool,
}

/// The user whose connections are revoked, the service, or both.
struct Subject {
    user: Option<PersonView>,
    service: Option<String>,
    /// The fields that select the connections.
    fields: Vec<(&'static str, String)>,
    /// The query of the list with the same connections.
    query: String,
}

/// The connections that end in one way at the provider.
struct EndsView {
    text: &'static str,
    /// The services, with the number of connections and the page on which the user ends the
    /// access.
    services: Vec<(String, usize, Option<String>)>,
    warns: bool,
}

/// The connections with one outcome.
struct OutcomeView {
    words: Words,
    names: Vec<String>,
    more: usize,
}

impl Subject {
    fn of(page: &Page<'_>, selection: &Selection) -> Self {
        let user = selection.user.as_ref();
        let fields: Vec<_> = [
            user.map(|user| ("user", user.to_string())),
            selection.provider.clone().map(|provider| ("provider", provider)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&fields);
        Self {
            user: user.map(|user| page.person(user)),
            service: selection
                .provider
                .as_deref()
                .map(|provider| page.gateway.provider_name(provider)),
            query: query.finish(),
            fields,
        }
    }
}

impl Inner {
    pub(in crate::gateway) fn revoke_all_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let selection = Selection::of(caller, |name| incoming.query(name))?;
        let connections = self.selected(caller, &selection, MOST_PREVIEWED + 1)?;
        let more = connections.len() > MOST_PREVIEWED;
        let counted = &connections[..connections.len().min(MOST_PREVIEWED)];
        let shown = &counted[..counted.len().min(NAMED)];
        let page = self.page(caller, incoming, owners(shown).chain(&selection.user));
        let page = page.at(Tab::Services);
        let users: BTreeSet<_> = owners(counted).collect();
        page.show(StatusCode::OK, |shell| PreviewPage {
            shell,
            subject: Subject::of(&page, &selection),
            count: counted.len(),
            more,
            users: users.len(),
            ends: self.ends_of(&page, counted),
            rows: shown.iter().map(|it| ConnectionView::new(&page, it)).collect(),
        })
    }

    /// Handles `POST /revoke`. One request revokes a bounded number of connections; the page says
    /// how many are left.
    pub(in crate::gateway) fn revoke_all_by_form(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let selection = Selection::of(caller, |name| incoming.field(name))?;
        let operator = caller.as_operator().ok_or_else(Refusal::forbidden)?;
        let filter = selection.filter().limit(MOST);
        let reports = self.connections.revoke_all(operator, &filter)?;
        let left = self.selected(caller, &selection, MOST_PREVIEWED + 1)?.len();
        let users = reports.iter().filter_map(|it| it.connection.owner.user());
        let page = self.page(caller, incoming, users.chain(&selection.user));
        let page = page.at(Tab::Services);
        page.show(StatusCode::OK, |shell| ResultPage {
            shell,
            subject: Subject::of(&page, &selection),
            count: reports.len(),
            outcomes: outcomes(&page, &reports),
            left: left.min(MOST_PREVIEWED),
            left_more: left > MOST_PREVIEWED,
        })
    }

    /// Returns up to `limit` connections that a selection has.
    pub(in crate::gateway) fn selected(
        &self,
        caller: &Caller,
        selection: &Selection,
        limit: usize,
    ) -> Result<Vec<Connection>, Refusal> {
        let filter: ConnectionFilter = selection.filter().limit(limit);
        Ok(self.connections.list(caller.principal(), &filter)?)
    }

    /// Groups connections by how they end at their provider.
    fn ends_of(&self, page: &Page<'_>, connections: &[Connection]) -> Vec<EndsView> {
        let mut groups: BTreeMap<Ends, BTreeMap<&str, (usize, Option<String>)>> = BTreeMap::new();
        for connection in connections {
            let ends = Ends::of(&page.services, connection.server());
            let services = groups.entry(ends).or_default();
            let (count, _) = services.entry(connection.provider.as_str()).or_insert_with(|| {
                let link = self.revocation_link(connection).filter(|_| ends == Ends::User);
                (0, link)
            });
            *count += 1;
        }
        groups
            .into_iter()
            .map(|(ends, services)| EndsView {
                text: services::ends(page.texts, ends),
                services: services
                    .into_iter()
                    .map(|(id, (count, link))| (self.provider_name(id), count, link))
                    .collect(),
                warns: ends != Ends::Request,
            })
            .collect()
    }
}

/// Groups reports by what the providers said, the worst first.
fn outcomes(page: &Page<'_>, reports: &[RevocationReport]) -> Vec<OutcomeView> {
    let mut groups: Vec<OutcomeView> = Vec::new();
    for report in reports {
        let connection = &report.connection;
        let service = page.gateway.provider_name(connection.provider.as_str());
        let words = words::at_provider(page.texts, &report.at_provider, &service);
        let owner = connection.owner.user();
        let owner = owner.map_or(page.texts.everyone, |user| page.name_of(user));
        let name = format!("{service} · {owner}");
        match groups.iter_mut().find(|group| group.words.short == words.short) {
            Some(group) if group.names.len() < NAMED => group.names.push(name),
            Some(group) => group.more += 1,
            None => groups.push(OutcomeView {
                words,
                names: vec![name],
                more: 0,
            }),
        }
    }
    groups.sort_by_key(|group| group.words.tone == "good");
    groups
}
