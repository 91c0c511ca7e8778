//! The seam to the network: one synchronous function from request to response.

mod address;
mod body;
mod request;
#[cfg(feature = "ureq")]
mod ureq;

pub(crate) use address::{is_clean, is_loopback};
pub use body::{Body, TooLarge};
pub use request::{Delivery, HttpRequest, HttpResponse};

#[cfg(feature = "ureq")]
pub use self::ureq::{InvalidHttpClient, UreqClient, UreqClientBuilder};

/// Sends one request and reads its answer.
///
/// # Contract
///
/// * One call is one request on the wire: no redirect is followed and nothing is tried again. A refresh
///   token may be good for a single use.
/// * Every answer that can be read is `Ok`, whatever its status; [`HttpError`] means that there was none.
/// * The call ends within [`HttpRequest::timeout`], the whole body included, and never reads more than
///   [`HttpRequest::max_response_bytes`]; no single wait for the network is longer than
///   [`HttpRequest::idle_timeout`].
/// * The request's body is sent whether it is [in memory](Body::as_bytes) or a [reader](Body::into_reader), with its
///   [length](Body::length) as the `Content-Length`. A reader that fails breaks the request off.
/// * An answer that is wanted [as a reader](Delivery::Streamed) may be given as one: then the call ends with the head, the
///   body is read afterwards within the same [`timeout`](HttpRequest::timeout), and its size has no bound. A reader ends
///   in an error if the connection breaks, never as if the body had ended.
/// * Only `https` is spoken, unless whoever built the client allowed plain `http` to loopback addresses.
/// * Nothing of the request is logged: its headers and body hold secrets.
///
/// Closures of the same shape are clients too.
pub trait HttpClient: Send + Sync + 'static {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if there is no complete answer. Its kind says whether the request may have reached the server:
    /// [`UnknownHost`](HttpErrorKind::UnknownHost), [`Connect`](HttpErrorKind::Connect), [`Proxy`](HttpErrorKind::Proxy),
    /// [`Tls`](HttpErrorKind::Tls), [`Untrusted`](HttpErrorKind::Untrusted) and [`Refused`](HttpErrorKind::Refused) may be
    /// used only where not one byte of it was sent.
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError>;
}

impl<F> HttpClient for F
where
    F: Fn(HttpRequest) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
{
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self(request)
    }
}

/// Why there is no answer. Holds neither URL nor body.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}")]
pub struct HttpError {
    /// What went wrong.
    pub kind: HttpErrorKind,
}

impl HttpError {
    /// An error of this kind.
    #[must_use]
    pub const fn new(kind: HttpErrorKind) -> Self {
        Self { kind }
    }
}

impl From<HttpErrorKind> for HttpError {
    fn from(kind: HttpErrorKind) -> Self {
        Self::new(kind)
    }
}

/// What went wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The name of the server cannot be resolved. The request was not sent.
    #[error("the name of the server cannot be resolved")]
    UnknownHost,
    /// No address of the server can be reached. The request was not sent.
    #[error("the server cannot be reached")]
    Connect,
    /// The proxy refuses the connection. The request was not sent.
    #[error("the proxy refuses the connection")]
    Proxy,
    /// The server does not speak TLS, or not in a version that the client speaks. The request was not sent.
    #[error("no secure connection to the server can be made")]
    Tls,
    /// The certificate of the server is not trusted: its root is not known, it has expired, or it is for another name. The
    /// request was not sent. `UreqClientBuilder::roots` adds the root of a company's own authority.
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
    /// The body of the answer is larger than [`HttpRequest::max_response_bytes`]. The server has acted.
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// The answer has more headers, or larger ones, than the client reads. The server has acted.
    #[error("the answer has more headers than the client reads")]
    HeadTooLarge,
    /// What came back is not HTTP. The server may have acted.
    #[error("the answer is not valid HTTP")]
    Protocol,
}
