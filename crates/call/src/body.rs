//! What a call is in every state alike: its legs, and what is written down of it.

mod media;
mod outside;
mod session;

use std::collections::BTreeMap;
use std::time::Instant;

use ::media::mixer::{Command, StreamStats};
use bytes::Bytes;
use queue::CustomerId;
use sip::endpoint::{Account, Invite, LegId, MAX_BREADTH, Reason, Status};
use sip::header::NameAddr;
use sip::sdp::{Direction, Disagreement};
use sip::uri::escape_user;
use tracing::{Span, debug, info, info_span};

use crate::Party;
use crate::draft::Draft;
use crate::effects::Effects;
use crate::leg::{Invited, Leg, Media, Role, Signalling, Times};
use crate::log::MAX_MILESTONES;
use crate::record::TransferKind;
use crate::trunk::MAX_NUMBER;
pub(crate) use media::Heard;
use outside::Attempt;
pub(crate) use outside::Remaining;

/// Most times that a call goes on somewhere else: by a transfer, an exit key, a forwarded phone. More is a loop, or phones that
/// transfer in circles (482).
const MAX_REDIRECTIONS: usize = 20;

/// The caller of a call that we make, until its first phone has answered: `sip` counts legs from 1.
const NOBODY: LegId = LegId(0);

/// Hops of a call that we make (RFC 3261 section 8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// Agents of a queue whose phones usually ring at once for one customer, at most.
const AGENTS_AT_ONCE: usize = 8;

/// A call without its state.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) span: Span,
    /// Whom the call is for: who sent the first INVITE, or after a transfer the one who stayed.
    pub(crate) caller: LegId,
    /// Who sent the first INVITE.
    origin: LegId,
    pub(crate) caller_account: Account,
    /// What called phones show: the caller's account, or the number that a trunk says.
    pub(crate) caller_number: String,
    pub(crate) caller_name: Option<String>,
    /// Who is called must not see who calls.
    pub(crate) caller_is_private: bool,
    /// The caller asked for `sips:`: the call goes only to phones that are reached over TLS (RFC 3261 section 26.2.2).
    secure: bool,
    /// Hops and branches that the caller leaves us (RFC 3261 section 16.6, item 3; RFC 5393 section 5).
    max_forwards: u8,
    max_breadth: usize,
    /// The RTP worker that all its open legs live on; their ports may be another one's.
    worker: u16,
    /// Two of them mostly, large: the map has room for eleven wherever it has one.
    pub(crate) legs: BTreeMap<LegId, Box<Leg>>,
    pub(crate) draft: Draft,
    /// The Reason (RFC 3326) that the party gave who ends the call: the others are told.
    pub(crate) reason: Option<Reason>,
    /// The legs over trunks that have no final answer yet.
    attempts: BTreeMap<LegId, Attempt>,
    /// The accounts that have been charged with an outside call: two after calls that were paid for apart were joined.
    pub(crate) pays_outside: Vec<Account>,
    /// How often it went on somewhere else.
    redirections: usize,
    /// Who has somebody called for another now, and so pays for it.
    referrer: Option<Account>,
    /// What called phones are told of it: the value of Referred-By.
    referred_by: Option<String>,
    milestones: u8,
}

impl Body {
    /// A call of one leg: its caller, unanswered; on the RTP worker `near` if it has room. None if no RTP port is free.
    pub(crate) fn new(
        name: &str,
        leg: LegId,
        invite: Invite,
        near: Option<u16>,
        fx: &mut Effects<'_>,
    ) -> Option<Self> {
        let (flow, offer) = (invite.flow, invite.offer.as_ref());
        let account = &invite.account;
        let port = near.and_then(|worker| fx.take_port(account, flow, offer, Some(worker)));
        let (port, session) = port.or_else(|| fx.take_port(account, flow, offer, None))?;
        fx.enter_call(&invite.account, leg, &Role::Caller);
        // A trunk says what it likes.
        let number: String = invite.caller.chars().take(MAX_NUMBER).collect();
        let span = info_span!("call", id = name);
        span.in_scope(|| {
            info!(leg = leg.0, "begins");
            debug!(caller = number, dialled = invite.dialled, "dialled");
        });
        let caller = Leg {
            id: leg,
            span: info_span!(parent: &span, "leg", n = leg.0, role = Role::Caller.name()),
            role: Role::Caller,
            account: invite.account.clone(),
            number: None,
            payer: None,
            breadth: 0,
            flow: invite.flow,
            call_id: Some(invite.call_id),
            port,
            session,
            agreed: None,
            early: None,
            moving: false,
            offered: false,
            signalling: Signalling::Incoming(match invite.offer {
                Some(offer) => Invited::Offers(offer),
                None => Invited::Asks {
                    reliable: invite.reliable,
                },
            }),
            media: Media::Reserved,
            figures: None,
            times: Times::start(fx.now),
            status: None,
        };
        let draft = Draft::new(
            name,
            number.clone(),
            invite.display.clone(),
            invite.dialled,
            fx.now,
        );
        let body = Self::empty(span, leg, invite.account, number, draft, port.worker);
        Some(Self {
            secure: invite.secure,
            caller_name: invite.display,
            caller_is_private: invite.private,
            max_forwards: invite.max_forwards,
            max_breadth: invite.max_breadth,
            legs: BTreeMap::from([(leg, Box::new(caller))]),
            ..body
        })
    }

