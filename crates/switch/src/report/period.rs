//! The time that a report counts: whole days of a time zone, and their hours.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

/// Milliseconds since 1970.
pub(super) type Moment = i64;

/// Days of a time zone, the first to the last.
#[derive(Clone, Debug)]
pub(super) struct Period {
    pub(super) zone: TimeZone,
    pub(super) first: Date,
    pub(super) last: Date,
}

/// A part of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// What people call it: `2026-11-20`, `2026-11-20 09:00`; an hour that the end of summer time repeats says its offset.
    pub(super) name: String,
    pub(super) time: Range<Moment>,
}

impl Period {
    /// All of it.
    ///
    /// # Errors
    /// Its days lie thousands of years away.
    pub(super) fn time(&self) -> Result<Range<Moment>, jiff::Error> {
        Ok(self.start(self.first)?..self.start(self.last.tomorrow()?)?)
    }

    /// Each day. Where summer time begins or ends a day has 23 or 25 hours.
    ///
    /// # Errors
    /// See `time`.
    pub(super) fn days(&self) -> Result<Vec<Interval>, jiff::Error> {
        let mut days = Vec::new();
        let mut day = self.first;
        while day <= self.last {
            let next = day.tomorrow()?;
            days.push(Interval {
                name: day.to_string(),
                time: self.start(day)?..self.start(next)?,
            });
            day = next;
        }
        Ok(days)
    }

    /// Each hour of each day, as the clock on the wall shows them.
    ///
    /// # Errors
    /// See `time`.
    pub(super) fn hours(&self) -> Result<Vec<Interval>, jiff::Error> {
        let end = self.time()?.end;
        let mut hours: Vec<Interval> = Vec::new();
        let mut at = self.first.to_zoned_datetime(self.zone.clone())?;
        while at.timestamp().as_millisecond() < end {
            // The next full hour on the wall, which in a zone of half hours is not one of UTC; what is skipped or repeated
            // by a change of the clocks is found by going on in real time.
            let ahead = 60 - i64::from(at.minute());
            let next = at.checked_add(ahead.minutes())?;
            let name = at.strftime("%Y-%m-%d %H:00").to_string();
            let time = at.timestamp().as_millisecond()..next.timestamp().as_millisecond();
            let repeats = hours.last().is_some_and(|before| before.name == name);
            let name = if repeats {
                at.strftime("%Y-%m-%d %H:00 %:z").to_string()
            } else {
                name
            };
            hours.push(Interval { name, time });
            at = next;
        }
        Ok(hours)
    }

    /// How its zone is called.
    pub(super) fn zone_name(&self) -> String {
        let name = self.zone.iana_name().map(str::to_owned);
        name.unwrap_or_else(|| "local time".to_owned())
    }

    /// The moment on the wall.
    pub(super) fn shown(&self, at: Moment) -> ZonedDateTime {
        let stamp = Timestamp::from_millisecond(at).unwrap_or_default();
        stamp.to_zoned_datetime(self.zone.clone())
    }

    fn start(&self, day: Date) -> Result<Moment, jiff::Error> {
        let midnight = day.to_zoned_datetime(self.zone.clone())?;
        Ok(midnight.timestamp().as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(zone: &str, first: &str, last: &str) -> Period {
        Period {
            zone: TimeZone::get(zone).unwrap(),
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        }
    }

    /// queue-cases.md, section C: days of 23 and 25 hours.
    #[test]
    fn a_day_on_which_the_clocks_change_has_23_or_25_hours() {
        for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-20", 24)] {
            let period = period("Europe/Berlin", day, day);
            let told = period.hours().unwrap();
            assert_eq!(told.len(), hours, "{day}");
            let all = period.time().unwrap();
            assert_eq!((all.end - all.start) / 3_600_000, hours as i64);
            assert_eq!(told.first().unwrap().time.start, all.start);
            assert_eq!(told.last().unwrap().time.end, all.end);
            for pair in told.windows(2) {
                assert_eq!(pair[0].time.end, pair[1].time.start);
                assert_ne!(pair[0].name, pair[1].name);
            }
        }
        let twice = period("Europe/Berlin", "2026-10-25", "2026-10-25");
        let names: Vec<String> = twice
            .hours()
            .unwrap()
            .into_iter()
            .map(|it| it.name)
            .collect();
        assert_eq!(names[2], "2026-10-25 02:00");
        assert_eq!(names[3], "2026-10-25 02:00 +01:00");
    }

    #[test]
    fn hours_are_those_on_the_wall_where_the_zone_is_half_an_hour_off() {
        let period = period("Asia/Kolkata", "2026-11-20", "2026-11-21");
        let hours = period.hours().unwrap();
        assert_eq!(hours.len(), 48);
        assert_eq!(hours[9].name, "2026-11-20 09:00");
        assert_eq!(period.days().unwrap().len(), 2);
    }
}
