//! Calls that another phone takes over (RFC 3891, RFC 5359 section 2.16): INVITE with Replaces.

use call::record::TransferKind;
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, Site, World};

use crate::records::assert_plausible;
use crate::scene::{
    SECOND, comes_to_rest, conversation, dial, golden, hang_up, idle, rings, served, talks,
};
use crate::transfer::hear_each_other;

/// 208 takes the place of a phone; its status.
fn take_over(world: &mut World, dialog: &str) -> (PhoneId, Option<u16>) {
    let picker = world.registered("208");
    world[picker].speaks = Some(1_200.0);
    world[picker].replaces = Some(dialog.to_owned());
    dial(world, picker, "207");
    world.run(SECOND);
    let status = world[picker].last_status;
    (picker, status)
}

#[test]
fn a_phone_that_rings_is_picked_up_by_another() {
    let mut world = World::new(Site::sample());
    let (alice, bob) = (world.registered("205"), world.registered("206"));
    world[alice].speaks = Some(440.0);
    dial(&mut world, alice, "206");
    world.run(SECOND);
    assert!(rings(&world, bob));
    let dialog = world[bob].dialog().expect("it rings");
    let (picker, status) = take_over(&mut world, &dialog);
    assert_eq!(status, Some(200));
    assert!(idle(&world, bob));
    hear_each_other(&mut world, (alice, 440.0), (picker, 1_200.0));
    hang_up(&mut world, picker);
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
