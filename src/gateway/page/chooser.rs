//! The page `GET /connect`, where a service and its owner are chosen, and the pages that follow it.

use askama::Template;
use http::{Response, StatusCode};

use super::for_whom::ForWhom;
use super::people::PersonView;
use super::shell::{Shell, Tab};
use super::view::{Group, groups};
use crate::engine::consent::link::PreparedConsent;
use crate::engine::consent::options::Consent;
use crate::gateway::answer::Answer;
use crate::gateway::look::Frame;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner, time};
use crate::model::ActingUser;

#[derive(Template)]
#[template(path = "connect.html")]
struct ChooserPage {
    shell: Shell,
    groups: Vec<Group>,
    form: ForWhom,
    offers_mcp: bool,
}

/// The page between a form and the provider. The content security policy lets a form lead to the
/// gateway alone, but a page may lead on.
#[derive(Template)]
#[template(path = "departure.html")]
struct DeparturePage {
    shell: Shell,
    provider: String,
    host: String,
    address: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    shell: Shell,
    user: PersonView,
    link: String,
    text: String,
}

impl Inner {
    pub(in crate::gateway) fn chooser_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        frame: Frame,
    ) -> Answer {
        if incoming.query("provider").is_some() || incoming.query("reconnect").is_some() {
            return self.service_page(caller, incoming, frame);
        }
        let form = ForWhom::asked(self, caller, incoming);
        let page = self.page(caller, incoming, []).within(frame);
        let groups = groups(&page, &form.user)?;
        let offers_mcp = self.offers_mcp() && frame == Frame::Page;
        page.show(StatusCode::OK, |shell| ChooserPage {
            shell,
            groups,
            form,
            offers_mcp,
        })
    }

    pub(in crate::gateway) fn departure_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        provider: &str,
        consent: &Consent,
    ) -> Result<Response<Vec<u8>>, Refusal> {
        let url = consent.authorization_url();
        let page = self.page(caller, incoming, []);
        page.show(StatusCode::OK, |shell| DeparturePage {
            shell,
            provider: provider.to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            address: url.to_string(),
        })
    }

    pub(in crate::gateway) fn link_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        link: &str,
        prepared: &PreparedConsent,
        person: &ActingUser,
    ) -> Answer {
        let page = self.page(caller, incoming, [person.user()]).at(Tab::Links);
        let texts = page.texts;
        let expires = page.moment(prepared.expires_at());
        let lasts = time::span(texts, prepared.expires_at().saturating_since(page.now));
        let provider = self.provider_name(prepared.provider().as_str());
        let user = page.person(person.user());
        page.show(StatusCode::CREATED, |shell| LinkPage {
            shell,
            text: (texts.link_text)(&user.name, &provider, &lasts, &expires.full),
            user,
            link: link.to_owned(),
        })
    }
}
