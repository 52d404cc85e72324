//! Agents whose phones do something else meanwhile.

use std::num::NonZeroU8;

use call::record::Outcome;
use queue::{AgentId, BreakReason, State, Status};
use testkit::Behaviour;

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, call_centre, comes_to_rest, dial, hang_up, idle, rings,
    talks, without_start_sound,
};

fn state(world: &testkit::World) -> Option<State> {
    world.exchange.queues().state(&AgentId("201".into()))
}

#[test]
fn an_agent_who_dials_out_while_its_phone_rings_may_still_answer() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let sofa = world.registered("201");
    world[sofa].behaviour = Behaviour::Refuse(486);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(rings(&world, agents[0]));
    dial(&mut world, sofa, "600");
    world.run(SECOND);
    assert!(rings(&world, agents[0]) && talks(&world, sofa));
    answer(&mut world, agents[0]);
    world.run(SECOND);
    assert!(matches!(state(&world), Some(State::Talking(_))));
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_eq!(state(&world), Some(State::Idle));
    hang_up(&mut world, sofa);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_dials_out_and_lets_it_ring_gets_no_other_offer_until_it_hangs_up() {
    let mut site = without_start_sound();
    site.each_agent(|agent| {
        agent.call_timeout = 5 * SECOND;
        agent.no_answer_delay_time = SECOND;
    });
    let (mut world, customer, agents) = call_centre(site, 1);
    let sofa = world.registered("201");
    world[sofa].behaviour = Behaviour::Refuse(486);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    dial(&mut world, sofa, "600");
    world.run(30 * SECOND);
    assert!(idle(&world, agents[0]));
    hang_up(&mut world, sofa);
    world.run(SECOND);
    assert!(rings(&world, agents[0]));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_whom_a_colleague_calls_is_not_offered_a_customer() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let colleague = world.registered("205");
    dial(&mut world, colleague, "201");
    world.run(SECOND);
    assert!(rings(&world, agents[0]));
    dial(&mut world, customer, "700");
    world.run(5 * SECOND);
    assert_eq!(world[agents[0]].refused_for_busy, 0);
    hang_up(&mut world, colleague);
    world.run(SECOND);
    assert!(rings(&world, agents[0]), "for the customer now");
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_misses_many_calls_is_still_offered_the_next() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.call_timeout = 5 * SECOND);
    let (mut world, customer, agents) = call_centre(site, 1);
    dial(&mut world, customer, "700");
    world.run(300 * SECOND);
    world[agents[0]].behaviour = Behaviour::AnswerAfter(SECOND);
    world.run(20 * SECOND);
    assert!(talks(&world, agents[0]) && talks(&world, customer));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_calls_its_own_queue_is_not_offered_itself() {
    let (mut world, _, agents) = call_centre(without_start_sound(), 2);
    dial(&mut world, agents[0], "700");
    world.run(SECOND);
    assert!(rings(&world, agents[1]));
    assert_eq!(world[agents[0]].refused_for_busy, 0);
    hang_up(&mut world, agents[0]);
    comes_to_rest(&mut world);
}

#[test]
fn a_phone_that_calls_itself_is_busy() {
    let (mut world, customer, _) = call_centre(without_start_sound(), 0);
    dial(&mut world, customer, "209");
    world.run(SECOND);
    assert_eq!(world[customer].last_status, Some(486));
    comes_to_rest(&mut world);
}

fn status(world: &testkit::World) -> Option<Status> {
    world.exchange.queues().status(&AgentId("201".into()))
}

