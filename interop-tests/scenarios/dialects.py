"""What desk phones do that SIPp and our softphones do not: phones made by hand."""

import os
import socket
import struct

from harness.phone import Call, Message, Phone, connected, is_readable, sdp
from harness.scenario import Stage, check, scenario
from harness.switch import SIP_PORT, Switch

#: The magic cookie of STUN, and the attribute that tells where a request came from (RFC 8489).
COOKIE, XOR_MAPPED_ADDRESS = 0x2112A442, 0x0020
#: A text with which a MESSAGE is larger than a datagram should be (1,300 octets; RFC 3261 section 18.1.1).
LARGE = b"x" * 1_100


def mapped_address(answer: bytes) -> tuple[str, int]:
    """Where a STUN binding response says that its request came from."""
    place = 20
    while place + 4 <= len(answer):
        kind, length = struct.unpack("!HH", answer[place : place + 4])
        if kind == XOR_MAPPED_ADDRESS:
            port, address = struct.unpack("!HI", answer[place + 6 : place + 12])
            return socket.inet_ntoa(struct.pack("!I", address ^ COOKIE)), port ^ COOKIE >> 16
        place += 4 + (length + 3 & ~3)
    return "", 0


@scenario("hand-made")
def phones_keep_their_flows_alive_by_stun_and_by_line_ends(stage: Stage):
    with Switch(stage):
        for phone in (Phone(205).registered(), Phone(206).registered()):
            request = struct.pack("!HHI", 1, 0, COOKIE) + os.urandom(12)
            phone.send(request)
            check(is_readable(phone.socket, 2), "STUN gets no answer")
            answer = phone.socket.recv(2048)
            check(answer[:2] == b"\1\1" and answer[4:20] == request[4:20], f"STUN gets {answer!r}")
            told = mapped_address(answer)
            check(told == (phone.host, phone.port), f"STUN tells {told}, not {phone.address}")
        for transport in ("tcp", "tls"):
            phone = Phone(205, transport).registered()
            phone.send(b"\r\n\r\n")
            check(is_readable(phone.socket, 2), f"two line ends get no answer over {transport}")
            answer = phone.socket.recv(2048)
            check(answer == b"\r\n", f"two line ends get {answer!r} over {transport}")


@scenario("hand-made")
def a_large_message_goes_over_tcp_and_over_udp_where_nobody_listens(stage: Stage):
    with Switch(stage):
        writer, reader, deaf = Phone(205, "tcp").registered(), Phone(206).registered(), Phone(207).registered()
        with socket.create_server((reader.host, reader.port)) as listener:
            writer.send(writer.message("MESSAGE", writer.uri("206"), text(writer, "206"), LARGE))
            check(is_readable(listener, 4), "nobody connects to the phone")
            over_tcp = Phone(206, "tcp")
            over_tcp.socket = listener.accept()[0]
            message = over_tcp.expect("MESSAGE", 4)
            check(message.body == LARGE and message.get("Via").startswith("SIP/2.0/TCP "), f"it gets {message.start}, {message.get('Via')}")
            over_tcp.respond(message, 200)
            check(writer.final("MESSAGE", 1).status == 200, "the writer gets no 200")
        writer.send(writer.message("MESSAGE", writer.uri("207"), text(writer, "207"), LARGE))
        message = deaf.expect("MESSAGE", 4)
        check(message.get("Via").startswith("SIP/2.0/UDP "), f"its Via is {message.get('Via')}")
        deaf.respond(message, 200)
        check(writer.final("MESSAGE", 1).status == 200, "the writer gets no 200")


def text(phone: Phone, number: str) -> dict:
    """The header fields of a text to that number, with credentials."""
    return {"Content-Type": "text/plain", "Authorization": phone.authorization("MESSAGE", phone.uri(number))}


@scenario("hand-made")
def a_call_that_must_be_encrypted_rings_no_phone_without_tls(stage: Stage):
    with Switch(stage):
        caller, safe, open_phone = Phone(205, "tls").registered(), Phone(206, "tls"), Phone(207).registered()
        safe.registered(contact=f"<sips:206@{safe.address}>")
        caller.invite("207", uri=f"sips:207@{caller.domain}", headers={"Contact": f"<sips:205@{caller.address}>"})
        refusal = caller.final("INVITE", 5)
        check(refusal.status == 480 and open_phone.silence(), f"the phone over UDP: {refusal.start}")
        caller.send(caller.acknowledge(caller.sent, refusal))
        invite = caller.invite("206", uri=f"sips:206@{caller.domain}", headers={"Contact": f"<sips:205@{caller.address}>"})
        called = safe.answer()
        check(called.invite.start.startswith("INVITE sips:"), f"the phone over TLS gets {called.invite.start}")
        calling = Call(caller, invite, caller.final("INVITE", 5))
        calling.ack()
        called.bye()
        calling.is_ended()


