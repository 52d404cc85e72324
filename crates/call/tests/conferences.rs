//! Conferences: everybody in one hears all others, whoever comes and goes.

use call::Cause;
use call::settings::{ConferenceId, Destination};
use testkit::{PhoneId, Site, World};

use crate::scene::{AUDIBLE, INAUDIBLE, SECOND, answer, comes_to_rest, dial, hang_up, idle, talks};
use crate::transfer::{hold, refer};

/// Whose voice is at which pitch.
const VOICES: [f64; 4] = [440.0, 880.0, 1_200.0, 1_600.0];
/// The music of the sample.
const MUSIC: f64 = testkit::tones::MUSIC;

fn site() -> Site {
    let mut site = Site::sample();
    for (number, conference) in [("900", "round"), ("901", "round"), ("902", "other")] {
        let destination = Destination::Conference(ConferenceId(conference.into()));
        site.settings.numbers.insert(number.to_owned(), destination);
    }
    site
}

fn phones<const N: usize>(world: &mut World) -> [PhoneId; N] {
    std::array::from_fn(|n| {
        let phone = world.registered(&(205 + n).to_string());
        world[phone].speaks = Some(VOICES[n]);
        phone
    })
}

/// Which of the voices the phone hears.
fn hears(world: &World, phone: PhoneId) -> Vec<usize> {
    let heard = VOICES.iter().enumerate().filter(|(voice, hz)| {
        let level = world.heard(phone, **hz, SECOND);
        let is_clear = !(INAUDIBLE..=AUDIBLE).contains(&level);
        assert!(
            is_clear,
            "voice {voice} at {level} dB is neither heard nor not"
        );
        level > AUDIBLE
    });
    heard.map(|(voice, _)| voice).collect()
}

#[test]
fn everybody_hears_all_others_and_nobody_itself() {
    // All on one RTP worker, or some who have to pass to that of the first.
    for workers in [1, 3] {
        let mut world = World::with_workers(site(), 5, workers);
        let [a, b, c, d] = phones(&mut world);
        dial(&mut world, a, "900");
        world.run(3 * SECOND);
        // Alone one hears music.
        assert!(hears(&world, a).is_empty() && world.heard(a, MUSIC, SECOND) > AUDIBLE);
        dial(&mut world, b, "901");
        world.run(3 * SECOND);
        assert_eq!([a, b].map(|it| hears(&world, it)), [[1], [0]]);
        assert!(world.heard(a, MUSIC, SECOND) < INAUDIBLE);
        // Another conference is another one.
        dial(&mut world, d, "902");
        dial(&mut world, c, "900");
        world.run(3 * SECOND);
        let expected = [vec![1, 2], vec![0, 2], vec![0, 1], vec![]];
        assert_eq!([a, b, c, d].map(|it| hears(&world, it)), expected);
        // The first goes: the others stay together.
        hang_up(&mut world, a);
        world.run(3 * SECOND);
        assert!(idle(&world, a));
        assert_eq!([b, c].map(|it| hears(&world, it)), [[2], [1]]);
        hang_up(&mut world, d);
        dial(&mut world, d, "900");
        world.run(3 * SECOND);
        assert_eq!(
            [b, c, d].map(|it| hears(&world, it)),
            [[2, 3], [1, 3], [1, 2]]
        );
        hang_up(&mut world, b);
        hang_up(&mut world, d);
        world.run(3 * SECOND);
        assert!(hears(&world, c).is_empty() && world.heard(c, MUSIC, SECOND) > AUDIBLE);
        hang_up(&mut world, c);
        world.run(SECOND);
        comes_to_rest(&mut world);
        assert!(world.records.iter().all(|record| record.answer.is_some()));
    }
}

#[test]
fn a_tone_tells_who_comes_and_who_goes_beside_those_who_talk() {
    let mut world = World::new(site());
    let [a, b, c] = phones(&mut world);
    dial(&mut world, a, "900");
    dial(&mut world, b, "900");
    world.run(3 * SECOND);
    dial(&mut world, c, "900");
    world.run(SECOND);
    assert!(world.heard(a, testkit::tones::JOINED, SECOND) > -40.0);
    assert!(world.heard(a, VOICES[1], SECOND) > AUDIBLE);
    world.run(2 * SECOND);
    hang_up(&mut world, c);
    world.run(SECOND);
    assert!(world.heard(a, testkit::tones::LEFT, SECOND) > -40.0);
    assert!(world.heard(a, VOICES[1], SECOND) > AUDIBLE);
}

#[test]
fn who_holds_a_conference_is_no_longer_heard_and_hears_nothing_until_it_resumes() {
    let mut world = World::new(site());
    let [a, b, c] = phones(&mut world);
    for phone in [a, b, c] {
        dial(&mut world, phone, "900");
        world.run(SECOND);
    }
    hold(&mut world, c, true);
    world.run(3 * SECOND);
    assert_eq!([a, b].map(|it| hears(&world, it)), [[1], [0]]);
    hold(&mut world, c, false);
    world.run(3 * SECOND);
    assert_eq!(
        [a, b, c].map(|it| hears(&world, it)),
        [[1, 2], [0, 2], [0, 1]]
    );
}

/// Its stream opens when its ACK comes: until then there is nobody to hear.
#[test]
fn who_comes_with_a_late_offer_is_heard_as_soon_as_it_has_answered_ours() {
    for workers in [1, 2] {
        let mut world = World::with_workers(site(), 4, workers);
        let [a, b] = phones(&mut world);
        dial(&mut world, a, "900");
        world.run(SECOND);
        world[b].late_offer = true;
        dial(&mut world, b, "900");
        world.run(3 * SECOND);
        assert_eq!([a, b].map(|it| hears(&world, it)), [[1], [0]]);
    }
}

#[test]
fn a_customer_is_transferred_into_a_conference() {
    let mut world = World::new(site());
    let [a, b, c] = phones(&mut world);
    dial(&mut world, c, "900");
    dial(&mut world, a, "206");
    world.run(SECOND);
    answer(&mut world, b);
    world.run(SECOND);
    refer(&mut world, b, "900");
    world.run(4 * SECOND);
    assert_eq!([a, c].map(|it| hears(&world, it)), [[2], [0]]);
}

#[test]
fn a_full_conference_is_busy() {
    let mut world = World::new(site());
    let members: Vec<PhoneId> = (0..64)
        .map(|_| {
            let phone = world.phone("205");
            dial(&mut world, phone, "900");
            phone
        })
        .collect();
    world.run(2 * SECOND);
    assert!(members.iter().all(|phone| talks(&world, *phone)));
    let late = world.registered("206");
    dial(&mut world, late, "900");
    world.run(2 * SECOND);
    assert!(idle(&world, late));
    let refused = world.records.last().expect("its record");
    assert_eq!(refused.cause, Cause::ConferenceFull);
    hang_up(&mut world, members[7]);
    world.run(SECOND);
    dial(&mut world, late, "900");
    world.run(2 * SECOND);
    assert!(talks(&world, late));
}