    /// A call that rings a supervisor, on whose phone `near` stands, and `shown`: its first leg is still to be called, and has a port
    /// of this RTP worker.
    pub(crate) fn summon(
        name: &str,
        supervisor: &Account,
        near: &Account,
        shown: String,
        worker: u16,
        now: Instant,
    ) -> Self {
        let span = info_span!("call", id = name);
        span.in_scope(|| info!("begins by a command"));
        let number = supervisor.0.to_string();
        let draft = Draft::new(name, number, None, shown.clone(), now);
        let (account, near) = (supervisor.clone(), near.0.to_string());
        let body = Self::empty(span, NOBODY, account, near, draft, worker);
        Self {
            caller_name: Some(shown),
            ..body
        }
    }

    fn empty(
        span: Span,
        caller: LegId,
        caller_account: Account,
        caller_number: String,
        draft: Draft,
        worker: u16,
    ) -> Self {
        Self {
            span,
            caller,
            origin: caller,
            caller_account,
            caller_number,
            secure: false,
            caller_name: None,
            caller_is_private: false,
            max_forwards: MAX_FORWARDS,
            max_breadth: MAX_BREADTH,
            worker,
            legs: BTreeMap::new(),
            draft,
            reason: None,
            attempts: BTreeMap::new(),
            pays_outside: Vec::new(),
            redirections: 0,
            referrer: None,
            referred_by: None,
            milestones: 0,
        }
    }

    /// The first to answer of a call that nobody made: the call is for it.
    pub(crate) fn begin_with(&mut self, leg: LegId) {
        self.caller = leg;
        self.origin = leg;
    }

    pub(crate) fn leg(&self, leg: LegId) -> Option<&Leg> {
        self.legs.get(&leg).map(Box::as_ref)
    }

    pub(crate) fn caller_is_answered(&self) -> bool {
        self.leg(self.caller)
            .is_some_and(|leg| leg.signalling == Signalling::Up)
    }

    pub(crate) fn account(&self, leg: LegId) -> Option<&Account> {
        self.leg(leg).map(|leg| &leg.account)
    }

    /// Whether the leg hears and is heard.
    pub(crate) fn is_open(&self, leg: LegId) -> bool {
        self.leg(leg)
            .is_some_and(|leg| leg.signalling == Signalling::Up && matches!(leg.media, Media::Open))
    }

    /// As whom records and logs name the party of this leg.
    pub(crate) fn party(&self, leg: LegId) -> Party {
        if leg == self.origin {
            Party::Caller
        } else {
            Party::Callee
        }
    }

    /// As whom queues know the caller; nobody who hides who it is.
    pub(crate) fn customer(&self) -> Option<CustomerId> {
        let number = self.caller_number.as_str();
        let hides =
            self.caller_is_private || number.is_empty() || number.eq_ignore_ascii_case("anonymous");
        (!hides).then(|| CustomerId(number.into()))
    }

    /// The call goes on for another of its legs.
    pub(crate) fn go_on_for(&mut self, leg: LegId) {
        if leg == self.caller {
            return;
        }
        if let Some((account, leg_number)) = self
            .leg(leg)
            .map(|leg| (leg.account.clone(), leg.number.clone()))
        {
            self.caller = leg;
            self.caller_number = leg_number.unwrap_or_else(|| account.0.to_string());
            self.caller_account = account;
            self.caller_name = None;
            self.caller_is_private = false;
        }
    }

    /// The call goes on somewhere else; false if it has done so too often.
    pub(crate) fn redirected(&mut self) -> bool {
        self.redirections += 1;
        self.max_forwards = self.max_forwards.saturating_sub(1);
        self.redirections <= MAX_REDIRECTIONS && self.max_forwards > 1
    }

