//! The queue log: what it says of calls and agents, and what agents get back from it after a restart.

use call::queue_log::{By, Choice, Entry, Event, Memory, MissedBy, PassedOver, Rule};
use call::record::Outcome;
use queue::{AgentId, BreakReason, NoAgentLimit, Status};
use testkit::{Behaviour, Site, World};

use crate::scene::{
    SECOND, answer, call_centre_in, comes_to_rest, dial, hang_up, served_in, without_start_sound,
};
use crate::transfer::refer;
use crate::why::why;

fn opened(site: Site, before: Memory) -> World {
    let mut world = World::new(site);
    world.control(|exchange, now| exchange.open_queue_log(before, now));
    world
}

/// The log's lines without their moments, their calls without the start of the switch.
fn lines(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| {
        let value = serde_json::to_value(&entry.event).expect("an event is JSON");
        let object = value.as_object().expect("an event is an object");
        let words = object.iter().map(|(key, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let text = if key == "call" {
                text.split('-').next_back().unwrap_or("").to_owned()
            } else {
                text
            };
            format!("{key}={text}")
        });
        words.collect::<Vec<_>>().join(" ")
    };
    entries.iter().map(line).collect()
}

fn remembered(entries: Vec<Entry>) -> Memory {
    let mut memory = Memory::default();
    for entry in entries {
        // As from disk.
        let text = serde_json::to_string(&entry).expect("an entry is JSON");
        memory.take(serde_json::from_str(&text).expect("an entry reads back"));
    }
    memory
}

fn status(world: &World, agent: &str) -> Option<Status> {
    world.exchange.queues().status(&AgentId(agent.into()))
}

#[test]
fn a_served_call_and_one_that_gives_up_are_told_from_beginning_to_end() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.wrap_up_time = Some(2 * SECOND));
    let world = opened(site, Memory::default());
    let (mut world, customer, agent) = served_in(world);
    hang_up(&mut world, customer);
    world.run(3 * SECOND);
    world[agent].behaviour = Behaviour::Refuse(486);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    dial(&mut world, agent, "*47");
    world.run(5 * SECOND);
    let told = lines(&world.queue_log);
    let begins = told
        .iter()
        .position(|line| line.contains("event=joined"))
        .expect("it joined");
    assert_eq!(told[0], "event=started");
    let agents = told[..begins]
        .iter()
        .filter(|line| line.contains("event=agent"));
    assert_eq!(agents.count(), 4);
    let rest = told[begins..].iter().map(String::as_str);
    // Why which phone rings is told apart.
    let mut rest: Vec<&str> = rest
        .filter(|line| !line.contains("event=offered"))
        .collect();
    // Each of these once, and about so long.
    let timed = |rest: &mut Vec<&str>, start: &str| {
        let place = rest.iter().position(|line| line.starts_with(start));
        rest.remove(place.unwrap_or_else(|| panic!("no {start} in {rest:#?}")))
            .to_owned()
    };
    let millis = |line: String| {
        line.rsplit('=')
            .next()
            .and_then(|it| it.parse::<u64>().ok())
    };
    let wait = timed(
        &mut rest,
        "agent=201 call=1 event=answered queue=support wait_ms=",
    );
    assert!(millis(wait).is_some_and(|it| (900..1_100).contains(&it)));
    let talk = timed(
        &mut rest,
        "agent=201 call=1 event=talked queue=support talk_ms=",
    );
    assert!(millis(talk).is_some_and(|it| (1_900..2_100).contains(&it)));
    let wait = timed(
        &mut rest,
        "call=2 event=left outcome=abandoned queue=support wait_ms=",
    );
    assert!(millis(wait).is_some_and(|it| (900..1_100).contains(&it)));
    assert_eq!(
        rest,
        [
            "call=1 caller=209 event=joined queue=support",
            "agent=201 event=wrapped-up wrap_up_ms=2000",
            "call=2 caller=209 event=joined queue=support",
            "agent=201 call=2 event=missed failure=busy queue=support",
            "agent=201 event=status reason=lunch status=on-break",
        ]
    );
}

