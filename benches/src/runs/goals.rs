//! Goals: a figure that must not be on the wrong side of a limit.

use serde_json::{Map, Value, json};

use crate::figures::{self, Report};

/// The side of the limit that is right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// Prints whether the limit is kept, and gives it; a figure that was not measured is missed.
pub(super) fn judge(run: &str, figure: &str, reached: Option<f64>, limit: Limit) -> Value {
    let (words, bound, met) = match limit {
        Limit::AtMost(most) => ("at most", most, reached.is_some_and(|it| it <= most)),
        Limit::AtLeast(least) => ("at least", least, reached.is_some_and(|it| it >= least)),
    };
    let verdict = if met { "met    " } else { "MISSED " };
    let shown = reached.map_or("no figure".to_owned(), |it| it.to_string());
    println!("{verdict} {run} {figure}: {shown}, {words} {bound}");
    json!({ "run": run, "figure": figure, "reached": reached, "goal": format!("{words} {bound}"), "met": met })
}

/// The figures of a group of runs by names of their own, as they stand at the top of its file.
#[derive(Debug, Default)]
pub(super) struct Summary(Map<String, Value>);

impl Summary {
    /// Adds one, if it was measured.
    pub(super) fn add(&mut self, name: &str, figure: Option<f64>) {
        if let Some(figure) = figure {
            self.0.insert(name.to_owned(), figures::round(figure, 3));
        }
    }

    /// Adds how many times one is another, if both were measured.
    pub(super) fn add_ratio(&mut self, name: &str, figure: &str, of: &str) {
        let of = self.get(of).filter(|of| *of > 0.0);
        let ratio = self.get(figure).zip(of).map(|(figure, of)| figure / of);
        self.add(name, ratio);
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// Prints all, and which goals are met; writes `results/<date>-<run>.json` if asked to.
    pub(super) fn finish(
        mut self,
        run: &str,
        goals: &[(&str, Limit)],
        reports: &[Report],
        json: bool,
    ) -> Result<(), String> {
        println!();
        for (name, figure) in &self.0 {
            println!("{name}: {figure}");
        }
        println!();
        let judged = goals
            .iter()
            .map(|(name, limit)| judge(run, name, self.get(name), *limit));
        let judged: Vec<Value> = judged.collect();
        if json {
            self.0.insert("goals".to_owned(), judged.into());
            self.0
                .insert("runs".to_owned(), figures::by_run(reports).into());
            let path = figures::write(run, Value::Object(self.0))?;
            println!("written to {}", path.display());
        }
        Ok(())
    }
}
