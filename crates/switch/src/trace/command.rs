//! `ringmaster trace`: reads what a running switch tells, and shows what was asked for.

use std::fs::OpenOptions;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::Passed;
use super::book::{Book, Entry};
use super::door::{KNOWN, TRACE, UNKNOWN};
use super::filter::Filter;
use super::find::{self, NotFound};
use super::frame::{Frame, GREETING};
use super::ladder::Ladder;
use super::pcap::Pcap;
use super::secrets::hidden;
use super::text::{first_line, indented, time};

/// What is to be shown, how, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// What is to be shown.
    pub(crate) filter: Filter,
    /// Whole messages, not only their first lines.
    pub(crate) full: bool,
    /// Also what proves or encrypts.
    pub(crate) secrets: bool,
    /// End after so long.
    pub(crate) seconds: Option<Duration>,
    /// End after so many messages.
    pub(crate) count: Option<u64>,
    /// The switch's socket; none: that of the only switch on this machine.
    pub(crate) socket: Option<PathBuf>,
    /// A new file for Wireshark; `-`: the standard output, and no lines.
    pub(crate) pcap: Option<PathBuf>,
}

/// Why there is no trace; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// Which switch is not known.
    #[error("{0}")]
    NotFound(#[from] NotFound),
    /// The socket cannot be used.
    #[error("{}: {reason}{}", path.display(), hint(reason))]
    Closed {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// Another protocol.
    #[error("the switch at {} is of another version: use its own `ringmaster`", .0.display())]
    Version(PathBuf),
    /// The switch tells nonsense.
    #[error("what the switch tells cannot be read: {0}")]
    Garbled(io::Error),
    /// The file for Wireshark cannot be made or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The reader is gone.
    #[error("{0}")]
    Output(io::Error),
}

fn hint(reason: &io::Error) -> &'static str {
    let kind = reason.kind();
    if kind == io::ErrorKind::PermissionDenied {
        " (become the user of the switch: `sudo -u USER ringmaster trace`)"
    } else if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
        " (no switch runs there: start it with `ringmaster run`)"
    } else {
        ""
    }
}

