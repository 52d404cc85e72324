//! The race conditions of RFC 5407 by figure, each in all orders: the message that crosses arrives before the other, with it or
//! after it, up to seconds late, or not at all.
//!
//! The switch is a user agent on both sides of a call, so a figure is played on the caller's leg (the switch is Bob, the callee)
//! or on the called phone's (the switch is Alice), wherever the switch may come to be in that place.
//!
//! | figure | the switch | here |
//! | --- | --- | --- |
//! | 3.1.1 INVITE again in the moratorium state | Bob | one test |
//! | 3.1.2 CANCEL in the moratorium state | Bob, and Alice to the called phone | one test |
//! | 3.1.3 BYE of the early state in the moratorium state | Bob; as Alice it cancels, and sends no BYE in an early dialog | one test |
//! | 3.1.4, 3.1.5 re-INVITE in the moratorium state | Bob; as Alice its first re-INVITE is a refresh, 45 s after its ACK | two tests |
//! | 3.1.6 BYE in the moratorium state | Bob | one test |
//! | 3.2.1 BYEs that cross | both | one test |
//! | 3.2.2 re-INVITE in the mortal state | both | one test |
//! | 3.2.3 200 to a re-INVITE in the mortal state | both | one test |
//! | 3.2.4 ACK in the mortal state | Bob: its BYE waits for the ACK (RFC 3261 section 15), so that the figure does not come about before 64*T1 | one test |
//! | 3.3.1, 3.3.2 offers that cross | both | two tests |
//! | 3.3.3 REFER in the mortal state | both | one test |
//! | appendix A, BYE in an early dialog | Bob | one test |
//! | appendix B, BYE and a re-INVITE that nothing answers | both | one test |
//! | appendix C, CANCEL before a provisional answer | Alice | `a_caller_may_hang_up_at_any_moment`, `cancel_waits_for_a_provisional_response` of `sip` |
//! | appendix D, requests in the mortal state | both | with 3.2.2 and 3.3.3 |
//! | appendix E, forks and new tags | Alice | `of_two_phones_behind_a_proxy_the_first_answer_wins` of `sip` |
//!
//! There is no section 3.4. What proxies do between the two is not ours to do.

use std::time::Duration;

use call::Cause;
use call::record::Outcome;
use testkit::{Behaviour, Fate, Offer, PhoneId, PhoneState, World};

use crate::scene::{
    APART, AUDIBLE, SECOND, answer, comes_to_rest, conversation, cross, dial, hang_up, idle, rings,
    served, talks, two_phones,
};

/// By how many milliseconds a message is overtaken: by what was sent a little later, by one repetition, by several.
const LATE: [u64; 8] = [0, 1, 2, 3, 4, 400, 600, 5_000];

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Every fate that lets what follows arrive first, and none.
fn fates() -> impl Iterator<Item = Fate> {
    let late = LATE.into_iter().map(|late| Fate::Late(millis(late)));
    late.chain([Fate::Lost])
}

/// How often a phone sent or got this.
fn count(world: &World, phone: &str, message: &str) -> usize {
    let messages = world.messages(phone);
    messages.iter().filter(|it| *it == message).count()
}

fn has(world: &World, phone: &str, message: &str) -> bool {
    count(world, phone, message) > 0
}

/// 205 rings 206, who answers when the test says so.
fn ringing() -> (World, PhoneId, PhoneId) {
    let (mut world, alice, bob) = two_phones();
    dial(&mut world, alice, "206");
    world.until("alice hears ringing", SECOND, |w| {
        w[alice].state() == PhoneState::RingingBack
    });
    (world, alice, bob)
}

/// The same to the moment in which the caller has its 200: the ACK leaves, and has this fate.
fn just_answered(late_offer: bool, ack: Fate) -> (World, PhoneId, PhoneId) {
    let (mut world, alice, bob) = two_phones();
    world[alice].late_offer = late_offer;
    dial(&mut world, alice, "206");
    world.until("bob rings", SECOND, |w| rings(w, bob));
    world.run(SECOND);
    world.meddle(alice, "> ACK", ack);
    answer(&mut world, bob);
    world.until("alice has her 200", SECOND, |w| talks(w, alice));
    (world, alice, bob)
}

