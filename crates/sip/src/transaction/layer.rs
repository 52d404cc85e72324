//! The transaction layer: all transactions, their timers, and what leaves.

mod elsewhere;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

pub(crate) use elsewhere::Elsewhere;

use super::alias::Aliases;
use super::derived::refusal_ack;
use super::large::Deaf;
use super::{
    Action, Actions, Client, ClientKey, Deadlines, Failure, Purpose, SIXTY_FOUR_T1, ServerKey,
    Timer, client, server,
};
use crate::endpoint::{Challenged, Event, LegId, Output, Status};
use crate::guard::Stranger;
use crate::timers::{Target, Timers};
use crate::token::{Key, Token};
use crate::transaction::server::Server;
use crate::{Flow, Message, Method, Transport};

/// Most server transactions for requests outside dialogs, with 100 MB at most. Over UDP each rests for 32 s after its final
/// response, so that 2,000 a second fill the table. Then the one that rests longest makes room for a new one: at 5,000 a second each
/// still rests for 13 s, long after a phone that lost the response has sent its request again (after 0.5, 1.5, 3.5 and 7.5 s).
/// Where none rests, a further request gets 503 with Retry-After, without state.
pub(crate) const MAX_SERVERS: usize = 65_536;

/// What in-dialog requests may take beyond `MAX_SERVERS`, so that calls end even when new ones find no room.
pub(crate) const DIALOG_RESERVE: usize = 16_384;

/// A transaction that failed, and who must know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failed {
    /// A request of ours got no answer.
    Client(Purpose, Failure),
    /// A response of ours could not be sent.
    Server(LegId, Failure),
}

/// What a step leaves to the caller.
struct Step {
    pass: bool,
    failure: Option<Failure>,
}

/// The transaction layer.
#[derive(Debug)]
pub(crate) struct Layer {
    key: Key,
    servers: BTreeMap<ServerKey, Server>,
    /// As many as the owner's legs have requests under way, one for each subscription, and the copies of messages.
    clients: BTreeMap<ClientKey, Client>,
    /// Who takes no TCP, though a request is too large for a datagram.
    deaf: Deaf,
    /// Connections of peers that stand for their addresses.
    pub(crate) aliases: Aliases,
    /// Connections to the targets of peers over which something came: at most one for each target.
    pub(crate) standing: BTreeSet<Flow>,
    /// Transactions over connections by flow, for the day one closes.
    by_flow: BTreeSet<(Flow, Target)>,
    /// Requests in dialogs that wait for another way.
    stranded: BTreeSet<ClientKey>,
    pub(crate) timers: Timers,
    pub(crate) outputs: VecDeque<Output>,
}

impl Layer {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self {
            key: Key::new(seed, "transactions"),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            deaf: Deaf::default(),
            aliases: Aliases::default(),
            standing: BTreeSet::new(),
            by_flow: BTreeSet::new(),
            stranded: BTreeSet::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Transactions of both sides.
    pub(crate) fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Sends octets without a transaction.
    pub(crate) fn transmit(&mut self, flow: Flow, octets: Bytes) {
        self.outputs.push_back(Output::Transmit { flow, octets });
    }

    /// Has what comes from a stranger dropped unread.
    pub(crate) fn shut(&mut self, stranger: Stranger, until: Instant) {
        self.outputs.push_back(Output::Shut { stranger, until });
    }

    /// Tells the owner.
    pub(crate) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Whether one more request outside (or inside) a dialog has room.
    pub(crate) fn has_room(&self, in_dialog: bool) -> bool {
        let reserve = if in_dialog { DIALOG_RESERVE } else { 0 };
        self.servers.len() < MAX_SERVERS + reserve || self.timers.is_any_resting()
    }

    /// The key of a request (section 17.2.3).
    pub(crate) fn server_key(
        &self,
        request: &Message,
        method: Method<'_>,
        flow: Flow,
    ) -> Option<ServerKey> {
        ServerKey::new(&self.key, request, method, flow.remote.ip())
    }

    /// What requests share that are one request come by two ways (section 8.2.2.2).
    pub(crate) fn merge_key(&self, request: &Message) -> Option<ServerKey> {
        ServerKey::merged(&self.key, request)
    }

    /// Opens the server transaction of a new request; responses will go to `flow`.
    pub(crate) fn open(
        &mut self,
        key: ServerKey,
        method: Method<'_>,
        flow: Flow,
        leg: Option<LegId>,
    ) {
        while self.servers.len() >= MAX_SERVERS
            && let Some(oldest) = self.timers.remove_resting()
        {
            self.forget(oldest);
        }
        self.servers.insert(key, Server::new(method, flow, leg));
        self.index(flow, Target::Server(key));
    }

