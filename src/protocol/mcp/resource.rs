//! Protected resource metadata
//! ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)) and the URI of a resource
//! ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).

use serde::Deserialize;
use url::Url;

use crate::http::{is_clean, is_loopback};
use crate::model::{Scope, Scopes};
use crate::protocol::mcp::McpError;
use crate::provider::Transport;

/// The largest number of authorization servers and of scopes that are considered.
const MOST: usize = 64;

/// The metadata of a protected resource.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// The resource that tokens are requested for, as the metadata write it.
    pub resource: String,
    /// The issuers of its authorization servers, in the order of the metadata.
    pub authorization_servers: Vec<String>,
    /// The scopes that the metadata list.
    pub scopes: Scopes,
}

#[derive(Deserialize)]
struct Document {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Returns the canonical URI of the MCP server at a URL: lower-case scheme and host, no default
/// port, no slash at the end.
///
/// # Errors
///
/// [`McpError::Url`] if it is not https, or has a user, a query or a fragment.
pub fn canonical_resource(text: &str, transport: Transport) -> Result<Url, McpError> {
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
        return Err(McpError::Url);
    }
    let mut url = Url::parse(text).map_err(|_| McpError::Url)?;
    if !is_allowed(&url, transport) || url.query().is_some() {
        return Err(McpError::Url);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Returns whether the transport allows requests to this URL.
pub(super) fn is_allowed(url: &Url, transport: Transport) -> bool {
    is_clean(url)
        && match transport {
            Transport::HttpsOnly => url.scheme() == "https",
            Transport::HttpsOrLoopback => url.scheme() == "https" || is_loopback(url),
        }
}

/// Returns a canonical URI as text: without a slash at the end.
#[must_use]
pub fn canonical_text(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Returns the places of the metadata of the server at this URL, in the order in which they are
/// tried: with the path of the server, then at the root.
#[must_use]
pub fn resource_metadata_urls(server: &Url) -> Vec<Url> {
    const PLACE: &str = "/.well-known/oauth-protected-resource";
    let path = server.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut url = server.clone();
        url.set_path(path);
        url
    };
    let mut urls = vec![at(&format!("{PLACE}{path}"))];
    if !path.is_empty() {
        urls.push(at(PLACE));
    }
    urls
}

/// Reads the metadata of the server at this URL
/// ([RFC 9728 §3.3](https://www.rfc-editor.org/rfc/rfc9728#section-3.3)).
///
/// # Errors
///
/// [`McpError::ResourceMetadata`] if they cannot be read; [`McpError::OtherResource`] if they are
/// those of another resource; [`McpError::NoAuthorizationServer`] if they name none.
pub fn parse_resource(body: &[u8], server: &Url) -> Result<Resource, McpError> {
    let document: Document = serde_json::from_slice(body).map_err(|_| McpError::ResourceMetadata)?;
    if !covers(&document.resource, server) {
        return Err(McpError::OtherResource);
    }
    let mut authorization_servers = document.authorization_servers;
    authorization_servers.truncate(MOST);
    if authorization_servers.is_empty() {
        return Err(McpError::NoAuthorizationServer);
    }
    Ok(Resource {
        resource: document.resource,
        authorization_servers,
        scopes: scopes(&document.scopes_supported),
    })
}

/// Returns whether a resource is the server at this URL, or contains it: a server may describe all
/// paths of its origin, or those below one of them, as one resource.
fn covers(resource: &str, server: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else {
        return false;
    };
    let base = resource.path().trim_end_matches('/');
    let below = server.path().strip_prefix(base);
    is_clean(&resource)
        && resource.query().is_none()
        && resource.origin() == server.origin()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the scopes in a list. Other text is omitted.
pub(super) fn scopes(list: &[String]) -> Scopes {
    let mut scopes = Scopes::default();
    for scope in list.iter().take(MOST) {
        if let Ok(scope) = Scope::new(scope.as_str()) {
            scopes.insert(scope);
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_resource_has_one_canonical_uri() {
        for (text, canonical) in [
            ("https://mcp.example/mcp", "https://mcp.example/mcp"),
            ("HTTPS://MCP.Example:443/mcp/", "https://mcp.example/mcp"),
            ("https://mcp.example", "https://mcp.example"),
            ("https://mcp.example/", "https://mcp.example"),
            ("https://mcp.example:8443/a/../b", "https://mcp.example:8443/b"),
        ] {
            let found = canonical_resource(text, Transport::HttpsOnly).unwrap();
            assert_eq!(canonical_text(&found), canonical, "{text}");
        }
        for text in [
            "",
            "mcp.example/mcp",
            "http://mcp.example/mcp",
            "http://127.0.0.1:1/mcp",
            "https://mcp.example/mcp?tenant=1",
            "https://mcp.example/mcp#part",
            "https://user@mcp.example/mcp",
            "https://user:word@mcp.example/mcp",
            "https://mcp.example./mcp",
            "https://mcp.example/a b",
            "https:\\\\mcp.example\\mcp",
            "ftp://mcp.example/mcp",
            "javascript:alert(1)",
        ] {
            let found = canonical_resource(text, Transport::HttpsOnly);
            assert_eq!(found, Err(McpError::Url), "{text}");
        }
        assert!(canonical_resource("http://127.0.0.1:1/mcp", Transport::HttpsOrLoopback).is_ok());
        assert!(canonical_resource("http://mcp.example/mcp", Transport::HttpsOrLoopback).is_err());
    }

    #[test]
    fn metadata_are_looked_for_with_the_path_and_then_at_the_root() {
        let places = |server: &str| {
            let urls = resource_metadata_urls(&url(server));
            urls.into_iter().map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(
            places("https://mcp.example/a/b"),
            [
                "https://mcp.example/.well-known/oauth-protected-resource/a/b",
                "https://mcp.example/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            places("https://mcp.example/"),
            ["https://mcp.example/.well-known/oauth-protected-resource"]
        );
    }

    #[test]
    fn the_resource_is_the_server_or_contains_it() {
        let server = url("https://mcp.example/a/mcp");
        for (resource, expected) in [
            ("https://mcp.example/a/mcp", true),
            ("https://mcp.example/a/mcp/", true),
            ("https://mcp.example/a", true),
            ("https://mcp.example", true),
            ("https://mcp.example/a/m", false),
            ("https://mcp.example/a/mcp/more", false),
            ("https://mcp.example/b", false),
            ("https://other.example/a/mcp", false),
            ("https://mcp.example:8443/a/mcp", false),
            ("http://mcp.example/a/mcp", false),
            ("https://mcp.example/a/mcp?x=1", false),
            ("https://mcp.example/a/mcp#x", false),
            ("https://mcp.example@evil.example/a/mcp", false),
            ("mcp", false),
        ] {
            assert_eq!(covers(resource, &server), expected, "{resource}");
        }
    }

    #[test]
    fn metadata_are_read_and_their_faults_named() {
        let server = url("https://mcp.example/mcp");
        let read = |document: &str| parse_resource(document.as_bytes(), &server);
        let found = read(
            r#"{"resource": "https://mcp.example/mcp", "authorization_servers": ["https://as.example", "https://b.example"],
                "scopes_supported": ["mcp.read", "not a scope", ""], "resource_name": "x", "other": {}}"#,
        )
        .unwrap();
        assert_eq!(
            found.authorization_servers,
            ["https://as.example", "https://b.example"]
        );
        assert_eq!(found.scopes.to_string(), "mcp.read");
        for (document, problem) in [
            ("", McpError::ResourceMetadata),
            ("<html>", McpError::ResourceMetadata),
            ("[]", McpError::ResourceMetadata),
            ("{}", McpError::ResourceMetadata),
            (r#"{"resource": 1}"#, McpError::ResourceMetadata),
            (
                r#"{"resource": "https://mcp.example/mcp"}"#,
                McpError::NoAuthorizationServer,
            ),
            (
                r#"{"resource": "https://mcp.example/mcp", "authorization_servers": []}"#,
                McpError::NoAuthorizationServer,
            ),
            (
                r#"{"resource": "https://evil.example/mcp", "authorization_servers": ["https://as.example"]}"#,
                McpError::OtherResource,
            ),
        ] {
            assert_eq!(read(document), Err(problem), "{document}");
        }
    }
}
