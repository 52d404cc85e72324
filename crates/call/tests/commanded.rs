//! Supervision by commands: who is rung, who then hears whom, and what is left when nobody answers.

use call::order::{Order, Target};
use call::record::{Outcome, TransferKind};
use call::settings::Supervision;
use queue::{AgentId, QueueId, State};
use sip::endpoint::Account;
use testkit::{Behaviour, PhoneId, Site, World, tones};

use crate::orders::order;
use crate::reload::reload;
use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, call_centre, comes_to_rest, conversation, dial, hang_up,
    idle, rings, served_in, talks, waiting, without_start_sound,
};
use crate::transfer::{hold, refer};
use crate::waiting::only_for_english;
use crate::watch::{told, watched};
use crate::why::why;

const CUSTOMER: f64 = 440.0;
const AGENT: f64 = 880.0;
const THIRD: f64 = 1_200.0;

fn account(name: &str) -> Account {
    Account(name.into())
}

fn supervise(supervision: Supervision, phone: &str) -> Order {
    Order::Supervise(supervision, account(phone))
}

fn intercept(phone: &str) -> Order {
    Order::Intercept(account(phone))
}

/// The customer 209 talks with the agent 201, recorded; 206 may supervise, and 205 may not.
fn served_by_three(workers: u16) -> (World, [PhoneId; 3]) {
    let mut site = without_start_sound();
    site.settings.supervisors = [account("206")].into();
    site.service().record_enabled = true;
    let world = World::with_workers(site, 8, workers);
    let (mut world, customer, agent) = served_in(world);
    let third = world.registered("206");
    world[third].speaks = Some(THIRD);
    (world, [customer, agent, third])
}

/// Which of the three each of them hears.
fn hear(world: &mut World, phones: [PhoneId; 3]) -> [Vec<&'static str>; 3] {
    world.run(2 * SECOND);
    let voices = [("customer", CUSTOMER), ("agent", AGENT), ("third", THIRD)];
    phones.map(|phone| {
        let heard = voices.iter().filter(|(name, hz)| {
            let level = world.heard(phone, *hz, SECOND);
            let is_clear = !(INAUDIBLE..=AUDIBLE).contains(&level);
            assert!(is_clear, "{name} at {level} dB is neither heard nor not");
            level > AUDIBLE
        });
        heard.map(|(name, _)| *name).collect()
    })
}

fn agent_state(world: &World) -> Option<State> {
    world.exchange.queues().state(&AgentId("201".into()))
}

#[test]
fn a_supervisor_is_rung_and_is_then_with_the_agent_as_it_was_wanted() {
    for (supervision, to_agent, to_customer, shown) in [
        (Supervision::Listen, false, false, "listen 201"),
        (Supervision::Whisper, true, false, "whisper 201"),
        (Supervision::Barge, true, true, "barge 201"),
    ] {
        for workers in [1, 2] {
            let (mut world, phones) = served_by_three(workers);
            let done = order(&mut world, "209", supervise(supervision, "206"));
            assert_eq!(done, Ok(()));
            assert!(rings(&world, phones[2]));
            let nobody = [vec!["agent"], vec!["customer"], vec![]];
            assert_eq!(hear(&mut world, phones), nobody);
            answer(&mut world, phones[2]);
            let mut expected = [vec!["agent"], vec!["customer"], vec!["customer", "agent"]];
            if to_customer {
                expected[0].push("third");
            }
            if to_agent {
                expected[1].push("third");
            }
            assert_eq!(hear(&mut world, phones), expected, "{supervision:?}");
            // Its keys do what they do after a feature code.
            world.press(phones[2], '0');
            let listens = [vec!["agent"], vec!["customer"], vec!["customer", "agent"]];
            assert_eq!(hear(&mut world, phones), listens);
            hang_up(&mut world, phones[2]);
            hang_up(&mut world, phones[0]);
            world.run(SECOND);
            comes_to_rest(&mut world);
            let record = |dialled: &str| {
                let mut records = world.records.iter();
                records.find(|record| record.dialled == dialled)
            };
            assert_eq!(record("700").expect("a record").supervisors, ["206"]);
            assert_eq!(record(shown).expect("a record").caller, "206");
        }
    }
}