    /// Somebody has another one called for the party that the call is for: it pays, and the called phone is told
    /// (RFC 3892 section 2.1) who it is: nobody speaks for another there.
    pub(crate) fn refer_by(&mut self, by: LegId, claim: Option<String>, fx: &Effects<'_>) {
        let Some(leg) = self.leg(by) else { return };
        let account = leg.account.clone();
        let own = |claim: &String| {
            NameAddr::parse(claim).is_ok_and(|by| by.uri.user().as_deref() == Some(&*account.0))
        };
        let host = fx.board.sip.nat().signalling(leg.flow);
        let plain = || format!("<sip:{}@{host}>", escape_user(&account.0));
        self.referred_by = Some(claim.filter(own).unwrap_or_else(plain));
        self.referrer = Some(account);
    }

    /// A forwarded phone, whose leg is over, has another one called, and pays for it.
    pub(crate) fn forward_by(&mut self, by: Option<Account>) {
        self.referrer = by;
    }

    /// A transfer has come to this end: whoever had somebody called is done with it.
    pub(crate) fn end_transfer(&mut self, status: Status) {
        self.draft.transfer_ended(status);
        self.referrer = None;
        self.referred_by = None;
    }

    /// Whether the call may take another one in: it was not passed on too often.
    pub(crate) fn may_join(&self, other: &Self) -> bool {
        self.redirections.max(other.redirections) < MAX_REDIRECTIONS
    }

    /// The RTP worker that its legs live on.
    pub(crate) fn worker(&self) -> u16 {
        self.worker
    }

    /// Its legs live on that worker from now on: only there they can meet those of another call. Ports of legs that are not open
    /// stay where they are until then.
    pub(crate) fn move_to(&mut self, worker: u16, fx: &mut Effects<'_>) {
        let from = std::mem::replace(&mut self.worker, worker);
        if from == worker {
            return;
        }
        let legs = self.legs.values();
        for leg in legs.filter(|leg| matches!(leg.media, Media::Open)) {
            fx.pass(leg.stream(), from, worker);
        }
    }

    /// The legs and the story of the other call become this one's. `goes_on`: the other's wait in a queue goes on, this one's
    /// is over.
    pub(crate) fn join(&mut self, other: Self, goes_on: bool) {
        self.legs.extend(other.legs);
        self.attempts.extend(other.attempts);
        self.pays_outside.extend(other.pays_outside);
        self.redirections = self.redirections.max(other.redirections) + 1;
        self.max_forwards = self.max_forwards.min(other.max_forwards);
        self.max_breadth = self.max_breadth.min(other.max_breadth);
        self.draft.join(other.draft, goes_on);
    }

    /// A transfer begins, for the record.
    pub(crate) fn transfer_began(&mut self, kind: TransferKind, by: LegId, to: &str, now: Instant) {
        let by = self.account(by).map(|account| account.0.to_string());
        self.draft
            .transfer_began(kind, by.unwrap_or_default(), to, now);
    }

    /// Whether the call has a line at INFO left; it is used then.
    pub(crate) fn takes_milestone(&mut self) -> bool {
        let left = self.milestones < MAX_MILESTONES;
        self.milestones += u8::from(left);
        left
    }

    // --- ringing -------------------------------------------------------------------------------------------------

