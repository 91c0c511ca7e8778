//! Cleans callbacks that people pasted: in quotes or brackets, with line breaks, or copied from a
//! page or a log.

use zeroize::Zeroizing;

/// Characters before a pasted text that no URL contains unencoded.
const OPENING: [char; 6] = ['<', '"', '“', '„', '‘', '«'];
/// Characters after a pasted text that no URL contains unencoded.
const CLOSING: [char; 6] = ['>', '"', '”', '“', '’', '»'];
/// Pairs around a pasted text. A URL may contain one of each, so they are removed only as a pair.
const PAIRS: [(char, char); 3] = [('\'', '\''), ('`', '`'), ('(', ')')];

/// Returns the URL, path or query in a pasted text, or `None` if it contains whitespace.
///
/// A request line of a log (`GET /callback?… HTTP/1.1`) is read as its target.
pub(super) fn target(pasted: &str) -> Option<Zeroizing<String>> {
    let text = joined(pasted);
    let text = bare(request_target(bare(&text)));
    if text.contains(char::is_whitespace) {
        return None;
    }
    // HTML source writes an ampersand this way.
    let mut target = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        target.push_str(before);
        target.push('&');
        rest = ["&amp;", "&#38;", "&#x26;"]
            .into_iter()
            .find_map(|entity| from.strip_prefix(entity))
            .unwrap_or(&from[1..]);
    }
    target.push_str(rest);
    Some(target)
}

/// Returns the text without line breaks, the indentation that follows them, and invisible
/// characters.
fn joined(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.split(['\r', '\n']) {
        out.extend(line.trim().chars().filter(|c| !is_invisible(*c)));
    }
    out
}

const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// Returns the text without the quotes and brackets around it.
fn bare(text: &str) -> &str {
    let mut text = text;
    loop {
        let before = text;
        text = text.trim().trim_start_matches(OPENING).trim_end_matches(CLOSING);
        for (opening, closing) in PAIRS {
            let inner = text
                .strip_prefix(opening)
                .and_then(|text| text.strip_suffix(closing));
            text = inner.unwrap_or(text);
        }
        if text.len() == before.len() {
            return text;
        }
    }
}

/// Returns the target of a request line, or the text itself if it is not one.
fn request_target(text: &str) -> &str {
    let Some(line) = text.strip_prefix("GET ").or_else(|| text.strip_prefix("POST ")) else {
        return text;
    };
    line.trim()
        .split_once(" HTTP/")
        .map_or(line, |(target, _)| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_callback_is_read_as_its_url() {
        for pasted in [
            "https://app.test/cb?code=c&state=s",
            "  https://app.test/cb?code=c&state=s\r\n",
            "<https://app.test/cb?code=c&state=s>",
            "\"https://app.test/cb?code=c&state=s\"",
            "'https://app.test/cb?code=c&state=s'",
            "`https://app.test/cb?code=c&state=s`",
            "(<https://app.test/cb?code=c&state=s>)",
            "“https://app.test/cb?code=c&state=s”",
            "„https://app.test/cb?code=c&state=s“",
            "«https://app.test/cb?code=c&state=s»",
            "\u{feff}https://app.test/cb?code=c&state=s\u{200b}",
            "https://app.test/cb?code=c\u{200b}&state=\u{2060}s",
            "https://app.test/cb?code=c&amp;state=s",
            "https://app.test/cb?code=c&#38;state=s",
            "https://app.test/cb?code=c&#x26;state=s",
            "https://app.test/cb?co\nde=c&state=s",
            "https://app.test/cb?code=c&\r\n    state=s",
            "GET https://app.test/cb?code=c&state=s HTTP/1.1",
            "\"GET https://app.test/cb?code=c&state=s HTTP/2.0\"",
        ] {
            let read = target(pasted).expect(pasted);
            assert_eq!(*read, "https://app.test/cb?code=c&state=s", "{pasted}");
        }
    }

    #[test]
    fn blanks_within_it_are_refused_and_values_are_kept() {
        for pasted in [
            "code=c&state=s and more",
            "open https://app.test/cb?code=c&state=s",
            "GET /cb?code=c&state=s x HTTP/1.1",
            "code=c\u{a0}&state=s",
        ] {
            assert!(target(pasted).is_none(), "{pasted}");
        }
        for kept in [
            "code=it's&state=s'",
            "code=a%26amp;b&state=%E2%80%8B",
            "code=(c)&state=s)",
        ] {
            assert_eq!(*target(kept).unwrap(), kept);
        }
    }
}
