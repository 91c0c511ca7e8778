//! Scopes by the grammar of [RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3).

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::model::{InvalidValue, Rule};

/// One scope: printable ASCII without space, `"` and `\`; case-sensitive; at most 1024 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Arc<str>);

impl Scope {
    /// Checks and returns a scope.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] if it is empty, too long, or violates the grammar.
    pub fn new(value: impl Into<String>) -> Result<Self, InvalidValue> {
        let value = value.into();
        if value.is_empty() {
            return Err(Rule::ScopeEmpty.into());
        }
        if value.len() > 1024 {
            return Err(Rule::ScopeTooLong.into());
        }
        if !value
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        {
            return Err(Rule::ScopeCharacter.into());
        }
        Ok(Self(value.into()))
    }

    /// Returns the scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidValue;
    fn try_from(value: String) -> Result<Self, InvalidValue> {
        Self::new(value)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.as_str().to_owned()
    }
}

impl Borrow<str> for Scope {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", &self.0)
    }
}

/// A set of scopes. Its text form is a list with single spaces, in alphabetical order.
///
/// # Examples
///
/// ```
/// use valetkey::model::Scopes;
///
/// let wanted: Scopes = "notes.write notes.read".parse()?;
/// let granted = Scopes::new(["notes.read"])?;
/// assert_eq!(wanted.difference(&granted).to_string(), "notes.write");
/// assert!(wanted.contains("notes.read"));
/// # Ok::<(), valetkey::model::InvalidValue>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Returns the set of these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidValue`] for the first scope that violates the grammar.
    pub fn new<I>(scopes: I) -> Result<Self, InvalidValue>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        scopes
            .into_iter()
            .map(Scope::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of scopes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the set contains this scope (case-sensitive).
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Returns the scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Adds a scope.
    pub fn insert(&mut self, scope: Scope) {
        self.0.insert(scope);
    }

    /// Returns the scopes that are in this set or in `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// Returns the scopes that are in this set but not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Returns the scopes, joined with `separator`.
    #[must_use]
    pub fn join(&self, separator: &str) -> String {
        let mut text = String::new();
        for scope in &self.0 {
            if !text.is_empty() {
                text.push_str(separator);
            }
            text.push_str(scope.as_str());
        }
        text
    }
}

impl FromStr for Scopes {
    type Err = InvalidValue;
    /// Parses a list with any number of spaces between the scopes. The empty string is the empty
    /// set.
    fn from_str(value: &str) -> Result<Self, InvalidValue> {
        Self::new(value.split(' ').filter(|scope| !scope.is_empty()))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(Scope::as_str)).finish()
    }
}

/// Converts the scopes to those of the [`oauth2`] crate.
impl From<&Scopes> for Vec<oauth2::Scope> {
    fn from(scopes: &Scopes) -> Self {
        scopes
            .iter()
            .map(|scope| oauth2::Scope::new(scope.as_str().to_owned()))
            .collect()
    }
}

/// Checks scopes of the [`oauth2`] crate, which accepts any text.
impl TryFrom<Vec<oauth2::Scope>> for Scopes {
    type Error = InvalidValue;

    fn try_from(scopes: Vec<oauth2::Scope>) -> Result<Self, InvalidValue> {
        Self::new(scopes.into_iter().map(String::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_rfc_6749_section_3_3() {
        for byte in 0_u8..=0x7f {
            let allowed = matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert_eq!(
                Scope::new(char::from(byte).to_string()).is_ok(),
                allowed,
                "{byte:#04x}"
            );
        }
        assert_eq!(Scope::new("é"), Err(Rule::ScopeCharacter.into()));
        assert_eq!(Scope::new(""), Err(Rule::ScopeEmpty.into()));
        assert_eq!(Scope::new("x".repeat(1025)), Err(Rule::ScopeTooLong.into()));
    }

    #[test]
    fn sets_compare_by_content() {
        let asked: Scopes = "mail.read  mail.send".parse().unwrap();
        let granted: Scopes = "mail.read".parse().unwrap();
        assert_eq!(asked.difference(&granted).to_string(), "mail.send");
        assert_eq!(granted.union(&asked), asked);
        assert!("".parse::<Scopes>().unwrap().is_empty());
        assert!(!asked.contains("MAIL.READ"));
    }

    #[test]
    fn scopes_go_to_the_oauth2_crate_and_come_back_checked() {
        let scopes = Scopes::new(["b", "a"]).unwrap();
        let theirs: Vec<oauth2::Scope> = (&scopes).into();
        assert_eq!(Scopes::try_from(theirs).unwrap(), scopes);
        let bad = vec![oauth2::Scope::new("a b".into())];
        assert_eq!(Scopes::try_from(bad), Err(Rule::ScopeCharacter.into()));
    }
}
