//! The page `GET /consents/{id}` while a consent is being completed.

use askama::Template;
use http::StatusCode;

use super::shell::Shell;
use crate::gateway::answer::Answer;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};
use crate::vault::PendingConsent;

#[derive(Template)]
#[template(path = "waiting.html")]
struct WaitingPage {
    shell: Shell,
    name: String,
    address: String,
}

impl Inner {
    /// Renders a page that reloads itself until the consent has ended.
    pub(in crate::gateway) fn waiting_page(
        &self,
        caller: &Caller,
        incoming: &Incoming<'_>,
        pending: &PendingConsent,
    ) -> Answer {
        self.page(caller, incoming, [])
            .show(StatusCode::OK, |shell| WaitingPage {
                shell,
                name: self.provider_name(pending.provider.as_str()),
                address: self.path(&format!("/consents/{}", pending.id)),
            })
    }
}
