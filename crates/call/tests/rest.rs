//! Trunks that ask to be left alone for a while (RFC 3261 section 21.5.4).

use testkit::{Behaviour, World};

use crate::scene::{SECOND, dial};
use crate::trunks::{site, trunk};

#[test]
fn a_trunk_that_asks_for_a_pause_rests_and_the_next_one_is_tried_meanwhile() {
    let mut asked = trunk(&[0, 1]);
    asked.options = Some(20 * SECOND);
    let mut world = World::new(site(&[("provider", asked)]));
    let hosts = ["a", "b"].map(|name| world.phone(name));
    let alice = world.registered("205");
    world[hosts[0]].behaviour = Behaviour::Refuse(503);
    world[hosts[0]].asks_for_pause = Some(120);
    world[hosts[1]].behaviour = Behaviour::Refuse(486);
    let invites = |world: &mut World, wait| {
        world.clear_ladder();
        dial(world, alice, "0301234");
        world.run(SECOND);
        assert_eq!(world[alice].last_status, Some(486));
        world.run(wait);
        ["a", "b"].map(|name| {
            let messages = world.messages(name);
            let is_invite = |label: &&String| label.starts_with("< INVITE");
            messages.iter().filter(is_invite).count()
        })
    };
    // One refusal is enough, and that it answers OPTIONS meanwhile does not end the pause.
    assert_eq!(invites(&mut world, 59 * SECOND), [1, 1]);
    assert_eq!(invites(&mut world, 57 * SECOND), [0, 1]);
    world[hosts[0]].behaviour = Behaviour::Refuse(486);
    assert_eq!(invites(&mut world, 3 * SECOND), [0, 1]);
    assert_eq!(invites(&mut world, SECOND), [1, 0]);
}
