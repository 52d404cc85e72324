"""Who is not part of a call forges what would end, divert or overhear it."""

import itertools
import random
import re
import select
import time

from harness.phone import Phone, connected, fresh, sdp
from harness.rtp import Stream
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import TRUSTING, Switch

#: Requests with guessed tags; and at full length.
GUESSES, LONG_GUESSES = 20_000, 1_000_000
#: So many of them in a row, and then the switch has a millisecond to answer.
AT_ONCE = 10
#: A tag must be at least so hard to guess, in bits.
TAG_BITS = 64
#: Calls whose tags are looked at: enough to see all sixteen values of a random hexadecimal digit.
CALLS = 150


@scenario("hand-made", long=900)
def guessed_tags_end_no_call(stage: Stage):
    guesses = LONG_GUESSES if stage.long else GUESSES
    # Without the allowance of an address, which would have most of them dropped unread.
    with Switch(stage, TRUSTING) as switch, Stream() as ear, Stream() as mouth:
        callee, caller, stranger = Phone(202).registered(), Phone(205).registered(), Phone(206)
        calling, called = connected(caller, callee, sdp(mouth.port), sdp(ear.port))
        # Without sound the call would end by itself.
        mouth.talk(("127.0.0.1", calling.description.port()))
        ear.talk(("127.0.0.1", called.description.port()))
        statuses = {}
        # All is right but the tag of the switch, which nobody else has seen.
        forged = itertools.cycle([
            (call.message(method, headers=headers, cseq=call.cseq + 100).octets(), re.search(r";tag=([^;>\s]+)", call.remote)[1].encode())
            for call in (calling, called)
            for method, headers in (("BYE", {}), ("UPDATE", {}), ("REFER", {"Refer-To": "<sip:600@127.0.0.1>"}), ("INFO", {}))
        ])
        for n in range(guesses):
            octets, tag = next(forged)
            guess = b"%0*x" % (len(tag), random.getrandbits(4 * len(tag)))
            stranger.send(octets.replace(tag, guess).replace(b"branch=z9hG4bK", b"branch=z9hG4bK%d" % n))
            if n % AT_ONCE == 0:
                time.sleep(0.001)
                collect(stranger, statuses)
        wait_for("the last answers", lambda: not collect(stranger, statuses) and stranger.silence(0.5))
        answered = sum(statuses.values())
        check(set(statuses) == {481} and answered > 0.9 * guesses, f"answers to guessed tags: {statuses}")
        check(caller.silence() and callee.silence() and not switch.call_records(), "the call has ended")
        calling.bye()
        callee.respond(callee.expect("BYE"), 200)
        return f"{guesses} guesses: {statuses}"


def collect(phone: Phone, statuses: dict) -> int:
    """Counts what came, by status; gives how many."""
    before = sum(statuses.values())
    while select.select([phone.socket], [], [], 0)[0]:
        status = int(phone.socket.recv(4096).split()[1])
        statuses[status] = statuses.get(status, 0) + 1
    return sum(statuses.values()) - before


@scenario("hand-made")
def tags_of_dialogs_cannot_be_guessed(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        tags = []
        for _ in range(CALLS):
            call = phone.call("600")
            tags.append(call.response.tag("To"))
            call.bye()
        check(len(set(tags)) == len(tags), "a tag came twice")
        # What so many tags can show: every place takes many values, and there are enough places.
        bits = sum(len({tag[place] for tag in tags}).bit_length() - 1 for place in range(min(map(len, tags))))
        check(bits >= TAG_BITS, f"tags have {bits} bits at the most: {tags[:3]}")
        return f"{bits} bits, such as {tags[0]}"


@scenario("hand-made")
def a_challenge_to_our_bye_gets_no_credentials(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202).registered(), Phone(205).registered()
        calling, _ = connected(caller, callee)
        calling.bye()
        callee.respond(callee.expect("BYE"), 401, headers={"WWW-Authenticate": 'Digest realm="ringmaster", nonce="1", qop="auth"'})
        check(callee.silence(1), "the switch tries again with credentials")


@scenario("hand-made")
def nothing_is_done_for_who_gives_no_password(stage: Stage):
    with Switch(stage):
        callee, stranger = Phone(202).registered(), Phone(205)
        for method, headers in (
            ("INVITE", {}), ("MESSAGE", {}), ("SUBSCRIBE", {"Event": "dialog"}), ("SUBSCRIBE", {"Event": "message-summary"}), ("SUBSCRIBE", {"Event": "reg"}),
            ("REFER", {"Refer-To": "<sip:600@127.0.0.1>"}), ("PUBLISH", {"Event": "presence"}), ("NOTIFY", {"Event": "check-sync"}), ("INFO", {}), ("UPDATE", {}),
        ):
            message = stranger.message(method, stranger.uri("202"), headers)
            stranger.send(message)
            status = stranger.final(method, 1).status
            check(status in (401, 403, 405, 481), f"{method} {headers} got {status}")
        check(callee.silence(), "the phone hears of it")


@scenario("hand-made")
def an_identity_that_a_phone_asserts_is_not_believed(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202).registered(), Phone(205).registered()
        names = ("P-Asserted-Identity", "P-Asserted-Identity ", "p-asserted-identity\t", "Remote-Party-ID", "P-Preferred-Identity", "P-Charging-Vector", "Diversion", "X-Account")
        for cseq, name in enumerate(names, 10):
            caller.invite("202", {name: "<sip:boss@127.0.0.1>"}, cseq=cseq)
            ringing = callee.expect("INVITE")
            callee.respond(ringing, 486)
            caller.final("INVITE", cseq)
            check(b"boss" not in ringing.octets(), f"{name!r} goes through: {ringing}")


@scenario("hand-made")
def a_replaces_of_a_stranger_takes_no_call(stage: Stage):
    with Switch(stage) as switch:
        callee, caller, thief, stranger = Phone(202).registered(), Phone(205).registered(), Phone(206).registered(), Phone(207)
        calling, called = connected(caller, callee)
        for call in (calling, called):
            ours, theirs = (re.search(r";tag=([^;>\s]+)", party)[1] for party in (call.local, call.remote))
            headers = {"Replaces": f"{call.call_id};to-tag={theirs};from-tag={ours}", "Require": "replaces"}
            stranger.send(stranger.message("INVITE", stranger.uri("202"), headers, sdp()))
            check(stranger.final("INVITE", 1).status in (401, 420), "Replaces with the right tags works without a password")
            # Who has a password must know both tags, which nobody but the two phones does.
            for tags in ((ours, fresh()), (fresh(), theirs), (fresh(), ours), ("0", "0")):
                headers["Replaces"] = f"{call.call_id};to-tag={tags[0]};from-tag={tags[1]}"
                response = thief.request("INVITE", thief.uri("202"), headers, sdp())
                check(response.status in (420, 481), f"{headers['Replaces']} got {response.start}")
        check(caller.silence() and callee.silence() and not switch.call_records(), "the call has ended")
        calling.bye()
        callee.respond(callee.expect("BYE"), 200)
