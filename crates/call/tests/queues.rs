//! Customers call a queue.

use std::time::Duration;

use call::record::Outcome;
use call::{Cause, Party};
use queue::{AgentId, State, Status, Strategy};
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneState, Site, tones};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, call_centre, dial, golden, hang_up, rings, waiting,
    without_start_sound,
};

#[test]
fn a_customer_hears_start_sound_music_and_announcements_then_talks_with_the_agent() {
    let (mut world, customer, agents) = call_centre(Site::sample(), 1);
    let agent = agents[0];
    world[customer].speaks = Some(440.0);
    world[agent].speaks = Some(880.0);
    dial(&mut world, customer, "700");
    world.run(Duration::from_millis(1_500));
    assert!(world.heard(customer, tones::START, SECOND) > AUDIBLE);
    assert!(
        !rings(&world, agent),
        "no agent is rung before the end of the start sound"
    );
    world.run(SECOND);
    assert!(rings(&world, agent));
    world.run(10 * SECOND);
    assert!(world.heard(customer, tones::MUSIC, SECOND) > AUDIBLE);
    world.run(6 * SECOND);
    assert!(world.heard(customer, tones::ANNOUNCEMENT, SECOND) > AUDIBLE);
    assert!(
        world.heard(customer, tones::MUSIC, SECOND) < INAUDIBLE,
        "the music waits"
    );
    world.run(2 * SECOND);
    world.act(agent, |phone, now| phone.answer(now));
    world.run(2 * SECOND);
    assert!(world.heard(customer, 880.0, SECOND) > AUDIBLE);
    assert!(world.heard(customer, tones::MUSIC, SECOND) < INAUDIBLE);
    assert!(world.heard(agent, 440.0, SECOND) > AUDIBLE);
    assert!(matches!(
        world.exchange.queues().state(&AgentId("201".into())),
        Some(State::Talking(_))
    ));
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_eq!(world[agent].state(), PhoneState::Idle);
    assert_golden(golden("queue-call.txt"), &world.ladder());
    let record = &world.records[0];
    assert_eq!(
        (record.cause, record.ended_by),
        (Cause::HangUp, Party::Caller)
    );
    let visit = &record.queues[0];
    assert_eq!(
        (visit.outcome, visit.agent.as_deref()),
        (Outcome::Answered, Some("201"))
    );
    assert!(
        (18_000..20_500).contains(&visit.wait_ms),
        "{}",
        visit.wait_ms
    );
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn agents_are_rung_in_turn() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 3);
    for turn in [0, 1, 2, 0] {
        dial(&mut world, customer, "700");
        world.until("an agent rings", SECOND, |w| {
            agents.iter().any(|agent| rings(w, *agent))
        });
        assert!(rings(&world, agents[turn]));
        world.act(agents[turn], |phone, now| phone.answer(now));
        world.run(SECOND);
        hang_up(&mut world, customer);
        world.run(SECOND);
    }
}

#[test]
fn the_longest_idle_agent_is_rung_first() {
    let mut site = without_start_sound();
    site.queue().strategy = Strategy::LongestIdleAgent;
    let (mut world, customer, agents) = call_centre(site, 2);
    for turn in [0, 1, 0] {
        dial(&mut world, customer, "700");
        world.until("an agent rings", SECOND, |w| {
            agents.iter().any(|agent| rings(w, *agent))
        });
        assert!(rings(&world, agents[turn]));
        world.act(agents[turn], |phone, now| phone.answer(now));
        world.run(SECOND);
        hang_up(&mut world, customer);
        world.run(SECOND);
    }
}

#[test]
fn the_lowest_level_is_rung_first_and_the_next_when_it_is_busy() {
    let mut site = without_start_sound();
    site.queue().members[0].level = 2;
    let (mut world, _, agents) = waiting(site, 2);
    assert!(rings(&world, agents[1]) && !rings(&world, agents[0]));
    world.act(agents[1], |phone, now| phone.refuse(486, now));
    world.run(SECOND);
    assert!(rings(&world, agents[0]) && !rings(&world, agents[1]));
}

