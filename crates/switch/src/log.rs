//! Logs: lines on the error output, in UTC, down to a level that a reload can change; and lines for people on the standard output.

use std::fmt::Display;
use std::io::{self, Write};
use std::panic;

use tracing::{Level, error, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes the level of a running switch.
#[derive(Clone, Debug)]
pub(crate) struct LogLevel(reload::Handle<LevelFilter, Registry>);

impl LogLevel {
    /// Logs down to this level from now.
    pub(crate) fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(LevelFilter::from(level)) {
            warn!(%error, "the log level stays as it was");
        }
    }
}

/// Starts logging; call it once. From now a panic of any thread is logged as an error, with its place.
pub(crate) fn start(level: Level) -> LogLevel {
    let (filter, handle) = reload::Layer::new(LevelFilter::from(level));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    // Fails only where somebody logs already: in a test that starts a second switch.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        error!(
            place = place.as_deref().unwrap_or("unknown"),
            message, "a fault of Ringmaster"
        );
    }));
    LogLevel(handle)
}

/// Prints a text for people, at once. That nobody reads it (`ringmaster demo | head`) is no reason to end.
pub(crate) fn say(text: impl Display) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}