/// Whether what a phone asks arrives when the switch has sent it a BYE, because the other phone hung up `apart` ms before; `late`
/// is how much longer the question is on its way.
fn in_mortal(apart: i64, late: u64) -> bool {
    let late = i64::try_from(late).expect("seconds at most");
    // What is sent in the same moment arrives in the order in which it was sent.
    if apart < 0 { apart + late > 0 } else { true }
}

/// Both hear each other, then the caller hangs up, and one call was all there was.
fn assert_stands(mut world: World, alice: PhoneId, bob: PhoneId, told: &str) {
    world.run(2 * SECOND);
    assert!(world.heard(alice, 880.0, SECOND) > AUDIBLE, "{told}");
    assert!(world.heard(bob, 440.0, SECOND) > AUDIBLE, "{told}");
    hang_up(&mut world, alice);
    assert_over(world, alice, bob, told);
}

/// Both are free at once, nothing is left, and one call was all there was.
fn assert_over(mut world: World, alice: PhoneId, bob: PhoneId, told: &str) {
    world.run(SECOND);
    assert!(idle(&world, alice) && idle(&world, bob), "{told}");
    comes_to_rest(&mut world);
    assert_eq!(world.records.len(), 1, "{told}");
}

#[test]
fn rfc5407_3_1_1_callee_receives_initial_invite_retransmission_preparative_state() {
    // The 200 leaves the switch 1,003 ms after the INVITE that gets it came.
    for late in (0..8).chain(998..1_009).chain([5_000, 31_000]) {
        let (mut world, alice, bob) = two_phones();
        world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
        dial(&mut world, alice, "206");
        world.run(millis(1));
        // The first INVITE was challenged: the second is the one that counts.
        world.meddle(alice, "> INVITE 206", Fate::Twice(millis(late)));
        world.run(33 * SECOND);
        let told = format!("{late} ms later");
        assert_eq!(count(&world, "206", "< INVITE 206"), 1, "{told}");
        let finals = ["< 401 (INVITE)", "< 200 (INVITE)"].map(|it| count(&world, "205", it));
        assert_eq!(finals, [1, 1], "{told}");
        assert!(!has(&world, "205", "< 482 (INVITE)"), "no merged request");
        assert_stands(world, alice, bob, &told);
    }
}

#[test]
fn rfc5407_3_1_2_callee_receives_cancel_early_state_while_in_the_moratorium_state() {
    let mut answered = 0;
    for (apart, late) in APART.iter().flat_map(|a| [0, 3, 40].map(|late| (*a, late))) {
        let (mut world, alice, bob) = ringing();
        world.meddle(alice, "> CANCEL", Fate::Late(millis(late)));
        cross(
            &mut world,
            apart,
            |w| hang_up(w, alice),
            |w| {
                if rings(w, bob) {
                    answer(w, bob);
                }
            },
        );
        world.run(SECOND);
        let told = format!("{apart} ms apart, CANCEL {late} ms late");
        // Who has been answered before has no more to cancel.
        let cancelled = has(&world, "205", "> CANCEL");
        assert_eq!(has(&world, "205", "< 200 (CANCEL)"), cancelled, "{told}");
        if has(&world, "205", "< 200 (INVITE)") {
            answered += 1;
            assert!(!has(&world, "205", "< 487 (INVITE)"), "{told}");
            for message in ["> ACK", "> BYE", "< 200 (BYE)"] {
                assert!(has(&world, "205", message), "{told}: {message}");
            }
        } else {
            assert!(has(&world, "205", "< 487 (INVITE)"), "{told}");
        }
        // The same between the switch and the called phone.
        if has(&world, "206", "> 200 (INVITE)") {
            for message in ["< ACK", "< BYE", "> 200 (BYE)"] {
                assert!(has(&world, "206", message), "{told}: {message}");
            }
        } else {
            assert!(has(&world, "206", "> 487 (INVITE)"), "{told}");
        }
        assert_over(world, alice, bob, &told);
    }
    assert!((1..27).contains(&answered), "both came about: {answered}");
}

