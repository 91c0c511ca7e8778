//! The syntax of placeholder names and of their values.

use url::Url;

use crate::http::is_clean;

/// The maximum length of a value that is not a base URL, in bytes: that of a DNS name.
const MAX_WORD: usize = 253;

pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Returns whether the value has only letters, digits, `.`, `-` and `_`, and no empty label, so
/// that it contains neither `..` nor a trailing dot.
pub(crate) fn is_word(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_WORD
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && value.split('.').all(|label| !label.is_empty())
}

/// Returns whether the value is a word that may also contain `~`, `:` and `@`: no dot segment and
/// nothing that ends a path segment or a value.
pub(crate) fn is_segment(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_WORD
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_~:@".contains(&byte))
        && value != "."
        && !value.contains("..")
}

/// Returns the value without a trailing slash, if it is a base URL that keeps its meaning when a
/// path is appended.
pub(crate) fn base_url(value: &str) -> Option<&str> {
    let value = value.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_~[]".contains(&byte);
    let url = Url::parse(value).ok()?;
    // The value must be canonical. Anything that the parser would rewrite (dot segments, a default
    // port, upper case in the host, a host in decimal) is refused, so that a stored value and a
    // compared one never differ.
    let canonical = url.as_str().trim_end_matches('/') == value;
    let is_url = value.bytes().all(plain) && canonical && is_clean(&url);
    (value.len() <= 2048 && is_url && has_plausible_host(&url)).then_some(value)
}

/// Returns whether DNS and TCP allow this host and port: no empty label, none that begins or ends
/// with `-`, no port 0.
fn has_plausible_host(url: &Url) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_name = url.domain().is_none_or(|domain| domain.split('.').all(is_label));
    is_name && url.port() != Some(0)
}

/// Returns the base URL in canonical form: with the scheme, the host in lower case, no trailing
/// slash.
pub(crate) fn meant_base_url(value: &str) -> Option<String> {
    let value = value.trim_end_matches('/');
    let (scheme, rest) = value.split_once("://").unwrap_or(("https", value));
    let path = rest.find('/').unwrap_or(rest.len());
    let meant = format!(
        "{scheme}://{}{}",
        rest[..path].to_ascii_lowercase(),
        &rest[path..]
    );
    base_url(&meant).map(str::to_owned)
}

/// Returns the host, with its port and path, without the scheme.
pub(crate) fn meant_host(value: &str) -> Option<String> {
    let url = meant_base_url(value)?;
    url.strip_prefix("https://").map(str::to_owned)
}

/// Returns whether the value is a host as it is stored: optionally with a port and a path, without
/// scheme and trailing slash.
pub(crate) fn is_host(value: &str) -> bool {
    meant_host(value).is_some_and(|meant| meant == value)
}
