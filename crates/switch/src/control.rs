//! The control loop: the only place with a `select!`, the only reader of the clock, the owner of the exchange.
//!
//! It waits for nobody: what leaves goes to sockets, workers and writers that have queues of their own; what they have to
//! say comes back as one more event.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use call::exchange::{CallId, Exchange, Output};
use call::order::{Order, Unheeded};
use call::settings::Settings;
use call::trunk::{Found, LookUp, LookUpId, Place};
use net::lookup::{LookUps, Query};
use net::rtp::Rtp;
use net::sip::tls::Identity;
use net::sip::{Incoming, Sip};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tracing::{error, info, warn};

use crate::config::{self, Checked, Papers};
use crate::log::Log;
use crate::peers::Peers;
use crate::queue_log::QueueLog;
use crate::records::{CallRecords, Entry};
use crate::trace::Tap;

/// What a phone is told that calls while the switch ends: a supervisor has started the next one by then (RFC 3261 section 20.33).
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long calls that were ended by us may take to close their recordings and to write their records.
const HANG_UP_LIMIT: Duration = Duration::from_secs(5);
/// How long the switch stays after it ended calls itself: a lost BYE is sent once more after T1 = 500 ms (RFC 3261 section 17.1.2.1).
const LAST_WORDS: Duration = Duration::from_millis(600);
/// Lines of a faulty configuration that are logged; `ringmaster check` shows all.
const MAX_MISTAKES: usize = 20;

/// What others tell the control loop, besides sockets and workers.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A recording is closed.
    Recorded(media::Event),
    /// The records of these calls are on disk.
    Written(Vec<CallId>),
    /// So is some of the queue log.
    Logged,
    /// End after the standing calls; the second time: end now.
    Stop,
    /// Somebody watches the signalling.
    Watched,
    /// Somebody asks why a call or an agent is where it is.
    Asked {
        /// Its name.
        name: String,
        /// The answer; none if nothing bears the name.
        reply: oneshot::Sender<Option<String>>,
    },
    /// Somebody wants something of a call.
    Ordered {
        /// Which call.
        name: String,
        /// What.
        order: Order,
        /// The call's own name, or why it was not done.
        reply: oneshot::Sender<Result<String, Unheeded>>,
    },
    /// A look-up has its answer, or none.
    Found(LookUpId, Result<Found, String>),
    /// Read the configuration again.
    Reload,
    /// It was read.
    Reloaded(Result<Box<Reloaded>, config::Report>),
}

/// A configuration that was read while the switch runs, ready to be taken.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// For people and for what only a restart can change.
    pub(crate) checked: Checked,
    /// The same for call control.
    pub(crate) settings: Settings,
    /// The certificate of TLS, which may be another one in the same files.
    pub(crate) identity: Option<Identity>,
    /// What was read for trunks over TLS, likewise.
    pub(crate) papers: Papers,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not at all.
    Serving,
    /// New calls are refused; standing calls may go on until then.
    Draining { until: Instant },
    /// All calls were ended; what is not closed by then is left.
    HangingUp { until: Instant },
    /// Nothing is left but retransmissions.
    LastWords { until: Instant },
    /// Over.
    Ended,
}

/// The loop and what it owns.
pub(crate) struct Control {
    pub(crate) checked: Checked,
    pub(crate) exchange: Exchange,
    pub(crate) sip: Sip,
    pub(crate) peers: Peers,
    pub(crate) rtp: Rtp,
    pub(crate) records: CallRecords,
    pub(crate) queue_log: QueueLog,
    pub(crate) notices: mpsc::Receiver<Notice>,
    /// For answers of look-ups.
    pub(crate) answers: mpsc::Sender<Notice>,
    /// The name servers, or why there are none.
    pub(crate) look_ups: Result<LookUps, String>,
    /// Asks for a reload; none where there is no folder to read.
    pub(crate) reload: Option<std::sync::mpsc::SyncSender<()>>,
    pub(crate) tap: Tap,
    pub(crate) log: Log,
}

/// What is left when the loop is over.
pub(crate) struct Remains {
    pub(crate) sip: Sip,
    pub(crate) rtp: Rtp,
    pub(crate) records: CallRecords,
    pub(crate) queue_log: QueueLog,
}

