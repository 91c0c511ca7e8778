//! Renders the pages. The template library escapes all values; the pages work without script.

mod actions;
mod audit;
mod base;
mod choice;
mod chooser;
mod detail;
mod field;
pub(super) mod for_whom;
mod hue;
mod icon;
mod links;
mod list;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(not(feature = "mcp"))]
#[path = "no_mcp.rs"]
mod mcp;
mod outcome;
mod people;
mod revoke;
mod revoke_all;
mod search;
mod service;
mod services;
mod shell;
mod sorted;
pub(super) mod text;
mod together;
mod trail;
mod view;
mod waiting;
pub(super) mod words;

use askama::Template;
use http::{HeaderMap, Response, StatusCode};

use super::answer::{self, Answer};
use super::refusal::{Refusal, Said};
use super::{Caller, Inner};
use crate::provider::Provider;
use people::People;
use shell::Shell;
use text::{Language, Texts};

pub(super) use outcome::{link_expired, link_refused};

/// Answers `GET /assets/{name}`: the style sheet, the script and the icon, for all callers.
pub(super) fn asset(name: &str) -> Answer {
    match name {
        "gateway.css" => Ok(answer::asset(
            "text/css; charset=utf-8",
            include_str!("../assets/gateway.css"),
        )),
        "gateway.js" => Ok(answer::asset(
            "text/javascript; charset=utf-8",
            include_str!("../assets/gateway.js"),
        )),
        "icons.svg" => Ok(answer::asset(
            "image/svg+xml",
            include_str!("../assets/icons.svg"),
        )),
        "icon.svg" => Ok(answer::asset("image/svg+xml", include_str!("../assets/icon.svg"))),
        _ => Err(Refusal::not_found()),
    }
}

/// Returns the text of a notice. The address carries only its name.
fn notice(texts: &Texts, name: Option<&str>) -> Option<&'static str> {
    match name? {
        "connected" => Some(texts.done_connected),
        "renewed" => Some(texts.done_refreshed),
        "default" => Some(texts.done_default),
        "withdrawn" => Some(texts.done_withdrawn),
        "ended" => Some(texts.done_ended),
        _ => None,
    }
}

impl Inner {
    /// Renders the page for a refused request. It names the caller, if known, and contains no form.
    pub(super) fn refusal_page(
        &self,
        headers: &HeaderMap,
        refusal: &Refusal,
        caller: Option<&Caller>,
        switch: Option<String>,
    ) -> Response<Vec<u8>> {
        let texts = self.texts(headers);
        let title = match refusal.status {
            _ if matches!(refusal.said, Said::LinkRefused) => texts.link_refused,
            _ if matches!(refusal.said, Said::LinkExpired) => texts.link_expired,
            StatusCode::UNAUTHORIZED => texts.sign_in_first,
            StatusCode::FORBIDDEN => texts.not_allowed,
            StatusCode::NOT_FOUND => texts.not_found,
            status if status.is_server_error() => texts.that_failed,
            _ => texts.not_right,
        };
        let mut shell = Shell::new(self, texts, String::new());
        if let Some(caller) = caller {
            let user = caller.acting_user().user();
            shell.who = Some(People::of(self, caller, []).view(self, user));
            shell.operator = caller.is_operator();
        }
        let page = outcome::RefusalPage {
            shell,
            title,
            text: (texts.refusal)(&refusal.said).into_owned(),
            switch,
        };
        answer::html(refusal.status, page.render().unwrap_or_default())
    }

    /// Returns the texts in the host's language, or else in the browser's.
    fn texts(&self, headers: &HeaderMap) -> &'static Texts {
        self.language
            .unwrap_or_else(|| Language::preferred(headers))
            .texts()
    }

    pub(super) fn provider_name(&self, id: &str) -> String {
        self.provider(id)
            .map_or_else(|| id.to_owned(), |it| it.name().to_owned())
    }

    fn provider(&self, id: &str) -> Option<&Provider> {
        let service = self.connections.registry().provider(id)?;
        Some(service.provider.as_provider())
    }
}