#[test]
fn rfc5407_3_1_3_callee_receives_bye_early_state_while_in_the_moratorium_state() {
    let mut answered = 0;
    for apart in APART {
        let (mut world, alice, bob) = ringing();
        cross(
            &mut world,
            apart,
            |w| {
                if w[alice].state() == PhoneState::RingingBack {
                    w.act(alice, |phone, now| phone.end_early_dialog(now));
                }
            },
            |w| {
                if rings(w, bob) {
                    answer(w, bob);
                }
            },
        );
        if talks(&world, alice) {
            // Answered long before: no early dialog is left to end.
            hang_up(&mut world, alice);
        }
        world.run(SECOND);
        let told = format!("{apart} ms apart");
        assert!(has(&world, "205", "< 200 (BYE)"), "{told}");
        let finals = ["< 200 (INVITE)", "< 487 (INVITE)"].map(|it| count(&world, "205", it));
        assert_eq!(finals.iter().sum::<usize>(), 1, "{told}: {finals:?}");
        answered += finals[0];
        assert_over(world, alice, bob, &told);
    }
    assert!((1..9).contains(&answered), "both came about: {answered}");
}

#[test]
fn rfc5407_a_bye_in_the_early_dialog() {
    let (mut world, alice, bob) = ringing();
    world.clear_ladder();
    world.act(alice, |phone, now| phone.end_early_dialog(now));
    world.run(SECOND);
    let messages = world.messages("205");
    assert_eq!(
        messages,
        ["> BYE", "< 200 (BYE)", "< 487 (INVITE)", "> ACK"]
    );
    assert!(has(&world, "206", "< CANCEL"));
    assert_over(world, alice, bob, "");
}

#[test]
fn rfc5407_3_1_4_callee_receives_re_invite_established_state_while_in_the_moratorium_state_1() {
    for ack in fates() {
        let (mut world, alice, bob) = just_answered(false, ack);
        world.act(alice, |phone, now| {
            phone.reinvite(Offer::Direction("sendrecv"), now);
        });
        world[alice].last_status = None;
        world.run(6 * SECOND);
        // Offer and answer were exchanged before, so the new offer may be answered.
        assert_eq!(world[alice].last_status, Some(200), "{ack:?}");
        assert_stands(world, alice, bob, &format!("{ack:?}"));
    }
}

#[test]
fn rfc5407_3_1_5_callee_receives_re_invite_established_state_while_in_the_moratorium_state_2() {
    for ack in fates() {
        let (mut world, alice, bob) = just_answered(true, ack);
        world.act(alice, |phone, now| {
            phone.reinvite(Offer::Direction("sendrecv"), now);
        });
        world.run(millis(300));
        // The offer of the 200 waits for its answer in the ACK.
        let status = if ack == Fate::Late(Duration::ZERO) {
            200
        } else {
            491
        };
        assert_eq!(world[alice].last_status, Some(status), "{ack:?}");
        world.run(6 * SECOND);
        assert_stands(world, alice, bob, &format!("{ack:?}"));
    }
}

#[test]
fn rfc5407_3_1_6_callee_receives_bye_established_state_while_in_the_moratorium_state() {
    for late_offer in [false, true] {
        for ack in fates() {
            let (mut world, alice, bob) = just_answered(late_offer, ack);
            hang_up(&mut world, alice);
            world.run(10 * SECOND);
            let told = format!("{ack:?}");
            assert!(has(&world, "205", "< 200 (BYE)"), "{told}");
            let answers = count(&world, "205", "< 200 (INVITE)");
            assert_eq!(answers, 1, "{told}: the BYE ends the repetition");
            assert_over(world, alice, bob, &told);
        }
    }
}

