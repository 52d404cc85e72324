//! The command line.

use std::path::PathBuf;

use crate::target::{Kind, Target};

/// Everything that can be measured, in the order of the columns.
const TARGETS: [Target; 3] = [
    Target::Switch(Kind::Ringmaster),
    Target::Switch(Kind::Asterisk),
    Target::Limit,
];

/// How to use it.
pub(crate) const USAGE: &str = "\
usage: bench RUN [OPTION..]
  RUN      relay | record | layouts | secure | full | half-full | opus | conference | music | register | busy-register | setup
           | busy-calls | overload | storm | memory | delays | busy-delays | rush | idle | decisions | simulate | parse | signalling
           | all, or with its goals sip: those of signalling, some 20 minutes, media: those of relay to music and the mixer alone,
           some 30 minutes, queue: those of queues, some 10 minutes
  --calls N          standing calls of relay, record, secure and layouts (100)
  --seconds N        measured time of relay to music, of the peak and of each rate of overload (20)
  --rounds N         how often each target is measured, in turn (3)
  --samples N        registrations, set-ups and delays that are measured (20000, 1000 and 500; busy: 50000, 4000 and 1000; decisions: 20000)
  --rate N           registrations or set-ups a second (2000 and 50); what overload takes for the peak (what it measures)
  --targets A,B      of ringmaster, asterisk and (standing calls and registrations only) limit (all)
  --binary PATH      the switch (target/release/ringmaster beside this binary)
  --json             write benches/results/<date>-<run>.json";

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The run, or `all`.
    pub(crate) run: String,
    /// Standing calls.
    pub(crate) calls: usize,
    /// Measured seconds.
    pub(crate) seconds: u64,
    /// Rounds.
    pub(crate) rounds: usize,
    /// Samples, if not the run's own.
    pub(crate) samples: Option<usize>,
    /// Operations a second, if not the run's own.
    pub(crate) rate: Option<u32>,
    /// What is measured.
    pub(crate) targets: Vec<Target>,
    /// Our switch.
    pub(crate) binary: PathBuf,
    /// Whether to write a file.
    pub(crate) json: bool,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            run: arguments.next().ok_or("no run is named")?,
            calls: 100,
            seconds: 20,
            rounds: 3,
            samples: None,
            rate: None,
            targets: TARGETS.to_vec(),
            binary: default_binary()?,
            json: false,
        };
        while let Some(name) = arguments.next() {
            if name == "--json" {
                options.json = true;
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--calls" => options.calls = number(&name, &value)?,
                "--seconds" => options.seconds = number(&name, &value)?,
                "--rounds" => options.rounds = number(&name, &value)?,
                "--samples" => options.samples = Some(number(&name, &value)?),
                "--rate" => options.rate = Some(number(&name, &value)?),
                "--binary" => options.binary = PathBuf::from(value),
                "--targets" => options.choose(&value)?,
                _ => return Err(format!("there is no option {name}")),
            }
        }
        Ok(options)
    }

    fn choose(&mut self, list: &str) -> Result<(), String> {
        let find = |name| {
            TARGETS
                .into_iter()
                .find(|target| target.name() == name)
                .ok_or_else(|| format!("there is no target {name}"))
        };
        self.targets = list.split(',').map(find).collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name} needs a number, not {value}"))
}

/// Both binaries come from the same release build.
fn default_binary() -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|error| format!("where is this binary? {error}"))?;
    Ok(me.with_file_name("ringmaster"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn targets_and_numbers_are_taken() {
        let options = read("relay --calls 50 --targets limit,asterisk --json").unwrap();
        assert_eq!((options.calls, options.json), (50, true));
        assert_eq!(
            options.targets,
            [Target::Limit, Target::Switch(Kind::Asterisk)]
        );
    }

    #[test]
    fn a_mistake_is_named() {
        assert_eq!(
            read("relay --calls many").unwrap_err(),
            "--calls needs a number, not many"
        );
        assert_eq!(
            read("relay --cals 5").unwrap_err(),
            "there is no option --cals"
        );
        assert_eq!(
            read("relay --targets freeswitch").unwrap_err(),
            "there is no target freeswitch"
        );
    }
}
