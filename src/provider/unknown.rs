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
        Some(given) => format!("unknown provider \"{given}\""),
        None => "unknown provider".to_owned(),
    };
    let similar = given.and_then(|given| similar(given, known.iter().map(ProviderId::as_str)));
    if let Some(similar) = similar {
        message.push_str("; did you mean \"");
        message.push_str(similar);
        message.push_str("\"?");
    }
    for (index, id) in known.iter().enumerate() {
        message.push_str(match (index, similar) {
            (0, Some(_)) => " known are: ",
            (0, None) => "; known are: ",
            _ => ", ",
        });
        message.push_str(id.as_str());
    }
    message
}

/// Returns the known id that differs from the given one by at most two edits, or a third of its
/// length.
pub(super) fn similar<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > MAX_SHOWN {
        return None;
    }
    let given = given.to_ascii_lowercase();
    let most = (given.len() / 3).min(2);
    known
        .map(|id| (distance(given.as_bytes(), id.as_bytes()), id))
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, id)| id)
}

/// Returns the number of insertions, deletions, replacements and swaps of neighbours between two
/// texts.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn a_mistyped_id_has_a_suggestion() {
        let known = ["gmail", "google-drive", "jira", "github"];
        for (given, expected) in [
            ("gmial", Some("gmail")),
            ("Gmail", Some("gmail")),
            ("gogle-drive", Some("google-drive")),
            ("jra", Some("jira")),
            ("outlook", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(similar(given, known.into_iter()), expected, "{given}");
        }
    }
}
