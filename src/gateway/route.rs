//! Maps paths to routes and routes to methods.

use http::Method;

use super::look::Frame;

/// The route of a request. Ids and tickets are not checked yet; each handler checks its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    List(Frame),
    Connect,
    /// The choice of a service, outside its own page.
    Chooser(Frame),
    /// The address of an MCP server.
    Mcp,
    Links,
    Withdraw(String),
    Services,
    RevokeAll,
    Audit,
    AuditFile,
    Ticket(String),
    Callback(String),
    Outcome(String),
    Consent(String),
    Choice,
    One(String),
    Refresh(String),
    Default(String),
    Revoke(String),
    Asset(String),
    Health,
    ClientDocument,
    Token,
    Session,
    Providers,
    ApiList,
    ApiOne(String),
    ApiRefresh(String),
    ApiDefault(String),
    ApiConsents,
    ApiConsent(String),
    ApiAudit,
    ApiPeople,
    ApiRevocation,
    OpenApi,
}

impl Route {
    /// Returns the route of a path within the gateway.
    pub(super) fn of(path: &str) -> Option<Self> {
        let segments: Vec<String> = path
            .strip_prefix('/')?
            .split('/')
            .map(decode)
            .collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match segments[..] {
            [""] => Self::List(Frame::Page),
            ["embed", "connections"] => Self::List(Frame::Embedded),
            ["embed", "connect"] => Self::Chooser(Frame::Embedded),
            ["fragments", "connections"] => Self::List(Frame::Fragment),
            ["fragments", "connect"] => Self::Chooser(Frame::Fragment),
            ["mcp"] => Self::Mcp,
            ["links"] => Self::Links,
            ["links", id, "withdraw"] => Self::Withdraw(id.into()),
            ["services"] => Self::Services,
            ["revoke"] => Self::RevokeAll,
            ["audit"] => Self::Audit,
            ["audit.csv"] => Self::AuditFile,
            ["connect"] => Self::Connect,
            // Hosts and chats sometimes append a slash, which must not invalidate a code or a
            // ticket.
            ["connect", ""] => Self::Connect,
            ["connect", ticket] | ["connect", ticket, ""] => Self::Ticket(ticket.into()),
            ["callback", server] | ["callback", server, ""] => Self::Callback(server.into()),
            ["consent", "choose"] => Self::Choice,
            ["consent", word] => Self::Outcome(word.into()),
            ["consents", id] => Self::Consent(id.into()),
            ["connections", id] => Self::One(id.into()),
            ["connections", id, "refresh"] => Self::Refresh(id.into()),
            ["connections", id, "default"] => Self::Default(id.into()),
            ["connections", id, "revoke"] => Self::Revoke(id.into()),
            ["assets", name] => Self::Asset(name.into()),
            ["healthz"] => Self::Health,
            ["oauth", "client.json"] => Self::ClientDocument,
            ["v1", "oauth", "token"] => Self::Token,
            ["v1", "session"] => Self::Session,
            ["v1", "providers"] => Self::Providers,
            ["v1", "connections"] => Self::ApiList,
            ["v1", "connections", id] => Self::ApiOne(id.into()),
            ["v1", "connections", id, "refresh"] => Self::ApiRefresh(id.into()),
            ["v1", "connections", id, "default"] => Self::ApiDefault(id.into()),
            ["v1", "consents"] => Self::ApiConsents,
            ["v1", "consents", id] => Self::ApiConsent(id.into()),
            ["v1", "audit"] => Self::ApiAudit,
            ["v1", "people"] => Self::ApiPeople,
            ["v1", "revocation"] => Self::ApiRevocation,
            ["v1", "openapi.json"] => Self::OpenApi,
            _ => return None,
        })
    }

    pub(super) const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Connect | Self::Mcp | Self::Revoke(_) | Self::RevokeAll | Self::ApiRevocation => {
                &[Method::GET, Method::HEAD, Method::POST]
            }
            Self::Refresh(_)
            | Self::Default(_)
            | Self::Withdraw(_)
            | Self::Token
            | Self::ApiRefresh(_)
            | Self::ApiDefault(_) => &[Method::POST],
            Self::ApiConsent(_) => &[Method::DELETE],
            Self::ApiOne(_) => &[Method::GET, Method::HEAD, Method::DELETE],
            // A HEAD, which only programs send, would begin or end a consent.
            Self::Ticket(_) | Self::Callback(_) => &[Method::GET],
            _ => &[Method::GET, Method::HEAD],
        }
    }

    /// Returns whether a GET begins or ends a consent.
    pub(super) const fn is_once(&self) -> bool {
        matches!(self, Self::Ticket(_) | Self::Callback(_))
    }
}

/// Decodes a path segment. Returns `None` if the result is not UTF-8 or the encoding was malformed
/// or not the shortest: another spelling of a path must not bypass a proxy's rule for it.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        let decoded = u8::try_from(high * 16 + low).ok()?;
        if decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded) {
            return None;
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_after_they_are_split() {
        assert_eq!(
            Route::of("/callback/a%2Fb%20c"),
            Some(Route::Callback("a/b c".into()))
        );
        assert_eq!(Route::of("/v1%2Fproviders"), None);
        assert_eq!(Route::of("/callback/%"), None);
        assert_eq!(Route::of("/callback/%zz"), None);
        assert_eq!(Route::of("/callback/%ff"), None);
        assert_eq!(Route::of("/v1/providers/"), None);
        assert_eq!(Route::of("v1/providers"), None);
        assert_eq!(Route::of("/callback/x/"), Some(Route::Callback("x".into())));
        assert_eq!(Route::of("/callback/x//"), None);
        assert_eq!(Route::of("/connect/x/"), Some(Route::Ticket("x".into())));
        assert_eq!(Route::of("/connect/"), Some(Route::Connect));
        assert_eq!(Route::of("/"), Some(Route::List(Frame::Page)));
    }

    #[test]
    fn a_path_has_one_spelling() {
        for byte in 0_u8..=255 {
            let encoded = format!("/callback/x%{byte:02x}");
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert_eq!(
                Route::of(&encoded).is_some(),
                !plain && byte.is_ascii(),
                "{encoded}"
            );
        }
        for path in [
            "/%76%31/connections",
            "/v1/%63onnections",
            "/%63onnect",
            "/connections/%31",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
