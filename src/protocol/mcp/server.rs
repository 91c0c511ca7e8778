//! Metadata of authorization servers: [RFC 8414](https://www.rfc-editor.org/rfc/rfc8414) and
//! [OpenID Connect Discovery](https://openid.net/specs/openid-connect-discovery-1_0.html).

use serde::Deserialize;
use url::Url;

use crate::model::Scopes;
use crate::protocol::mcp::McpError;
use crate::protocol::mcp::resource::{is_allowed, scopes};
use crate::provider::{ClientAuthentication, Transport};

/// The metadata of an authorization server whose checks all passed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The issuer, byte for byte as it was asked for.
    pub issuer: String,
    /// The endpoint that asks the user for consent.
    pub authorization_endpoint: String,
    /// The endpoint that exchanges codes and refresh tokens.
    pub token_endpoint: String,
    /// The endpoint that registers clients.
    pub registration_endpoint: Option<Url>,
    /// The endpoint that revokes tokens.
    pub revocation_endpoint: Option<String>,
    /// The endpoint that takes authorization requests, if every request must be pushed there
    /// ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)).
    pub required_push_endpoint: Option<String>,
    /// The endpoint that identifies the account.
    pub userinfo_endpoint: Option<String>,
    /// The scopes that the server lists.
    pub scopes: Scopes,
    /// The client authentication to register with, if the server supports one that this crate
    /// does.
    pub authentication: Option<ClientAuthentication>,
    /// True if each authorization response names the issuer
    /// ([RFC 9207](https://www.rfc-editor.org/rfc/rfc9207)).
    pub names_issuer: bool,
    /// True if the URL of a metadata document is accepted as a client id.
    pub accepts_client_documents: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    pushed_authorization_request_endpoint: Option<String>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

/// Returns the places of the metadata of an issuer, in the order in which they are tried.
///
/// # Errors
///
/// [`McpError::NoAuthorizationServer`] if the issuer is not an https URL without query and
/// fragment.
pub fn server_metadata_urls(issuer: &str, transport: Transport) -> Result<Vec<Url>, McpError> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let issuer = Url::parse(issuer).map_err(|_| McpError::NoAuthorizationServer)?;
    if !is_allowed(&issuer, transport) || issuer.query().is_some() {
        return Err(McpError::NoAuthorizationServer);
    }
    let path = issuer.path().trim_end_matches('/');
    let places = if path.is_empty() {
        vec![OAUTH.to_owned(), OPENID.to_owned()]
    } else {
        vec![
            format!("{OAUTH}{path}"),
            format!("{OPENID}{path}"),
            format!("{path}{OPENID}"),
        ]
    };
    let at = |place: String| {
        let mut url = issuer.clone();
        url.set_path(&place);
        url
    };
    Ok(places.into_iter().map(at).collect())
}

