//! Calls over trunks, out and in.

use std::net::SocketAddr;
use std::time::Duration;

use call::settings::Destination;
use call::trunk::{Caller, Host, HostName, Pattern, Rewrite, Route, Shown, Trunk, Way};
use call::{Cause, Party};
use queue::{AgentId, QueueId};
use sip::digest::Credentials;
use sip::endpoint::Account;
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, PhoneState, Site, World};

use crate::scene::{AUDIBLE, SECOND, dial, golden};

/// Where the n-th phone of a world is, from 0: trunks are phones that nobody registered.
pub(crate) fn place(n: u8) -> SocketAddr {
    format!("10.0.0.{}:5060", n + 1)
        .parse()
        .expect("an address")
}

pub(crate) fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

pub(crate) fn host(n: u8, priority: u16) -> Host {
    Host {
        name: HostName::Address(place(n)),
        transport: None,
        priority,
        weight: 1,
    }
}

/// A trunk on these phones, best first, that calls 4930700 reach the queue from.
pub(crate) fn trunk(places: &[u8]) -> Trunk {
    Trunk {
        hosts: places
            .iter()
            .zip(1..)
            .map(|(n, priority)| host(*n, priority))
            .collect(),
        domain: "provider.example".into(),
        tls_name: None,
        tls_authorities: None,
        tls_certificate: None,
        tls_verify: false,
        sips: false,
        credentials: None,
        register: None,
        options: None,
        sources: Vec::new(),
        max_calls: 10,
        calls_per_second: 10,
        number_out: vec![Rewrite {
            pattern: pattern("0."),
            strip: 1,
            prepend: "49".into(),
        }],
        number_in: vec![Rewrite {
            pattern: pattern("49."),
            strip: 2,
            prepend: "0".into(),
        }],
        caller: Caller::Fixed("4930700".into()),
        identity: Shown::From,
        trusted: false,
        numbers: vec![
            (
                pattern("030700"),
                Destination::Queue(QueueId("support".into()).into()),
            ),
            (pattern("0302XX"), Destination::Phone(account("205"))),
        ],
    }
}

pub(crate) fn account(name: &str) -> Account {
    Account(name.into())
}

pub(crate) fn way(trunk: &str, priority: u16) -> Way {
    Way {
        trunk: account(trunk),
        priority,
        weight: 1,
    }
}

/// The sample with trunks, which are all on the route of numbers that begin with 0.
pub(crate) fn site(trunks: &[(&str, Trunk)]) -> Site {
    let mut site = Site::sample();
    let outside = &mut site.settings.outside;
    outside.trunks = trunks
        .iter()
        .map(|(name, trunk)| (account(name), trunk.clone()))
        .collect();
    outside.routes = vec![Route {
        name: "out".into(),
        pattern: pattern("0."),
        strip: 0,
        trunks: trunks
            .iter()
            .zip(1..)
            .map(|((name, _), priority)| way(name, priority))
            .collect(),
    }];
    outside.international = vec![pattern("00."), pattern("+.")];
    site
}

/// A world whose first phone is a trunk.
pub(crate) fn world(site: Site) -> (World, PhoneId) {
    let mut world = World::new(site);
    let provider = world.phone("provider");
    (world, provider)
}

/// One trunk, whose host is given.
pub(crate) fn provided() -> (World, PhoneId) {
    world(site(&[("provider", trunk(&[0]))]))
}

/// Two trunks, the first of which comes first, their hosts, and a phone.
fn two_trunks() -> (World, [PhoneId; 2], PhoneId) {
    let mut world = World::new(site(&[("first", trunk(&[0])), ("second", trunk(&[1]))]));
    let hosts = ["a", "b"].map(|name| world.phone(name));
    let alice = world.registered("205");
    (world, hosts, alice)
}

