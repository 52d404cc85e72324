//! Who is served first, and where callers go who are not served.

use std::collections::BTreeMap;
use std::time::Duration;

use call::Cause;
use call::record::Outcome;
use call::settings::{Destination, Entrance};
use queue::{Membership, Needs, NeedsId, NeedsStep, NoAgentLimit, QueueId, QueueSettings, Skill};
use testkit::{PhoneId, Site, World};

use crate::scene::{
    SECOND, answer, comes_to_rest, dial, hang_up, idle, rings, talks, without_start_sound,
};

/// The sample with a second queue `sales` at 701, which the agent 201 serves.
fn two_queues() -> Site {
    let mut site = without_start_sound();
    let sales = QueueId("sales".into());
    let service = site.service().clone();
    let plan = QueueSettings {
        id: sales.clone(),
        members: site
            .queue()
            .members
            .drain(..)
            .take(1)
            .collect::<Vec<Membership>>(),
        ..site.queue().clone()
    };
    site.settings.plan.queues.push(plan);
    site.settings.queues.insert(sales.clone(), service);
    let number = ("701".to_owned(), Destination::Queue(sales.into()));
    site.settings.numbers.extend([number]);
    site
}

/// The agent's phone comes, answers whatever rings, and the callers are told apart by who is served.
fn serve_one(world: &mut World) -> String {
    let agent = world.registered("201");
    world.until("the agent rings", SECOND, |w| rings(w, agent));
    answer(world, agent);
    world.run(2 * SECOND);
    hang_up(world, agent);
    world.run(2 * SECOND);
    let served = |outcome| outcome == Outcome::Answered;
    let mut records = world.records.iter();
    let record = records.find(|record| record.queues.iter().any(|visit| served(visit.outcome)));
    record.expect("somebody was served").caller.clone()
}

/// The sample with a number 702, whose callers wait in `support` with this priority for who speaks English, which 202 does; from
/// a moment on, if there is one, anybody will do.
pub(crate) fn only_for_english(priority: u32, until: Option<Duration>) -> Site {
    let mut site = without_start_sound();
    let english = BTreeMap::from([(Skill("english".into()), 80)]);
    let agents = &mut site.settings.plan.agents;
    let able = agents.iter_mut().find(|agent| &*agent.id.0 == "202");
    able.expect("an agent").skills = english.clone();
    let step = |after, skills| NeedsStep { after, skills };
    let english = step(Duration::ZERO, english);
    let anybody = until.map(|until| step(until, BTreeMap::new()));
    site.settings.plan.needs.push(Needs {
        id: NeedsId("english".into()),
        steps: [english].into_iter().chain(anybody).collect(),
    });
    let entrance = Entrance {
        priority,
        needs: Some(NeedsId("english".into())),
        ..Entrance::from(QueueId("support".into()))
    };
    let number = ("702".to_owned(), Destination::Queue(entrance));
    site.settings.numbers.extend([number]);
    site
}

fn callers(world: &mut World) -> [PhoneId; 2] {
    [world.registered("209"), world.registered("210")]
}

#[test]
fn nobody_serves_and_the_caller_is_led_on() {
    let mut site = without_start_sound();
    site.queue().max_wait_time_with_no_agent = Some(NoAgentLimit {
        max_wait_time: 10 * SECOND,
        grace: 5 * SECOND,
    });
    site.service().no_agent_timeout_transfer_dst = Some("205".to_owned());
    let mut world = World::new(site);
    let [customer, late] = callers(&mut world);
    let desk = world.registered("205");
    dial(&mut world, customer, "700");
    let waited = world.until("the desk rings", 12 * SECOND, |w| rings(w, desk));
    assert!(waited > 5 * SECOND, "{waited:?}");
    hang_up(&mut world, customer);
    world.run(SECOND);
    dial(&mut world, late, "700");
    let waited = world.until("the desk rings again", 12 * SECOND, |w| rings(w, desk));
    assert!(
        waited >= 5 * SECOND && waited < 6 * SECOND,
        "the grace, not {waited:?}"
    );
    hang_up(&mut world, late);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].queues[0].outcome, Outcome::NoAgent);
}

