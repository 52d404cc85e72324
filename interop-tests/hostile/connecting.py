"""TCP: connections that are too many, too slow, half closed, or gone."""

import socket
import ssl
import threading
import time

from harness.phone import Phone, connected, fresh, sdp
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import SIP_PORT, TLS_PORT, WS_PORT, WSS_PORT, Switch

#: How long a connection may be without its first whole message.
FIRST_MESSAGE = 10
#: How long the switch goes on after the last octet that it can read: what came before is answered first.
LINGER = 1


def connect() -> socket.socket:
    """A bare connection."""
    return socket.create_connection(("127.0.0.1", SIP_PORT), timeout=5)


@scenario("hand-made")
def each_request_may_have_its_own_connection(stage: Stage):
    with Switch(stage) as switch:
        files = switch.open_files()
        for n in range(200):
            phone = Phone(205, transport="tcp")
            check(phone.request("OPTIONS", phone.uri()).status == 200, f"OPTIONS {n}")
            phone.close()
        wait_for("end of the connections", lambda: switch.open_files() <= files + 1)


@scenario("hand-made")
def a_peer_that_closes_its_sending_half_still_gets_its_answers(stage: Stage):
    with Switch(stage):
        for count in (1, 20):
            phone = Phone(205, transport="tcp")
            for _ in range(count):
                phone.send(phone.message("OPTIONS", phone.uri()))
            phone.socket.shutdown(socket.SHUT_WR)
            answers = [phone.receive(1) for _ in range(count)]
            check(all(answers), f"{sum(map(bool, answers))} answers to {count} requests")
            check(phone.is_closed(5), "the connection stays half open")


@scenario("hand-made")
def requests_before_garbage_are_still_answered(stage: Stage):
    with Switch(stage):
        phone = Phone(205, transport="tcp")
        good = phone.message("REGISTER", phone.uri(), to=f"<{phone.uri('205')}>").octets()
        phone.send(good + b"\0\1\2 nonsense\r\n\r\n")
        phone.expect(401)
        check(phone.is_closed(3), "the connection stays open after garbage")


@scenario("hand-made")
def octets_that_are_no_sip_close_the_connection(stage: Stage):
    with Switch(stage):
        for octets in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00" * 30 + b"\r\n\r\n", b"A" * 100_000, b"\0" * 70_000, b"SSH-2.0-x\r\n\r\n"):
            phone = Phone(205, transport="tcp")
            try:
                phone.send(octets)
            except ConnectionError:
                pass
            check(phone.is_closed(3), f"{octets[:20]!r} leaves the connection open")


@scenario("hand-made")
def lengths_that_lie_are_refused(stage: Stage):
    with Switch(stage):
        for length in ("99999999", "4294967296", "18446744073709551617", "-1", "0x10", "1 1", ""):
            phone = Phone(205, transport="tcp")
            phone.send(phone.message("OPTIONS", phone.uri(), {"Content-Length": length}))
            response = phone.receive(LINGER + 1)
            check(response and response.status in (400, 513), f"Content-Length {length!r} got {response and response.start}")
            check(phone.is_closed(3), f"Content-Length {length!r} leaves the connection open")
        phone = Phone(205, transport="tcp")
        message = phone.message("OPTIONS", phone.uri()).octets().replace(b"Content-Length: 0\r\n", b"")
        phone.send(message)
        check(phone.expect(400, LINGER + 1) and phone.is_closed(3), "no Content-Length leaves the connection open")


@scenario("hand-made")
def two_hundred_requests_in_one_segment_are_all_answered(stage: Stage):
    with Switch(stage):
        phone = Phone(205, transport="tcp")
        octets = b"".join(phone.message("OPTIONS", phone.uri(), cseq=n + 1).octets() + b"\r\n\r\n" for n in range(200))
        phone.send(octets)
        numbers = {phone.expect(200).get("CSeq") for _ in range(200)}
        check(len(numbers) == 200, f"{len(numbers)} different answers")


