//! Symmetric RTP: who is taken for the peer, and where its packets go.

use std::net::SocketAddr;
use std::time::Duration;

use media::Command;
use media::mixer::Codec;

use crate::phone::{FRAME, Phone, World};

const SECOND: Duration = Duration::from_secs(1);
const STRANGER: ([u8; 4], u16) = ([192, 0, 2, 66], 6666);

/// A customer and an agent, bridged.
fn bridged() -> (World, Phone, Phone) {
    let mut world = World::new();
    let (customer, agent) = (world.phone(1, Codec::Pcmu), world.phone(2, Codec::Pcmu));
    world.command(Command::Bridge {
        a: customer.leg,
        b: agent.leg,
    });
    (world, customer, agent)
}

/// Someone else, who sends to the phone's port.
fn stranger(phone: &Phone) -> Phone {
    let mut stranger = Phone::new(phone.leg.0 as u16, phone.settings.codec);
    (stranger.address, stranger.ssrc, stranger.sequence) =
        (SocketAddr::from(STRANGER), 0x6666, 100);
    stranger
}

/// Packets that the agent heard, and where the packets to the customer went.
fn outcome(world: &mut World, customer: &Phone, agent: &Phone) -> (usize, Vec<SocketAddr>) {
    let mut to: Vec<SocketAddr> = world.heard(customer).iter().map(|sent| sent.to).collect();
    to.dedup();
    (world.heard(agent).len(), to)
}

#[test]
fn a_phone_that_talks_from_the_address_of_its_sdp_is_heard_from_its_first_packet() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], FRAME);
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (1, vec![customer.address])
    );
}

#[test]
fn a_phone_behind_a_nat_is_found_by_the_host_of_its_signalling() {
    let mut world = World::new();
    let mut customer = Phone::new(1, Codec::Pcmu);
    customer.settings.remote = SocketAddr::from(([192, 168, 1, 20], 5004));
    customer.settings.signalling_host = Some(customer.address.ip());
    world.open(&customer);
    let mut agent = world.phone(2, Codec::Pcmu);
    world.command(Command::Bridge {
        a: customer.leg,
        b: agent.leg,
    });
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    // Four packets pass before it is believed.
    let heard = outcome(&mut world, &customer, &agent);
    assert_eq!(
        heard,
        (46, vec![customer.settings.remote, customer.address])
    );
}

#[test]
fn a_phone_on_a_host_that_nobody_named_is_found_later() {
    let (mut world, customer, mut agent) = bridged();
    let mut elsewhere = stranger(&customer);
    world.talk(&mut [(&mut elsewhere, 440.0), (&mut agent, 880.0)], SECOND);
    let heard = outcome(&mut world, &customer, &agent);
    assert_eq!(heard, (25, vec![customer.address, elsewhere.address]));
}

#[test]
fn a_phone_that_named_no_address_gets_packets_as_soon_as_it_is_found() {
    let mut world = World::new();
    let mut customer = Phone::new(1, Codec::Pcmu);
    customer.settings.remote = SocketAddr::from(([0, 0, 0, 0], 5004));
    customer.settings.signalling_host = Some(customer.address.ip());
    world.open(&customer);
    world.run(SECOND);
    assert_eq!(world.heard(&customer).len(), 0);
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    assert!(
        world
            .heard(&customer)
            .iter()
            .all(|sent| sent.to == customer.address)
    );
    assert_eq!(world.mixer.stats(customer.leg).unwrap().received, 46);
}

#[test]
fn a_stranger_who_sprays_before_the_phone_talks_gets_nothing_and_is_not_heard() {
    let (mut world, mut customer, mut agent) = bridged();
    let mut stranger = stranger(&customer);
    for _ in 0..100 {
        let packet = stranger.tone(660.0);
        world.send(&stranger, &packet);
        world.run(Duration::from_millis(4));
    }
    world.talk(
        &mut [
            (&mut stranger, 660.0),
            (&mut customer, 440.0),
            (&mut agent, 880.0),
        ],
        SECOND,
    );
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (50, vec![customer.address])
    );
    assert_eq!(world.mixer.stats(customer.leg).unwrap().rejected, 150);
}

