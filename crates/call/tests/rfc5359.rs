//! The services of RFC 5359 that are offered, as ladders, a file for each section. Who calls is asked for a password (401, which is
//! a proxy's 407 there), and hears 180 where the RFC's proxy says 181.
//!
//! | section | service | ladder |
//! | --- | --- | --- |
//! | 2.1 | call hold | `rfc5359-2.1-call-hold.txt` of `phones` |
//! | 2.2 | consultation hold | `rfc5359-2.2-consultation-hold.txt` |
//! | 2.3 | music on hold: played by the switch, which needs no third party for it | `rfc5359-2.1-call-hold.txt` of `phones`, with the music heard |
//! | 2.4 | transfer, unattended: who transfers hangs up at once, and is told the end all the same | `rfc5359-2.4-transfer-unattended.txt`; who waits for it: `blind-transfer-by-callee.txt`, `blind-transfer-by-caller.txt` of `transfer` |
//! | 2.5 | transfer, attended: the switch itself puts one party in the place of the other, and hangs up both calls of who transfers | `rfc5359-2.5-transfer-attended.txt` of `attended` |
//! | 2.6 | transfer, instant messaging | none: messages are passed on one by one, there is no session of them to transfer |
//! | 2.7 | forwarding, unconditional: by the phone's 302, which the section names beside the proxy's list | `rfc5359-2.7-call-forwarding-unconditional.txt` of `forward` |
//! | 2.8 | forwarding, busy: a ring group goes on to its next member | `rfc5359-2.8-call-forwarding-busy.txt` |
//! | 2.9 | forwarding, no answer: a ring group goes on to its next member | `rfc5359-2.9-call-forwarding-no-answer.txt` |
//! | 2.10, 2.11 | three-way conference | none: nothing mixes yet |
//! | 2.12 | find-me: a ring group in turn | `rfc5359-2.12-find-me.txt` |
//! | 2.13 | incoming call screening | none: who may call is decided by the numbers of a trunk (`trunks`), not by a list of callers of each phone |
//! | 2.14 | outgoing call screening: international calls are off | `rfc5359-2.14-outgoing-call-screening.txt` |
//! | 2.15 | call park | none: no feature code for it yet |
//! | 2.16 | call pickup: who watches the phone learns its dialog | `rfc5359-2.16-call-pickup.txt` of `pickup` |
//! | 2.17 | automatic redial | the phone's own doing; the lamp that tells it when to call is `lamp-of-a-phone.txt` of `watch` |
//! | 2.18 | click to dial | none: there is no HTTP API yet |
//!
//! Several phones of one account, the single-line extension of the drafts before the RFC, is `two-phones-of-an-account.txt` of `forks`.

use std::sync::Arc;

use call::Cause;
use call::settings::{Destination, Group, GroupId, GroupMember, GroupOrder};
use sip::endpoint::Account;
use testkit::golden::assert_golden;
use testkit::{Behaviour, PhoneId, Site, World, tones};

use crate::attended::consulting;
use crate::scene::{
    AUDIBLE, SECOND, answer, comes_to_rest, dial, golden, hang_up, idle, rings, talks,
};
use crate::transfer::{hear_each_other, hold, refer, with_a_third};
use crate::trunks::{site, trunk};

fn assert_service(name: &str, mut world: World) {
    assert_golden(golden(&format!("rfc5359-{name}.txt")), &world.ladder());
    comes_to_rest(&mut world);
}

/// 800 rings phones from 206 on in turn, ten seconds each; 205 dials it.
fn in_turn<const N: usize>(behaviours: [Behaviour; N]) -> (World, PhoneId, [PhoneId; N]) {
    let mut site = Site::sample();
    let names: [String; N] = std::array::from_fn(|n| (206 + n).to_string());
    let member = |name: &String| GroupMember::Phone(Account(Arc::from(name.as_str())));
    let office = GroupId("office".into());
    site.settings.groups.insert(
        office.clone(),
        Group {
            members: names.iter().map(member).collect(),
            order: GroupOrder::InTurn,
            ring_time: 10 * SECOND,
        },
    );
    let numbers = &mut site.settings.numbers;
    numbers.insert("800".into(), Destination::Group(office));
    let mut world = World::new(site);
    let alice = world.registered("205");
    let phones = names.map(|name| world.registered(&name));
    for (phone, behaviour) in phones.iter().zip(behaviours) {
        world[*phone].behaviour = behaviour;
    }
    dial(&mut world, alice, "800");
    (world, alice, phones)
}