@scenario("hand-made")
def five_thousand_requests_of_a_peer_that_reads_are_all_answered(stage: Stage):
    with Switch(stage):
        phone = Phone(205, transport="tcp").registered()
        octets = b"".join(phone.message("OPTIONS", phone.uri(), cseq=n + 1).octets() for n in range(5000))
        sender = threading.Thread(target=phone.send, args=[octets])
        sender.start()
        answers = 0
        while phone.receive(2):
            answers += 1
        sender.join()
        check(answers == 5000, f"{answers} answers")


@scenario("hand-made", waits=True)
def a_message_octet_by_octet_must_come_in_time(stage: Stage):
    with Switch(stage):
        quick, slow = Phone(205, transport="tcp"), connect()
        began = time.monotonic()
        octets = quick.message("OPTIONS", quick.uri()).octets()
        for at in range(len(octets)):
            quick.send(octets[at : at + 1])
        quick.expect(200)
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        gone = None
        while gone is None and time.monotonic() < began + FIRST_MESSAGE + 4:
            try:
                slow.send(b"X" if time.monotonic() > began + 0.5 else b"OPTIONS ")
                time.sleep(0.5)
            except ConnectionError:
                gone = time.monotonic() - began
        check(gone, "a slow message keeps its connection")
        return f"cut off after {gone:.1f} s"


