//! The exchange: every call, the queue engine and the SIP endpoint behind four kinds of method.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use media::mixer::{Command, Port, RecordingId};
use queue::Engine;
use sip::endpoint::{Account, Ending, Invite, LegId, Status};
use sip::{Endpoint, Flow, Message};
use tracing::error;

use crate::body::Body;
use crate::clock::Clock;
use crate::effects::{Effects, Routes, Switchboard};
use crate::event::Event;
use crate::ports::Ports;
use crate::presence::Presence;
use crate::state::{Releasing, State, route};
use crate::{CallRecord, Cause, Party, Settings};

/// Most events that one `handle_*` works off before it returns: a loop between the parts would be a fault of ours.
const MAX_STEPS: usize = 1_000_000;

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
    /// For the RTP worker `worker`.
    Media {
        /// The worker that holds the leg's port.
        worker: u16,
        /// What to do.
        command: Command,
    },
    /// Write and flush this, then tell `handle_record_written`.
    CallRecord {
        /// The call, kept until the record is safe.
        call: CallId,
        /// The record.
        record: Box<CallRecord>,
    },
}

/// Why the exchange wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// SIP.
    Sip(sip::endpoint::Wake),
    /// The queue engine.
    Queue(queue::Wake),
    /// A call's own deadline: an announcement, a ring timeout.
    Call,
}

/// What the switch holds for calls, as counts: all 0 when no call stands and the last transaction is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that are not forgotten yet.
    pub calls: usize,
    /// Calls that wait for a moment of their own.
    pub deadlines: usize,
    /// SIP dialogs, also those whose BYE is not answered yet.
    pub dialogs: usize,
    /// SIP transactions of both sides.
    pub transactions: usize,
    /// Legs whose events lead to a call.
    pub legs: usize,
    /// RTP streams.
    pub streams: usize,
    /// Recordings that are not on disk yet.
    pub recordings: usize,
    /// Callers in the queue engine, who wait or talk.
    pub callers: usize,
    /// Their tickets, as calls hold them.
    pub tickets: usize,
    /// Agents' phones that ring.
    pub offers: usize,
    /// Phones in calls that no queue gave them.
    pub phones_in_calls: usize,
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
    next_call: u64,
    panics: u64,
}

