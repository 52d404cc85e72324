//! The user agent: transactions, dialogs, registrar and digest behind four kinds of method.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

mod ask;
mod client;
mod in_dialog;
mod incoming;
mod info;
mod invite;
mod leg;
mod messages;
mod mortal;
mod names;
mod outgoing;
mod peers;
mod prack;
mod refer;
mod reoffer;
mod requests;
mod reroute;
mod session_timer;
mod subscriptions;
mod wire;

use crate::dialog::{Dialog, Parties};
use crate::digest::{Algorithm, Authenticator};
use crate::guard::{Ban, Defence, Guard, Stranger};
use crate::nat::Nat;
use crate::registrar::Registrar;
use crate::timers::Target;
use crate::token::{Token, Tokens};
use crate::transaction::{Layer, Purpose, ServerKey};
use crate::{Flow, Message};
pub use ask::InDialog;
pub(crate) use client::Challenged;
pub use client::{NoReply, Request, RequestId};
pub use invite::{Identity, Invite, MAX_BREADTH, Outgoing, Upstream};
use leg::{Leg, Progress, State};
pub(crate) use messages::MessageId;
use messages::Messages;
use mortal::Mortal;
pub use names::{Account, Binding, Ending, LegId, Reason, Redirection, Status};
pub use peers::{Peer, Source};
use refer::Departed;
pub use refer::Refer;
pub use session_timer::MIN_SESSION_EXPIRES;
use session_timer::Wish;
pub use subscriptions::SubscriptionId;
use subscriptions::Subscriptions;
use wire::Wire;

/// What the endpoint is told once and at each reload.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The digest realm, e.g. `ringmaster`.
    pub realm: String,
    /// The digest algorithms that phones may answer with, in the order of the challenges (RFC 8760 section 2.4); at least one.
    pub digests: Vec<Algorithm>,
    /// Who may register and call, with the password of each.
    pub accounts: BTreeMap<Account, String>,
    /// Shortest binding that a REGISTER may ask for; below it 423 (RFC 3261 section 10.3).
    pub min_expires: Duration,
    /// Longest binding granted.
    pub max_expires: Duration,
    /// The session interval that we ask for, at least `MIN_SESSION_EXPIRES` (RFC 4028).
    pub session_expires: Duration,
    /// The value of Server and User-Agent.
    pub product: String,
    /// What defends the switch against strangers.
    pub defence: Defence,
    /// Under which addresses peers see us.
    pub nat: Nat,
}

/// What the endpoint tells its owner.
#[derive(Clone, Debug)]
pub enum Event {
    /// A phone calls. Answer with `ring`, `answer` or `reject`.
    Incoming {
        /// The new leg.
        leg: LegId,
        /// The INVITE.
        invite: Box<Invite>,
    },
    /// The caller gave up before our final answer; 487 has been sent, the leg is gone.
    Cancelled {
        /// The leg.
        leg: LegId,
        /// The Reason of the CANCEL.
        reason: Option<Reason>,
    },
    /// A provisional answer (101 to 199) to our INVITE; if it was reliable, PRACK has been sent.
    Ringing {
        /// The leg.
        leg: LegId,
        /// 180, 183, ...
        status: Status,
        /// Early session description; none if it was answered before, reliably.
        answer: Option<Bytes>,
    },
    /// A 2xx to our INVITE; ACK has been sent. A 2xx after `cancel` is acknowledged and ended with BYE without this event.
    Answered {
        /// The leg.
        leg: LegId,
        /// The session description; none if a reliable provisional answer had it.
        answer: Option<Bytes>,
    },
    /// A final answer of 300 or more to our INVITE, or 408 when none came, or 503 when the flow failed; the leg is gone.
    /// Comes also after `cancel` (mostly with 487).
    Refused {
        /// The leg.
        leg: LegId,
        /// The status.
        status: Status,
        /// Retry-After, if given.
        retry_after: Option<Duration>,
        /// Where a 3xx sends the caller, the most wanted first.
        targets: Vec<Redirection>,
    },
    /// The ACK for our 2xx came, or the PRACK for a reliable provisional response that carried our offer: with the answer,
    /// if ours carried the offer.
    Acknowledged {
        /// The leg.
        leg: LegId,
        /// The session description in the ACK.
        answer: Option<Bytes>,
    },
    /// re-INVITE (with or without an offer), UPDATE or PRACK with an offer. Answer at once with `answer` or `reject`.
    Reoffered {
        /// The leg.
        leg: LegId,
        /// The new offer; none asks us to offer in the 200.
        offer: Option<Bytes>,
    },
    /// The answer to our `reoffer`: the session description, or the status of the refusal (the session stays as it was).
    Reanswered {
        /// The leg.
        leg: LegId,
        /// What the peer said.
        result: Result<Option<Bytes>, Status>,
    },
    /// The session must be refreshed, and the peer takes no UPDATE: `reoffer` it as it stands (RFC 4028 section 7.4).
    RefreshDue {
        /// The leg.
        leg: LegId,
    },
    /// How a request ended that `ask` sent.
    RepliedInDialog {
        /// The leg.
        leg: LegId,
        /// The request.
        request: RequestId,
        /// The answer, 200 to 699, or why there is none.
        reply: Result<Box<Message>, NoReply>,
    },
    /// The peer asks us to connect the other party with somebody else. Answer with `accept_refer` or `refuse_refer`.
    Referred {
        /// The leg.
        leg: LegId,
        /// With whom.
        refer: Box<Refer>,
    },
    /// A DTMF digit by INFO (application/dtmf-relay or application/dtmf).
    Digit {
        /// The leg.
        leg: LegId,
        /// 0-9, *, #, A-D.
        digit: char,
    },
    /// The dialog is over; nothing more comes for this leg.
    Ended {
        /// The leg.
        leg: LegId,
        /// Why.
        ending: Ending,
    },
    /// How a request of `send_request` ended.
    Replied {
        /// The request.
        request: RequestId,
        /// The CSeq number that it had last: each answered challenge takes one.
        cseq: u32,
        /// The final answer, whatever its status.
        reply: Result<Box<Message>, NoReply>,
    },
    /// A phone that watches another is to be told of its dialogs. Answer with `notify`.
    NotificationDue {
        /// The subscription.
        subscription: SubscriptionId,
        /// The watched phone.
        account: Account,
    },
    /// An account got its first binding, or lost its last (un-REGISTER, expiry, connection gone).
    Reach {
        /// The account.
        account: Account,
        /// Whether it has a binding now.
        reachable: bool,
    },
    /// An address sent too many wrong passwords, and is not heard for a while.
    Banned(Ban),
}

