//! The seam to the network: one synchronous function from request to response.

mod address;
mod body;
mod error;
mod request;
#[cfg(feature = "ureq")]
mod ureq;

pub(crate) use address::{is_clean, is_loopback};
pub use body::Body;
pub use error::HttpError;
pub use request::{HttpRequest, HttpResponse};

#[cfg(feature = "ureq")]
pub use self::ureq::UreqClient;

/// Sends one request and reads its answer.
///
/// # Contract
///
/// * One call is one request on the wire: no redirect is followed and nothing is tried again. A
///   refresh token may be good for a single use.
/// * Every answer that can be read is `Ok`, whatever its status; [`HttpError`] means that there was
///   none.
/// * The call ends within [`HttpRequest::timeout`], the whole body included, and never reads more
///   than [`HttpRequest::max_response_bytes`], if that is set; no single wait for the network is
///   longer than [`HttpRequest::idle_timeout`].
/// * The request's body is sent whether it is [in memory](Body::as_bytes) or a
///   [reader](Body::into_reader), with its [length](Body::length) as the `Content-Length`. A reader
///   that fails breaks the request off.
/// * An answer without that limit may be given as a reader: then the call ends with the head, and
///   the body is read afterwards within the same [`timeout`](HttpRequest::timeout). A reader ends
///   in an error if the connection breaks, never as if the body had ended.
/// * Only `https` is spoken, unless whoever built the client allowed plain `http` to loopback
///   addresses.
/// * Nothing of the request is logged: its headers and body hold secrets.
///
/// Closures of the same shape are clients too.
pub trait HttpClient: Send + Sync + 'static {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if there is no complete answer. It says whether the request may have reached
    /// the server: [`UnknownHost`](HttpError::UnknownHost), [`Connect`](HttpError::Connect),
    /// [`Proxy`](HttpError::Proxy), [`Tls`](HttpError::Tls), [`Untrusted`](HttpError::Untrusted)
    /// and [`Refused`](HttpError::Refused) may be used only where not one byte of it was sent.
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