#[test]
fn a_stranger_on_the_phones_own_host_is_not_faster_than_the_phone() {
    let (mut world, mut customer, mut agent) = bridged();
    let mut stranger = stranger(&customer);
    stranger.address = SocketAddr::new(customer.address.ip(), 6666);
    for _ in 0..40 {
        let packet = stranger.tone(660.0);
        world.send(&stranger, &packet);
        world.run(Duration::from_millis(1));
    }
    world.talk(
        &mut [
            (&mut customer, 440.0),
            (&mut stranger, 660.0),
            (&mut agent, 880.0),
        ],
        SECOND,
    );
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (50, vec![customer.address])
    );
}

#[test]
fn a_stranger_who_was_believed_loses_to_the_address_of_the_sdp() {
    let (mut world, mut customer, mut agent) = bridged();
    let mut stranger = stranger(&customer);
    world.talk(&mut [(&mut stranger, 660.0)], SECOND);
    world.sent.clear();
    world.talk(
        &mut [
            (&mut customer, 440.0),
            (&mut stranger, 660.0),
            (&mut agent, 880.0),
        ],
        SECOND,
    );
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (50, vec![customer.address])
    );
}

#[test]
fn a_stranger_in_the_midst_of_a_call_is_not_heard_whatever_he_knows() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    world.sent.clear();
    // He has even the SSRC and the next sequence number, but the phone still talks.
    let mut stranger = stranger(&customer);
    for _ in 0..50 {
        (stranger.ssrc, stranger.sequence) = (customer.ssrc, customer.sequence.wrapping_add(1));
        world.talk(
            &mut [
                (&mut customer, 440.0),
                (&mut stranger, 660.0),
                (&mut agent, 880.0),
            ],
            FRAME,
        );
    }
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (50, vec![customer.address])
    );
}

#[test]
fn a_phone_that_only_pauses_is_not_replaced_by_a_stranger() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.sent.clear();
    let mut stranger = stranger(&customer);
    world.talk(
        &mut [(&mut stranger, 660.0), (&mut agent, 880.0)],
        SECOND * 9,
    );
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (0, vec![customer.address])
    );
}

#[test]
fn a_nat_that_gives_the_phone_another_port_is_followed_at_once() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    world.sent.clear();
    customer.address = SocketAddr::from(([198, 51, 100, 7], 1024));
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    let old = customer.settings.remote;
    let heard = outcome(&mut world, &customer, &agent);
    // Two packets come before the old address has been mute for 60 ms.
    assert_eq!(heard, (48, vec![old, customer.address]));
}

#[test]
fn a_phone_that_lost_its_network_is_found_again_after_ten_seconds() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.run(SECOND * 10);
    world.sent.clear();
    let mut elsewhere = stranger(&customer);
    world.talk(&mut [(&mut elsewhere, 440.0), (&mut agent, 880.0)], SECOND);
    let heard = outcome(&mut world, &customer, &agent);
    assert_eq!(heard, (41, vec![customer.address, elsewhere.address]));
}

#[test]
fn a_phone_on_hold_cannot_be_replaced_however_long_it_is_mute() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    customer.settings.receive = false;
    world.command(Command::Update {
        leg: customer.leg,
        settings: customer.settings,
    });
    world.sent.clear();
    let mut stranger = stranger(&customer);
    world.talk(
        &mut [(&mut stranger, 660.0), (&mut agent, 880.0)],
        SECOND * 60,
    );
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (0, vec![customer.address])
    );
}