impl Exchange {
    /// An exchange without calls. `now` and `wall` are the same moment: the one anchor of all wall times in records.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], now: Instant, wall: SystemTime) -> Self {
        let mut board = Switchboard {
            agents: BTreeMap::new(),
            sip: Endpoint::new(settings.sip.clone(), seed, now),
            queue: Engine::new(),
            ports: Ports::default(),
            presence: Presence::default(),
            clock: Clock::new(now, wall),
            outputs: VecDeque::new(),
            routes: Routes::default(),
            sessions: 0,
            plays: 0,
            recordings: 0,
            settings,
        };
        board.learn_plan(now);
        Self {
            board,
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_call: 0,
            panics: 0,
        }
    }

    /// Takes new settings atomically: standing calls, bindings and live agent statuses stay.
    pub fn configure(&mut self, settings: Settings, now: Instant) {
        self.board.sip.configure(settings.sip.clone(), now);
        self.board.settings = settings;
        self.board.learn_plan(now);
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

    /// A connection closed or could not be opened.
    pub fn handle_flow_closed(&mut self, flow: Flow, now: Instant) {
        self.board.sip.handle_flow_closed(flow, now);
        self.settle(now);
    }

    /// An RTP worker or the recorder tells something.
    pub fn handle_media(&mut self, event: media::Event, now: Instant) {
        match event {
            media::Event::Played { leg, play } => {
                self.stream_event(leg, now, |_| Event::Played(play))
            }
            media::Event::Digit { leg, digit } => {
                self.stream_event(leg, now, |leg| Event::Digit(leg, digit))
            }
            media::Event::Silent { leg, after } => {
                self.stream_event(leg, now, |leg| Event::Silent(leg, after))
            }
            media::Event::Closed {
                leg,
                port: _,
                stats,
            } => {
                if let Some(call) = self.board.routes.streams.get(&leg).copied() {
                    self.with_body(call, now, |body, fx| {
                        body.stream_closed(LegId(leg.0), stats, fx)
                    });
                }
            }
            media::Event::Recorded { recording, result } => self.recorded(recording, result, now),
        }
        self.settle(now);
    }

    /// The call's record is on disk: the call may be forgotten.
    pub fn handle_record_written(&mut self, call: CallId) {
        self.calls.remove(&call);
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
        self.settle(now);
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
        [sip, queue, call]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// Calls that are not forgotten yet.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Accounts with at least one binding.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.board
            .settings
            .sip
            .accounts
            .keys()
            .filter(|account| !self.board.sip.bindings(account).is_empty())
            .count()
    }

    /// Calls that were ended because a fault of ours made their state panic; 0 in a healthy switch.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics
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
        }
    }

    /// The queue engine, to read: positions, statuses, states.
    #[must_use]
    pub fn queues(&self) -> &Engine {
        &self.board.queue
    }

    // --- events on their way to their call -------------------------------------------------------------------------

    /// Works off all that the endpoint and the queue engine have to say, until both are silent.
    fn settle(&mut self, now: Instant) {
        for _ in 0..MAX_STEPS {
            if let Some(output) = self.board.sip.poll_output() {
                match output {
                    sip::Output::Transmit { flow, octets } => {
                        self.board
                            .outputs
                            .push_back(Output::Transmit { flow, octets });
                    }
                    sip::Output::Event(event) => self.sip_event(event, now),
                }
            } else if let Some(output) = self.board.queue.poll_output() {
                self.queue_output(output, now);
            } else {
                return;
            }
        }
        error!("the endpoint and the queue engine do not come to rest");
    }

    fn sip_event(&mut self, event: sip::Event, now: Instant) {
        match event {
            sip::Event::Incoming { leg, invite } => self.incoming(leg, *invite, now),
            sip::Event::Cancelled { leg, reason: _ } => {
                self.leg_event(leg, now, Event::Ended(leg, Cause::Cancelled))
            }
            sip::Event::Ringing {
                leg,
                status: _,
                answer: _,
            } => self.leg_event(leg, now, Event::Ringing(leg)),
            sip::Event::Answered { leg, answer } => {
                self.leg_event(leg, now, Event::Answered(leg, answer))
            }
            sip::Event::Refused {
                leg,
                status,
                retry_after: _,
            } => {
                self.leg_event(leg, now, Event::Refused(leg, status));
            }
            sip::Event::Acknowledged { leg, answer } => {
                self.leg_event(leg, now, Event::Acknowledged(leg, answer))
            }
            sip::Event::Reoffered { leg, offer } => {
                if self.board.routes.legs.contains_key(&leg) {
                    self.leg_event(leg, now, Event::Reoffered(leg, offer));
                } else {
                    self.board.sip.reject(leg, Status(481), now);
                }
            }
            // Call control offers a leg nothing new by itself yet; the peer's words about it change nothing.
            sip::Event::Reanswered { leg: _, result: _ } => {}
            sip::Event::Digit { leg, digit } => self.leg_event(leg, now, Event::Digit(leg, digit)),
            sip::Event::Ended { leg, ending } => {
                let cause = match ending {
                    Ending::Bye(_) => Cause::HangUp,
                    Ending::NoAck | Ending::PeerGone => Cause::PeerGone,
                };
                self.leg_event(leg, now, Event::Ended(leg, cause));
            }
            sip::Event::Reach {
                account,
                reachable: _,
            } => self.board.tell_reach(&account, now),
        }
    }

    fn queue_output(&mut self, output: queue::Output, now: Instant) {
        let routes = &mut self.board.routes;
        match output {
            queue::Output::Offer {
                offer,
                ticket,
                queue: _,
                agent,
            } => {
                if let Some(call) = routes.tickets.get(&ticket).copied() {
                    routes.offers.insert(offer, call);
                    self.step(call, Event::Offered(offer, agent), now);
                }
            }
            queue::Output::Withdraw { offer, cause } => {
                if let Some(call) = routes.offers.remove(&offer) {
                    self.step(call, Event::Withdrawn(offer, cause), now);
                }
            }
            queue::Output::TimedOut { ticket } => {
                if let Some(call) = routes.tickets.remove(&ticket) {
                    self.step(call, Event::WaitedTooLong, now);
                }
            }
            queue::Output::QueueGone { ticket } => {
                if let Some(call) = routes.tickets.remove(&ticket) {
                    self.step(call, Event::QueueGone, now);
                }
            }
        }
    }

    fn incoming(&mut self, leg: LegId, invite: Invite, now: Instant) {
        if self.calls.len() >= self.board.settings.max_calls {
            self.board.sip.reject(leg, Cause::SwitchFull.status(), now);
            return;
        }
        self.next_call += 1;
        let call = CallId(self.next_call);
        let name = format!("{}-{}", self.board.clock.start(), call.0);
        let mut fx = Effects {
            now,
            call,
            board: &mut self.board,
        };
        let Some(mut body) = Body::new(&name, leg, invite, &mut fx) else {
            self.board.sip.reject(leg, Cause::SwitchFull.status(), now);
            return;
        };
        let span = body.span.clone();
        let _entered = span.enter();
        fx.board.routes.legs.insert(leg, call);
        let state = route(&mut body, &mut fx);
        self.calls.insert(
            call,
            Call {
                body,
                state,
                deadline: None,
            },
        );
        self.after_step(call, now);
    }

    fn leg_event(&mut self, leg: LegId, now: Instant, event: Event) {
        if let Some(call) = self.board.routes.legs.get(&leg).copied() {
            self.step(call, event, now);
        }
    }

    fn stream_event(
        &mut self,
        leg: media::LegId,
        now: Instant,
        event: impl FnOnce(LegId) -> Event,
    ) {
        if let Some(call) = self.board.routes.streams.get(&leg).copied() {
            self.step(call, event(LegId(leg.0)), now);
        }
    }

    fn recorded(&mut self, recording: RecordingId, result: Result<Duration, String>, now: Instant) {
        if let Some(call) = self.board.routes.recordings.remove(&recording) {
            self.with_body(call, now, |body, _| body.draft.recorded(recording, result));
        }
    }

    fn with_body(
        &mut self,
        call: CallId,
        now: Instant,
        act: impl FnOnce(&mut Body, &mut Effects<'_>),
    ) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        act(
            &mut found.body,
            &mut Effects {
                now,
                call,
                board: &mut self.board,
            },
        );
        self.after_step(call, now);
    }

    /// One event on one call. A panic in there is a fault of ours: it ends this call and no other.
    fn step(&mut self, call: CallId, event: Event, now: Instant) {
        let Some(Call {
            mut body,
            state,
            deadline,
        }) = self.calls.remove(&call)
        else {
            return;
        };
        let span = body.span.clone();
        let _entered = span.enter();
        let mut fx = Effects {
            now,
            call,
            board: &mut self.board,
        };
        let handled = catch_unwind(AssertUnwindSafe(|| state.handle(event, &mut body, &mut fx)));
        let state = handled.unwrap_or_else(|_| {
            self.panics += 1;
            error!("a fault of Ringmaster ends this call");
            fx.abandon_queues();
            Releasing::enter(Cause::InternalError, Party::Switch, &mut body, &mut fx)
        });
        self.calls.insert(
            call,
            Call {
                body,
                state,
                deadline,
            },
        );
        self.after_step(call, now);
    }

    /// Keeps the call's deadline, and lets its record leave when nothing more is to come.
    fn after_step(&mut self, call: CallId, now: Instant) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        if let State::Releasing(releasing) = &mut found.state
            && releasing.is_complete(&found.body)
        {
            releasing.until = None;
            let record = Box::new(found.body.draft.finish(&self.board.clock, now));
            self.board
                .outputs
                .push_back(Output::CallRecord { call, record });
        }
        let deadline = found.state.deadline();
        if deadline != found.deadline {
            if let Some(old) = found.deadline {
                self.deadlines.remove(&(old, call));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, call));
            }
            found.deadline = deadline;
        }
    }
}

impl Switchboard {
    /// Takes queues, agents and their phones from the settings.
    fn learn_plan(&mut self, now: Instant) {
        self.agents.clear();
        for (agent, account) in &self.settings.agents {
            self.agents
                .entry(account.clone())
                .or_default()
                .push(agent.clone());
        }
        self.queue.configure(self.settings.plan.clone(), now);
        for account in self.agents.keys().cloned().collect::<Vec<Account>>() {
            self.tell_reach(&account, now);
        }
    }
}
