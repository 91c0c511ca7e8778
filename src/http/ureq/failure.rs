//! Maps connection failures to request errors.

use std::io;

use crate::http::HttpError;

/// A reason why no connection was made. Nothing of the request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unconnected {
    #[error("the name cannot be resolved")]
    Name,
    #[error("no address can be reached")]
    Address,
    #[error("an address is not public")]
    Private,
    #[error("no TLS")]
    Tls,
    #[error("the certificate is not trusted")]
    Certificate,
}

impl From<Unconnected> for ureq::Error {
    fn from(unconnected: Unconnected) -> Self {
        Self::Other(Box::new(unconnected))
    }
}

/// Returns the error of the request. `sent` says whether the client began to send the body; `None`
/// for a request without one.
///
/// If in doubt, the error says that the server may have processed the request: a request that is
/// believed unsent is sent again.
pub(super) fn failure(error: &ureq::Error, sent: Option<bool>) -> HttpError {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
            HttpError::Refused
        }
        ureq::Error::Other(error) if error.is::<Unconnected>() => match error.downcast_ref::<Unconnected>() {
            Some(Unconnected::Name) => HttpError::UnknownHost,
            Some(Unconnected::Private) => HttpError::PrivateAddress,
            Some(Unconnected::Tls) => HttpError::Tls,
            Some(Unconnected::Certificate) => HttpError::Untrusted,
            Some(Unconnected::Address) | None => HttpError::Connect,
        },
        ureq::Error::HostNotFound | ureq::Error::Timeout(ureq::Timeout::Resolve) => HttpError::UnknownHost,
        ureq::Error::ConnectProxyFailed(_) => HttpError::Proxy,
        _ if sent == Some(false) || (sent.is_none() && precedes_connection(error)) => HttpError::Connect,
        ureq::Error::Timeout(_) => HttpError::Timeout,
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => HttpError::Timeout,
        ureq::Error::LargeResponseHeader(..) => HttpError::HeadTooLarge,
        ureq::Error::Protocol(error) if has_too_many_headers(error) => HttpError::HeadTooLarge,
        ureq::Error::Protocol(_) => HttpError::Protocol,
        _ => HttpError::Interrupted,
    }
}

/// Returns whether the error can only have occurred before there was a connection.
fn precedes_connection(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::ConnectionFailed
        | ureq::Error::Tls(_)
        | ureq::Error::TlsRequired
        | ureq::Error::Timeout(ureq::Timeout::Connect) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// Returns whether the response has more headers than the client reads. `ureq` does not export the
/// type of this error.
fn has_too_many_headers(error: &impl std::fmt::Debug) -> bool {
    format!("{error:?}") == "HttpParseTooManyHeaders"
}