#[test]
fn a_new_address_in_the_sdp_is_used_at_once_and_the_old_source_heard_until_then() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.sent.clear();
    let old = customer.clone();
    customer.settings.remote = SocketAddr::from(([203, 0, 113, 5], 7000));
    world.command(Command::Update {
        leg: customer.leg,
        settings: customer.settings,
    });
    customer.settings.remote = old.address;
    world.talk(
        &mut [(&mut customer, 440.0), (&mut agent, 880.0)],
        FRAME * 5,
    );
    let new = SocketAddr::from(([203, 0, 113, 5], 7000));
    assert_eq!(outcome(&mut world, &customer, &agent), (5, vec![new]));
    customer.address = new;
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    assert_eq!(outcome(&mut world, &customer, &agent), (50, vec![new]));
    // The old source is a stranger now.
    customer.address = old.address;
    customer.ssrc += 1;
    world.talk(
        &mut [(&mut customer, 440.0), (&mut agent, 880.0)],
        FRAME * 2,
    );
    assert_eq!(outcome(&mut world, &customer, &agent), (0, vec![new]));
}

#[test]
fn a_phone_that_names_a_new_address_and_stays_keeps_its_packets() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    customer.settings.remote = SocketAddr::from(([192, 168, 1, 20], 7000));
    world.command(Command::Update {
        leg: customer.leg,
        settings: customer.settings,
    });
    world.talk(&mut [(&mut customer, 440.0)], SECOND);
    world.sent.clear();
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (50, vec![customer.address])
    );
}

#[test]
fn a_phone_behind_a_nat_is_found_among_many_strangers() {
    let mut world = World::new();
    let mut customer = Phone::new(1, Codec::Pcmu);
    customer.settings.remote = SocketAddr::from(([192, 168, 1, 20], 5004));
    customer.settings.signalling_host = Some(customer.address.ip());
    world.open(&customer);
    for n in 0..50u16 {
        for host in 0..20 {
            let mut stranger = stranger(&customer);
            stranger.address = SocketAddr::from(([192, 0, 2, host], 1000 + n));
            let packet = stranger.tone(660.0);
            world.send(&stranger, &packet);
        }
        world.talk(&mut [(&mut customer, 440.0)], FRAME);
    }
    assert!(world.mixer.stats(customer.leg).unwrap().received >= 45);
}

#[test]
fn a_payload_that_nobody_agreed_on_makes_nobody_the_peer() {
    let (mut world, customer, mut agent) = bridged();
    let mut stranger = stranger(&customer);
    for _ in 0..100 {
        let packet = stranger.packet(96, vec![0; 160]);
        world.send(&stranger, &packet);
        world.run(FRAME);
    }
    world.talk(&mut [(&mut agent, 880.0)], FRAME);
    assert_eq!(
        outcome(&mut world, &customer, &agent),
        (0, vec![customer.address])
    );
}

#[test]
fn sound_for_a_host_that_neither_signals_nor_talks_ends_after_five_seconds() {
    let mut world = World::new();
    let mut customer = Phone::new(1, Codec::Pcmu);
    let victim = SocketAddr::from(([203, 0, 113, 9], 5004));
    customer.settings.remote = victim;
    // On hold, where silence is allowed for an hour.
    customer.settings.receive = false;
    world.open(&customer);
    world.run(60 * SECOND);
    let sent = world.heard(&customer);
    assert!(sent.iter().all(|sent| sent.to == victim));
    assert_eq!(sent.len(), 250);
}

#[test]
fn sound_goes_on_to_a_media_server_that_was_heard_once() {
    let mut world = World::new();
    let mut customer = Phone::new(1, Codec::Pcmu);
    customer.settings.signalling_host = Some([203, 0, 113, 9].into());
    world.open(&customer);
    world.talk(&mut [(&mut customer, 440.0)], FRAME);
    world.run(60 * SECOND);
    assert!(world.heard(&customer).len() >= 60 * 50);
}

#[test]
fn a_session_that_moves_to_a_host_that_says_nothing_is_followed_for_five_seconds() {
    let (mut world, mut customer, mut agent) = bridged();
    world.talk(&mut [(&mut customer, 440.0), (&mut agent, 880.0)], SECOND);
    world.heard(&customer);
    let mut settings = customer.settings;
    settings.remote = SocketAddr::from(([203, 0, 113, 9], 5004));
    world.command(Command::Update {
        leg: customer.leg,
        settings,
    });
    world.talk(&mut [(&mut agent, 880.0)], 20 * SECOND);
    assert_eq!(world.heard(&customer).len(), 250);
}
