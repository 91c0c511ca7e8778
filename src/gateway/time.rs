//! Formats points in time for users and programs.

use std::time::Duration;

use super::page::text::catalogue::{Texts, Unit};
use crate::model::{Civil, Timestamp};

/// Formats a point in time as [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) in UTC.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let [year, month, day, hour, minute, second] = civil(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Formats a point in time for users: `1 March 2026, 14:05 UTC`.
pub(super) fn full(texts: &Texts, time: Timestamp) -> String {
    let [year, month, day, hour, minute, _] = civil(time);
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|index| texts.months.get(index));
    format!("{day} {} {year}, {hour:02}:{minute:02} UTC", name.unwrap_or(&"?"))
}

/// Formats a point in time as hour and minute alone if it is on the same day in UTC.
pub(super) fn clock(texts: &Texts, time: Timestamp, now: Timestamp) -> String {
    let [.., hour, minute, _] = civil(time);
    if civil(time)[..3] == civil(now)[..3] {
        format!("{hour:02}:{minute:02} UTC")
    } else {
        full(texts, time)
    }
}

/// Formats the time since `at`.
pub(super) fn ago(texts: &Texts, at: Timestamp, now: Timestamp) -> String {
    let passed = now.saturating_since(at);
    if passed < Duration::from_secs(60) {
        texts.just_now.into()
    } else {
        (texts.ago)(&span(texts, passed))
    }
}

/// Formats a length of time in its largest unit.
pub(super) fn span(texts: &Texts, length: Duration) -> String {
    let seconds = length.as_secs();
    let (divisor, unit) = match seconds {
        0..60 => return texts.less_than_a_minute.into(),
        60..3_600 => (60, Unit::Minutes),
        3_600..172_800 => (3_600, Unit::Hours),
        172_800..5_184_000 => (86_400, Unit::Days),
        5_184_000..63_072_000 => (2_592_000, Unit::Months),
        _ => (31_536_000, Unit::Years),
    };
    (texts.span)(seconds / divisor, unit)
}

/// Returns year, month, day, hour, minute and second in UTC. Years have at most four digits: a year
/// 40,000 from a provider is shown as the end of 9999.
fn civil(time: Timestamp) -> [i64; 6] {
    let seconds = (time.as_unix_millis().div_euclid(1_000)).clamp(-62_135_596_800, 253_402_300_799);
    let civil = Civil::from_unix_seconds(seconds);
    [
        civil.year,
        civil.month,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::page::text::Language;

    fn english() -> &'static Texts {
        Language::English.texts()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (i64::MAX / 1_000, "9999-12-31T23:59:59Z"),
            (i64::MIN / 1_000, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(at(seconds)), text);
        }
        assert_eq!(
            full(english(), at(951_782_400 + 50_700)),
            "29 February 2000, 14:05 UTC"
        );
    }

    #[test]
    fn lengths_are_shown_in_their_largest_unit() {
        let minutes = |minutes: u64| span(english(), Duration::from_secs(minutes * 60));
        assert_eq!(minutes(0), "less than a minute");
        assert_eq!(minutes(12), "12 min");
        assert_eq!(minutes(90), "1 h");
        assert_eq!(minutes(60 * 24 * 3), "3 days");
        assert_eq!(ago(english(), at(100), at(90)), "just now");
        assert_eq!(ago(english(), at(0), at(7_200)), "2 h ago");
        let russian = Language::Russian.texts();
        assert_eq!(ago(russian, at(0), at(86_400 * 21)), "21 день назад");
        assert_eq!(full(russian, at(50_700)), "1 января 1970, 14:05 UTC");
        assert_eq!(clock(english(), at(50_700), at(0)), "14:05 UTC");
        assert_eq!(
            clock(english(), at(50_700 + 86_400), at(0)),
            "2 January 1970, 14:05 UTC"
        );
    }
}
