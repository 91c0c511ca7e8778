//! Dates of the proleptic Gregorian calendar, in UTC.

/// A point in time in calendar units. The month and the day count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

/// The number of days from 1 March of the year 0 to the epoch.
const EPOCH: i64 = 719_468;
/// The number of days in an era of 400 years.
const ERA: i64 = 146_097;

impl Civil {
    /// Returns the date and time at this number of seconds after the Unix epoch.
    pub(crate) const fn from_unix_seconds(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Eras of 400 years that begin on 1 March: the leap day is the last of its year.
        let shifted = days + EPOCH;
        let (era, day_of_era) = (shifted.div_euclid(ERA), shifted.rem_euclid(ERA));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Self {
            year: year_of_era + era * 400 + if month <= 2 { 1 } else { 0 },
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest % 3_600 / 60,
            second: rest % 60,
        }
    }

    /// Returns the seconds from the Unix epoch to this date and time; `None` if it does not exist.
    /// The second 60 of a leap second counts as the first second of the next minute. The year has
    /// at most nine digits.
    pub(crate) const fn to_unix_seconds(self) -> Option<i64> {
        let is_date = self.month >= 1 && self.month <= 12 && self.day >= 1 && self.day <= 31;
        let is_time = self.hour >= 0 && self.hour < 24 && self.minute >= 0 && self.minute < 60;
        if !is_date || !is_time || self.second < 0 || self.second > 60 || self.year.abs() > 999_999_999 {
            return None;
        }
        let year = self.year - if self.month <= 2 { 1 } else { 0 };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let shifted_month = (self.month + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * ERA + day_of_era - EPOCH;
        let seconds = days * 86_400 + self.hour * 3_600 + self.minute * 60;
        // 31 April would become 1 May.
        let found = Self::from_unix_seconds(seconds);
        if found.day != self.day || found.month != self.month {
            return None;
        }
        Some(seconds + self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut last = Civil::from_unix_seconds(0);
        for day in 1..ERA {
            let next = Civil::from_unix_seconds(day * 86_400);
            let follows = if next.day == 1 {
                next.month == last.month % 12 + 1 && (28..=31).contains(&last.day)
            } else {
                next.day == last.day + 1 && next.month == last.month
            };
            assert!(follows, "{last:?} {next:?}");
            assert_eq!(next.to_unix_seconds(), Some(day * 86_400), "{next:?}");
            last = next;
        }
    }

    #[test]
    fn there_is_no_such_date_or_time() {
        let leap = Civil {
            year: 2024,
            month: 2,
            day: 29,
            hour: 23,
            minute: 59,
            second: 60,
        };
        assert_eq!(leap.to_unix_seconds(), Some(1_709_251_200));
        for wrong in [
            Civil { year: 2023, ..leap },
            Civil { year: 1900, ..leap },
            Civil { day: 30, ..leap },
            Civil { day: 0, ..leap },
            Civil { month: 0, ..leap },
            Civil { month: 13, ..leap },
            Civil {
                month: 4,
                day: 31,
                ..leap
            },
            Civil { hour: 24, ..leap },
            Civil { minute: 60, ..leap },
            Civil { second: 61, ..leap },
            Civil {
                year: i64::MAX,
                ..leap
            },
        ] {
            assert_eq!(wrong.to_unix_seconds(), None, "{wrong:?}");
        }
    }
}