#[test]
fn who_may_not_supervise_is_not_rung_and_the_reason_is_told() {
    let (mut world, phones) = served_by_three(1);
    for (phone, told) in [
        ("205", "phone 205 is not registered"),
        ("999", "there is no phone 999"),
        (
            "209",
            "phone 209 may not supervise: it needs supervisor = true in phones.toml",
        ),
    ] {
        let done = order(&mut world, "209", supervise(Supervision::Listen, phone));
        assert_eq!(done, Err(told.to_owned()));
    }
    hang_up(&mut world, phones[0]);
    world.run(SECOND);
    dial(&mut world, phones[0], "700");
    world.run(SECOND);
    let waits = order(&mut world, "209", supervise(Supervision::Listen, "206"));
    let told =
        "the call waits: only a conversation of another phone of this switch can be supervised";
    assert_eq!(waits, Err(told.to_owned()));
    hang_up(&mut world, phones[0]);
    comes_to_rest(&mut world);
    assert!(idle(&world, phones[2]));
}

#[test]
fn a_supervisor_who_does_not_answer_changes_nothing() {
    for behaviour in [Behaviour::Ring, Behaviour::Refuse(486)] {
        let (mut world, phones) = served_by_three(1);
        world[phones[2]].behaviour = behaviour;
        let listen = supervise(Supervision::Listen, "206");
        assert_eq!(order(&mut world, "209", listen), Ok(()));
        world.run(70 * SECOND);
        assert!(idle(&world, phones[2]));
        let two = [vec!["agent"], vec!["customer"], vec![]];
        assert_eq!(hear(&mut world, phones), two);
        hang_up(&mut world, phones[0]);
        comes_to_rest(&mut world);
        assert_eq!(world.records.len(), 2);
    }
}

#[test]
fn a_phone_takes_the_agents_place_when_it_answers() {
    for workers in [1, 2] {
        let (mut world, phones) = served_by_three(workers);
        let [customer, agent, third] = phones;
        assert_eq!(order(&mut world, "209", intercept("206")), Ok(()));
        assert!(rings(&world, third));
        assert_eq!(
            hear(&mut world, phones),
            [vec!["agent"], vec!["customer"], vec![]]
        );
        let again = order(&mut world, "209", intercept("206"));
        assert!(again.is_err_and(|told| told.contains("one time after the other")));
        assert!(matches!(agent_state(&world), Some(State::Talking(_))));
        answer(&mut world, third);
        world.run(SECOND);
        assert!(idle(&world, agent) && talks(&world, customer));
        assert!(!matches!(agent_state(&world), Some(State::Talking(_))));
        let [heard, _, hears] = hear(&mut world, phones);
        assert_eq!((heard, hears), (vec!["third"], vec!["customer"]));
        hang_up(&mut world, customer);
        world.run(SECOND);
        comes_to_rest(&mut world);
        let record = &world.records[0];
        assert_eq!(record.queues[0].outcome, Outcome::Answered);
        assert!(
            (6_000..8_000).contains(&record.queues[0].talk_ms),
            "{record:#?}"
        );
        let taken = &record.transfers[0];
        assert_eq!(taken.kind, TransferKind::Intercept);
        assert_eq!((&*taken.by, &*taken.to, taken.status), ("206", "201", 200));
        assert_eq!(
            record.recordings.len(),
            2,
            "its story is recorded to its end"
        );
    }
}

