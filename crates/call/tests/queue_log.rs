//! The queue log: what it says of calls and agents, and what agents get back from it after a restart.

use call::queue_log::{Entry, Memory};
use queue::{AgentId, BreakReason, Status};
use testkit::{Behaviour, Site, World};

use crate::scene::{SECOND, answer, dial, hang_up, served_in, without_start_sound};

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
    let mut rest: Vec<&str> = told[begins..].iter().map(String::as_str).collect();
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
        let why = world.exchange.why(name, world.now()).expect("it waits");
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
