//! URLs with placeholders, and how they are filled without changing their shape.

use url::Url;
use zeroize::Zeroizing;

use crate::http::is_clean;
use crate::model::Parameters;
use crate::secret::SecretText;

/// The longest value of a placeholder that is not a base URL, in bytes: that of a DNS name.
const MAX_WORD: usize = 253;

/// A URL with `{name}` placeholders, such as `https://{tenant}.example.com/token`.
///
/// A placeholder at the very start stands for a whole base URL (`{base_url}/oauth/token`); anywhere else it
/// stands for a word of letters, digits, `.` and `-` (after the host, `_`, `~`, `:` and `@` too). So a value can choose
/// a host label or a path segment where the template says so, and can never bring a user name, a port, a query, a
/// fragment or another segment.
///
/// ` || ` stands between alternatives: the first one whose values are all known is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<'a> {
    alternatives: Vec<Alternative<'a>>,
}

/// One of the URLs between the ` || `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Literal(&'a str),
    Placeholder(&'a str),
}

/// Why a template or its expansion is no URL. Names placeholders, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTemplate {
    /// The braces do not pair, a name is not made of letters, digits, `_` and `-`, or there is a blank, a
    /// backslash or a character outside ASCII, which a URL parser would quietly rewrite.
    #[error("the braces of the template do not pair or a name or character in it is not allowed")]
    Syntax,
    /// A placeholder touches literal text of the host: `https://api{x}` could become another's domain.
    #[error("{{{0}}} must be a whole label of the host")]
    Host(String),
    /// There is no value for this placeholder.
    #[error("there is no value for {{{0}}}")]
    Missing(String),
    /// The value for this placeholder has characters that may not stand there.
    #[error("the value for {{{0}}} may not stand there")]
    Value(String),
    /// Filled in, it is not an absolute https URL (or http to a loopback address) without user and fragment.
    #[error("the template does not make an https URL without user and fragment")]
    Url,
}

impl<'a> Template<'a> {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] if the braces do not pair, a name is not allowed, or a placeholder is only a part
    /// of a host label.
    pub fn parse(text: &'a str) -> Result<Self, InvalidTemplate> {
        let alternatives = text
            .split(" || ")
            .map(Alternative::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    pub(super) fn alternatives(&self) -> impl Iterator<Item = &Alternative<'a>> {
        self.alternatives.iter()
    }

    /// The names of the placeholders, in order; one may come twice.
    pub fn placeholders(&self) -> impl Iterator<Item = &'a str> {
        self.alternatives.iter().flat_map(Alternative::placeholders)
    }

    /// The placeholder that stands for a whole base URL in the first alternative, if there is one.
    #[must_use]
    pub fn base_url(&self) -> Option<&'a str> {
        self.alternatives.first().and_then(Alternative::base_url)
    }

    /// The URL with these values: of the first alternative that has them all.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] if a value is missing or may not stand where it would, or if what results is no
    /// absolute https URL (or http to a loopback address) without user and fragment.
    pub fn expand(&self, values: &Parameters) -> Result<Url, InvalidTemplate> {
        let mut missing = InvalidTemplate::Syntax;
        for alternative in &self.alternatives {
            match alternative.expand(values) {
                Err(InvalidTemplate::Missing(name)) => missing = InvalidTemplate::Missing(name),
                expanded => return expanded,
            }
        }
        Err(missing)
    }
}

