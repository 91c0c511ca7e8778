//! Detects placeholders of other template languages, which would otherwise be sent literally.

use crate::provider::syntax::is_name;

/// Returns a placeholder of another template language in a URL, if there is one.
pub(super) fn in_url(text: &str) -> Option<&'static str> {
    let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let path = behind_scheme.split('?').next().unwrap_or_default();
    let is_route = |segment: &str| segment.starts_with(':') && segment.len() > 1;
    if path.split('/').skip(1).any(is_route) {
        return Some(":name");
    }
    if text.contains('<') && text.contains('>') {
        return Some("<name>");
    }
    before_brace(text)
}

/// Returns a placeholder of another template language in a value that is not a URL, if there is
/// one. A value may be JSON, so braces alone are text.
pub(super) fn in_value(text: &str) -> Option<&'static str> {
    let is_wrapped = |open: char, close: char| {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(is_name)
    };
    if text.strip_prefix(':').is_some_and(is_name) {
        return Some(":name");
    }
    if is_wrapped('<', '>') {
        return Some("<name>");
    }
    before_brace(text).filter(|_| has_spaced_or_marked_name(text))
}

/// Returns the characters before or inside the braces that another language would use.
fn before_brace(text: &str) -> Option<&'static str> {
    let marks = [
        ("${", "${name}"),
        ("{{", "{{name}}"),
        ("%{", "%{name}"),
        ("#{", "#{name}"),
    ];
    let marked = marks.into_iter().find(|(mark, _)| text.contains(mark));
    marked
        .map(|(_, name)| name)
        .or_else(|| spaced_name(text).then_some("{ name }"))
}

/// Returns whether there are spaces between the braces and a name.
fn spaced_name(text: &str) -> bool {
    text.split('{').skip(1).any(|rest| {
        let inner = rest.split_once('}').map(|(inner, _)| inner);
        inner.is_some_and(|inner| inner.trim() != inner && is_name(inner.trim()))
    })
}

fn has_spaced_or_marked_name(text: &str) -> bool {
    let named = text.split('{').skip(1).any(|rest| {
        let inner = rest.split_once('}').map(|(inner, _)| inner.trim());
        inner.is_some_and(is_name)
    });
    named || spaced_name(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_other_languages_are_recognised() {
        for (text, expected) in [
            ("https://${shop}.as.test/token", Some("${name}")),
            ("https://as.test/{{shop}}/token", Some("{{name}}")),
            ("https://as.test/%{shop}/token", Some("%{name}")),
            ("https://as.test/#{shop}/token", Some("#{name}")),
            ("https://as.test/{ shop }/token", Some("{ name }")),
            ("https://as.test/:tenant/token", Some(":name")),
            ("{base}/:tenant/token", Some(":name")),
            ("https://as.test/<tenant>/token", Some("<name>")),
            ("https://as.test:8443/{tenant}/token", None),
            ("https://as.test/models/a:{verb}?t=a:b", None),
            ("https://as.test/me?$select=id", None),
        ] {
            assert_eq!(in_url(text), expected, "{text}");
        }
        for (text, expected) in [
            ("${shop}", Some("${name}")),
            ("x-${shop}-y", Some("${name}")),
            ("{{shop}}", Some("{{name}}")),
            ("{ shop }", Some("{ name }")),
            (":tenant", Some(":name")),
            ("<tenant>", Some("<name>")),
            ("{shop}", None),
            (r#"{"id_token":{"email":null}}"#, None),
            (r#"{"a":{"b":{}}}"#, None),
            ("{ }", None),
            ("a < b > c", None),
            ("urn:x:y", None),
        ] {
            assert_eq!(in_value(text), expected, "{text}");
        }
    }
}