#[test]
fn a_phone_that_does_not_take_a_conversation_over_changes_nothing() {
    for behaviour in [Behaviour::Ring, Behaviour::Refuse(486)] {
        let (mut world, phones) = served_by_three(1);
        world[phones[2]].behaviour = behaviour;
        assert_eq!(order(&mut world, "209", intercept("206")), Ok(()));
        // What the two do meanwhile works as ever.
        hold(&mut world, phones[1], true);
        world.run(2 * SECOND);
        assert!(world.heard(phones[0], tones::MUSIC, SECOND) > AUDIBLE);
        hold(&mut world, phones[1], false);
        world.run(70 * SECOND);
        assert!(idle(&world, phones[2]));
        assert_eq!(
            hear(&mut world, phones),
            [vec!["agent"], vec!["customer"], vec![]]
        );
        hang_up(&mut world, phones[0]);
        comes_to_rest(&mut world);
        let record = &world.records[0];
        assert_ne!(record.transfers[0].status, 200);
        assert_eq!(record.recordings.len(), 1);
    }
}

#[test]
fn whoever_hangs_up_while_a_third_rings_ends_the_call_and_the_ringing() {
    for leaver in [0, 1] {
        let (mut world, phones) = served_by_three(1);
        assert_eq!(order(&mut world, "209", intercept("206")), Ok(()));
        refer(&mut world, phones[1], "205");
        world.run(SECOND);
        assert_eq!(world[phones[1]].refer_status, Some(491));
        hang_up(&mut world, phones[leaver]);
        world.run(SECOND);
        assert!(phones.iter().all(|phone| idle(&world, *phone)));
        comes_to_rest(&mut world);
        assert_eq!(world.records[0].transfers[0].status, 487);
    }
}

#[test]
fn a_call_that_is_led_elsewhere_or_hung_up_while_a_third_rings_rings_it_no_more() {
    for wanted in [Order::HangUp, Order::Transfer(Target::Number("600".into()))] {
        let (mut world, phones) = served_by_three(1);
        assert_eq!(order(&mut world, "209", intercept("206")), Ok(()));
        assert_eq!(order(&mut world, "209", wanted.clone()), Ok(()));
        assert!(idle(&world, phones[2]) && idle(&world, phones[1]));
        assert_eq!(talks(&world, phones[0]), wanted != Order::HangUp);
        hang_up(&mut world, phones[0]);
        comes_to_rest(&mut world);
    }
}

/// Of two phones the one that was called gives way; nobody takes over from itself.
#[test]
fn a_conversation_of_two_phones_is_taken_over_from_who_was_called() {
    let (mut world, alice, bob) = conversation();
    let third = world.registered("207");
    world[third].speaks = Some(THIRD);
    for own in ["205", "206"] {
        assert!(order(&mut world, "205", intercept(own)).is_err());
    }
    assert_eq!(order(&mut world, "205", intercept("207")), Ok(()));
    answer(&mut world, third);
    world.run(2 * SECOND);
    assert!(idle(&world, bob));
    assert!(world.heard(alice, THIRD, SECOND) > AUDIBLE);
    hang_up(&mut world, third);
    world.run(SECOND);
    assert!(idle(&world, alice));
    comes_to_rest(&mut world);
}

/// Where no number leads: a queue, an agent, a phone.
#[test]
fn a_customer_is_led_to_what_has_no_number() {
    for (target, busy) in [
        (Target::Phone(account("206")), 206),
        (Target::Agent(AgentId("202".into())), 202),
        (Target::Queue(QueueId("support".into())), 202),
    ] {
        let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
        let other = world.registered("206");
        dial(&mut world, customer, "700");
        world.run(SECOND);
        answer(&mut world, agents[0]);
        world.run(2 * SECOND);
        let done = order(&mut world, "209", Order::Transfer(target.clone()));
        assert_eq!(done, Ok(()));
        assert!(idle(&world, agents[0]));
        let wanted = if busy == 206 { other } else { agents[1] };
        assert!(rings(&world, wanted), "{target:?}");
        answer(&mut world, wanted);
        world.run(SECOND);
        assert!(talks(&world, customer) && talks(&world, wanted));
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
        let visits = if matches!(target, Target::Queue(_)) {
            2
        } else {
            1
        };
        assert_eq!(world.records[0].queues.len(), visits);
    }
}

