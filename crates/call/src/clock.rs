//! Wall time for records: one anchor taken at the start, so that a clock step never bends a duration.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The moment at which monotonic and wall time were read together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    since_epoch: Duration,
}

/// A moment of wall time, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    milli: u32,
}

impl Clock {
    pub(crate) fn new(instant: Instant, wall: SystemTime) -> Self {
        Self {
            instant,
            since_epoch: wall.duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    pub(crate) fn moment(&self, at: Instant) -> Moment {
        let before = self.instant.saturating_duration_since(at);
        let after = at.saturating_duration_since(self.instant);
        Moment::new((self.since_epoch + after).saturating_sub(before))
    }

    /// The moment that was written so (RFC 3339 as `Moment::rfc3339` writes it); one that cannot be read, or that is longer ago than
    /// the machine runs, is the anchor's.
    pub(crate) fn instant(&self, text: &str) -> Instant {
        let ago = since_epoch(text).map(|then| self.since_epoch.saturating_sub(then));
        ago.and_then(|ago| self.instant.checked_sub(ago))
            .unwrap_or(self.instant)
    }

    /// The start of the switch as a prefix of call names: `20261120T212000123`.
    pub(crate) fn start(&self) -> String {
        let m = self.moment(self.instant);
        format!("{}T{}{:03}", m.date().replace('-', ""), m.time(), m.milli)
    }
}

impl Moment {
    /// Civil date from days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
    fn new(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs();
        let days = seconds / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
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
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: seconds / 3_600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            milli: since_epoch.subsec_millis(),
        }
    }

    /// `2026-11-20`
    pub(crate) fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `212000`
    pub(crate) fn time(&self) -> String {
        format!("{:02}{:02}{:02}", self.hour, self.minute, self.second)
    }

    /// `2026-11-20T21:20:00.123Z` (RFC 3339).
    pub(crate) fn rfc3339(&self) -> String {
        let mut text = self.date();
        write!(
            text,
            "T{:02}:{:02}:{:02}.{:03}Z",
            self.hour, self.minute, self.second, self.milli
        )
        .expect("writing to a String cannot fail");
        text
    }
}

/// `2026-11-20T21:20:00.123Z` as the time since 1970.
fn since_epoch(text: &str) -> Option<Duration> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.split('-').map(|text| text.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Days from the civil date (H. Hinnant, as above).
    let year = year.checked_sub(u64::from(month <= 2))?;
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day.checked_sub(1)?;
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(Duration::from_secs(days * 86_400) + time_of_day(time)?)
}

/// `21:20:00.123` as the time since midnight: the part of a moment of the records and logs between its `T` and its `Z`.
#[must_use]
pub fn time_of_day(text: &str) -> Option<Duration> {
    let (time, millis) = text.split_once('.')?;
    let mut seconds = 0;
    for part in time.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(Duration::from_secs(seconds) + Duration::from_millis(millis.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_209_600, "2026-11-20T21:20:00.000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Moment::new(Duration::from_secs(seconds)).rfc3339(), text);
            assert_eq!(since_epoch(text), Some(Duration::from_secs(seconds)));
        }
    }
}
