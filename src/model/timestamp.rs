//! A point in time, as the vault stores it.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::civil::Civil;
use crate::model::{InvalidValue, Rule};

/// A point in time in whole milliseconds since 1970-01-01 00:00:00 UTC.
///
/// A stored time equals the time that is read back, unlike `SystemTime` (nanoseconds,
/// platform-dependent range). Arithmetic saturates: a server's `expires_in` of 10^18 is far in the
/// future, not a panic.
///
/// [`Display`](fmt::Display) writes [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) in UTC with
/// milliseconds, such as `2026-03-01T14:05:00.000Z`, and [`FromStr`] accepts any offset. RFC 3339
/// has no years outside 0 to 9999; they are written with a sign and at least six digits, as in ISO
/// 8601 and ECMAScript.
///
/// With the feature `serde`, a time serializes as this text in human-readable formats, such as
/// JSON, and as its number of milliseconds in binary formats. Human-readable formats also accept
/// the number, which earlier versions wrote.
///
/// # Examples
///
/// ```
/// use valetkey::Timestamp;
///
/// let time: Timestamp = "2026-03-01T15:05:00+01:00".parse()?;
/// assert_eq!(time.to_string(), "2026-03-01T14:05:00.000Z");
/// assert_eq!(time, Timestamp::from_unix_millis(1_772_373_900_000));
/// # Ok::<(), valetkey::model::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the time at this number of milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_millis(self) -> i64 {
        self.0
    }

    /// Returns the duration since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the time that is `duration` earlier.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    /// Clamps times before the epoch, or outside the platform's range, to the epoch.
    fn from(time: Timestamp) -> Self {
        let millis = u64::try_from(time.0).unwrap_or(0);
        UNIX_EPOCH
            .checked_add(Duration::from_millis(millis))
            .unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = Civil::from_unix_seconds(self.0.div_euclid(1_000));
        let millis = self.0.rem_euclid(1_000);
        if (0..=9_999).contains(&year) {
            write!(f, "{year:04}")?;
        } else {
            write!(f, "{year:+07}")?;
        }
        write!(
            f,
            "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl FromStr for Timestamp {
    type Err = InvalidValue;

    /// Parses a time of RFC 3339. Digits after the milliseconds are ignored.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        parse(text.as_bytes()).ok_or_else(|| Rule::NotRfc3339.into())
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let mut rest = text;
    let civil = Civil {
        year: year(&mut rest)?,
        month: after(&mut rest, b"-")?,
        day: after(&mut rest, b"-")?,
        hour: after(&mut rest, b"Tt ")?,
        minute: after(&mut rest, b":")?,
        second: after(&mut rest, b":")?,
    };
    let millis = fraction(&mut rest)?;
    let seconds = civil.to_unix_seconds()? - offset(rest)?;
    let time = i128::from(seconds) * 1_000 + i128::from(millis);
    Some(Timestamp(i64::try_from(time).ok()?))
}

/// Parses a year: four digits, or a sign and six to nine digits.
fn year(rest: &mut &[u8]) -> Option<i64> {
    let sign = match rest.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return digits(rest, 4),
    };
    *rest = &rest[1..];
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (6..=9).contains(&len) {
        Some(sign * digits(rest, len)?)
    } else {
        None
    }
}

/// Parses two digits after one of these separators.
fn after(rest: &mut &[u8], separators: &[u8]) -> Option<i64> {
    let (first, others) = rest.split_first()?;
    if !separators.contains(first) {
        return None;
    }
    *rest = others;
    digits(rest, 2)
}

fn digits(rest: &mut &[u8], len: usize) -> Option<i64> {
    let (digits, others) = rest.split_at_checked(len)?;
    *rest = others;
    digits.iter().try_fold(0, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

/// Parses the milliseconds of a fraction of a second, if there is one.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some(0);
    };
    let len = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, others) = after.split_at(len);
    *rest = others;
    if fraction.is_empty() {
        return None;
    }
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    Some(
        padded
            .take(3)
            .fold(0, |millis, byte| millis * 10 + i64::from(byte - b'0')),
    )
}