#[test]
fn nobody_serves_and_there_is_nowhere_to_go() {
    let mut site = without_start_sound();
    site.queue().max_wait_time_with_no_agent = Some(NoAgentLimit {
        max_wait_time: 10 * SECOND,
        grace: 5 * SECOND,
    });
    let mut world = World::new(site);
    let [customer, _] = callers(&mut world);
    dial(&mut world, customer, "700");
    world.run(12 * SECOND);
    assert!(idle(&world, customer));
    assert_eq!(world.records[0].cause, Cause::NoAgent);
}

#[test]
fn a_caller_for_whom_there_is_no_place_is_led_on() {
    let mut site = two_queues();
    site.queue().capacity = 1;
    site.service().overflow_transfer_dst = Some("701".to_owned());
    let mut world = World::new(site);
    let [first, second] = callers(&mut world);
    dial(&mut world, first, "700");
    world.run(SECOND);
    dial(&mut world, second, "700");
    world.run(SECOND);
    assert_eq!(serve_one(&mut world), "210");
    assert!(talks(&world, first), "it waits on");
    hang_up(&mut world, first);
    comes_to_rest(&mut world);
    assert_eq!(world.records[0].queues[0].queue, "sales");
}

#[test]
fn who_goes_on_to_another_queue_keeps_the_time_waited() {
    let mut site = two_queues();
    site.queue().max_wait_time = Some(10 * SECOND);
    site.service().timeout_transfer_dst = Some("701".to_owned());
    let mut world = World::new(site);
    let [first, second] = callers(&mut world);
    dial(&mut world, first, "700");
    world.run(5 * SECOND);
    dial(&mut world, second, "701");
    world.run(10 * SECOND);
    assert_eq!(serve_one(&mut world), "209", "it waited 15 s, the other 10");
    hang_up(&mut world, second);
    comes_to_rest(&mut world);
    let outcomes = world.records[0].queues.iter().map(|visit| visit.outcome);
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [Outcome::MaxWaitTime, Outcome::Answered]
    );
}

#[test]
fn who_hangs_up_and_calls_again_has_its_place_unless_it_hides_who_it_is() {
    for (named, expected) in [(true, "209"), (false, "210")] {
        let mut site = without_start_sound();
        site.queue().abandoned_resume = Some(60 * SECOND);
        let mut world = World::new(site);
        let [first, second] = callers(&mut world);
        world[first].private = !named;
        dial(&mut world, first, "700");
        world.run(SECOND);
        dial(&mut world, second, "700");
        world.run(SECOND);
        hang_up(&mut world, first);
        world.run(5 * SECOND);
        dial(&mut world, first, "700");
        world.run(SECOND);
        assert_eq!(serve_one(&mut world), expected);
    }
}

#[test]
fn a_number_gives_its_callers_priority_or_a_head_start() {
    for (priority, base_score, expected) in [(1, 0, "210"), (0, 60, "210"), (0, 2, "209")] {
        let mut site = without_start_sound();
        let entrance = Entrance {
            queue: QueueId("support".into()),
            priority,
            base_score: base_score * SECOND,
            needs: None,
        };
        let number = ("702".to_owned(), Destination::Queue(entrance));
        site.settings.numbers.extend([number]);
        let mut world = World::new(site);
        let [first, second] = callers(&mut world);
        dial(&mut world, first, "700");
        world.run(10 * SECOND);
        dial(&mut world, second, "702");
        world.run(SECOND);
        assert_eq!(serve_one(&mut world), expected);
    }
}

#[test]
fn a_number_leads_its_callers_to_who_can_serve_them_and_after_a_while_to_anybody() {
    let mut world = World::new(only_for_english(0, Some(10 * SECOND)));
    let [other, able] = ["201", "202"].map(|agent| world.registered(agent));
    let [first, second] = callers(&mut world);
    dial(&mut world, first, "702");
    world.until("who can serves", SECOND, |w| rings(w, able));
    answer(&mut world, able);
    dial(&mut world, second, "702");
    world.run(9 * SECOND);
    assert!(!rings(&world, other));
    world.until("another serves", 2 * SECOND, |w| rings(w, other));
}