#[test]
fn rfc5407_3_2_1_ua_receives_bye_established_state_while_in_the_mortal_state() {
    for (apart, late) in APART
        .iter()
        .flat_map(|a| [0_i64, 1, 2, 600].map(|late| (*a, late)))
    {
        let (mut world, customer, agent) = served();
        world.clear_ladder();
        world.meddle(agent, "> BYE", Fate::Late(millis(late.unsigned_abs())));
        cross(
            &mut world,
            apart,
            |w| hang_up(w, customer),
            |w| hang_up(w, agent),
        );
        world.run(2 * SECOND);
        let told = format!("{apart} ms apart, {late} ms late");
        for phone in ["209", "201"] {
            let answered = has(&world, phone, "> 200 (BYE)");
            assert_eq!(has(&world, phone, "< BYE"), answered, "{told}: {phone}");
        }
        // Who got a BYE before it sent its own sends none; one that comes when ours was answered is answered as well.
        for phone in ["209", "201"] {
            let answered = !has(&world, phone, "> BYE") || has(&world, phone, "< 200 (BYE)");
            assert!(answered, "{told}: {phone}");
        }
        comes_to_rest(&mut world);
        let record = &world.records[0];
        assert_eq!(record.cause, Cause::HangUp);
        assert_eq!(record.queues[0].outcome, Outcome::Answered);
        assert_eq!(record.recordings[0].error, None);
    }
}

#[test]
fn rfc5407_3_2_2_ua_receives_re_invite_established_state_while_in_the_mortal_state() {
    for ender_is_caller in [true, false] {
        for (apart, late) in APART.iter().flat_map(|a| LATE.map(|late| (*a, late))) {
            let (mut world, alice, bob) = conversation();
            world.clear_ladder();
            let (ender, other) = if ender_is_caller {
                (alice, bob)
            } else {
                (bob, alice)
            };
            let name = world[other].name.clone();
            let callee = if ender_is_caller { "205" } else { "206" };
            world.meddle(
                other,
                &format!("> INVITE {callee}"),
                Fate::Late(millis(late)),
            );
            cross(
                &mut world,
                apart,
                |w| hang_up(w, ender),
                |w| w.act(other, |phone, now| phone.hold(true, now)),
            );
            world.run(6 * SECOND);
            let told = format!("{name} {apart} ms apart, {late} ms late");
            let asked = world
                .messages(&name)
                .iter()
                .any(|it| it.starts_with("> INVITE"));
            assert_eq!(
                has(&world, &name, "< 481 (INVITE)"),
                asked && in_mortal(apart, late),
                "{told}"
            );
            assert!(idle(&world, alice) && idle(&world, bob), "{told}");
            assert_over(world, alice, bob, &told);
        }
    }
}

/// 205 talks with 206; the switch refreshes the session of the caller or of the called phone, which is given last: that has just left.
fn just_refreshed(callers: bool, by: &'static str) -> (World, [PhoneId; 2], PhoneId) {
    let (mut world, alice, bob) = two_phones();
    let (phone, refresher) = if callers {
        (alice, "90;refresher=uas")
    } else {
        (bob, "90;refresher=uac")
    };
    world[phone].session_expires = Some(refresher);
    world[phone].allows_update = by == "UPDATE";
    world[bob].behaviour = Behaviour::AnswerAfter(SECOND);
    dial(&mut world, alice, "206");
    world.until("they talk", 3 * SECOND, |w| {
        talks(w, alice) && talks(w, bob)
    });
    world.run(SECOND);
    world.clear_ladder();
    let name = world[phone].name.clone();
    let refreshes = |w: &World| {
        let messages = w.messages(&name);
        messages.iter().any(|it| it.starts_with(&format!("< {by}")))
    };
    world.until("the switch refreshes", 50 * SECOND, refreshes);
    (world, [alice, bob], phone)
}

/// Whether the switch refreshes the caller's session or the called phone's, and by how many milliseconds what crosses is late.
fn crossings() -> impl Iterator<Item = (bool, u64)> {
    let late = |callers| [0, 1, 2, 3, 4, 600].map(|late| (callers, late));
    [true, false].into_iter().flat_map(late)
}

