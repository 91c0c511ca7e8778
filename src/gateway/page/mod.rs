//! Renders the pages. The template library escapes all values; the pages work without script.

mod choice;
mod chooser;
mod detail;
mod list;
mod outcome;
mod revoke;
mod service;
pub(super) mod text;
mod together;
mod trail;
mod view;
mod waiting;
pub(super) mod words;

use askama::Template;
use http::{HeaderMap, Response, StatusCode};

use super::answer::{self, Answer};
use super::csrf::Csrf;
use super::refusal::Refusal;
use super::request::Incoming;
use super::{Caller, Inner};
use crate::provider::Provider;
use text::{Language, Texts};
use view::Shell;

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
        _ => None,
    }
}

impl Inner {
    /// Renders a page for a caller, with a CSRF token for its forms.
    fn show<T: Template>(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        status: StatusCode,
        page: impl FnOnce(Shell) -> T,
    ) -> Answer {
        let csrf = Csrf::of(self.cookies(), &incoming.head.headers)?;
        let texts = self.texts(&incoming.head.headers);
        let shell = Shell::new(self, texts, Some(caller), csrf.token(caller, self.now()));
        // Rendering into a string fails only if a template does, and these do not.
        let html = page(shell).render().map_err(|_| Refusal::internal())?;
        let cookie = csrf.fresh().and_then(|secret| self.cookies().keep_csrf(secret));
        Ok(answer::with_cookie(answer::html(status, html), cookie))
    }

    /// Renders the page for a refused request. It names the caller, if known, and contains no form.
    pub(super) fn refusal_page(
        &self,
        headers: &HeaderMap,
        refusal: &Refusal,
        caller: Option<&Caller>,
    ) -> Response<Vec<u8>> {
        let texts = self.texts(headers);
        let title = match refusal.status {
            StatusCode::UNAUTHORIZED => texts.sign_in_first,
            StatusCode::FORBIDDEN => texts.not_allowed,
            StatusCode::NOT_FOUND => texts.not_found,
            status if status.is_server_error() => texts.that_failed,
            _ => texts.not_right,
        };
        let page = outcome::RefusalPage {
            shell: Shell::new(self, texts, caller, String::new()),
            title,
            text: (texts.refusal)(&refusal.said).into_owned(),
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
