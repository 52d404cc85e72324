//! Calls that another phone takes over (RFC 3891, RFC 5359 section 2.16): INVITE with Replaces.

use call::record::TransferKind;
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, Site, World};

use crate::records::assert_plausible;
use crate::scene::{
    SECOND, answer, comes_to_rest, conversation, dial, golden, hang_up, idle, rings, served, talks,
    without_start_sound,
};
use crate::transfer::hear_each_other;

/// 208, which takes the place of others.
fn picker(world: &mut World) -> PhoneId {
    let picker = world.registered("208");
    world[picker].speaks = Some(1_200.0);
    picker
}

/// It takes the place of a phone; its status.
fn pick_up(world: &mut World, picker: PhoneId, dialog: &str) -> Option<u16> {
    world[picker].replaces = Some(dialog.to_owned());
    dial(world, picker, "207");
    world.run(SECOND);
    world[picker].last_status
}

/// 208 takes the place of a phone; its status.
fn take_over(world: &mut World, dialog: &str) -> (PhoneId, Option<u16>) {
    let picker = picker(world);
    (picker, pick_up(world, picker, dialog))
}

/// Replaces as a phone makes it of what it was told last of the dialogs that it watches; none if that tells no Call-ID.
fn told_dialog(world: &World, watcher: PhoneId) -> Option<String> {
    let (_, document) = world[watcher].notified.last()?;
    let value = |name: &str| {
        let (_, rest) = document.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()
    };
    let (call_id, ours, theirs) = (value("call-id")?, value("local-tag")?, value("remote-tag")?);
    Some(format!(
        "{call_id};to-tag={theirs};from-tag={ours};early-only"
    ))
}

#[test]
fn a_phone_that_rings_is_picked_up_by_another() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    let picker = picker(&mut world);
    world[alice].speaks = Some(440.0);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert!(rings(&world, bob));
    world.act(picker, |phone, now| phone.watch("dialog", "206", now));
    world.run(SECOND);
    let dialog = told_dialog(&world, picker).expect("it rings");
    assert_eq!(pick_up(&mut world, picker, &dialog), Some(200));
    assert!(idle(&world, bob));
    hear_each_other(&mut world, (alice, 440.0), (picker, 1_200.0));
    world.act(picker, |phone, now| phone.unwatch(now));
    world.run(SECOND);
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_golden(golden("rfc5359-2.16-call-pickup.txt"), &world.ladder());
    comes_to_rest(&mut world);
    let record = &world.records[0];
    assert_plausible(record);
    let pickup = &record.transfers[0];
    assert_eq!(pickup.kind, TransferKind::Pickup);
    assert_eq!(
        (&*pickup.by, &*pickup.to, pickup.status),
        ("208", "206", 200)
    );
    assert_eq!(world.records.len(), 1);
}

#[test]
fn either_side_of_a_conversation_is_taken_over() {
    for caller in [true, false] {
        let (mut world, alice, bob) = conversation();
        let (old, other) = if caller {
            (alice, (bob, 880.0))
        } else {
            (bob, (alice, 440.0))
        };
        let dialog = world[old].dialog().expect("it talks");
        let (picker, status) = take_over(&mut world, &dialog);
        assert_eq!(status, Some(200));
        assert!(idle(&world, old));
        hear_each_other(&mut world, other, (picker, 1_200.0));
        hang_up(&mut world, other.0);
        comes_to_rest(&mut world);
        assert!(idle(&world, picker));
    }
}

#[test]
fn what_cannot_be_taken_over_stays_as_it_was() {
    let (mut world, alice, bob) = conversation();
    let dialog = world[bob].dialog().expect("it talks");
    let early_only = format!("{dialog};early-only");
    for (dialog, refusal) in [
        (early_only.as_str(), 486),
        ("nobody;to-tag=1;from-tag=2", 481),
        ("nobody", 400),
    ] {
        let (_, status) = take_over(&mut world, dialog);
        assert_eq!(status, Some(refusal), "{dialog}");
    }
    hear_each_other(&mut world, (alice, 440.0), (bob, 880.0));
    hang_up(&mut world, bob);
    comes_to_rest(&mut world);
}

#[test]
fn a_lamp_tells_the_dialog_of_a_phone_that_rings_and_of_no_other() {
    let mut world = World::new(without_start_sound());
    let [alice, bob, agent, customer] = ["205", "206", "201", "209"].map(|it| world.registered(it));
    let watchers = ["205", "206", "201"].map(|whom| {
        let watcher = world.registered("210");
        world.act(watcher, |phone, now| phone.watch("dialog", whom, now));
        watcher
    });
    let told = |world: &World| watchers.map(|watcher| told_dialog(world, watcher).is_some());
    dial(&mut world, alice, "206");
    dial(&mut world, customer, "700");
    world.run(3 * SECOND);
    assert!(rings(&world, bob) && rings(&world, agent));
    assert_eq!(told(&world), [false, true, false]);
    answer(&mut world, bob);
    answer(&mut world, agent);
    world.run(3 * SECOND);
    assert!(talks(&world, bob) && talks(&world, agent));
    assert_eq!(told(&world), [false, false, false]);
    hang_up(&mut world, alice);
    hang_up(&mut world, customer);
}

#[test]
fn the_call_of_an_agent_is_taken_over_by_no_other_phone() {
    let (mut world, customer, agent) = served();
    let dialog = world[agent].dialog().expect("it talks");
    let (_, status) = take_over(&mut world, &dialog);
    assert_eq!(status, Some(603));
    assert!(talks(&world, customer) && talks(&world, agent));
    hang_up(&mut world, customer);
    comes_to_rest(&mut world);
}

#[test]
fn a_caller_who_rings_back_is_no_dialog_of_ours_to_give() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[bob].behaviour = Behaviour::Ring;
    dial(&mut world, alice, "206");
    world.run(SECOND);
    let dialog = world[alice].dialog().expect("it hears ringing");
    let (_, status) = take_over(&mut world, &dialog);
    assert_eq!(status, Some(481));
    assert!(rings(&world, bob));
    hang_up(&mut world, alice);
    comes_to_rest(&mut world);
}
