//! Reports of made days; the cases are those of queue-cases.md, sections B (statistics) and C.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::journal::{Line, day_file};

/// Reads lines such as `09:00:10 {"event":"joined",..}`, or with a day before the time, as entries.
fn entries(lines: &str) -> Vec<Entry> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (moment, event) = line.split_once(' ').unwrap();
            let at = if moment.contains('T') {
                format!("{moment}.000Z")
            } else {
                format!("2026-11-20T{moment}.000Z")
            };
            let event = serde_json::from_str(event).unwrap();
            Entry { at, event }
        })
        .collect()
}

fn of(lines: &str, zone: &str, first: &str, last: &str) -> Report {
    let mut ledger = Ledger::default();
    entries(lines)
        .into_iter()
        .for_each(|entry| ledger.take(entry));
    let period = Period {
        zone: TimeZone::get(zone).unwrap(),
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
    };
    let time = period.time().unwrap();
    Report::new(ledger, period, time, None)
}

fn day(lines: &str) -> Report {
    of(lines, "UTC", "2026-11-20", "2026-11-20")
}

fn figures(report: &Report) -> Figures {
    report.count(&report.time, &[])
}

const MORNING: &str = r#"
    08:00:00 {"event":"started"}
    08:00:00 {"event":"agent","agent":"201","status":"available","calls":9,"talk_ms":1,"idle_since":""}
    08:00:00 {"event":"agent","agent":"202","status":"logged-out","calls":0,"talk_ms":0,"idle_since":""}
    08:59:50 {"event":"joined","call":"1","queue":"support","caller":"300"}
    09:00:05 {"event":"missed","call":"1","queue":"support","agent":"201","failure":"no-answer"}
    09:00:20 {"event":"answered","call":"1","queue":"support","agent":"201","wait_ms":30000}
    09:00:20 {"event":"vanished","call":"1","queue":"support","agent":"201"}
    09:00:30 {"event":"answered","call":"1","queue":"support","agent":"201","wait_ms":40000}
    09:00:40 {"event":"joined","call":"2","queue":"support","caller":"301"}
    09:00:50 {"event":"full","queue":"support"}
    09:00:51 {"event":"full","queue":"support","led_on":true}
    09:01:00 {"event":"left","call":"2","queue":"support","outcome":"abandoned","wait_ms":20000}
    09:09:00 {"event":"held","call":"1","queue":"support","agent":"201","hold_ms":90000}
    09:10:30 {"event":"talked","call":"1","queue":"support","agent":"201","talk_ms":600000}
    09:11:00 {"event":"wrapped-up","agent":"201","wrap_up_ms":30000}
    10:00:00 {"event":"status","agent":"201","status":"on-break","reason":"lunch"}
    10:30:00 {"event":"status","agent":"201","status":"available"}
    10:30:10 {"event":"joined","call":"3","queue":"support","caller":"302"}
    10:30:15 {"event":"answered","call":"3","queue":"support","agent":"201","wait_ms":5000}
"#;