/// What must leave.
#[derive(Clone, Debug)]
pub enum Output {
    /// These octets, over this flow.
    Transmit {
        /// Where to.
        flow: Flow,
        /// The message.
        octets: Bytes,
    },
    /// No datagram of this stranger until then is worth reading: it is banned or asks too much.
    Shut {
        /// Who.
        stranger: Stranger,
        /// At most `SHUT` ahead.
        until: Instant,
    },
    /// Something the owner must know.
    Event(Event),
}

/// Why the endpoint wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A transaction timer of RFC 3261 section 17 (or a 2xx retransmission, section 13.3.1.4).
    Transaction,
    /// A binding expires.
    Binding,
    /// A subscription expires, or has rested long enough for its next notification.
    Subscription,
}

/// The user agent. After every `handle_*` or command, drain `poll_output`.
#[derive(Debug)]
pub struct Endpoint {
    wire: Wire,
    authenticator: Authenticator,
    registrar: Registrar,
    legs: BTreeMap<LegId, Leg>,
    /// What is left of legs whose peers hung up and wait for reports.
    departed: BTreeMap<LegId, Departed>,
    /// Our tags, for requests in dialogs.
    by_tag: BTreeMap<Token, LegId>,
    mortal: Mortal,
    /// The INVITEs of peers whose legs stand, for those that come by two ways.
    merges: BTreeMap<ServerKey, LegId>,
    last_leg: u64,
    /// Requests of ours outside dialogs.
    waiting: BTreeMap<RequestId, client::Waiting>,
    last_request: u64,
    peers: peers::Peers,
    session_expires: Duration,
    subscriptions: Subscriptions,
    messages: Messages,
    /// Retry-After for new calls, while the switch goes down.
    draining: Option<Duration>,
}

