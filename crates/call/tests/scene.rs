//! What most tests begin with.

use std::path::PathBuf;
use std::time::Duration;

use testkit::{Behaviour, PhoneId, PhoneState, Site, World};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// A level in dB against full scale at which a tone is clearly there.
pub(crate) const AUDIBLE: f64 = -20.0;
/// ... and at which it is clearly not.
pub(crate) const INAUDIBLE: f64 = -50.0;

/// Which comes first, and by how much: the network takes 1 ms, so these are all the ways two messages can cross.
pub(crate) const APART: [i64; 9] = [-4, -3, -2, -1, 0, 1, 2, 3, 4];

pub(crate) fn golden(name: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ladders")
        .join(name)
}

/// A world with a customer on 209 and agents on the first phones, who ring until the test acts.
pub(crate) fn call_centre(site: Site, agents: usize) -> (World, PhoneId, Vec<PhoneId>) {
    call_centre_in(World::new(site), agents)
}

pub(crate) fn call_centre_in(mut world: World, agents: usize) -> (World, PhoneId, Vec<PhoneId>) {
    let agents = (0..agents)
        .map(|n| world.registered(&(201 + n).to_string()))
        .collect();
    let customer = world.registered("209");
    (world, customer, agents)
}

/// The same a second after the customer has dialled 700.
pub(crate) fn waiting(site: Site, agents: usize) -> (World, PhoneId, Vec<PhoneId>) {
    let (mut world, customer, agents) = call_centre(site, agents);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    (world, customer, agents)
}

/// A world with two phones: 205 speaks 440 Hz, 206 speaks 880 Hz.
pub(crate) fn two_phones() -> (World, PhoneId, PhoneId) {
    two_phones_in(World::new(Site::sample()))
}

fn two_phones_in(mut world: World) -> (World, PhoneId, PhoneId) {
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[alice].speaks = Some(440.0);
    world[bob].speaks = Some(880.0);
    (world, alice, bob)
}

/// A world in which 205 talks with 206.
pub(crate) fn conversation() -> (World, PhoneId, PhoneId) {
    conversation_in(World::new(Site::sample()))
}

pub(crate) fn conversation_in(world: World) -> (World, PhoneId, PhoneId) {
    let (mut world, alice, bob) = two_phones_in(world);
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(3 * SECOND);
    assert_eq!(world[alice].state(), PhoneState::Talking);
    (world, alice, bob)
}

/// A world in which the customer 209 talks with the agent 201 of a queue.
pub(crate) fn served() -> (World, PhoneId, PhoneId) {
    served_in(World::new(without_start_sound()))
}

pub(crate) fn served_in(world: World) -> (World, PhoneId, PhoneId) {
    let (mut world, customer, agents) = call_centre_in(world, 1);
    world[customer].speaks = Some(440.0);
    world[agents[0]].speaks = Some(880.0);
    dial(&mut world, customer, "700");
    world.run(SECOND);
    answer(&mut world, agents[0]);
    world.run(2 * SECOND);
    (world, customer, agents[0])
}

pub(crate) fn without_start_sound() -> Site {
    let mut site = Site::sample();
    site.service().start_sound = None;
    site
}

pub(crate) fn dial(world: &mut World, phone: PhoneId, number: &str) {
    world.act(phone, |phone, now| phone.dial(number, now));
}

pub(crate) fn answer(world: &mut World, phone: PhoneId) {
    world.act(phone, |phone, now| phone.answer(now));
}

pub(crate) fn hang_up(world: &mut World, phone: PhoneId) {
    world.act(phone, |phone, now| phone.hang_up(now));
}

pub(crate) fn rings(world: &World, phone: PhoneId) -> bool {
    world[phone].state() == PhoneState::Ringing
}

pub(crate) fn talks(world: &World, phone: PhoneId) -> bool {
    world[phone].state() == PhoneState::Talking
}

pub(crate) fn idle(world: &World, phone: PhoneId) -> bool {
    world[phone].state() == PhoneState::Idle
}

/// Runs to the later of two moments, doing something at each.
pub(crate) fn cross(
    world: &mut World,
    apart: i64,
    first: impl FnOnce(&mut World),
    second: impl FnOnce(&mut World),
) {
    let gap = Duration::from_millis(apart.unsigned_abs());
    if apart < 0 {
        second(world);
        world.run(gap);
        first(world);
    } else {
        first(world);
        world.run(gap);
        second(world);
    }
}

/// All delays and transactions are over then.
pub(crate) fn comes_to_rest(world: &mut World) {
    world.run(70 * SECOND);
    world.assert_at_rest();
}
