//! The layers of `architecture.md`, held against what Cargo knows.
//!
//! It stands here because this package names of the switch only the queue engine, which it measures: the test builds nothing else of
//! the switch.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Which of our crates a crate may name, in its code and in its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "switch",
        &["net", "api", "call", "store", "sip", "media", "queue"],
    ),
    ("net", &["sip", "media"]),
    ("api", &["call", "queue", "store"]),
    ("call", &["sip", "media", "queue"]),
    ("store", &[]),
    ("sip", &[]),
    ("media", &[]),
    ("queue", &[]),
    ("uring", &[]),
    ("testkit", &["sip", "media", "queue", "call"]),
    ("benches", &["queue", "uring"]),
];

/// What every crate may name in its tests, and none in its code.
const TESTS_ONLY: &str = "testkit";

/// One crate names another in its manifest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: String,
    to: String,
    tests: bool,
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Every edge between two members of the workspace.
fn edges(metadata: &Value) -> Vec<Edge> {
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut edges = Vec::new();
    for package in packages {
        let from = package["name"].as_str().expect("a name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("a name");
            if ours.contains(to) && dependency["path"].is_string() {
                let tests = dependency["kind"] == "dev";
                edges.push(Edge {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    tests,
                });
            }
        }
    }
    edges
}

/// A sentence for each edge that the picture does not have.
fn faults(edges: &[Edge]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut faults = Vec::new();
    for Edge { from, to, tests } in edges {
        let where_named = if *tests {
            "in its tests"
        } else {
            "in its code"
        };
        let Some(below) = allowed.get(from.as_str()) else {
            faults.push(format!("crate `{from}` is not in the picture of architecture.md, but names `{to}` {where_named}"));
            continue;
        };
        let fine = if to == TESTS_ONLY {
            *tests
        } else {
            below.contains(&to.as_str())
        };
        if !fine {
            let below = if below.is_empty() {
                "none of ours".to_owned()
            } else {
                format!("only {}", below.join(", "))
            };
            faults.push(format!(
                "crate `{from}` names `{to}` {where_named}, but may name {below}"
            ));
        }
    }
    faults
}

#[test]
fn crates_name_only_crates_below_them() {
    let edges = edges(&metadata());
    assert!(
        !edges.is_empty(),
        "cargo metadata shows no edge between our crates: the test would hold nothing"
    );
    let faults = faults(&edges);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_wrong_edge_is_named_in_a_sentence() {
    let edge = |from: &str, to: &str, tests| Edge {
        from: from.into(),
        to: to.into(),
        tests,
    };
    let wrong = [
        edge("net", "call", false),
        edge("sip", "testkit", false),
        edge("billing", "sip", true),
    ];
    assert_eq!(
        faults(&wrong),
        [
            "crate `net` names `call` in its code, but may name only sip, media",
            "crate `sip` names `testkit` in its code, but may name none of ours",
            "crate `billing` is not in the picture of architecture.md, but names `sip` in its tests",
        ]
    );
    assert_eq!(
        faults(&[edge("sip", "testkit", true), edge("call", "queue", false)]),
        Vec::<String>::new()
    );
}
