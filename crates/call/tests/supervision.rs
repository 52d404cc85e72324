//! Supervisors: who listens to a phone, whispers to it and barges in, and who may.

use sip::endpoint::Account;
use testkit::{PhoneId, Site, World};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, comes_to_rest, dial, hang_up, idle, served_in, talks,
    without_start_sound,
};
use crate::transfer::hold;

const CUSTOMER: f64 = 440.0;
const AGENT: f64 = 880.0;
const SUPERVISOR: f64 = 1_200.0;

fn supervised_site() -> Site {
    let mut site = without_start_sound();
    site.settings.supervisors = ["205", "206"].map(|name| Account(name.into())).into();
    site
}

/// A customer and the agent 201, and the supervisor 206, who has not called yet.
fn with_supervisor(world: World) -> (World, [PhoneId; 3]) {
    let (mut world, customer, agent) = served_in(world);
    let supervisor = world.registered("206");
    world[supervisor].speaks = Some(SUPERVISOR);
    (world, [customer, agent, supervisor])
}

/// Who of customer, agent and supervisor the phone hears.
fn hears(world: &World, phone: PhoneId) -> String {
    let voices = [
        ("customer", CUSTOMER),
        ("agent", AGENT),
        ("supervisor", SUPERVISOR),
    ];
    let heard = voices.iter().filter(|(name, hz)| {
        let level = world.heard(phone, *hz, SECOND);
        let is_clear = !(INAUDIBLE..=AUDIBLE).contains(&level);
        assert!(is_clear, "{name} at {level} dB is neither heard nor not");
        level > AUDIBLE
    });
    heard.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

fn all_hear(world: &mut World, phones: [PhoneId; 3]) -> [String; 3] {
    world.run(2 * SECOND);
    phones.map(|phone| hears(world, phone))
}

const LISTENS: [&str; 3] = ["agent", "customer", "customer agent"];
const WHISPERS: [&str; 3] = ["agent", "customer supervisor", "customer agent"];
const SPEAKS_ASIDE: [&str; 3] = ["agent supervisor", "customer", "customer agent"];
const BARGES: [&str; 3] = ["agent supervisor", "customer supervisor", "customer agent"];

#[test]
fn a_supervisor_listens_and_keys_let_it_be_heard() {
    // On one RTP worker and on two, where it has to pass to that of the conversation.
    for workers in [1, 2] {
        let world = World::with_workers(supervised_site(), 4, workers);
        let (mut world, phones) = with_supervisor(world);
        let [customer, _, supervisor] = phones;
        dial(&mut world, supervisor, "*50201");
        assert_eq!(all_hear(&mut world, phones), LISTENS);
        for (key, expected) in [
            ('2', WHISPERS),
            ('1', SPEAKS_ASIDE),
            ('3', BARGES),
            ('7', BARGES),
            ('0', LISTENS),
        ] {
            world.press(supervisor, key);
            assert_eq!(all_hear(&mut world, phones), expected, "after {key}");
        }
        hang_up(&mut world, supervisor);
        assert_eq!(all_hear(&mut world, phones)[..2], LISTENS[..2]);
        hang_up(&mut world, customer);
        world.run(SECOND);
        comes_to_rest(&mut world);
        let told = world.records.iter().find(|record| record.dialled == "700");
        assert_eq!(told.expect("its record").supervisors, ["206"]);
    }
}

#[test]
fn each_code_begins_as_it_says() {
    for (code, expected) in [
        ("*50201", LISTENS),
        ("*51201", WHISPERS),
        ("*52201", BARGES),
    ] {
        let (mut world, phones) = with_supervisor(World::new(supervised_site()));
        dial(&mut world, phones[2], code);
        assert_eq!(all_hear(&mut world, phones), expected, "{code}");
    }
}

#[test]
fn two_supervisors_of_one_phone_do_not_hear_each_other() {
    let (mut world, phones) = with_supervisor(World::new(supervised_site()));
    let [customer, agent, supervisor] = phones;
    let other = world.phone("206");
    world[other].speaks = Some(1_600.0);
    dial(&mut world, supervisor, "*51201");
    dial(&mut world, other, "*51201");
    world.run(2 * SECOND);
    assert!(world.heard(agent, SUPERVISOR, SECOND) > AUDIBLE);
    assert!(world.heard(agent, 1_600.0, SECOND) > AUDIBLE);
    assert!(world.heard(supervisor, 1_600.0, SECOND) < INAUDIBLE);
    assert!(world.heard(customer, 1_600.0, SECOND) < INAUDIBLE);
    hang_up(&mut world, other);
    assert_eq!(all_hear(&mut world, phones), WHISPERS);
}

/// It is with the phone, not with one call of it.
#[test]
fn a_supervisor_stays_from_one_conversation_of_the_phone_to_the_next() {
    let mut world = World::new(supervised_site());
    let [agent, supervisor] = ["201", "206"].map(|name| world.registered(name));
    world[supervisor].speaks = Some(SUPERVISOR);
    dial(&mut world, supervisor, "*52201");
    world.run(2 * SECOND);
    assert!(talks(&world, supervisor));
    assert_eq!(hears(&world, supervisor), "");
    let customer = world.registered("207");
    world[customer].speaks = Some(CUSTOMER);
    world[agent].speaks = Some(AGENT);
    for _ in 0..2 {
        dial(&mut world, customer, "700");
        world.run(SECOND);
        answer(&mut world, agent);
        let phones = [customer, agent, supervisor];
        assert_eq!(all_hear(&mut world, phones), BARGES);
        hang_up(&mut world, customer);
        world.run(2 * SECOND);
        assert!(idle(&world, agent) && talks(&world, supervisor));
        assert_eq!(hears(&world, supervisor), "");
    }
}

#[test]
fn a_supervisor_follows_a_phone_through_hold_and_transfer() {
    let (mut world, phones) = with_supervisor(World::with_workers(supervised_site(), 8, 2));
    let [customer, agent, supervisor] = phones;
    dial(&mut world, supervisor, "*50209");
    assert_eq!(all_hear(&mut world, phones), LISTENS);
    hold(&mut world, agent, true);
    hold(&mut world, agent, false);
    assert_eq!(all_hear(&mut world, phones), LISTENS);
    let third = world.registered("207");
    world[third].speaks = Some(1_600.0);
    world.act(agent, |phone, now| phone.refer("207", None, &[], now));
    world.run(SECOND);
    answer(&mut world, third);
    world.run(2 * SECOND);
    assert_eq!(hears(&world, supervisor), "customer");
    assert!(world.heard(supervisor, 1_600.0, SECOND) > AUDIBLE);
    assert!(world.heard(customer, 1_600.0, SECOND) > AUDIBLE);
}

#[test]
fn who_is_no_supervisor_is_refused_and_so_is_a_code_without_a_phone() {
    let (mut world, [customer, _, supervisor]) = with_supervisor(World::new(supervised_site()));
    let other = world.registered("207");
    for (phone, number, status) in [
        (other, "*50201", 403),
        (supervisor, "*50206", 403),
        (supervisor, "*50", 484),
        (supervisor, "*50999", 404),
    ] {
        dial(&mut world, phone, number);
        world.run(SECOND);
        assert_eq!(world[phone].last_status, Some(status), "{number}");
    }
    // Nor does somebody else bring it there.
    world.act(customer, |phone, now| phone.refer("*50201", None, &[], now));
    world.run(SECOND);
    assert!(talks(&world, customer));
}

/// What the supervisor says to the agent is no part of what is kept of the customer's call.
#[test]
fn recordings_hold_nothing_of_a_supervisor() {
    let mut site = supervised_site();
    site.service().record_enabled = true;
    let (mut world, phones) = with_supervisor(World::new(site));
    dial(&mut world, phones[2], "*52201");
    assert_eq!(all_hear(&mut world, phones), BARGES);
    hang_up(&mut world, phones[0]);
    world.run(SECOND);
    let recorded = world.recordings.values().next().expect("a recording");
    for side in [0, 1] {
        let samples: Vec<i16> = recorded.iter().map(|both| both[side]).collect();
        assert!(media::tone::level(&samples, SUPERVISOR) < INAUDIBLE);
    }
}
