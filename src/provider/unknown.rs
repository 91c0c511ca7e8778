//! Ids that name no provider.

use std::fmt;

use crate::model::ProviderId;

/// The longest id that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// An id that names no provider, with the ids that do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownProvider {
    /// The id that was given, where it looks like one: letters, digits, `.`, `-` and `_`, at most 64. Anything else may be
    /// hostile, or a secret in the wrong place, and is not repeated.
    pub given: Option<String>,
    /// The ids of the providers, in order.
    pub known: Vec<ProviderId>,
}

impl UnknownProvider {
    pub(crate) fn new(given: &str, known: impl Iterator<Item = ProviderId>) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_shown = !given.is_empty() && given.len() <= MAX_SHOWN && given.bytes().all(is_plain);
        Self {
            given: is_shown.then(|| given.to_owned()),
            known: known.collect(),
        }
    }
}

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.given {
            Some(given) => write!(f, "no provider has the id \"{given}\"")?,
            None => f.write_str("no provider has this id")?,
        }
        for (index, id) in self.known.iter().enumerate() {
            let before = if index == 0 { "; known are: " } else { ", " };
            write!(f, "{before}{id}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownProvider {}
