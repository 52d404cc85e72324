//! The exchange: every call, the queue engine and the SIP endpoint behind four kinds of method.

mod confer;
mod dispatch;
mod order;
mod step;
mod supervise;
mod transfer;
mod watch;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use media::mixer::{Command, Port};
use queue::Engine;
use sip::guard::Stranger;
use sip::{Endpoint, Flow, Message};

use crate::body::Body;
use crate::clock::Clock;
use crate::event::Event;
pub use crate::load::Load;
use crate::ports::Ports;
use crate::presence::Presence;
use crate::queue_log::{self, Memory, QueueLog};
use crate::state::State;
use crate::switchboard::{Routes, Switchboard};
use crate::trunk::{Accounts, Found, LookUp, LookUpId, Outside, Proofs, Spent, Trunks};
use crate::{CallRecord, Cause, Party, Settings};

/// A call's number: counts from the start of the switch; with the start's wall time it names the call for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What must leave.
#[derive(Debug)]
pub enum Output {
    /// SIP octets.
    Transmit {
        /// Where to.
        flow: Flow,
        /// The message.
        octets: Bytes,
    },
    /// No datagram of this stranger until then is worth reading.
    Shut {
        /// Who.
        stranger: Stranger,
        /// A second ahead at most.
        until: Instant,
    },
    /// For the RTP worker `worker`.
    Media {
        /// The worker that the leg lives on.
        worker: u16,
        /// What to do.
        command: Command,
    },
    /// A leg goes on on another RTP worker, with its port.
    Pass {
        /// Which leg.
        leg: media::LegId,
        /// The worker that it lives on.
        from: u16,
        /// The worker that it lives on from now on.
        to: u16,
    },
    /// Write and flush this, then tell `handle_record_written`.
    CallRecord {
        /// The call, kept until the record is safe.
        call: CallId,
        /// The record.
        record: Box<CallRecord>,
    },
    /// Append this to the queue log.
    QueueLog(queue_log::Entry),
    /// For who watches the signalling (`Exchange::watch`): this dialog belongs to this call.
    Dialog {
        /// The call's name, as in its record.
        call: String,
        /// The dialog's Call-ID.
        call_id: String,
    },
    /// From now on over TLS these peers must prove this, and nobody else is connected to.
    Proofs(Proofs),
    /// Find out where this is, then tell `handle_found`.
    LookUp {
        /// Which question.
        id: LookUpId,
        /// The question.
        look_up: LookUp,
    },
}

/// Most ended calls whose records the disk has not taken: some 100 MB, an hour of a busy switch. Then new calls are refused: a disk
/// that takes no records must not stop the telephones, as long as memory can wait for it.
const MAX_UNWRITTEN: usize = 20_000;

/// Why the exchange wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// SIP.
    Sip(sip::endpoint::Wake),
    /// The queue engine.
    Queue(queue::Wake),
    /// A call's own deadline: an announcement, a ring timeout.
    Call,
    /// A trunk: OPTIONS, REGISTER or a look-up is due.
    Trunk,
    /// An account has talked outside for as long as it may.
    Account,
}

/// One call: its state, and what it is in every state alike.
#[derive(Debug)]
struct Call {
    body: Body,
    state: State,
    /// The deadline that stands in `Exchange::deadlines`.
    deadline: Option<Instant>,
}

/// The whole switch without its sockets. After every `handle_*` or command, drain `poll_output`.
#[derive(Debug)]
pub struct Exchange {
    board: Switchboard,
    calls: BTreeMap<CallId, Call>,
    deadlines: BTreeSet<(Instant, CallId)>,
    /// How many of the calls have only their record still to be written.
    unwritten: usize,
    next_call: u64,
    /// New calls are refused now, and that was logged.
    full: bool,
    panics: u64,
}

