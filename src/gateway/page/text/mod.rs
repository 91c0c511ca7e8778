//! The texts of the pages, one file for each language.
//!
//! A language is a value of [`Texts`]: a missing text, or a missing arm for a new state, does not
//! compile. To add a language, write its file and add it to [`Language`].

pub(in crate::gateway) mod catalogue;
// One text a line: the formatter would break the lines that have a value.
#[rustfmt::skip]
mod en;
#[rustfmt::skip]
mod ru;

use http::{HeaderMap, header};

pub(in crate::gateway) use catalogue::Texts;

/// A language of the gateway's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// English.
    English,
    /// Russian.
    Russian,
}

impl Language {
    pub(in crate::gateway) const ALL: [Self; 2] = [Self::English, Self::Russian];

    pub(in crate::gateway) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::Russian => &ru::TEXTS,
        }
    }

    /// Returns the language that the browser prefers among those that exist
    /// ([RFC 9110 §12.5.4](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4)): English if there
    /// is none.
    pub(in crate::gateway) fn preferred(headers: &HeaderMap) -> Self {
        let mut best = (0, Self::English);
        let wanted = headers.get_all(header::ACCEPT_LANGUAGE);
        let ranges = wanted
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        for range in ranges {
            let (tag, quality) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let quality = quality.trim().strip_prefix("q=").map_or(1_000, per_mille);
            let found = Self::ALL
                .into_iter()
                .find(|language| language.texts().lang.eq_ignore_ascii_case(primary));
            // Of equal ranges the first one counts.
            if let Some(language) = found
                && quality > best.0
            {
                best = (quality, language);
            }
        }
        best.1
    }
}

/// Parses a weight such as `0.8`. A weight that cannot be parsed counts as zero.
fn per_mille(weight: &str) -> u32 {
    match weight.trim().split_once('.') {
        None => weight
            .trim()
            .parse::<u32>()
            .map_or(0, |whole| whole.min(1) * 1_000),
        Some(("0", digits)) if digits.len() <= 3 => format!("{digits:0<3}").parse().unwrap_or(0),
        Some(("1", _)) => 1_000,
        Some(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_browser_chooses_among_the_languages_that_exist() {
        for (wanted, language) in [
            ("", Language::English),
            ("ru", Language::Russian),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("en-US,en;q=0.9,ru;q=0.8", Language::English),
            ("de, ru;q=0.5, en;q=0.25", Language::Russian),
            ("de, fr", Language::English),
            ("ru;q=0, en;q=0.001", Language::English),
            ("ru;q=x", Language::English),
            ("RU;q=1.000", Language::Russian),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(wanted));
            assert_eq!(Language::preferred(&headers), language, "{wanted}");
        }
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn plural_forms_follow_the_rules_of_the_language() {
        for (number, text) in [
            (1, "ещё 1 право"),
            (2, "ещё 2 права"),
            (5, "ещё 5 прав"),
            (11, "ещё 11 прав"),
            (21, "ещё 21 право"),
            (22, "ещё 22 права"),
            (112, "ещё 112 прав"),
        ] {
            assert_eq!((ru::TEXTS.more_scopes)(number), text);
        }
        assert_eq!((en::TEXTS.more_scopes)(1), "and 1 more");
    }
}
