//! Two endpoints call each other through a network in memory that loses, delays and doubles messages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::endpoint::{Account, Binding, Ending, Outgoing, Status};
use sip::header::Header;
use sip::{Endpoint, Event, Flow, Message, Method, Output, Transport, digest};

use crate::bench::{describe, password, settings, start};
use crate::golden;
use crate::phone::SDP;

/// How long a message travels.
const DELAY: Duration = Duration::from_millis(20);
/// Long after every timer of RFC 3261 has ended.
const END: Duration = Duration::from_secs(150);

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Story {
    CallerHangsUp,
    CalleeHangsUp,
    CallerGivesUp,
    CalleeRefuses,
    CallerHoldsAndCalleeHangsUp,
}

const STORIES: [Story; 5] = [
    Story::CallerHangsUp,
    Story::CalleeHangsUp,
    Story::CallerGivesUp,
    Story::CalleeRefuses,
    Story::CallerHoldsAndCalleeHangsUp,
];

/// What the network does to a message.
struct Network {
    /// Messages lost, by their number on the way.
    lost: BTreeSet<usize>,
    /// From this seed: a fifth of the messages lost, some doubled, each delayed anew.
    chance: Option<u64>,
    carried: usize,
}

impl Network {
    fn draw(&mut self, limit: u64) -> u64 {
        let state = self
            .chance
            .as_mut()
            .expect("only drawn where there is chance");
        // SplitMix64.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// When each copy of the next message arrives.
    fn carry(&mut self) -> Vec<Duration> {
        self.carried += 1;
        if self.chance.is_none() {
            return if self.lost.contains(&self.carried) {
                vec![]
            } else {
                vec![DELAY]
            };
        }
        let copies = match self.draw(100) {
            0..20 => 0,
            20..90 => 1,
            _ => 2,
        };
        (0..copies)
            .map(|_| Duration::from_millis(1 + self.draw(150)))
            .collect()
    }
}

/// The caller is node 0, the callee node 1.
struct World {
    story: Story,
    nodes: [Endpoint; 2],
    network: Network,
    start: Instant,
    now: Instant,
    /// Messages on the way and things to do, in order.
    agenda: BTreeMap<(Instant, usize), Due>,
    planned: usize,
    events: [Vec<Event>; 2],
    challenge: String,
    authorized: BTreeMap<String, String>,
    ladder: String,
}

enum Due {
    Arrive(usize, Bytes),
    Do(Act),
}

/// What an owner does.
enum Act {
    Ring(sip::endpoint::LegId),
    Answer(sip::endpoint::LegId),
    Reject(sip::endpoint::LegId),
    Cancel(sip::endpoint::LegId),
    Hold(sip::endpoint::LegId),
    Bye(usize, sip::endpoint::LegId),
}

fn address(node: usize) -> SocketAddr {
    format!("127.0.0.{}:5060", node + 1).parse().unwrap()
}

fn flow(node: usize) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: address(node),
        remote: address(1 - node),
    }
}

impl World {
    fn new(story: Story, lost: &[usize], chance: Option<u64>) -> Self {
        let start = start();
        let nodes = [1, 2].map(|seed| Endpoint::new(settings(), [seed; 32], start));
        let network = Network {
            lost: lost.iter().copied().collect(),
            chance,
            carried: 0,
        };
        let mut world = Self {
            story,
            nodes,
            network,
            start,
            now: start,
            agenda: BTreeMap::new(),
            planned: 0,
            events: [vec![], vec![]],
            challenge: String::new(),
            authorized: BTreeMap::new(),
            ladder: format!("{story:?}\n"),
        };
        world.fetch_challenge();
        world
    }

    /// The callee's challenge, so that the INVITE of the caller, which has no password, passes.
    fn fetch_challenge(&mut self) {
        let register = "REGISTER sip:127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKr\r\nFrom: <sip:201@x>;tag=1\r\n\
             To: <sip:201@x>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";
        let register = Message::parse(Bytes::from_static(register.as_bytes())).unwrap();
        // It is short for its answer, which comes when it is repeated.
        let octets = loop {
            self.nodes[1].handle_message(register.clone(), flow(1), self.now);
            if let Some(Output::Transmit { octets, .. }) = self.nodes[1].poll_output() {
                break octets;
            }
        };
        let answer = Message::parse(octets).unwrap();
        self.challenge = answer.header(Header::WwwAuthenticate).unwrap().to_owned();
    }

