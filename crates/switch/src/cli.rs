//! The command line.
//!
//! Written by hand: for eleven commands and some options, clap with the fewest features that give these messages adds ten
//! seconds of a core to a clean release build and 0.5 MB to the binary; mistyped names are compared by the
//! configuration's own `nearest`.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use queue::Strategy;

use crate::config::{self, nearest};
use crate::report;
use crate::simulate::{self, Change, Made, Source};
use crate::trace::{Filter, NoNetwork, ORDERS, Options, Question, Wanted, Word, word};

/// The folder of the configuration unless `--config` names another: the sample's place in the repository.
const CONFIG: &str = "config";

/// SIP's port (RFC 3261 section 19.1.2).
const SIP_PORT: u16 = 5060;

/// Callers of a made day, unless the command line says how many.
const CALLS: u64 = 1_000;

/// How long they talk on average (seconds): three minutes, as in most call centres.
const TALK: u64 = 180;

/// How long they wait on average (seconds).
const PATIENCE: u64 = 120;

/// Most agents more or fewer in a queue: as many as it may have.
const MAX_AGENTS: i32 = 10_000;

/// What `help` prints.
pub(crate) const HELP: &str = "\
Ringmaster: a SIP/RTP softswitch with call-centre queues.

usage: ringmaster COMMAND [OPTIONS]

  run               starts the switch
  check             tells every mistake of the configuration at once
  init DIR          writes a configuration for this machine into a new folder, with random passwords
  trace [WHAT]      shows the SIP messages of a running switch: all, or the calls of a number, a Call-ID, a call of the
                    call records, an address or a network, each as a ladder
  why NAME [DAY]    says why a standing call waits, or an agent is offered nobody: a call by its name, the number that calls or
                    the number that was dialled; an agent by its name; and, by the queue log, why a call went as it went
  do CALL ORDER     has a running switch do something with a standing call: hang-up; transfer NUMBER, or queue NAME, agent NAME,
                    phone NAME; record, stop-recording, pause-recording, resume-recording; intercept PHONE, and of a
                    supervisor's phone listen, whisper, barge PHONE; of one who waits in a queue: priority N, agent NAME, move QUEUE
  report [DAY [TO]] counts what happened in the queues on a day (2026-11-20; the last one there is) or on several, by the
                    queue log
  simulate [DAY]    plays the queues' callers of a day of the call records (2026-11-20) once more, or of a made day, as the
                    configuration is and as it could be
  demo              shows a queue call with built-in test phones, then stays up for yours
  help, version

options:
  --once            of demo: ends after the story, with exit code 0 if all of it came true
  --config DIR      of run, check, why, report and simulate: the folder of the configuration (default: config)
  --address IP      of init: the address that phones reach (default: the one of the default route)
  --port PORT       of init: the SIP port (default: 5060)
  --full            of trace: whole messages, not only their first lines
  --secrets         of trace: also digest responses and SRTP keys, which are hidden otherwise
  --pcap FILE       of trace: also into a new file for Wireshark; - is the standard output, and nothing else is shown
  --seconds N       of trace: ends after so long
  --count N         of trace: ends after so many messages
  --socket PATH     of trace, why and do: the switch's socket, where several switches run (default: that of the only one)
  --hours           of report: each hour for itself, too
  --zone NAME       of report: days and hours of this time zone, such as Europe/Berlin (default: the machine's, or TZ)
  --json            of report: as JSON, for programs
  --buckets N,N     of report: how many callers waited up to so many seconds (default, with --json alone: 10,20,30,60,120)
  --within N        of report: who is answered within so many seconds is served well (default: 20)
  --strategy NAME   of simulate: what if agents were called in this order
  --agents +N       of simulate: what if each queue had so many agents more, or fewer (-N)
  --queue NAME      of simulate: what if only this queue changed (default: all)
  --calls N         of simulate without DAY: so many callers come to the queues (default: 1000)
  --talk N          of simulate without DAY: how long they talk, seconds on average (default: 180)
  --patience N      of simulate without DAY: how long they wait before they hang up, seconds on average (default: 120)

signals of a running switch: SIGHUP takes a changed configuration, SIGTERM ends it after the standing calls.
";

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Start the switch on this folder.
    Run(PathBuf),
    /// Check this folder.
    Check(PathBuf),
    /// Write a configuration.
    Init(Init),
    /// Show what the switch does.
    Demo {
        /// End after the story.
        once: bool,
    },
    /// Show what passes a running switch.
    Trace(Options),
    /// Say why a call waits, or an agent is offered nobody.
    Why(Question),
    /// Have something done with a call.
    Do(Wanted),
    /// Count a day of the queues.
    Report(report::Options),
    /// Play a day of the queues.
    Simulate(simulate::Options),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// What `init` is to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Init {
    /// The folder, made if it is missing.
    pub(crate) dir: PathBuf,
    /// The address of this machine that phones reach; none: find it.
    pub(crate) address: Option<IpAddr>,
    /// The SIP port.
    pub(crate) port: u16,
}

