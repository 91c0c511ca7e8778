//! Compares URL paths, and detects those that servers may interpret differently.

use url::Url;

/// Returns the rest of `path` below `prefix`, if `prefix` ends at the end of a segment.
pub(crate) fn strip_segments<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The maximum number of percent-encodings of a path. Ordinary paths are encoded once, file names
/// that contain a `%` twice.
const MOST_LAYERS: usize = 8;

/// Returns whether every server interprets the path the same way. `Url` has resolved plain and
/// encoded dot segments. A server may also decode `%2f` and `%5c`, decode repeatedly, end the path
/// at a NUL, drop whitespace at the end of a segment, remove `;…` before it resolves `..`, or read
/// an ill-formed sequence as a dot.
pub(crate) fn stays_below(url: &Url) -> bool {
    let mut path = url.path().as_bytes().to_vec();
    for _ in 0..=MOST_LAYERS {
        let Ok(text) = std::str::from_utf8(&path) else {
            return false;
        };
        if text.chars().any(char::is_control) || has_unicode_escape(&path) || has_dot_segment(text) {
            return false;
        }
        let decoded = percent_decoded(&path);
        if decoded == path {
            return true;
        }
        path = decoded;
    }
    false
}

/// Returns whether some servers read a segment as `.` or `..`.
fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\', '\u{2044}', '\u{2215}', '\u{ff0f}', '\u{ff3c}'])
        .map(|segment| segment.split(';').next().unwrap_or(segment))
        .map(|segment| segment.trim_matches(char::is_whitespace))
        .any(|segment| {
            let dots = segment.trim_start_matches(['.', '\u{2024}', '\u{fe52}', '\u{ff0e}']);
            dots.is_empty() && matches!(segment.chars().count(), 1 | 2)
        })
}

/// Returns whether the path contains an escape of the form `%u0041`, which some servers decode.
fn has_unicode_escape(path: &[u8]) -> bool {
    path.windows(6).any(|window| {
        matches!(window[..2], [b'%', b'u' | b'U']) && window[2..].iter().all(u8::is_ascii_hexdigit)
    })
}

/// Returns the path with every `%` sequence decoded once.
fn percent_decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        char::from(*byte?)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'%'
            && let (Some(high), Some(low)) = (digit(after.first()), digit(after.get(1)))
        {
            decoded.push(high << 4 | low);
            rest = &after[2..];
        } else {
            decoded.push(*byte);
        }
    }
    decoded
}
