use std::fs;
use std::time::Duration;

use super::*;
use crate::config::{load_texts, sample};

fn sample() -> Checked {
    let texts = sample::TEXTS.map(|(file, text)| (file, text.to_owned()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    load_texts(&folder, texts).expect("the sample")
}

fn busy_day() -> Made {
    Made {
        calls: 700,
        talk: Duration::from_secs(120),
        patience: Duration::from_secs(90),
    }
}

fn options(source: Source, change: Change) -> Options {
    Options {
        config: PathBuf::new(),
        source,
        change,
    }
}

#[test]
fn more_agents_serve_more_callers_in_time() {
    let mut plan = sample().plan();
    let mut day = busy_day().draw(&plan, &mut Chance(SEED));
    let before = play::play(&plan, &day);
    assert_eq!(before, play::play(&plan, &day), "the same each time");
    let change = Change {
        agents: 3,
        ..Change::default()
    };
    let said = change.apply(&mut plan, &mut day);
    assert_eq!(said.as_deref(), Some("agents +3, in each queue"));
    let after = play::play(&plan, &day);
    let [before, after] = [before, after].map(|mut table| table.queues.pop_first().unwrap().1);
    assert_eq!((before.calls, after.calls), (700, 700));
    assert!(
        before.abandoned > 2 * after.abandoned,
        "{before:?} {after:?}"
    );
    assert!(before.in_time < after.in_time, "{before:?} {after:?}");
}

#[test]
fn fewer_agents_or_none_serve_fewer_callers() {
    let checked = sample();
    for (fewer, answers) in [(-2, true), (-4, false), (-99, false)] {
        let mut plan = checked.plan();
        let mut day = busy_day().draw(&plan, &mut Chance(SEED));
        let before = play::play(&plan, &day).queues.pop_first().unwrap().1;
        let change = Change {
            agents: fewer,
            ..Change::default()
        };
        change.apply(&mut plan, &mut day);
        let after = play::play(&plan, &day).queues.pop_first().unwrap().1;
        assert!(after.answered < before.answered);
        assert_eq!(after.answered > 0, answers);
    }
}

/// A call that waited in the sample's queue, in a leg of its agent if it was answered.
fn record(joined: &str, wait_ms: u64, outcome: &str, talk_ms: u64) -> String {
    let leg = |answer: &str, end: &str| {
        format!(
            r#"{{"agent":"201","start":"2026-11-20T{joined}Z","answer":"{answer}","end":"{end}"}}"#
        )
    };
    let legs = if outcome == "answered" {
        leg("2026-11-20T10:00:04.000Z", "2026-11-20T10:03:00.000Z")
    } else {
        String::new()
    };
    format!(
        r#"{{"call":"x","caller":"205","dialled":"700","start":"2026-11-20T{joined}Z","cause":"hang-up","queues":[{{"queue":"support","joined":"2026-11-20T{joined}Z","wait_ms":{wait_ms},"outcome":"{outcome}","agent":null,"talk_ms":{talk_ms}}}],"legs":[{legs}],"more":1}}"#
    )
}

#[test]
fn a_recorded_day_is_shown_as_it_was_as_it_is_and_as_it_could_be() {
    let folder = std::env::temp_dir().join(format!("ringmaster-simulate-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let refused = r#"{"caller":"206","dialled":"700","start":"2026-11-20T10:00:30.000Z","cause":"queue-full","queues":[],"legs":[]}"#;
    let lines = [
        record("10:00:00.000", 4_000, "answered", 60_000),
        record("10:00:20.000", 30_000, "abandoned", 0),
        record("10:00:21.000", 10_000, "exit-key", 0),
        refused.to_owned(),
        "no record".to_owned(),
    ];
    fs::write(folder.join("2026-11-20.jsonl"), lines.join("\n")).unwrap();
    let change = Change {
        strategy: Some(("ring-all", Strategy::RingAll)),
        agents: 1,
        queue: Some("support".to_owned()),
    };
    let source = Source::Recorded("2026-11-20".to_owned());
    let text = tables(&sample(), &folder, &options(source, change)).unwrap();
    assert_eq!(
        text,
        "\
2026-11-20: 4 calls, agents at work: 1
what if: ring-all, agents +1, in `support`

queue               calls  answered  in 20 s  abandoned  exit  timed out  no agent  overflow  full  closed  mean wait   longest
support  recorded       4         1     25 %          1     1          0         0         0     1       0      4.0 s     4.0 s
         as it is       4         1     25 %          2     1          0         0         0     0       0      4.0 s     4.0 s
         what if        4         2     50 %          1     1          0         0         0     0       0      4.0 s     4.0 s
"
    );
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_cannot_be_played_is_told() {
    let checked = sample();
    let nowhere = Path::new("/nowhere");
    let source = Source::Recorded("2026-11-20".to_owned());
    let told = |source: &Source, change: Change| {
        let options = options(source.clone(), change);
        tables(&checked, nowhere, &options).unwrap_err().to_string()
    };
    let text = told(&source, Change::default());
    assert!(
        text.starts_with("no call records of 2026-11-20 in /nowhere: "),
        "{text}"
    );
    let change = Change {
        queue: Some("suport".to_owned()),
        ..Change::default()
    };
    assert_eq!(
        told(&source, change),
        "unknown queue `suport`: did you mean `support`?"
    );
    let nobody = Source::Made(Made {
        calls: 0,
        ..busy_day()
    });
    assert_eq!(
        told(&nobody, Change::default()),
        "nobody called a queue on a made day"
    );
}
