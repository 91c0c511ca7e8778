//! The frame of every page: the head, the tabs, and the place where it is shown.

use super::people::PersonView;
use super::text::Texts;
use crate::gateway::look::Frame;
use crate::gateway::{Inner, time};
use crate::model::Timestamp;

/// The frame of every page.
pub(super) struct Shell {
    pub(super) t: &'static Texts,
    pub(super) base: String,
    pub(super) title: String,
    /// The signed-in user.
    pub(super) who: Option<PersonView>,
    pub(super) operator: bool,
    /// The current tab of the operator's pages.
    pub(super) tab: Option<Tab>,
    pub(super) frame: Frame,
    pub(super) csrf: String,
    pub(super) account_link: Option<(String, String)>,
    pub(super) stylesheet: Option<String>,
    /// Markup of the host.
    pub(super) head: Option<String>,
    pub(super) logo: Option<String>,
    pub(super) version: &'static str,
}

/// A tab of the operator's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Connections,
    Workspace,
    Links,
    Services,
    Audit,
}

impl Shell {
    pub(super) fn new(gateway: &Inner, texts: &'static Texts, csrf: String) -> Self {
        let look = &gateway.look;
        Self {
            t: texts,
            base: gateway.mount.base_path().to_owned(),
            title: gateway.title.clone().unwrap_or_else(|| texts.connections.into()),
            who: None,
            operator: false,
            tab: None,
            frame: Frame::Page,
            csrf,
            account_link: gateway.account_link.clone(),
            stylesheet: look
                .stylesheet
                .as_deref()
                .and_then(|address| look.loadable(address))
                .map(str::to_owned),
            head: look.head.clone(),
            logo: look
                .logo
                .as_deref()
                .and_then(|address| look.loadable(address))
                .map(str::to_owned),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Returns whether the markup is a complete document.
    pub(super) fn is_document(&self) -> bool {
        self.frame != Frame::Fragment
    }

    /// Returns whether the page has the head with the host's title.
    pub(super) fn has_top(&self) -> bool {
        self.frame == Frame::Page
    }

    pub(super) fn is_embedded(&self) -> bool {
        self.frame == Frame::Embedded
    }

    /// Returns the tabs of the operator's pages: label, path, and whether it is the current one.
    pub(super) fn tabs(&self) -> [(&'static str, &'static str, bool); 5] {
        let t = self.t;
        [
            (t.connections, "/", Tab::Connections),
            (t.workspace_connections, "/?kind=workspace", Tab::Workspace),
            (t.open_links, "/links", Tab::Links),
            (t.services, "/services", Tab::Services),
            (t.audit_log, "/audit", Tab::Audit),
        ]
        .map(|(label, path, tab)| (label, path, self.tab == Some(tab)))
    }
}

/// A point in time: for machines, relative, and in full.
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) ago: String,
    pub(super) full: String,
}

impl Moment {
    pub(super) fn new(texts: &Texts, at: Timestamp, now: Timestamp) -> Self {
        Self {
            iso: time::rfc3339(at),
            ago: time::ago(texts, at, now),
            full: time::full(texts, at),
        }
    }
}
