//! Why a connection was not made, and what that means for a request.

use std::io;

use crate::http::HttpErrorKind;

/// Why a connection was not made. Nothing of the request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unconnected {
    #[error("the name cannot be resolved")]
    Name,
    #[error("no address can be reached")]
    Address,
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

/// What went wrong. `sent` says whether the body began to go out; a request without one leaves that open.
///
/// In doubt the server may have acted: a request that is believed unsent is sent again.
pub(super) fn kind(error: &ureq::Error, sent: Option<bool>) -> HttpErrorKind {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::Http(_) => {
            HttpErrorKind::Refused
        }
        ureq::Error::Other(error) if error.is::<Unconnected>() => match error.downcast_ref::<Unconnected>() {
            Some(Unconnected::Name) => HttpErrorKind::UnknownHost,
            Some(Unconnected::Tls) => HttpErrorKind::Tls,
            Some(Unconnected::Certificate) => HttpErrorKind::Untrusted,
            Some(Unconnected::Address) | None => HttpErrorKind::Connect,
        },
        ureq::Error::HostNotFound | ureq::Error::Timeout(ureq::Timeout::Resolve) => {
            HttpErrorKind::UnknownHost
        }
        ureq::Error::ConnectProxyFailed(_) => HttpErrorKind::Proxy,
        _ if sent == Some(false) || (sent.is_none() && precedes_connection(error)) => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => HttpErrorKind::Timeout,
        ureq::Error::LargeResponseHeader(..) => HttpErrorKind::HeadTooLarge,
        ureq::Error::Protocol(error) if has_too_many_headers(error) => HttpErrorKind::HeadTooLarge,
        ureq::Error::Protocol(_) => HttpErrorKind::Protocol,
        _ => HttpErrorKind::Interrupted,
    }
}

/// Whether the error can only have come before there was a connection.
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

/// Whether the answer has more headers than are read. `ureq` does not export the type of the error.
fn has_too_many_headers(error: &impl std::fmt::Debug) -> bool {
    format!("{error:?}") == "HttpParseTooManyHeaders"
}
