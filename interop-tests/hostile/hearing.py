"""RTP: strangers who listen or speak, and phones that do what the book does not say."""

import contextlib
import struct
import time

from harness.phone import Phone, connected, sdp
from harness.rtp import Stream, packet
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import FIRST_RTP_PORT, Switch

STRANGER = "127.0.0.2"
#: What each side's payload is made of, so that one tells who is heard.
CALLER, CALLEE, INTRUDER = 0x11, 0x22, 0x33
#: How many RTP ports the switch has where all are sprayed: few, so that each is hit often.
SPRAYED = 300


@contextlib.contextmanager
def conversation(caller_port=None):
    """205 talks with 202; gives both calls and both streams, which do not send yet. `caller_port`: told in SDP in place of the true one."""
    callee, caller = Phone(202).registered(), Phone(205).registered()
    with Stream(octet=CALLER, ssrc=1) as mine, Stream(octet=CALLEE, ssrc=2) as theirs:
        calling, called = connected(caller, callee, sdp(caller_port or mine.port), sdp(theirs.port))
        mine.to, theirs.to = ("127.0.0.1", calling.description.port()), ("127.0.0.1", called.description.port())
        yield calling, called, mine, theirs
        calling.bye()
        callee.respond(callee.expect("BYE"), 200)


@scenario("hand-made")
def a_stranger_is_neither_heard_nor_sent_anything(stage: Stage):
    with Switch(stage), conversation() as (_, _, mine, theirs), Stream(STRANGER, octet=INTRUDER, ssrc=2) as intruder:
        mine.talk()
        theirs.talk()
        time.sleep(0.5)
        # From beside, also with the SSRC and the next numbers of the one that talks.
        for to in (mine.to, theirs.to):
            for n in range(100):
                intruder.send(packet(theirs.sequence + n, theirs.timestamp + 160 * n, 2, 0, bytes([INTRUDER]) * 160), to)
                intruder.send(packet(n, n * 160, 9, 0, bytes([INTRUDER]) * 160), to)
                intruder.send(packet(n, n * 160, 9, 101, b"\x05\x8a\x03\x20"), to)
                time.sleep(0.005)
        check(mine.count(INTRUDER) == theirs.count(INTRUDER) == 0, f"{mine.count(INTRUDER)} and {theirs.count(INTRUDER)} packets were injected")
        check(not intruder.heard, f"{len(intruder.heard)} packets bled")
        check(mine.count(CALLEE) > 40 and theirs.count(CALLER) > 40, "the conversation suffered")