/// Killed and started again: nobody is told to log in anew, and who had the fewest calls is called first.
#[test]
fn agents_are_after_a_restart_what_they_were() {
    let mut site = without_start_sound();
    site.queue().strategy = queue::Strategy::AgentWithFewestCalls;
    let world = opened(site.clone(), Memory::default());
    let (mut world, customer, first) = served_in(world);
    hang_up(&mut world, customer);
    world.run(SECOND);
    let third = world.registered("203");
    dial(&mut world, third, "*47");
    world.run(5 * SECOND);
    let fourth = world.registered("204");
    dial(&mut world, fourth, "*46");
    world.run(5 * SECOND);
    assert!(world[first].speaks.is_some());

    let before = remembered(world.queue_log.clone());
    let mut world = opened(site, before);
    assert_eq!(status(&world, "201"), Some(Status::Available));
    let lunch = Status::OnBreak(BreakReason("lunch".into()));
    assert_eq!(status(&world, "203"), Some(lunch));
    assert_eq!(status(&world, "204"), Some(Status::LoggedOut));
    let [one, two] = ["201", "202"].map(|name| world.registered(name));
    let customer = world.registered("209");
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(crate::scene::rings(&world, two) && !crate::scene::rings(&world, one));
    answer(&mut world, two);
}

/// What is in the log of a day stands on its own: the file of the day before may be gone.
/// After a kill -9 as after a stop: who hung up shortly before, and who was cut off, keep their places for as long as the queue says.
#[test]
fn callers_who_were_cut_off_by_a_restart_come_back_for_their_places() {
    let mut site = without_start_sound();
    site.queue().abandoned_resume = Some(60 * SECOND);
    let mut world = opened(site.clone(), Memory::default());
    for name in ["205", "206", "207"] {
        let phone = world.registered(name);
        dial(&mut world, phone, "700");
        world.run(5 * SECOND);
        if name == "205" {
            hang_up(&mut world, phone);
        }
    }
    let log = world.queue_log.clone();
    // A moment later in another process.
    let mut world = opened(site, remembered(log));
    let [agent, new, cut_off, gave_up] =
        ["201", "208", "206", "205"].map(|name| world.registered(name));
    world[agent].behaviour = Behaviour::Refuse(486);
    for phone in [new, cut_off, gave_up] {
        dial(&mut world, phone, "700");
        world.run(SECOND);
    }
    let place = |name: &str| {
        let why = why(&world, name);
        why.split("at place ")
            .nth(1)
            .and_then(|rest| rest.chars().next())
    };
    assert_eq!(
        ["205", "206", "208"].map(place),
        [Some('1'), Some('2'), Some('3')]
    );
}

#[test]
fn the_log_of_a_new_day_tells_again_what_agents_are() {
    let world = opened(without_start_sound(), Memory::default());
    let (mut world, customer, agent) = served_in(world);
    hang_up(&mut world, customer);
    world.run(SECOND);
    dial(&mut world, agent, "*47");
    world.run(5 * SECOND);
    world.run(24 * 3_600 * SECOND);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    let days: Vec<&str> = world.queue_log.iter().map(Entry::day).collect();
    let second = days
        .iter()
        .position(|day| *day != days[0])
        .expect("a second day");
    let mut today = Memory::default();
    for entry in &world.queue_log[second..] {
        today.take(entry.clone());
    }
    let mut world = opened(without_start_sound(), today);
    world.run(SECOND);
    let lunch = Status::OnBreak(BreakReason("lunch".into()));
    assert_eq!(status(&world, "201"), Some(lunch));
}

fn count(world: &World, is_one: impl Fn(&Event) -> bool) -> usize {
    let events = world.queue_log.iter().map(|entry| &entry.event);
    events.filter(|event| is_one(event)).count()
}

