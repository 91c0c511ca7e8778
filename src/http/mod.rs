//! Sends HTTP requests: one synchronous function from request to response.
//!
//! # Examples
//!
//! ```
//! use valetkey::http::{HttpClient, HttpRequest, HttpResponse};
//!
//! let client = |request: HttpRequest| Ok(HttpResponse::new(http::StatusCode::OK, request.url.path()));
//! let request = HttpRequest::new(http::Method::GET, "https://api.example/v1".parse()?);
//! assert_eq!(client.send(request)?.body.as_bytes(), b"/v1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod body;
mod error;
mod guard;
pub(crate) mod internal_host;
#[cfg(feature = "ureq")]
mod public_address;
mod request;
#[cfg(feature = "ureq")]
mod ureq;

pub(crate) use address::{is_clean, is_loopback};
pub use body::Body;
pub use error::HttpError;
pub(crate) use guard::{Guard, PrivateAddresses};
pub use request::{HttpRequest, HttpResponse};

#[cfg(feature = "ureq")]
pub use self::ureq::UreqClient;

/// Sends one request and reads its response.
///
/// # Contract
///
/// * One call sends one request: the client follows no redirect and retries nothing. A refresh
///   token may be valid for a single use.
/// * Every readable response is `Ok`, whatever its status. [`HttpError`] means that there was no
///   complete response.
/// * The call, including the whole body, ends within [`HttpRequest::timeout`]. It reads at most
///   [`HttpRequest::max_response_bytes`], if that is set, and waits for the network at most
///   [`HttpRequest::idle_timeout`] at a time.
/// * The client sends the request's body whether it is [in memory](Body::as_bytes) or a
///   [reader](Body::into_reader), with its [length](Body::length) as the `Content-Length`. If the
///   reader fails, the client aborts the request.
/// * If the request sets no size limit, the client may return the response's body as a reader: the
///   call then ends after the head, and the body is read within the same
///   [`timeout`](HttpRequest::timeout). If the connection breaks, the reader returns an error,
///   never the end of the body.
/// * The client uses only `https`, unless it was built to allow plain `http` to loopback addresses.
/// * The client sends a request that is
///   [only for public addresses](HttpRequest::is_to_public_addresses_only) to no other address, and
///   reports [`HttpError::PrivateAddress`] if the name has any other. It resolves the name once and
///   connects to an address that it checked: the name may resolve to another address the next time.
/// * The client logs nothing of the request: its headers and body contain secrets.
///
/// Closures with the same signature are clients too.
///
/// # Examples
///
/// ```
/// use valetkey::http::{HttpError, HttpRequest, HttpResponse};
/// use valetkey::vault::SealedVault;
/// use valetkey::{Connections, Error};
///
/// // A client for tests: every request fails.
/// let offline = |_: HttpRequest| -> Result<HttpResponse, HttpError> { Err(HttpError::Connect) };
/// let connections = Connections::builder(SealedVault::in_memory()).http_client(offline).build()?;
/// assert!(connections.providers().is_empty(), "no client is registered yet");
/// # Ok::<(), Error>(())
/// ```
pub trait HttpClient: Send + Sync + 'static {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if there is no complete response. The variant says whether the request may
    /// have reached the server: [`UnknownHost`](HttpError::UnknownHost),
    /// [`Connect`](HttpError::Connect), [`Proxy`](HttpError::Proxy), [`Tls`](HttpError::Tls),
    /// [`Untrusted`](HttpError::Untrusted), [`Refused`](HttpError::Refused) and
    /// [`PrivateAddress`](HttpError::PrivateAddress) may be used only if no byte of it was sent.
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