    /// The 2xx to an INVITE is acknowledged: its transaction only waits for retransmissions now (RFC 6026 section 8.7), for as long
    /// as other requests do.
    pub(crate) fn rest(&mut self, key: ServerKey, now: Instant) {
        if let Some(server) = self.servers.get_mut(&key) {
            let at = now + SIXTY_FOUR_T1;
            server.deadlines.start(Timer::L, at);
            self.timers.rest(at, key);
        }
    }

    /// Whether the request is a retransmission; it is dealt with then.
    pub(crate) fn repeated(&mut self, key: ServerKey, now: Instant) -> bool {
        self.step_server(key, server::Input::Request, now).is_some()
    }

    /// The leg and whether the INVITE has its final response, for the CANCEL of an INVITE (section 9.2).
    pub(crate) fn invite(&self, key: ServerKey) -> Option<(Option<LegId>, bool)> {
        self.servers
            .get(&key)
            .map(|server| (server.leg, server.is_answered()))
    }

    /// An ACK with the branch of an INVITE. `true` if that ended it: the ACK was for a refusal.
    pub(crate) fn acknowledged(&mut self, key: ServerKey, now: Instant) -> bool {
        self.step_server(key, server::Input::Ack, now)
            .is_some_and(|step| !step.pass)
    }

    /// The user's response to a request.
    pub(crate) fn respond(
        &mut self,
        key: ServerKey,
        status: Status,
        response: Bytes,
        now: Instant,
    ) {
        if let Some(server) = self.servers.get_mut(&key) {
            server.response = response;
            self.step_server(key, server::Input::Response(status), now);
        }
    }

    /// Forgets a request that cannot be answered any more.
    pub(crate) fn forget(&mut self, key: ServerKey) {
        if let Some(server) = self.servers.remove(&key) {
            self.by_flow.remove(&(server.flow, Target::Server(key)));
        }
    }

    /// Gives up a request of ours whose final response will not come any more.
    pub(crate) fn forget_client(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.remove(&key) {
            self.by_flow.remove(&(client.flow, Target::Client(key)));
            self.stranded.remove(&key);
        }
    }

    /// The leg of an INVITE of ours is gone. No timer ends the wait for a final response after a provisional one (RFC 3261 section
    /// 17.1.1.2): it is forgotten then, and if none came, none that comes may stop the timer that runs.
    pub(crate) fn abandon(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        client.is_abandoned = true;
        if client.deadlines.is_empty() {
            self.forget_client(key);
        }
    }

    /// Sends a request of ours.
    pub(crate) fn request(
        &mut self,
        key: ClientKey,
        request: Bytes,
        flow: Flow,
        purpose: Purpose,
        now: Instant,
    ) {
        let (request, flow, fallback) = match self.deaf.over_tcp(&request, flow) {
            Some((over_tcp, connection)) => (over_tcp, connection, Some((request, flow))),
            None => match self.aliases.of(flow) {
                Some(connection) => (request.clone(), connection, Some((request, flow))),
                None => (request, flow, None),
            },
        };
        let (mut client, actions) = Client::start(request, flow, purpose);
        client.fallback = fallback;
        self.clients.insert(key, client);
        self.index(flow, Target::Client(key));
        self.perform_client(key, &actions, now);
    }

    /// A response. Gives the transaction's purpose if the user is to see it.
    pub(crate) fn receive(
        &mut self,
        response: &Message,
        now: Instant,
    ) -> Option<(ClientKey, Purpose)> {
        let key = ClientKey::of_response(response)?;
        let client = self.clients.get_mut(&key)?;
        // Section 17.1.3: the CSeq must name the method of the request.
        if response.cseq()?.method != client.purpose.method() {
            return None;
        }
        let status = response.status()?;
        if client.is_abandoned && status.0 < 200 {
            return None;
        }
        // It arrived: what fails from now on is no fault of the connection.
        client.fallback = None;
        if status.0 >= 300
            && client.refusal_ack.is_empty()
            && client.purpose.method() == Method::Invite
        {
            client.refusal_ack = refusal_ack(&client.request, response)?;
        }
        let purpose = client.purpose;
        let actions = client.on(client::Input::Response(status));
        let step = self.perform_client(key, &actions, now);
        step.pass.then_some((key, purpose))
    }

    /// A request of ours that is under way.
    pub(crate) fn sent(&self, branch: Token) -> Option<&Bytes> {
        let key = ClientKey {
            branch,
            cancel: false,
        };
        self.clients.get(&key).map(|client| &client.request)
    }

    /// The request that a challenge is for, before its transaction takes the answer and may end.
    pub(crate) fn challenged(&self, response: &Message) -> Option<Challenged> {
        let Status(401 | 407) = response.status()? else {
            return None;
        };
        let client = self.clients.get(&ClientKey::of_response(response)?)?;
        Some(Challenged {
            request: client.request.clone(),
            flow: self.aliases.place_of(client.flow),
            challenges: client.challenges,
        })
    }

