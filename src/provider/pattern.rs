//! Patterns that the value of a parameter must match.

use std::fmt;
use std::sync::OnceLock;

use regex_lite::{Regex, RegexBuilder};

/// The maximum length of a pattern, in bytes.
const MAX_PATTERN: usize = 512;

/// The maximum length of a value that is compared with a pattern, in bytes: that of the longest
/// kind of parameter.
const MAX_INPUT: usize = 2048;

/// The memory limit of a compiled pattern, in bytes. It also limits the work of a comparison: one
/// state for each character.
const MAX_COMPILED: usize = 128 * 1024;

/// The maximum nesting of groups.
const MAX_DEPTH: u32 = 32;

/// A regular expression that the value of a parameter must match from end to end, with or without
/// `^` and `$`.
///
/// The syntax is that of [`regex-lite`](https://docs.rs/regex-lite/0.1/regex_lite/#syntax): no back
/// references, and classes such as `\d` and `\w` are ASCII. Look-ahead (`(?=…)`, `(?!…)`) is
/// allowed at the very start. A pattern has at most 512 bytes; the time of a comparison grows
/// linearly with the value.
///
/// A pattern is compiled once, when the descriptor is validated. A pattern that cannot be compiled
/// matches nothing.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Compiled>>,
}

#[derive(Clone)]
struct Compiled {
    look_ahead: Vec<LookAhead>,
    whole: Regex,
}

#[derive(Clone)]
struct LookAhead {
    is_wanted: bool,
    regex: Regex,
}

/// The look-ahead at the start of a pattern, and the rest.
struct Split<'a> {
    /// For each look-ahead, whether it must match, and the text in its parentheses.
    look_ahead: Vec<(bool, &'a str)>,
    rest: &'a str,
}

impl Pattern {
    /// Returns a pattern with this text. [`is_usable`](Self::is_usable) says whether it can be
    /// compiled; building the connections rejects a descriptor with a pattern that cannot.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            compiled: OnceLock::new(),
        }
    }

    /// Returns the text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the pattern can be compiled within its limits.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.compiled().is_some()
    }

    /// Returns whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some(compiled) = self.compiled().filter(|_| text.len() <= MAX_INPUT) else {
            return false;
        };
        let is_allowed = |ahead: &LookAhead| ahead.regex.is_match(text) == ahead.is_wanted;
        compiled.look_ahead.iter().all(is_allowed) && compiled.whole.is_match(text)
    }

    fn compiled(&self) -> Option<&Compiled> {
        self.compiled.get_or_init(|| compile(&self.text)).as_ref()
    }
}

fn compile(text: &str) -> Option<Compiled> {
    if text.len() > MAX_PATTERN {
        return None;
    }
    // Each part must be a complete pattern: otherwise `a)(?:b` would close the group that is put
    // around it.
    let anchored = |part: &str, end: &str| {
        bounded(part)?;
        bounded(&format!("^(?:{part}){end}"))
    };
    let split = split(text)?;
    let look_ahead = split.look_ahead.into_iter().map(|(is_wanted, body)| {
        let regex = anchored(body, "")?;
        Some(LookAhead { is_wanted, regex })
    });
    Some(Compiled {
        look_ahead: look_ahead.collect::<Option<_>>()?,
        whole: anchored(split.rest, "$")?,
    })
}

fn bounded(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED)
        .nest_limit(MAX_DEPTH)
        .build()
        .ok()
}

/// Separates the look-ahead from the pattern. `None` if parentheses do not pair, or if the
/// look-ahead would apply only to the first of several alternatives.
fn split(text: &str) -> Option<Split<'_>> {
    let mut look_ahead = Vec::new();
    let mut rest = text.strip_prefix('^').unwrap_or(text);
    while let Some((is_wanted, body)) = look_ahead_at_start(rest) {
        let end = closing_bracket(body)?;
        look_ahead.push((is_wanted, &body[..end]));
        rest = &body[end + 1..];
    }
    if look_ahead.is_empty() {
        return Some(Split {
            look_ahead,
            rest: text,
        });
    }
    (!has_alternatives(rest)).then_some(Split { look_ahead, rest })
}

fn look_ahead_at_start(text: &str) -> Option<(bool, &str)> {
    let wanted = text.strip_prefix("(?=").map(|body| (true, body));
    wanted.or_else(|| Some((false, text.strip_prefix("(?!")?)))
}

/// Returns the position of the parenthesis that closes a group whose body begins with `text`.
fn closing_bracket(text: &str) -> Option<usize> {
    structure(text).find_map(|(at, c, depth)| (c == ')' && depth < 0).then_some(at))
}

fn has_alternatives(text: &str) -> bool {
    structure(text).any(|(_, c, depth)| c == '|' && depth == 0)
}

