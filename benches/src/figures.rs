//! From samples to figures, and from figures to a table and a file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::machine;

/// The sample below which `share` (0 to 1) of all samples lie; 0 without samples.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or(0.0)
}

/// The middle of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.5)
}

/// Median, 99th percentile and maximum of times, in milliseconds.
pub(crate) fn spread(name: &str, times: &[Duration]) -> Map<String, Value> {
    let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    sorted.sort_by(f64::total_cmp);
    let mut figures = Map::new();
    for (share, label) in [(0.5, "p50"), (0.99, "p99"), (1.0, "max")] {
        figures.insert(
            format!("{name}_{label}_ms"),
            round(percentile(&sorted, share), 3),
        );
    }
    figures
}

/// A figure with so many decimals.
pub(crate) fn round(figure: f64, decimals: i32) -> Value {
    let scale = 10f64.powi(decimals);
    json!((figure * scale).round() / scale)
}

/// What a run found: one row for each target and round.
#[derive(Debug)]
pub(crate) struct Report {
    /// `relay`, `record`, ...
    pub(crate) run: &'static str,
    /// What the run was told.
    pub(crate) parameters: Value,
    /// Target and figures.
    pub(crate) rows: Vec<(&'static str, Map<String, Value>)>,
}

impl Report {
    /// The median of one figure over the rounds of each target, in the order of their first round.
    fn medians(&self) -> Vec<(&'static str, Map<String, Value>)> {
        let mut targets: Vec<&'static str> = Vec::new();
        for (target, _) in &self.rows {
            if !targets.contains(target) {
                targets.push(target);
            }
        }
        let of = |target: &str| {
            let rounds: Vec<&Map<String, Value>> = self
                .rows
                .iter()
                .filter(|(name, _)| *name == target)
                .map(|(_, row)| row)
                .collect();
            let mut middle = Map::new();
            for key in rounds.first().map(|row| row.keys()).into_iter().flatten() {
                let figures: Vec<f64> = rounds
                    .iter()
                    .filter_map(|row| row.get(key)?.as_f64())
                    .collect();
                middle.insert(key.clone(), round(median(&figures), 4));
            }
            middle
        };
        targets
            .into_iter()
            .map(|target| (target, of(target)))
            .collect()
    }

    /// Prints every figure, a column for each target.
    pub(crate) fn print(&self) {
        let medians = self.medians();
        print!("\n{:<28}", self.run);
        for (target, _) in &medians {
            print!("{target:>14}");
        }
        println!();
        let mut keys: Vec<&String> = Vec::new();
        for key in medians.iter().flat_map(|(_, row)| row.keys()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in keys {
            print!("{key:<28}");
            for (_, row) in &medians {
                let figure = row.get(key).and_then(Value::as_f64);
                print!(
                    "{:>14}",
                    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure}"))
                );
            }
            println!();
        }
    }

    /// The median of one figure over the rounds of a target.
    pub(crate) fn median(&self, target: &str, figure: &str) -> Option<f64> {
        let medians = self.medians();
        let (_, row) = medians.iter().find(|(name, _)| *name == target)?;
        row.get(figure)?.as_f64()
    }

    /// Every round and the medians.
    pub(crate) fn value(&self) -> Value {
        let rounds: Vec<Value> = self
            .rows
            .iter()
            .map(|(target, row)| json!({ "target": target, "figures": row }))
            .collect();
        let medians: Map<String, Value> = self
            .medians()
            .into_iter()
            .map(|(target, row)| (target.to_owned(), Value::Object(row)))
            .collect();
        json!({ "parameters": self.parameters, "medians": medians, "rounds": rounds })
    }

    /// Writes `benches/results/<date>-<run>.json`.
    pub(crate) fn write(&self) -> Result<PathBuf, String> {
        write(self.run, self.value())
    }
}

/// Several reports by the names of their runs.
pub(crate) fn by_run(reports: &[Report]) -> Map<String, Value> {
    let runs = reports.iter();
    runs.map(|report| (report.run.to_owned(), report.value()))
        .collect()
}

/// Writes `benches/results/<date>-<run>.json`, with the day, the commit and the machine.
pub(crate) fn write(run: &str, figures: Value) -> Result<PathBuf, String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
    let path = folder.join(format!("{}-{run}.json", machine::today()));
    let mut value = json!({
        "run": run,
        "date": machine::today(),
        "commit": commit(),
        "machine": machine::description(),
        "machine_wakes_late": spread("late", &machine::wakes_late()),
    });
    if let (Some(value), Value::Object(figures)) = (value.as_object_mut(), figures) {
        value.extend(figures);
    }
    let text = serde_json::to_string_pretty(&value).map_err(|error| error.to_string())?;
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, text + "\n"))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_that_were_measured() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            (
                percentile(&sorted, 0.5),
                percentile(&sorted, 0.99),
                percentile(&sorted, 1.0)
            ),
            (50.0, 99.0, 100.0)
        );
        assert_eq!((percentile(&[], 0.5), percentile(&[7.0], 0.99)), (0.0, 7.0));
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