/// Why a command line is not understood; each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misuse {
    /// Nothing was asked for.
    #[error("no command")]
    NoCommand,
    /// Neither a command nor an option.
    #[error("unknown {what} `{written}`{}", did_you_mean(.near))]
    Unknown {
        /// Command or option.
        what: &'static str,
        /// What was written.
        written: String,
        /// What was probably meant.
        near: Option<&'static str>,
    },
    /// An option of another command.
    #[error("`{option}` is no option of `{command}`")]
    Misplaced {
        /// The option.
        option: &'static str,
        /// The command.
        command: &'static str,
    },
    /// Nothing follows an option or `init`.
    #[error("`{0}` needs {1}")]
    Missing(&'static str, &'static str),
    /// One argument too many.
    #[error("one argument too many: `{0}`")]
    TooMany(String),
    /// What `trace` is to show is a network that cannot be.
    #[error("{0}")]
    NoNetwork(#[from] NoNetwork),
    /// An option that draws a day, beside a day.
    #[error("`{0}` is of a made day: leave out the date")]
    OfAMadeDay(&'static str),
    /// The value of an option is of another kind.
    #[error("`{0}` needs {1}, not `{2}`")]
    WrongValue(&'static str, &'static str, String),
}

fn did_you_mean(near: &Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"))
}

const COMMANDS: [&str; 11] = [
    "run", "check", "init", "trace", "why", "do", "report", "simulate", "demo", "help", "version",
];
/// Options of `simulate` without a day.
const OF_A_MADE_DAY: [&str; 3] = ["--calls", "--talk", "--patience"];
/// Each option and the commands that it belongs to.
const OPTIONS: [(&str, &[&str]); 23] = [
    ("--config", &["run", "check", "why", "report", "simulate"]),
    ("--hours", &["report"]),
    ("--zone", &["report"]),
    ("--json", &["report"]),
    ("--buckets", &["report"]),
    ("--within", &["report"]),
    ("--address", &["init"]),
    ("--port", &["init"]),
    ("--once", &["demo"]),
    ("--full", &["trace"]),
    ("--secrets", &["trace"]),
    ("--seconds", &["trace"]),
    ("--count", &["trace"]),
    ("--socket", &["trace", "why", "do"]),
    ("--pcap", &["trace"]),
    ("--strategy", &["simulate"]),
    ("--agents", &["simulate"]),
    ("--queue", &["simulate"]),
    ("--calls", &["simulate"]),
    ("--talk", &["simulate"]),
    ("--patience", &["simulate"]),
    ("--help", &COMMANDS),
    ("--version", &COMMANDS),
];

/// Options without a value.
const FLAGS: [&str; 5] = ["--once", "--full", "--secrets", "--hours", "--json"];

/// What was written, before it is known to fit together.
#[derive(Default)]
struct Written {
    command: Option<&'static str>,
    dir: Option<PathBuf>,
    config: Option<PathBuf>,
    address: Option<IpAddr>,
    port: Option<u16>,
    filter: Option<Filter>,
    seconds: Option<u64>,
    count: Option<u64>,
    socket: Option<PathBuf>,
    pcap: Option<PathBuf>,
    /// Of `why` and `do`.
    name: Option<String>,
    /// Of `do`.
    order: Option<&'static Word>,
    about: Option<String>,
    day: Option<String>,
    /// Of `report`.
    to: Option<String>,
    zone: Option<String>,
    buckets: Option<Vec<u64>>,
    change: Change,
    calls: Option<u64>,
    talk: Option<u64>,
    patience: Option<u64>,
    within: Option<u64>,
    options: Vec<&'static str>,
}

/// Reads the arguments that follow the program's name. Options may stand before and after the command.
///
/// # Errors
/// The first argument that does not fit.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut arguments = arguments.into_iter();
    let mut written = Written::default();
    while let Some(argument) = arguments.next() {
        let text = shown(&argument);
        if text.starts_with('-') {
            let (name, value) = match text.split_once('=') {
                Some((name, _)) => (name.to_owned(), Some(after_equals(&argument))),
                None => (text, None),
            };
            match name.as_str() {
                "-h" | "--help" => return Ok(Command::Help),
                "-V" | "--version" => return Ok(Command::Version),
                _ => option(&name, value, &mut arguments, &mut written)?,
            }
        } else if written.command.is_none() {
            let command = COMMANDS.into_iter().find(|command| *command == text);
            let near = nearest(&text, COMMANDS);
            written.command = Some(command.ok_or(Misuse::Unknown {
                what: "command",
                written: text,
                near,
            })?);
        } else if written.command == Some("init") && written.dir.is_none() {
            written.dir = Some(argument.into());
        } else if written.command == Some("trace") && written.filter.is_none() {
            written.filter = Some(text.parse()?);
        } else if let Some("why" | "do") = written.command
            && written.name.is_none()
        {
            written.name = Some(text);
        } else if written.command == Some("do") {
            written.take_order(text)?;
        } else if let Some(command @ ("simulate" | "report" | "why")) = written.command
            && (written.day.is_none() || (command == "report" && written.to.is_none()))
        {
            if !is_day(&text) {
                return Err(Misuse::WrongValue(
                    command,
                    "a day such as 2026-11-20",
                    text,
                ));
            }
            let place = match written.day {
                None => &mut written.day,
                Some(_) => &mut written.to,
            };
            *place = Some(text);
        } else if written.command != Some("help") {
            return Err(Misuse::TooMany(text));
        }
    }
    written.into_command()
}

