//! Values with placeholders that are not URLs: added parameters, added headers and path prefixes.

use zeroize::Zeroizing;

use crate::model::Parameters;
use crate::provider::syntax::is_name;
use crate::secret::SecretText;

/// Names that stand for parts of the request itself, never for a value of the connection.
pub(super) const BUILT_IN: [&str; 5] = ["redirect_uri", "scope", "client_id", "random", "state"];

/// The separator between alternatives, as in a URL.
pub(super) const OR: &str = " || ";

/// A value that a descriptor adds to requests. `{name}` stands for a value of the connection or,
/// for the names in `BUILT_IN`, for a part of the request. Other braces are text.
///
/// ` || ` separates alternatives: the first one whose values are all known is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedValue {
    alternatives: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Name(Box<str>),
}

impl AddedValue {
    /// Parses a value. Every text is valid.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self {
            alternatives: text.split(OR).map(parts).collect(),
        }
    }

    /// Returns the value for a connection with these parameters: the first alternative whose names
    /// are all known, or `None`. `built_in` returns the values of the names in [`BUILT_IN`]; a name
    /// that it does not know remains literal. A value is never read as a template.
    /// a template.
    pub(crate) fn fill(
        &self,
        parameters: &Parameters,
        built_in: impl Fn(&str) -> Option<String>,
    ) -> Option<Zeroizing<String>> {
        let is_known = |part: &Part| match part {
            Part::Text(_) => true,
            Part::Name(name) => parameters.contains_key(&**name) || BUILT_IN.contains(&&**name),
        };
        let parts = self
            .alternatives
            .iter()
            .find(|parts| parts.iter().all(is_known))?;
        let mut out = SecretText::default();
        for part in parts {
            let name = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Name(name) => name,
            };
            if let Some(value) = parameters.get(&**name) {
                out.push_str(value);
            } else if let Some(value) = built_in(name).map(Zeroizing::new) {
                out.push_str(&value);
            } else {
                for text in ["{", name, "}"] {
                    out.push_str(text);
                }
            }
        }
        Some(Zeroizing::new(out.into_string()))
    }

    /// Returns the names of all placeholders.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let parts = self.alternatives.iter().flatten();
        parts.filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }
}

/// Returns the names in braces in a value.
pub(super) fn names_in(value: &str) -> impl Iterator<Item = &str> {
    value.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        is_name(name).then_some(name)
    })
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        literal.push_str(before);
        match after.split_once('}').filter(|(name, _)| is_name(name)) {
            Some((name, tail)) => {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(Part::Name(name.into()));
                rest = tail;
            }
            None => {
                literal.push('{');
                rest = after;
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal.into()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_expanded_a_second_time() {
        let parameters = Parameters::from([("x".into(), "{state} {x}".into())]);
        let request = |name: &str| (name == "state").then(|| "the-state {x}".to_owned());
        for (value, expected) in [
            ("{x}-{state}", "{state} {x}-the-state {x}"),
            ("{x}", "{state} {x}"),
            ("{scope}{x}", "{scope}{state} {x}"),
        ] {
            let filled = AddedValue::parse(value).fill(&parameters, request).unwrap();
            assert_eq!(*filled, expected, "{value}");
        }
    }

    #[test]
    fn the_first_alternative_that_is_known_is_taken() {
        let parameters = Parameters::from([("a".into(), "1".into())]);
        for (value, expected) in [
            ("x-{a}", Some("x-1")),
            ("{b} || {a} || 3", Some("1")),
            ("{b} || 3", Some("3")),
            ("{b}", None),
            ("{a}{b}", None),
            ("{random}-{a}", Some("{random}-1")),
            ("{not a name} {", Some("{not a name} {")),
            ("", Some("")),
        ] {
            let filled = AddedValue::parse(value).fill(&parameters, |_| None);
            assert_eq!(filled.as_ref().map(|text| text.as_str()), expected, "{value}");
        }
    }
}
