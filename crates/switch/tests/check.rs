//! `ringmaster check` from outside: what it prints, and its exit code.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary in `tests/data`, so that the places in its messages are short.
fn ringmaster(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringmaster"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .output()
        .expect("the binary can be started")
}

fn said(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("messages are UTF-8")
}

/// Compares what `check` says of a folder with `tests/golden/NAME.txt`; `BLESS=1` writes the file anew.
fn told_as_in_golden_file(name: &str) {
    let output = ringmaster(&["check", "--config", name]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output.stdout), "");
    let text = said(&output.stderr);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
    if std::env::var("BLESS").is_ok() {
        std::fs::write(&path, &text).expect("the folder of golden files is writable");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (is, should)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, should, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(text, golden, "{} has another length", path.display());
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_the_nearest_name() {
    told_as_in_golden_file("broken");
}

#[test]
fn every_line_that_is_not_toml_is_told_without_its_consequences() {
    told_as_in_golden_file("not-toml");
}

#[test]
fn run_refuses_what_check_refuses() {
    let check = ringmaster(&["check", "--config", "broken"]);
    let run = ringmaster(&["run", "--config", "broken"]);
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(said(&run.stderr), said(&check.stderr));
}

#[test]
fn a_file_in_the_place_of_the_folder_is_told() {
    let output = ringmaster(&["check", "--config", "broken/phones.toml"]);
    let text = said(&output.stderr);
    assert!(
        text.starts_with("broken/phones.toml: not a folder: "),
        "{text}"
    );
}

#[test]
fn the_sample_has_no_mistake() {
    let output = ringmaster(&["check", "--config", "../../../../config"]);
    assert_eq!(said(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    let text = said(&output.stdout);
    assert!(
        text.starts_with("SIP on udp:127.0.0.1:5060, tcp:127.0.0.1:5060\n"),
        "{text}"
    );
    assert!(
        text.contains("10 phones, 1 queue with 4 agents, 15 numbers, 0 trunks, 6 sounds"),
        "{text}"
    );
}

#[test]
fn a_folder_without_a_configuration_says_how_to_get_one() {
    let output = ringmaster(&["check", "--config", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output.stderr),
        "nowhere: no such folder: `ringmaster init nowhere` writes one\nnowhere: 1 mistake\n"
    );
}

#[test]
fn a_sound_that_cannot_be_decoded_is_told_where_it_is_named() {
    let output = ringmaster(&["check", "--config", "undecodable"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output.stderr);
    assert!(
        text.starts_with("undecodable/queues.toml:4:9: cannot decode the sound "),
        "{text}"
    );
    assert!(text.ends_with("\nundecodable: 1 mistake\n"), "{text}");
}

#[test]
fn a_command_line_that_is_not_understood_ends_with_2() {
    let output = ringmaster(&["chekc"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        said(&output.stderr),
        "ringmaster: unknown command `chekc`: did you mean `check`?\n`ringmaster help` lists the commands\n"
    );
}
