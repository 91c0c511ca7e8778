//! Which redirect URIs an authorization server accepts.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Which redirect URIs an authorization server accepts. `https` is always accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        default,
        deny_unknown_fields,
        expecting = "rules for redirect URIs, written as an object"
    )
)]
pub struct RedirectRules {
    /// Which plain-http loopback addresses it accepts.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "crate::provider::tagged::deserialize")
    )]
    pub loopback: Loopback,
}

/// Which plain-http loopback redirect URIs a server accepts
/// ([RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
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

/// Why a redirect URI is not accepted. Says what would be; never repeats the URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedirect {
    /// It is not an absolute URL with a host.
    #[error("the redirect URI is not an absolute URL")]
    NotAbsolute,
    /// It has a fragment ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2)).
    #[error("the redirect URI has a fragment")]
    Fragment,
    /// It has a user name or a password.
    #[error("the redirect URI has a user name in it")]
    UserInfo,
    /// Neither https nor a loopback address that this server takes.
    #[error("the redirect URI is not one that this server accepts: {0}")]
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
    /// Checks a redirect URI ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2),
    /// [RFC 8252 §7.3](https://www.rfc-editor.org/rfc/rfc8252#section-7.3)).
    ///
    /// # Errors
    ///
    /// [`InvalidRedirect`] says what this server accepts.
    pub fn check(&self, redirect_uri: &str) -> Result<(), InvalidRedirect> {
        // The parser drops tabs and line breaks and trims; what is sent is the string itself.
        if redirect_uri.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(InvalidRedirect::NotAbsolute);
        }
        let url = Url::parse(redirect_uri).map_err(|_| InvalidRedirect::NotAbsolute)?;
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

    const fn takes_ip_literals(self) -> bool {
        matches!(self.loopback, Loopback::Any | Loopback::IpLiteral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "the redirect URI is not one that this server accepts: https, or http to 127.0.0.1 or [::1], not to localhost"
        );
    }
}