#[test]
fn where_nothing_is_nobody_is_led() {
    let mut site = without_start_sound();
    site.queue().capacity = 1;
    let (mut world, customer, _) = waiting(site, 1);
    for (target, told) in [
        (
            Target::Queue(QueueId("sails".into())),
            "there is no queue sails",
        ),
        (
            Target::Queue(QueueId("support".into())),
            "the queue support is full",
        ),
        (Target::Phone(account("999")), "there is no phone 999"),
        (
            Target::Agent(AgentId("999".into())),
            "there is no agent 999",
        ),
    ] {
        let done = order(&mut world, "209", Order::Transfer(target));
        assert_eq!(done, Err(told.to_owned()));
    }
    let told = order(&mut world, "209", Order::Move(QueueId("sails".into())));
    assert_eq!(told, Err("there is no queue sails".to_owned()));
    assert!(talks(&world, customer));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

/// It has waited for as long as before, with the priority that it had, and hears no start sound again.
#[test]
fn a_caller_who_is_moved_keeps_what_it_has_waited() {
    let (mut world, first, agents) = call_centre(Site::sample(), 0);
    assert!(agents.is_empty());
    let second = world.registered("208");
    dial(&mut world, first, "700");
    world.run(10 * SECOND);
    dial(&mut world, second, "700");
    world.run(10 * SECOND);
    let wait = order(&mut world, "209", Order::Move(QueueId("support".into())));
    assert_eq!(wait, Ok(()));
    let why = why(&world, "209");
    assert!(why.contains("waits in support at place 1"), "{why}");
    for customer in [first, second] {
        hang_up(&mut world, customer);
    }
    comes_to_rest(&mut world);
    let moved = world.records.iter().find(|record| record.caller == "209");
    let outcomes: Vec<_> = moved
        .expect("its record")
        .queues
        .iter()
        .map(|q| q.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Moved, Outcome::Abandoned]);
}