    /// Adds Authorization to an INVITE outside a dialog; the same again to its retransmissions.
    fn authorize(&mut self, octets: Bytes) -> Bytes {
        let message = Message::parse(octets.clone()).unwrap();
        if message.method() != Some(Method::Invite) || message.to().unwrap().tag().is_some() {
            return octets;
        }
        let branch = message.via().unwrap().branch().unwrap().to_owned();
        let nc = u32::try_from(self.authorized.len()).unwrap() + 1;
        let uri = message.request_uri().unwrap();
        let challenge = &self.challenge;
        let value = self.authorized.entry(branch).or_insert_with(|| {
            digest::answer(challenge, "INVITE", uri, "201", &password("201"), nc, "c").unwrap()
        });
        let text = std::str::from_utf8(&octets).unwrap();
        text.replacen("\r\n", &format!("\r\nAuthorization: {value}\r\n"), 1)
            .into()
    }

    fn plan(&mut self, after: Duration, due: Due) {
        self.planned += 1;
        self.agenda.insert((self.now + after, self.planned), due);
    }

    fn write(&mut self, from: usize, text: &str) {
        let seconds = (self.now - self.start).as_secs_f64();
        let arrow = if from == 0 { "-->" } else { "<--" };
        writeln!(self.ladder, "{seconds:8.3}  {arrow}  {text}").unwrap();
    }

    fn drain(&mut self) {
        for node in [0, 1] {
            while let Some(output) = self.nodes[node].poll_output() {
                match output {
                    Output::Transmit { octets, flow } => {
                        assert_eq!(flow.remote, address(1 - node));
                        let octets = self.authorize(octets);
                        let text = describe(&Message::parse(octets.clone()).unwrap());
                        let arrivals = self.network.carry();
                        let fate = if arrivals.is_empty() { "  (lost)" } else { "" };
                        self.write(node, &format!("{text}{fate}"));
                        for after in arrivals {
                            self.plan(after, Due::Arrive(1 - node, octets.clone()));
                        }
                    }
                    Output::Shut { stranger, .. } => panic!("{stranger:?} is shut out"),
                    Output::Event(event) => self.react(node, event),
                }
            }
        }
    }

    /// The owners play their story.
    fn react(&mut self, node: usize, event: Event) {
        let seconds = (self.now - self.start).as_secs_f64();
        let who = ["caller", "callee"][node];
        writeln!(self.ladder, "{seconds:8.3}       {who}: {}", name(&event)).unwrap();
        let (soon, later) = (Duration::from_millis(100), Duration::from_secs(1));
        match (&event, self.story) {
            (Event::Incoming { leg, .. }, story) => {
                self.plan(soon, Due::Do(Act::Ring(*leg)));
                match story {
                    Story::CallerGivesUp => {}
                    Story::CalleeRefuses => self.plan(later, Due::Do(Act::Reject(*leg))),
                    Story::CallerHangsUp
                    | Story::CalleeHangsUp
                    | Story::CallerHoldsAndCalleeHangsUp => {
                        self.plan(later, Due::Do(Act::Answer(*leg)));
                    }
                }
            }
            (Event::Answered { leg, .. }, Story::CallerHangsUp) => {
                self.plan(later, Due::Do(Act::Bye(0, *leg)));
            }
            (Event::Answered { leg, .. }, Story::CallerHoldsAndCalleeHangsUp) => {
                self.plan(later, Due::Do(Act::Hold(*leg)));
            }
            (Event::Reoffered { leg, .. }, _) => {
                self.nodes[node].answer(*leg, SDP.into(), self.now);
            }
            (Event::Acknowledged { leg, .. }, Story::CallerHoldsAndCalleeHangsUp)
                if self.has_held() =>
            {
                self.plan(later, Due::Do(Act::Bye(1, *leg)));
            }
            (Event::Acknowledged { leg, .. }, Story::CalleeHangsUp) => {
                self.plan(later, Due::Do(Act::Bye(1, *leg)));
            }
            (_, _) => {}
        }
        self.events[node].push(event);
    }

    fn has_held(&self) -> bool {
        self.events[1]
            .iter()
            .any(|event| matches!(event, Event::Reoffered { .. }))
    }

    fn act(&mut self, act: Act) {
        let now = self.now;
        let [caller, callee] = &mut self.nodes;
        match act {
            Act::Ring(leg) => callee.ring(leg, Status(180), None, now),
            Act::Answer(leg) => callee.answer(leg, SDP.into(), now),
            Act::Reject(leg) => callee.reject(leg, Status(486), now),
            Act::Cancel(leg) => caller.cancel(leg, None, now),
            Act::Hold(leg) => caller.reoffer(leg, SDP.into(), now),
            Act::Bye(node, leg) => self.nodes[node].bye(leg, None, now),
        }
    }

