//! Messages that cross on both legs of a call at once: every order must come to the same end, and leave nothing.
//! What RFC 5407 says of one leg is in `rfc5407`.

use std::time::Duration;

use call::record::Outcome;
use queue::{AgentId, State, Strategy};
use testkit::{Behaviour, Offer, PhoneId, Site, World};

use crate::scene::{
    APART, SECOND, answer, call_centre, comes_to_rest, conversation, cross, dial, hang_up, idle,
    rings, talks, waiting, without_start_sound,
};

#[test]
fn a_customer_who_hangs_up_as_the_agent_answers() {
    for apart in APART {
        let (mut world, customer, agents) = waiting(without_start_sound(), 1);
        let agent = agents[0];
        cross(
            &mut world,
            apart,
            |w| hang_up(w, customer),
            |w| {
                if rings(w, agent) {
                    answer(w, agent);
                }
            },
        );
        world.run(SECOND);
        assert!(idle(&world, customer) && idle(&world, agent), "{apart}");
        assert_eq!(
            world.exchange.queues().state(&AgentId("201".into())),
            Some(State::Idle)
        );
        comes_to_rest(&mut world);
        assert_eq!(world.records.len(), 1);
    }
}

#[test]
fn a_caller_may_hang_up_at_any_moment() {
    for number in ["206", "700", "600", "*45"] {
        for after in 0..12 {
            let (mut world, customer, agents) = call_centre(without_start_sound(), 2);
            let phone = world.registered("206");
            for called in [agents[0], agents[1], phone] {
                world[called].behaviour = Behaviour::AnswerAfter(Duration::from_millis(2));
            }
            dial(&mut world, customer, number);
            world.run(Duration::from_millis(after));
            hang_up(&mut world, customer);
            comes_to_rest(&mut world);
            assert!(idle(&world, customer) && idle(&world, agents[0]) && idle(&world, phone));
            // The first INVITE is challenged: only the second begins a call.
            let invite = format!("> INVITE {number}");
            let invites = world
                .messages("209")
                .iter()
                .filter(|m| **m == invite)
                .count();
            assert_eq!(
                world.records.len(),
                invites - 1,
                "{number} after {after} ms"
            );
        }
    }
}

#[test]
fn an_agent_answers_as_the_ring_ends() {
    for early in -4..5 {
        let mut site = without_start_sound();
        site.each_agent(|agent| agent.call_timeout = 5 * SECOND);
        let (mut world, customer, agents) = call_centre(site, 2);
        let after = 5_000 - early;
        world[agents[0]].behaviour = Behaviour::AnswerAfter(Duration::from_millis(after as u64));
        dial(&mut world, customer, "700");
        world.run(6 * SECOND);
        let served = talks(&world, agents[0]);
        assert_ne!(served, rings(&world, agents[1]), "{early}: one of the two");
        assert!(served || idle(&world, agents[0]));
        assert!(talks(&world, customer));
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
    }
}

#[test]
fn an_agent_answers_as_the_longest_wait_ends_or_the_exit_key_is_pressed() {
    for apart in APART {
        let mut site = without_start_sound();
        site.service().exit_key = Some(('0', Some("601".to_owned())));
        let (mut world, customer, agents) = waiting(site, 1);
        let agent = agents[0];
        cross(
            &mut world,
            apart,
            |w| w.press(customer, '0'),
            |w| {
                if rings(w, agent) {
                    answer(w, agent);
                }
            },
        );
        world.run(SECOND);
        assert!(talks(&world, customer), "to the agent or to the music");
        let outcome = if talks(&world, agent) {
            Outcome::Answered
        } else {
            assert!(idle(&world, agent), "{apart}");
            Outcome::ExitKey
        };
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
        assert_eq!(world.records[0].queues[0].outcome, outcome, "{apart}");
    }
}

#[test]
fn an_agent_answers_as_a_reload_removes_it() {
    for apart in APART {
        let site = without_start_sound();
        let mut without = site.clone();
        without.settings.plan.agents.clear();
        without.settings.plan.queues[0].members.clear();
        without.settings.agents.clear();
        let (mut world, customer, agents) = waiting(site, 1);
        let agent = agents[0];
        cross(
            &mut world,
            apart,
            |w| w.control(|exchange, now| exchange.configure(without.settings, now)),
            |w| {
                if rings(w, agent) {
                    answer(w, agent);
                }
            },
        );
        world.run(SECOND);
        assert!(talks(&world, customer));
        assert!(talks(&world, agent) || idle(&world, agent), "{apart}");
        hang_up(&mut world, customer);
        comes_to_rest(&mut world);
        assert!(idle(&world, agent));
    }
}