/// It asks for the same agents, too, and comes before whom it came before.
#[test]
fn a_caller_who_is_moved_keeps_its_priority_and_its_needs() {
    let mut world = World::new(only_for_english(5, None));
    let [first, second] = ["208", "209"].map(|name| world.registered(name));
    dial(&mut world, first, "700");
    world.run(10 * SECOND);
    dial(&mut world, second, "702");
    world.run(SECOND);
    let moved = order(&mut world, "209", Order::Move(QueueId("support".into())));
    assert_eq!(moved, Ok(()));
    let why = why(&world, "209");
    assert!(why.contains("waits in support at place 1"), "{why}");
    // Who cannot do what it needs serves the other.
    for (agent, served) in [("201", first), ("202", second)] {
        let agent = world.registered(agent);
        world.until("an agent is there", SECOND, |world| rings(world, agent));
        answer(&mut world, agent);
        world.run(SECOND);
        hang_up(&mut world, served);
        world.run(SECOND);
        assert!(idle(&world, agent), "it talked with {served:?}");
    }
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_forwards_its_calls_has_the_other_rung_for_a_command() {
    for wanted in [supervise(Supervision::Barge, "206"), intercept("206")] {
        let (mut world, [customer, agent, third]) = served_by_three(1);
        let other = world.registered("207");
        world[other].speaks = Some(THIRD);
        world[third].behaviour = Behaviour::Refuse(302);
        world[third].forwards = "<sip:207@192.0.2.1>".to_owned();
        assert_eq!(order(&mut world, "209", wanted.clone()), Ok(()));
        assert!(idle(&world, third) && rings(&world, other));
        answer(&mut world, other);
        let [customer_hears, _, other_hears] = hear(&mut world, [customer, agent, other]);
        assert!(customer_hears.contains(&"third"), "{wanted:?}");
        assert!(other_hears.contains(&"customer"), "{wanted:?}");
        hang_up(&mut world, other);
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
    }
}

/// The echo test cannot be with anybody.
#[test]
fn a_phone_that_forwards_its_calls_to_a_service_changes_nothing_for_a_command() {
    for wanted in [supervise(Supervision::Barge, "206"), intercept("206")] {
        let (mut world, phones) = served_by_three(1);
        world[phones[2]].behaviour = Behaviour::Refuse(302);
        world[phones[2]].forwards = "<sip:600@192.0.2.1>".to_owned();
        assert_eq!(order(&mut world, "209", wanted), Ok(()));
        let two = [vec!["agent"], vec!["customer"], vec![]];
        assert_eq!(hear(&mut world, phones), two);
        hang_up(&mut world, phones[0]);
        comes_to_rest(&mut world);
    }
}

#[test]
fn lamps_follow_who_is_rung_by_a_command() {
    for wanted in [supervise(Supervision::Listen, "206"), intercept("206")] {
        let (mut world, phones) = served_by_three(1);
        let desk = watched(&mut world, "206");
        assert_eq!(order(&mut world, "209", wanted.clone()), Ok(()));
        answer(&mut world, phones[2]);
        world.run(2 * SECOND);
        hang_up(&mut world, phones[2]);
        world.run(SECOND);
        let states = ["", "trying", "early", "confirmed", "terminated"];
        assert_eq!(told(&world, desk), states, "{wanted:?}");
    }
}

/// The agent's lamp goes out when its place is taken, not before.
#[test]
fn the_lamp_of_who_is_taken_over_goes_out_with_its_conversation() {
    let (mut world, phones) = served_by_three(1);
    let desk = watched(&mut world, "201");
    assert_eq!(order(&mut world, "209", intercept("206")), Ok(()));
    assert_eq!(told(&world, desk), ["confirmed"]);
    answer(&mut world, phones[2]);
    world.run(SECOND);
    assert_eq!(told(&world, desk), ["confirmed", "terminated"]);
}

#[test]
fn a_reload_changes_nothing_for_a_phone_that_rings_by_a_command() {
    for wanted in [supervise(Supervision::Barge, "206"), intercept("206")] {
        let (mut world, phones) = served_by_three(1);
        assert_eq!(order(&mut world, "209", wanted.clone()), Ok(()));
        let mut site = without_start_sound();
        site.settings.supervisors = [account("206")].into();
        site.each_agent(|agent| agent.wrap_up_time = Some(3 * SECOND));
        reload(&mut world, site.settings);
        world.run(SECOND);
        assert!(rings(&world, phones[2]), "{wanted:?}");
        answer(&mut world, phones[2]);
        let [customer_hears, _, third_hears] = hear(&mut world, phones);
        assert!(customer_hears.contains(&"third"), "{wanted:?}");
        assert!(third_hears.contains(&"customer"), "{wanted:?}");
        hang_up(&mut world, phones[2]);
        hang_up(&mut world, phones[0]);
        comes_to_rest(&mut world);
    }
}

/// The right counts when the phone answers, not when it was rung.
#[test]
fn who_may_no_longer_supervise_when_its_phone_answers_hears_nobody() {
    let (mut world, phones) = served_by_three(1);
    let barge = supervise(Supervision::Barge, "206");
    assert_eq!(order(&mut world, "209", barge), Ok(()));
    reload(&mut world, without_start_sound().settings);
    answer(&mut world, phones[2]);
    let two = [vec!["agent"], vec!["customer"], vec![]];
    assert_eq!(hear(&mut world, phones), two);
    assert!(idle(&world, phones[2]));
    hang_up(&mut world, phones[0]);
    comes_to_rest(&mut world);
}