    /// The transaction of a request of ours.
    pub(crate) fn client(&mut self, key: ClientKey) -> Option<&mut Client> {
        self.clients.get_mut(&key)
    }

    /// A timer of a transaction is due.
    pub(crate) fn fire(&mut self, target: Target, now: Instant) -> Option<Failed> {
        let mut failed = None;
        while let Some(timer) = self
            .deadlines(target)
            .and_then(|deadlines| deadlines.take_due(now))
        {
            failed = failed.or(match target {
                Target::Server(key) => self.input_server(key, server::Input::Fired(timer), now),
                Target::Client(key) => self.input_client(key, client::Input::Fired(timer), now),
                Target::Leg(_) => None,
            });
        }
        failed
    }

    /// A connection closed: what its transactions have to say that find no other way. `elsewhere` is asked with how often the
    /// request took another way before.
    pub(crate) fn flow_closed(
        &mut self,
        flow: Flow,
        now: Instant,
        elsewhere: impl Fn(Purpose, u8) -> Elsewhere,
    ) -> Vec<Failed> {
        self.aliases.forget(flow);
        let first = Target::Server(ServerKey::FIRST);
        let targets: Vec<Target> = self
            .by_flow
            .range((flow, first)..)
            .take_while(|(of, _)| *of == flow)
            .map(|(_, target)| *target)
            .collect();
        targets
            .into_iter()
            .filter_map(|target| match target {
                Target::Server(key) => self.input_server(key, server::Input::TransportError, now),
                Target::Client(key) if self.goes_elsewhere(key, &elsewhere) => None,
                Target::Client(key) => self.input_client(key, client::Input::TransportError, now),
                Target::Leg(_) => None,
            })
            .collect()
    }

    /// Whether a transaction waits for exactly this moment.
    pub(crate) fn waits_for(&self, target: Target, at: Instant) -> bool {
        match target {
            Target::Server(key) => self
                .servers
                .get(&key)
                .is_some_and(|s| s.deadlines.include(at)),
            Target::Client(key) => self
                .clients
                .get(&key)
                .is_some_and(|c| c.deadlines.include(at)),
            Target::Leg(_) => false,
        }
    }

    fn deadlines(&mut self, target: Target) -> Option<&mut Deadlines> {
        match target {
            Target::Server(key) => self
                .servers
                .get_mut(&key)
                .map(|server| &mut server.deadlines),
            Target::Client(key) => self
                .clients
                .get_mut(&key)
                .map(|client| &mut client.deadlines),
            Target::Leg(_) => None,
        }
    }

    fn index(&mut self, flow: Flow, target: Target) {
        if flow.transport.is_reliable() {
            self.by_flow.insert((flow, target));
        }
    }

    fn input_server(
        &mut self,
        key: ServerKey,
        input: server::Input,
        now: Instant,
    ) -> Option<Failed> {
        let leg = self.servers.get(&key)?.leg;
        let failure = self.step_server(key, input, now)?.failure?;
        Some(Failed::Server(leg?, failure))
    }

    fn input_client(
        &mut self,
        key: ClientKey,
        input: client::Input,
        now: Instant,
    ) -> Option<Failed> {
        let client = self.clients.get_mut(&key)?;
        let purpose = client.purpose;
        if let client::Input::TransportError = input
            && let Some((request, flow)) = client.fallback.take()
        {
            if flow.transport == Transport::Udp {
                // RFC 3261 section 18.1.1: who takes no TCP gets it over UDP after all.
                self.deaf.remember(flow.remote);
            }
            self.forget_client(key);
            self.request(key, request, flow, purpose, now);
            return None;
        }
        let actions = client.on(input);
        let failure = self.perform_client(key, &actions, now).failure?;
        Some(Failed::Client(purpose, failure))
    }

    fn step_server(&mut self, key: ServerKey, input: server::Input, now: Instant) -> Option<Step> {
        let server = self.servers.get_mut(&key)?;
        let actions = server.on(input);
        let outputs = &mut self.outputs;
        let step =
            server
                .deadlines
                .perform(&actions, Target::Server(key), &mut self.timers, now, |_| {
                    // Before the first response there is nothing to repeat.
                    if !server.response.is_empty() {
                        outputs.push_back(Output::Transmit {
                            flow: server.flow,
                            octets: server.response.clone(),
                        });
                    }
                });
        if server.is_terminated() {
            self.forget(key);
        }
        Some(step)
    }