impl<'a> Alternative<'a> {
    fn parse(text: &'a str) -> Result<Self, InvalidTemplate> {
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(InvalidTemplate::Syntax);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(start);
            let name = tail.strip_prefix('{').ok_or(InvalidTemplate::Syntax)?;
            let end = name.find('}').ok_or(InvalidTemplate::Syntax)?;
            let (name, tail) = (&name[..end], &name[end + 1..]);
            if !is_name(name) {
                return Err(InvalidTemplate::Syntax);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal));
            }
            parts.push(Part::Placeholder(name));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest));
        }
        let template = Self { parts };
        template.check_host()?;
        Ok(template)
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(*name),
            Part::Literal(_) => None,
        })
    }

    pub(super) fn base_url(&self) -> Option<&'a str> {
        match self.parts.first() {
            Some(Part::Placeholder(name)) => Some(name),
            _ => None,
        }
    }

    pub(super) fn expand(&self, values: &Parameters) -> Result<Url, InvalidTemplate> {
        let hosts = self.placeholders_in_host();
        let mut text = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            match *part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(name) => {
                    let value = values
                        .get(name)
                        .ok_or_else(|| InvalidTemplate::Missing(name.into()))?;
                    if index == 0 {
                        text.push_str(base_url(value).ok_or_else(|| InvalidTemplate::Value(name.into()))?);
                    } else if is_word(value) || (index >= hosts && is_segment(value)) {
                        text.push_str(value);
                    } else {
                        return Err(InvalidTemplate::Value(name.into()));
                    }
                }
            }
        }
        let url = Url::parse(&text).map_err(|_| InvalidTemplate::Url)?;
        if is_clean(&url) {
            Ok(url)
        } else {
            Err(InvalidTemplate::Url)
        }
    }

    /// The part at which the host is over: what stands before it is judged as a host label.
    pub(super) fn placeholders_in_host(&self) -> usize {
        let over = |(index, part): (usize, &Part<'_>)| match part {
            Part::Literal(literal) if index == 0 => literal
                .split_once("://")
                .is_some_and(|(_, rest)| rest.contains(['/', '?', '#'])),
            Part::Literal(literal) => literal.contains(['/', '?', '#']),
            Part::Placeholder(_) => false,
        };
        let ended = self.parts.iter().enumerate().position(over);
        ended.map_or(self.parts.len(), |index| index + 1)
    }

    /// The names of the placeholders that stand in the host.
    pub(super) fn host_placeholders(&self) -> impl Iterator<Item = &'a str> {
        self.parts
            .iter()
            .take(self.placeholders_in_host())
            .filter_map(|part| match part {
                Part::Placeholder(name) => Some(*name),
                Part::Literal(_) => None,
            })
    }

    /// Whether the rest of the host after this part is fixed and has two labels at least: whatever stands before it
    /// stays below a domain that the descriptor names.
    fn is_anchored(&self, index: usize) -> bool {
        match self.parts.get(index + 1) {
            Some(Part::Literal(next)) => {
                let host = next.split(['/', '?', '#', ':']).next().unwrap_or(next);
                let ends = next.len() > host.len() || self.parts.len() == index + 2;
                let (_, below) = host.split_once('.').unwrap_or((host, ""));
                ends && below.split('.').count() >= 2 && below.split('.').all(|label| !label.is_empty())
            }
            _ => false,
        }
    }

    /// Refuses `https://api{x}.example`, `https://{a}{b}` and `https://example{x}/`. What is only a part of a label must
    /// have a fixed domain behind it, such as `https://api-{x}.example.com`.
    fn check_host(&self) -> Result<(), InvalidTemplate> {
        if self.base_url().is_some() {
            // What follows a base URL must begin a path: `{base_url}.evil` would be another host.
            return match self.parts.get(1) {
                None => Ok(()),
                Some(Part::Literal(literal)) if literal.starts_with('/') => Ok(()),
                Some(_) => Err(InvalidTemplate::Syntax),
            };
        }
        let mut before = "";
        let mut in_authority = false;
        for (index, part) in self.parts.iter().enumerate() {
            match *part {
                Part::Literal(literal) => {
                    let authority = match literal.split_once("://") {
                        Some((_, authority)) if index == 0 => authority,
                        _ if index == 0 => return Err(InvalidTemplate::Url),
                        _ if in_authority => literal,
                        _ => return Ok(()),
                    };
                    in_authority = !authority.contains(['/', '?', '#']);
                    before = literal;
                }
                Part::Placeholder(name) => {
                    if !in_authority {
                        return Ok(());
                    }
                    let follows = match self.parts.get(index + 1) {
                        None => true,
                        Some(Part::Literal(next)) => next.starts_with(['.', '/', ':']),
                        Some(Part::Placeholder(_)) => false,
                    };
                    if (!follows || !before.ends_with(['.', '/'])) && !self.is_anchored(index) {
                        return Err(InvalidTemplate::Host(name.into()));
                    }
                    before = "";
                }
            }
        }
        Ok(())
    }
}

/// The names of the `{name}` in a value that is no URL. Other braces are text.
pub(crate) fn names_in(value: &str) -> impl Iterator<Item = &str> {
    value.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        is_name(name).then_some(name)
    })
}