impl Exchange {
    /// An exchange without calls. `now` and `wall` are the same moment: the one anchor of all wall times in records.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], now: Instant, wall: SystemTime) -> Self {
        // The first eight bytes are the trunks'.
        let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h, ..] = seed;
        let lots = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mut board = Switchboard {
            agents: BTreeMap::new(),
            sip: Endpoint::new(settings.sip.clone(), seed, now),
            queue: Engine::new(lots),
            ports: Ports::default(),
            presence: Presence::default(),
            clock: Clock::new(now, wall),
            outputs: VecDeque::new(),
            routes: Routes::default(),
            supervisors: BTreeSet::new(),
            conferences: BTreeMap::new(),
            queue_log: QueueLog::default(),
            sessions: 0,
            seed,
            certificate: None,
            plays: 0,
            recordings: 0,
            is_watched: false,
            trunks: Trunks::new(&seed),
            accounts: Accounts::default(),
            alarms: 0,
            settings,
        };
        board.learn_day(now);
        board.learn_plan(now);
        board.learn_trunks(&Outside::default(), now);
        Self {
            board,
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            unwritten: 0,
            next_call: 0,
            full: false,
            panics: 0,
        }
    }

    /// The RTP workers show a certificate of this SHA-256 in DTLS: from now on browsers can be talked to.
    pub fn show_certificate(&mut self, fingerprint: [u8; 32]) {
        self.board.certificate = Some(fingerprint);
    }

    /// From now on what happens in the queues is told (`Output::QueueLog`). Agents go on where the log before says that they were.
    pub fn open_queue_log(&mut self, mut before: Memory, now: Instant) {
        let Switchboard {
            queue,
            queue_log,
            clock,
            ..
        } = &mut self.board;
        for (of, customer, joined, left) in before.take_gone(clock) {
            queue.keep_place(&of, customer, joined, left, now);
        }
        for (agent, past) in before.pasts(clock) {
            queue.restore(&agent, past, now);
        }
        queue.keep_notes();
        queue_log.write(queue_log::Event::Started, clock, now);
        self.settle(now);
    }

    /// Takes new settings atomically: standing calls, bindings and live agent statuses stay.
    pub fn configure(&mut self, settings: Settings, now: Instant) {
        self.board.sip.configure(settings.sip.clone(), now);
        let before = std::mem::replace(&mut self.board.settings, settings);
        self.board.learn_plan(now);
        self.board.learn_trunks(&before.outside, now);
        self.settle(now);
    }

    /// RTP ports that are bound and free to use.
    pub fn handle_ports(&mut self, ports: &[Port]) {
        for port in ports {
            self.board.ports.add(*port);
        }
    }

    /// A SIP message came.
    pub fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        self.board.sip.handle_message(message, flow, now);
        self.settle(now);
    }

    /// A connection closed or could not be opened; `why` is for the log.
    pub fn handle_flow_closed(&mut self, flow: Flow, why: &str, now: Instant) {
        self.board.trunks.handle_flow_closed(flow, why);
        self.board.sip.handle_flow_closed(flow, now);
        self.settle(now);
    }

    /// An RTP worker or the recorder tells something.
    pub fn handle_media(&mut self, event: media::Event, now: Instant) {
        let is_state = !matches!(event, media::Event::Figures { .. });
        self.media_event(event, now);
        // Figures change nothing.
        if is_state {
            self.settle(now);
        }
    }

    /// The answer of a look-up, or why there is none.
    pub fn handle_found(&mut self, id: LookUpId, found: Result<Found, String>, now: Instant) {
        let Switchboard {
            trunks,
            settings,
            sip,
            ..
        } = &mut self.board;
        trunks.handle_found(id, found, &settings.outside, sip, now);
        self.settle(now);
    }

    /// The call's record is on disk: the call may be forgotten. One whose record has not left yet is not.
    pub fn handle_record_written(&mut self, call: CallId) {
        if let Some(Call {
            state: State::Releasing(releasing),
            ..
        }) = self.calls.get(&call)
            && releasing.until.is_none()
        {
            self.unwritten -= 1;
            self.calls.remove(&call);
        }
    }

    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self
            .board
            .sip
            .poll_timeout()
            .is_some_and(|(at, _)| at <= now)
        {
            self.board.sip.handle_timeout(now);
        }
        if self
            .board
            .queue
            .poll_timeout()
            .is_some_and(|(at, _)| at <= now)
        {
            self.board.queue.handle_timeout(now);
        }
        if self.board.trunks.poll_timeout().is_some_and(|at| at <= now) {
            let board = &mut self.board;
            let outside = &board.settings.outside;
            board.trunks.handle_timeout(outside, &mut board.sip, now);
        }
        self.settle(now);
        if self
            .board
            .accounts
            .poll_timeout()
            .is_some_and(|at| at <= now)
        {
            self.cut_spent(now);
        }
        while let Some((at, call)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            if let Some(found) = self.calls.get_mut(&call) {
                found.deadline = None;
            }
            self.step(call, Event::Deadline, now);
            self.settle(now);
        }
    }

    /// From now each leg tells to which call its dialog belongs (`Output::Dialog`); the standing legs tell it at once.
    pub fn watch(&mut self) {
        self.board.is_watched = true;
        let standing: Vec<_> = self
            .board
            .routes
            .legs
            .iter()
            .map(|(leg, call)| (*leg, *call))
            .collect();
        for (leg, call) in standing {
            self.board.tell_dialog(leg, call);
        }
    }

    /// Nobody watches any more: nothing is made for them.
    pub fn unwatch(&mut self) {
        self.board.is_watched = false;
    }

    /// No new calls from now: 503 with Retry-After. Standing calls go on.
    pub fn drain(&mut self, retry_after: Duration) {
        self.board.sip.drain(retry_after);
    }

    /// Ends every call (the limit of a graceful stop is over).
    pub fn hang_up_all(&mut self, now: Instant) {
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            self.step(call, Event::Stop(Cause::Stopped, Party::Switch), now);
        }
        self.settle(now);
    }

    /// What must leave next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.board.outputs.pop_front()
    }

    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        let sip = self
            .board
            .sip
            .poll_timeout()
            .map(|(at, wake)| (at, Wake::Sip(wake)));
        let queue = self
            .board
            .queue
            .poll_timeout()
            .map(|(at, wake)| (at, Wake::Queue(wake)));
        let call = self.deadlines.first().map(|(at, _)| (*at, Wake::Call));
        let trunk = self.board.trunks.poll_timeout().map(|at| (at, Wake::Trunk));
        let account = self.board.accounts.poll_timeout();
        let account = account.map(|at| (at, Wake::Account));
        [sip, queue, call, trunk, account]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// Calls that are not forgotten yet.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Calls that may begin now: as many as the settings and the RTP ports of two legs leave room for. One that comes beyond
    /// gets 503.
    #[must_use]
    pub fn vacancies(&self) -> usize {
        if self.unwritten >= MAX_UNWRITTEN {
            return 0;
        }
        let standing = self.calls.len() - self.unwritten;
        let allowed = self.board.settings.max_calls.saturating_sub(standing);
        allowed.min(self.board.ports.len().div_ceil(2))
    }

    /// Accounts with at least one binding.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.board
            .settings
            .sip
            .accounts
            .keys()
            .filter(|account| self.board.sip.is_registered(account))
            .count()
    }

    /// Calls that were ended because a fault of ours made their state panic; 0 in a healthy switch.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// How often an account reached what it may do outside in a day: a password may have been stolen.
    #[must_use]
    pub fn alarms(&self) -> u64 {
        self.board.alarms
    }

    /// Today's date in UTC, as in records: the day that `remember` is about.
    #[must_use]
    pub fn today(&self, now: Instant) -> String {
        self.board.clock.moment(now).date()
    }

    /// What accounts have used up today before the switch was started.
    pub fn remember(&mut self, spent: Vec<Spent>) {
        self.board.accounts.remember(spent);
    }

    /// RTP ports that are free to use now.
    #[must_use]
    pub fn free_ports(&self) -> usize {
        self.board.ports.len()
    }

    /// What is held for calls now.
    #[must_use]
    pub fn load(&self) -> Load {
        let Switchboard {
            sip,
            queue,
            presence,
            routes,
            ..
        } = &self.board;
        Load {
            calls: self.calls.len(),
            deadlines: self.deadlines.len(),
            dialogs: sip.legs(),
            transactions: sip.transactions(),
            legs: routes.legs.len(),
            streams: routes.streams.len(),
            recordings: routes.recordings.len(),
            callers: queue.callers(),
            tickets: routes.tickets.len(),
            offers: routes.offers.len(),
            phones_in_calls: presence.len(),
            accounts_outside: self.board.accounts.len(),
        }
    }

    /// The queue engine, to read: positions, statuses, states.
    #[must_use]
    pub fn queues(&self) -> &Engine {
        &self.board.queue
    }
}