/// A phone sends a re-INVITE, which is so many milliseconds late.
fn reinvite_late(world: &mut World, phone: PhoneId, late: u64) {
    for callee in ["205", "206"] {
        let message = format!("> INVITE {callee}");
        world.meddle(phone, &message, Fate::Late(millis(late)));
    }
    world.act(phone, |phone, now| {
        phone.reinvite(Offer::Direction("sendrecv"), now);
    });
}

#[test]
fn rfc5407_3_2_3_ua_receives_200_for_re_invite_established_state_while_in_the_mortal_state() {
    // The switch has a re-INVITE under way as the other party hangs up.
    for late in LATE {
        let (mut world, [alice, bob], _) = just_refreshed(false, "INVITE");
        world.meddle(bob, "> 200 (INVITE)", Fate::Late(millis(late)));
        hang_up(&mut world, alice);
        world.run(10 * SECOND);
        let answers = count(&world, "206", "> 200 (INVITE)");
        assert!(answers >= 1);
        assert_eq!(count(&world, "206", "< ACK"), answers, "{late} ms late");
        assert!(has(&world, "206", "< BYE"), "{late} ms late");
        assert_over(world, alice, bob, &format!("{late} ms late"));
    }
    // A phone hangs up before it has the 200 to its own re-INVITE, whose ACK never comes.
    for late in LATE {
        let (mut world, alice, bob) = conversation();
        world.clear_ladder();
        world.meddle(alice, "< 200 (INVITE)", Fate::Late(millis(late)));
        world.act(alice, |phone, now| phone.hold(true, now));
        world.run(millis(2));
        hang_up(&mut world, alice);
        world.run(10 * SECOND);
        assert!(has(&world, "205", "< 200 (BYE)"));
        assert_eq!(count(&world, "205", "< 200 (INVITE)"), 1, "{late} ms late");
        assert_over(world, alice, bob, &format!("{late} ms late"));
    }
}

#[test]
fn rfc5407_3_2_4_callee_receives_ack_moratorium_state_while_in_the_mortal_state() {
    // In milliseconds after it was sent; 64*T1 after its 200 the switch waits no more.
    for late in [5, 400, 5_000, 30_000, 40_000] {
        let (mut world, alice, bob) = just_answered(false, Fate::Late(millis(late)));
        // Each repeated 200 gets an ACK as well: those are lost.
        world[alice].acknowledges = false;
        hang_up(&mut world, bob);
        let told = format!("{late} ms late");
        world.run(millis(late.min(31_000)));
        assert!(!has(&world, "205", "< BYE"), "{told}: it waits for the ACK");
        world.run(2 * SECOND);
        assert!(has(&world, "205", "< BYE") && has(&world, "205", "> 200 (BYE)"));
        assert_eq!(count(&world, "205", "< BYE"), 1, "{told}");
        assert_over(world, alice, bob, &told);
    }
}

#[test]
fn rfc5407_3_3_1_re_invite_crossover() {
    for (callers, late) in crossings() {
        let (mut world, [alice, bob], phone) = just_refreshed(callers, "INVITE");
        let name = world[phone].name.clone();
        reinvite_late(&mut world, phone, late);
        let told = format!("{name}, {late} ms late");
        world.run(millis(late + 100));
        assert!(
            has(&world, &name, "> 491 (INVITE)"),
            "{told}: the phone waits for its own"
        );
        let crossed = has(&world, &name, "< 491 (INVITE)");
        assert_eq!(crossed, late <= 1, "{told}");
        let refreshes = |w: &World| count(w, &name, &format!("< INVITE {name}"));
        let before = refreshes(&world);
        let after = world.until("the switch tries again", 5 * SECOND, |w| {
            refreshes(w) > before
        });
        // RFC 3261 section 14.1: who made the Call-ID waits 2.1 to 4 s, the other at most 2 s.
        let waited = after + millis(late + 100);
        let range = if callers { 0..2_150 } else { 2_100..4_150 };
        assert!(
            range.contains(&(waited.as_millis() as u64)),
            "{told}: {waited:?}"
        );
        assert_stands(world, alice, bob, &told);
    }
}