#[test]
fn an_agent_who_does_not_answer_stops_ringing_after_call_timeout_and_rests() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 2);
    assert!(rings(&world, agents[0]));
    let rang = world.until("201 stops ringing", 30 * SECOND, |w| !rings(w, agents[0]));
    assert!(rang > 18 * SECOND && rang < 20 * SECOND, "{rang:?}");
    world.run(SECOND);
    assert!(rings(&world, agents[1]), "the next agent rings");
    world.act(agents[1], |phone, now| phone.refuse(603, now));
    world.run(8 * SECOND);
    assert!(
        !rings(&world, agents[0]) && !rings(&world, agents[1]),
        "both rest for their delay of 10 s"
    );
    world.run(2 * SECOND);
    assert!(
        rings(&world, agents[0]) || rings(&world, agents[1]),
        "the customer is offered again"
    );
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_golden(golden("no-answer-then-the-next.txt"), &world.ladder());
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn an_agent_wraps_up_before_the_next_call() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.wrap_up_time = Some(5 * SECOND));
    let (mut world, customer, agents) = call_centre(site, 1);
    let second = world.registered("210");
    world[agents[0]].behaviour = Behaviour::AnswerAfter(Duration::from_millis(100));
    dial(&mut world, customer, "700");
    world.run(2 * SECOND);
    dial(&mut world, second, "700");
    world.run(2 * SECOND);
    world[agents[0]].behaviour = Behaviour::Ring;
    hang_up(&mut world, customer);
    assert!(matches!(
        {
            world.run(SECOND);
            world.exchange.queues().state(&AgentId("201".into()))
        },
        Some(State::WrapUp { .. })
    ));
    let wrapped = SECOND
        + world.until("the second customer is offered", 10 * SECOND, |w| {
            rings(w, agents[0])
        });
    assert!(
        wrapped >= 5 * SECOND && wrapped < 5 * SECOND + Duration::from_millis(20),
        "{wrapped:?}"
    );
}

#[test]
fn a_free_agent_gets_the_next_customer_within_milliseconds() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let second = world.registered("210");
    dial(&mut world, customer, "700");
    let offered = world.until("the agent rings", SECOND, |w| rings(w, agents[0]));
    assert!(
        offered <= Duration::from_millis(8),
        "INVITE, 401, INVITE, offer: {offered:?}"
    );
    world.act(agents[0], |phone, now| phone.answer(now));
    dial(&mut world, second, "700");
    world.run(2 * SECOND);
    hang_up(&mut world, agents[0]);
    let offered = world.until("the agent rings again", SECOND, |w| rings(w, agents[0]));
    assert!(offered <= Duration::from_millis(3), "{offered:?}");
}

#[test]
fn a_customer_who_hangs_up_while_an_agent_rings_stops_the_ringing() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 1);
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_golden(golden("customer-gives-up.txt"), &world.ladder());
    assert_eq!(world[agents[0]].state(), PhoneState::Idle);
    assert!(world.messages("201").contains(&"< CANCEL".to_owned()));
    assert_eq!(world.records[0].queues[0].outcome, Outcome::Abandoned);
    world.run(40 * SECOND);
    world.assert_at_rest();
}

#[test]
fn of_two_agents_who_answer_at_once_one_wins_and_the_other_gets_ack_and_bye() {
    for apart in [0, 1, 2, 3, 10, 50] {
        let mut site = without_start_sound();
        site.queue().strategy = Strategy::RingAll;
        let (mut world, customer, agents) = waiting(site, 3);
        assert!(agents.iter().all(|agent| rings(&world, *agent)), "all ring");
        world.act(agents[0], |phone, now| phone.answer(now));
        world.run(Duration::from_millis(apart));
        if rings(&world, agents[1]) {
            world.act(agents[1], |phone, now| phone.answer(now));
        }
        world.run(SECOND);
        let talking = agents
            .iter()
            .filter(|agent| world[**agent].state() == PhoneState::Talking)
            .count();
        assert_eq!(talking, 1, "{apart} ms apart\n{}", world.ladder());
        assert_eq!(world[agents[2]].state(), PhoneState::Idle);
        if apart == 0 {
            assert_golden(golden("two-agents-answer-at-once.txt"), &world.ladder());
        }
        hang_up(&mut world, customer);
        world.run(40 * SECOND);
        world.assert_at_rest();
    }
}