impl Control {
    /// Runs until the switch has ended.
    pub(crate) async fn run(mut self) -> Remains {
        let mut stage = Stage::Serving;
        let mut alarm = pin!(sleep_until(Instant::now().into()));
        let mut armed = None;
        while stage != Stage::Ended {
            let deadline = [
                self.exchange.poll_timeout().map(|(at, _)| at),
                stage.until(),
            ]
            .into_iter()
            .flatten()
            .min();
            if let Some(at) = deadline
                && armed != deadline
            {
                alarm.as_mut().reset(at.into());
            }
            armed = deadline;
            tokio::select! {
                incoming = self.sip.recv() => match incoming {
                    Incoming::Message { message, flow } => {
                        let now = Instant::now();
                        self.tap.received(flow, message.octets(), now);
                        self.exchange.handle_message(message, flow, now);
                    }
                    Incoming::FlowClosed { flow, why } => self.exchange.handle_flow_closed(flow, &why, Instant::now()),
                },
                event = self.rtp.recv() => self.handle_rtp(event, Instant::now()),
                Some(notice) = self.notices.recv() => stage = self.handle_notice(notice, stage, Instant::now()),
                () = &mut alarm, if armed.is_some() => {
                    let now = Instant::now();
                    armed = None;
                    self.exchange.handle_timeout(now);
                }
            }
            self.drain();
            stage = self.advance(stage, Instant::now());
            self.sip.set_vacancies(self.exchange.vacancies());
            self.sip.take_turns().await;
        }
        Remains {
            sip: self.sip,
            rtp: self.rtp,
            records: self.records,
            queue_log: self.queue_log,
        }
    }

    /// Lets out what the exchange has to say.
    fn drain(&mut self) {
        while let Some(output) = self.exchange.poll_output() {
            match output {
                Output::Transmit { flow, octets } => {
                    self.tap.sent(flow, &octets);
                    self.sip.send(flow, octets);
                }
                Output::Dialog { call, call_id } if self.tap.is_open() => {
                    self.tap.dialog(call, call_id)
                }
                Output::Dialog { .. } => self.exchange.unwatch(),
                Output::Shut { stranger, until } => self.sip.shut(stranger, until),
                Output::Media { worker, command } => self.rtp.send(worker, command),
                Output::Pass { leg, from, to } => self.rtp.pass(leg, from, to),
                Output::CallRecord { call, mut record } => {
                    let format = self.checked.recording_format;
                    for recording in &mut record.recordings {
                        // What is incomplete stays what it is.
                        if recording.error.is_none() {
                            recording.path = format.final_name(&recording.path);
                        }
                    }
                    self.records.write(Entry { call, record });
                }
                Output::QueueLog(entry) => self.queue_log.write(entry),
                Output::LookUp { id, look_up } => self.look_up(id, look_up),
                Output::Proofs(proofs) => {
                    self.peers.prove(proofs);
                    self.sip.set_peers(self.peers.all());
                }
            }
        }
        self.rtp.flush();
    }

    /// Asks the name servers; the answer comes back as a notice, within two seconds.
    fn look_up(&self, id: LookUpId, look_up: LookUp) {
        let (look_ups, answers) = (self.look_ups.clone(), self.answers.clone());
        tokio::spawn(async move {
            let found = match look_ups {
                Ok(look_ups) => find(&look_ups, look_up).await,
                Err(why) => Err(why),
            };
            // Without a control loop nobody wants to know any more.
            drop(answers.send(Notice::Found(id, found)).await);
        });
    }

    fn handle_rtp(&mut self, event: net::rtp::Event, now: Instant) {
        match event {
            net::rtp::Event::Ports(ports) => self.exchange.handle_ports(&ports),
            net::rtp::Event::Media(event) => self.exchange.handle_media(event, now),
            // The worker has logged it; its legs' ends follow as events.
            net::rtp::Event::Panicked { .. } => {}
        }
    }

    fn handle_notice(&mut self, notice: Notice, stage: Stage, now: Instant) -> Stage {
        match notice {
            Notice::Recorded(event) => self.exchange.handle_media(event, now),
            Notice::Found(id, found) => self.exchange.handle_found(id, found, now),
            Notice::Written(calls) => {
                for call in calls {
                    self.exchange.handle_record_written(call);
                }
                self.records.flush();
            }
            Notice::Logged => self.queue_log.flush(),
            Notice::Watched => self.exchange.watch(),
            // Who has gone meanwhile wants no answer.
            Notice::Asked { name, reply } => drop(reply.send(self.exchange.why(&name, now))),
            Notice::Ordered { name, order, reply } => {
                drop(reply.send(self.exchange.order(&name, &order, now)));
            }
            Notice::Stop => return self.stop(stage, now),
            Notice::Reload => match &self.reload {
                // A full channel means that a reload is asked for already, and has not begun.
                Some(reload) => drop(reload.try_send(())),
                None => warn!("there is no configuration to read again"),
            },
            Notice::Reloaded(Ok(reloaded)) => self.take(*reloaded, now),
            Notice::Reloaded(Err(report)) => {
                error!(
                    mistakes = report.count(),
                    "the configuration was not taken and nothing changed"
                );
                for mistake in report.to_string().lines().take(MAX_MISTAKES) {
                    error!("{mistake}");
                }
            }
        }
        stage
    }