@scenario("hand-made")
def a_stranger_who_sprays_the_ports_first_gets_nothing(stage: Stage):
    settings = {("ringmaster", "last_port"): FIRST_RTP_PORT + SPRAYED - 1, ("ringmaster", "max_calls"): SPRAYED // 4}
    with Switch(stage, settings), Stream(STRANGER, octet=INTRUDER) as intruder, conversation() as (_, _, mine, theirs):
        end = time.monotonic() + 1
        n = 0
        while time.monotonic() < end:
            n += 1
            for port in range(FIRST_RTP_PORT, FIRST_RTP_PORT + SPRAYED, 2):
                intruder.send(packet(n, n * 160, 9, 0, bytes([INTRUDER]) * 160), ("127.0.0.1", port))
            if n == 5:
                mine.talk()
                theirs.talk()
        time.sleep(0.5)
        check(not intruder.heard, f"{len(intruder.heard)} packets bled")
        check(mine.count(INTRUDER) + theirs.count(INTRUDER) <= 5, f"{mine.count(INTRUDER) + theirs.count(INTRUDER)} packets were injected")
        check(mine.count(CALLEE) > 20 and theirs.count(CALLER) > 20, f"{mine.count(CALLEE)} and {theirs.count(CALLER)} packets came")


@scenario("hand-made")
def packets_of_any_size_and_kind_break_nothing(stage: Stage):
    with Switch(stage), conversation() as (_, _, mine, theirs):
        theirs.talk()
        mine.talk()
        time.sleep(0.2)
        mine.hush()
        time.sleep(0.05)
        for size in (*range(0, 64), 127, 160, 172, 480, 1000, 1487, 1488, 1489, 1499, 1500, 1501, 2000, 9000, 65000):
            for first in (0x80, 0x90, 0xA0, 0x8F, 0xBF, 0xFF, 0x00, 0x40):
                head = packet(mine.sequence, mine.timestamp, 1, 0, b"", first=first)
                mine.send((head + bytes([CALLER]) * size)[:size] if size < 12 else head + bytes([CALLER]) * (size - 12))
                mine.sequence += 1
        for kind in range(256):
            mine.send(struct.pack("!BBHII", 0x80, kind, mine.sequence & 0xFFFF, mine.timestamp, 1) + bytes([CALLER]) * 160)
            mine.sequence += 1
        # STUN binding request, RTCP sender report and BYE, DTLS hello, zeros.
        for octets in (b"\0\1\0\0\x21\x12\xa4\x42" + b"x" * 12, b"\x80\xc8\0\6" + b"\0" * 24, b"\x81\xcb\0\1\0\0\0\1", b"\x16\xfe\xff" + b"\0" * 50, b"\0" * 172):
            mine.send(octets)
        largest = max(len(data) for _, data, _ in theirs.heard)
        kinds = {data[1] & 0x7F for _, data, _ in theirs.heard}
        check(largest <= 1500, f"a packet of {largest} octets went on")
        check(kinds <= {0, 8, 101}, f"payload types {kinds} went on")
        mine.talk()
        before = theirs.count(CALLER)
        time.sleep(0.6)
        check(theirs.count(CALLER) > before + 20 and mine.count(CALLEE) > 40, "the conversation does not go on")


@scenario("hand-made")
def jumps_of_number_time_and_source_break_nothing(stage: Stage):
    with Switch(stage), conversation() as (_, _, mine, theirs):
        theirs.talk()
        mine.talk()
        time.sleep(0.3)
        for jump in (30_000, 32_768, 65_535, 1, 40_000, -20_000):
            mine.sequence += jump
            time.sleep(0.1)
        for jump in (2**31, 2**32 - 1, 10**6, -(10**6), 0x7FFFFFFF):
            mine.timestamp += jump
            time.sleep(0.1)
        for ssrc in (0, 0xFFFFFFFF, 2, 77):
            mine.ssrc = ssrc
            time.sleep(0.1)
        before = theirs.count(CALLER)
        time.sleep(1)
        check(theirs.count(CALLER) > before + 40, f"{theirs.count(CALLER) - before} packets in a second afterwards")


@scenario("hand-made")
def a_phone_that_sends_from_another_port_is_answered_there(stage: Stage):
    with Switch(stage), Stream() as told, conversation(caller_port=told.port) as (_, _, mine, theirs):
        mine.talk()
        theirs.talk()
        time.sleep(1)
        check(mine.count(CALLEE) > 30 and theirs.count(CALLER) > 30, f"it hears {mine.count(CALLEE)} packets and is heard with {theirs.count(CALLER)} in a second")


@scenario("hand-made")
def a_phone_that_changes_its_port_goes_on_talking(stage: Stage):
    with Switch(stage), conversation() as (_, _, mine, theirs):
        mine.talk()
        theirs.talk()
        time.sleep(0.5)
        mine.hush()
        time.sleep(0.1)
        with Stream(octet=CALLER, ssrc=1) as moved:
            moved.sequence, moved.timestamp = mine.sequence, mine.timestamp
            before = theirs.count(CALLER)
            moved.talk(mine.to)
            time.sleep(1)
            check(theirs.count(CALLER) - before > 40 and moved.count(CALLEE) > 40, f"{theirs.count(CALLER) - before} packets heard, {moved.count(CALLEE)} sent to it")


@scenario("hand-made", waits=True)
def packets_of_ten_to_sixty_milliseconds_and_a_fast_clock_go_through(stage: Stage):
    with Switch(stage), conversation() as (_, _, mine, theirs):
        theirs.talk()
        for milliseconds in (10, 30, 40, 60, 20):
            before = theirs.count(CALLER)
            mine.talk(milliseconds=milliseconds)
            time.sleep(1.2)
            came = theirs.count(CALLER) - before
            check(came > 0.8 * 1200 / milliseconds, f"{milliseconds} ms: {came} packets in 1.2 s")
            check(len(theirs.heard[-1][1]) == 12 + 8 * milliseconds, f"{milliseconds} ms: packets of {len(theirs.heard[-1][1])} octets")
        before = theirs.count(CALLER)
        mine.talk(rate=1.1)
        time.sleep(2)
        check(theirs.count(CALLER) - before > 95, f"{theirs.count(CALLER) - before} packets of a fast clock in 2 s")


@scenario("hand-made", waits=True)
def a_phone_that_falls_silent_is_ended_with_its_reason(stage: Stage):
    with Switch(stage, {("ringmaster", "rtp_timeout"): 5}) as switch, Stream() as mouth:
        phone = Phone(205).registered()
        call = phone.call("600", sdp(mouth.port))
        mouth.talk(("127.0.0.1", call.description.port()))
        time.sleep(1)
        mouth.hush()
        began = time.monotonic()
        call.is_ended(8)
        check(4 < time.monotonic() - began < 6.5, f"after {time.monotonic() - began:.1f} s")
        check(switch.record()["cause"] == "media-lost", f"the record says {switch.call_records()}")


@scenario("hand-made", waits=True)
def two_silent_phones_are_ended_both(stage: Stage):
    with Switch(stage, {("ringmaster", "rtp_timeout"): 5}) as switch:
        callee, caller = Phone(202).registered(), Phone(205).registered()
        calling, called = connected(caller, callee)
        calling.is_ended(7)
        called.is_ended(7)
        check(switch.record()["cause"] == "media-lost", f"the record says {switch.call_records()}")


@scenario("hand-made", waits=True)
def comfort_noise_keeps_a_call_alive_and_is_not_passed_on(stage: Stage):
    with Switch(stage, {("ringmaster", "rtp_timeout"): 5}) as switch, conversation() as (_, _, mine, theirs):
        mine.talk()
        theirs.talk()
        time.sleep(0.5)
        mine.hush()
        end = time.monotonic() + 7
        while time.monotonic() < end:
            mine.say(b"\x40", 13)
            mine.timestamp += 800
            time.sleep(0.1)
        check(not switch.call_records(), "the call has ended")
        check(all(data[1] & 0x7F != 13 for _, data, _ in theirs.heard), "comfort noise is passed on to a phone that did not agree to it")
        before = theirs.count(CALLER)
        mine.talk()
        time.sleep(0.5)
        check(theirs.count(CALLER) > before + 15, "the voice does not come back")


@scenario("hand-made")
def keys_pressed_oddly_are_counted_once_and_break_nothing(stage: Stage):
    extra = {"queues": "\n[queues.exit]\nsound_type = \"music\"\nsound = \"music\"\nexit_key = \"5\"\nexit_transfer_dst = \"600\"\nagents = []\n"}
    with Switch(stage, extra=extra | {"numbers": '701 = { queue = "exit" }\n'}) as switch, Stream() as mouth:
        phone = Phone(205).registered()
        call = phone.call("701", sdp(mouth.port))
        mouth.talk(("127.0.0.1", call.description.port()))
        time.sleep(0.5)
        mouth.hush()
        for payload in (b"", b"\5", b"\5\x8a\3", b"\5\x8a\0\0", b"\xff\xff\xff\xff", b"\x10\x8a\3\x20" * 300, b"\6\x8a\3\x20" * 4):
            mouth.send(packet(mouth.sequence, mouth.timestamp, mouth.ssrc, 101, payload))
            mouth.sequence += 1
            mouth.timestamp += 160
        mouth.talk()
        time.sleep(0.3)
        before = mouth.count(mouth.octet)
        check(before < 5, "an odd key was taken for the exit key")
        mouth.hush()
        mouth.press(5)
        mouth.talk()
        wait_for("echo after the exit key", lambda: mouth.count(mouth.octet) > before + 20, 4)
        call.bye()