@scenario("hand-made")
def a_key_told_by_info_leads_a_customer_out_of_the_queue(stage: Stage):
    settings = {("queues", "exit_key"): '"0"', ("queues", "exit_transfer_dst"): '"206"'}
    with Switch(stage, settings):
        customer, other = Phone(205).registered(), Phone(206).registered()
        call = customer.call(700)
        for kind, body in (("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), ("application/dtmf", b"0")):
            answer = call.request("INFO", body, {"Content-Type": kind})
            check(answer.status == 200, f"INFO of {kind} gets {answer.start}")
        called = other.answer()
        called.bye()
        call.is_ended()


@scenario("hand-made")
def phones_that_stop_ringing_are_told_that_another_answered(stage: Stage):
    with Switch(stage) as switch:
        caller, quick, slow = Phone(205).registered(), Phone(206).registered(), Phone(207).registered()
        invite = caller.invite("800")
        slow.respond(slow.expect("INVITE"), 180)
        called = quick.answer()
        calling = Call(caller, invite, caller.final("INVITE", 5))
        calling.ack()
        cancel = slow.expect("CANCEL")
        slow.respond(cancel, 200)
        reason = cancel.get("Reason")
        check(reason.startswith("SIP") and "cause=200" in reason, f"its CANCEL says {reason!r}")
        calling.request("BYE", headers={"Reason": 'Q.850;cause=16;text="Terminated"'})
        bye = called.phone.expect("BYE")
        called.phone.respond(bye, 200)
        check("cause=16" in bye.get("Reason"), f"the other side is told {bye.get('Reason')!r}")
        check(switch.record()["cause"] == "hang-up", "the record names another cause")


@scenario("hand-made")
def an_account_sees_its_phones_come_and_go(stage: Stage):
    with Switch(stage):
        watcher = Phone(205).registered()
        response = watcher.request("SUBSCRIBE", watcher.uri("205"), {"Event": "reg", "Expires": 600})
        check(response.status == 200, f"SUBSCRIBE gets {response.start}")
        check(told(watcher).count("<contact ") == 1, "the first document does not tell of one phone")
        second = Phone(205).registered()
        check(told(watcher).count("<contact ") == 2, "the second phone is not told")
        second.register(expires=0)
        check(told(watcher).count("<contact ") == 1, "the end of the second phone is not told")


def told(watcher: Phone) -> str:
    """The document of the next NOTIFY."""
    notify = watcher.expect("NOTIFY", 5)
    watcher.respond(notify, 200)
    return notify.body.decode()


@scenario("hand-made")
def a_lamp_key_takes_the_call_of_a_phone_that_rings(stage: Stage):
    with Switch(stage) as switch:
        caller, ringing, colleague = Phone(205).registered(), Phone(206).registered(), Phone(207).registered()
        invite = caller.invite("206")
        at = ringing.expect("INVITE")
        ringing.respond(at, 180)
        response = colleague.request("SUBSCRIBE", colleague.uri("206"), {"Event": "dialog", "Expires": 600})
        check(response.status == 200, f"SUBSCRIBE gets {response.start}")
        document = told(colleague)
        value = lambda name: document.partition(f' {name}="')[2].partition('"')[0]  # noqa: E731
        replaces = f"{value('call-id')};to-tag={value('remote-tag')};from-tag={value('local-tag')};early-only"
        call = colleague.call("205", headers={"Replaces": replaces, "Require": "replaces"})
        ringing.respond(ringing.expect("CANCEL"), 200)
        ringing.respond(at, 487)
        calling = Call(caller, invite, caller.final("INVITE", 5))
        calling.ack()
        calling.bye()
        call.is_ended()
        transfer = switch.record()["transfers"][0]
        check((transfer["kind"], transfer["by"]) == ("pickup", "207"), f"the record says {transfer}")


@scenario("hand-made")
def who_transfers_and_hangs_up_at_once_is_told_the_end(stage: Stage):
    with Switch(stage):
        caller, boss, third = Phone(205).registered(), Phone(206).registered(), Phone(207).registered()
        calling, called = connected(caller, boss)
        response = called.request("REFER", headers={"Refer-To": f"<{boss.uri('207')}>"})
        check(response.status == 202, f"REFER got {response.start}")
        check("100" in report(boss), "the first report is another")
        called.bye()
        theirs = third.answer()
        while "200" not in (said := report(boss)):
            check("180" in said, f"the report is {said}")
        calling.bye()
        theirs.is_ended()


def report(phone: Phone) -> str:
    """What the next NOTIFY says of a transfer."""
    notify: Message = phone.expect("NOTIFY", 5)
    phone.respond(notify, 200)
    return notify.body.decode().strip()
