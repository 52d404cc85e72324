use call::{Cause, Party};

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};

use super::*;
use crate::journal::MAX_GROUP;

#[test]
fn a_record_is_on_disk_before_its_call_may_be_forgotten() {
    let folder = Folder::new("safe");
    let (mut records, written) = start(&folder);
    write(&mut records, CallId(7), record("2026-11-20T23:59:59.999Z"));
    assert_eq!(
        written.recv_timeout(Duration::from_secs(5)).unwrap(),
        [CallId(7)]
    );
    let line = fs::read_to_string(folder.0.join("2026-11-20.jsonl")).unwrap();
    let value: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
    assert_eq!(value["end"], "2026-11-20T23:59:59.999Z");
    records.join();
}

#[test]
fn records_that_come_together_share_one_write_and_keep_their_order() {
    let folder = Folder::new("group");
    let (mut records, written) = start(&folder);
    let calls: Vec<CallId> = (0..10_000).map(CallId).collect();
    for call in &calls {
        write(
            &mut records,
            *call,
            record(&format!("2026-11-20T12:00:00.{:03}Z", call.0 % 1_000)),
        );
    }
    let mut acknowledged = Vec::new();
    let mut groups = 0;
    while acknowledged.len() < calls.len() {
        acknowledged.extend(written.recv_timeout(Duration::from_secs(20)).unwrap());
        records.flush();
        groups += 1;
    }
    assert_eq!(acknowledged, calls);
    assert!(
        (10..=100).contains(&groups),
        "{groups} groups of at most {MAX_GROUP}"
    );
    records.join();
    assert_eq!(lines_of(&folder, "2026-11-20.jsonl"), 10_000);
}

#[test]
fn a_group_at_midnight_goes_to_two_files() {
    let folder = Folder::new("midnight");
    let (mut records, _written) = start(&folder);
    write(&mut records, CallId(1), record("2026-11-20T23:59:59.990Z"));
    write(&mut records, CallId(2), record("2026-11-21T00:00:00.010Z"));
    write(&mut records, CallId(3), record("2026-11-20T23:59:59.995Z"));
    records.join();
    assert_eq!(lines_of(&folder, "2026-11-20.jsonl"), 2);
    assert_eq!(lines_of(&folder, "2026-11-21.jsonl"), 1);
}

#[test]
fn an_unfinished_line_is_cut_at_the_start_and_a_whole_one_gets_its_newline() {
    let folder = Folder::new("torn");
    let file = folder.0.join("2026-11-20.jsonl");
    fs::write(&file, "{\"call\":\"1\"}\n{\"call\":\"2\",\"calle").unwrap();
    start(&folder).0.join();
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"call\":\"1\"}\n");

    fs::write(&file, "{\"call\":\"1\"}\n{\"call\":\"2\"}").unwrap();
    start(&folder).0.join();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "{\"call\":\"1\"}\n{\"call\":\"2\"}\n"
    );

    fs::write(&file, "{\"cal").unwrap();
    start(&folder).0.join();
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

#[test]
fn a_second_switch_does_not_write_between_the_lines_of_the_first() {
    let folder = Folder::new("second");
    let (mut records, written) = start(&folder);
    write(&mut records, CallId(1), record("2026-11-20T12:00:00.000Z"));
    written.recv_timeout(Duration::from_secs(5)).unwrap();
    let second = CallRecords::start(&folder.0, |_| {}).unwrap_err();
    assert!(
        second.to_string().contains("another switch writes"),
        "{second}"
    );
    records.join();
    assert!(CallRecords::start(&folder.0, |_| {}).is_ok());
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let folder = Folder::new("moved");
    let (mut records, written) = start(&folder);
    let file = folder.0.join("2026-11-20.jsonl");
    write(&mut records, CallId(1), record("2026-11-20T12:00:00.000Z"));
    written.recv_timeout(Duration::from_secs(5)).unwrap();
    fs::rename(&file, folder.0.join("archive")).unwrap();
    write(&mut records, CallId(2), record("2026-11-20T12:00:01.000Z"));
    written.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(lines_of(&folder, "2026-11-20.jsonl"), 1);
    records.join();
}

#[test]
fn a_disk_that_fails_is_tried_again_until_the_record_is_safe() {
    let folder = Folder::new("failing");
    let (mut records, written) = start(&folder);
    // A folder where the file should be stands for the fault; it also fails for root, who may write anywhere.
    let file = folder.0.join("2026-11-20.jsonl");
    fs::create_dir(&file).unwrap();
    write(&mut records, CallId(1), record("2026-11-20T12:00:00.000Z"));
    assert!(written.recv_timeout(Duration::from_millis(300)).is_err());
    fs::remove_dir(&file).unwrap();
    assert_eq!(
        written.recv_timeout(Duration::from_secs(5)).unwrap(),
        [CallId(1)]
    );
    assert_eq!(lines_of(&folder, "2026-11-20.jsonl"), 1);
    records.join();
}

fn start(folder: &Folder) -> (CallRecords, Receiver<Vec<CallId>>) {
    let (sender, written) = mpsc::channel();
    let report = move |entries: Vec<Entry>| {
        // A test may have seen enough.
        let _ = sender.send(entries.iter().map(|entry| entry.call).collect());
    };
    (CallRecords::start(&folder.0, report).unwrap(), written)
}

fn write(records: &mut CallRecords, call: CallId, record: Box<CallRecord>) {
    records.write(Entry { call, record });
}

fn record(end: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        call: "20261120T120000000-1".to_owned(),
        caller: "210".to_owned(),
        caller_name: None,
        dialled: "700".to_owned(),
        start: "2026-11-20T11:59:00.000Z".to_owned(),
        answer: None,
        end: end.to_owned(),
        duration_ms: 60_000,
        cause: Cause::HangUp,
        ended_by: Party::Caller,
        queues: Vec::new(),
        transfers: Vec::new(),
        supervisors: Vec::new(),
        joined_calls: Vec::new(),
        recordings: Vec::new(),
        legs: Vec::new(),
        legs_omitted: 0,
    })
}

fn lines_of(folder: &Folder, name: &str) -> usize {
    let text = fs::read_to_string(folder.0.join(name)).unwrap();
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    text.lines().count()
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("ringmaster-records-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
