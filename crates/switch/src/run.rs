//! `ringmaster run`: starts everything, runs the control loop, ends everything in order.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant, SystemTime};

use call::exchange::Exchange;
use call::queue_log::Memory;
use media::mixer::Limits;
use net::lookup::LookUps;
use net::rtp::Rtp;
use net::sip::tls::Identity;
use net::sip::{ConnectionLimits, Sip};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::certificate;
use crate::config::{self, Checked};
use crate::control::{Control, Notice, Reloaded};
use crate::log::{self, Log, say};
use crate::peers::Peers;
use crate::queue_log::{self, QueueLog};
use crate::recorder::Recorder;
use crate::records::{CallRecords, Entry, spent_on};
use crate::sounds::Library;
use crate::trace::Trace;

/// Notices on their way to the control loop; a writer that finds it full waits.
const NOTICES: usize = 1_024;
/// How long the start waits for the first RTP ports. They come within a few milliseconds.
const PORTS_LIMIT: Duration = Duration::from_secs(2);
/// Open files besides those of calls: listeners, pollers, the log, call records, and some room.
const OWN_FILES: usize = 64;
/// Open files of a call: a socket for each of two legs, and two for its recording or for the connections of its phones.
const FILES_OF_A_CALL: usize = 6;
/// With a limit that allows fewer calls than this the start is refused: somebody set it by mistake.
const LEAST_CALLS: usize = 10;
/// The exit code after a fault of our own (`EX_SOFTWARE` of sysexits.h): a supervisor starts the switch again.
const FAULT: u8 = 70;