/// Reads the metadata of an issuer
/// ([RFC 8414 §3.3](https://www.rfc-editor.org/rfc/rfc8414#section-3.3)).
///
/// # Errors
///
/// [`McpError`] for the first check that fails. Endpoints on another site than that of the issuer
/// are accepted only with `other_hosts`.
pub fn parse_server(
    body: &[u8],
    issuer: &str,
    transport: Transport,
    other_hosts: bool,
) -> Result<ServerMetadata, McpError> {
    let document: Document = serde_json::from_slice(body).map_err(|_| McpError::ServerMetadata)?;
    // Byte for byte: RFC 8414 allows no normalization.
    if document.issuer != issuer {
        return Err(McpError::OtherIssuer);
    }
    let methods = &document.code_challenge_methods_supported;
    if !methods.iter().any(|method| method == "S256") {
        return Err(McpError::NoPkce);
    }
    let home = Url::parse(issuer).map_err(|_| McpError::OtherIssuer)?;
    let check = |endpoint: &str| {
        let url = Url::parse(endpoint).map_err(|_| McpError::Endpoint)?;
        // Templates of descriptors use braces.
        if !is_allowed(&url, transport) || endpoint.contains(['{', '}']) {
            return Err(McpError::Endpoint);
        }
        if !other_hosts && !is_same_site(&home, &url) {
            return Err(McpError::EndpointElsewhere);
        }
        Ok(url)
    };
    let optional = |endpoint: &Option<String>| endpoint.as_deref().map(check).transpose();
    check(&document.authorization_endpoint)?;
    check(&document.token_endpoint)?;
    let revocation = optional(&document.revocation_endpoint)?;
    let userinfo = optional(&document.userinfo_endpoint)?;
    let pushed = if document.require_pushed_authorization_requests {
        let endpoint = document.pushed_authorization_request_endpoint;
        // RFC 9126 §5: a server that requires pushed requests names the endpoint.
        let endpoint = endpoint.ok_or(McpError::ServerMetadata)?;
        check(&endpoint)?;
        Some(endpoint)
    } else {
        None
    };
    Ok(ServerMetadata {
        registration_endpoint: optional(&document.registration_endpoint)?,
        revocation_endpoint: revocation.and(document.revocation_endpoint),
        required_push_endpoint: pushed,
        userinfo_endpoint: userinfo.and(document.userinfo_endpoint),
        issuer: document.issuer,
        authorization_endpoint: document.authorization_endpoint,
        token_endpoint: document.token_endpoint,
        scopes: scopes(&document.scopes_supported),
        authentication: authentication(document.token_endpoint_auth_methods_supported.as_deref()),
        names_issuer: document.authorization_response_iss_parameter_supported,
        accepts_client_documents: document.client_id_metadata_document_supported,
    })
}

/// Returns the client authentication to register with. A server that lists none supports Basic.
fn authentication(listed: Option<&[String]>) -> Option<ClientAuthentication> {
    let Some(listed) = listed else {
        return Some(ClientAuthentication::Basic);
    };
    let has = |method: &str| listed.iter().any(|listed| listed == method);
    let known = [
        // Several servers decode the fields of Basic in their own way, and an official SDK requires
        // `client_id` in the body as well.
        ("client_secret_post", ClientAuthentication::Post),
        ("client_secret_basic", ClientAuthentication::Basic),
        ("none", ClientAuthentication::None),
    ];
    known
        .into_iter()
        .find(|(method, _)| has(method))
        .map(|(_, authentication)| authentication)
}

/// Returns the URL at which a registration is managed
/// ([RFC 7592 §2](https://www.rfc-editor.org/rfc/rfc7592#section-2)), if it is one of the issuer's
/// site.
#[must_use]
pub fn management_url(address: &str, issuer: &str, transport: Transport) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let home = Url::parse(issuer).ok()?;
    (is_allowed(&url, transport) && is_same_site(&home, &url)).then_some(url)
}

