//! What accounts had used up outside on a day, by the call records of that day: a restart gives nobody new minutes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use call::trunk::Spent;
use serde::Deserialize;
use sip::endpoint::Account;

use crate::journal::day_file;

/// Octets at the end of a day's file that are looked at: some 100,000 calls in a tenth of a second. What came before them on
/// such a day is forgotten.
const MAX_READ: u64 = 256 << 20;

/// What a line says of calls outside.
#[derive(Deserialize)]
struct Record {
    start: String,
    legs: Vec<Leg>,
}

#[derive(Deserialize)]
struct Leg {
    paid_by: Option<String>,
    answer: Option<String>,
    end: String,
}

/// Reads what accounts used up on `day` (`2026-11-20`, UTC) in the calls that have ended. Lines that are no records say nothing.
///
/// # Errors
/// The file is there, but cannot be read.
pub(crate) fn spent_on(folder: &Path, day: &str) -> io::Result<Vec<Spent>> {
    let mut file = match File::open(day_file(folder, day)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let skipped = file.metadata()?.len().saturating_sub(MAX_READ);
    file.seek(SeekFrom::Start(skipped))?;
    let mut spent: BTreeMap<String, (u32, Duration)> = BTreeMap::new();
    for line in BufReader::new(file.take(MAX_READ)).split(b'\n') {
        let line = line?;
        // Most calls stay in the house.
        let text = String::from_utf8_lossy(&line);
        if !text.contains("\"paid_by\":\"") {
            continue;
        }
        let Ok(record) = serde_json::from_str::<Record>(&text) else {
            continue;
        };
        let mut begun = record.start.starts_with(day);
        for leg in &record.legs {
            let Some(payer) = &leg.paid_by else {
                continue;
            };
            let (calls, talk) = spent.entry(payer.clone()).or_default();
            // A call counts once, for whom it was charged to first.
            *calls += u32::from(std::mem::take(&mut begun));
            let end = since_midnight(&leg.end, day);
            let answer = leg
                .answer
                .as_deref()
                .map_or(end, |at| since_midnight(at, day));
            *talk += end.saturating_sub(answer);
        }
    }
    let spent = spent.into_iter().map(|(account, (calls, talk))| Spent {
        account: Account(account.into()),
        calls,
        talk,
    });
    Ok(spent.collect())
}

/// How much of the day had passed then (`2026-11-20T21:20:00.123Z`); nothing, if it was the day before.
pub(crate) fn since_midnight(moment: &str, day: &str) -> Duration {
    let parts = moment
        .strip_prefix(day)
        .and_then(|time| call::time_of_day(time.strip_prefix('T')?.strip_suffix('Z')?));
    parts.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_records_of_a_day_tell_what_each_account_talked_outside() {
        let folder = std::env::temp_dir().join(format!("ringmaster-spent-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let record = |start: &str, legs: &[(&str, &str, &str)]| {
            let quoted = |text: &str| match text {
                "" => "null".to_owned(),
                text => format!("\"{text}\""),
            };
            let legs = legs.iter().map(|(payer, answer, end)| {
                let (payer, answer) = (quoted(payer), quoted(answer));
                format!("{{\"leg\":1,\"paid_by\":{payer},\"answer\":{answer},\"end\":\"{end}\"}}")
            });
            let legs: Vec<String> = legs.collect();
            format!(
                "{{\"call\":\"x\",\"start\":\"{start}\",\"legs\":[{}]}}\n",
                legs.join(",")
            )
        };
        let (noon, later) = ("2026-11-20T12:00:00.500Z", "2026-11-20T12:10:01.000Z");
        let text = [
            record(
                noon,
                &[("", noon, later), ("205", noon, later), ("205", "", later)],
            ),
            // Begun the day before: only the talk after midnight counts.
            record(
                "2026-11-19T23:50:00.000Z",
                &[(
                    "205",
                    "2026-11-19T23:51:00.000Z",
                    "2026-11-20T00:01:00.000Z",
                )],
            ),
            "no record \"paid_by\":\"205\"\n".to_owned(),
            record(noon, &[("", noon, later)]),
            record(noon, &[("206", noon, later), ("207", noon, later)]),
        ];
        fs::write(folder.join("2026-11-20.jsonl"), text.concat()).unwrap();
        let ten = Duration::from_millis(600_500);
        let spent = |account: &str, calls, talk| Spent {
            account: Account(account.into()),
            calls,
            talk,
        };
        assert_eq!(
            spent_on(&folder, "2026-11-20").unwrap(),
            [
                spent("205", 1, ten + Duration::from_secs(60)),
                spent("206", 1, ten),
                spent("207", 0, ten)
            ]
        );
        assert_eq!(spent_on(&folder, "2026-11-21").unwrap(), []);
        fs::remove_dir_all(&folder).unwrap();
    }
}
