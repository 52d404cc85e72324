//! What a call may cause: the closed list of what its states can do to the world.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::mixer::{Command, PlayId, Port, RecordingId};
use queue::{
    AgentId, Arrival, Departure, Failure, OfferId, QueueId, Refused, Status as AgentStatus, Ticket,
};
use sip::endpoint::{Account, Binding, LegId, Outgoing, Reason, Status};
use sip::sdp::{Secret, Session};
use sip::{Flow, Transport};

use crate::exchange::{CallId, Output};
use crate::leg::Role;
use crate::settings::{
    Audio, ConferenceId, Destination, Group, GroupId, Service, Sounds, Supervision,
};
use crate::switchboard::Switchboard;

/// Most people in a conference: each hears all others, so that its work grows with the square of it.
pub(crate) const MAX_CONFEREES: usize = 64;

/// In so many cases of a hundred the wait that a caller is told is not exceeded.
const PROMISED: u8 = 80;

/// The effects of one event on one call.
pub(crate) struct Effects<'a> {
    pub(crate) now: Instant,
    pub(crate) call: CallId,
    pub(crate) board: &'a mut Switchboard,
}

impl Effects<'_> {
    // --- routing -------------------------------------------------------------------------------------------------

    /// Where a dialled number leads; a phone needs no entry among the numbers.
    pub(crate) fn destination(&self, dialled: &str) -> Option<Destination> {
        let settings = &self.board.settings;
        if let Some(destination) = settings.numbers.get(dialled) {
            return Some(destination.clone());
        }
        let account = Account(dialled.into());
        settings
            .sip
            .accounts
            .contains_key(&account)
            .then_some(Destination::Phone(account))
    }

    /// Where a number leads that came over a trunk, by the trunk's own table; none: the caller is no trunk.
    pub(crate) fn trunk_destination(
        &self,
        caller: &Account,
        dialled: &str,
    ) -> Option<Option<Destination>> {
        let trunk = self.board.settings.outside.trunks.get(caller)?;
        Some(trunk.destination(dialled).cloned())
    }

    /// Whether a route leads to the number.
    pub(crate) fn leads_outside(&self, number: &str) -> bool {
        self.board.settings.outside.route(number).is_some()
    }

    /// Which phone is to be supervised by who dials this: a code with the phone's name after it.
    pub(crate) fn supervised(&self, dialled: &str) -> Option<(Account, Supervision)> {
        let settings = &self.board.settings;
        // The longest first, where one code begins another. There may be more numbers than a call should look at.
        let ends = (1..dialled.len()).rev();
        let mut parts = ends.filter_map(|end| dialled.split_at_checked(end));
        parts.find_map(|(code, phone)| {
            let Destination::Supervise(supervision) = settings.numbers.get(code)? else {
                return None;
            };
            let account = Account(phone.into());
            let is_phone = settings.sip.accounts.contains_key(&account);
            is_phone.then_some((account, *supervision))
        })
    }

    /// Whether the phone's user may supervise others.
    pub(crate) fn is_supervisor(&self, account: &Account) -> bool {
        self.board.settings.supervisors.contains(account)
    }

    /// From now on the call is told what conversation the phone is in that it supervises.
    pub(crate) fn supervise(&mut self) {
        self.board.supervisors.insert(self.call);
    }

    /// Whether the conference takes one more.
    pub(crate) fn has_seat(&self, conference: &ConferenceId) -> bool {
        let conferees = self.board.conferences.get(conference);
        conferees.is_none_or(|conferees| conferees.len() < MAX_CONFEREES)
    }

    /// From now on the call is told who else is in the conference.
    pub(crate) fn confer(&mut self, conference: &ConferenceId) {
        let conferees = self.board.conferences.entry(conference.clone());
        conferees.or_default().insert(self.call);
    }

    /// The same for who is sent there by somebody else: only what answers calls, no feature code that acts for its caller.
    pub(crate) fn answering(&self, number: &str) -> Option<Destination> {
        self.destination(number)
            .filter(|destination| match destination {
                Destination::Queue(_)
                | Destination::Phone(_)
                | Destination::Group(_)
                | Destination::Conference(_)
                | Destination::Echo
                | Destination::Music => true,
                Destination::SetStatus(_) | Destination::Ready | Destination::Supervise(_) => false,
            })
    }

    /// Whether the account is a trunk's name.
    pub(crate) fn is_trunk(&self, account: &Account) -> bool {
        self.board.settings.outside.trunks.contains_key(account)
    }

    /// Whether the queue takes one more caller.
    pub(crate) fn has_room(&self, queue: &QueueId) -> bool {
        self.board.queue.has_room(queue)
    }

    pub(crate) fn service(&self, queue: &QueueId) -> Option<&Service> {
        self.board.settings.queues.get(queue)
    }

    pub(crate) fn sounds(&self) -> &Sounds {
        &self.board.settings.sounds
    }

    pub(crate) fn ring_timeout(&self) -> Duration {
        self.board.settings.ring_timeout
    }

    pub(crate) fn phone_of(&self, agent: &AgentId) -> Option<Account> {
        self.board.settings.agents.get(agent).cloned()
    }

    /// The outside number of a remote agent.
    pub(crate) fn number_of(&self, agent: &AgentId) -> Option<String> {
        self.board.settings.outside.agents.get(agent).cloned()
    }

    pub(crate) fn group(&self, group: &GroupId) -> Option<&Group> {
        self.board.settings.groups.get(group)
    }

    pub(crate) fn agents_of(&self, account: &Account) -> Vec<AgentId> {
        self.board.agents.get(account).cloned().unwrap_or_default()
    }

    // --- signalling ----------------------------------------------------------------------------------------------

    pub(crate) fn bindings(&self, account: &Account) -> Vec<Binding> {
        self.board.sip.bindings(account)
    }

    pub(crate) fn invite(&mut self, outgoing: Outgoing) -> LegId {
        let leg = self.board.sip.invite(outgoing, self.now);
        self.board.route_leg(leg, self.call);
        leg
    }

    pub(crate) fn call_id(&self, leg: LegId) -> Option<String> {
        self.board.sip.call_id(leg).map(str::to_owned)
    }

    /// Whether anything came back on the INVITE of a leg.
    pub(crate) fn is_proceeding(&self, leg: LegId) -> bool {
        self.board.sip.is_proceeding(leg)
    }

    /// A provisional answer.
    pub(crate) fn ring(&mut self, leg: LegId, status: Status, description: Option<Bytes>) {
        self.board.sip.ring(leg, status, description, self.now);
    }

    pub(crate) fn answer(&mut self, leg: LegId, description: Bytes) {
        self.board.sip.answer(leg, description, self.now);
    }

    pub(crate) fn reoffer(&mut self, leg: LegId, offer: Bytes) {
        self.board.sip.reoffer(leg, offer, self.now);
    }

    pub(crate) fn reject(&mut self, leg: LegId, status: Status) {
        self.board.sip.reject(leg, status, self.now);
    }

    pub(crate) fn cancel(&mut self, leg: LegId, reason: Option<Reason>) {
        self.board.sip.cancel(leg, reason, self.now);
    }

    pub(crate) fn bye(&mut self, leg: LegId, reason: Option<Reason>) {
        self.board.sip.bye(leg, reason, self.now);
    }

    pub(crate) fn accept_refer(&mut self, leg: LegId) {
        self.board.sip.accept_refer(leg, self.now);
    }

    pub(crate) fn refuse_refer(&mut self, leg: LegId, status: Status) {
        self.board.sip.refuse_refer(leg, status, self.now);
    }

    /// Tells who sent REFER how the call that it wanted goes on.
    pub(crate) fn report(&mut self, leg: LegId, status: Status) {
        self.board.sip.report(leg, status, self.now);
    }

    /// The leg ended: SIP tells nothing more of it that concerns the call.
    pub(crate) fn forget_dialog(&mut self, leg: LegId) {
        self.board.routes.legs.remove(&leg);
    }

    // --- presence ------------------------------------------------------------------------------------------------

    /// A leg of the phone begins.
    pub(crate) fn enter_call(&mut self, account: &Account, leg: LegId, role: &Role) {
        if let Some(trunk) = self.board.trunks.get_mut(account) {
            trunk.enter();
        }
        self.board.presence.enter(account, leg, role);
        self.board.tell_reach(account, self.now);
    }

    /// A leg of the phone is over.
    pub(crate) fn leave_call(&mut self, account: &Account, leg: LegId) {
        if let Some(trunk) = self.board.trunks.get_mut(account) {
            trunk.leave();
        }
        self.board.presence.leave(account, leg);
        self.board.tell_reach(account, self.now);
        self.board.sip.dialogs_changed(account, self.now);
    }

    /// Whether the agent's phone is in a call that no queue gave this agent.
    pub(crate) fn is_busy(&self, account: &Account, agent: &AgentId) -> bool {
        self.board.presence.is_busy_for(account, agent)
    }

    // --- the cost of calls outside -------------------------------------------------------------------------------

    /// A leg outside was answered that the account pays for.
    pub(crate) fn talks_outside(&mut self, payer: &Account, leg: LegId) {
        let board = &mut *self.board;
        let outside = &board.settings.outside;
        board.accounts.talks(payer, leg, outside, self.now);
    }

    /// It is over, if it ever was answered.
    pub(crate) fn talked_outside(&mut self, payer: &Account, leg: LegId) {
        let board = &mut *self.board;
        let outside = &board.settings.outside;
        board.accounts.talked(payer, leg, outside, self.now);
    }

    // --- media ---------------------------------------------------------------------------------------------------

    /// How the sound of an account is treated.
    pub(crate) fn audio(&self, account: &Account) -> &Audio {
        self.board.settings.audio.of(account)
    }

    /// A port for a leg whose signalling comes over `flow`, and its session there. In the family in which its offer wants its
    /// sound, which need not be that of the signalling; without an offer, or without a port of that family, in the latter.
    pub(crate) fn take_port(
        &mut self,
        account: &Account,
        flow: Flow,
        offer: Option<&Bytes>,
        worker: Option<u16>,
    ) -> Option<(Port, Session)> {
        let home = flow.local.ip();
        let (port, ours) = offer
            .and_then(|offer| sip::sdp::wanted_at(offer))
            .filter(|wanted| wanted.is_ipv4() != home.is_ipv4())
            .and_then(|wanted| self.take_port_near(flow, wanted, worker))
            .or_else(|| self.take_port_near(flow, home, worker))?;
        let session = Session::new(ours, self.next_session());
        let settings = &self.board.settings;
        let encryption = *settings.srtp.of(account);
        let session = session.with_codecs(settings.codecs.of(account).clone());
        let session = if settings.audio.of(account).comfort_noise {
            session
        } else {
            session.without_comfort_noise()
        };
        let secret = Secret::new(self.board.seed, self.board.sessions);
        let session = session.with_srtp(encryption, secret);
        // Who signals over WebSockets is a browser.
        let is_browser = matches!(flow.transport, Transport::Ws | Transport::Wss);
        let session = match self.board.certificate {
            Some(fingerprint) => session.with_dtls(fingerprint, is_browser),
            None => session,
        };
        Some((port, session))
    }

    /// A port of the family of `near`, and its address as the peer of the flow sees it.
    pub(crate) fn take_port_near(
        &mut self,
        flow: Flow,
        near: IpAddr,
        worker: Option<u16>,
    ) -> Option<(Port, SocketAddr)> {
        let port = self.board.ports.take(near, worker)?;
        Some((port, self.board.sip.nat().media(flow, port.local)))
    }

    /// A port whose stream was never opened.
    pub(crate) fn return_port(&mut self, port: Port) {
        self.board.ports.add(port);
    }

    pub(crate) fn media(&mut self, worker: u16, command: Command) {
        self.board
            .outputs
            .push_back(Output::Media { worker, command });
    }

    /// The leg's stream goes on on another worker.
    pub(crate) fn pass(&mut self, leg: media::LegId, from: u16, to: u16) {
        self.board.outputs.push_back(Output::Pass { leg, from, to });
    }

    /// The call is told what happens to the stream.
    pub(crate) fn route_stream(&mut self, leg: media::LegId) {
        self.board.routes.streams.insert(leg, self.call);
    }

    pub(crate) fn forget_stream(&mut self, leg: media::LegId) {
        self.board.routes.streams.remove(&leg);
    }

    pub(crate) fn next_session(&mut self) -> u64 {
        self.board.sessions += 1;
        self.board.sessions
    }

    pub(crate) fn next_play(&mut self) -> PlayId {
        self.board.plays += 1;
        PlayId(self.board.plays)
    }

    pub(crate) fn next_recording(&mut self) -> RecordingId {
        self.board.recordings += 1;
        let recording = RecordingId(self.board.recordings);
        self.board.routes.recordings.insert(recording, self.call);
        recording
    }

    pub(crate) fn forget_recording(&mut self, recording: RecordingId) {
        self.board.routes.recordings.remove(&recording);
    }

    // --- queues --------------------------------------------------------------------------------------------------

    pub(crate) fn join(&mut self, queue: &QueueId, arrival: &Arrival) -> Result<Ticket, Refused> {
        let ticket = self.board.queue.join(queue, arrival, self.now)?;
        self.board.routes.tickets.insert(ticket, self.call);
        Ok(ticket)
    }

    /// The caller's place in its queue, from 1.
    pub(crate) fn position(&self, ticket: Ticket) -> Option<usize> {
        self.board.queue.position(ticket)
    }

    /// What nearly all callers at its place would wait at the most; none: nobody knows.
    pub(crate) fn expected_wait(&self, ticket: Ticket) -> Option<Duration> {
        self.board.queue.expected_wait(ticket, PROMISED)
    }

    /// The caller waits with another priority from now; false: it does not wait.
    pub(crate) fn prefer(&mut self, ticket: Ticket, priority: u32) -> bool {
        self.board.queue.prefer(ticket, priority, self.now)
    }

    /// The caller leaves the queue before an agent answered.
    pub(crate) fn leave_queue(&mut self, ticket: Ticket, how: Departure) {
        self.board.queue.leave(ticket, how, self.now);
        self.board.routes.tickets.remove(&ticket);
    }

    /// The agent's phone answered; false: another one was faster.
    pub(crate) fn offer_answered(&mut self, offer: OfferId) -> bool {
        self.board.routes.offers.remove(&offer);
        self.board.queue.handle_answer(offer, self.now).is_some()
    }

    pub(crate) fn offer_failed(&mut self, offer: OfferId, failure: Failure) {
        self.board.routes.offers.remove(&offer);
        self.board.queue.handle_failure(offer, failure, self.now);
    }

    /// The conversation is over: the agent wraps up.
    pub(crate) fn release_agent(&mut self, ticket: Ticket) {
        self.board.queue.handle_release(ticket, self.now);
        self.board.routes.tickets.remove(&ticket);
    }

    /// The agent answered and was gone at once: the caller is back at its place.
    pub(crate) fn agent_vanished(&mut self, ticket: Ticket) {
        self.board.queue.handle_vanish(ticket, self.now);
    }

    /// The agent wraps up no longer.
    pub(crate) fn ready(&mut self, agent: &AgentId) {
        self.board.queue.ready(agent, self.now);
    }

    pub(crate) fn set_status(&mut self, agent: &AgentId, status: AgentStatus) -> bool {
        self.board.queue.set_status(agent, status, self.now)
    }

    /// After a fault, when the state that held the ticket is lost: the queue engine must not hold it for ever.
    pub(crate) fn abandon_queues(&mut self) {
        let call = self.call;
        let lost: Vec<Ticket> = self
            .board
            .routes
            .tickets
            .iter()
            .filter(|(_, owner)| **owner == call)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in lost {
            self.leave_queue(ticket, Departure::Closed);
            self.board.queue.handle_release(ticket, self.now);
        }
    }
}
