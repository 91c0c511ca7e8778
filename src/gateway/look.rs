//! The appearance that the host chooses: style sheet, logos, and who may show the pages in a frame.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use super::address::{is_address, origin_of};

/// Returns the address of the logo of a service.
pub(super) type Logos = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The appearance of the pages.
#[derive(Clone, Default)]
pub(super) struct Look {
    /// The address of the host's style sheet, which follows the gateway's own.
    pub(super) stylesheet: Option<String>,
    /// Markup of the host for the head of each page.
    pub(super) head: Option<String>,
    /// The address of the host's own logo.
    pub(super) logo: Option<String>,
    /// The logos of services.
    pub(super) logos: Option<Logos>,
    /// The origins from which pictures, style sheets and fonts may come.
    resources: Vec<String>,
    /// The origins whose pages may show the gateway in a frame.
    ancestors: Vec<String>,
}

/// The place where a response is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// The whole window of a browser.
    Page,
    /// A page without a head, in a frame of the host's page.
    Embedded,
    /// Markup that the host puts into its own page.
    Fragment,
}

impl Frame {
    /// Returns the place where the response to a path within the gateway is shown.
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with("/embed/") {
            Self::Embedded
        } else if path.starts_with("/fragments/") {
            Self::Fragment
        } else {
            Self::Page
        }
    }
}

impl Look {
    pub(super) fn allow_resources(&mut self, origin: String) {
        self.resources.push(origin);
    }

    pub(super) fn allow_ancestor(&mut self, origin: String) {
        self.ancestors.push(origin);
    }

    /// Returns whether pages of another origin may show the gateway.
    pub(super) const fn is_framed(&self) -> bool {
        !self.ancestors.is_empty()
    }

    /// Returns an address if the policy lets a browser load it: a path of this origin, or a URL at
    /// an origin that the host named.
    pub(super) fn loadable<'a>(&self, address: &'a str) -> Option<&'a str> {
        if !is_address(address) {
            return None;
        }
        let allowed = address.starts_with('/')
            || origin_of(address).is_some_and(|origin| self.resources.contains(&origin));
        allowed.then_some(address)
    }

    /// Returns the content security policy of a response.
    ///
    /// It allows no inline resources, and no foreign ones except from the origins that the host
    /// named. Forms are submitted to the gateway alone. Browsers apply `form-action` to the
    /// redirect after a form as well, so the gateway never redirects a form to a provider: it
    /// answers with a page that leads on.
    pub(super) fn policy(&self, frame: Frame) -> Option<HeaderValue> {
        let from: String = self.resources.iter().map(|origin| format!(" {origin}")).collect();
        let ancestors = match frame {
            Frame::Embedded if self.is_framed() => self.ancestors.join(" "),
            _ => "'none'".into(),
        };
        let policy = format!(
            "default-src 'none'; style-src 'self'{from}; font-src 'self'{from}; img-src 'self'{from}; \
             script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors {ancestors}"
        );
        // Origins are ASCII, so the conversion does not fail.
        HeaderValue::from_str(&policy).ok()
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look")
            .field("resources", &self.resources)
            .field("ancestors", &self.ancestors)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_the_origins_of_the_host_and_nothing_else() {
        let mut look = Look::default();
        let text = |look: &Look, frame| look.policy(frame).unwrap().to_str().unwrap().to_owned();
        let closed = text(&look, Frame::Page);
        assert!(closed.contains("img-src 'self';") && closed.ends_with("frame-ancestors 'none'"));
        assert_eq!(text(&look, Frame::Embedded), closed, "no origin was named");
        look.allow_resources("https://cdn.example".into());
        look.allow_ancestor("https://app.example".into());
        assert!(text(&look, Frame::Page).contains("img-src 'self' https://cdn.example;"));
        assert!(text(&look, Frame::Page).ends_with("frame-ancestors 'none'"));
        assert!(text(&look, Frame::Embedded).ends_with("frame-ancestors https://app.example"));
        for (address, loads) in [
            ("/avatars/1", true),
            ("https://cdn.example/1.png", true),
            ("https://CDN.example/1.png", true),
            ("https://cdn.example.evil.test/1.png", false),
            ("https://other.example/1.png", false),
            ("//cdn.example/1.png", false),
            ("data:image/png;base64,x", false),
            ("", false),
        ] {
            assert_eq!(look.loadable(address).is_some(), loads, "{address}");
        }
    }
}
