//! The mistakes of MCP servers and of their authorization servers.

/// A reason why an MCP server cannot be connected by its URL. Nothing was stored.
///
/// No variant contains text that a server wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// The URL is not that of an MCP server: it must be `https`, and have neither a user nor a
    /// query nor a fragment.
    #[error("the URL of an MCP server is https, without user, query and fragment")]
    Url,
    /// The connections were built without an [`McpClient`](crate::connections::McpClient).
    #[error("no MCP client is described; call ConnectionsBuilder::mcp")]
    NoClientDescription,
    /// The server answered a request without a token with success, so it needs no connection.
    #[error("the MCP server answers without authorization; call it directly")]
    NoAuthorization,
    /// The server did not answer like an MCP server that requires authorization: its status is not
    /// 401.
    #[error("the server does not ask for authorization as an MCP server does; check the URL")]
    NotAnMcpServer,
    /// The server names no metadata, and there is none at the well-known places.
    #[error("the MCP server publishes no protected resource metadata (RFC 9728)")]
    NoResourceMetadata,
    /// The metadata are not a JSON document with the required members.
    #[error("the protected resource metadata cannot be read (RFC 9728)")]
    ResourceMetadata,
    /// The metadata describe another resource than the one at this URL.
    #[error("the protected resource metadata describe another resource")]
    OtherResource,
    /// The metadata name no authorization server, or not the one that the host chose.
    #[error("the MCP server does not name this authorization server")]
    NoAuthorizationServer,
    /// The authorization server publishes no metadata at any of the well-known places.
    #[error("the authorization server publishes no metadata (RFC 8414 or OpenID Connect)")]
    NoServerMetadata,
    /// The metadata of the authorization server are not a JSON document with the required members.
    #[error("the metadata of the authorization server cannot be read (RFC 8414)")]
    ServerMetadata,
    /// The metadata of the authorization server have another issuer than the one that was asked.
    #[error("the metadata of the authorization server have another issuer")]
    OtherIssuer,
    /// An endpoint of the authorization server is not an https URL.
    #[error("an endpoint of the authorization server is not an https URL")]
    Endpoint,
    /// An endpoint is on a host of another site than the issuer.
    /// [`McpOptions::endpoints_on_other_hosts`](crate::connections::McpOptions::endpoints_on_other_hosts)
    /// allows it.
    #[error("an endpoint of the authorization server is on a host of another site than the issuer")]
    EndpointElsewhere,
    /// The authorization server does not say that it supports PKCE with `S256`.
    #[error("the authorization server does not support PKCE with S256")]
    NoPkce,
    /// The authorization server supports no client authentication that this crate does.
    #[error("the authorization server supports no client authentication that this crate does")]
    ClientAuthentication,
    /// The authorization server registers no clients. Register one there by hand and pass it with
    /// [`McpOptions::client`](crate::connections::McpOptions::client).
    #[error(
        "the authorization server registers no clients; register one by hand and pass it with McpOptions::client"
    )]
    RegistrationRequired,
    /// The authorization server refused to register the client.
    #[error("the authorization server refused to register the client")]
    RegistrationRefused,
    /// The authorization server refused to register this redirect URI.
    #[error("the authorization server refused to register the redirect URI")]
    RedirectUriRefused,
    /// The answer to the registration is not a client that can be used.
    #[error("the answer of the authorization server to the registration cannot be read (RFC 7591)")]
    Registration,
    /// A document is larger than 64 KiB.
    #[error("a document of the server is too large")]
    TooLarge,
    /// A server answered with a redirect. Redirects of metadata and registrations are not followed.
    #[error("a server answered with a redirect, which is not followed")]
    Redirected,
    /// A URL that a server named, or the name in it, leads to an address that is not public.
    #[error("an address of the server is not public")]
    PrivateAddress,
}

impl McpError {
    /// Returns the kind as one lower-case word, for storage and display.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::NoClientDescription => "no_client_description",
            Self::NoAuthorization => "no_authorization",
            Self::NotAnMcpServer => "not_an_mcp_server",
            Self::NoResourceMetadata => "no_resource_metadata",
            Self::ResourceMetadata => "resource_metadata",
            Self::OtherResource => "other_resource",
            Self::NoAuthorizationServer => "no_authorization_server",
            Self::NoServerMetadata => "no_server_metadata",
            Self::ServerMetadata => "server_metadata",
            Self::OtherIssuer => "other_issuer",
            Self::Endpoint => "endpoint",
            Self::EndpointElsewhere => "endpoint_elsewhere",
            Self::NoPkce => "no_pkce",
            Self::ClientAuthentication => "client_authentication",
            Self::RegistrationRequired => "registration_required",
            Self::RegistrationRefused => "registration_refused",
            Self::RedirectUriRefused => "redirect_uri_refused",
            Self::Registration => "registration",
            Self::TooLarge => "too_large",
            Self::Redirected => "redirected",
            Self::PrivateAddress => "private_address",
        }
    }
}
