//! Reports ids that do not name a provider.

use crate::model::ProviderId;

/// The maximum length of an id that an error repeats, in bytes.
const MAX_SHOWN: usize = 64;

/// An id that does not name a provider, with the known ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownProvider {
    /// The requested id, if it has the form of an id: at most 64 letters, digits, `.`, `-` and `_`.
    /// Any other text may be hostile, or a misplaced secret, and is not repeated.
    pub(crate) given: Option<String>,
    /// The ids of the providers, in alphabetical order.
    pub(crate) known: Vec<ProviderId>,
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

/// Returns the message for an id that does not name a provider.
pub(crate) fn message(given: Option<&str>, known: &[ProviderId]) -> String {
    let mut message = match given {
        Some(given) => format!("no provider has the id \"{given}\""),
        None => "no provider has this id".to_owned(),
    };
    for (index, id) in known.iter().enumerate() {
        message.push_str(if index == 0 { "; known are: " } else { ", " });
        message.push_str(id.as_str());
    }
    message
}