/// Why the switch did not start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(#[from] config::Report),
    /// A SIP address is taken or not ours.
    #[error("{source}{}", hint(source))]
    Sip {
        /// What and why.
        #[from]
        source: net::sip::BindError,
    },
    /// No certificate could be made.
    #[error("no certificate for TLS: {0}")]
    Certificate(#[from] certificate::MakeError),
    /// RTP.
    #[error("{0}")]
    Rtp(#[from] net::rtp::StartError),
    /// The system allows too few open files.
    #[error(
        "the limit on open files is {limit}, too low for calls: set LimitNOFILE of the service, or ulimit -n, to {wanted}"
    )]
    Files {
        /// What it is.
        limit: usize,
        /// What `max_calls` needs.
        wanted: usize,
    },
    /// No RTP port could be bound.
    #[error(
        "no RTP port of {first} to {last} could be bound: are they all taken? Set first_port and last_port in ringmaster.toml"
    )]
    NoPorts {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// A folder cannot be used.
    #[error("cannot write {what} to {folder}: {reason}", folder = .folder.display())]
    Folder {
        /// Recordings or call records.
        what: &'static str,
        /// Where.
        folder: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The system gives no threads, no signals or no random numbers.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

fn hint(error: &net::sip::BindError) -> &'static str {
    let kind = error.source.kind();
    if kind == io::ErrorKind::AddrInUse {
        " (does another switch run there? `ss -lntup` shows it)"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        " (this machine has no such address: `ip address` shows those it has)"
    } else {
        ""
    }
}

/// Runs the switch on the configuration in a folder until a signal ends it.
pub(crate) fn run(dir: &Path) -> ExitCode {
    let began = Instant::now();
    let started = config::load(dir)
        .map_err(StartError::from)
        .and_then(|checked| {
            let log = log::start(checked.log_level)?;
            let switch = Switch::start(checked, Some(dir.to_owned()), log.clone());
            // Lines before an error come before it.
            log.flush();
            switch
        });
    match started {
        Ok(switch) => {
            say(format_args!(
                "Ringmaster {} ready after {} ms\n{}",
                env!("CARGO_PKG_VERSION"),
                began.elapsed().as_millis(),
                switch.summary().trim_end()
            ));
            switch.run()
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A whole switch, bound and ready.
pub(crate) struct Switch {
    runtime: Runtime,
    control: Control,
    recorder: Recorder,
    trace: Trace,
    notices: mpsc::Sender<Notice>,
    log: Log,
    /// What is to be said about the certificate.
    certificate: Option<String>,
}

impl Switch {
    /// Starts SIP, the RTP workers and the writers. What comes before all is ready waits in the sockets. `dir` is read again
    /// on SIGHUP.
    ///
    /// # Errors
    /// Anything that is missing; nothing runs then.
    pub(crate) fn start(
        checked: Checked,
        dir: Option<PathBuf>,
        log: Log,
    ) -> Result<Self, StartError> {
        let sockets = rtp_sockets(net::descriptors::raise_limit(), checked.calls.max_calls)?;
        let mut library = Library::default();
        let sounds = checked.decode_sounds(&mut library)?;
        let settings = checked.settings(&sounds);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let (notices, inbox) = mpsc::channel(NOTICES);

        let mut seed = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        let now = Instant::now();
        let mut exchange = Exchange::new(settings, seed, now, SystemTime::now());
        remember_spent(&mut exchange, &checked, now);
        let listeners: Vec<_> = checked
            .sip
            .listeners
            .iter()
            .map(|it| (it.transport, it.address))
            .collect();
        // First of all: a second switch that was started by mistake is told so, and must not touch the files of the first.
        let identity = identity(&checked)?;
        let certificate = identity.as_ref().map(|it| checked.certificate_lines(it));
        let peers = Peers::new(checked.papers()?);
        let sip = Sip::bind(net::sip::Settings {
            listeners,
            identity,
            origins: checked.sip.origins.clone(),
            limits: ConnectionLimits::default(),
        })?;
        let (mut rtp, taps) = Rtp::start(&rtp_settings(&checked, sockets, seed))?;
        exchange.show_certificate(rtp.fingerprint());
        runtime.block_on(first_ports(&mut rtp, &mut exchange, &checked))?;
        let (recorder, records, queue_log) = start_writers(&checked, taps, &notices)?;
        open_queue_log(&mut exchange, &checked, now);
        let (tap, trace) = Trace::start(&checked.trace, notices.clone())?;
        forward_signals(&notices)?;
        let reload = dir
            .map(|dir| start_reloader(dir, library, notices.clone()))
            .transpose()?;
        drop(entered);
        let control = Control {
            checked,
            exchange,
            sip,
            peers,
            rtp,
            records,
            queue_log,
            notices: inbox,
            answers: notices.clone(),
            look_ups: LookUps::of_system(),
            reload,
            tap,
            log: log.clone(),
        };
        Ok(Self {
            runtime,
            control,
            recorder,
            trace,
            notices,
            log,
            certificate,
        })
    }

    /// What listens where, where things are written and what is unsafe, in a few lines for people.
    pub(crate) fn summary(&self) -> String {
        let checked = &self.control.checked;
        let folders = [
            ("Recordings", &checked.recordings),
            ("Call records", &checked.call_records),
            ("Queue log", &checked.queue_log),
        ];
        let folders: String = folders
            .iter()
            .map(|(what, folder)| format!("{what} in {}\n", folder.display()))
            .collect();
        let certificate = self.certificate.as_deref().unwrap_or_default();
        folders + certificate + &checked.summary()
    }

    /// For asking the running switch to stop.
    pub(crate) fn notices(&self) -> mpsc::Sender<Notice> {
        self.notices.clone()
    }

    /// Runs until a signal or a notice ends it, and ends everything in order.
    pub(crate) fn run(self) -> ExitCode {
        let Self {
            runtime,
            control,
            recorder,
            trace,
            notices,
            log,
            certificate: _,
        } = self;
        drop(notices);
        // A fault that call control could not keep inside one call: recordings and records are still closed in order.
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let remains = runtime.block_on(control.run());
            runtime.block_on(remains.sip.close());
            drop(remains.rtp);
            remains.records.join();
            remains.queue_log.join();
        }));
        drop(trace);
        // The control loop is gone, and with it the RTP workers: no tap comes any more.
        recorder.join();
        let code = match ended {
            Ok(()) => {
                info!("ended");
                ExitCode::SUCCESS
            }
            Err(_) => {
                error!("ended by a fault of its own");
                ExitCode::from(FAULT)
            }
        };
        log.flush();
        code
    }
}

/// What accounts used up outside today goes on counting.
fn remember_spent(exchange: &mut Exchange, checked: &Checked, now: Instant) {
    // Where no route leads outside nobody has paid for anything, and the day's records are many.
    if checked.outside.routes.is_empty() {
        return;
    }
    match spent_on(&checked.call_records, &exchange.today(now)) {
        Ok(spent) => exchange.remember(spent),
        Err(error) => warn!(%error, "what accounts used up outside today cannot be read"),
    }
}

/// Agents go on where the last run of the switch left them.
fn open_queue_log(exchange: &mut Exchange, checked: &Checked, now: Instant) {
    let memory = queue_log::memory(&checked.queue_log).unwrap_or_else(|error| {
        warn!(%error, "the queue log cannot be read: agents begin as the configuration says");
        Memory::default()
    });
    exchange.open_queue_log(memory, now);
}

/// The certificate of TLS, made now if nobody has given one.
fn identity(checked: &Checked) -> Result<Option<Identity>, StartError> {
    if let Some(tls) = checked.sip.tls.as_ref().filter(|tls| tls.is_to_be_made()) {
        certificate::make(tls, &checked.sip.listeners, &checked.outer_addresses)?;
        warn!(
            "made a self-signed certificate for TLS, {}: phones and browsers must be told to trust it",
            tls.certificate.display()
        );
    }
    Ok(checked.identity()?)
}

/// How many sockets RTP may have of the files that the system lets us open. A third is for phones over TCP and for recordings:
/// a call takes two ports of two sockets each, and two others.
fn rtp_sockets(limit: u64, max_calls: usize) -> Result<usize, StartError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let wanted = OWN_FILES + max_calls.saturating_mul(FILES_OF_A_CALL);
    let calls = limit.saturating_sub(OWN_FILES) / FILES_OF_A_CALL;
    if calls < LEAST_CALLS.min(max_calls) {
        return Err(StartError::Files { limit, wanted });
    }
    if calls < max_calls {
        warn!(
            "the limit on open files is {limit}: enough for {calls} of {max_calls} calls (`max_calls`); \
             set LimitNOFILE of the service, or ulimit -n, to {wanted}"
        );
    }
    Ok((limit - OWN_FILES) / 3 * 2)
}

