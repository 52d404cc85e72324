//! What happened in the queues on a day, or on several, counted from the queue log.

mod figures;
mod ledger;
mod period;
mod tables;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use call::queue_log::Entry;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::config;
use crate::journal::days;
use crate::queue_log;
use crate::service::SERVICE_LEVEL;
use figures::Figures;
use ledger::{Fact, Ledger};
use period::{Interval, Moment, Period};

/// Most days of a report: with its hours, that is some 9,000 intervals.
const MOST_DAYS: i32 = 366;
/// Up to how many seconds callers waited, unless it is told otherwise.
const BUCKETS: [u64; 5] = [10, 20, 30, 60, 120];

/// What is to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The folder of the configuration.
    pub(crate) config: PathBuf,
    /// The first day (`2026-11-20`); none: the last that there is.
    pub(crate) day: Option<String>,
    /// The last day; none: the first.
    pub(crate) to: Option<String>,
    /// Each hour for itself, too.
    pub(crate) hours: bool,
    /// As JSON.
    pub(crate) json: bool,
    /// Whose days and hours (`Europe/Berlin`); none: the machine's.
    pub(crate) zone: Option<String>,
    /// Who is answered within this time is served well.
    pub(crate) within: Option<Duration>,
    /// The limits of waits, in seconds, in order.
    pub(crate) buckets: Option<Vec<u64>>,
}

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("{0}")]
    Mistakes(#[from] config::Report),
    #[error("there is no queue log in {}: the switch has not run yet", .0.display())]
    Nothing(PathBuf),
    #[error("no queue log of {first} to {last} in {}", folder.display())]
    NoDays {
        first: Date,
        last: Date,
        folder: PathBuf,
    },
    #[error("the queue log {} cannot be read: {reason}", path.display())]
    Unread { path: PathBuf, reason: io::Error },
    #[error("there is no time zone `{0}`: give a name such as Europe/Berlin, or UTC")]
    Zone(String),
    #[error("{0}")]
    Date(#[from] jiff::Error),
    #[error("{last} is before {first}, or more than {MOST_DAYS} days after it")]
    Order { first: Date, last: Date },
}

/// Prints the tables.
pub(crate) fn report(options: &Options) -> ExitCode {
    crate::tell("report", run(options))
}

fn run(options: &Options) -> Result<String, ReportError> {
    let folder = config::load(&options.config)?.queue_log;
    let zone = match &options.zone {
        Some(name) => TimeZone::get(name).map_err(|_| ReportError::Zone(name.clone()))?,
        None => TimeZone::system(),
    };
    let buckets = options.buckets.clone().unwrap_or_else(|| BUCKETS.to_vec());
    let report = Report::read(&folder, options, zone)?;
    if options.json {
        let mut text = format!("{:#}", report.json(options.hours, &buckets)?);
        text.push('\n');
        return Ok(text);
    }
    let mut text = report.text(options.hours)?;
    if options.buckets.is_some() {
        let all = report.count(&report.time, &buckets);
        text.push('\n');
        text.push_str(&tables::waits(&all, &buckets));
    }
    Ok(text)
}

/// Where the last entry belongs to.
fn last_day(newest: &Path, zone: &TimeZone) -> Result<Date, ReportError> {
    let mut last = String::new();
    read(newest, |entry| last = entry.at)?;
    let last: jiff::Timestamp = last.parse()?;
    Ok(last.to_zoned_datetime(zone.clone()).date())
}

fn read(path: &Path, take: impl FnMut(Entry)) -> Result<(), ReportError> {
    queue_log::read(path, take).map_err(|reason| ReportError::Unread {
        path: path.to_owned(),
        reason,
    })
}

/// What is known of a period.
struct Report {
    period: Period,
    time: Range<Moment>,
    facts: Vec<Fact>,
    /// Callers of the period who still wait.
    waiting: usize,
    /// Until when it is known what happened: the last entry, or the end.
    until: Moment,
    within: Duration,
}

impl Report {
    /// Reads the days of the log that a period needs: its own, the last one before, for what went on over midnight, and the next one,
    /// for what was over only then.
    fn read(folder: &Path, options: &Options, zone: TimeZone) -> Result<Self, ReportError> {
        let nothing = || ReportError::Nothing(folder.to_owned());
        let files = days(folder).map_err(|_| nothing())?;
        let (_, newest) = files.last().ok_or_else(nothing)?;
        let first: Date = match &options.day {
            Some(day) => day.parse()?,
            None => last_day(newest, &zone)?,
        };
        let last: Date = match &options.to {
            Some(day) => day.parse()?,
            None => first,
        };
        if last < first || (last - first).get_days() >= MOST_DAYS {
            return Err(ReportError::Order { first, last });
        }
        let period = Period { zone, first, last };
        let time = period.time()?;
        let utc = |at: Moment| {
            let stamp = jiff::Timestamp::from_millisecond(at)?;
            Ok::<_, jiff::Error>(stamp.to_zoned_datetime(TimeZone::UTC).date().to_string())
        };
        let (from, to) = (utc(time.start)?, utc(time.end - 1)?);
        let start = files.partition_point(|(day, _)| *day < from);
        let end = files.partition_point(|(day, _)| *day <= to);
        if start == end {
            let folder = folder.to_owned();
            return Err(ReportError::NoDays {
                first,
                last,
                folder,
            });
        }
        let mut ledger = Ledger::default();
        let wanted = start.saturating_sub(1)..(end + 1).min(files.len());
        for (_, path) in &files[wanted] {
            read(path, |entry| ledger.take(entry))?;
        }
        Ok(Self::new(ledger, period, time, options.within))
    }

    fn new(ledger: Ledger, period: Period, time: Range<Moment>, within: Option<Duration>) -> Self {
        let (facts, waiting, until) = ledger.close();
        let waiting = waiting.iter().filter(|joined| time.contains(joined));
        Self {
            waiting: waiting.count(),
            until: until.clamp(time.start, time.end),
            period,
            time,
            facts,
            within: within.unwrap_or(SERVICE_LEVEL),
        }
    }

    fn count(&self, time: &Range<Moment>, buckets: &[u64]) -> Figures {
        let mut figures = Figures::new(self.within, buckets);
        for fact in &self.facts {
            figures.add(fact, time);
        }
        figures
    }

    /// Of each interval in which anything happened.
    fn parts(&self, intervals: Vec<Interval>, buckets: &[u64]) -> Vec<(Interval, Figures)> {
        let mut parts: Vec<(Interval, Figures)> = intervals
            .into_iter()
            .map(|interval| (interval, Figures::new(self.within, buckets)))
            .collect();
        for fact in &self.facts {
            let (from, to) = fact.extent();
            let start = parts.partition_point(|(it, _)| it.time.end <= from);
            for (interval, figures) in &mut parts[start..] {
                if interval.time.start > to {
                    break;
                }
                figures.add(fact, &interval.time);
            }
        }
        parts.retain(|(_, figures)| figures.says_anything());
        parts
    }

    fn text(&self, hours: bool) -> Result<String, ReportError> {
        let Period { first, last, .. } = &self.period;
        let days = if first == last {
            first.to_string()
        } else {
            format!("{first} to {last}")
        };
        let until = self.period.shown(self.until);
        let until = if self.until == self.time.end {
            "24:00:00".to_owned()
        } else if first == last {
            until.strftime("%H:%M:%S").to_string()
        } else {
            until.strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        let mut text = format!("{days} ({}) until {until}", self.period.zone_name());
        if self.waiting > 0 {
            text += &format!(", {} still wait", self.waiting);
        }
        text.push_str("\n\n");
        let all = self.count(&self.time, &[]);
        text.push_str(&tables::told(&[("", &all)]));
        let mut add = |parts: &[(Interval, Figures)]| {
            let skip = if first == last {
                "2026-11-20 ".len()
            } else {
                0
            };
            let parts: Vec<(&str, &Figures)> = parts
                .iter()
                .map(|(it, figures)| (it.name.get(skip..).unwrap_or(&it.name), figures))
                .collect();
            if !parts.is_empty() {
                text.push('\n');
                text.push_str(&tables::told(&parts));
            }
        };
        if first != last {
            add(&self.parts(self.period.days()?, &[]));
        }
        if hours {
            add(&self.parts(self.period.hours()?, &[]));
        }
        Ok(text)
    }

    fn json(&self, hours: bool, buckets: &[u64]) -> Result<Value, ReportError> {
        let listed = |intervals: Vec<Interval>| {
            let parts = self.parts(intervals, buckets).into_iter();
            let parts = parts.map(|(it, figures)| {
                let mut value = tables::json(&figures, buckets);
                value["from"] = json!(self.stamp(it.time.start));
                value["to"] = json!(self.stamp(it.time.end));
                value
            });
            Value::from_iter(parts)
        };
        let mut value = tables::json(&self.count(&self.time, buckets), buckets);
        value["from"] = json!(self.stamp(self.time.start));
        value["to"] = json!(self.stamp(self.time.end));
        value["until"] = json!(self.stamp(self.until));
        value["zone"] = json!(self.period.zone_name());
        value["in_time_s"] = json!(self.within.as_secs());
        value["still_waiting"] = json!(self.waiting);
        value["days"] = listed(self.period.days()?);
        if hours {
            value["hours"] = listed(self.period.hours()?);
        }
        Ok(value)
    }

    /// RFC 3339 with the zone's offset.
    fn stamp(&self, at: Moment) -> String {
        let shown = self.period.shown(at);
        shown.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}