impl Endpoint {
    /// A new endpoint; `seed` feeds tags, branches and nonces.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], now: Instant) -> Self {
        Self {
            authenticator: Authenticator::new(&settings, &seed, now),
            registrar: Registrar::new(&settings),
            session_expires: settings.session_expires,
            wire: Wire {
                layer: Layer::new(&seed),
                guard: Guard::new(settings.defence, now),
                tokens: Tokens::new(&seed),
                product: settings.product.into(),
                nat: Arc::new(settings.nat),
            },
            legs: BTreeMap::new(),
            departed: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            mortal: Mortal::default(),
            merges: BTreeMap::new(),
            last_leg: 0,
            waiting: BTreeMap::new(),
            last_request: 0,
            peers: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            messages: Messages::default(),
            draining: None,
        }
    }

    /// Takes new settings; bindings of accounts that stay are kept, others are dropped.
    pub fn configure(&mut self, settings: Settings, now: Instant) {
        self.authenticator.configure(&settings);
        let mut changes = self.registrar.expire(now);
        changes.extend(self.registrar.configure(&settings));
        self.session_expires = settings.session_expires;
        self.end_subscriptions_of_the_gone(&settings, now);
        self.wire.product = settings.product.into();
        self.wire.nat = Arc::new(settings.nat);
        let exists = |account: &Account| settings.accounts.contains_key(account);
        self.wire.guard.configure(settings.defence, exists);
        self.tell_reach(changes, now);
    }

    /// While draining, every INVITE outside a dialog gets 503 with this Retry-After.
    pub fn drain(&mut self, retry_after: Duration) {
        self.draining = Some(retry_after);
    }

    /// A message came.
    pub fn handle_message(&mut self, message: Message, flow: Flow, now: Instant) {
        self.note_standing(flow);
        if message.is_request() {
            self.request(message, flow, now);
        } else {
            self.response(&message, flow, now);
        }
        self.drop_stale_timers();
    }

    /// The time of `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, target)) = self.wire.layer.timers.first()
            && at <= now
        {
            self.wire.layer.timers.remove_first();
            match target {
                Target::Leg(leg) => self.leg_timeout(leg, now),
                Target::Server(_) | Target::Client(_) => {
                    if let Some(failed) = self.wire.layer.fire(target, now) {
                        self.failed(failed, now);
                    }
                }
            }
        }
        let changes = self.registrar.expire(now);
        self.tell_reach(changes, now);
        self.subscriptions_timeout(now);
        self.drop_stale_timers();
    }

    /// What must leave next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.wire.layer.outputs.pop_front()
    }

    /// When to come back, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        let transaction = self
            .wire
            .layer
            .timers
            .first()
            .map(|(at, _)| (at, Wake::Transaction));
        let binding = self.registrar.next_expiry().map(|at| (at, Wake::Binding));
        let subscription = self
            .subscriptions
            .next_deadline()
            .map(|at| (at, Wake::Subscription));
        [transaction, binding, subscription]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// The bindings of an account, freshest first.
    #[must_use]
    pub fn bindings(&self, account: &Account) -> Vec<Binding> {
        self.registrar.bindings(account)
    }

    /// Whether an account has a binding.
    #[must_use]
    pub fn is_registered(&self, account: &Account) -> bool {
        !self.registrar.records(account).is_empty()
    }

    /// Legs that are not forgotten yet: also those whose BYE is still on its way, and whose peers wait for reports.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len() + self.departed.len()
    }

    /// Subscriptions that are not over yet.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Under which addresses peers see us now.
    #[must_use]
    pub fn nat(&self) -> &Nat {
        &self.wire.nat
    }

    /// Transactions that are not over yet, of both sides.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.wire.layer.len()
    }

    /// Requests dropped unread, because their senders are banned or asked too much.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.wire.guard.dropped()
    }

    /// Whether anything came back on the INVITE of a leg, if only 100.
    #[must_use]
    pub fn is_proceeding(&self, leg: LegId) -> bool {
        let state = self.legs.get(&leg).map(|leg| &leg.state);
        match state {
            Some(State::Outgoing(outgoing)) => match outgoing.progress {
                Progress::Calling | Progress::CancelHeld(_) => false,
                Progress::Proceeding | Progress::Cancelled { .. } => true,
            },
            Some(State::Incoming(_) | State::Standing(_) | State::Leaving { .. } | State::Left) => {
                true
            }
            None => false,
        }
    }

    /// The Call-ID of a leg's dialog.
    #[must_use]
    pub fn call_id(&self, leg: LegId) -> Option<&str> {
        self.legs.get(&leg).map(|leg| &*leg.dialog.call_id)
    }

    /// Calls a binding.
    pub fn invite(&mut self, outgoing: Outgoing, now: Instant) -> LegId {
        let id = self.next_leg();
        let opening = outgoing.opening();
        let Outgoing {
            binding,
            caller,
            display,
            private,
            offer,
            max_forwards,
            upstream,
            max_breadth: _,
            referred_by: _,
        } = outgoing;
        let upstream = upstream.as_ref();
        let parties = Parties {
            contact: &binding.contact,
            called: upstream.map_or(&*binding.account.0, |it| &it.number),
            called_host: upstream.map(|it| it.domain.as_str()),
            caller: &caller,
            caller_host: upstream.map(|it| it.caller_domain.as_str()),
            line: upstream.and_then(|it| it.line.as_deref()),
            display: display.as_deref(),
            private,
            max_forwards,
            opening,
        };
        let tokens = [self.wire.draw(), self.wire.draw()];
        let dialog = Dialog::outgoing(parties, binding.flow, &self.wire.nat, tokens);
        let wish = Wish::new(self.session_expires);
        let branch = self.wire.invite(
            &dialog,
            dialog.last_cseq(),
            &offer,
            Some(wish),
            Purpose::Invite(id),
            now,
        );
        self.by_tag.insert(dialog.local_tag, id);
        let progress = Progress::Calling;
        let state = State::Outgoing(leg::Outgoing {
            branch,
            progress,
            offer,
            wish,
            early: Vec::new(),
            tells: true,
        });
        self.legs.insert(
            id,
            Leg {
                dialog,
                account: binding.account,
                merge: None,
                peer_updates: false,
                asked: 0,
                offers: reoffer::Offers::default(),
                state,
            },
        );
        id
    }

    /// Gives up an INVITE of ours that has no final answer yet (CANCEL waits for the first provisional, RFC 3261 section 9.1);
    /// the end of the leg is told by `Refused`.
    pub fn cancel(&mut self, leg: LegId, reason: Option<Reason>, now: Instant) {
        self.give_up(leg, reason, true, now);
        self.drop_stale_timers();
    }

    /// Sends 180, or another provisional response (101 to 199) with or without a session description.
    ///
    /// To a caller that takes it reliably (`Invite::reliable`) it is repeated until its PRACK comes; if it never comes the
    /// INVITE gets 504 and the leg ends (`NoAck`). The description is the answer to the offer of the INVITE; if that had
    /// none, it is our offer, which the PRACK answers (`Acknowledged`): without reliability it may not be given then.
    pub fn ring(&mut self, leg: LegId, status: Status, description: Option<Bytes>, now: Instant) {
        self.progress_incoming(leg, status, description, now);
        self.drop_stale_timers();
    }

    /// Sends 200 with a session description: to the INVITE, or to the re-INVITE, UPDATE or PRACK that `Reoffered` told.
    ///
    /// To the INVITE it is left out if a reliable provisional response had it; the 200 waits for the PRACK of that.
    pub fn answer(&mut self, leg: LegId, description: Bytes, now: Instant) {
        match self.legs.get(&leg) {
            Some(found) if found.offers.theirs.is_some() => {
                self.answer_reoffer(leg, &description, now);
            }
            Some(_) | None => self.answer_incoming(leg, &description, now),
        }
        self.drop_stale_timers();
    }

    /// Refuses the INVITE (the leg is gone; a 503 says when to try again) or what `Reoffered` told (the dialog stays).
    pub fn reject(&mut self, leg: LegId, status: Status, now: Instant) {
        match self.legs.get(&leg) {
            Some(found) if found.offers.theirs.is_some() => {
                self.refuse_reoffer(leg, status.0, now);
            }
            Some(_) | None => self.refuse_incoming(leg, status.0, now),
        }
        self.drop_stale_timers();
    }

    /// Ends a dialog; no event follows, the leg is gone for its owner.
    ///
    /// A leg without a final answer is cancelled or gets 480 instead.
    pub fn bye(&mut self, leg: LegId, reason: Option<Reason>, now: Instant) {
        let Some(found) = self.legs.get_mut(&leg) else {
            return;
        };
        match &mut found.state {
            State::Incoming(_) => self.refuse_incoming(leg, 480, now),
            State::Outgoing(_) => self.give_up(leg, reason, false, now),
            State::Standing(standing) => {
                // RFC 3261 section 15: not before the ACK for our 2xx.
                match standing.unacknowledged.take() {
                    Some(unacknowledged) => {
                        found.settle(&mut self.wire, now);
                        found.state = State::Leaving {
                            unacknowledged,
                            reason,
                        };
                    }
                    None => self.say_bye(leg, reason.as_ref(), now),
                }
            }
            State::Leaving { .. } | State::Left => {}
        }
        self.drop_stale_timers();
    }

    fn next_leg(&mut self) -> LegId {
        self.last_leg += 1;
        LegId(self.last_leg)
    }

    /// Timers that were stopped or moved leave the heap when they come to its top, so that `poll_timeout` tells no lies.
    fn drop_stale_timers(&mut self) {
        while let Some((at, target)) = self.wire.layer.timers.first() {
            let waits = match target {
                Target::Leg(id) => match self.legs.get(&id) {
                    Some(leg) => leg.waits_for(at),
                    None => self.departed.get(&id).is_some_and(|it| it.waits_for(at)),
                },
                Target::Server(_) | Target::Client(_) => self.wire.layer.waits_for(target, at),
            };
            if waits {
                return;
            }
            self.wire.layer.timers.remove_first();
        }
    }
}
