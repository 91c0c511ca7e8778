//! The form fields for the parameters of a service.

use super::text::Texts;
use crate::provider::{ParameterKind, ParameterRule};

/// A parameter of the service.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) value: String,
    /// The value if none is entered.
    pub(super) default: Option<String>,
    pub(super) example: Option<String>,
    pub(super) help: Option<String>,
    pub(super) required: bool,
    pub(super) pattern: Option<String>,
    pub(super) choices: Vec<String>,
    pub(super) error: Option<&'static str>,
}

impl Field {
    pub(super) fn new(texts: &Texts, rule: &ParameterRule, value: &str) -> Self {
        let said = |text: &str| (texts.of_catalogue)(text).unwrap_or(text).to_owned();
        let title = rule.title.as_deref().map(said);
        let (default, choices) = (rule.default.clone().filter(|it| !it.is_empty()), rule.choices());
        Self {
            name: rule.name.clone(),
            title: title.unwrap_or_else(|| rule.name.replace('_', " ")),
            value: value.to_owned(),
            required: rule.default.is_none() && !rule.optional,
            default,
            example: rule.example.clone(),
            help: rule.help.as_deref().map(said),
            pattern: rule.html_pattern(),
            choices,
            error: None,
        }
    }
}

impl ParameterRule {
    /// Returns the values to choose from, if the rule lists them.
    fn choices(&self) -> Vec<String> {
        match &self.kind {
            ParameterKind::OneOf(values) => values.clone(),
            _ => Vec::new(),
        }
    }

    /// Returns the pattern for a browser to check. The rule itself judges surrounding white space,
    /// and values that it normalizes.
    fn html_pattern(&self) -> Option<String> {
        let plain = matches!(
            self.kind,
            ParameterKind::Word | ParameterKind::Segment | ParameterKind::Text
        );
        let bare = self.prefix.is_none() && self.suffix.is_none();
        self.pattern
            .as_ref()
            .map(|pattern| pattern.as_str().to_owned())
            .filter(|pattern| plain && bare && is_portable(pattern))
    }
}

/// Returns whether browsers read a pattern as this crate does. Browsers compile it with the flag
/// `v`, under which many characters in a set have to be escaped, and log an error for a pattern
/// that they cannot compile.
fn is_portable(pattern: &str) -> bool {
    if pattern.contains("(?") {
        return false;
    }
    let mut rest = pattern.chars().peekable();
    let (mut in_set, mut last) = (false, '[');
    while let Some(c) = rest.next() {
        let is_fine = match (in_set, c) {
            (_, '\\') => rest
                .next()
                .is_some_and(|escaped| "dDwWsS.*+?^$|()[]{}/\\".contains(escaped)),
            (false, '[') => {
                in_set = true;
                rest.next_if_eq(&'^');
                true
            }
            (false, _) => true,
            (true, ']') => {
                in_set = false;
                true
            }
            // Between two characters, a hyphen denotes a range.
            (true, '-') => last != '[' && rest.peek().is_some_and(char::is_ascii_alphanumeric),
            (true, _) => c.is_ascii_alphanumeric() || matches!(c, '_' | '.'),
        };
        if !is_fine {
            return false;
        }
        last = c;
    }
    !in_set
}

#[cfg(test)]
mod tests {
    use super::is_portable;
    use crate::gateway::page::text::Language;
    use crate::provider::{ParameterSource, catalog};

    #[test]
    fn every_parameter_of_the_catalogue_has_a_title_and_help_in_each_language() {
        let texts = Language::Russian.texts();
        for server in catalog::servers() {
            let entered = server.0.parameters.iter();
            for rule in entered.filter(|rule| rule.source == ParameterSource::Host) {
                assert!(rule.example.is_some(), "{}", rule.name);
                for text in [&rule.title, &rule.help] {
                    let text = text.as_deref().expect(&rule.name);
                    assert!((texts.of_catalogue)(text).is_some(), "{text}");
                }
            }
        }
    }

    #[test]
    fn patterns_that_browsers_read_otherwise_are_left_to_the_server() {
        for (pattern, fits) in [
            ("^https://[a-z]+\\.sites\\.test$", true),
            ("^[A-Za-z0-9_.]{3,20}$", true),
            ("^[^a-z]\\d+(eu|us)$", true),
            ("^[a-z0-9-]+$", false),
            ("^[-a-z]+$", false),
            ("^[a-z/]+$", false),
            ("^[a-z(]+$", false),
            ("^(?!x)[a-z]+$", false),
            ("^a\\-b$", false),
            ("^[a-z", false),
        ] {
            assert_eq!(is_portable(pattern), fits, "{pattern}");
        }
    }
}
