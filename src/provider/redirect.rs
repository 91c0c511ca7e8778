//! Checks redirect URIs against the rules of an authorization server.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The redirect URIs that an authorization server accepts. `https` is always accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "rules for redirect URIs, written as an object"
)]
pub struct RedirectRules {
    /// The plain-http loopback addresses that it accepts.
    #[serde(deserialize_with = "crate::provider::tagged::deserialize")]
    pub loopback: Loopback,
}

/// The plain-http loopback redirect URIs that a server accepts
/// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loopback {
    /// `127.0.0.1`, `[::1]` and `localhost`.
    #[default]
    Any,
    /// `127.0.0.1` and `[::1]`, not `localhost`.
    IpLiteral,
    /// `localhost` only.
    Localhost,
    /// None: `https` only.
    Refused,
}

/// A reason why a redirect URI is not accepted. Lists the accepted forms, and never repeats the
/// URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedirect {
    /// The URI is not an absolute URL with a host.
    #[error("the redirect URI is not an absolute URL, such as https://agent.example/callback")]
    NotAbsolute,
    /// The URI has a fragment
    /// ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2)).
    #[error("the redirect URI has a fragment; remove it")]
    Fragment,
    /// The URI has a user name or a password.
    #[error("the redirect URI contains a user name; remove it")]
    UserInfo,
    /// The scheme is neither `https` nor `http`, and contains no dot
    /// ([RFC 8252 §7.1](https://www.rfc-editor.org/rfc/rfc8252#section-7.1)): another app could
    /// claim it.
    #[error(
        "the scheme of the redirect URI is not a domain name in reverse order, such as com.example.app:/callback"
    )]
    SchemeWithoutDomain,
    /// The URI has a private-use scheme, but the client has a secret. Only apps on a user's device
    /// have such a scheme, and they cannot keep a secret
    /// ([RFC 8252 §8.5](https://www.rfc-editor.org/rfc/rfc8252#section-8.5)).
    #[error(
        "a redirect URI with a private-use scheme requires a public client; register the client without a secret, or use \
         an https address"
    )]
    SchemeOfConfidentialClient,
    /// The URI is neither https nor a loopback address that this server accepts.
    #[error("the redirect URI is not one that this server accepts; use {0}")]
    NotAccepted(RedirectRules),
}

impl fmt::Display for RedirectRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.loopback {
            Loopback::Any => "https, or http to 127.0.0.1, [::1] or localhost",
            Loopback::IpLiteral => "https, or http to 127.0.0.1 or [::1], not to localhost",
            Loopback::Localhost => "https, or http to localhost, not to an IP address",
            Loopback::Refused => "https only",
        })
    }
}

impl RedirectRules {
    /// Checks a redirect URI
    /// ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2),
    /// [RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
    ///
    /// # Errors
    ///
    /// [`InvalidRedirect`] names what this server accepts.
    pub fn check(&self, redirect_uri: &str) -> Result<(), InvalidRedirect> {
        let url = absolute(redirect_uri)?;
        if has_own_scheme(&url) {
            private_use(&url)?;
            return Err(InvalidRedirect::SchemeOfConfidentialClient);
        }
        let host = url.host().ok_or(InvalidRedirect::NotAbsolute)?;
        if url.fragment().is_some() {
            return Err(InvalidRedirect::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidRedirect::UserInfo);
        }
        let accepted = match (url.scheme(), host) {
            ("https", _) => true,
            ("http", Host::Domain("localhost")) => {
                matches!(self.loopback, Loopback::Any | Loopback::Localhost)
            }
            ("http", Host::Ipv4(address)) => self.takes_ip_literals() && address == Ipv4Addr::LOCALHOST,
            ("http", Host::Ipv6(address)) => self.takes_ip_literals() && address == Ipv6Addr::LOCALHOST,
            _ => false,
        };
        if accepted {
            Ok(())
        } else {
            Err(InvalidRedirect::NotAccepted(*self))
        }
    }

    /// Checks the redirect URI of a public client. In addition to those of [`check`](Self::check),
    /// it may have a private-use scheme: a domain name in reverse order, such as
    /// `com.example.app:/callback`
    /// ([RFC 8252 §7.1](https://www.rfc-editor.org/rfc/rfc8252#section-7.1)).
    ///
    /// # Errors
    ///
    /// [`InvalidRedirect`] names what this server accepts.
    pub fn check_public(&self, redirect_uri: &str) -> Result<(), InvalidRedirect> {
        let url = absolute(redirect_uri)?;
        if has_own_scheme(&url) {
            private_use(&url)
        } else {
            self.check(redirect_uri)
        }
    }

    const fn takes_ip_literals(self) -> bool {
        matches!(self.loopback, Loopback::Any | Loopback::IpLiteral)
    }
}

fn absolute(redirect_uri: &str) -> Result<Url, InvalidRedirect> {
    // The parser drops tabs and line breaks and trims, but the string itself is sent.
    if redirect_uri.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(InvalidRedirect::NotAbsolute);
    }
    Url::parse(redirect_uri).map_err(|_| InvalidRedirect::NotAbsolute)
}

fn has_own_scheme(url: &Url) -> bool {
    !matches!(url.scheme(), "http" | "https")
}

/// Checks a redirect URI with a private-use scheme.
fn private_use(url: &Url) -> Result<(), InvalidRedirect> {
    let labels = url.scheme().split('.');
    if labels.clone().count() < 2 || labels.clone().any(str::is_empty) {
        return Err(InvalidRedirect::SchemeWithoutDomain);
    }
    if url.cannot_be_a_base() {
        return Err(InvalidRedirect::NotAbsolute);
    }
    if url.fragment().is_some() {
        return Err(InvalidRedirect::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidRedirect::UserInfo);
    }
    Ok(())
}

