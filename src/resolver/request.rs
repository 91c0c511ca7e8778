//! Checks which requests may carry a user's token, by their method and headers.

use http::Method;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;

use crate::error::{RequestRefused, Result};
use crate::provider::ProviderDescriptor;
use crate::resolver::access::Access;

/// Methods that no service API needs. `CONNECT` asks a proxy for a tunnel, `TRACE` and IIS's
/// `TRACK` echo the request including the token, and `PRI` starts an HTTP/2 connection.
const METHODS: [&str; 4] = ["CONNECT", "TRACE", "TRACK", "PRI"];

/// Headers that belong to one connection or delimit the message. The HTTP client writes its own;
/// `Host` is derived from the checked address.
const CLIENTS: [HeaderName; 7] = [
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    EXPECT,
];

/// Further such headers, for which the crate `http` has no constant.
const OTHER_CLIENTS: [&str; 5] = [
    "keep-alive",
    "proxy-connection",
    "http2-settings",
    "proxy-authenticate",
    "proxy-authentication-info",
];

/// Headers that make a server or proxy use another method, path or host than those that were
/// checked.
const OVERRIDES: [&str; 14] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-rewrite-url",
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-host",
    "forwarded",
];

/// Headers that carry a credential or the name of a user.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// Further such headers, for which the crate `http` has no constant.
const OTHER_CREDENTIALS: [&str; 13] = [
    "cookie2",
    "private-token",
    "job-token",
    "deploy-token",
    "sudo",
    "x-token",
    "x-remote-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-authenticated-user",
    "x-impersonate-user",
    "dropbox-api-select-user",
    "dropbox-api-select-admin",
];

/// Suffixes and prefixes of names of headers that carry credentials.
const CREDENTIAL_ENDS: [&str; 10] = [
    "api-key",
    "apikey",
    "api-token",
    "auth-token",
    "auth-key",
    "access-token",
    "security-token",
    "authorization",
    "authorization-token",
    "client-secret",
];
const IMPERSONATION: &str = "impersonate-";

/// Rejects methods that must not carry a token.
pub(super) fn check_method(method: &Method) -> Result<(), RequestRefused> {
    let refused = METHODS
        .iter()
        .any(|name| method.as_str().eq_ignore_ascii_case(name));
    if refused {
        return Err(RequestRefused::Method);
    }
    Ok(())
}

/// Rejects headers that change the identity or the destination of a request. Headers that a
/// descriptor sends to its API are allowed, and the request may choose their value.
pub(super) fn check_headers<'a>(
    headers: &HeaderMap,
    providers: impl IntoIterator<Item = &'a ProviderDescriptor>,
) -> Result<(), RequestRefused> {
    let described: Vec<&str> = providers
        .into_iter()
        .flat_map(|provider| provider.api_headers.keys().map(String::as_str))
        .collect();
    for name in headers.keys() {
        if described
            .iter()
            .any(|described| name.as_str().eq_ignore_ascii_case(described))
        {
            continue;
        }
        if is_credential(name) {
            return Err(RequestRefused::ForeignCredentials);
        }
        if OVERRIDES.contains(&name.as_str()) {
            return Err(RequestRefused::Override);
        }
    }
    Ok(())
}

/// Returns whether the header carries a credential or the name of a user.
fn is_credential(name: &HeaderName) -> bool {
    let text = name.as_str();
    CREDENTIALS.contains(name)
        || OTHER_CREDENTIALS.contains(&text)
        || CREDENTIAL_ENDS.iter().any(|end| text.ends_with(end))
        || text.starts_with(IMPERSONATION)
}

/// Rejects a request that must not carry a token of this provider, before a token is looked up.
pub(super) fn check_request(access: &Access<'_>, parts: &Parts) -> Result<()> {
    check_method(&parts.method)?;
    let service = access
        .cx()
        .entry(access.acting_user.tenant(), &access.options.provider)?;
    let provider = service
        .as_ref()
        .map(|service| -> &ProviderDescriptor { &service.provider });
    Ok(check_headers(&parts.headers, provider)?)
}

/// Removes the headers that the HTTP client writes, and those that `Connection` names.
pub(super) fn remove_clients_headers(headers: &mut HeaderMap) {
    let of_the_connection: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in of_the_connection.iter().chain(&CLIENTS).chain([&CONNECTION]) {
        headers.remove(name);
    }
    for name in OTHER_CLIENTS {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Result<(), RequestRefused> {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            "x".parse().unwrap(),
        );
        check_headers(&headers, None)
    }

    #[test]
    fn credentials_and_overrides_are_refused_and_ordinary_headers_pass() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "Cookie2",
            "PRIVATE-TOKEN",
            "JOB-TOKEN",
            "Sudo",
            "X-Api-Key",
            "X-Goog-Api-Key",
            "apikey",
            "Ocp-Apim-Api-Key",
            "X-Auth-Token",
            "X-Shopify-Access-Token",
            "X-Amz-Security-Token",
            "X-Goog-IAM-Authorization-Token",
            "X-Forwarded-Authorization",
            "Impersonate-User",
        ] {
            assert_eq!(named(name), Err(RequestRefused::ForeignCredentials), "{name}");
        }
        for name in OVERRIDES {
            assert_eq!(named(name), Err(RequestRefused::Override), "{name}");
        }
        for name in [
            "Accept",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "X-Goog-User-Project",
            "X-Csrf-Token",
            "Notion-Version",
            "Client-Id",
            "Depth",
            "Destination",
            "Overwrite",
            "Prefer",
            "Range",
        ] {
            assert_eq!(named(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn methods_of_extensions_pass_and_those_that_reach_beyond_the_api_do_not() {
        for method in [
            "GET",
            "QUERY",
            "PROPFIND",
            "REPORT",
            "MKCALENDAR",
            "PURGE",
            "BASELINE-CONTROL",
        ] {
            assert_eq!(check_method(&method.parse().unwrap()), Ok(()), "{method}");
        }
        for method in ["CONNECT", "TRACE", "TRACK", "PRI", "connect", "Trace"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(check_method(&method), Err(RequestRefused::Method), "{method}");
        }
    }

    #[test]
    fn headers_of_the_connection_are_removed_with_those_that_it_names() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-hop"),
            ("connection", "TE"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "h2c"),
            ("http2-settings", "AA"),
            ("expect", "100-continue"),
            ("transfer-encoding", "chunked"),
            ("content-length", "7"),
            ("host", "elsewhere.test"),
            ("x-hop", "1"),
            ("accept", "*/*"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        remove_clients_headers(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["accept"]);
    }
}
