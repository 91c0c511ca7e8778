//! Failures of HTTP requests.

/// A reason why a request has no complete response. Contains neither URL nor body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server's name could not be resolved. The request was not sent.
    #[error("the server's name could not be resolved")]
    UnknownHost,
    /// None of the server's addresses could be reached. The request was not sent.
    #[error("the server could not be reached")]
    Connect,
    /// The proxy refused the connection. The request was not sent.
    #[error("the proxy refused the connection")]
    Proxy,
    /// The server does not support TLS, or no version that the client supports. The request was not
    /// sent.
    #[error("no TLS connection to the server could be established")]
    Tls,
    /// The server's certificate is not trusted: its root is unknown, it has expired, or it is for
    /// another name. The request was not sent. `UreqClient::roots` adds the root of a private
    /// certificate authority.
    #[error("the server's certificate is not trusted; add a private root with UreqClient::roots")]
    Untrusted,
    /// The client refused to send the request: plain `http`, or a URL without a host.
    #[error("the HTTP client refused the request: plain http, or a URL without a host; use https")]
    Refused,
    /// The request is [only for public
    /// addresses](crate::http::HttpRequest::to_public_addresses_only), and the server's host is an
    /// IP address, an internal name, or a name that resolves to an address which is not public. The
    /// request was not sent.
    /// [`ConnectionsBuilder::dangerous_private_addresses`](crate::connections::ConnectionsBuilder::dangerous_private_addresses)
    /// allows such servers.
    #[error(
        "the server's address is not public; use a public server, or allow private ones with \
         ConnectionsBuilder::dangerous_private_addresses"
    )]
    PrivateAddress,
    /// The server sent no complete response in time. It may have processed the request.
    #[error("the server did not answer in time")]
    Timeout,
    /// The connection broke after the request was sent. The server may have processed it.
    #[error("the connection broke before the answer was complete")]
    Interrupted,
    /// The body of the response is larger than
    /// [`max_response_bytes`](crate::http::HttpRequest::max_response_bytes). The server has
    /// processed the request.
    #[error("the answer is larger than the request allows")]
    TooLarge,
    /// The response has more or larger headers than the client reads. The server has processed the
    /// request.
    #[error("the answer has more headers than the client reads")]
    HeadTooLarge,
    /// The response is not valid HTTP. The server may have processed the request.
    #[error("the answer is not valid HTTP")]
    Protocol,
}