#: How a connection of each kind stalls: its port, and the octets after which nothing more comes.
STALLS = {
    "TCP": (SIP_PORT, b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127"),
    # The beginning of a ClientHello.
    "TLS": (TLS_PORT, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "WS": (WS_PORT, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nSec-Web"),
    "WSS": (WSS_PORT, b""),
}
#: Connections of each kind; and at full length, from so many addresses each.
STALLED, LONG_STALLED, HOSTS = 500, 5_000, 5
#: How long 99 of 100 phones may need meanwhile to connect over TLS and be answered, alone and beside other scenarios; and when stalled
#: connections must be gone (s).
CONNECTS_WITHIN, BESIDE_OTHERS, GONE_WITHIN = 0.5, 4, 15
#: How much memory a stalled connection may take, in KiB.
EACH_AT_MOST = 32


def stalled(kind: str, count: int) -> list[socket.socket]:
    """That many connections of a kind that say so much and no more."""
    port, octets = STALLS[kind]
    opened = []
    for n in range(count):
        one = socket.socket()
        one.bind((f"127.77.0.{n % HOSTS + 1}", 0))
        one.settimeout(10)
        one.connect(("127.0.0.1", port))
        one.send(octets)
        opened.append(one)
    return opened


def ask_over_tls(switch: Switch) -> float:
    """How long a phone takes to connect over TLS and to be answered."""
    context = ssl.create_default_context(cafile=switch.certificate)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", TLS_PORT), timeout=10) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as phone:
        own = "%s:%d" % phone.getsockname()
        phone.sendall(
            f"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch={fresh('z9hG4bK')}\r\nMax-Forwards: 70\r\nFrom: <sip:a@{own}>;tag=1\r\n"
            f"To: <sip:127.0.0.1>\r\nCall-ID: {fresh()}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode()
        )
        check(phone.recv(65536).startswith(b"SIP/2.0 200 "), "OPTIONS over TLS is not answered with 200")
        return time.monotonic() - began


@scenario("hand-made", waits=True, long=240)
def stalled_connections_hold_up_nobody_and_go(stage: Stage):
    count, figures = LONG_STALLED if stage.long else STALLED, []
    with Switch(stage) as switch:
        # At full length one kind after another: a machine has only so many files.
        for kinds in [[kind] for kind in STALLS] if stage.long else [list(STALLS)]:
            files, memory, began = switch.open_files(), switch.memory(), time.monotonic()
            idle = [one for kind in kinds for one in stalled(kind, count)]
            last, took = time.monotonic(), []
            while time.monotonic() < last + FIRST_MESSAGE / 2:
                took.append(ask_over_tls(switch))
                time.sleep(0.02)
            grown = switch.memory() - memory
            wait_for("end of the stalled connections", lambda: switch.open_files() <= files + 2, last + GONE_WITHIN - time.monotonic())
            gone, ninety_nine = time.monotonic() - last, sorted(took)[len(took) * 99 // 100]
            for one in idle:
                one.close()
            figures.append(
                f"{len(idle):,} of {'+'.join(kinds)} in {last - began:.1f} s, {len(took)} phones over TLS meanwhile, "
                f"p99 {ninety_nine * 1000:.0f} ms, {grown:.0f} MiB more, all gone after {gone:.1f} s"
            )
            within = CONNECTS_WITHIN if stage.long else BESIDE_OTHERS
            check(ninety_nine <= within and grown * 1024 <= EACH_AT_MOST * len(idle), "; ".join(figures))
    return "; ".join(figures)


@scenario("hand-made", waits=True)
def a_peer_that_never_reads_is_cut_off_and_costs_little(stage: Stage):
    with Switch(stage) as switch:
        phone = Phone(205, transport="tcp").registered()
        memory = switch.memory()
        message = phone.message("OPTIONS", phone.uri()).octets()
        phone.socket.settimeout(1)
        cut = False
        end = time.monotonic() + 25
        while not cut and time.monotonic() < end:
            try:
                phone.socket.sendall(message * 20)
            except TimeoutError:
                pass
            except ConnectionError:
                cut = True
        grown = switch.memory() - memory
        check(cut and grown < 32, f"cut off: {cut}, memory grew by {grown:.0f} MiB")
        return f"{grown:.1f} MiB more"


@scenario("hand-made")
def a_call_whose_connection_broke_ends_over_a_new_one(stage: Stage):
    with Switch(stage) as switch:
        phone = Phone(205, transport="tcp").registered()
        call = phone.call("600")
        phone.open()
        call.bye()
        check(switch.record()["cause"] == "hang-up", f"the record says {switch.call_records()}")


@scenario("hand-made")
def a_phone_that_came_back_over_a_new_connection_is_told_that_its_call_ended(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202, transport="tcp").registered(), Phone(205).registered()
        call, _ = connected(caller, callee)
        callee.open()
        callee.registered()
        # The switch may not have seen yet that the old connection is gone.
        call.bye()
        callee.respond(callee.expect("BYE", 4), 200)


@scenario("hand-made")
def a_bye_finds_a_phone_whose_connection_broke_a_moment_before(stage: Stage):
    for transport in ("tcp", "tls"):
        folder = stage.folder / transport
        folder.mkdir()
        with Switch(Stage(stage.binary, stage.checkout, folder)):
            caller, callee = Phone(205, "tcp").registered(), Phone(206, transport).registered()
            calling, _ = connected(caller, callee)
            callee.close()
            calling.bye()
            time.sleep(0.3)
            callee.open()
            callee.registered()
            bye = callee.expect("BYE", 5)
            callee.respond(bye, 200)


@scenario("hand-made")
def a_caller_whose_connection_breaks_before_the_answer_rings_no_longer(stage: Stage):
    with Switch(stage) as switch:
        callee, caller = Phone(202).registered(), Phone(205, transport="tcp").registered()
        caller.invite("202")
        ringing = callee.expect("INVITE")
        callee.respond(ringing, 180)
        caller.close()
        callee.respond(callee.expect("CANCEL", 4), 200)
        callee.respond(ringing, 487)
        check(switch.record()["cause"] == "cancelled", f"the record says {switch.call_records()}")


@scenario("hand-made")
def a_phone_whose_connection_broke_is_not_reachable(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202, transport="tcp").registered(), Phone(205).registered()
        callee.close()
        time.sleep(0.2)
        response = caller.request("INVITE", caller.uri("202"), None, sdp(), 6)
        check(response.status == 480, f"its caller got {response.start}")


@scenario("hand-made")
def half_a_message_and_then_the_end_is_no_message(stage: Stage):
    with Switch(stage) as switch:
        files = switch.open_files()
        for cut in (1, 10, 100, 200, -1):
            phone = Phone(205, transport="tcp")
            octets = phone.message("INVITE", phone.uri("600"), body=sdp()).octets()
            phone.send(octets[:cut])
            phone.close()
        wait_for("end of the connections", lambda: switch.open_files() <= files + 1)
