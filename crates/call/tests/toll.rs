//! What a thief of a password can do outside, and what stops him.

use call::trunk::{Allowance, Spent};
use call::{Cause, Party};
use testkit::{Behaviour, PhoneId, PhoneState, Site, World};

use crate::scene::{SECOND, comes_to_rest, dial, talks};
use crate::trunks::{account, pattern, provided, site, trunk, way, world};

#[test]
fn an_account_has_limits_that_a_thief_of_its_password_meets() {
    let mut site = site(&[("provider", trunk(&[0]))]);
    site.settings.outside.accounts.insert(
        account("205"),
        Allowance {
            calls: 1,
            calls_per_day: 3,
            talk_per_day: 30 * 60 * SECOND,
            international: false,
        },
    );
    let (mut world, provider) = world(site);
    world[provider].behaviour = Behaviour::Refuse(486);
    let thief = world.registered("205");
    let mut causes = Vec::new();
    for number in ["0044123", "+44123", "0301", "0302", "0303", "0304"] {
        dial(&mut world, thief, number);
        world.run(SECOND);
        causes.push(world.records.last().map(|record| record.cause));
    }
    let limit = Some(Cause::AccountLimit);
    let busy = Some(Cause::Busy);
    assert_eq!(causes[0], Some(Cause::NotAllowed));
    assert_eq!(
        causes[1],
        Some(Cause::UnknownNumber),
        "no route leads there"
    );
    assert_eq!(causes[2..], [busy, busy, busy, limit]);
    assert_eq!(world[thief].last_status, Some(403));
    // The next day there are three again.
    world.run(24 * 3_600 * SECOND);
    let thief = world.registered("205");
    dial(&mut world, thief, "0301");
    world.run(SECOND);
    assert_eq!(world.records.last().map(|record| record.cause), busy);
}

/// Two trunks, for numbers that begin with 01 and with 02; 205 may talk over them for six minutes a day.
fn six_minutes() -> Site {
    let mut site = site(&[("first", trunk(&[0])), ("second", trunk(&[1]))]);
    let outside = &mut site.settings.outside;
    let mut other = outside.routes[0].clone();
    outside.routes[0].pattern = pattern("01.");
    outside.routes[0].trunks = vec![way("first", 1)];
    other.pattern = pattern("02.");
    other.trunks = vec![way("second", 1)];
    outside.routes.push(other);
    outside.everybody.talk_per_day = 6 * 60 * SECOND;
    site
}

/// A world with both carriers, who answer at once, and two phones of the account.
fn thieves() -> (World, [PhoneId; 2], [PhoneId; 2]) {
    let mut world = World::new(six_minutes());
    let carriers = ["first", "second"].map(|name| world.phone(name));
    for carrier in carriers {
        world[carrier].behaviour = Behaviour::AnswerAfter(SECOND);
    }
    let thieves = ["205", "205"].map(|name| world.registered(name));
    (world, carriers, thieves)
}

#[test]
fn live_calls_are_cut_when_the_account_has_talked_for_as_long_as_it_may() {
    let (mut world, carriers, thieves) = thieves();
    dial(&mut world, thieves[0], "0123");
    dial(&mut world, thieves[1], "0223");
    // Both use up the same six minutes.
    let took = world.until("the calls are cut", 200 * SECOND, |world| {
        thieves
            .iter()
            .chain(&carriers)
            .all(|phone| world[*phone].state() == PhoneState::Idle)
    });
    assert!(took > 180 * SECOND && took < 183 * SECOND, "{took:?}");
    world.run(SECOND);
    for record in &world.records {
        assert_eq!(
            (record.cause, record.ended_by),
            (Cause::TalkSpent, Party::Switch)
        );
        assert_eq!(record.legs[0].paid_by, None);
        assert_eq!(record.legs[1].paid_by.as_deref(), Some("205"));
    }
    let reason = world[carriers[0]].got_reason.as_deref();
    assert_eq!(reason, Some("Q.850;cause=21;text=\"No talk left today\""));
    assert_eq!(
        world.exchange.alarms(),
        1,
        "one for the account and the day"
    );
    // No further call today, and another account is not concerned.
    dial(&mut world, thieves[0], "0123");
    world.run(SECOND);
    assert_eq!(world[thieves[0]].last_status, Some(403));
    assert_eq!(
        world.records.last().map(|record| record.cause),
        Some(Cause::TalkSpent)
    );
    assert_eq!(world.exchange.alarms(), 1);
    let honest = world.registered("206");
    dial(&mut world, honest, "0123");
    world.run(3 * SECOND);
    assert!(talks(&world, honest));
    world.act(honest, |phone, now| phone.hang_up(now));
    world.run(24 * 3_600 * SECOND);
    let thief = world.registered("205");
    dial(&mut world, thief, "0123");
    world.run(3 * SECOND);
    assert!(talks(&world, thief), "the next day it may again");
    world.act(thief, |phone, now| phone.hang_up(now));
    comes_to_rest(&mut world);
}

#[test]
fn a_hundred_calls_abroad_reach_nobody() {
    let (mut world, _) = provided();
    let thief = world.registered("205");
    for n in 0..100 {
        dial(&mut world, thief, &format!("0088213{n:02}"));
        world.run(SECOND / 10);
        assert_eq!(world[thief].last_status, Some(403));
    }
    assert_eq!(world.messages("provider"), Vec::<String>::new());
}

#[test]
fn what_was_talked_before_a_restart_counts() {
    let (mut world, _, thieves) = thieves();
    let spent = Spent {
        account: account("205"),
        calls: 7,
        talk: 5 * 60 * SECOND,
    };
    world.exchange.remember(vec![spent]);
    dial(&mut world, thieves[0], "0123");
    let took = world.until("the call is cut", 200 * SECOND, |world| {
        world[thieves[0]].state() == PhoneState::Idle
    });
    assert!(took < 63 * SECOND, "{took:?}");
}

#[test]
fn who_forwards_a_phone_outside_pays_for_the_talk() {
    let (mut world, carriers, _) = thieves();
    let forwarded = world.registered("206");
    world[forwarded].behaviour = Behaviour::Refuse(302);
    world[forwarded].forwards = "<sip:0123@192.0.2.1>".into();
    let caller = world.registered("207");
    dial(&mut world, caller, "206");
    world.run(3 * SECOND);
    assert!(talks(&world, caller) && talks(&world, carriers[0]));
    world.act(caller, |phone, now| phone.hang_up(now));
    world.run(SECOND);
    let paid: Vec<_> = world.records[0]
        .legs
        .iter()
        .map(|leg| leg.paid_by.as_deref())
        .collect();
    assert_eq!(paid, [None, None, Some("206")]);
}
