//! Values with placeholders that are no URLs: added parameters and headers.

use zeroize::Zeroizing;

use crate::provider::template::is_name;
use crate::secret::SecretText;

/// Names that stand for something of the request itself, never for a value of the connection.
pub(super) const BUILT_IN: [&str; 5] = ["redirect_uri", "scope", "client_id", "random", "state"];

/// What stands between alternatives, as in a URL.
pub(super) const OR: &str = " || ";

/// Stands for a `{` that a value of the connection has, until the text is sent: values are not templates. No value has a
/// control character in it.
const HELD_BRACE: char = '\u{1}';

/// The names of the `{name}` in a value. Other braces are text.
pub(crate) fn names_in(value: &str) -> impl Iterator<Item = &str> {
    value.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        is_name(name).then_some(name)
    })
}

/// Whether [`filled`] would change the text.
pub(crate) fn is_unfilled(value: &str) -> bool {
    value.contains(HELD_BRACE) || names_in(value).next().is_some()
}

/// The text as it is sent: each known `{name}` replaced by its value; other names stay as they are. Braces in values that
/// [`chosen`] put in are text.
pub(crate) fn filled(value: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut out = SecretText::default();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(['{', HELD_BRACE]) {
        out.push_str(before);
        if rest[before.len()..].starts_with(HELD_BRACE) {
            out.push_str("{");
            rest = after;
            continue;
        }
        let named = after.split_once('}').filter(|(name, _)| is_name(name));
        match named.and_then(|(name, tail)| Some((known(name)?, tail))) {
            Some((text, tail)) => {
                out.push_str(&Zeroizing::new(text));
                rest = tail;
            }
            None => {
                out.push_str("{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.into_string()
}

/// Whether the value says anything but itself.
pub(super) fn is_template(value: &str) -> bool {
    value.contains(OR) || names_in(value).next().is_some()
}

/// The first of the alternatives whose names are all known, filled with their values; empty if there is none. Names that
/// are [`BUILT_IN`] and not known yet stay as they are, for [`filled`].
pub(super) fn chosen(value: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let has = |name: &str| known(name).is_some() || BUILT_IN.contains(&name);
    value
        .split(OR)
        .find(|alternative| names_in(alternative).all(has))
        .map(|alternative| filled(alternative, |name| Some(held(&known(name)?))))
        .unwrap_or_default()
}

fn held(value: &str) -> String {
    value.replace('{', &HELD_BRACE.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_expanded_a_second_time() {
        let value = |_: &str| Some("{state} {x}".to_owned());
        let connection = |name: &str| (name == "x").then(|| value(name)).flatten();
        let request = |name: &str| (name == "state").then(|| "the-state".to_owned());
        let text = chosen("{x}-{state}", connection);
        assert!(is_unfilled(&text));
        assert_eq!(filled(&text, request), "{state} {x}-the-state");
        let text = chosen("{x}", connection);
        assert!(is_unfilled(&text));
        assert_eq!(filled(&text, request), "{state} {x}");
    }

    #[test]
    fn the_first_alternative_that_is_known_is_taken() {
        let known = |name: &str| (name == "a").then(|| "1".to_owned());
        for (value, expected) in [
            ("x-{a}", "x-1"),
            ("{b} || {a} || 3", "1"),
            ("{b} || 3", "3"),
            ("{b}", ""),
            ("{a}{b}", ""),
            ("{random}-{a}", "{random}-1"),
            ("{not a name} {", "{not a name} {"),
            ("", ""),
        ] {
            assert_eq!(chosen(value, known), expected, "{value}");
        }
    }
}
