//! What waiting callers are told of their place and their time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call::settings::Announcement;
use call::spoken::{Language, Voice};
use media::Sound;
use media::tone::sine;
use testkit::{PhoneId, Site, World};

use crate::scene::{
    AUDIBLE, INAUDIBLE, SECOND, answer, comes_to_rest, dial, hang_up, without_start_sound,
};

/// Each part of the voice is a second of a pitch of its own.
const PARTS: [(&str, f64); 6] = [
    ("next", 2_000.0),
    ("position", 2_200.0),
    ("2", 2_400.0),
    ("wait", 2_600.0),
    ("minutes", 2_800.0),
    ("less-than-a-minute", 3_000.0),
];

fn site(every: Duration, position: bool, wait: bool) -> Site {
    let part =
        |(name, hz): (&'static str, f64)| (name, Arc::new(Sound::new(sine(hz, 8_000, SECOND))));
    let parts: BTreeMap<_, _> = PARTS.map(part).into();
    let voice = Arc::new(Voice::new(Language::English, parts));
    let mut site = without_start_sound();
    site.service().announce = Some(Announcement {
        sound: None,
        position: position.then(|| Arc::clone(&voice)),
        wait: wait.then_some(voice),
        every,
        beside: false,
    });
    site
}

/// What the phone heard in the last seconds, in order.
fn told(world: &World, phone: PhoneId, stretch: Duration) -> Vec<&'static str> {
    let heard = PARTS.iter().filter(|(_, hz)| {
        // A second of it in so many.
        let share = 20.0 * stretch.as_secs_f64().log10();
        world.heard(phone, *hz, stretch) > AUDIBLE - share
    });
    heard.map(|(name, _)| *name).collect()
}

#[test]
fn callers_hear_their_place_at_once_and_again_when_it_is_another() {
    let mut world = World::new(site(20 * SECOND, true, false));
    let agent = world.registered("201");
    let [first, second] = ["206", "207"].map(|name| world.registered(name));
    dial(&mut world, first, "700");
    dial(&mut world, second, "700");
    world.run(5 * SECOND);
    assert_eq!(told(&world, first, 4 * SECOND), ["next"]);
    assert_eq!(told(&world, second, 4 * SECOND), ["position", "2"]);
    answer(&mut world, agent);
    world.run(15 * SECOND);
    // Who talks is told nothing more.
    assert_eq!(told(&world, first, 8 * SECOND), Vec::<&str>::new());
    world.run(5 * SECOND);
    assert_eq!(told(&world, second, 8 * SECOND), ["next"]);
    hang_up(&mut world, first);
    hang_up(&mut world, second);
    world.run(SECOND);
    comes_to_rest(&mut world);
}

#[test]
fn the_time_is_told_as_soon_as_it_can_be_known() {
    let mut world = World::new(site(20 * SECOND, false, true));
    let agent = world.registered("201");
    let [first, second] = ["206", "207"].map(|name| world.registered(name));
    dial(&mut world, first, "700");
    world.run(6 * SECOND);
    assert_eq!(told(&world, first, 4 * SECOND), Vec::<&str>::new());
    answer(&mut world, agent);
    world.run(SECOND);
    dial(&mut world, second, "700");
    world.run(5 * SECOND);
    // Served after six seconds: the only one until now.
    assert_eq!(told(&world, second, 4 * SECOND), ["less-than-a-minute"]);
}

#[test]
fn an_announcement_beside_the_music_lets_it_be_heard() {
    let mut site = site(20 * SECOND, true, false);
    let announcement = site.service().announce.as_mut();
    announcement.expect("it was set").beside = true;
    let mut world = World::new(site);
    let customer = world.registered("206");
    dial(&mut world, customer, "700");
    world.run(SECOND);
    assert!(world.heard(customer, testkit::tones::MUSIC, SECOND / 2) > AUDIBLE);
    world.run(Duration::from_millis(1_900));
    let [music, voice] =
        [testkit::tones::MUSIC, 2_000.0].map(|hz| world.heard(customer, hz, SECOND / 2));
    assert!(
        voice > AUDIBLE && music < voice - 9.0 && music > INAUDIBLE,
        "{music} dB, {voice} dB"
    );
}

#[test]
fn an_agent_is_told_how_long_its_caller_has_waited_and_the_caller_which_agent_answers() {
    let parts = [
        ("waited", 2_000.0),
        ("2", 2_200.0),
        ("minutes", 2_400.0),
        ("agent", 2_600.0),
        ("200", 2_800.0),
        ("1", 3_000.0),
    ];
    let part =
        |(name, hz): (&'static str, f64)| (name, Arc::new(Sound::new(sine(hz, 8_000, SECOND))));
    let voice = Arc::new(Voice::new(Language::English, parts.map(part).into()));
    let mut site = without_start_sound();
    site.service().agent_announce_wait = Some(Arc::clone(&voice));
    site.service().announce_agent = Some(voice);
    let mut world = World::new(site);
    let customer = world.registered("206");
    world[customer].speaks = Some(440.0);
    dial(&mut world, customer, "700");
    world.run(Duration::from_secs(130));
    let agent = world.registered("201");
    world[agent].speaks = Some(880.0);
    world.run(SECOND);
    answer(&mut world, agent);
    world.run(Duration::from_millis(3_200));
    let hears = |world: &World, phone, hz| world.heard(phone, hz, 3 * SECOND) > AUDIBLE - 10.0;
    for (name, hz) in parts {
        let is_agents = ["waited", "2", "minutes"].contains(&name);
        assert_eq!(hears(&world, agent, hz), is_agents, "{name}");
        assert_eq!(hears(&world, customer, hz), !is_agents, "{name}");
    }
    world.run(2 * SECOND);
    assert!(world.heard(agent, 440.0, SECOND) > AUDIBLE);
    assert!(world.heard(customer, 880.0, SECOND) > AUDIBLE);
    hang_up(&mut world, customer);
    world.run(SECOND);
    comes_to_rest(&mut world);
}
