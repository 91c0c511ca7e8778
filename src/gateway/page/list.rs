//! The page `GET /`: the connections in reach, filtered and paged by key.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded;

use super::view::{ConnectionView, Group, Shell, groups};
use crate::engine::lists::ConnectionFilter;
use crate::error::Result;
use crate::gateway::answer::Answer;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner, api};
use crate::model::{Connection, UserId};

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    shell: Shell,
    /// The connections whose owner or operator has to act, on the first page without a filter.
    attention: Vec<ConnectionView>,
    attention_count: String,
    attention_more: bool,
    rows: Vec<ConnectionView>,
    filter: Filter,
    providers: Vec<(String, String)>,
    groups: Vec<Group>,
    next: Option<String>,
    first: Option<String>,
}

impl ListPage {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.attention.is_empty()
    }
}

/// The filter of the list, as the form shows it.
struct Filter {
    text: String,
    user: String,
    provider: String,
    status: String,
}

impl Filter {
    fn of(incoming: &Incoming<'_>) -> Self {
        let field = |name| incoming.query(name).unwrap_or_default().to_owned();
        Self {
            text: field("q"),
            user: field("user"),
            provider: field("provider"),
            status: field("status"),
        }
    }

    fn is_set(&self) -> bool {
        [&self.text, &self.user, &self.provider, &self.status]
            .iter()
            .any(|field| !field.is_empty())
    }

    /// Returns the query of the same list, after this connection.
    fn query(&self, after: Option<&str>) -> String {
        self.query_of(&self.user, after)
    }

    /// Returns the query with the same filters for another user, or for all if `user` is empty.
    fn with_user(&self, user: &str) -> String {
        self.query_of(user, None)
    }

    fn query_of(&self, user: &str, after: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("q", self.text.as_str()),
            ("user", user),
            ("provider", &self.provider),
            ("status", &self.status),
            ("after", after.unwrap_or_default()),
        ];
        query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

impl Inner {
    pub(in crate::gateway) fn list_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let wanted = api::filter(incoming)?;
        let filter = Filter::of(incoming);
        let mut found = self.search(caller, wanted.clone(), &filter.text, self.page_size + 1)?;
        // One connection more than fits indicates another page.
        let more = found.len() > self.page_size;
        found.truncate(self.page_size);
        let last = found.last().map(|connection| connection.id.to_string());
        let next = more.then(|| self.path(&format!("/?{}", filter.query(last.as_deref()))));
        let first = wanted
            .after
            .map(|_| self.path(&format!("/?{}", filter.query(None))));
        let is_start = wanted.after.is_none() && !filter.is_set();
        let now = self.now();
        let texts = self.texts(&incoming.head.headers);
        let providers = self.connections.providers_for(caller.acting_user().tenant())?;
        let groups = if found.is_empty() && !filter.is_set() {
            groups(self, texts, caller, &filter.user)?
        } else {
            Vec::new()
        };
        let view = |connection: &Connection| ConnectionView::new(self, texts, caller, connection, now);
        let needy = if is_start {
            let filter = ConnectionFilter::default().needs_consent();
            let limit = self.page_size + 1;
            self.connections.list(caller.principal(), &filter.limit(limit))?
        } else {
            Vec::new()
        };
        let attention_more = needy.len() > self.page_size;
        let mut attention: Vec<_> = needy.iter().take(self.page_size).map(view).collect();
        attention.retain(|row| row.managed);
        let mut rows = Vec::new();
        for row in found.iter().map(view) {
            if attention.iter().any(|other| other.id == row.id) {
                continue;
            }
            if is_start && row.managed && row.wants_consent() {
                attention.push(row);
            } else {
                rows.push(row);
            }
        }
        let more = if attention_more { "+" } else { "" };
        self.show(caller, incoming, StatusCode::OK, |shell| ListPage {
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
            next,
            first,
            filter,
        })
    }

    /// Returns the connections that contain the text, reading page by page until there are enough.
    fn search(
        &self,
        caller: &Caller,
        mut filter: ConnectionFilter,
        text: &str,
        enough: usize,
    ) -> Result<Vec<Connection>> {
        let text = text.trim().to_lowercase();
        if text.is_empty() {
            return self.connections.list(caller.principal(), &filter.limit(enough));
        }
        let size = 500;
        filter.limit = Some(size);
        let mut found = Vec::new();
        loop {
            let page = self.connections.list(caller.principal(), &filter)?;
            filter.after = page.last().map(|connection| connection.id);
            let read = page.len();
            found.extend(page.into_iter().filter(|it| self.bears(it, &text)));
            if found.len() >= enough || read < size {
                found.truncate(enough);
                return Ok(found);
            }
        }
    }

    /// Returns whether a row of the list contains the text.
    fn bears(&self, connection: &Connection, text: &str) -> bool {
        let account = connection.account.as_ref();
        let name = self.provider_name(connection.provider.as_str());
        [
            Some(name.as_str()),
            Some(connection.provider.as_str()),
            connection.owner.user().map(UserId::as_str),
            connection.label.as_ref().map(AsRef::as_ref),
            account.map(|account| account.id.as_str()),
            account.and_then(|account| account.email.as_deref()),
            account.and_then(|account| account.label.as_deref()),
        ]
        .into_iter()
        .flatten()
        .any(|field| field.to_lowercase().contains(text))
    }
}