/// Returns the characters that are neither escaped nor in a class, with their positions and the
/// depth of groups after them.
fn structure(text: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let (mut is_escaped, mut class, mut depth) = (false, None, 0);
    text.char_indices().filter_map(move |(at, c)| {
        if std::mem::take(&mut is_escaped) {
            return None;
        }
        match (c, class) {
            ('\\', _) => is_escaped = true,
            // A leading `]` stands for itself: `[]a]`, `[^]a]`.
            (']', Some(start)) if at > start && !text[start..at].trim_start_matches('^').is_empty() => {
                class = None
            }
            (_, Some(_)) => {}
            ('[', None) => class = Some(at + 1),
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            _ => {}
        }
        (class.is_none() && !is_escaped).then_some((at, c, depth))
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl<T: Into<String>> From<T> for Pattern {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl serde::Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_from_end_to_end() {
        for (pattern, yes, no) in [
            (
                "^[a-z0-9-]+$",
                &["acme", "a-1"][..],
                &["", "Acme", "a.b", "a\n"][..],
            ),
            (
                r"^https://[a-z0-9-]+\.atlassian\.net$",
                &["https://x.atlassian.net"],
                &["https://x.atlassian.net.evil", "https://xAatlassian.net"],
            ),
            (
                r"^\d{3}-\w{2,4}$",
                &["123-ab", "123-abcd"],
                &["12-ab", "123-a", "123-abcde", "١٢٣-ab"],
            ),
            (
                "^(eu|us|ap-?1)$",
                &["eu", "us", "ap1", "ap-1"],
                &["e", "euus", ""],
            ),
            ("eu|us", &["eu", "us"], &["eus", "xus", "eu1"]),
            ("^eu$|^us$", &["eu", "us"], &["eus"]),
            (r"(?:[^/.]+\.)*x", &["x", "a.b.x"], &[".x", "a/b.x"]),
            (r"^[\w.-]+@[\]a]$", &["a.b@]", "x@a"], &["x@b"]),
            ("a{2,}", &["aa", "aaaa"], &["a"]),
            (
                r"^(?!(?:.*\.)?bad\.test$)[a-z.]+$",
                &["a.test", "bad.test.org", "notbad.test"],
                &["bad.test", "a.bad.test", "A"],
            ),
            ("^(?=.*[0-9])(?!x)[a-z0-9]+$", &["a1"], &["a", "x1", "1-"]),
            ("(?!a)(?:[ab]x|y)", &["bx", "y"], &["ax"]),
            ("(?![)|]|a)[a-z|)]+", &["b|", "b)"], &["|", ")", "ab"]),
            ("(?![^])a]x)[a-z]x", &["ax"], &["bx"]),
            (r"(?!\)|\\)[)\\a]+", &["a)"], &[")", r"\a"]),
            (r"\$", &["$"], &[""]),
            ("", &[""], &["a"]),
        ] {
            let parsed = Pattern::new(pattern);
            assert!(parsed.is_usable(), "{pattern}");
            for text in yes {
                assert!(parsed.matches(text), "{pattern} {text}");
            }
            for text in no {
                assert!(!parsed.matches(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn patterns_that_cannot_be_compiled_match_nothing() {
        let long = "a".repeat(MAX_PATTERN + 1);
        for pattern in [
            "a(?!a)b",
            "(?<=a)b",
            "(?!a",
            "(?!a)b|c",
            r"(a)\1",
            "[a",
            "(",
            "*",
            "a)",
            "a)|(?:b",
            "(?!a)|(?:b)c",
            long.as_str(),
        ] {
            let pattern = Pattern::new(pattern);
            assert!(!pattern.is_usable(), "{pattern:?}");
            assert!(
                ["", "a", "b", "ab"].iter().all(|text| !pattern.matches(text)),
                "{pattern:?}"
            );
        }
    }

    /// Each of these repetitions would otherwise need unlimited memory or time.
    #[test]
    fn repetitions_are_bounded_in_memory() {
        for inner in ["", "()", "(?:)", "a", "a?", "a*", "[a-z]", "(?:a|)", "(?!a)"] {
            for depth in 1..6 {
                for count in [
                    "512",
                    "1,512",
                    "0,512",
                    "512,",
                    "99",
                    "1000",
                    "2147483647",
                    "4294967295",
                ] {
                    for (open, close) in [("(", ")"), ("(?:", ")")] {
                        let mut pattern = inner.to_owned();
                        for _ in 0..depth {
                            pattern = format!("{open}{pattern}{close}{{{count}}}");
                        }
                        let pattern = Pattern::new(pattern);
                        if depth > 3 {
                            assert!(!pattern.is_usable(), "{pattern:?}");
                        }
                        assert!(!pattern.matches(&format!("{}!", "a".repeat(200))), "{pattern:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn longer_values_than_any_kind_allows_match_nothing() {
        let pattern = Pattern::new("(a*)*b");
        assert!(pattern.matches(&format!("{}b", "a".repeat(MAX_INPUT - 1))));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(MAX_INPUT))));
        assert!(!pattern.matches(&"a".repeat(MAX_INPUT)));
    }
}