#[test]
fn an_agent_who_answers_and_is_gone_at_once_leaves_the_customer_at_its_place() {
    let (mut world, customer, agents) = waiting(without_start_sound(), 2);
    world.act(agents[0], |phone, now| phone.answer(now));
    world.run(Duration::from_millis(50));
    hang_up(&mut world, agents[0]);
    world.run(SECOND);
    assert_eq!(
        world[customer].state(),
        PhoneState::Talking,
        "the customer is not hung up"
    );
    assert!(rings(&world, agents[1]), "the next agent rings");
    world.act(agents[1], |phone, now| phone.answer(now));
    world.run(2 * SECOND);
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_golden(golden("agent-vanishes.txt"), &world.ladder());
    world.run(40 * SECOND);
    assert_eq!(world.records[0].queues[0].agent.as_deref(), Some("202"));
    world.assert_at_rest();
}

#[test]
fn an_agent_whose_phone_is_gone_is_skipped() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
    world.act(agents[0], |phone, now| phone.register(0, now));
    world.run(SECOND);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(rings(&world, agents[1]) && !rings(&world, agents[0]));
}

#[test]
fn an_agent_in_another_call_is_not_rung() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    dial(&mut world, agents[0], "600");
    world.run(SECOND);
    dial(&mut world, customer, "700");
    world.run(5 * SECOND);
    assert_eq!(
        world
            .messages("201")
            .iter()
            .filter(|message| message.starts_with("< INVITE"))
            .count(),
        0
    );
    hang_up(&mut world, agents[0]);
    world.run(SECOND);
    assert!(
        rings(&world, agents[0]),
        "it rings once its own call is over"
    );
}

#[test]
fn max_wait_time_leads_to_its_destination() {
    let mut site = without_start_sound();
    site.queue().max_wait_time = Some(10 * SECOND);
    site.service().timeout_transfer_dst = Some("205".to_owned());
    let (mut world, customer, _) = call_centre(site, 0);
    let desk = world.registered("205");
    dial(&mut world, customer, "700");
    let waited = world.until("the desk rings", 12 * SECOND, |w| rings(w, desk));
    assert!(
        waited >= 10 * SECOND && waited < 10 * SECOND + Duration::from_millis(50),
        "{waited:?}"
    );
    world.run(SECOND);
    assert!(world.heard(customer, tones::RINGING, SECOND / 2) > AUDIBLE);
    world.act(desk, |phone, now| phone.answer(now));
    world.run(SECOND);
    assert_eq!(world[desk].state(), PhoneState::Talking);
    hang_up(&mut world, desk);
    world.run(SECOND);
    assert_golden(golden("max-wait-time.txt"), &world.ladder());
    world.run(40 * SECOND);
    assert_eq!(world.records[0].queues[0].outcome, Outcome::MaxWaitTime);
    world.assert_at_rest();
}

#[test]
fn max_wait_time_without_a_destination_hangs_up() {
    let mut site = without_start_sound();
    site.queue().max_wait_time = Some(10 * SECOND);
    let (mut world, customer, _) = call_centre(site, 0);
    dial(&mut world, customer, "700");
    world.run(11 * SECOND);
    assert_eq!(world[customer].state(), PhoneState::Idle);
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::MaxWaitTime, Party::Switch)
    );
}

