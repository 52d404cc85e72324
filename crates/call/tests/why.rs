//! `why`: what a caller waits for, and what holds an agent back, in the words that a user reads.

use testkit::World;

use crate::scene::{
    SECOND, answer, call_centre, comes_to_rest, conversation, dial, hang_up, without_start_sound,
};

pub(crate) fn why(world: &World, name: &str) -> String {
    let told = world.exchange.why(name, world.now());
    told.unwrap_or_else(|| panic!("nothing is named {name}"))
}

#[test]
fn a_caller_is_told_what_holds_each_agent_back_and_for_how_long() {
    let mut site = without_start_sound();
    site.each_agent(|agent| {
        agent.call_timeout = 10 * SECOND;
        agent.no_answer_delay_time = 30 * SECOND;
        agent.wrap_up_time = Some(20 * SECOND);
    });
    let (mut world, customer, agents) = call_centre(site, 2);
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    let first = why(&world, "700");
    assert!(first.contains("waits in support at place 1"), "{first}");
    assert!(
        first.contains("agent 201 (level 1, position 1): its phone rings for this call"),
        "{first}"
    );
    assert!(
        first.contains("agent 202 (level 1, position 2): another agent is rung first"),
        "{first}"
    );
    // Nobody answers: the first agent rests, the second rings.
    world.run(8 * SECOND);
    let second = why(&world, "700");
    assert!(
        second.contains("agent 201 (level 1, position 1): rests for"),
        "{second}"
    );
    assert!(second.contains("did not answer"), "{second}");
    assert!(
        second.contains("agent 202 (level 1, position 2): its phone rings for this call"),
        "{second}"
    );
    answer(&mut world, agents[1]);
    world.run(SECOND);
    assert!(
        why(&world, "700").contains(": talks\n"),
        "{}",
        why(&world, "700")
    );
    assert!(
        why(&world, "202").starts_with("agent 202: available; talks\n  is offered nobody: talks\n")
    );
    hang_up(&mut world, customer);
    world.run(2 * SECOND);
    let after = why(&world, "202");
    assert!(
        after.starts_with("agent 202: available; wraps up\n  is offered nobody: wraps up for 1"),
        "{after}"
    );
    comes_to_rest(&mut world);
}

#[test]
fn an_agent_is_told_its_status_its_phone_and_who_waits() {
    let (mut world, customer, agents) = call_centre(without_start_sound(), 1);
    dial(&mut world, agents[0], "*46");
    world.run(10 * SECOND);
    dial(&mut world, customer, "700");
    world.run(2 * SECOND);
    let told = why(&world, "201");
    assert!(
        told.starts_with("agent 201: logged out; does nothing\n  is offered nobody: logged out\n"),
        "{told}"
    );
    assert!(told.contains("at place 1: logged out"), "{told}");
    assert_eq!(world.exchange.why("nobody", world.now()), None);
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_standing_call_says_how_its_sound_goes() {
    let (mut world, _, _) = conversation();
    world.run(3 * SECOND);
    let told = why(&world, "205");
    for account in ["205", "206"] {
        let sound = format!("  sound of {account} (PCM");
        let line = told.lines().find(|line| line.starts_with(&sound));
        let line = line.expect("a line for each leg");
        assert!(line.contains("): 0.0 % lost, jitter "), "{line}");
        assert!(line.contains(", MOS 4.4"), "{line}");
    }
}