/// The value with each `{name}` replaced by what is known of it; others stay as they are.
pub(crate) fn filled(value: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut out = SecretText::default();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let named = after.split_once('}').filter(|(name, _)| is_name(name));
        match named.and_then(|(name, tail)| Some((known(name)?, tail))) {
            Some((text, tail)) => {
                out.push_str(&Zeroizing::new(text));
                rest = tail;
            }
            None => {
                out.push_str("{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.into_string()
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Letters, digits, `.` and `-`; no empty label, so that neither `..` nor a trailing dot slips in.
pub(super) fn is_word(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_WORD
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        && value.split('.').all(|label| !label.is_empty())
}

/// A word that may have `_`, `~`, `:` and `@` too: no dot segment and nothing that ends a path segment or a value.
pub(super) fn is_segment(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_WORD
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_~:@".contains(&byte))
        && value != "."
        && !value.contains("..")
}

/// The value without a trailing slash, if it is a base URL that keeps its meaning when a path is appended.
pub(super) fn base_url(value: &str) -> Option<&str> {
    let value = value.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_~[]".contains(&byte);
    let url = Url::parse(value).ok()?;
    // Written as it is read: what the parser would rewrite (dot segments, a default port, upper case in the host,
    // a host in decimal) is refused, so that a stored value and a compared one never differ.
    let canonical = url.as_str().trim_end_matches('/') == value;
    (value.len() <= 2048 && value.bytes().all(plain) && !value.contains("@") && canonical && is_clean(&url))
        .then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &str) -> Parameters {
        Parameters::from([("x".into(), value.into())])
    }

    #[test]
    fn a_word_stays_where_it_is_put() {
        for (template, value, expected) in [
            (
                "https://as.test/{x}/token",
                "common",
                Some("https://as.test/common/token"),
            ),
            (
                "https://{x}.as.test/token",
                "Acme",
                Some("https://acme.as.test/token"),
            ),
            (
                "https://as.test/t?realm={x}",
                "eu-1",
                Some("https://as.test/t?realm=eu-1"),
            ),
            ("https://as.test/{x}/token", "..", None),
            ("https://as.test/{x}/token", ".", None),
            ("https://as.test/{x}/token", "a..b", None),
            ("https://as.test/{x}/token", "", None),
            ("https://as.test/{x}/token", "a/../b", None),
            ("https://as.test/{x}/token", "%2e%2e", None),
            ("https://as.test/{x}/token", "a?b", None),
            ("https://as.test/{x}/token", "a#b", None),
            ("https://{x}.as.test/token", "evil.test/", None),
            ("https://{x}.as.test/token", "user@evil", None),
            ("https://{x}.as.test/token", "evil:80", None),
            ("https://{x}/token", "evil.test.", None),
            ("https://{x}.as.test/token", "evil\\", None),
            ("https://{x}.as.test/token", "e\tvil", None),
        ] {
            let url = Template::parse(template).unwrap().expand(&values(value));
            assert_eq!(
                url.ok().as_ref().map(Url::as_str),
                expected,
                "{template} with {value:?}"
            );
        }
    }

    #[test]
    fn a_base_url_brings_scheme_host_port_and_path_alone() {
        for (value, expected) in [
            ("https://git.test", Some("https://git.test/oauth")),
            ("https://git.test/", Some("https://git.test/oauth")),
            (
                "https://git.test:8443/lab",
                Some("https://git.test:8443/lab/oauth"),
            ),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/oauth")),
            ("http://[::1]:8080", Some("http://[::1]:8080/oauth")),
            ("http://localhost:8080", Some("http://localhost:8080/oauth")),
            ("http://git.test", None),
            ("https://u@git.test", None),
            ("https://u:p@git.test", None),
            ("https://git.test?x", None),
            ("https://git.test#x", None),
            ("https://git.test/a/../b", None),
            ("https://git.test/%2e%2e", None),
            ("https://git.test.", None),
            ("https://GIT.test", None),
            ("https://2130706433", None),
            ("https:\\\\git.test", None),
            ("javascript:alert(1)", None),
            ("git.test", None),
            ("", None),
        ] {
            let url = Template::parse("{x}/oauth").unwrap().expand(&values(value));
            assert_eq!(url.ok().as_ref().map(Url::as_str), expected, "{value:?}");
        }
    }

    #[test]
    fn templates_that_could_leave_their_host_are_refused() {
        for (template, ok) in [
            ("https://as.test/token", true),
            ("https://{x}.test:8443/token", true),
            ("https://{a}.{b}/token", true),
            ("{x}", true),
            ("https://api{x}.test/", false),
            ("https://as.test{x}/", false),
            ("https://{x}as.test/", false),
            ("https://{a}{b}/", false),
            ("https://as.test:{x}/", false),
            ("{x}.test/token", false),
            ("{x}{y}", false),
            ("https://as.test/{", false),
            ("https://as.test/}", false),
            ("https://as.test/{}", false),
            ("https://as.test/{a b}", false),
            ("no-scheme/{x}", false),
            ("https://as.te\tst/", false),
            ("https://as.test/\n", false),
            ("https://as.test\\@evil.test/", false),
            (" https://as.test/", false),
        ] {
            assert_eq!(Template::parse(template).is_ok(), ok, "{template}");
        }
    }

    #[test]
    fn errors_name_the_placeholder_and_not_the_value() {
        let template = Template::parse("https://as.test/{x}").unwrap();
        let error = template.expand(&values("s3cret/")).unwrap_err();
        assert_eq!(error.to_string(), "the value for {x} may not stand there");
        let error = template.expand(&Parameters::new()).unwrap_err();
        assert_eq!(error.to_string(), "there is no value for {x}");
    }

    proptest::proptest! {
        #[test]
        fn no_value_changes_the_shape_of_the_url(value in "[a-z0-9./:@?#%&\\\\\\[\\]_~-]{0,20}|.{0,12}") {
            let word = Template::parse("https://{x}.as.test/p/{x}?q={x}").unwrap();
            if let Ok(url) = word.expand(&values(&value)) {
                assert!(url.host_str().unwrap().ends_with(".as.test"), "{url}");
                assert_eq!((url.port(), url.username(), url.fragment()), (None, "", None), "{url}");
                assert_eq!(url.path(), format!("/p/{value}"));
                assert_eq!(url.query_pairs().count(), 1, "{url}");
            }
            let base = Template::parse("{x}/token").unwrap();
            let value = format!("https://{value}");
            if let Ok(url) = base.expand(&values(&value)) {
                assert_eq!(url.as_str(), format!("{}/token", value.trim_end_matches('/')));
                assert_eq!((url.username(), url.query(), url.fragment()), ("", None, None), "{url}");
            }
        }
    }
}
