//! Ring groups, and calls that come back to where they were.

use call::Cause;
use call::settings::{Destination, Group, GroupId, GroupMember, GroupOrder};
use sip::endpoint::Source;
use testkit::{PhoneId, PhoneState, Site, World};

use crate::scene::{SECOND, dial};
use crate::trunks::{account, pattern, place, site, trunk, world};

fn with_group(order: GroupOrder) -> Site {
    let mut site = site(&[("provider", trunk(&[0]))]);
    let sales = GroupId("sales".into());
    site.settings.groups.insert(
        sales.clone(),
        Group {
            members: vec![
                GroupMember::Phone(account("205")),
                GroupMember::Phone(account("206")),
                GroupMember::Outside("0171234".into()),
            ],
            order,
            ring_time: 10 * SECOND,
        },
    );
    site.settings
        .numbers
        .insert("800".into(), Destination::Group(sales));
    site
}

#[test]
fn a_group_rings_together_and_the_first_to_answer_has_the_call() {
    let (mut world, provider) = world(with_group(GroupOrder::All));
    let phones = ["205", "206", "207"].map(|name| world.registered(name));
    dial(&mut world, phones[2], "800");
    world.run(SECOND);
    for phone in [phones[0], phones[1], provider] {
        assert_eq!(world[phone].state(), PhoneState::Ringing);
    }
    world.act(phones[1], |phone, now| phone.answer(now));
    world.run(SECOND);
    assert_eq!(world[phones[0]].state(), PhoneState::Idle);
    assert_eq!(world[provider].state(), PhoneState::Idle);
    assert_eq!(world[phones[2]].state(), PhoneState::Talking);
}

#[test]
fn a_group_rings_in_turn_and_skips_who_is_busy_or_the_caller() {
    let (mut world, provider) = world(with_group(GroupOrder::InTurn));
    let phones = ["205", "206"].map(|name| world.registered(name));
    dial(&mut world, phones[0], "800");
    world.run(SECOND);
    assert_eq!(world[phones[1]].state(), PhoneState::Ringing);
    world.run(10 * SECOND);
    assert_eq!(world[phones[1]].state(), PhoneState::Idle);
    assert_eq!(world[provider].state(), PhoneState::Ringing);
    world.run(11 * SECOND);
    assert_eq!(world.records[0].cause, Cause::NoAnswer);
    assert_eq!(world[phones[0]].last_status, Some(480));
}

/// The group reaches itself over a carrier that sends each call back: ten trunks that carry a call each, and ten places that
/// calls come from. Gives the places in order.
fn carrier_that_sends_back() -> (World, [PhoneId; 10], [PhoneId; 10]) {
    let names: Vec<String> = (0..10).map(|n| format!("out{n}")).collect();
    let out = |n: u8| {
        let mut out = trunk(&[n]);
        out.max_calls = 1;
        out
    };
    let mut trunks: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip((0..10).map(out))
        .collect();
    let mut back = trunk(&[10]);
    back.max_calls = 100;
    back.sources = (11..21)
        .map(|n| Source {
            network: place(n).ip(),
            prefix: 32,
            port: None,
        })
        .collect();
    let sales = Destination::Group(GroupId("sales".into()));
    back.numbers = vec![(pattern("030800"), sales)];
    trunks.push(("back", back));
    let mut site = site(&trunks);
    let group = with_group(GroupOrder::All);
    site.settings.groups = group.settings.groups;
    site.settings.numbers = group.settings.numbers;
    site.settings.outside.routes[0].trunks.pop();
    let mut world = World::new(site);
    let out = std::array::from_fn(|n| world.phone(&format!("out{n}")));
    world.phone("nobody");
    let back = std::array::from_fn(|n| world.phone(&format!("49157{n}")));
    (world, out, back)
}

/// 207 calls the group, and the carrier sends each call back with what it may still do; gives how often it did.
fn send_back(world: &mut World, out: &[PhoneId], back: &[PhoneId], keeps_breadth: bool) -> usize {
    for account in ["205", "206"] {
        world.registered(account);
    }
    let caller = world.registered("207");
    dial(world, caller, "800");
    world.run(SECOND / 5);
    for (round, (out, back)) in out.iter().zip(back).enumerate() {
        let number = |name| {
            world[*out]
                .invited_with(name)
                .and_then(|text| text.parse::<u8>().ok())
        };
        let (Some(hops), Some(breadth)) = (number("Max-Forwards"), number("Max-Breadth")) else {
            return round;
        };
        world[*back].max_forwards = hops - 1;
        world[*back].max_breadth = Some(breadth).filter(|_| keeps_breadth);
        dial(world, *back, "4930800");
        world.run(SECOND / 5);
    }
    out.len()
}

#[test]
fn a_group_that_reaches_itself_over_a_trunk_runs_out_of_branches() {
    let (mut world, out, back) = carrier_that_sends_back();
    let rounds = send_back(&mut world, &out, &back, true);
    // 60 branches, a third of which each of three members gets: 20, 6, 2, and then too few.
    assert_eq!(rounds, 3);
    assert_eq!(world[back[rounds - 1]].last_status, Some(440));
    let messages = world.ladder().matches("INVITE").count();
    assert!(messages < 60, "{messages}");
    let record = &world.records[0];
    assert_eq!(record.cause, Cause::TooManyBranches);
}

#[test]
fn a_group_that_reaches_itself_ends_by_hops_where_the_carrier_keeps_no_breadth() {
    let (mut world, out, back) = carrier_that_sends_back();
    let rounds = send_back(&mut world, &out, &back, false);
    assert!((2..10).contains(&rounds), "{rounds}");
}

#[test]
fn a_call_has_as_many_branches_as_its_caller_says() {
    for (breadth, status) in [(0, Some(440)), (2, Some(440)), (3, None), (200, None)] {
        let (mut world, provider) = world(with_group(GroupOrder::All));
        let phones = ["205", "206", "207"].map(|name| world.registered(name));
        world[phones[2]].max_breadth = Some(breadth);
        dial(&mut world, phones[2], "800");
        world.run(SECOND);
        assert_eq!(world[phones[2]].last_status, status, "{breadth}");
        let given = world[provider].invited_with("Max-Breadth");
        let each = status.is_none().then(|| (breadth.min(60) / 3).to_string());
        assert_eq!(given, each.as_deref());
    }
}

#[test]
fn the_phones_of_an_account_share_its_branches() {
    let mut world = World::new(Site::sample());
    let caller = world.registered("205");
    let phones = [world.registered("206"), world.registered("206")];
    for (breadth, each) in [(1, None), (5, Some("2"))] {
        world[caller].max_breadth = Some(breadth);
        dial(&mut world, caller, "206");
        world.run(SECOND);
        for phone in phones {
            assert_eq!(world[phone].invited_with("Max-Breadth"), each);
        }
    }
    assert_eq!(world.records[0].cause, Cause::TooManyBranches);
}
