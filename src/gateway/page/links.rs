//! The page `GET /links`: open links and consents of all users, which an operator can withdraw.

use askama::Template;
use http::StatusCode;

use super::icon::Icon;
use super::notice;
use super::people::PersonView;
use super::shell::{Moment, Shell, Tab};
use crate::engine::consent::poll::ConsentState;
use crate::error::Error;
use crate::gateway::answer::{self, Answer};
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::model::{ConsentId, Owner, UserId};

/// The maximum number of links on the page.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "links.html")]
struct LinksPage {
    shell: Shell,
    links: Vec<Link>,
    /// The number of all open links.
    count: usize,
    notice: Option<&'static str>,
}

/// An open link or consent.
struct Link {
    id: String,
    provider: String,
    icon: Icon,
    user: PersonView,
    shared: bool,
    label: Option<String>,
    /// True if the user has been sent to the provider.
    opened: bool,
    created: Moment,
    expires: Moment,
}

impl Inner {
    pub(in crate::gateway) fn links_page(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        let operator = caller.as_operator().ok_or_else(Refusal::forbidden)?;
        let mut open = self.connections.all_pending(operator)?;
        let count = open.len();
        // The newest first.
        open.reverse();
        open.truncate(SHOWN);
        let users = open.iter().map(|consent| &consent.user);
        let page = self.page(caller, incoming, users).at(Tab::Links);
        let links = open.iter().map(|consent| Link {
            id: consent.id.to_string(),
            provider: self.provider_name(consent.provider.as_str()),
            icon: page.icon(consent.provider.as_str()),
            user: page.person(&consent.user),
            shared: consent.owner == Owner::Workspace,
            label: consent.label.as_ref().map(ToString::to_string),
            opened: consent.opened,
            created: page.moment(consent.created_at),
            expires: page.moment(consent.expires_at),
        });
        let links = links.collect();
        page.show(StatusCode::OK, |shell| LinksPage {
            shell,
            links,
            count,
            notice: notice(page.texts, incoming.query("done")),
        })
    }

    /// Handles `POST /links/{id}/withdraw`.
    pub(in crate::gateway) fn withdraw_by_form(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        id: &str,
    ) -> Answer {
        let operator = caller.as_operator().ok_or_else(Refusal::forbidden)?;
        let id: ConsentId = id.parse().map_err(|_| Refusal::not_found())?;
        let user = incoming.field("user").ok_or_else(Refusal::not_found)?;
        let user = UserId::new(user).map_err(Error::from)?;
        let done = match self.connections.withdraw(operator, &user, id)? {
            ConsentState::Cancelled => "withdrawn",
            // The user answered, or the link expired, before it was withdrawn.
            _ => "ended",
        };
        answer::see_other(&self.path(&format!("/links?done={done}")))
    }
}