    /// Plays the call to its end; gives how it ended for both sides.
    fn play(&mut self) -> [String; 2] {
        let outgoing = Outgoing {
            binding: Binding {
                account: Account("202".into()),
                contact: "sip:202@127.0.0.2".into(),
                flow: flow(0),
            },
            caller: "201".into(),
            display: None,
            private: false,
            offer: SDP.into(),
            max_forwards: 70,
            max_breadth: 60,
            referred_by: None,
            upstream: None,
        };
        let leg = self.nodes[0].invite(outgoing, self.now);
        if self.story == Story::CallerGivesUp {
            self.plan(Duration::from_secs(2), Due::Do(Act::Cancel(leg)));
        }
        self.drain();
        let end = self.start + END;
        loop {
            let timers = [0, 1].map(|node| self.nodes[node].poll_timeout().map(|(at, _)| at));
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let next = timers.into_iter().chain([planned]).flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = next;
            for (node, timer) in timers.into_iter().enumerate() {
                if timer == Some(next) {
                    self.nodes[node].handle_timeout(next);
                }
            }
            self.drain();
            while let Some(entry) = self.agenda.first_entry().filter(|due| due.key().0 <= next) {
                match entry.remove() {
                    Due::Arrive(node, octets) => {
                        let message = Message::parse(octets).unwrap();
                        self.nodes[node].handle_message(message, flow(node), next);
                    }
                    Due::Do(act) => self.act(act),
                }
                self.drain();
            }
        }
        for node in &self.nodes {
            assert_eq!(
                (node.legs(), node.poll_timeout()),
                (0, None),
                "{}",
                self.ladder
            );
        }
        self.events
            .each_ref()
            .map(|events| events.last().map(name).unwrap_or_default())
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Incoming { .. } => "Incoming".into(),
        Event::Cancelled { .. } => "Cancelled".into(),
        Event::Ringing { status, .. } => format!("Ringing {}", status.0),
        Event::Answered { .. } => "Answered".into(),
        Event::Refused { status, .. } => format!("Refused {}", status.0),
        Event::Acknowledged { .. } => "Acknowledged".into(),
        Event::Reoffered { .. } => "Reoffered".into(),
        Event::RefreshDue { .. } => "RefreshDue".into(),
        Event::Reanswered { result, .. } => match result {
            Ok(_) => "Reanswered".into(),
            Err(status) => format!("Reanswered {}", status.0),
        },
        Event::Referred { refer, .. } => format!("Referred to {}", refer.target),
        Event::Digit { digit, .. } => format!("Digit {digit}"),
        Event::Ended { ending, .. } => match ending {
            Ending::Bye(_) => "Ended by BYE".into(),
            Ending::NoAck => "Ended without ACK".into(),
            Ending::PeerGone => "Ended as the peer is gone".into(),
            Ending::Expired => "Ended as the session expired".into(),
        },
        Event::RepliedInDialog { .. } => "RepliedInDialog".into(),
        Event::Replied { cseq, .. } => format!("Replied {cseq}"),
        Event::NotificationDue { account, .. } => format!("NotificationDue {}", account.0),
        Event::Reach { account, reachable } => format!("Reach {} {reachable}", account.0),
        Event::Banned(ban) => format!("Banned {}", ban.address),
    }
}

#[test]
fn the_calls_run_as_their_ladders_show() {
    for story in STORIES {
        let mut world = World::new(story, &[], None);
        world.play();
        golden::compare(&format!("ladder-{story:?}"), &world.ladder);
    }
}

#[test]
fn any_one_or_two_messages_may_be_lost() {
    for story in STORIES {
        let mut world = World::new(story, &[], None);
        let undisturbed = world.play();
        let messages = world.network.carried;
        assert!(messages >= 5);
        for first in 1..=messages {
            // Retransmissions come after the messages of the undisturbed call and may be lost too.
            for second in first..=messages + 4 {
                let mut world = World::new(story, &[first, second], None);
                let outcome = world.play();
                assert_eq!(
                    outcome, undisturbed,
                    "lost {first}, {second}\n{}",
                    world.ladder
                );
            }
        }
    }
}

#[test]
fn a_lost_ack_is_sent_again() {
    let mut world = World::new(Story::CallerHangsUp, &[5], None);
    world.play();
    golden::compare("ladder-lost-ACK", &world.ladder);
}

#[test]
fn calls_end_for_both_sides_over_a_network_that_loses_a_fifth() {
    for seed in 0..100 {
        for story in STORIES {
            let mut world = World::new(story, &[], Some(seed));
            let [caller, callee] = world.play();
            let ladder = &world.ladder;
            match story {
                Story::CalleeRefuses => assert_eq!(caller, "Refused 486", "{seed}\n{ladder}"),
                Story::CallerGivesUp => {
                    assert!(caller.starts_with("Refused"), "{seed}\n{ladder}");
                    assert!(
                        callee == "Cancelled" || callee.is_empty(),
                        "{seed}\n{ladder}"
                    );
                }
                // Whoever hangs up hears nothing more; the other hears of it.
                Story::CallerHangsUp => assert!(callee.starts_with("Ended"), "{seed}\n{ladder}"),
                Story::CalleeHangsUp | Story::CallerHoldsAndCalleeHangsUp => {
                    assert!(caller.starts_with("Ended"), "{seed}\n{ladder}");
                }
            }
        }
    }
}