#[test]
fn a_phone_calls_out_by_prefix_and_each_hears_the_other() {
    let (mut world, provider) = provided();
    let alice = world.registered("205");
    world[alice].speaks = Some(440.0);
    world[provider].speaks = Some(880.0);
    world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "0301234");
    world.run(4 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(provider, 440.0, SECOND) > AUDIBLE);
    assert!(
        world
            .messages("provider")
            .contains(&"< INVITE 49301234".to_owned())
    );
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let record = &world.records[0];
    assert_eq!(
        (record.cause, record.ended_by),
        (Cause::HangUp, Party::Caller)
    );
    assert_eq!(
        (record.caller.as_str(), record.dialled.as_str()),
        ("205", "0301234")
    );
    assert_eq!(record.legs[1].account, "provider");
    assert_eq!(record.legs[1].number.as_deref(), Some("49301234"));
    assert_golden(golden("trunk-call-out.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn a_call_from_a_trunk_reaches_the_queue_by_its_number_without_a_password() {
    let (mut world, provider) = provided();
    let agent = world.registered("201");
    world[agent].behaviour = Behaviour::AnswerAfter(SECOND);
    world[provider].account = "4915712345".into();
    dial(&mut world, provider, "4930700");
    world.until("the agent talks", 10 * SECOND, |w| {
        w[agent].state() == PhoneState::Talking
    });
    world.run(SECOND);
    world.act(provider, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let record = &world.records[0];
    assert_eq!(record.caller, "4915712345");
    assert_eq!(record.queues[0].agent.as_deref(), Some("201"));
    assert_eq!(record.legs[0].account, "provider");
    assert_golden(golden("trunk-call-in.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn callers_from_outside_reach_the_numbers_of_their_trunk_and_nothing_else() {
    let (mut world, provider) = provided();
    world.registered("205");
    // Neither phones, nor feature codes, nor the way out again.
    for number in ["205", "*45", "700", "0301234", "49999", "493020"] {
        dial(&mut world, provider, number);
        world.run(SECOND);
        assert_eq!(world[provider].last_status, Some(404), "{number}");
    }
    dial(&mut world, provider, "4930205");
    world.run(SECOND);
    assert_eq!(world[provider].state(), PhoneState::RingingBack);
}

#[test]
fn a_stranger_who_says_to_be_the_trunk_is_asked_for_a_password() {
    let (mut world, _) = provided();
    let stranger = world.phone("provider");
    dial(&mut world, stranger, "4930700");
    world.run(SECOND);
    // It answers the challenge, but there is no such account.
    assert_ne!(world[stranger].state(), PhoneState::RingingBack);
    assert!(world.records.is_empty());
}

#[test]
fn a_trunk_that_says_503_gives_way_to_the_next_host_and_then_to_the_next_trunk() {
    let mut world = World::new(site(&[("first", trunk(&[0, 1])), ("second", trunk(&[2]))]));
    let hosts = ["a", "b", "c"].map(|name| world.phone(name));
    let alice = world.registered("205");
    world[hosts[0]].behaviour = Behaviour::Refuse(503);
    world[hosts[1]].behaviour = Behaviour::Refuse(500);
    world[hosts[2]].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "0301234");
    let took = world.until("alice talks", 2 * SECOND, |w| {
        w[alice].state() == PhoneState::Talking
    });
    assert!(took < 2 * SECOND);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let legs: Vec<_> = world.records[0]
        .legs
        .iter()
        .map(|leg| (leg.account.clone(), leg.status))
        .collect();
    let leg = |account: &str, status| (account.to_owned(), Some(status));
    assert_eq!(
        legs,
        [
            leg("205", 200),
            leg("first", 503),
            leg("first", 500),
            leg("second", 200)
        ]
    );
    assert_golden(golden("trunk-failover.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn a_silent_trunk_is_left_after_four_seconds() {
    let (mut world, hosts, alice) = two_trunks();
    world[hosts[0]].behaviour = Behaviour::Dead;
    world[hosts[1]].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "0301234");
    let took = world.until("alice talks", 8 * SECOND, |w| {
        w[alice].state() == PhoneState::Talking
    });
    assert!(took > 5 * SECOND && took < 6 * SECOND, "{took:?}");
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(80 * SECOND);
    world.assert_at_rest();
}

#[test]
fn a_busy_callee_is_busy_over_every_trunk() {
    let (mut world, hosts, alice) = two_trunks();
    world[hosts[0]].behaviour = Behaviour::Refuse(486);
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(486));
    assert_eq!(world.messages("b"), Vec::<String>::new());
}

#[test]
fn a_trunk_that_fails_three_calls_gets_no_more_until_its_pause_is_over() {
    let (mut world, provider) = provided();
    let alice = world.registered("205");
    world[provider].behaviour = Behaviour::Refuse(503);
    for _ in 0..4 {
        dial(&mut world, alice, "0301234");
        world.run(SECOND / 2);
    }
    let invites = |world: &World| {
        let messages = world.messages("provider");
        messages
            .iter()
            .filter(|label| label.starts_with("< INVITE"))
            .count()
    };
    assert_eq!(invites(&world), 3);
    assert_eq!(world.records[3].cause, Cause::TrunkDown);
    world[provider].behaviour = Behaviour::Ring;
    world.run(5 * SECOND);
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    assert_eq!(world[alice].state(), PhoneState::RingingBack);
}

#[test]
fn options_finds_out_that_a_trunk_is_gone_and_back() {
    let mut asked = trunk(&[0]);
    asked.options = Some(30 * SECOND);
    let (mut world, provider) = world(site(&[("provider", asked)]));
    let alice = world.registered("205");
    world.run(31 * SECOND);
    world[provider].alive = false;
    world.run(35 * SECOND);
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(503));
    assert_eq!(world.records[0].cause, Cause::TrunkDown);
    // Pauses of 5, 10, 20, 40 s and so on; the first answer is enough.
    world[provider].alive = true;
    world.run(80 * SECOND);
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    assert_eq!(world[alice].state(), PhoneState::RingingBack);
}

#[test]
fn a_trunk_takes_so_many_calls_and_no_more_in_either_direction() {
    let mut narrow = trunk(&[0]);
    narrow.max_calls = 1;
    let (mut world, _) = world(site(&[("provider", narrow)]));
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    dial(&mut world, bob, "0301234");
    world.run(SECOND);
    assert_eq!(world[bob].last_status, Some(503));
    assert_eq!(world.records[0].cause, Cause::TrunkFull);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    dial(&mut world, bob, "0301234");
    world.run(SECOND);
    assert_eq!(world[bob].state(), PhoneState::RingingBack);
}

#[test]
fn a_trunk_gets_so_many_calls_in_a_second() {
    let mut slow = trunk(&[0]);
    slow.calls_per_second = 2;
    let mut site = site(&[("provider", slow)]);
    site.settings.outside.everybody.calls = 10;
    let (mut world, provider) = world(site);
    world[provider].behaviour = Behaviour::Refuse(486);
    let alice = world.registered("205");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        dial(&mut world, alice, "0301234");
        world.run(SECOND / 10);
        statuses.push(world[alice].last_status);
    }
    assert_eq!(statuses, [Some(486), Some(486), Some(503)]);
    assert_eq!(world.records[2].cause, Cause::TrunkFull);
}

#[test]
fn a_remote_agent_rings_over_a_trunk_and_rests_after_no_answer() {
    let mut site = site(&[("provider", trunk(&[0]))]);
    let remote = AgentId("201".into());
    site.settings.agents.remove(&remote);
    site.settings
        .outside
        .agents
        .insert(remote, "0171234".into());
    let (mut world, provider) = world(site);
    let customer = world.registered("205");
    world[provider].behaviour = Behaviour::Ring;
    dial(&mut world, customer, "700");
    world.until("the agent rings", 5 * SECOND, |w| {
        w[provider].state() == PhoneState::Ringing
    });
    // call_timeout, then no_answer_delay_time: as for an agent with a phone here.
    world.until("it stops", 21 * SECOND, |w| {
        w[provider].state() == PhoneState::Idle
    });
    world.run(9 * SECOND);
    assert_eq!(world[provider].state(), PhoneState::Idle);
    world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
    world.until("the agent talks", 4 * SECOND, |w| {
        w[provider].state() == PhoneState::Talking
    });
    world.run(SECOND);
    world.act(customer, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let record = &world.records[0];
    assert_eq!(record.queues[0].agent.as_deref(), Some("201"));
    assert!(
        record
            .legs
            .iter()
            .any(|leg| leg.number.as_deref() == Some("49171234"))
    );
    assert_golden(golden("trunk-remote-agent.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn a_remote_agent_is_reached_over_the_second_trunk_when_the_first_is_silent() {
    let mut site = site(&[("first", trunk(&[0])), ("second", trunk(&[1]))]);
    let remote = AgentId("201".into());
    site.settings.agents.remove(&remote);
    site.settings
        .outside
        .agents
        .insert(remote, "0171234".into());
    let mut world = World::new(site);
    let hosts = ["a", "b"].map(|name| world.phone(name));
    let customer = world.registered("205");
    world[hosts[0]].behaviour = Behaviour::Dead;
    world[hosts[1]].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, customer, "700");
    world.until("the agent talks", 9 * SECOND, |w| {
        w[hosts[1]].state() == PhoneState::Talking
    });
}

#[test]
fn an_anonymous_trunk_tells_nobody_s_number_and_a_list_tells_its_own() {
    for (caller, shown) in [
        (Caller::Anonymous, None),
        (Caller::Fixed("4930700".into()), Some("4930700")),
        (own("205"), Some("4930205")),
        (own("299"), Some("4930700")),
    ] {
        let trunk = Trunk {
            caller,
            ..trunk(&[0])
        };
        assert_eq!(trunk.shown_caller("205").as_deref(), shown);
    }
}

/// The phone's number behind that of the house, if the phone is this one.
fn own(phone: &str) -> Caller {
    Caller::Own {
        rewrite: vec![Rewrite {
            pattern: pattern("2XX"),
            strip: 0,
            prepend: "4930".into(),
        }],
        allowed: vec![pattern(&format!("4930{phone}"))],
        otherwise: "4930700".into(),
    }
}

#[test]
fn a_reload_keeps_calls_over_a_trunk_that_is_gone() {
    let site = site(&[("provider", trunk(&[0]))]);
    let (mut world, provider) = world(site.clone());
    world[provider].behaviour = Behaviour::AnswerAfter(SECOND);
    let alice = world.registered("205");
    dial(&mut world, alice, "0301234");
    world.run(3 * SECOND);
    let mut without = site.settings.clone();
    without.outside.trunks.clear();
    without.outside.routes.clear();
    world.control(|exchange, now| exchange.configure(without, now));
    world.run(3 * SECOND);
    assert_eq!(world[alice].state(), PhoneState::Talking);
    world.act(alice, |phone, now| phone.hang_up(now));
    world.run(Duration::from_secs(40));
    world.assert_at_rest();
}

/// How often a trunk was asked to register us.
fn registers(world: &World) -> usize {
    let messages = world.messages("provider");
    messages
        .iter()
        .filter(|label| *label == "< REGISTER")
        .count()
}

#[test]
fn a_registration_is_refreshed_in_time_and_tried_again_with_growing_pauses() {
    let mut registering = trunk(&[0]);
    registering.register = Some(600 * SECOND);
    registering.credentials = Some(Credentials {
        user: "alice".into(),
        password: "secret".into(),
        realm: "provider.example".into(),
    });
    let (mut world, provider) = world(site(&[("provider", registering)]));
    world.run(3_600 * SECOND);
    // Each 450 to 510 s: eight times in an hour, the first one included.
    let first = registers(&world);
    assert!((7..=9).contains(&first), "{first}");
    world[provider].alive = false;
    world.clear_ladder();
    world.run(2 * 3_600 * SECOND);
    let (tries, each) = (registers(&world), 11);
    // A refresh and tries after 30, 60, 120 s and so on up to half an hour: each is sent eleven times in 32 s.
    assert!((6 * each..=13 * each).contains(&tries), "{tries}");
    world[provider].alive = true;
    world.run(1_900 * SECOND);
    world.clear_ladder();
    world.run(1_000 * SECOND);
    assert!(
        (1..=3).contains(&registers(&world)),
        "{}",
        registers(&world)
    );
}

#[test]
fn a_call_that_has_no_hops_left_goes_no_further_than_here() {
    let (mut world, provider) = provided();
    let alice = world.registered("205");
    world[alice].max_forwards = 1;
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(483));
    assert_eq!(world[provider].state(), PhoneState::Idle);
}
