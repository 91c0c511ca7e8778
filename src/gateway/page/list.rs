//! The page `GET /`: the connections in reach, filtered, sorted and paged.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded;

use super::base::Page;
use super::people::{PersonView, owners};
use super::search::{Found, Place, Search};
use super::shell::{Shell, Tab};
use super::sorted::{self, Sort};
use super::view::{ConnectionView, Group, groups};
use crate::connections::StatusCounts;
use crate::engine::lists::{ConnectionFilter, Extent};
use crate::error::{Error, Result};
use crate::gateway::answer::Answer;
use crate::gateway::listing::MOST_READ;
use crate::gateway::look::Frame;
use crate::gateway::overview::Overview;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner, api};
use crate::model::{Connection, ConnectionId, Status};

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    shell: Shell,
    /// The path of the list itself, which differs where it is embedded.
    path: String,
    /// The connections whose owner or operator has to act, on the first page without a filter.
    attention: Vec<ConnectionView>,
    attention_count: String,
    attention_more: bool,
    rows: Vec<ConnectionView>,
    filter: Filter,
    /// The user whose connections are listed, if the filter names one.
    user: Option<PersonView>,
    chips: Vec<Chip>,
    providers: Vec<(String, String)>,
    groups: Vec<Group>,
    next: Option<String>,
    first: Option<String>,
    /// True if there are too many connections to sort.
    unsorted: bool,
    /// True if the page ended because it had read enough.
    is_cut: bool,
}

/// A choice of the status, with the number of connections that have it.
struct Chip {
    label: &'static str,
    query: String,
    count: Option<usize>,
    current: bool,
}

impl ListPage {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.attention.is_empty()
    }

    fn operator(&self) -> bool {
        self.shell.operator
    }

    /// Returns the orders to choose from.
    fn sorts(&self) -> Vec<(&'static str, &'static str, bool)> {
        let t = self.shell.t;
        let all = [
            (Sort::Oldest, t.sort_oldest),
            (Sort::Newest, t.sort_newest),
            (Sort::Service, t.service),
            (Sort::User, t.user),
            (Sort::Used, t.sort_used),
        ];
        all.into_iter()
            .filter(|(sort, _)| self.shell.operator || *sort != Sort::User)
            .map(|(sort, label)| (sort.word(), label, sort == self.filter.sort))
            .collect()
    }
}

/// The filter of the list, as the form shows it.
struct Filter {
    text: String,
    user: String,
    provider: String,
    status: String,
    kind: String,
    sort: Sort,
}

impl Filter {
    fn of(incoming: &Incoming<'_>) -> Result<Self, Refusal> {
        let field = |name| incoming.query(name).unwrap_or_default().to_owned();
        let sort = Sort::from_word(incoming.query("sort").unwrap_or_default());
        Ok(Self {
            text: field("q"),
            user: field("user"),
            provider: field("provider"),
            status: field("status"),
            kind: field("kind"),
            sort: sort.ok_or_else(|| Refusal::invalid("Unknown order."))?,
        })
    }

    /// Returns whether the list is limited. An order limits nothing.
    fn is_set(&self) -> bool {
        [&self.text, &self.user, &self.provider, &self.status, &self.kind]
            .iter()
            .any(|field| !field.is_empty())
    }

    /// Returns whether a limit is set that the page shows nowhere else.
    fn is_narrowed(&self) -> bool {
        [&self.text, &self.user, &self.provider]
            .iter()
            .any(|field| !field.is_empty())
    }

    /// Returns the query of the same list from this place on.
    fn query(&self, place: Option<Place>) -> String {
        self.query_of(&self.user, &self.status, place)
    }

    /// Returns the query with the same filters for another user, or for all if `user` is empty.
    fn with_user(&self, user: &str) -> String {
        self.query_of(user, &self.status, None)
    }

    /// Returns the query with the same filters for another status, or for current connections if
    /// `status` is empty.
    fn with_status(&self, status: &str) -> String {
        self.query_of(&self.user, status, None)
    }