/// Returns whether two URLs have the same host, or hosts that share at least their last two labels.
fn is_same_site(one: &Url, other: &Url) -> bool {
    let (Some(one), Some(other)) = (one.domain(), other.domain()) else {
        return one.host() == other.host();
    };
    let site = |host: &str| {
        let labels: Vec<_> = host.rsplit('.').take(2).collect();
        labels.join(".")
    };
    one == other || (one.contains('.') && site(one) == site(other))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://as.example/tenant";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "code_challenge_methods_supported": ["plain", "S256"],
        })
    }

    fn read(document: &Value) -> Result<ServerMetadata, McpError> {
        parse_server(
            document.to_string().as_bytes(),
            ISSUER,
            Transport::HttpsOnly,
            false,
        )
    }

    fn with(name: &str, value: Value) -> Result<ServerMetadata, McpError> {
        let mut changed = document();
        changed[name] = value;
        read(&changed)
    }

    #[test]
    fn places_are_tried_in_the_order_of_the_specification() {
        let places = |issuer: &str| {
            let urls = server_metadata_urls(issuer, Transport::HttpsOnly).unwrap();
            urls.into_iter().map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(
            places("https://as.example/tenant/one"),
            [
                "https://as.example/.well-known/oauth-authorization-server/tenant/one",
                "https://as.example/.well-known/openid-configuration/tenant/one",
                "https://as.example/tenant/one/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            places("https://as.example"),
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration"
            ]
        );
        for issuer in [
            "",
            "as.example",
            "http://as.example",
            "https://as.example?x",
            "https://as.example#x",
            "https://u@as.example",
        ] {
            let found = server_metadata_urls(issuer, Transport::HttpsOnly);
            assert_eq!(found, Err(McpError::NoAuthorizationServer), "{issuer}");
        }
    }

    #[test]
    fn the_issuer_is_compared_byte_for_byte() {
        assert!(read(&document()).is_ok());
        for issuer in [
            "https://as.example/tenant/",
            "https://as.example/Tenant",
            "https://AS.example/tenant",
            "https://as.example:443/tenant",
            "https://evil.example/tenant",
            "",
        ] {
            assert_eq!(
                with("issuer", issuer.into()),
                Err(McpError::OtherIssuer),
                "{issuer}"
            );
        }
    }

    #[test]
    fn a_server_without_pkce_is_refused() {
        for methods in [json!(null), json!([]), json!(["plain"]), json!(["s256"])] {
            let found = with("code_challenge_methods_supported", methods.clone());
            let expected = if methods.is_null() {
                McpError::ServerMetadata
            } else {
                McpError::NoPkce
            };
            assert_eq!(found, Err(expected), "{methods}");
        }
        let mut without = document();
        without
            .as_object_mut()
            .unwrap()
            .remove("code_challenge_methods_supported");
        assert_eq!(read(&without), Err(McpError::NoPkce));
    }

    #[test]
    fn endpoints_are_https_and_of_the_issuers_site() {
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "registration_endpoint",
            "revocation_endpoint",
            "userinfo_endpoint",
        ] {
            for (url, expected) in [
                ("https://as.example/x", None),
                ("https://login.as.example/x", None),
                ("http://as.example/x", Some(McpError::Endpoint)),
                ("http://127.0.0.1/x", Some(McpError::Endpoint)),
                ("javascript:alert(1)", Some(McpError::Endpoint)),
                ("https://as.example/x#y", Some(McpError::Endpoint)),
                ("https://u@as.example/x", Some(McpError::Endpoint)),
                ("https://as.example/{x}", Some(McpError::Endpoint)),
                ("/x", Some(McpError::Endpoint)),
                ("https://evil.test/x", Some(McpError::EndpointElsewhere)),
                (
                    "https://as.example.evil.test/x",
                    Some(McpError::EndpointElsewhere),
                ),
            ] {
                assert_eq!(with(name, url.into()).err(), expected, "{name} {url}");
            }
        }
        let mut other = document();
        other["token_endpoint"] = "https://oauth.test/token".into();
        let body = other.to_string();
        let allowed = parse_server(body.as_bytes(), ISSUER, Transport::HttpsOnly, true);
        assert_eq!(allowed.unwrap().token_endpoint, "https://oauth.test/token");
    }

    #[test]
    fn the_strongest_supported_authentication_is_chosen() {
        for (methods, expected) in [
            (json!(null), Some(ClientAuthentication::Basic)),
            (
                json!(["none", "client_secret_post"]),
                Some(ClientAuthentication::Post),
            ),
            (
                json!(["client_secret_basic", "client_secret_post"]),
                Some(ClientAuthentication::Post),
            ),
            (json!(["client_secret_basic"]), Some(ClientAuthentication::Basic)),
            (json!(["none"]), Some(ClientAuthentication::None)),
            (json!(["tls_client_auth"]), None),
            (json!([]), None),
        ] {
            let found = with("token_endpoint_auth_methods_supported", methods.clone());
            assert_eq!(found.unwrap().authentication, expected, "{methods}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_document_is_read_or_refused(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse_server(&body, ISSUER, Transport::HttpsOnly, false);
        }
    }
}