    fn perform_client(&mut self, key: ClientKey, actions: &Actions, now: Instant) -> Step {
        let Some(client) = self.clients.get_mut(&key) else {
            return Step {
                pass: false,
                failure: None,
            };
        };
        let outputs = &mut self.outputs;
        let step = client.deadlines.perform(
            actions,
            Target::Client(key),
            &mut self.timers,
            now,
            |sent| {
                let octets = match sent {
                    Sent::Message => client.request.clone(),
                    Sent::Ack => client.refusal_ack.clone(),
                };
                outputs.push_back(Output::Transmit {
                    flow: client.flow,
                    octets,
                });
            },
        );
        if client.is_terminated() {
            self.forget_client(key);
        }
        step
    }
}

/// What an action sends.
enum Sent {
    Message,
    Ack,
}

impl Deadlines {
    /// Does what a machine wants done; sending is the caller's.
    fn perform(
        &mut self,
        actions: &Actions,
        target: Target,
        timers: &mut Timers,
        now: Instant,
        mut send: impl FnMut(Sent),
    ) -> Step {
        let mut step = Step {
            pass: false,
            failure: None,
        };
        for action in actions {
            match *action {
                Action::Send => send(Sent::Message),
                Action::SendAck => send(Sent::Ack),
                Action::Pass => step.pass = true,
                Action::Inform(failure) => step.failure = Some(failure),
                Action::Start(timer, after) => {
                    self.start(timer, now + after);
                    match target {
                        Target::Server(key) if timer == Timer::J => timers.rest(now + after, key),
                        Target::Server(_) | Target::Client(_) | Target::Leg(_) => {
                            timers.set(now + after, target);
                        }
                    }
                }
                Action::Stop(timer) => self.stop(timer),
            }
        }
        step
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test needs some moment to start from"
)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "127.0.0.9:5060".parse().unwrap(),
        }
    }

    fn key(layer: &Layer, method: Method<'_>, branch: usize) -> ServerKey {
        let text = format!(
            "{method} sip:700@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK{branch}\r\n\
             From: <sip:201@x>;tag=1\r\nTo: <sip:700@x>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n\r\n"
        );
        let request = Message::parse(text.into()).unwrap();
        layer.server_key(&request, method, flow()).unwrap()
    }

    fn open(layer: &mut Layer, method: Method<'_>, branch: usize) -> ServerKey {
        let key = key(layer, method, branch);
        layer.open(key, method, flow(), None);
        key
    }

    fn answered(layer: &mut Layer, method: Method<'_>, branch: usize, now: Instant) -> ServerKey {
        let key = open(layer, method, branch);
        layer.respond(key, Status(200), "answer".into(), now);
        key
    }

    #[test]
    fn a_full_table_has_room_for_dialogs_alone_and_then_for_nothing() {
        let mut layer = Layer::new(&[0; 32]);
        for branch in 0..MAX_SERVERS + DIALOG_RESERVE {
            assert_eq!(layer.has_room(false), branch < MAX_SERVERS);
            assert!(layer.has_room(true));
            open(&mut layer, Method::Invite, branch);
        }
        assert!(!layer.has_room(true));
        // What is in the table is found all the same.
        let known = key(&layer, Method::Invite, 1);
        assert!(layer.repeated(known, Instant::now()));
    }

    #[test]
    fn in_a_full_table_the_request_that_is_over_for_longest_makes_room() {
        let (mut layer, now) = (Layer::new(&[0; 32]), Instant::now());
        let waiting = open(&mut layer, Method::Register, 0);
        let oldest = answered(&mut layer, Method::Register, 1, now);
        let next = answered(&mut layer, Method::Bye, 2, now);
        for branch in 3..MAX_SERVERS {
            open(&mut layer, Method::Invite, branch);
        }
        layer.outputs.clear();
        assert!(layer.repeated(oldest, now) && layer.repeated(next, now));
        assert_eq!(
            layer.outputs.len(),
            2,
            "the table is full, and nobody needed more"
        );
        for (branch, gone) in [(MAX_SERVERS, oldest), (MAX_SERVERS + 1, next)] {
            assert!(layer.has_room(false));
            open(&mut layer, Method::Register, branch);
            assert!(!layer.repeated(gone, now));
        }
        assert!(!layer.has_room(false), "nothing is over any more");
        assert!(layer.repeated(waiting, now));
    }

    #[test]
    fn an_accepted_invite_makes_room_once_it_is_acknowledged_and_its_time_counts_from_there() {
        let (mut layer, now) = (Layer::new(&[0; 32]), Instant::now());
        let invite = answered(&mut layer, Method::Invite, 0, now);
        assert!(!layer.timers.is_any_resting());
        let later = now + SIXTY_FOUR_T1 / 2;
        layer.rest(invite, later);
        assert!(layer.timers.is_any_resting());
        layer.fire(Target::Server(invite), now + SIXTY_FOUR_T1);
        assert_eq!(layer.len(), 1);
        layer.fire(Target::Server(invite), later + SIXTY_FOUR_T1);
        assert_eq!(layer.len(), 0);
    }
}
