//! URLs with placeholders, which values fill without changing the URL's structure.

mod invalid;

use url::Url;

use crate::http::{is_clean, is_loopback};
use crate::model::Parameters;
use crate::provider::lookalike;
use crate::provider::syntax::{base_url, is_host, is_name, is_segment, is_word};

pub(crate) use invalid::{InvalidTemplate, Unfilled};

/// A URL with `{name}` placeholders, such as `https://{tenant}.example.com/token`.
///
/// A placeholder at the very start stands for a whole base URL (`{base_url}/oauth/token`). One that
/// fills the whole space between `https://` and the path stands for a host, optionally with a port
/// and a path (`https://{host}/oauth/token`). Anywhere else, it stands for a word of letters,
/// digits, `.`, `-` and `_` (after the host, also `~`, `:` and `@`). A value can therefore choose a
/// host label or a path segment where the template allows it, but never adds a user name, a query,
/// a fragment or, in place of a word, a port or another segment.
///
/// ` || ` separates alternatives: the first one whose values are all known is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    alternatives: Vec<Alternative>,
}

/// One of the URLs between the ` || `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternative {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Placeholder(Box<str>),
}

/// A URL and the placeholders whose values are in its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expanded<'a> {
    pub(crate) url: Url,
    pub(crate) in_host: Vec<&'a str>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] if the braces do not pair, a name is not allowed, or a placeholder is
    /// only a part of a host label.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let alternatives = text
            .split(" || ")
            .map(Alternative::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    pub(super) fn alternatives(&self) -> impl Iterator<Item = &Alternative> {
        self.alternatives.iter()
    }

    /// Returns the URL with these values, from the first alternative whose values are all known.
    ///
    /// # Errors
    ///
    /// [`Unfilled`] if a value is missing or not allowed in its place, or if the result is not an
    /// absolute https URL (or http to a loopback address) without user and fragment.
    pub(crate) fn expand(&self, values: &Parameters) -> Result<Url, Unfilled> {
        self.located(values).map(|expanded| expanded.url)
    }

    /// Returns the URL with these values, and the placeholders that determine its host.
    ///
    /// # Errors
    ///
    /// [`Unfilled`] under the same conditions as [`expand`](Self::expand).
    pub(crate) fn located(&self, values: &Parameters) -> Result<Expanded<'_>, Unfilled> {
        let mut missing = Unfilled::Address {
            problem: InvalidTemplate::Url,
            first: None,
        };
        for alternative in &self.alternatives {
            match alternative.expand(values) {
                Err(Unfilled::Missing(name)) => missing = Unfilled::Missing(name),
                expanded => {
                    return expanded.map(|url| Expanded {
                        url,
                        in_host: alternative.host_placeholders().collect(),
                    });
                }
            }
        }
        Err(missing)
    }
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, InvalidTemplate> {
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
                parts.push(Part::Literal(literal.into()));
            }
            parts.push(Part::Placeholder(name.into()));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        let template = Self { parts };
        template.check_host()?;
        Ok(template)
    }

    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(&**name),
            Part::Literal(_) => None,
        })
    }

    pub(super) fn base_url(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Placeholder(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns the placeholder that is the whole host.
    pub(super) fn whole_host(&self) -> Option<&str> {
        let [Part::Literal(scheme), Part::Placeholder(name), rest @ ..] = self.parts.as_slice() else {
            return None;
        };
        let ends = match rest.first() {
            None => true,
            Some(Part::Literal(next)) => next.starts_with('/'),
            Some(Part::Placeholder(_)) => false,
        };
        (&**scheme == "https://" && ends).then_some(name)
    }

    pub(super) fn expand(&self, values: &Parameters) -> Result<Url, Unfilled> {
        let hosts = self.placeholders_in_host();
        let mut text = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(name) => {
                    let value = values
                        .get(&**name)
                        .ok_or_else(|| Unfilled::Missing(name.to_string()))?;
                    let unfit = || Unfilled::Value(name.to_string());
                    if index == 0 {
                        text.push_str(base_url(value).ok_or_else(unfit)?);
                    } else if is_word(value)
                        || (index >= hosts && is_segment(value))
                        || (index == 1 && self.whole_host().is_some() && is_host(value))
                    {
                        text.push_str(value);
                    } else {
                        return Err(unfit());
                    }
                }
            }
        }
        let problem = match Url::parse(&text) {
            Ok(url) if is_clean(&url) => return Ok(url),
            Ok(url) if url.scheme() == "https" => InvalidTemplate::NotBare,
            Ok(url) if url.scheme() == "http" && is_loopback(&url) => InvalidTemplate::NotBare,
            Ok(_) => InvalidTemplate::NotHttps,
            Err(_) => InvalidTemplate::Url,
        };
        let first = self.placeholders().next().map(str::to_owned);
        Err(Unfilled::Address { problem, first })
    }

    /// Returns the index of the part at which the host ends: placeholders before it are treated as
    /// host labels.
    pub(super) fn placeholders_in_host(&self) -> usize {
        let over = |(index, part): (usize, &Part)| match part {
            Part::Literal(literal) if index == 0 => literal
                .split_once("://")
                .is_some_and(|(_, rest)| rest.contains(['/', '?', '#'])),
            Part::Literal(literal) => literal.contains(['/', '?', '#']),
            Part::Placeholder(_) => false,
        };
        let ended = self.parts.iter().enumerate().position(over);
        ended.map_or(self.parts.len(), |index| index + 1)
    }

    /// Returns the names of the placeholders in the host.
    pub(super) fn host_placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .take(self.placeholders_in_host())
            .filter_map(|part| match part {
                Part::Placeholder(name) => Some(&**name),
                Part::Literal(_) => None,
            })
    }

    /// Returns whether the host ends in a fixed domain of at least two labels, so that every value
    /// stays below a domain that the descriptor names.
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

    /// Rejects `https://api{x}.example`, `https://{a}{b}` and `https://example{x}/`. A placeholder
    /// that is only a part of a label must be followed by a fixed domain, such as
    /// `https://{x}-{y}.example.com`.
    fn check_host(&self) -> Result<(), InvalidTemplate> {
        if let Some(base) = self.base_url() {
            // The text after a base URL must begin a path: `{base_url}.evil` would be another host.
            return match self.parts.get(1) {
                None => Ok(()),
                Some(Part::Literal(literal)) if literal.starts_with('/') => Ok(()),
                Some(_) => Err(InvalidTemplate::BehindBase(base.into())),
            };
        }
        let mut before = "";
        let mut in_authority = false;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
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
                        return Err(InvalidTemplate::Host(name.to_string()));
                    }
                    before = "";
                }
            }
        }
        Ok(())
    }
}

/// Returns the first character that is not allowed in a URL (RFC 3986 §2), including `$` outside a
/// query, which a placeholder of another language leaves behind.
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

#[cfg(test)]
mod tests;
