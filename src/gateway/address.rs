//! Addresses and origins that the host names.

use url::Url;

/// Returns whether a link may lead to `address`: a path of this origin, or an `https` URL.
pub(super) fn is_address(address: &str) -> bool {
    let path = address.starts_with('/') && !address.starts_with("//") && !address.starts_with("/\\");
    let plain = !address.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\');
    let https = address.starts_with("https://") && Url::parse(address).is_ok();
    plain && (path || https)
}

/// Returns the origin of an absolute URL, in its canonical form.
pub(super) fn origin_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    Some(url.origin().ascii_serialization())
}

/// Returns an origin in its canonical form: `https`, or plain http at a loopback address.
pub(super) fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_loopback = matches!(url.host_str()?, "127.0.0.1" | "[::1]" | "localhost");
    let fits = url.scheme() == "https" || url.scheme() == "http" && is_loopback;
    let canonical = url.origin().ascii_serialization();
    // Compared as text: anything but a bare origin is longer.
    let bare = text.strip_suffix('/').unwrap_or(text) == canonical;
    (fits && bare).then_some(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_bare() {
        for (text, fits) in [
            ("https://cdn.example", true),
            ("https://cdn.example/", true),
            ("http://127.0.0.1:1", true),
            ("http://cdn.example", false),
            ("https://cdn.example/x", false),
            ("https://cdn.example; script-src *", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(origin(text).is_some(), fits, "{text}");
        }
    }
}