/// Parses the offset from UTC, in seconds. Nothing may follow it.
fn offset(mut rest: &[u8]) -> Option<i64> {
    let sign = match rest {
        b"Z" | b"z" => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = (after(&mut rest, b"+-")?, after(&mut rest, b":")?);
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrNumber)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(feature = "serde")]
struct TextOrNumber;

#[cfg(feature = "serde")]
impl serde::de::Visitor<'_> for TextOrNumber {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time of RFC 3339, or a number of milliseconds since 1970")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<Timestamp, E> {
        Ok(Timestamp(millis))
    }

    fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<Timestamp, E> {
        i64::try_from(millis).map(Timestamp).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "serde")]
    #[test]
    fn json_has_the_text_and_is_read_with_either() {
        let time = Timestamp::from_unix_millis(1_772_373_900_120);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-03-01T14:05:00.120Z\"");
        for text in [&json, "1772373900120", "\"2026-03-01T15:05:00.12+01:00\""] {
            assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), time, "{text}");
        }
        let early = serde_json::from_str::<Timestamp>("-1").unwrap();
        assert_eq!(early, Timestamp::from_unix_millis(-1));
        for text in ["\"soon\"", "1.5", "18446744073709551615", "null", "[]"] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let late = Timestamp::from_unix_millis(i64::MAX - 1);
        assert_eq!(
            late + Duration::from_secs(10),
            Timestamp::from_unix_millis(i64::MAX)
        );
        assert_eq!(
            late.saturating_since(late + Duration::from_secs(1)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_unix_millis(5) + Duration::MAX,
            Timestamp::from_unix_millis(i64::MAX)
        );
    }

    #[test]
    fn system_time_survives_the_round_trip_to_the_millisecond() {
        let time = Timestamp::from_unix_millis(1_790_000_000_123);
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
    }

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_772_373_900_000, "2026-03-01T14:05:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
        ] {
            let time = Timestamp::from_unix_millis(millis);
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
        }
    }

    #[test]
    fn every_form_of_rfc_3339_is_read() {
        let expected = Ok(Timestamp::from_unix_millis(1_772_373_900_120));
        for text in [
            "2026-03-01T14:05:00.12Z",
            "2026-03-01t14:05:00.12z",
            "2026-03-01 14:05:00.120Z",
            "2026-03-01T14:05:00.120999999999999999999Z",
            "2026-03-01T15:05:00.12+01:00",
            "2026-03-01T06:35:00.12-07:30",
            "2026-03-01T14:05:00.12-00:00",
            "2026-03-02T13:05:00.12+23:00",
            "+002026-03-01T14:05:00.12Z",
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        let leap_second = "2016-12-31T23:59:60Z".parse();
        assert_eq!(leap_second, "2017-01-01T00:00:00Z".parse::<Timestamp>());
    }

    #[test]
    fn other_text_is_refused_and_not_repeated() {
        for text in [
            "",
            "2026",
            "2026-03-01",
            "2026-03-01T14:05:00",
            "2026-03-01T14:05Z",
            "2026-03-01T14:05:00.Z",
            "2026-03-01T14:05:00,5Z",
            "2026-03-01T14:05:00Zx",
            "2026-03-01T14:05:00+0100",
            "2026-03-01T14:05:00+24:00",
            "2026-03-01T14:05:00+01:60",
            "2026-03-01T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-3-1T00:00:00Z",
            "12026-03-01T00:00:00Z",
            "+12026-03-01T00:00:00Z",
            "+999999999-01-01T00:00:00Z",
            "+9999999999-01-01T00:00:00Z",
            " 2026-03-01T14:05:00Z",
            "２０２６-03-01T14:05:00Z",
            "1772373900000",
        ] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert!(
                text.len() < 5 || !format!("{error} {error:?}").contains(text),
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn every_time_survives_being_written_and_read(millis in proptest::prelude::any::<i64>()) {
            let time = Timestamp::from_unix_millis(millis);
            proptest::prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9TZtz:. ]{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
