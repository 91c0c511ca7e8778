//! Checks which URLs the crate may send requests to.

use url::{Host, Url};

/// Returns whether this is an absolute https URL (or http to a loopback address) that has a host
/// and neither user nor fragment.
pub(crate) fn is_clean(url: &Url) -> bool {
    let scheme = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    };
    let dotted = url.host_str().is_none_or(|host| host.ends_with('.'));
    scheme && !dotted && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Returns whether the URL's host is this machine: `127.0.0.0/8`, `[::1]` or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
