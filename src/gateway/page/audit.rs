//! The page `GET /audit`: the audit that the caller may see, with filters, and `GET /audit.csv`.

use askama::Template;
use http::StatusCode;
use url::form_urlencoded;

use super::icon::Icon;
use super::shell::{Shell, Tab};
use super::trail::{Step, user_of};
use crate::gateway::answer::{self, Answer};
use crate::gateway::history::{Found, Wanted};
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner, csv};
use crate::vault::{AuditEntry, AuditKind, AuditOrder};

/// The number of entries on a page.
const SHOWN: usize = 100;

/// The maximum number of entries in a file.
pub(in crate::gateway) const MOST_EXPORTED: usize = 10_000;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    lines: Vec<Line>,
    filter: Filter,
    kinds: Vec<(&'static str, String)>,
    providers: Vec<(String, String)>,
    /// The query of the next page.
    next: Option<String>,
    /// True if this page continues another one.
    continues: bool,
    file: String,
    most: usize,
}

/// An entry, with the connection that it concerns.
struct Line {
    step: Step,
    icon: Option<Icon>,
    provider: String,
    connection: Option<String>,
    /// The owner, unless they acted themselves.
    owner: Option<String>,
}

/// The filter, as the form shows it.
struct Filter {
    user: String,
    provider: String,
    kind: String,
    connection: String,
    since: String,
    until: String,
}

impl Filter {
    fn of(incoming: &Incoming<'_>) -> Self {
        let field = |name| incoming.query(name).unwrap_or_default().to_owned();
        Self {
            user: field("user"),
            provider: field("provider"),
            kind: field("kind"),
            connection: field("connection"),
            since: field("since"),
            until: field("until"),
        }
    }

    fn is_set(&self) -> bool {
        !self.query(None).is_empty()
    }

    fn query(&self, after: Option<u64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let after = after.map(|number| number.to_string()).unwrap_or_default();
        let fields = [
            ("user", &self.user),
            ("provider", &self.provider),
            ("kind", &self.kind),
            ("connection", &self.connection),
            ("since", &self.since),
            ("until", &self.until),
            ("after", &after),
        ];
        query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

/// Returns the number after which a page continues.
fn after(incoming: &Incoming<'_>) -> Result<Option<u64>, Refusal> {
    let after = incoming.query("after").map(str::parse);
    after
        .transpose()
        .map_err(|_| Refusal::invalid("The page is unknown."))
}

impl Inner {
    pub(in crate::gateway) fn audit_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let wanted = Wanted::of(self, caller, incoming)?;
        let after = after(incoming)?;
        let Found { entries, next } =
            self.history(caller, &wanted, (AuditOrder::NewestFirst, after), SHOWN)?;
        let users = entries
            .iter()
            .flat_map(|entry| entry.user.iter().chain(user_of(entry)));
        let page = self
            .page(caller, incoming, users.chain(&wanted.user))
            .at(Tab::Audit);
        let line = |entry: &AuditEntry| {
            let service = entry.provider.as_ref();
            let owner = entry.user.as_ref().filter(|user| user_of(entry) != Some(*user));
            Line {
                icon: service.map(|service| page.icon(service.as_str())),
                provider: service.map_or_else(String::new, |id| self.provider_name(id.as_str())),
                connection: entry.connection.map(|id| id.to_string()),
                owner: owner.map(|user| page.name_of(user).to_owned()),
                step: Step::new(&page, entry.clone()),
            }
        };
        let lines = entries.iter().map(line).collect();
        let filter = Filter::of(incoming);
        let providers = self.connections.providers_for(caller.acting_user().tenant())?;
        page.show(StatusCode::OK, |shell| AuditPage {
            shell,
            lines,
            kinds: AuditKind::ALL
                .into_iter()
                .map(|kind| {
                    (
                        kind.as_str(),
                        (page.texts.audit)(kind, None, page.texts.some_service).0,
                    )
                })
                .collect(),
            providers: providers
                .iter()
                .map(|it| (it.id().to_string(), it.name().to_owned()))
                .collect(),
            next: next.map(|number| filter.query(Some(number))),
            continues: after.is_some(),
            file: filter.query(None),
            filter,
            most: MOST_EXPORTED,
        })
    }

    /// Handles `GET /audit.csv`: the same entries as a file.
    pub(in crate::gateway) fn audit_file(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let wanted = Wanted::of(self, caller, incoming)?;
        let mut entries = Vec::new();
        let mut after = after(incoming)?;
        loop {
            let left = MOST_EXPORTED - entries.len();
            let found = self.history(caller, &wanted, (AuditOrder::NewestFirst, after), left)?;
            entries.extend(found.entries);
            after = found.next;
            if after.is_none() || entries.len() >= MOST_EXPORTED {
                break;
            }
        }
        let file = csv::audit(&entries);
        answer::download("text/csv; charset=utf-8", "audit.csv", file.into_bytes())
    }
}
