//! URLs with placeholders, and how they are filled without changing their shape.

mod invalid;

use url::Url;

use crate::http::{is_clean, is_loopback};
use crate::model::Parameters;
use crate::provider::lookalike;

pub use invalid::InvalidTemplate;

/// The longest value of a placeholder that is not a base URL, in bytes: that of a DNS name.
const MAX_WORD: usize = 253;

/// A URL with `{name}` placeholders, such as `https://{tenant}.example.com/token`.
///
/// A placeholder at the very start stands for a whole base URL (`{base_url}/oauth/token`); one that is all there is
/// between `https://` and the path stands for a host, perhaps with a port and a path (`https://{host}/oauth/token`);
/// anywhere else it stands for a word of letters, digits, `.`, `-` and `_` (after the host, `~`, `:` and `@` too). So a
/// value can choose a host label or a path segment where the template says so, and can never bring a user name, a query,
/// a fragment or, in the place of a word, a port or another segment.
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

    /// The first alternative whose values are all known.
    pub(super) fn chosen(&self, values: &Parameters) -> Option<&Alternative<'a>> {
        self.alternatives
            .iter()
            .find(|alternative| alternative.placeholders().all(|name| values.contains_key(name)))
    }

    /// The URL with these values: of the first alternative that has them all.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] if a value is missing or may not stand where it would, or if what results is no
    /// absolute https URL (or http to a loopback address) without user and fragment.
    pub fn expand(&self, values: &Parameters) -> Result<Url, InvalidTemplate> {
        let mut missing = InvalidTemplate::Url;
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
        if let Some(name) = lookalike::in_url(text) {
            return Err(InvalidTemplate::Lookalike(name));
        }
        if let Some(character) = misplaced_character(text) {
            return Err(match character {
                '|' => InvalidTemplate::Bar,
                character => InvalidTemplate::Character(character),
            });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(start);
            let name = tail.strip_prefix('{').ok_or(InvalidTemplate::Braces)?;
            let end = name.find('}').ok_or(InvalidTemplate::Braces)?;
            let (name, tail) = (&name[..end], &name[end + 1..]);
            if !is_name(name) {
                return Err(InvalidTemplate::Braces);
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

    /// The placeholder that is all there is of the host.
    pub(super) fn whole_host(&self) -> Option<&'a str> {
        match (self.parts.first(), self.parts.get(1), self.parts.get(2)) {
            (Some(Part::Literal("https://")), Some(Part::Placeholder(name)), None) => Some(name),
            (Some(Part::Literal("https://")), Some(Part::Placeholder(name)), Some(Part::Literal(next))) => {
                next.starts_with('/').then_some(*name)
            }
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
                    } else if is_word(value)
                        || (index >= hosts && is_segment(value))
                        || (self.whole_host() == Some(name) && index == 1 && is_host(value))
                    {
                        text.push_str(value);
                    } else {
                        return Err(InvalidTemplate::Value(name.into()));
                    }
                }
            }
        }
        let url = Url::parse(&text).map_err(|_| InvalidTemplate::Url)?;
        if is_clean(&url) {
            return Ok(url);
        }
        Err(match url.scheme() {
            "https" => InvalidTemplate::NotBare,
            "http" if is_loopback(&url) => InvalidTemplate::NotBare,
            _ => InvalidTemplate::NotHttps,
        })
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

    /// Whether the host ends in a fixed domain of two labels at least: whatever stands before it stays below a domain
    /// that the descriptor names.
    fn is_anchored(&self, index: usize) -> bool {
        let last = self.parts.len() - 1;
        for (at, part) in self.parts.iter().enumerate().skip(index + 1) {
            let Part::Literal(text) = part else { continue };
            let host = text.split(['/', '?', '#', ':']).next().unwrap_or(text);
            if text.len() > host.len() || at == last {
                let (_, below) = host.split_once('.').unwrap_or((host, ""));
                return below.split('.').count() >= 2 && below.split('.').all(|label| !label.is_empty());
            }
        }
        false
    }

    /// Refuses `https://api{x}.example`, `https://{a}{b}` and `https://example{x}/`. What is only a part of a label must
    /// have a fixed domain behind it, such as `https://{x}-{y}.example.com`.
    fn check_host(&self) -> Result<(), InvalidTemplate> {
        if let Some(base) = self.base_url() {
            // What follows a base URL must begin a path: `{base_url}.evil` would be another host.
            return match self.parts.get(1) {
                None => Ok(()),
                Some(Part::Literal(literal)) if literal.starts_with('/') => Ok(()),
                Some(_) => Err(InvalidTemplate::BehindBase(base.into())),
            };
        }
        let mut before = "";
        let mut in_authority = false;
        for (index, part) in self.parts.iter().enumerate() {
            match *part {
                Part::Literal(literal) => {
                    let authority = match literal.split_once("://") {
                        Some((_, authority)) if index == 0 => authority,
                        _ if index == 0 => return Err(InvalidTemplate::NoScheme),
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

/// The first character that may not stand in a URL (RFC 3986 §2), `$` outside a query included: a
/// placeholder of another language leaves it there.
fn misplaced_character(text: &str) -> Option<char> {
    let query = text.find('?').unwrap_or(text.len());
    let is_misplaced = |at: usize, c: char| match c {
        '$' => at < query,
        '%' => !text[at + 1..]
            .bytes()
            .take(2)
            .filter(u8::is_ascii_hexdigit)
            .count()
            .eq(&2),
        '{' | '}' => false,
        _ => !c.is_ascii_alphanumeric() && !"-._~:/?#[]@!&'()*+,;=".contains(c),
    };
    text.char_indices()
        .find(|(at, c)| is_misplaced(*at, *c))
        .map(|(_, c)| c)
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Letters, digits, `.`, `-` and `_`; no empty label, so that neither `..` nor a trailing dot slips in.
pub(super) fn is_word(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_WORD
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && value.split('.').all(|label| !label.is_empty())
}

/// A word that may have `~`, `:` and `@` too: no dot segment and nothing that ends a path segment or a value.
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
    let is_url = value.bytes().all(plain) && canonical && is_clean(&url);
    (value.len() <= 2048 && is_url && has_plausible_host(&url)).then_some(value)
}

/// Whether DNS and TCP know such a host and port: no empty label, none that begins or ends with `-`, no port 0.
fn has_plausible_host(url: &Url) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_name = url.domain().is_none_or(|domain| domain.split('.').all(is_label));
    is_name && url.port() != Some(0)
}

/// The base URL that people mean: with the scheme, the host in lower case, no trailing slash.
pub(super) fn meant_base_url(value: &str) -> Option<String> {
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

/// The host, with its port and path, that people mean: without the scheme.
pub(super) fn meant_host(value: &str) -> Option<String> {
    let url = meant_base_url(value)?;
    url.strip_prefix("https://").map(str::to_owned)
}

/// A host as it is kept: perhaps with a port and a path, without scheme and trailing slash.
pub(super) fn is_host(value: &str) -> bool {
    meant_host(value).is_some_and(|meant| meant == value)
}

#[cfg(test)]
mod tests;