#[test]
fn of_many_agents_who_answer_while_the_others_are_still_being_rung_all_but_one_are_free_at_once() {
    let mut site = Site::with_agents(20, 12);
    site.service().start_sound = None;
    site.queue().strategy = Strategy::RingAll;
    let mut world = World::new(site);
    let agents: Vec<PhoneId> = (0..12)
        .map(|n| {
            let agent = world.registered(&(201 + n).to_string());
            world[agent].behaviour = Behaviour::AnswerAfter(Duration::from_millis(n % 3));
            agent
        })
        .collect();
    let customer = world.registered("219");
    dial(&mut world, customer, "700");
    world.run(SECOND);
    let queues = world.exchange.queues();
    let talking = queues
        .agents()
        .filter(|(_, _, state)| matches!(state, State::Talking(_)));
    assert_eq!(talking.count(), 1);
    let free = queues
        .agents()
        .filter(|(_, _, state)| *state == State::Idle);
    assert_eq!(free.count(), 11);
    let on_the_phone = agents.iter().filter(|agent| talks(&world, **agent));
    assert_eq!(on_the_phone.count(), 1);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
    let legs = &world.records[0].legs;
    assert_eq!(legs.len(), 13);
}

#[test]
fn both_hold_at_once() {
    for apart in APART {
        let (mut world, alice, bob) = conversation();
        let hold = |on: bool| move |phone: &mut testkit::Phone, now| phone.hold(on, now);
        for on in [true, false] {
            cross(
                &mut world,
                apart,
                |w| w.act(alice, hold(on)),
                |w| w.act(bob, hold(on)),
            );
            world.run(SECOND);
        }
        world.run(SECOND);
        assert!(world.heard(alice, 880.0, SECOND) > crate::scene::AUDIBLE);
        hang_up(&mut world, alice);
        comes_to_rest(&mut world);
    }
}

/// What a user may do in a call.
#[derive(Clone, Copy, Debug)]
enum Act {
    HangUp,
    HoldByInvite,
    HoldByUpdate,
    AskForAnOffer,
}

const ACTS: [Act; 4] = [
    Act::HangUp,
    Act::HoldByInvite,
    Act::HoldByUpdate,
    Act::AskForAnOffer,
];

fn perform(world: &mut World, phone: PhoneId, act: Act) {
    world.act(phone, |phone, now| match act {
        Act::HangUp => phone.hang_up(now),
        Act::HoldByInvite => phone.hold(true, now),
        Act::HoldByUpdate => phone.update(Offer::Direction("inactive"), now),
        Act::AskForAnOffer => phone.reinvite(Offer::Late("sendrecv"), now),
    });
}

#[test]
fn whatever_two_phones_do_at_once_both_stand_or_both_are_free() {
    for (first, second) in ACTS.iter().flat_map(|a| ACTS.iter().map(move |b| (*a, *b))) {
        for apart in APART {
            let (mut world, alice, bob) = conversation();
            cross(
                &mut world,
                apart,
                |w| perform(w, alice, first),
                |w| perform(w, bob, second),
            );
            world.run(5 * SECOND);
            let told = format!("{first:?} {second:?} {apart}");
            assert_eq!(talks(&world, alice), talks(&world, bob), "{told}");
            assert_eq!(idle(&world, alice), idle(&world, bob), "{told}");
            hang_up(&mut world, alice);
            comes_to_rest(&mut world);
            assert_eq!(world.records.len(), 1, "{told}");
        }
    }
}

#[test]
fn whatever_a_phone_does_as_the_switch_refreshes_its_session_the_call_goes_on_or_ends_for_both() {
    for (act, allows_update) in ACTS.iter().flat_map(|act| [(*act, true), (*act, false)]) {
        for apart in APART {
            let mut world = World::silent(Site::sample());
            let (alice, bob) = (world.registered("205"), world.registered("206"));
            world[bob].session_expires = Some("90;refresher=uac");
            world[bob].allows_update = allows_update;
            world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
            dial(&mut world, alice, "206");
            world.until("they talk", 3 * SECOND, |w| talks(w, bob));
            // The 200 takes 1 ms to the switch, which refreshes after 45 s.
            world.run(Duration::from_millis((45_001 + apart) as u64));
            perform(&mut world, bob, act);
            world.run(10 * SECOND);
            let told = format!("{act:?} {allows_update} {apart}");
            assert_eq!(talks(&world, alice), talks(&world, bob), "{told}");
            hang_up(&mut world, alice);
            comes_to_rest(&mut world);
            assert_eq!(world.records.len(), 1, "{told}");
        }
    }
}
