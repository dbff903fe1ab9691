//! Dates and instants in a key: one spelling, whichever crate they come from.
//!
//! Dates are `2026-01-31`, date-times have all nine digits of the second, and instants are in UTC
//! and end in `Z`, so that equal instants render equal: RFC 3339, before it is escaped.

use std::fmt;

use super::{KeyPart, KeyPartWriter};

/// A day of the proleptic Gregorian calendar.
struct Date {
    year: i32,
    month: u8,
    day: u8,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year {
            0..=9999 => write!(f, "{:04}", self.year)?,
            // ISO 8601 wants a sign where the year does not have four digits.
            _ => write!(f, "{:+05}", self.year)?,
        }
        write!(f, "-{:02}-{:02}", self.month, self.day)
    }
}

/// A day and a time of day, in whatever place.
struct DateTime {
    date: Date,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, hour, minute, second, nanosecond } = self;
        write!(f, "{date}T{hour:02}:{minute:02}:{second:02}.{nanosecond:09}")
    }
}

#[cfg(feature = "chrono")]
mod from_chrono {
    use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeZone, Timelike};

    use super::{Date, DateTime, KeyPart, KeyPartWriter};

    #[diagnostic::do_not_recommend]
    impl KeyPart for NaiveDate {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date(self));
        }
    }

    #[diagnostic::do_not_recommend]
    impl KeyPart for NaiveDateTime {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date_time(self));
        }
    }

    #[diagnostic::do_not_recommend]
    impl<Tz: TimeZone> KeyPart for chrono::DateTime<Tz> {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date_time(&self.naive_utc()));
            writer.push_str("Z");
        }
    }

    fn date(date: &impl Datelike) -> Date {
        Date { year: date.year(), month: date.month() as u8, day: date.day() as u8 }
    }

    fn date_time(value: &NaiveDateTime) -> DateTime {
        const SECOND: u32 = 1_000_000_000;

        // Chrono counts a leap second on in the nanoseconds of the 59th. It also lets one be set
        // in any other second, where it keeps its tenth digit and so meets no other time.
        let (second, nanosecond) = match (value.second(), value.nanosecond()) {
            (59, SECOND..) => (60, value.nanosecond() - SECOND),
            other => other,
        };
        DateTime {
            date: date(value),
            hour: value.hour() as u8,
            minute: value.minute() as u8,
            second: second as u8,
            nanosecond,
        }
    }
}

#[cfg(feature = "time")]
mod from_time {
    use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

    use super::{Date, DateTime, KeyPart, KeyPartWriter};

    #[diagnostic::do_not_recommend]
    impl KeyPart for time::Date {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date(*self));
        }
    }

    #[diagnostic::do_not_recommend]
    impl KeyPart for PrimitiveDateTime {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date_time(self.date(), self.time()));
        }
    }

    #[diagnostic::do_not_recommend]
    impl KeyPart for OffsetDateTime {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            match self.checked_to_offset(UtcOffset::UTC) {
                Some(utc) => {
                    writer.push_display(date_time(utc.date(), utc.time()));
                    writer.push_str("Z");
                }
                // A few hours at either end of the calendar have no date in UTC.
                None => writer.push_display(self.unix_timestamp_nanos()),
            }
        }
    }

    fn date(date: time::Date) -> Date {
        Date { year: date.year(), month: date.month().into(), day: date.day() }
    }

    fn date_time(day: time::Date, time: time::Time) -> DateTime {
        let (hour, minute, second, nanosecond) = time.as_hms_nano();
        DateTime { date: date(day), hour, minute, second, nanosecond }
    }
}

#[cfg(feature = "jiff")]
mod from_jiff {
    use jiff::{Timestamp, civil, tz::Offset};

    use super::{Date, DateTime, KeyPart, KeyPartWriter};

    #[diagnostic::do_not_recommend]
    impl KeyPart for civil::Date {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date(*self));
        }
    }

    #[diagnostic::do_not_recommend]
    impl KeyPart for civil::DateTime {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date_time(*self));
        }
    }

    #[diagnostic::do_not_recommend]
    impl KeyPart for Timestamp {
        fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
            writer.push_display(date_time(Offset::UTC.to_datetime(*self)));
            writer.push_str("Z");
        }
    }

    fn date(date: civil::Date) -> Date {
        Date {
            year: date.year().into(),
            month: date.month().unsigned_abs(),
            day: date.day().unsigned_abs(),
        }
    }

    fn date_time(value: civil::DateTime) -> DateTime {
        DateTime {
            date: date(value.date()),
            hour: value.hour().unsigned_abs(),
            minute: value.minute().unsigned_abs(),
            second: value.second().unsigned_abs(),
            nanosecond: value.subsec_nanosecond().unsigned_abs(),
        }
    }
}