/// Returns the port of a loopback redirect URI, or `None` if it is not one.
pub(crate) fn loopback_port(redirect_uri: &str) -> Option<u16> {
    with_loopback_port(redirect_uri, 0)?;
    absolute(redirect_uri).ok()?.port_or_known_default()
}

/// Returns a loopback redirect URI with this port instead of its own
/// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)), or `None` if it is not
/// one. All other bytes are unchanged, because servers compare the rest as text.
pub(crate) fn with_loopback_port(redirect_uri: &str, port: u16) -> Option<String> {
    let url = absolute(redirect_uri).ok()?;
    let is_loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address == Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => address == Ipv6Addr::LOCALHOST,
    };
    if url.scheme() != "http" || !is_loopback {
        return None;
    }
    let (scheme, rest) = redirect_uri.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    let host = match authority.rfind(']') {
        Some(end) => authority.get(..=end)?,
        None => authority.split(':').next()?,
    };
    Some(format!("{scheme}://{host}:{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_of_its_own_is_for_public_clients_and_has_a_domain() {
        use InvalidRedirect::{
            Fragment, NotAbsolute, SchemeOfConfidentialClient, SchemeWithoutDomain, UserInfo,
        };
        let rules = RedirectRules::default();
        for (uri, public, confidential) in [
            ("com.example.app:/callback", Ok(()), SchemeOfConfidentialClient),
            ("com.example.app:/", Ok(()), SchemeOfConfidentialClient),
            ("com.example.app://callback", Ok(()), SchemeOfConfidentialClient),
            ("com.example.app:callback", Err(NotAbsolute), NotAbsolute),
            ("com.example.app:/cb#f", Err(Fragment), Fragment),
            ("com.example.app://u@host/cb", Err(UserInfo), UserInfo),
            ("myapp:/callback", Err(SchemeWithoutDomain), SchemeWithoutDomain),
            ("com.:/callback", Err(SchemeWithoutDomain), SchemeWithoutDomain),
            (
                "javascript:alert(1)",
                Err(SchemeWithoutDomain),
                SchemeWithoutDomain,
            ),
            (
                "urn:ietf:wg:oauth:2.0:oob",
                Err(SchemeWithoutDomain),
                SchemeWithoutDomain,
            ),
        ] {
            assert_eq!(rules.check_public(uri), public, "{uri}");
            assert_eq!(rules.check(uri), Err(confidential), "{uri}");
        }
        assert_eq!(rules.check_public("https://app.example/cb"), Ok(()));
        assert!(rules.check_public("http://app.example/cb").is_err());
    }

    #[test]
    fn the_port_of_a_loopback_address_alone_is_replaced() {
        for (uri, expected) in [
            ("http://127.0.0.1/cb", Some("http://127.0.0.1:7/cb")),
            (
                "http://127.0.0.1:8080/cb?x=1:2",
                Some("http://127.0.0.1:7/cb?x=1:2"),
            ),
            ("http://127.0.0.1", Some("http://127.0.0.1:7")),
            ("http://[::1]:1/cb", Some("http://[::1]:7/cb")),
            ("http://[::1]", Some("http://[::1]:7")),
            ("http://localhost/", Some("http://localhost:7/")),
            ("https://127.0.0.1/cb", None),
            ("http://127.0.0.2/cb", None),
            ("http://localhost.evil.example/cb", None),
            ("https://app.example/cb", None),
            ("com.example.app:/cb", None),
            ("", None),
        ] {
            assert_eq!(with_loopback_port(uri, 7).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn redirect_uris_by_rule() {
        use Loopback::{Any, IpLiteral, Localhost, Refused};
        for (uri, accepting) in [
            (
                "https://app.example/cb",
                &[Any, IpLiteral, Localhost, Refused][..],
            ),
            (
                "https://app.example/cb?x=1",
                &[Any, IpLiteral, Localhost, Refused],
            ),
            ("https://localhost/cb", &[Any, IpLiteral, Localhost, Refused]),
            ("http://127.0.0.1:0/cb", &[Any, IpLiteral]),
            ("http://[::1]:8080/cb", &[Any, IpLiteral]),
            ("http://localhost:8080/cb", &[Any, Localhost]),
            ("http://app.example/cb", &[]),
            ("http://127.0.0.2/cb", &[]),
            ("http://localhost.evil.example/cb", &[]),
            ("https://app.example/cb#f", &[]),
            ("https://app.example/cb#", &[]),
            ("https://u@app.example/cb", &[]),
            ("https://app.example/c\tb", &[]),
            (" https://app.example/cb", &[]),
            ("/cb", &[]),
            ("app:cb", &[]),
            ("javascript:alert(1)", &[]),
            ("", &[]),
        ] {
            for loopback in [Any, IpLiteral, Localhost, Refused] {
                assert_eq!(
                    RedirectRules { loopback }.check(uri).is_ok(),
                    accepting.contains(&loopback),
                    "{uri:?} {loopback:?}"
                );
            }
        }
    }

    #[test]
    fn the_refusal_says_what_would_do() {
        let rules = RedirectRules {
            loopback: Loopback::IpLiteral,
        };
        let error = rules.check("http://localhost:8080/cb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the redirect URI is not one that this server accepts; use https, or http to 127.0.0.1 or [::1], not to localhost"
        );
    }
}