/// Shows until the time, the count, the switch or the reader ends.
pub(crate) fn trace(options: &Options) -> ExitCode {
    match connect(options).and_then(|stream| watch(stream, options, io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        // `ringmaster trace | head` is no fault.
        Err(TraceError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ringmaster trace: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says to the switch at this socket, or to the only one on this machine, what is wanted of it, and hears how it begins to answer.
///
/// # Errors
/// Which switch is not known, it is not there, or not for this user.
fn say<T>(
    socket: Option<&PathBuf>,
    line: &str,
    hear: impl FnOnce(&mut UnixStream) -> io::Result<T>,
) -> Result<(PathBuf, UnixStream, T), TraceError> {
    let path = socket.map_or_else(find::socket, |path| Ok(path.clone()))?;
    let talked = UnixStream::connect(&path).and_then(|mut stream| {
        writeln!(stream, "{line}")?;
        let heard = hear(&mut stream)?;
        Ok((stream, heard))
    });
    match talked {
        Ok((stream, heard)) => Ok((path, stream, heard)),
        Err(reason) => Err(TraceError::Closed { path, reason }),
    }
}

/// Asks the switch about what bears a name; within, what it says where nothing does.
///
/// # Errors
/// Which switch is not known, it is not there, not for this user, or of another version.
pub(super) fn ask(
    socket: Option<&PathBuf>,
    line: &str,
) -> Result<Result<String, String>, TraceError> {
    let (path, _, answer) = say(socket, line, |stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })?;
    match answer.split_once('\n') {
        Some((KNOWN, text)) => Ok(Ok(text.to_owned())),
        Some((UNKNOWN, text)) => Ok(Err(text.to_owned())),
        Some(_) | None => Err(TraceError::Version(path)),
    }
}

/// Asks the switch for its trace.
///
/// # Errors
/// Which switch is not known, it is not there, or not for this user.
pub(crate) fn connect(options: &Options) -> Result<UnixStream, TraceError> {
    let (path, stream, greeting) = say(options.socket.as_ref(), TRACE, |stream| {
        let mut greeting = [0; GREETING.len()];
        stream.read_exact(&mut greeting)?;
        Ok(greeting)
    })?;
    if greeting == *GREETING {
        Ok(stream)
    } else {
        Err(TraceError::Version(path))
    }
}

/// Shows what the switch tells, to the end.
///
/// # Errors
/// The output is gone, or the switch tells nonsense.
pub(crate) fn watch(
    stream: UnixStream,
    options: &Options,
    output: impl Write,
) -> Result<(), TraceError> {
    let mut screen = Screen::new(options, output);
    let mut file = options.pcap.as_ref().map(open).transpose()?;
    let end = options.seconds.map(|seconds| Instant::now() + seconds);
    let mut book = Book::new(options.filter.clone());
    let mut left = options.count;
    let mut input = BufReader::new(stream);
    while left != Some(0) {
        if let Some(end) = end {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            input
                .get_ref()
                .set_read_timeout(Some(rest))
                .map_err(TraceError::Garbled)?;
        }
        let due = match Frame::read(&mut input) {
            Ok(Frame::Message(passed)) => book.message(passed),
            Ok(Frame::Dialog(dialog)) => {
                screen.ladder.rename(&dialog.call_id, &dialog.call);
                book.dialog(&dialog)
            }
            Ok(Frame::Lost(0)) => Vec::new(),
            Ok(Frame::Lost(count)) => {
                eprintln!(
                    "{count} messages are missing here: they came faster than they could be told"
                );
                Vec::new()
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                eprintln!("the switch has ended");
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(TraceError::Garbled(error)),
        };
        for entry in due {
            if left == Some(0) {
                break;
            }
            left = left.map(|left| left - 1);
            let entry = if options.secrets {
                entry
            } else {
                without_secrets(entry)
            };
            if let Some((path, file)) = &mut file {
                let failed = |reason| TraceError::File {
                    path: path.clone(),
                    reason,
                };
                file.write(&entry.passed).map_err(failed)?;
            }
            screen.show(&entry).map_err(TraceError::Output)?;
        }
    }
    Ok(())
}

/// A new file for Wireshark: nothing of an existing one is overwritten.
fn open(path: &PathBuf) -> Result<(PathBuf, Pcap<Box<dyn Write>>), TraceError> {
    let opened = || -> io::Result<_> {
        let output: Box<dyn Write> = if to_standard_output(Some(path)) {
            Box::new(io::stdout())
        } else {
            // Only the user may read what was said.
            Box::new(
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)?,
            )
        };
        Pcap::new(output)
    };
    match opened() {
        Ok(file) => Ok((path.clone(), file)),
        Err(reason) => Err(TraceError::File {
            path: path.clone(),
            reason,
        }),
    }
}

fn to_standard_output(pcap: Option<&Path>) -> bool {
    pcap == Some(Path::new("-"))
}

fn without_secrets(mut entry: Entry) -> Entry {
    entry.passed.octets = hidden(&entry.passed.octets);
    entry
}

/// Lines for people.
struct Screen<W> {
    output: W,
    ladder: Ladder,
    /// One call after the other as ladders, or all messages as lines.
    as_ladders: bool,
    full: bool,
    /// The standard output is a file for Wireshark.
    silent: bool,
}

impl<W: Write> Screen<W> {
    fn new(options: &Options, output: W) -> Self {
        Self {
            output,
            ladder: Ladder::default(),
            as_ladders: options.filter != Filter::All,
            full: options.full,
            silent: to_standard_output(options.pcap.as_deref()),
        }
    }

    fn show(&mut self, entry: &Entry) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut text = if self.as_ladders {
            self.ladder.draw(entry)
        } else {
            line(entry)
        };
        if self.full {
            indented(&entry.passed.octets, &mut text);
        }
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }
}

/// `21:20:00.123  udp 192.0.2.7:5062 -> 192.0.2.1:5060  INVITE sip:700@192.0.2.1 SIP/2.0`
fn line(entry: &Entry) -> String {
    let passed: &Passed = &entry.passed;
    format!(
        "{}  {} {} -> {}  {}\n",
        time(passed.at),
        passed.flow.transport.name(),
        passed.source(),
        passed.destination(),
        first_line(&passed.octets)
    )
}