    fn take(&mut self, reloaded: Reloaded, now: Instant) {
        let Reloaded {
            checked,
            settings,
            identity,
            papers,
        } = reloaded;
        for what in self.checked.needs_restart(&checked) {
            warn!("{what} changes at the next start");
        }
        self.log.set_level(checked.log_level);
        self.peers.take(papers);
        self.exchange.configure(settings, now);
        // What trunks have to prove now leaves first, and then all of it is looked at with what was read now.
        self.drain();
        self.sip.set_peers(self.peers.all());
        if let Some(identity) = &identity {
            info!(fingerprint = identity.fingerprint(), "certificate of TLS");
            if let Some(text) = config::expiry(identity, SystemTime::now()) {
                warn!("{text}");
            }
        }
        self.sip.configure(identity, checked.sip.origins.clone());
        info!(
            phones = checked.phones.len(),
            queues = checked.queues.len(),
            agents = checked.agents.len(),
            "took the configuration"
        );
        for point in &checked.unsafe_points {
            warn!("unsafe: {point}");
        }
        // What only a restart changes stays as it runs, so that the next reload is compared with that.
        let running = std::mem::replace(&mut self.checked, checked);
        self.checked.sip.listeners = running.sip.listeners;
        self.checked.rtp = running.rtp;
        self.checked.recordings = running.recordings;
        self.checked.call_records = running.call_records;
        self.checked.queue_log = running.queue_log;
        self.checked.trace = running.trace;
    }

    fn stop(&mut self, stage: Stage, now: Instant) -> Stage {
        match stage {
            Stage::Serving => {
                let limit = self.checked.calls.drain_timeout;
                self.exchange.drain(RETRY_AFTER);
                info!(
                    calls = self.exchange.calls(),
                    ?limit,
                    "ends after the standing calls; once more ends them now"
                );
                Stage::Draining { until: now + limit }
            }
            Stage::Draining { .. } => Stage::Draining { until: now },
            Stage::HangingUp { .. } | Stage::LastWords { .. } | Stage::Ended => Stage::Ended,
        }
    }

    /// What follows when a stage's time or its last call is over.
    fn advance(&mut self, stage: Stage, now: Instant) -> Stage {
        let calls = self.exchange.calls();
        match stage {
            Stage::Draining { .. } if calls == 0 => Stage::Ended,
            Stage::Draining { until } if until <= now => {
                info!(calls, "ends the calls that still stand");
                self.exchange.hang_up_all(now);
                self.drain();
                Stage::HangingUp {
                    until: now + HANG_UP_LIMIT,
                }
            }
            Stage::HangingUp { .. } if calls == 0 => Stage::LastWords {
                until: now + LAST_WORDS,
            },
            Stage::HangingUp { until } if until <= now => {
                error!(calls, "ends though calls are not closed");
                Stage::Ended
            }
            Stage::LastWords { until } if until <= now => Stage::Ended,
            Stage::Serving
            | Stage::Draining { .. }
            | Stage::HangingUp { .. }
            | Stage::LastWords { .. }
            | Stage::Ended => stage,
        }
    }
}

impl Stage {
    fn until(self) -> Option<Instant> {
        match self {
            Self::Serving | Self::Ended => None,
            Self::Draining { until } | Self::HangingUp { until } | Self::LastWords { until } => {
                Some(until)
            }
        }
    }
}

impl Checked {
    /// What differs in another configuration and cannot be changed while the switch runs.
    fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let differing = [
            (
                self.sip.listeners != other.sip.listeners,
                "where SIP is listened on ([sip] listen)",
            ),
            (self.rtp != other.rtp, "RTP ([rtp])"),
            (
                self.recordings != other.recordings,
                "the folder of recordings",
            ),
            (
                self.recording_format != other.recording_format,
                "the format of recordings",
            ),
            (
                self.call_records != other.call_records,
                "the folder of call records",
            ),
            (
                self.queue_log != other.queue_log,
                "the folder of the queue log",
            ),
            (self.trace != other.trace, "the trace ([trace])"),
        ];
        differing
            .into_iter()
            .filter_map(|(differs, what)| differs.then_some(what))
            .collect()
    }
}

/// Call control's question for `net`, and its answer.
async fn find(look_ups: &LookUps, look_up: LookUp) -> Result<Found, String> {
    let LookUp {
        host,
        port,
        transport,
    } = look_up;
    let query = Query {
        host,
        port,
        transport,
    };
    let found = look_ups.find(&query).await;
    let found = found.map_err(|fault| fault.to_string())?;
    let place = |place: &net::lookup::Place| Place {
        transport: place.transport,
        address: place.address,
        priority: place.priority,
        weight: place.weight,
    };
    Ok(Found {
        places: found.places.iter().map(place).collect(),
        ttl: found.ttl,
    })
}