    fn query_of(&self, user: &str, status: &str, place: Option<Place>) -> String {
        let (after, others) = match place {
            None => (None, None),
            Some(Place::Named(after)) => (after, None),
            Some(Place::Others(after)) => (None, Some(after)),
        };
        let text = |id: Option<ConnectionId>| id.map(|id| id.to_string()).unwrap_or_default();
        let (after, others) = (text(after), text(others));
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("q", self.text.as_str()),
            ("user", user),
            ("provider", &self.provider),
            ("status", status),
            ("kind", &self.kind),
            ("sort", self.sort.word()),
            ("after", &after),
            ("others", &others),
        ];
        query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

/// The page of a list, and whether it is in the order of the filter.
struct Shown {
    found: Found,
    unsorted: bool,
}

/// Returns the place at which the page begins. In a list without a text, all connections count as
/// named.
fn place(incoming: &Incoming<'_>, wanted: &ConnectionFilter) -> Result<Place, Refusal> {
    let others = incoming.query("others").map(str::parse);
    let others = others.transpose();
    let others = others.map_err(|_| Refusal::invalid("The page is unknown."))?;
    Ok(others.map_or(Place::Named(wanted.after), Place::Others))
}

impl Inner {
    pub(in crate::gateway) fn list_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        frame: Frame,
    ) -> Answer {
        let wanted = api::filter(incoming)?;
        let filter = Filter::of(incoming)?;
        let place = place(incoming, &wanted)?;
        let Shown { found, unsorted } = self.shown(caller, &wanted, &filter, place)?;
        let is_first = place == Place::Named(None);
        let is_start = is_first && !filter.is_set();
        let is_counted = !filter.is_narrowed() && filter.kind.is_empty();
        let overview = match caller.as_operator().filter(|_| is_counted) {
            Some(operator) => self.overviews.count(&self.connections, operator)?,
            None => None,
        };
        let needy = if is_start {
            self.needy(caller, overview.as_ref())?
        } else {
            Vec::new()
        };

        let chosen = wanted.user.iter();
        let users = owners(&found.connections).chain(owners(&needy)).chain(chosen);
        let page = self.page(caller, incoming, users).within(frame);
        let page = page.at(match filter.kind.as_str() {
            "workspace" => Tab::Workspace,
            _ => Tab::Connections,
        });
        let path = self.path(match frame {
            Frame::Page => "/",
            Frame::Embedded => "/embed/connections",
            Frame::Fragment => "/fragments/connections",
        });

        let attention_more = needy.len() > self.page_size;
        let view = |connection| ConnectionView::new(&page, connection);
        let mut attention: Vec<_> = needy.iter().take(self.page_size).map(view).collect();
        attention.retain(ConnectionView::needs_attention);
        let mut rows = Vec::new();
        for row in found.connections.iter().map(view) {
            if attention.iter().any(|other| other.id == row.id) {
                continue;
            }
            if is_start && row.needs_attention() {
                attention.push(row);
            } else {
                rows.push(row);
            }
        }
        let groups = if found.connections.is_empty() && !filter.is_set() {
            groups(&page, "")?
        } else {
            Vec::new()
        };
        let providers = self.connections.providers_for(caller.acting_user().tenant())?;
        let first = (!is_first).then(|| format!("{path}?{}", filter.query(None)));
        let chips = chips(&page, &filter, overview.as_ref());
        let more = if attention_more { "+" } else { "" };
        page.show(StatusCode::OK, |shell| ListPage {
            shell,
            attention_count: format!("{}{more}", attention.len()),
            attention,
            attention_more,
            rows,
            providers: providers
                .iter()
                .map(|it| (it.id().to_string(), it.name().to_owned()))
                .collect(),
            groups,
            next: found
                .next
                .map(|place| format!("{path}?{}", filter.query(Some(place)))),
            first,
            unsorted,
            is_cut: found.is_cut,
            user: wanted.user.as_ref().map(|user| page.person(user)),
            chips,
            filter,
            path,
        })
    }

    /// Returns the connections of one page: in the order of the vault page by page, in every other
    /// order from all that match, if there are not too many to read.
    fn shown(
        &self,
        caller: &Caller,
        wanted: &ConnectionFilter,
        filter: &Filter,
        place: Place,
    ) -> Result<Shown> {
        let size = self.page_size;
        let search = Search::new(self, caller, wanted, &filter.text);
        if filter.sort != Sort::Oldest
            && let Some(all) = sorted::all(self, caller, wanted, search.as_ref(), sorted::MOST)?
        {
            let all = filter.sort.sort(self, caller, all);
            let (connections, more) = sorted::after(all, wanted.after, size);
            let last = connections.last().filter(|_| more);
            return Ok(Shown {
                found: Found {
                    next: last.map(|it| Place::Named(Some(it.id))),
                    connections,
                    is_cut: false,
                },
                unsorted: false,
            });
        }
        let found = match search {
            Some(search) => {
                let extent = Extent {
                    found: size,
                    read: MOST_READ,
                };
                search.page(self, caller, wanted, place, extent)?
            }
            None => {
                let listed = self.listed(caller, wanted, size)?;
                Found {
                    next: listed.next.map(|id| Place::Named(Some(id))),
                    connections: listed.connections,
                    is_cut: listed.is_cut,
                }
            }
        };
        Ok(Shown {
            found,
            unsorted: filter.sort != Sort::Oldest,
        })
    }

    /// Returns the connections that need a consent: one more than a page shows, if there are.
    fn needy(&self, caller: &Caller, overview: Option<&Overview>) -> Result<Vec<Connection>> {
        let most = self.page_size + 1;
        if !caller.is_operator() {
            let filter = ConnectionFilter::default().needs_consent();
            return self.connections.list(caller.principal(), &filter.limit(most));
        }
        let counted = overview.map_or(&[][..], |overview| overview.needy.as_slice());
        let mut needy = Vec::new();
        for id in counted.iter().take(most) {
            match self.connections.get(caller.principal(), *id) {
                // It may have been reconnected or revoked since.
                Ok(connection) if matches!(connection.status, Status::NeedsConsent(_)) => {
                    needy.push(connection)
                }
                Ok(_) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(needy)
    }
}

/// Returns the choices of the status, with the number of connections for each if they were counted.
fn chips(page: &Page<'_>, filter: &Filter, overview: Option<&Overview>) -> Vec<Chip> {
    let counts = overview.map(|overview| overview.counts);
    let t = page.texts;
    let chip = |label, status: &str, count: fn(StatusCounts) -> usize| Chip {
        label,
        query: filter.with_status(status),
        count: counts.map(count),
        current: filter.status == status,
    };
    vec![
        chip(t.current, "", |counts| counts.active + counts.needs_consent),
        chip(t.active, "active", |counts| counts.active),
        chip(t.needs_consent, "needs_consent", |counts| counts.needs_consent),
        chip(t.revoked, "revoked", |counts| counts.revoked),
        chip(t.all, "all", |counts| counts.total()),
    ]
}
