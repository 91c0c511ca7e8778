//! Why a request has no answer.

/// Why there is no answer. Holds neither URL nor body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The name of the server cannot be resolved. The request was not sent.
    #[error("the name of the server cannot be resolved")]
    UnknownHost,
    /// No address of the server can be reached. The request was not sent.
    #[error("the server cannot be reached")]
    Connect,
    /// The proxy refuses the connection. The request was not sent.
    #[error("the proxy refuses the connection")]
    Proxy,
    /// The server does not speak TLS, or not in a version that the client speaks. The request was
    /// not sent.
    #[error("no secure connection to the server can be made")]
    Tls,
    /// The certificate of the server is not trusted: its root is not known, it has expired, or it
    /// is for another name. The request was not sent. `UreqClient::roots` adds the root of a
    /// company's own authority.
    #[error("the certificate of the server is not trusted")]
    Untrusted,
    /// The client refused to send it: plain `http`, or a URL without a host.
    #[error("the request is not allowed by the HTTP client")]
    Refused,
    /// No complete answer in time. The server may have acted.
    #[error("the server did not answer in time")]
    Timeout,
    /// The connection broke after the request was sent. The server may have acted.
    #[error("the connection broke before the answer was complete")]
    Interrupted,
    /// The body of the answer is larger than
    /// [`max_response_bytes`](crate::http::HttpRequest::max_response_bytes). The server has acted.
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// The answer has more headers, or larger ones, than the client reads. The server has acted.
    #[error("the answer has more headers than the client reads")]
    HeadTooLarge,
    /// What came back is not HTTP. The server may have acted.
    #[error("the answer is not valid HTTP")]
    Protocol,
}
