//! The place where the gateway is mounted: its public origin and path.

use url::Url;

use crate::model::{InvalidValue, Rule};
use crate::secret::Ticket;

/// The place where the gateway is mounted, as browsers see it.
///
/// ```
/// use valetkey::gateway::Mount;
///
/// let mount = Mount::new("https://agent.example")?.under("/connections")?;
/// assert_eq!(mount.callback_url("google"), "https://agent.example/connections/callback/google");
/// # Ok::<(), valetkey::model::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    origin: String,
    base: String,
    secure: bool,
}

impl Mount {
    /// Returns a mount at the root of this origin, such as `https://agent.example`.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if `origin` is not an `https` origin.
    pub fn new(origin: &str) -> Result<Self, InvalidValue> {
        Self::at(origin)
            .filter(|mount| mount.secure)
            .ok_or_else(|| Rule::Origin.into())
    }

    /// Returns a mount at the root of a plain-http loopback origin, such as
    /// `http://127.0.0.1:8080`.
    ///
    /// # Security
    ///
    /// For demonstrations and tests on one machine. Cookies lose `Secure` and the `__Host-` prefix,
    /// because browsers would not store them without https.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if `origin` is not an origin, or neither `https` nor at a loopback address.
    pub fn dangerous_loopback_http(origin: &str) -> Result<Self, InvalidValue> {
        Self::at(origin).ok_or_else(|| Rule::Origin.into())
    }

    fn at(origin: &str) -> Option<Self> {
        let url = Url::parse(origin).ok()?;
        let secure = url.scheme() == "https";
        let loopback =
            url.scheme() == "http" && matches!(url.host_str()?, "127.0.0.1" | "[::1]" | "localhost");
        let canonical = url.origin().ascii_serialization();
        // Compared as text: anything but a bare origin is longer.
        let bare = origin.strip_suffix('/').unwrap_or(origin) == canonical;
        ((secure || loopback) && bare).then_some(Self {
            origin: canonical,
            base: String::new(),
            secure,
        })
    }

    /// Moves the mount to this path, such as `/connections`.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] unless the path begins with `/` and its segments consist of letters,
    /// digits, `-`, `_`, `.` and `~`.
    pub fn under(mut self, path: &str) -> Result<Self, InvalidValue> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
        };
        let fits = path.is_empty()
            || path
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(plain));
        if !fits {
            return Err(Rule::BasePath.into());
        }
        path.clone_into(&mut self.base);
        Ok(self)
    }

    /// Returns the redirect URI to register at an authorization server and to pass to
    /// [`ClientRegistration`](crate::provider::ClientRegistration). Each server has its own.
    #[must_use]
    pub fn callback_url(&self, server: &str) -> String {
        let encoded: String = url::form_urlencoded::byte_serialize(server.as_bytes()).collect();
        // Form encoding writes a space as `+`, which is a literal plus in a path.
        format!(
            "{}{}/callback/{}",
            self.origin,
            self.base,
            encoded.replace('+', "%20")
        )
    }

    /// Returns the one-time link for a [prepared](crate::ConnectionManager::prepare) consent, which
    /// an agent shows in its chat.
    ///
    /// # Security
    ///
    /// Only the user it was made for can use the link. Still, do not show it to anyone else.
    #[must_use]
    pub fn connect_url(&self, ticket: &Ticket) -> String {
        format!("{}{}/connect/{}", self.origin, self.base, ticket.expose_secret())
    }

    /// Returns the origin, without a trailing slash.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the base path: empty, or with a leading and without a trailing slash.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base
    }

    /// Returns whether the origin is `https`.
    pub(super) const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the path within the gateway, with a leading slash, if `path` is below the mount.
    pub(super) fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.base.as_str())?;
        match rest {
            "" => Some("/"),
            _ => rest.starts_with('/').then_some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_an_origin_and_nothing_more() {
        for (origin, fits) in [
            ("https://agent.example", true),
            ("https://agent.example/", true),
            ("https://agent.example:8443", true),
            ("http://agent.example", false),
            ("http://127.0.0.1:8080", false),
            ("https://agent.example/x", false),
            ("https://agent.example?x", false),
            ("https://u@agent.example", false),
            ("https://AGENT.example", false),
            ("javascript:alert(1)", false),
            ("", false),
        ] {
            assert_eq!(Mount::new(origin).is_ok(), fits, "{origin}");
        }
        assert!(Mount::dangerous_loopback_http("http://127.0.0.1:8080").is_ok());
        assert!(Mount::dangerous_loopback_http("http://127.0.0.1.evil.test").is_err());
    }

    #[test]
    fn the_base_path_is_plain_and_whole() {
        let mount = || Mount::new("https://agent.example").unwrap();
        for path in ["connections", "//evil.test", "/a/../b", "/a b", "/a?b", "/a\r\nb"] {
            assert_eq!(mount().under(path), Err(Rule::BasePath.into()), "{path}");
        }
        let under = mount().under("/c/").unwrap();
        assert_eq!(under.base_path(), "/c");
        assert_eq!(under.strip("/c"), Some("/"));
        assert_eq!(under.strip("/c/v1/providers"), Some("/v1/providers"));
        assert_eq!(under.strip("/connections"), None);
        assert_eq!(mount().under("/").unwrap().base_path(), "");
        assert_eq!(
            mount().callback_url("a b/c"),
            "https://agent.example/callback/a%20b%2Fc"
        );
    }
}
