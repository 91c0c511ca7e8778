//! JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) in descriptors, parsed once.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON pointer, such as `/user/email`. It is parsed together with the descriptor. Building the
/// connections rejects a descriptor with a text that is not a pointer; such a text leads to
/// nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<Step>,
}

/// One step of a pointer: the name of a member, or an index of a list.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The name, without escapes.
    pub(crate) name: String,
    /// The index, if the name is one.
    pub(crate) index: Option<usize>,
}

impl Pointer {
    /// Returns the text of the pointer.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the text is a pointer, including one to the root.
    pub(crate) fn is_valid(&self) -> bool {
        self.text.is_empty() || self.text.starts_with('/')
    }

    /// Returns whether the text is a pointer to a part of the document.
    pub(crate) fn is_to_a_part(&self) -> bool {
        self.text.starts_with('/')
    }

    /// Returns the steps from the root, or `None` if the text is not a pointer.
    pub(crate) fn steps(&self) -> Option<&[Step]> {
        self.is_valid().then_some(&self.steps)
    }

    /// Returns the value that the pointer leads to.
    pub(crate) fn find_in<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.steps()?.iter().try_fold(root, |at, step| match at {
            Value::Array(items) => items.get(step.index?),
            Value::Object(members) => members.get(&step.name),
            _ => None,
        })
    }
}

impl From<String> for Pointer {
    fn from(text: String) -> Self {
        let step = |token: &str| {
            // RFC 6901 §4: no leading zero, and no sign.
            let is_index = token == "0" || token.starts_with(|first: char| matches!(first, '1'..='9'));
            Step {
                name: token.replace("~1", "/").replace("~0", "~"),
                index: token.parse().ok().filter(|_| is_index),
            }
        };
        let steps = text.split('/').skip(1).map(step).collect();
        Self { text, steps }
    }
}

impl From<&str> for Pointer {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pointer_leads_to_what_rfc_6901_says() {
        let document = json!({ "a": [{ "b/c": 1, "m~n": 2 }, 3], "": 4, "0": 5 });
        for (pointer, expected) in [
            ("/a/0/b~1c", Some(json!(1))),
            ("/a/0/m~0n", Some(json!(2))),
            ("/a/1", Some(json!(3))),
            ("/", Some(json!(4))),
            ("/0", Some(json!(5))),
            ("", Some(document.clone())),
            ("/a/01", None),
            ("/a/+1", None),
            ("/a/2", None),
            ("/a/-", None),
            ("/a/1/x", None),
            ("a", None),
            ("x/a", None),
        ] {
            assert_eq!(
                Pointer::from(pointer).find_in(&document),
                expected.as_ref(),
                "{pointer}"
            );
        }
    }
}