#[test]
fn rfc5407_3_3_2_update_and_re_invite_crossover() {
    for (callers, late) in crossings() {
        // The phone's UPDATE crosses our re-INVITE: both get 491, as both offer.
        let (mut world, [alice, bob], phone) = just_refreshed(callers, "INVITE");
        let name = world[phone].name.clone();
        let told = format!("{name}, {late} ms late");
        world.meddle(phone, "> UPDATE", Fate::Late(millis(late)));
        world.act(phone, |phone, now| {
            phone.update(Offer::Direction("sendrecv"), now);
        });
        world.run(millis(late + 100));
        assert!(has(&world, &name, "> 491 (INVITE)"), "{told}");
        assert_eq!(has(&world, &name, "< 491 (UPDATE)"), late <= 1, "{told}");
        world.run(5 * SECOND);
        assert_stands(world, alice, bob, &told);
        // The phone's re-INVITE crosses our UPDATE, which offers nothing: neither is refused.
        let (mut world, [alice, bob], phone) = just_refreshed(callers, "UPDATE");
        reinvite_late(&mut world, phone, late);
        world.run(5 * SECOND);
        assert!(has(&world, &name, "< 200 (INVITE)"), "{told}");
        assert!(has(&world, &name, "> 200 (UPDATE)"), "{told}");
        assert_stands(world, alice, bob, &told);
    }
}

#[test]
fn rfc5407_3_3_3_receiving_refer_established_state_while_in_the_mortal_state() {
    for by_caller in [true, false] {
        for (apart, late) in APART.iter().flat_map(|a| LATE.map(|late| (*a, late))) {
            let (mut world, alice, bob) = conversation();
            let carol = world.registered("207");
            let (referrer, ender) = if by_caller {
                (alice, bob)
            } else {
                (bob, alice)
            };
            let name = world[referrer].name.clone();
            world.meddle(referrer, "> REFER", Fate::Late(millis(late)));
            cross(
                &mut world,
                apart,
                |w| hang_up(w, ender),
                |w| w.act(referrer, |phone, now| phone.refer("207", None, &[], now)),
            );
            world.run(6 * SECOND);
            let told = format!("{name} {apart} ms apart, {late} ms late");
            if has(&world, &name, "> REFER") {
                let status = if in_mortal(apart, late) { 481 } else { 202 };
                let answer = format!("< {status} (REFER)");
                assert!(has(&world, &name, &answer), "{told}: {answer}");
            }
            assert!(idle(&world, carol), "{told}");
            assert_over(world, alice, bob, &told);
        }
    }
}

#[test]
fn rfc5407_b_bye_request_overlapping_with_re_invite() {
    // A phone hangs up while its re-INVITE is on its way: that finds no dialog.
    for late in [10, 400, 5_000] {
        let (mut world, alice, bob) = conversation();
        world.clear_ladder();
        reinvite_late(&mut world, alice, late);
        world.run(millis(5));
        hang_up(&mut world, alice);
        world.run(6 * SECOND);
        assert!(has(&world, "205", "< 200 (BYE)"), "{late} ms late");
        assert!(has(&world, "205", "< 481 (INVITE)"), "{late} ms late");
        assert_over(world, alice, bob, &format!("{late} ms late"));
    }
    // Our re-INVITE is lost, and the call ends before it is sent again: it is, in its own transaction.
    let (mut world, [alice, bob], _) = just_refreshed(false, "INVITE");
    world.meddle(bob, "> 200 (INVITE)", Fate::Lost);
    hang_up(&mut world, alice);
    world.run(SECOND);
    let messages = world.messages("206");
    assert!(
        messages.iter().any(|it| it == "> 200 (BYE)"),
        "{messages:?}"
    );
    let again = messages.iter().filter(|it| *it == "< INVITE 206").count();
    assert!(again >= 2, "{messages:?}");
    assert_over(world, alice, bob, "");
}