fn after_equals(argument: &OsStr) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    let octets = argument.as_bytes();
    let start = octets
        .iter()
        .position(|octet| *octet == b'=')
        .map_or(octets.len(), |at| at + 1);
    OsStr::from_bytes(&octets[start..]).to_owned()
}

fn option(
    name: &str,
    value: Option<OsString>,
    arguments: &mut impl Iterator<Item = OsString>,
    written: &mut Written,
) -> Result<(), Misuse> {
    let long = if name == "-c" { "--config" } else { name };
    let names = OPTIONS.map(|(name, _)| name);
    let Some(option) = names.into_iter().find(|option| *option == long) else {
        let near = nearest(name, names);
        let written = name.to_owned();
        return Err(Misuse::Unknown {
            what: "option",
            written,
            near,
        });
    };
    written.options.push(option);
    if FLAGS.contains(&option) {
        return value.map_or(Ok(()), |value| Err(Misuse::TooMany(shown(&value))));
    }
    let needed = needed(option);
    let value = value
        .or_else(|| arguments.next())
        .ok_or(Misuse::Missing(option, needed))?;
    let text = shown(&value);
    match written.take(option, value, &text) {
        Some(()) => Ok(()),
        None => Err(Misuse::WrongValue(option, needed, text)),
    }
}

/// What follows an option.
fn needed(option: &str) -> &'static str {
    match option {
        "--config" => "a folder",
        "--address" => "an IP address of this machine",
        "--seconds" | "--count" | "--calls" | "--talk" | "--patience" | "--within" => {
            "a number, 1 or more"
        }
        "--socket" => "the path of a socket",
        "--pcap" => "the name of a new file, or - for the standard output",
        "--strategy" => "a strategy of queues.toml",
        "--agents" => "a number such as +2 or -1",
        "--queue" => "a queue of queues.toml",
        "--zone" => "a time zone such as Europe/Berlin",
        "--buckets" => "seconds, the fewest first, such as 5,10,15",
        _ => "a port, 1 to 65535",
    }
}