/// With several customers at once: 201 talks from 9:00 to 9:45 with one or two, and wraps up while it talks and until 9:50.
#[test]
fn a_time_of_two_conversations_is_one_of_work() {
    let report = day(r#"
    09:00:00 {"event":"started"}
    09:00:00 {"event":"agent","agent":"201","status":"available","calls":0,"talk_ms":0,"idle_since":""}
    09:30:00 {"event":"talked","call":"1","queue":"support","agent":"201","talk_ms":1800000}
    09:32:00 {"event":"wrapped-up","agent":"201","wrap_up_ms":120000}
    09:45:00 {"event":"talked","call":"2","queue":"support","agent":"201","talk_ms":1800000}
    09:50:00 {"event":"wrapped-up","agent":"201","wrap_up_ms":300000}
    10:00:00 {"event":"status","agent":"201","status":"logged-out"}
    "#);
    let figures = figures(&report);
    let agent = &figures.agents["201"];
    assert_eq!(agent.work.talk, Duration::from_secs(3_600));
    assert_eq!(agent.occupancy(), 83);
    let second_half = report.count(&(report.time.start + 34_200_000..report.time.end), &[]);
    assert_eq!(
        second_half.agents["201"].occupancy(),
        67,
        "20 of 30 minutes"
    );
}

#[test]
fn a_day_is_counted() {
    assert_eq!(day(MORNING).text(true).unwrap(), include_str!("day.txt"),);
}

/// Whoever waited when the switch was killed is gone; who talked had been answered; what agents did meanwhile is not known.
#[test]
fn a_kill_in_between_loses_nothing_that_was_there() {
    let killed = format!(
        "{MORNING}
         10:40:00 {{\"event\":\"joined\",\"call\":\"4\",\"queue\":\"support\",\"caller\":\"303\"}}
         11:00:00 {{\"event\":\"started\"}}
         11:00:00 {{\"event\":\"agent\",\"agent\":\"201\",\"status\":\"available\",\"calls\":9,\"talk_ms\":1,\"idle_since\":\"\"}}
         11:10:00 {{\"event\":\"joined\",\"call\":\"5\",\"queue\":\"support\",\"caller\":\"304\"}}"
    );
    let report = day(&killed);
    let text = report.text(false).unwrap();
    assert!(text.contains("11:10:00, 1 still wait"), "{text}");
    let counted = figures(&report);
    let row = counted.callers.queues.values().next().unwrap();
    assert_eq!((row.calls, row.answered, row.closed), (6, 2, 1));
    let agent = &counted.agents["201"];
    assert_eq!(agent.available, Duration::from_secs(2 * 3_600 + 20 * 60));
    assert_eq!(agent.on_break(), Duration::from_secs(1_800));
}

/// Section B, statistics (a): one answered, one given up, one that nobody served.
#[test]
fn answered_abandoned_and_blocked_callers_are_told_apart() {
    let report = day(r#"
        09:00:00 {"event":"joined","call":"1","queue":"q","caller":"1"}
        09:00:01 {"event":"answered","call":"1","queue":"q","agent":"a","wait_ms":1000}
        09:00:05 {"event":"talked","call":"1","queue":"q","agent":"a","talk_ms":4000}
        09:01:00 {"event":"joined","call":"2","queue":"q","caller":"2"}
        09:01:03 {"event":"left","call":"2","queue":"q","outcome":"abandoned","wait_ms":3000}
        09:02:00 {"event":"joined","call":"3","queue":"q","caller":"3"}
        09:02:00 {"event":"left","call":"3","queue":"q","outcome":"no-agent","wait_ms":0}
    "#);
    let value = report.json(false, &[]).unwrap();
    let row = &value["queues"]["q"];
    let told = ["offered", "answered", "abandoned", "no_agent"].map(|name| row[name].as_u64());
    assert_eq!(told, [Some(3), Some(1), Some(1), Some(1)]);
}

/// Section B, statistics (b): two log-ins with a pause of 2 s each: logged in for 8 s, paused for 4 s.
#[test]
fn two_log_ins_with_pauses_are_added_up() {
    let cycle = |at: u32| {
        format!(
            r#"
            09:00:{at:02} {{"event":"status","agent":"a","status":"available"}}
            09:00:{:02} {{"event":"status","agent":"a","status":"on-break","reason":"pause"}}
            09:00:{:02} {{"event":"status","agent":"a","status":"available"}}
            09:00:{:02} {{"event":"status","agent":"a","status":"logged-out"}}"#,
            at + 1,
            at + 3,
            at + 4
        )
    };
    let report = day(&(cycle(0) + &cycle(20)));
    let counted = figures(&report);
    let agent = &counted.agents["a"];
    assert_eq!(agent.logged_in(), Duration::from_secs(8));
    assert_eq!(agent.on_break(), Duration::from_secs(4));
}

/// Section B, statistics (c): a wrap-up of 2 s in one queue and none in the other, talks of 2 s and 3 s.
#[test]
fn wrap_up_and_talk_are_told_by_agent_and_by_queue() {
    let report = day(r#"
        09:00:00 {"event":"joined","call":"1","queue":"q1","caller":"1"}
        09:00:00 {"event":"answered","call":"1","queue":"q1","agent":"a","wait_ms":0}
        09:00:02 {"event":"talked","call":"1","queue":"q1","agent":"a","talk_ms":2000}
        09:00:04 {"event":"wrapped-up","agent":"a","wrap_up_ms":2000}
        09:00:10 {"event":"joined","call":"2","queue":"q2","caller":"2"}
        09:00:10 {"event":"answered","call":"2","queue":"q2","agent":"a","wait_ms":0}
        09:00:13 {"event":"talked","call":"2","queue":"q2","agent":"a","talk_ms":3000}
    "#);
    let value = report.json(false, &[]).unwrap();
    assert_eq!(value["agents"]["a"]["wrap_up_ms"], 2_000);
    assert_eq!(value["agents"]["a"]["talk_ms"], 5_000);
    assert_eq!(value["queues"]["q1"]["wrap_up_ms"], 2_000);
    assert_eq!(value["queues"]["q2"]["wrap_up_ms"], 0);
}

/// Section B, statistics (d): limits 5, 10 and 15 s and the rest; answered 1, 0, 2, 1, abandoned 0, 2, 0, 1.
#[test]
fn waits_are_told_by_their_limits() {
    let mut lines = String::new();
    for (at, (outcome, wait)) in [
        ("answered", 4),
        ("answered", 12),
        ("answered", 15),
        ("answered", 16),
        ("abandoned", 6),
        ("abandoned", 10),
        ("abandoned", 40),
    ]
    .into_iter()
    .enumerate()
    {
        lines += &match outcome {
            "answered" => format!(
                "09:0{at}:00 {{\"event\":\"answered\",\"call\":\"{at}\",\"queue\":\"q\",\"agent\":\"a\",\"wait_ms\":{wait}000}}
                 09:0{at}:30 {{\"event\":\"talked\",\"call\":\"{at}\",\"queue\":\"q\",\"agent\":\"a\",\"talk_ms\":30000}}\n"
            ),
            outcome => format!(
                "09:0{at}:00 {{\"event\":\"left\",\"call\":\"{at}\",\"queue\":\"q\",\"outcome\":\"{outcome}\",\"wait_ms\":{wait}000}}\n"
            ),
        };
    }
    let report = day(&lines);
    let counted = report.count(&report.time, &[5, 10, 15]);
    assert_eq!(counted.waits["q"], [[1, 0], [0, 2], [2, 0], [1, 1]]);
    let text = tables::waits(&counted, &[5, 10, 15]);
    assert!(
        text.contains("q up to 10 s             0          2"),
        "{text}"
    );
}

/// Section C: an agent logged in over midnight, a talk and a break over the border of an hour.
#[test]
fn times_are_split_where_they_cross_midnight_and_the_borders_of_hours() {
    let night = r#"
        2026-11-20T22:30:00 {"event":"status","agent":"a","status":"available"}
        2026-11-20T23:50:00 {"event":"joined","call":"1","queue":"q","caller":"1"}
        2026-11-20T23:50:00 {"event":"answered","call":"1","queue":"q","agent":"a","wait_ms":0}
        2026-11-21T00:20:00 {"event":"talked","call":"1","queue":"q","agent":"a","talk_ms":1800000}
        2026-11-21T00:20:00 {"event":"agent","agent":"a","status":"available","calls":1,"talk_ms":1800000,"idle_since":""}
        2026-11-21T00:50:00 {"event":"status","agent":"a","status":"on-break","reason":"tea"}
        2026-11-21T01:10:00 {"event":"status","agent":"a","status":"logged-out"}
    "#;
    let minutes = |time: Duration| time.as_secs() / 60;
    let first = figures(&of(night, "UTC", "2026-11-20", "2026-11-20"));
    let a = &first.agents["a"];
    let told = [a.work.talk, a.logged_in(), a.on_break()].map(minutes);
    assert_eq!((told, a.work.calls, a.answered), ([10, 90, 0], 0, 1));
    let second = of(night, "UTC", "2026-11-21", "2026-11-21");
    let a = &figures(&second).agents["a"];
    let told = [a.work.talk, a.logged_in(), a.on_break()].map(minutes);
    assert_eq!((told, a.work.calls, a.answered), ([20, 70, 20], 1, 0));
    let hours = second.parts(second.period.hours().unwrap(), &[]);
    let breaks = hours.iter().map(|(it, figures)| {
        let a = &figures.agents["a"];
        (
            it.name.as_str(),
            minutes(a.on_break()),
            minutes(a.available),
        )
    });
    assert_eq!(
        breaks.collect::<Vec<_>>(),
        [("2026-11-21 00:00", 10, 50), ("2026-11-21 01:00", 10, 0)]
    );
}

/// Section C: what counts as a day depends on the zone; what lies outside does not count.
#[test]
fn the_day_is_that_of_the_zone() {
    let calls = r#"
        2026-11-19T22:59:00 {"event":"left","call":"0","queue":"q","outcome":"abandoned","wait_ms":0}
        2026-11-19T23:30:00 {"event":"left","call":"1","queue":"q","outcome":"abandoned","wait_ms":0}
        2026-11-20T22:30:00 {"event":"left","call":"2","queue":"q","outcome":"abandoned","wait_ms":0}
        2026-11-20T23:30:00 {"event":"left","call":"3","queue":"q","outcome":"abandoned","wait_ms":0}
    "#;
    let callers = |zone| {
        let report = of(calls, zone, "2026-11-20", "2026-11-20");
        let hours = report.parts(report.period.hours().unwrap(), &[]);
        let names = hours.into_iter().map(|(it, _)| it.name[11..].to_owned());
        (
            figures(&report).callers_by_fate(),
            names.collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        callers("Europe/Berlin"),
        (2, vec!["00:00".to_owned(), "23:00".to_owned()])
    );
    assert_eq!(
        callers("UTC"),
        (2, vec!["22:00".to_owned(), "23:00".to_owned()])
    );
    assert_eq!(
        callers("Asia/Tokyo"),
        (2, vec!["07:00".to_owned(), "08:00".to_owned()])
    );
}

/// Section C: an agent who is there all day on the days on which the clocks change.
#[test]
fn an_agent_works_23_or_25_hours_when_the_clocks_change() {
    for (from, to, day, hours) in [
        (
            "2026-03-28T12:00:00",
            "2026-03-30T12:00:00",
            "2026-03-29",
            23,
        ),
        (
            "2026-10-24T12:00:00",
            "2026-10-26T12:00:00",
            "2026-10-25",
            25,
        ),
    ] {
        let lines = format!(
            "{from} {{\"event\":\"status\",\"agent\":\"a\",\"status\":\"available\"}}
             {to} {{\"event\":\"status\",\"agent\":\"a\",\"status\":\"logged-out\"}}"
        );
        let report = of(&lines, "Europe/Berlin", day, day);
        let agent = figures(&report).agents["a"].logged_in();
        assert_eq!(agent, Duration::from_secs(hours * 3_600));
        let parts = report.parts(report.period.hours().unwrap(), &[]);
        assert_eq!(parts.len() as u64, hours);
        let all: Duration = parts.iter().map(|(_, it)| it.agents["a"].available).sum();
        assert_eq!(all, agent);
    }
}

/// Invariant E7: a day of many calls, whose hours, days and the log itself add up to the same.
#[test]
fn hours_and_days_add_up_to_what_the_log_says() {
    let mut lines = String::new();
    let (mut talk, mut left) = (0, BTreeMap::<&str, u64>::new());
    for call in 0..400_u64 {
        let at = 36_000 + call * 397;
        let stamp = |seconds: u64| {
            let day = 20 + seconds / 86_400;
            let of_day = seconds % 86_400;
            let (hour, minute) = (of_day / 3_600, of_day / 60 % 60);
            format!("2026-11-{day}T{hour:02}:{minute:02}:{:02}", of_day % 60)
        };
        let outcomes = [
            "abandoned",
            "exit-key",
            "max-wait-time",
            "no-agent",
            "closed",
        ];
        if let Some(outcome) = outcomes.get(call as usize % 8) {
            *left.entry(outcome).or_default() += 1;
            lines += &format!(
                "{} {{\"event\":\"left\",\"call\":\"{call}\",\"queue\":\"q\",\"outcome\":\"{outcome}\",\"wait_ms\":9000}}\n",
                stamp(at)
            );
        } else {
            let seconds = call % 7 * 100;
            talk += seconds;
            lines += &format!(
                "{} {{\"event\":\"answered\",\"call\":\"{call}\",\"queue\":\"q\",\"agent\":\"a\",\"wait_ms\":5000}}
                 {} {{\"event\":\"talked\",\"call\":\"{call}\",\"queue\":\"q\",\"agent\":\"a\",\"talk_ms\":{}}}\n",
                stamp(at),
                stamp(at + seconds),
                seconds * 1_000
            );
        }
    }
    let report = of(&lines, "Europe/Berlin", "2026-11-20", "2026-11-22");
    let all = figures(&report);
    assert_eq!(all.callers_by_fate(), 400);
    assert_eq!(all.work["q"].talk, Duration::from_secs(talk));
    let row = all.callers.queues.values().next().unwrap();
    assert_eq!(
        (row.abandoned, row.exits),
        (left["abandoned"], left["exit-key"])
    );
    assert_eq!(
        (row.timed_out, row.no_agent),
        (left["max-wait-time"], left["no-agent"])
    );
    assert_eq!(row.calls, 400);
    for intervals in [
        report.period.days().unwrap(),
        report.period.hours().unwrap(),
    ] {
        let parts = report.parts(intervals, &[]);
        let callers: u64 = parts.iter().map(|(_, it)| it.callers_by_fate()).sum();
        let talks: u64 = parts
            .iter()
            .filter_map(|(_, it)| Some(it.work.get("q")?.calls))
            .sum();
        let talked: Duration = parts
            .iter()
            .filter_map(|(_, it)| Some(it.work.get("q")?.talk))
            .sum();
        let by_agent: Duration = parts
            .iter()
            .filter_map(|(_, it)| Some(it.agents.get("a")?.work.talk))
            .sum();
        assert_eq!((callers, talks), (400, row.answered));
        assert_eq!((talked, by_agent), (all.work["q"].talk, all.work["q"].talk));
    }
}

/// From files: the day before says what went on over midnight; damaged lines, and one that a kill left unfinished, are passed over.
#[test]
fn a_period_is_read_from_the_files_of_its_days_and_those_beside() {
    let folder = std::env::temp_dir().join(format!("ringmaster-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let write = |day: &str, lines: &str, end: &[u8]| {
        let mut octets = Vec::new();
        for entry in entries(lines) {
            entry.write(&mut octets);
            octets.push(b'\n');
        }
        octets.extend_from_slice(end);
        fs::write(day_file(&folder, day), octets).unwrap();
    };
    write(
        "2026-11-18",
        r#"2026-11-18T20:00:00 {"event":"status","agent":"a","status":"available"}"#,
        b"{\"event\":\"status\",\"crc\":\"00000000\"}\n\xff\xfe\n",
    );
    write(
        "2026-11-20",
        r#"2026-11-20T23:59:50 {"event":"joined","call":"1","queue":"q","caller":"1"}"#,
        b"",
    );
    write(
        "2026-11-21",
        r#"2026-11-21T00:00:10 {"event":"left","call":"1","queue":"q","outcome":"abandoned","wait_ms":20000}"#,
        b"{\"at\":\"2026-11-21T0",
    );
    let read = |day: Option<&str>, to: Option<&str>| {
        let options = Options {
            config: PathBuf::new(),
            day: day.map(str::to_owned),
            to: to.map(str::to_owned),
            hours: false,
            json: false,
            zone: None,
            within: None,
            buckets: None,
        };
        Report::read(&folder, &options, TimeZone::UTC)
    };
    let friday = figures(&read(Some("2026-11-20"), None).unwrap());
    let last = read(None, None).unwrap().text(false).unwrap();
    let three = read(Some("2026-11-18"), Some("2026-11-20")).unwrap();
    let json = three.json(true, &BUCKETS).unwrap();
    let errors = [
        read(Some("2026-11-01"), None),
        read(Some("2026-11-20"), Some("2026-11-18")),
    ];
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(friday.callers_by_fate(), 1);
    assert_eq!(friday.agents["a"].available, Duration::from_secs(86_400));
    assert!(
        last.starts_with("2026-11-21 (UTC) until 00:00:10"),
        "{last}"
    );
    assert_eq!(json["queues"]["q"]["waits"][1]["abandoned"], 1);
    assert_eq!(json["agents"]["a"]["available_ms"], 52 * 3_600_000);
    assert_eq!(json["days"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["hours"].as_array().map(Vec::len), Some(52));
    let told = errors.map(|it| it.err().map(|it| it.to_string()).unwrap_or_default());
    assert!(
        told[0].starts_with("no queue log of 2026-11-01"),
        "{told:?}"
    );
    assert!(told[1].starts_with("2026-11-18 is before"), "{told:?}");
}
