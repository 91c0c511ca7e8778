//! Renders the pages. The template library escapes all values; the pages work without script.

mod choice;
mod chooser;
mod detail;
mod list;
mod outcome;
mod revoke;
mod service;
mod together;
mod trail;
mod view;
mod waiting;
pub(super) mod words;

use askama::Template;
use http::{Response, StatusCode};

use super::answer::{self, Answer};
use super::csrf::Csrf;
use super::refusal::Refusal;
use super::request::Incoming;
use super::{Caller, Inner};
use crate::provider::Provider;
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
pub(super) fn notice(name: Option<&str>) -> Option<&'static str> {
    match name? {
        "connected" => Some("Connected. Agents can now act with this account for its owner."),
        "renewed" => Some("Renewed. New tokens are in the vault."),
        "default" => Some("This connection is the default now."),
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
        let shell = Shell::new(self, Some(caller), csrf.token(caller, self.now()));
        // Rendering into a string fails only if a template does, and these do not.
        let html = page(shell).render().map_err(|_| Refusal::internal())?;
        let cookie = csrf.fresh().and_then(|secret| self.cookies().keep_csrf(secret));
        Ok(answer::with_cookie(answer::html(status, html), cookie))
    }

    /// Renders the page for a refused request. It names the caller, if known, and contains no form.
    pub(super) fn refusal_page(&self, refusal: &Refusal, caller: Option<&Caller>) -> Response<Vec<u8>> {
        let title = match refusal.status {
            StatusCode::UNAUTHORIZED => "Sign in first",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::NOT_FOUND => "Nothing here",
            status if status.is_server_error() => "That did not work",
            _ => "That is not right",
        };
        let page = outcome::RefusalPage {
            shell: Shell::new(self, caller, String::new()),
            title,
            text: refusal.text.to_string(),
        };
        answer::html(refusal.status, page.render().unwrap_or_default())
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