#[test]
fn an_agent_has_a_break_and_takes_calls_on_demand_from_the_phone() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let code = |world: &mut testkit::World, code| {
        dial(world, agents[0], code);
        world.run(3 * SECOND);
    };
    code(&mut world, "*47");
    assert_eq!(
        status(&world),
        Some(Status::OnBreak(BreakReason("lunch".into())))
    );
    dial(&mut world, customer, "700");
    world.run(2 * SECOND);
    assert!(idle(&world, agents[0]));
    code(&mut world, "*48");
    assert_eq!(status(&world), Some(Status::OnDemand));
    assert!(rings(&world, agents[0]));
    answer(&mut world, agents[0]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_eq!(state(&world), Some(State::Parked));
    dial(&mut world, customer, "700");
    world.run(20 * SECOND);
    assert!(idle(&world, agents[0]), "it has had its call");
    code(&mut world, "*49");
    assert!(rings(&world, agents[0]), "and asks for the next");
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_ends_its_wrap_up_from_the_phone() {
    let mut site = without_start_sound();
    site.queue().wrap_up_time = 300 * SECOND;
    let (mut world, customer, agents) = call_centre(site, 1);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert!(matches!(state(&world), Some(State::WrapUp { .. })));
    dial(&mut world, agents[0], "*49");
    world.run(3 * SECOND);
    assert_eq!(state(&world), Some(State::Idle));
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_who_does_not_answer_is_logged_out_when_that_is_its_setting() {
    let mut site = without_start_sound();
    site.each_agent(|agent| {
        agent.max_no_answer = 2;
        agent.call_timeout = 5 * SECOND;
    });
    let (mut world, customer, agents) = call_centre(site, 1);
    dial(&mut world, customer, "700");
    world.run(60 * SECOND);
    assert!(idle(&world, agents[0]));
    assert_eq!(status(&world), Some(Status::LoggedOut));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

/// A whisper: the customer hears nothing of it, and is not kept waiting.
#[test]
fn an_agent_is_told_the_queue_before_it_hears_the_customer() {
    let mut site = without_start_sound();
    let sound = media::Sound::new(media::tone::sine(700.0, 8_000, 2 * SECOND));
    site.service().agent_announcement = Some(std::sync::Arc::new(sound));
    let (mut world, customer, agent) = crate::scene::served_in(testkit::World::new(site));
    // Two seconds have passed since the answer.
    assert!(world.heard(agent, 700.0, SECOND) > AUDIBLE);
    assert!(world.heard(agent, 440.0, SECOND) < INAUDIBLE);
    assert!(world.heard(customer, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(customer, 700.0, SECOND) < INAUDIBLE);
    world.run(2 * SECOND);
    assert!(world.heard(agent, 440.0, SECOND) > AUDIBLE);
    assert!(world.heard(agent, 700.0, SECOND) < INAUDIBLE);
}

#[test]
fn an_agent_with_two_calls_at_once_talks_with_both_customers_and_each_has_a_record() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.max_calls = NonZeroU8::new(2).expect("two"));
    let (mut world, first, agents) = call_centre(site, 1);
    // Another device of the agent: the desk phone of the tests has one line.
    let sofa = world.registered("201");
    let second = world.registered("208");
    world[first].speaks = Some(440.0);
    world[second].speaks = Some(880.0);
    dial(&mut world, first, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    dial(&mut world, second, "700");
    world.run(SECOND);
    assert!(rings(&world, sofa), "while the agent talks");
    answer(&mut world, sofa);
    world.run(3 * SECOND);
    assert!(talks(&world, agents[0]) && talks(&world, sofa));
    assert!(world.heard(agents[0], 440.0, SECOND) > AUDIBLE);
    assert!(world.heard(sofa, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(sofa, 440.0, SECOND) < INAUDIBLE);
    hang_up(&mut world, first);
    world.run(SECOND);
    assert!(talks(&world, sofa));
    hang_up(&mut world, second);
    world.run(SECOND);
    let served = world.records.iter().map(|record| {
        let visit = &record.queues[0];
        (visit.outcome, visit.agent.clone())
    });
    let answered = (Outcome::Answered, Some("201".to_owned()));
    assert_eq!(served.collect::<Vec<_>>(), [answered.clone(), answered]);
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_with_call_waiting_is_offered_a_customer_while_a_colleague_talks_to_it() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.call_waiting = true);
    let (mut world, customer, agents) = call_centre(site, 1);
    let sofa = world.registered("201");
    let colleague = world.registered("205");
    dial(&mut world, colleague, "201");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(SECOND);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(rings(&world, sofa));
    answer(&mut world, sofa);
    world.run(SECOND);
    assert!(talks(&world, sofa) && talks(&world, customer) && talks(&world, colleague));
    hang_up(&mut world, customer);
    hang_up(&mut world, colleague);
    comes_to_rest(&mut world);
}