/// Who was told to ring, and why.
fn offers(world: &World) -> Vec<(&str, &Choice)> {
    let events = world.queue_log.iter().map(|entry| &entry.event);
    let mut offers = Vec::new();
    for event in events {
        if let Event::Offered { agent, choice, .. } = event {
            offers.push((agent.as_str(), choice));
        }
    }
    offers
}

/// The log says of each phone that rings why it does, and who would have come before: it is read back after a restart.
#[test]
fn each_offer_is_told_with_its_reason_and_who_was_passed_over() {
    let mut site = without_start_sound();
    site.each_agent(|agent| {
        agent.call_timeout = 10 * SECOND;
        agent.no_answer_delay_time = 30 * SECOND;
    });
    let (mut world, customer, agents) = call_centre_in(opened(site, Memory::default()), 2);
    dial(&mut world, customer, "700");
    world.run(12 * SECOND);
    answer(&mut world, agents[1]);
    world.run(SECOND);
    let [(first, why_first), (second, why_second)] = offers(&world)[..] else {
        panic!("{:#?}", world.queue_log);
    };
    assert_eq!((first, second), ("201", "202"));
    assert!(
        matches!(
            why_first.by,
            By::Order | By::Idle { .. } | By::TalkTime { .. } | By::Calls { .. }
        ),
        "{why_first:?}"
    );
    assert!(why_first.passed_over.iter().all(|it| it.agent != "201"));
    let [
        PassedOver {
            agent,
            rule,
            until: Some(until),
        },
        ..,
    ] = &why_second.passed_over[..]
    else {
        panic!("{why_second:#?}");
    };
    assert_eq!(agent, "201");
    let after = MissedBy::NoAnswer;
    assert_eq!(*rule, Rule::Rests { after });
    assert!(until.starts_with("2026-11-20T21:20:4"), "{until}");
    // A second life knows nothing of offers, and is told all else.
    remembered(world.queue_log.clone());
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

/// With ring-all many phones ring at once; who was passed over is told once.
#[test]
fn of_phones_that_ring_together_one_entry_says_who_was_passed_over() {
    let mut site = without_start_sound();
    site.queue().strategy = queue::Strategy::RingAll;
    let (mut world, customer, _) = call_centre_in(opened(site, Memory::default()), 3);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    let told = offers(&world);
    assert_eq!(told.len(), 3);
    let unregistered = |choice: &Choice| {
        let mut held = choice.passed_over.iter();
        held.any(|it| it.agent == "204" && it.rule == Rule::Unregistered)
    };
    let saying = told.iter().filter(|(_, choice)| unregistered(choice));
    assert!(saying.count() <= 1);
    assert!(
        told[1..]
            .iter()
            .all(|(_, choice)| choice.passed_over.is_empty())
    );
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

/// The agent holds its customer twice; the log says each time, and the record all together.
#[test]
fn the_time_on_hold_is_told() {
    let (mut world, customer, agent) = served_in(opened(without_start_sound(), Memory::default()));
    for seconds in [3, 2] {
        for on in [true, false] {
            world.act(agent, |phone, now| phone.hold(on, now));
            world.run(seconds * SECOND);
        }
    }
    // The last hold ends with the call.
    world.act(agent, |phone, now| phone.hold(true, now));
    world.run(4 * SECOND);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    let events = world.queue_log.iter().map(|entry| &entry.event);
    let mut holds = Vec::new();
    for event in events {
        if let Event::Held { agent, hold_ms, .. } = event {
            assert_eq!(agent, "201");
            holds.push(*hold_ms);
        }
    }
    assert_eq!(holds.len(), 3, "{holds:?}");
    for (hold, about) in holds.iter().zip([3_000, 2_000, 4_000]) {
        assert!(hold.abs_diff(about) < 100, "{holds:?}");
    }
    let visit = &world.records[0].queues[0];
    assert!(visit.hold_ms.abs_diff(holds.iter().sum()) <= 2, "{visit:?}");
    assert!(visit.talk_ms > visit.hold_ms);
}

/// The talk of an agent who hands its customer to a phone, or to a queue, ends there.
#[test]
fn a_transfer_does_not_lengthen_the_talk_of_who_transferred() {
    for number in ["206", "700"] {
        let world = opened(without_start_sound(), Memory::default());
        let (mut world, customer, agents) = call_centre_in(world, 2);
        let desk = world.registered("206");
        world[desk].behaviour = Behaviour::AnswerAfter(SECOND);
        world[agents[1]].behaviour = Behaviour::AnswerAfter(SECOND);
        dial(&mut world, customer, "700");
        world.run(SECOND);
        answer(&mut world, agents[0]);
        world.run(3 * SECOND);
        refer(&mut world, agents[0], number);
        world.run(20 * SECOND);
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
        let events = world.queue_log.iter().map(|entry| &entry.event);
        let mut talks: Vec<(&str, u64)> = Vec::new();
        for event in events {
            if let Event::Talked { agent, talk_ms, .. } = event {
                talks.push((agent.as_str(), talk_ms / 1_000));
            }
        }
        let first = talks.iter().find(|(agent, _)| *agent == "201");
        assert!(
            first.is_some_and(|(_, talk)| (3..=4).contains(talk)),
            "{number}: {talks:?}"
        );
        assert_eq!(
            talks.len(),
            if number == "700" { 2 } else { 1 },
            "{talks:?}"
        );
    }
}

/// queue-cases.md, section B, event log: FULL x3, once refused and once led on.
#[test]
fn three_of_four_callers_find_a_queue_of_one_place_full() {
    for leads_on in [false, true] {
        let mut site = without_start_sound();
        site.queue().capacity = 1;
        if leads_on {
            site.service().overflow_transfer_dst = Some("205".to_owned());
        }
        let (mut world, customer, _) = call_centre_in(opened(site, Memory::default()), 0);
        let others = ["206", "207", "208"].map(|name| world.registered(name));
        for phone in [&[customer][..], &others].concat() {
            dial(&mut world, phone, "700");
            world.run(SECOND);
        }
        let full = count(
            &world,
            |event| matches!(event, Event::Full { led_on, .. } if *led_on == leads_on),
        );
        assert_eq!(full, 3);
        assert_eq!(
            count(&world, |event| matches!(event, Event::Joined { .. })),
            1
        );
    }
}

/// queue-cases.md, section B, event log: ENTERQUEUE x3 and ABANDON x3.
#[test]
fn three_callers_join_and_give_up() {
    let world = opened(without_start_sound(), Memory::default());
    let (mut world, customer, _) = call_centre_in(world, 0);
    for _ in 0..3 {
        dial(&mut world, customer, "700");
        world.run(2 * SECOND);
        hang_up(&mut world, customer);
        world.run(SECOND);
    }
    assert_eq!(
        count(&world, |event| matches!(event, Event::Joined { .. })),
        3
    );
    assert_eq!(left(&world, Outcome::Abandoned), 3);
}

fn left(world: &World, how: Outcome) -> usize {
    count(
        world,
        |event| matches!(event, Event::Left { outcome, .. } if *outcome == how),
    )
}

/// queue-cases.md, section B, event log: EXITWITHTIMEOUT x2 and JOINEMPTY.
#[test]
fn callers_who_wait_too_long_and_those_whom_nobody_serves_are_told_apart() {
    let mut site = without_start_sound();
    site.queue().max_wait_time = Some(10 * SECOND);
    let (mut world, customer, _) = call_centre_in(opened(site, Memory::default()), 1);
    for _ in 0..2 {
        dial(&mut world, customer, "700");
        world.run(40 * SECOND);
    }
    assert_eq!(left(&world, Outcome::MaxWaitTime), 2);
    let mut site = without_start_sound();
    site.queue().max_wait_time_with_no_agent = Some(NoAgentLimit {
        max_wait_time: SECOND,
        grace: SECOND,
    });
    let (mut world, customer, _) = call_centre_in(opened(site, Memory::default()), 0);
    dial(&mut world, customer, "700");
    world.run(40 * SECOND);
    assert_eq!(left(&world, Outcome::NoAgent), 1);
}