#[test]
fn the_exit_key_leads_to_its_destination_even_during_an_announcement() {
    let mut site = Site::sample();
    site.service().exit_key = Some(('0', Some("205".to_owned())));
    let (mut world, customer, agents) = call_centre(site, 1);
    let desk = world.registered("205");
    dial(&mut world, customer, "700");
    world.run(18 * SECOND);
    assert!(world.heard(customer, tones::ANNOUNCEMENT, SECOND / 2) > AUDIBLE);
    world.press(customer, '5');
    world.run(SECOND / 2);
    assert!(!rings(&world, desk), "another key does nothing");
    world.press(customer, '0');
    world.run(SECOND);
    assert!(rings(&world, desk));
    assert_eq!(
        world[agents[0]].state(),
        PhoneState::Idle,
        "the agent's phone stops ringing"
    );
    assert!(world.heard(customer, tones::ANNOUNCEMENT, SECOND / 2) < INAUDIBLE);
    hang_up(&mut world, customer);
    world.run(SECOND);
    assert_golden(golden("exit-key.txt"), &world.ladder());
    world.run(40 * SECOND);
    assert_eq!(world.records[0].queues[0].outcome, Outcome::ExitKey);
    world.assert_at_rest();
}

#[test]
fn the_exit_key_without_a_destination_hangs_up() {
    let mut site = without_start_sound();
    site.service().exit_key = Some(('#', None));
    let (mut world, customer, _) = waiting(site, 0);
    world.press(customer, '#');
    world.run(SECOND);
    assert_eq!(world[customer].state(), PhoneState::Idle);
    assert_eq!(
        (world.records[0].cause, world.records[0].ended_by),
        (Cause::ExitKey, Party::Switch)
    );
}

#[test]
fn queues_that_lead_to_each_other_come_to_an_end() {
    let mut site = without_start_sound();
    site.queue().max_wait_time = Some(SECOND);
    site.service().timeout_transfer_dst = Some("700".to_owned());
    let (mut world, customer, _) = call_centre(site, 0);
    dial(&mut world, customer, "700");
    world.run(60 * SECOND);
    assert_eq!(world[customer].state(), PhoneState::Idle);
    assert_eq!(world.records[0].cause, Cause::Loop);
}

#[test]
fn an_agent_logs_out_and_in_from_the_phone_and_hears_so() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    let agent = AgentId("201".into());
    dial(&mut world, agents[0], "*46");
    world.run(Duration::from_millis(900));
    assert!(world.heard(agents[0], tones::LOGGED_OUT, SECOND / 2) > AUDIBLE);
    world.run(SECOND);
    assert_eq!(
        world[agents[0]].state(),
        PhoneState::Idle,
        "the switch hangs up after the sound"
    );
    assert_eq!(
        world.exchange.queues().status(&agent),
        Some(Status::LoggedOut)
    );
    assert_golden(golden("log-out.txt"), &world.ladder());
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    assert!(!rings(&world, agents[0]));
    dial(&mut world, agents[0], "*45");
    world.run(Duration::from_millis(900));
    assert!(world.heard(agents[0], tones::LOGGED_IN, SECOND / 2) > AUDIBLE);
    world.run(SECOND);
    assert_eq!(
        world.exchange.queues().status(&agent),
        Some(Status::Available)
    );
    assert!(
        rings(&world, agents[0]),
        "the waiting customer is offered at once"
    );
    let confirmation = world
        .records
        .iter()
        .find(|record| record.dialled == "*45")
        .expect("it has a record");
    assert_eq!(
        (confirmation.cause, confirmation.ended_by),
        (Cause::Completed, Party::Switch)
    );
}

#[test]
fn a_phone_without_an_agent_hears_that_it_has_none() {
    let (mut world, customer, _) = call_centre(Site::sample(), 0);
    dial(&mut world, customer, "*45");
    world.run(Duration::from_millis(900));
    assert!(world.heard(customer, tones::NOT_AN_AGENT, SECOND / 2) > AUDIBLE);
}

#[test]
fn two_hundred_rejects_do_not_make_a_storm() {
    let mut site = without_start_sound();
    site.each_agent(|agent| agent.reject_delay_time = Duration::ZERO);
    let (mut world, customer, agents) = call_centre(site, 1);
    world[agents[0]].behaviour = Behaviour::Refuse(603);
    dial(&mut world, customer, "700");
    world.run(20 * SECOND);
    let invites = world
        .messages("201")
        .iter()
        .filter(|message| message.starts_with("< INVITE"))
        .count();
    assert!((2..=20).contains(&invites), "{invites} INVITEs in 20 s");
}