fn rtp_settings(checked: &Checked, sockets: usize, seed: [u8; 32]) -> net::rtp::Settings {
    let rtp = &checked.rtp;
    let mut start = [0; 8];
    // The exchange uses the same seed with another generator; neither can be told from the other's outputs.
    start.copy_from_slice(&seed[24..]);
    net::rtp::Settings {
        addresses: rtp.addresses.clone(),
        ports: rtp.first_port..=rtp.last_port,
        // Both legs of a call live on one worker, and the workers share the ports evenly: more workers than calls would leave
        // each with too few for a call.
        workers: u16::try_from(rtp.workers.min(checked.calls.max_calls)).unwrap_or(u16::MAX),
        sockets,
        limits: Limits {
            rtp_timeout: rtp.rtp_timeout,
            hold_timeout: rtp.hold_timeout,
        },
        seed: u64::from_le_bytes(start),
    }
}

/// Waits until calls can have RTP ports.
async fn first_ports(
    rtp: &mut Rtp,
    exchange: &mut Exchange,
    checked: &Checked,
) -> Result<(), StartError> {
    let wait = async {
        while exchange.free_ports() == 0 {
            if let net::rtp::Event::Ports(ports) = rtp.recv().await {
                exchange.handle_ports(&ports);
            }
        }
    };
    let rtp = &checked.rtp;
    tokio::time::timeout(PORTS_LIMIT, wait)
        .await
        .map_err(|_| StartError::NoPorts {
            first: rtp.first_port,
            last: rtp.last_port,
        })
}

fn start_writers(
    checked: &Checked,
    taps: std::sync::mpsc::Receiver<Vec<media::mixer::Tap>>,
    notices: &mpsc::Sender<Notice>,
) -> Result<(Recorder, CallRecords, QueueLog), StartError> {
    let refused = |what, folder: &Path| {
        let folder = folder.to_owned();
        move |reason| StartError::Folder {
            what,
            folder,
            reason,
        }
    };
    // A report that finds no control loop any more has nobody to tell.
    let sender = notices.clone();
    let recorded = move |event| drop(sender.blocking_send(Notice::Recorded(event)));
    let recorder = Recorder::start(
        &checked.recordings,
        checked.recording_format,
        taps,
        recorded,
    )
    .map_err(refused("recordings", &checked.recordings))?;
    let sender = notices.clone();
    let written = move |entries: Vec<Entry>| {
        let calls = entries.iter().map(|entry| entry.call).collect();
        drop(sender.blocking_send(Notice::Written(calls)));
    };
    let records = CallRecords::start(&checked.call_records, written)
        .map_err(refused("call records", &checked.call_records))?;
    let sender = notices.clone();
    let logged = move |_| drop(sender.blocking_send(Notice::Logged));
    let queue_log = QueueLog::start(&checked.queue_log, logged)
        .map_err(refused("the queue log", &checked.queue_log))?;
    Ok((recorder, records, queue_log))
}

/// SIGTERM and SIGINT end the switch, SIGHUP reads the configuration again.
fn forward_signals(notices: &mpsc::Sender<Notice>) -> io::Result<()> {
    for (kind, reload) in [
        (SignalKind::terminate(), false),
        (SignalKind::interrupt(), false),
        (SignalKind::hangup(), true),
    ] {
        let mut signals = signal(kind)?;
        let notices = notices.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let notice = if reload { Notice::Reload } else { Notice::Stop };
                if notices.send(notice).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// A thread that reads the configuration when it is asked to: files and sounds take longer than the control loop may wait.
fn start_reloader(
    dir: PathBuf,
    mut library: Library,
    notices: mpsc::Sender<Notice>,
) -> io::Result<std::sync::mpsc::SyncSender<()>> {
    let (ask, asked) = sync_channel(1);
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            while asked.recv().is_ok() {
                let reloaded = config::load(&dir).and_then(|checked| {
                    let settings = checked.settings(&checked.decode_sounds(&mut library)?);
                    let identity = checked.identity()?;
                    let papers = checked.papers()?;
                    Ok(Box::new(Reloaded {
                        checked,
                        settings,
                        identity,
                        papers,
                    }))
                });
                if notices.blocking_send(Notice::Reloaded(reloaded)).is_err() {
                    return;
                }
            }
        })?;
    Ok(ask)
}

#[cfg(test)]
mod tests;
