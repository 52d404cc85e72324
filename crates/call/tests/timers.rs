//! Session timers (RFC 4028) in whole calls.

use std::time::Duration;

use call::{Cause, Party};
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, World};

use crate::scene::{
    AUDIBLE, SECOND, comes_to_rest, dial, golden, hang_up, idle, talks, two_phones,
};

/// 205 talks with 206; each knows session timers if it has an interval.
fn timed(caller: Option<&'static str>, callee: Option<&'static str>) -> (World, PhoneId, PhoneId) {
    let (mut world, alice, bob) = two_phones();
    world[alice].session_expires = caller;
    world[bob].session_expires = callee;
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.run(3 * SECOND);
    (world, alice, bob)
}

#[test]
fn a_call_whose_caller_was_to_refresh_and_does_not_ends_with_its_cause() {
    let (mut world, alice, bob) = timed(Some("90;refresher=uac"), None);
    assert!(talks(&world, alice));
    let took = world.until("the call ends", 100 * SECOND, |w| idle(w, bob));
    // A third of the interval early (section 10); it began 2 s ago.
    let whole = took + 2 * SECOND;
    assert!(whole.abs_diff(60 * SECOND) < SECOND, "{whole:?}");
    world.run(SECOND);
    assert!(idle(&world, alice));
    let record = &world.records[0];
    assert_eq!(
        (record.cause, record.ended_by),
        (Cause::SessionExpired, Party::Caller)
    );
    assert_golden(golden("rfc4028-nobody-refreshes.txt"), &world.ladder());
    comes_to_rest(&mut world);
}

#[test]
fn an_interval_that_is_too_short_is_refused() {
    let (mut world, alice, _) = timed(Some("5"), None);
    assert_eq!(world[alice].last_status, Some(422));
    comes_to_rest(&mut world);
    assert_eq!(world.records.len(), 0);
}

#[test]
fn the_switch_refreshes_both_sessions_and_the_call_goes_on() {
    for allows_update in [true, false] {
        let (mut world, alice, bob) = timed(Some("90;refresher=uas"), Some("90;refresher=uac"));
        // What they allow is heard in the next message of each: the 200 to the first refresh.
        for phone in [alice, bob] {
            world[phone].allows_update = allows_update;
            // In that 200 we are the client.
            world[phone].session_expires = Some("90;refresher=uac");
        }
        world.run(400 * SECOND);
        assert!(talks(&world, alice) && talks(&world, bob));
        for (hears, tone) in [(alice, 880.0), (bob, 440.0)] {
            assert!(world.heard(hears, tone, SECOND) > AUDIBLE);
        }
        hang_up(&mut world, bob);
        comes_to_rest(&mut world);
        assert_eq!(world.records[0].cause, Cause::HangUp);
    }
}

#[test]
fn a_phone_that_vanished_is_noticed_at_the_next_refresh() {
    let (mut world, alice, bob) = timed(None, Some("90;refresher=uac"));
    world[bob].allows_update = true;
    world[bob].alive = false;
    world[alice].mute = true;
    world.run(Duration::from_secs(80));
    assert!(idle(&world, alice));
    comes_to_rest(&mut world);
}