    /// A called phone rings. What it describes meanwhile is kept: its 200 need not say it again (RFC 3262 section 5).
    pub(crate) fn mark_ringing(&mut self, leg: LegId, answer: Option<&Bytes>, fx: &Effects<'_>) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.times.ring.get_or_insert(fx.now);
            match answer.map(|answer| (answer, leg.session.accept(answer))) {
                Some((_, Ok(agreed))) => leg.agreed = Some(agreed),
                // Only a dialog that stands can move, so what it lets be heard meanwhile is not heard.
                Some((answer, Err(Disagreement::OtherFamily(_)))) => {
                    leg.early = Some(answer.clone())
                }
                Some((_, Err(Disagreement::Malformed | Disagreement::NothingInCommon))) | None => {}
            }
        }
    }

    /// Tells the caller once that the called phone rings.
    pub(crate) fn ring_caller(&mut self, fx: &mut Effects<'_>) {
        if let Some(leg) = self.legs.get_mut(&self.caller)
            && let Signalling::Incoming(invited) = &leg.signalling
            && leg.times.ring.is_none()
        {
            leg.times.ring = Some(fx.now);
            let offer = if let Invited::Asks { reliable: true } = invited {
                // RFC 3261 section 13.2.1: our first reliable answer has to offer; the PRACK answers.
                let offer = leg.session.offer(Direction::SendRecv, None);
                leg.signalling = Signalling::Incoming(Invited::Described(offer.clone()));
                leg.media = Media::AwaitsAck(Vec::new());
                Some(offer)
            } else {
                None
            };
            fx.ring(leg.id, Status(180), offer);
        }
    }

    /// A called phone answered: its dialog stands, whatever becomes of it.
    pub(crate) fn mark_answered(&mut self, leg: LegId, fx: &mut Effects<'_>) {
        if let Some(leg) = self.legs.get_mut(&leg)
            && leg.signalling == Signalling::Calling
        {
            leg.signalling = Signalling::Up;
            leg.times.answer = Some(fx.now);
            leg.status = Some(Status(200));
            if let Some(payer) = &leg.payer {
                fx.talks_outside(payer, leg.id);
            }
        }
    }

    /// Branches that the call may still have besides those that ring (RFC 5393 section 5.3.3).
    pub(crate) fn breadth(&self) -> usize {
        let legs = self.legs.values();
        let rings = legs.filter(|leg| leg.signalling == Signalling::Calling);
        let given: usize = rings.map(|leg| leg.breadth).sum();
        self.max_breadth.saturating_sub(given)
    }

    /// Branches for one agent's phone of a queue: how many of them will ring at once is not known.
    pub(crate) fn breadth_of_agent(&self) -> usize {
        (self.max_breadth / AGENTS_AT_ONCE).max(1)
    }

    // --- ends ----------------------------------------------------------------------------------------------------

    /// Ends a leg as its dialog's state asks: 4xx for an INVITE that waits, CANCEL for one of ours, BYE for a dialog.
    pub(crate) fn release(
        &mut self,
        leg: LegId,
        status: Status,
        reason: Option<Reason>,
        fx: &mut Effects<'_>,
    ) {
        let Some(found) = self.legs.get(&leg) else {
            return;
        };
        match found.signalling {
            Signalling::Incoming(_) => {
                fx.reject(leg, status);
                self.mark_over(leg, Some(status), fx);
            }
            Signalling::Calling => {
                fx.cancel(leg, reason);
                self.mark_over(leg, Some(Status(487)), fx);
            }
            Signalling::Up => {
                fx.bye(leg, reason);
                self.mark_over(leg, None, fx);
            }
            Signalling::Down => {}
        }
    }

    /// The leg's dialog is over: its stream ends too, and its phone is free again.
    pub(crate) fn mark_over(&mut self, leg: LegId, status: Option<Status>, fx: &mut Effects<'_>) {
        let id = leg;
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.signalling == Signalling::Down {
            return;
        }
        leg.signalling = Signalling::Down;
        leg.times.end = Some(fx.now);
        leg.status = leg.status.or(status);
        if let Some(payer) = &leg.payer {
            fx.talked_outside(payer, id);
        }
        self.attempts.remove(&id);
        fx.forget_dialog(leg.id);
        fx.leave_call(&leg.account, leg.id);
        match &leg.media {
            Media::Open => {
                leg.media = Media::Closing;
                let stream = leg.stream();
                fx.media(self.worker, Command::Close { leg: stream });
            }
            Media::Reserved => fx.return_port(leg.port),
            Media::AwaitsAck(commands) => {
                for command in commands {
                    if let Command::Record { recording, .. } = command {
                        let never = "the call ended before it began".to_owned();
                        fx.forget_recording(*recording);
                        self.draft.recorded(*recording, Err(never));
                    }
                }
                leg.media = Media::Reserved;
                fx.return_port(leg.port);
            }
            Media::Closing | Media::Closed(_) => {}
        }
        self.write_down_if_over(id, fx);
    }

    /// The leg's stream has ended. True if nobody asked for that: the leg's port could not be used.
    pub(crate) fn stream_closed(
        &mut self,
        leg: LegId,
        stats: StreamStats,
        fx: &mut Effects<'_>,
    ) -> bool {
        let Some(found) = self.legs.get_mut(&leg) else {
            return false;
        };
        fx.forget_stream(found.stream());
        found.media = Media::Closed(stats);
        let stands = found.signalling != Signalling::Down;
        self.write_down_if_over(leg, fx);
        stands
    }

    fn write_down_if_over(&mut self, leg: LegId, fx: &Effects<'_>) {
        if self.leg(leg).is_some_and(Leg::is_over)
            && let Some(leg) = self.legs.remove(&leg)
        {
            self.draft.add_leg(&leg, &fx.board.clock, fx.now);
        }
    }

    /// Throws away the legs whose end was waited for too long: what they held is given back, their figures are not known.
    pub(crate) fn abandon_legs(&mut self, fx: &mut Effects<'_>) {
        for leg in self.legs.keys().copied().collect::<Vec<_>>() {
            self.mark_over(leg, None, fx);
        }
        for leg in std::mem::take(&mut self.legs).into_values() {
            fx.forget_stream(leg.stream());
            self.draft.add_leg(&leg, &fx.board.clock, fx.now);
        }
    }
}