/// `2026-11-20`.
fn is_day(text: &str) -> bool {
    let fits = |(at, letter): (usize, char)| match at {
        4 | 7 => letter == '-',
        _ => letter.is_ascii_digit(),
    };
    text.chars().count() == 10 && text.chars().enumerate().all(fits)
}

fn shown(argument: &OsStr) -> String {
    argument.to_string_lossy().into_owned()
}

impl Written {
    /// Takes an order, or what it is about.
    fn take_order(&mut self, text: String) -> Result<(), Misuse> {
        let Some(order) = self.order else {
            let near = nearest(&text, ORDERS.iter().map(|word| word.name));
            self.order = Some(word(&text).ok_or(Misuse::Unknown {
                what: "order",
                written: text,
                near,
            })?);
            return Ok(());
        };
        if order.about.is_none() {
            return Err(Misuse::TooMany(text));
        }
        self.about = Some(match self.about.take() {
            Some(about) => format!("{about} {text}"),
            None => text,
        });
        Ok(())
    }

    fn into_order(self) -> Result<Wanted, Misuse> {
        let name = self.name.ok_or(Misuse::Missing("do", "a call"))?;
        let order = self
            .order
            .ok_or(Misuse::Missing("do", "an order such as hang-up"))?;
        let Word {
            name: order,
            about,
            read,
        } = order;
        match (about, &self.about) {
            (Some(needed), None) => return Err(Misuse::Missing(order, needed)),
            (Some(needed), Some(about)) if read(about).is_none() => {
                return Err(Misuse::WrongValue(order, needed, about.clone()));
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        Ok(Wanted {
            name,
            order: (*order).to_owned(),
            about: self.about,
            socket: self.socket,
        })
    }

    /// Takes the value of an option; none: it does not fit.
    fn take(&mut self, option: &str, value: OsString, text: &str) -> Option<()> {
        let positive = || text.parse().ok().filter(|number: &u64| *number != 0);
        match option {
            "--config" => self.config = Some(value.into()),
            "--address" => self.address = Some(text.parse().ok()?),
            "--seconds" => self.seconds = Some(positive()?),
            "--count" => self.count = Some(positive()?),
            "--socket" => self.socket = Some(value.into()),
            "--pcap" => self.pcap = Some(value.into()),
            "--strategy" => {
                let mut strategies = config::STRATEGIES.iter();
                let strategy: &(_, Strategy) = strategies.find(|(name, _)| *name == text)?;
                self.change.strategy = Some(*strategy);
            }
            "--agents" => {
                let agents = text.parse().ok();
                let limits = -MAX_AGENTS..=MAX_AGENTS;
                self.change.agents = agents.filter(|agents| limits.contains(agents))?;
            }
            "--queue" => self.change.queue = Some(text.to_owned()),
            "--calls" => self.calls = Some(positive()?),
            "--talk" => self.talk = Some(positive()?),
            "--patience" => self.patience = Some(positive()?),
            "--zone" => self.zone = Some(text.to_owned()),
            "--buckets" => {
                let limits: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
                self.buckets = Some(limits.ok().filter(|limits| limits.is_sorted())?);
            }
            "--within" => self.within = Some(positive()?),
            _ => self.port = Some(text.parse().ok().filter(|port| *port != 0)?),
        }
        Some(())
    }

    fn simulation(self, config: PathBuf) -> Result<simulate::Options, Misuse> {
        let source = match self.day {
            Some(day) => {
                let mut options = self.options.into_iter();
                if let Some(option) = options.find(|option| OF_A_MADE_DAY.contains(option)) {
                    return Err(Misuse::OfAMadeDay(option));
                }
                Source::Recorded(day)
            }
            None => Source::Made(Made {
                calls: self.calls.unwrap_or(CALLS),
                talk: Duration::from_secs(self.talk.unwrap_or(TALK)),
                patience: Duration::from_secs(self.patience.unwrap_or(PATIENCE)),
            }),
        };
        Ok(simulate::Options {
            config,
            source,
            change: self.change,
        })
    }

    fn into_command(self) -> Result<Command, Misuse> {
        let command = self.command.ok_or(Misuse::NoCommand)?;
        let is_misplaced = |option: &&'static str| {
            let belongs = OPTIONS.iter().find(|(name, _)| name == option);
            belongs.is_some_and(|(_, commands)| !commands.contains(&command))
        };
        if let Some(option) = self.options.iter().copied().find(is_misplaced) {
            return Err(Misuse::Misplaced { option, command });
        }
        let has = |option| self.options.contains(&option);
        let config = self.config.clone().unwrap_or_else(|| CONFIG.into());
        Ok(match command {
            "run" => Command::Run(config),
            "check" => Command::Check(config),
            "init" => Command::Init(Init {
                dir: self
                    .dir
                    .ok_or(Misuse::Missing("init", "the name of a new folder"))?,
                address: self.address,
                port: self.port.unwrap_or(SIP_PORT),
            }),
            "trace" => Command::Trace(Options {
                filter: self.filter.unwrap_or(Filter::All),
                full: has("--full"),
                secrets: has("--secrets"),
                seconds: self.seconds.map(Duration::from_secs),
                count: self.count,
                socket: self.socket,
                pcap: self.pcap,
            }),
            "why" => Command::Why(Question {
                name: self
                    .name
                    .ok_or(Misuse::Missing("why", "a call, a number or an agent"))?,
                day: self.day,
                socket: self.socket,
                config,
            }),
            "do" => Command::Do(self.into_order()?),
            "report" => Command::Report(report::Options {
                config,
                hours: has("--hours"),
                within: self.within.map(Duration::from_secs),
                day: self.day,
                to: self.to,
                json: has("--json"),
                zone: self.zone,
                buckets: self.buckets,
            }),
            "simulate" => Command::Simulate(self.simulation(config)?),
            "demo" => Command::Demo {
                once: has("--once"),
            },
            "version" => Command::Version,
            _ => Command::Help,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, Misuse> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn told(line: &str) -> String {
        read(line).map_or_else(
            |misuse| misuse.to_string(),
            |command| format!("{command:?}"),
        )
    }

    #[test]
    fn the_folder_is_config_unless_another_is_named_before_or_after_the_command() {
        assert_eq!(read("run"), Ok(Command::Run("config".into())));
        assert_eq!(read("--config a run"), Ok(Command::Run("a".into())));
        assert_eq!(read("check --config a"), Ok(Command::Check("a".into())));
        assert_eq!(read("check --config=a=b"), Ok(Command::Check("a=b".into())));
        assert_eq!(read("check -c a"), Ok(Command::Check("a".into())));
    }

    #[test]
    fn init_takes_a_folder_an_address_and_a_port() {
        let init = Init {
            dir: "pbx".into(),
            address: None,
            port: 5060,
        };
        assert_eq!(read("init pbx"), Ok(Command::Init(init.clone())));
        let address = Some("2001:db8::1".parse().unwrap());
        let init = Init {
            address,
            port: 5080,
            ..init
        };
        assert_eq!(
            read("init --address 2001:db8::1 pbx --port 5080"),
            Ok(Command::Init(init))
        );
    }

    #[test]
    fn the_demo_stays_up_unless_it_is_told_once() {
        assert_eq!(read("demo"), Ok(Command::Demo { once: false }));
        assert_eq!(read("demo --once"), Ok(Command::Demo { once: true }));
    }

    #[test]
    fn trace_shows_everything_for_ever_unless_it_is_told_what_and_how_long() {
        let all = Options {
            filter: Filter::All,
            full: false,
            secrets: false,
            seconds: None,
            count: None,
            socket: None,
            pcap: None,
        };
        assert_eq!(read("trace"), Ok(Command::Trace(all)));
        let some = Options {
            filter: Filter::Text("700".into()),
            full: true,
            secrets: true,
            seconds: Some(Duration::from_secs(9)),
            count: Some(7),
            socket: Some("a".into()),
            pcap: Some("-".into()),
        };
        assert_eq!(
            read("trace --full 700 --secrets --seconds 9 --count=7 --socket a --pcap -"),
            Ok(Command::Trace(some))
        );
    }

    #[test]
    fn simulate_takes_a_recorded_day_or_makes_one_and_what_is_to_change() {
        let options = |source| simulate::Options {
            config: "config".into(),
            source,
            change: Change::default(),
        };
        let recorded = options(Source::Recorded("2026-11-20".into()));
        assert_eq!(
            read("simulate 2026-11-20"),
            Ok(Command::Simulate(recorded.clone()))
        );
        let changed = simulate::Options {
            config: "a".into(),
            change: Change {
                queue: Some("support".into()),
                strategy: Some(("ring-all", Strategy::RingAll)),
                agents: -2,
            },
            ..recorded
        };
        let line = "simulate 2026-11-20 --strategy ring-all --agents -2 --queue support -c a";
        assert_eq!(read(line), Ok(Command::Simulate(changed)));
        let made = |calls, talk, patience| {
            Source::Made(Made {
                calls,
                talk: Duration::from_secs(talk),
                patience: Duration::from_secs(patience),
            })
        };
        let default = options(made(1_000, 180, 120));
        assert_eq!(read("simulate"), Ok(Command::Simulate(default)));
        assert_eq!(
            read("simulate --calls 9 --talk 8 --patience=7"),
            Ok(Command::Simulate(options(made(9, 8, 7))))
        );
    }

    #[test]
    fn help_and_version_are_found_everywhere() {
        for line in ["help", "--help", "run --help", "run -h", "help run"] {
            assert_eq!(read(line), Ok(Command::Help), "{line}");
        }
        for line in ["version", "--version", "-V"] {
            assert_eq!(read(line), Ok(Command::Version), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_the_nearest_name() {
        for (line, expected) in [
            ("", "no command"),
            ("chekc", "unknown command `chekc`: did you mean `check`?"),
            ("start", "unknown command `start`"),
            (
                "run --confg a",
                "unknown option `--confg`: did you mean `--config`?",
            ),
            ("run --config", "`--config` needs a folder"),
            ("init", "`init` needs the name of a new folder"),
            ("init a b", "one argument too many: `b`"),
            ("run a", "one argument too many: `a`"),
            ("run --port 1", "`--port` is no option of `run`"),
            ("init a --config b", "`--config` is no option of `init`"),
            ("demo --config b", "`--config` is no option of `demo`"),
            ("demo --once=1", "one argument too many: `1`"),
            ("run --full", "`--full` is no option of `run`"),
            (
                "trace 192.0.2.0/33",
                "`192.0.2.0/33` is no network: write it as 192.0.2.0/24 or 2001:db8::/32",
            ),
            ("trace a b", "one argument too many: `b`"),
            (
                "trace --count 0",
                "`--count` needs a number, 1 or more, not `0`",
            ),
            (
                "simulate yesterday",
                "`simulate` needs a day such as 2026-11-20, not `yesterday`",
            ),
            (
                "simulate 2026-11-20 --calls 9",
                "`--calls` is of a made day: leave out the date",
            ),
            (
                "simulate --strategy fastest",
                "`--strategy` needs a strategy of queues.toml, not `fastest`",
            ),
            (
                "simulate --agents many",
                "`--agents` needs a number such as +2 or -1, not `many`",
            ),
            ("run --once", "`--once` is no option of `run`"),
            (
                "init a --port 0",
                "`--port` needs a port, 1 to 65535, not `0`",
            ),
            (
                "init a --address here",
                "`--address` needs an IP address of this machine, not `here`",
            ),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn an_order_that_is_not_understood_is_told_so() {
        for (line, expected) in [
            ("do", "`do` needs a call"),
            ("do 205", "`do` needs an order such as hang-up"),
            (
                "do 205 hangup",
                "unknown order `hangup`: did you mean `hang-up`?",
            ),
            ("do 205 hang-up now", "one argument too many: `now`"),
            (
                "do 205 transfer",
                "`transfer` needs a number, or queue NAME, agent NAME, phone NAME",
            ),
            (
                "do 205 transfer to 206",
                "`transfer` needs a number, or queue NAME, agent NAME, phone NAME, not `to 206`",
            ),
            (
                "do 205 priority 101",
                "`priority` needs a number, 0 to 100, not `101`",
            ),
            (
                "do 205 priority high",
                "`priority` needs a number, 0 to 100, not `high`",
            ),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }
}
