//! Times such as `2026-12-22T16:00:00Z`
//! ([RFC 3339 §5.6](https://www.rfc-editor.org/rfc/rfc3339#section-5.6)).

/// Returns the seconds since 1970 of a time with its offset from UTC. Fractions are ignored. `None`
/// for times before 1970 and for any other text.
pub(super) fn unix_seconds(text: &str) -> Option<u64> {
    let (date, rest) = text.trim().split_at_checked(10)?;
    let (clock, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    let offset = offset(without_fraction(rest)?)?;
    let local = ((days_before(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    u64::try_from(local - offset).ok().filter(|_| is_time && is_date)
}

/// Parses three numbers, each with the given number of digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let parts: [&str; 3] = text.split(separator).collect::<Vec<_>>().try_into().ok()?;
    let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
    let all = parts
        .iter()
        .zip(digits)
        .all(|(part, digits)| is_number(part, digits));
    let [one, two, three] = parts.map(str::parse);
    all.then_some([one.ok()?, two.ok()?, three.ok()?])
}

/// Returns the text after `.123`, if there is a fraction.
fn without_fraction(text: &str) -> Option<&str> {
    let Some(fraction) = text.strip_prefix('.') else {
        return Some(text);
    };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < fraction.len()).then_some(rest)
}

/// Returns the offset of `Z`, `+01:00` or `+0100` from UTC, in seconds.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits = text[1..].replacen(':', "", 1);
    let (hours, minutes) = digits.split_at_checked(2)?;
    let number = |text: &str, below: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<i64>().ok().filter(|number| *number < below);
        number.filter(|_| is_number)
    };
    Some(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to this date. Years begin in March here, so that the leap day
/// comes last.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_an_offset_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:59Z", Some(59)),
            ("2026-12-22T16:00:00Z", Some(1_797_955_200)),
            ("2026-12-22t16:00:00z", Some(1_797_955_200)),
            ("2026-12-22 16:00:00Z", Some(1_797_955_200)),
            ("2026-12-22T16:00:00.123456Z", Some(1_797_955_200)),
            ("2026-12-22T17:30:00+01:30", Some(1_797_955_200)),
            ("2026-12-22T08:00:00-0800", Some(1_797_955_200)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("2026-02-29T00:00:00Z", None),
            ("2100-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-12-32T00:00:00Z", None),
            ("2026-12-22T24:00:00Z", None),
            ("2026-12-22T16:00:00", None),
            ("2026-12-22T16:00:00.Z", None),
            ("2026-12-22T16:00:00+25:00", None),
            ("2026-12-22T16:00:00+1:00", None),
            ("2026-12-22T16:00Z", None),
            ("2026-12-22", None),
            ("1969-12-31T23:59:59Z", None),
            ("+026-12-22T16:00:00Z", None),
            ("2026-12-22T16:00:00é", None),
            ("", None),
        ] {
            assert_eq!(unix_seconds(text), expected, "{text}");
        }
    }
}