#[test]
fn rfc5359_2_2_consultation_hold() {
    let (mut world, [alice, bob, line, carol]) = consulting(Behaviour::AnswerAfter(SECOND));
    assert!(talks(&world, line) && talks(&world, carol));
    assert!(world.heard(alice, tones::MUSIC, SECOND) > AUDIBLE);
    hang_up(&mut world, line);
    world.run(SECOND);
    assert!(idle(&world, carol));
    hold(&mut world, bob, false);
    hear_each_other(&mut world, (alice, 440.0), (bob, 880.0));
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_service("2.2-consultation-hold", world);
}

#[test]
fn rfc5359_2_4_transfer_unattended() {
    let (mut world, [alice, bob, carol]) = with_a_third();
    world.clear_ladder();
    refer(&mut world, bob, "207");
    world.until("the first report", SECOND, |w| !w[bob].reports.is_empty());
    hang_up(&mut world, bob);
    world.run(SECOND);
    assert!(rings(&world, carol) && talks(&world, alice));
    answer(&mut world, carol);
    hear_each_other(&mut world, (alice, 440.0), (carol, 1_200.0));
    assert_eq!(
        world[bob].reports.last().map(String::as_str),
        Some("SIP/2.0 200 OK (terminated)")
    );
    hang_up(&mut world, carol);
    world.run(SECOND);
    assert_service("2.4-transfer-unattended", world);
}

#[test]
fn rfc5359_2_8_call_forwarding_busy() {
    let behaviours = [Behaviour::Refuse(486), Behaviour::AnswerAfter(SECOND)];
    let (mut world, alice, [_, carol]) = in_turn(behaviours);
    world.run(3 * SECOND);
    assert!(talks(&world, alice) && talks(&world, carol));
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_service("2.8-call-forwarding-busy", world);
}

#[test]
fn rfc5359_2_9_call_forwarding_no_answer() {
    let behaviours = [Behaviour::Ring, Behaviour::AnswerAfter(SECOND)];
    let (mut world, alice, [bob, carol]) = in_turn(behaviours);
    world.run(9 * SECOND);
    assert!(rings(&world, bob));
    world.run(3 * SECOND);
    assert!(idle(&world, bob) && talks(&world, carol) && talks(&world, alice));
    hang_up(&mut world, alice);
    world.run(SECOND);
    assert_service("2.9-call-forwarding-no-answer", world);
}

#[test]
fn rfc5359_2_12_find_me() {
    let behaviours = [
        Behaviour::Ring,
        Behaviour::Refuse(480),
        Behaviour::Refuse(486),
        Behaviour::AnswerAfter(SECOND),
    ];
    let (mut world, alice, [desk, _, _, mobile]) = in_turn(behaviours);
    world.run(9 * SECOND);
    assert!(rings(&world, desk));
    world.run(3 * SECOND);
    assert!(idle(&world, desk) && talks(&world, mobile) && talks(&world, alice));
    hang_up(&mut world, mobile);
    world.run(SECOND);
    assert_service("2.12-find-me", world);
}

#[test]
fn rfc5359_2_14_outgoing_call_screening() {
    let mut site = site(&[("provider", trunk(&[0]))]);
    let accounts = &mut site.settings.outside.accounts;
    accounts.insert(Account("205".into()), call::trunk::Allowance::default());
    let mut world = World::new(site);
    let provider = world.phone("provider");
    let alice = world.registered("205");
    world[provider].behaviour = Behaviour::Refuse(486);
    dial(&mut world, alice, "0044123");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(403));
    dial(&mut world, alice, "0301234");
    world.run(SECOND);
    assert_eq!(world[alice].last_status, Some(486));
    let causes: Vec<Cause> = world.records.iter().map(|record| record.cause).collect();
    assert_eq!(causes, [Cause::NotAllowed, Cause::Busy]);
    assert_service("2.14-outgoing-call-screening", world);
}
