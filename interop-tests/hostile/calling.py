"""INVITE and what belongs to it: broken offers, forged requests, loops, other people's addresses."""

import time

from harness.phone import Call, Message, Phone, fresh, sdp
from harness.rtp import Stream
from harness.scenario import Stage, check, scenario
from harness.switch import SIP_PORT, Switch

#: A host that has nothing to do with the call.
STRANGER = "127.0.0.3"


def refused(phone: Phone, status, body=None, headers=None, number="600") -> Message:
    """Calls, and must be refused with this status."""
    response = phone.request("INVITE", phone.uri(number), headers, sdp() if body is None else body, 4)
    if response.status == 200:
        call = Call(phone, phone.sent, response)
        call.ack()
        call.bye()
    check(response.status == status, f"{response.start} instead of {status} for {(body or b'').decode('utf-8', 'replace')!r} {headers}")
    return response


@scenario("hand-made")
def offers_without_a_voice_for_us_get_488(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
        for body in (
            sdp(media="video", formats="96", more="a=rtpmap:96 H264/90000\r\n"),
            sdp(formats="4 18 96", more="a=rtpmap:96 speex/16000\r\n"),
            sdp(protocol="RTP/SAVP"),
            sdp(protocol="RTP/SAVP", more=f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4\r\n"),
            sdp(protocol="RTP/SAVP", more=f"a=crypto:1 AES_192_CM_HMAC_SHA1_80 inline:{key}\r\n"),
            sdp(protocol="RTP/SAVP", more=f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key[:-4]}\r\n"),
            sdp(protocol="UDP/TLS/RTP/SAVPF", more="a=fingerprint:sha-256 00\r\n"),
            sdp(port=0),
            sdp(address="239.1.2.3"),
            sdp(address="255.255.255.255"),
            sdp(address="ff02::1"),
            sdp(address="phone.example", family="IP4"),
            sdp(formats="0 8 101").replace(b"c=IN IP4 127.0.0.1\r\n", b""),
            sdp(port=99999),
            sdp(port=-5),
            b"v=0\r\n",
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
            b"v=0",
            b"\0" * 100,
            b"\xff\xfe v=0",
            sdp().replace(b"v=0", b"v=1"),
            sdp() + b"m=audio\r\n",
            sdp() + b"m=video 0 RTP/AVP 96\r\n" * 500,
        ):
            refused(phone, 488, body)


@scenario("hand-made")
def offers_with_oddities_are_answered(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        video = b"m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        odd = {
            "video after audio": sdp() + video,
            "video before audio": sdp().replace(b"m=audio", video + b"m=audio"),
            "line feeds alone": sdp().replace(b"\r\n", b"\n"),
            "no line end at the end": sdp().rstrip(),
            "blank lines": sdp().replace(b"m=", b"\r\nm="),
            "unknown lines": sdp().replace(b"t=", b"Q=?\r\nz\r\n=\r\nt="),
            "Latin-1": sdp().replace(b"s=-", b"s=B\xfcro"),
            "a port count": sdp().replace(b"m=audio 40000", b"m=audio 40000/2"),
            "c= of the stream only": sdp().replace(b"c=IN IP4 127.0.0.1\r\n", b"") + b"c=IN IP4 127.0.0.1\r\n",
            "thirty formats": sdp(formats=" ".join(str(n) for n in range(30))),
            "a format that is no number": sdp(formats="x 0 y"),
            "gigantic, with the audio at its end": sdp().replace(b"m=audio", b"a=x:" + b"y" * 40_000 + b"\r\nm=audio"),
            "sound over IPv6, signalling over IPv4": sdp(address="::1"),
            "lower-case codecs": sdp(formats="97", more="a=rtpmap:97 pcma/8000\r\n"),
        }
        for what, body in odd.items():
            response = phone.request("INVITE", phone.uri("600"), None, body, 3)
            check(response.status == 200, f"{what}: {response.start}")
            call = Call(phone, phone.sent, response)
            call.ack()
            lines = [line for line in response.body.split(b"\r\n") if line.startswith(b"m=")]
            check(len(lines) == body.count(b"m="), f"{what}: the answer has {lines}")
            call.bye()


@scenario("hand-made")
def an_invite_without_an_offer_gets_one_and_its_ack_must_answer(stage: Stage):
    with Switch(stage) as switch, Stream() as mouth:
        phone = Phone(205).registered()
        response = phone.request("INVITE", phone.uri("600"), {"Content-Type": None}, b"")
        check(b"m=audio" in response.body, f"no offer in {response}")
        call = Call(phone, phone.sent, response)
        call.ack(body=sdp(mouth.port))
        mouth.talk(("127.0.0.1", response.port()))
        time.sleep(0.5)
        check(mouth.count() > 10, "no echo after the answer in the ACK")
        call.bye()
        response = phone.request("INVITE", phone.uri("600"), {"Content-Type": None}, b"")
        call = Call(phone, phone.sent, response)
        call.ack()
        call.is_ended()
        check(switch.record(2)["cause"] == "not-acceptable", f"the record says {switch.call_records()[-1]}")


@scenario("hand-made")
def a_body_that_is_no_session_description_gets_415(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        response = refused(phone, 415, b"hello", {"Content-Type": "text/plain"})
        check(response.get("Accept") == "application/sdp", f"no Accept in {response}")
        part = b"--b\r\nContent-Type: application/sdp\r\n\r\n" + sdp() + b"\r\n--b--\r\n"
        refused(phone, 415, part, {"Content-Type": 'multipart/mixed;boundary="b"'})
        refused(phone, 415, sdp(), {"Content-Encoding": "gzip"})


@scenario("hand-made")
def extensions_hops_and_dialogs_that_we_do_not_have_are_refused(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        response = refused(phone, 420, headers={"Require": "x-first, x-second"})
        check(response.get("Unsupported") == "x-first, x-second", f"Unsupported is {response.get('Unsupported')!r}")
        refused(phone, 483, headers={"Max-Forwards": "0"})
        refused(phone, 400, headers={"Contact": None})
        refused(phone, 481, headers={"To": f"<{phone.uri('600')}>;tag=forged"})
        refused(phone, 404, number="404404")
        refused(phone, 403, headers={"From": f"<sip:206@{phone.domain}>;tag=x"})
        for method, status in {"SUBSCRIBE": 489, "MESSAGE": 404, "REFER": 403, "PUBLISH": 405, "NOTIFY": 405, "PRACK": 481, "INFO": 481, "UPDATE": 481, "BYE": 481, "FROBNICATE": 501}.items():
            response = phone.request(method, phone.uri("600"))
            check(response.status == status, f"{method} got {response.start}")
            check(status not in (405, 501) or response.get("Allow"), f"{method}: no Allow in {response}")
        for uri in ("tel:600", "http://600", "sips:600@127.0.0.1", "urn:service:sos"):
            phone.send(phone.message("OPTIONS", uri))
            status = phone.final("OPTIONS", 1).status
            check(status in (200, 416), f"OPTIONS {uri} got {status}")


@scenario("hand-made")
def requests_by_way_of_ourselves_are_taken(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        for headers in ({"Route": f"<sip:127.0.0.1:{SIP_PORT};lr>"}, {"Route": "<sip:elsewhere.example;lr>"}, {"Record-Route": f"<sip:{STRANGER};lr>"}):
            call = phone.call("600", headers=headers)
            call.bye()


@scenario("hand-made")
def responses_go_to_the_source_whatever_the_via_says(stage: Stage):
    with Switch(stage), Stream(STRANGER, SIP_PORT) as victim:
        phone = Phone(205)
        for via in (
            f"SIP/2.0/UDP {STRANGER}:{SIP_PORT};rport;branch=%s",
            f"SIP/2.0/UDP {phone.address};maddr={STRANGER};rport;branch=%s",
            f"SIP/2.0/UDP {phone.address};received={STRANGER};rport={SIP_PORT};branch=%s",
            f"SIP/2.0/UDP {STRANGER}:{phone.port};branch=%s",
            f"SIP/2.0/UDP {phone.address};rport;branch=%s, SIP/2.0/UDP {STRANGER}:{SIP_PORT};branch=%s2",
        ):
            for method in ("OPTIONS", "REGISTER", "INVITE"):
                phone.send(phone.message(method, phone.uri("600"), {"Via": via.replace("%s", fresh("z9hG4bK"))}))
                check(phone.receive(), f"no answer to {method} with Via {via}")
        time.sleep(0.2)
        check(not victim.heard, f"a third host got {victim.heard[:1]}")


@scenario("hand-made", waits=True)
def an_answer_is_hardly_longer_than_its_question(stage: Stage):
    with Switch(stage):
        phone, factors = Phone(205), {}
        for method in ("REGISTER", "INVITE", "OPTIONS", "BYE", "SUBSCRIBE"):
            message = phone.message(method, phone.uri("600"))
            phone.send(message)
            answers = []
            while response := phone.receive(1.2):
                answers.append(len(response.octets()))
            check(len(answers) == 1, f"{method}: {len(answers)} answers to one request")
            factors[method] = round(answers[0] / len(message.octets()), 2)
        check(max(factors.values()) < 2, f"octets answered for each octet asked: {factors}")
        return f"octets answered for each octet asked: {factors}"


@scenario("hand-made")
def a_phone_that_registers_our_own_address_makes_no_loop(stage: Stage):
    with Switch(stage) as switch:
        loop, caller = Phone(202), Phone(205).registered()
        for contact in (f"<sip:202@127.0.0.1:{SIP_PORT}>", f"<sip:205@127.0.0.1:{SIP_PORT}>", f"<sip:202@[::1]:{SIP_PORT};transport=tcp>", f"<sip:700@127.0.0.1:{SIP_PORT};maddr=127.0.0.1>"):
            loop.registered(contact=contact)
        processor = switch.processor_time()
        caller.invite("202")
        # It is called where it registered from, wherever its Contact points.
        calls = [loop.expect("INVITE") for _ in range(4)]
        for call in calls:
            loop.respond(call, 480)
        check(caller.final("INVITE", 5, 1).status == 480, "the caller does not get the 480")
        check(switch.processor_time() - processor < 0.2, "it works hard for nothing")


@scenario("hand-made")
def phones_that_forward_in_a_circle_are_called_once_each(stage: Stage):
    with Switch(stage) as switch:
        circle, caller = [Phone(number).registered() for number in (202, 203, 204)], Phone(205).registered()
        caller.invite("202")
        for phone, target in zip(circle, circle[1:] + circle[:1]):
            phone.respond(phone.expect("INVITE"), 302, headers={"Contact": f"<{phone.uri(target.number)}>"})
            phone.expect("ACK")
        refusal = caller.final("INVITE", 5)
        check(refusal.status == 482, f"the caller got {refusal.start}")
        check(all(phone.silence() for phone in circle), "a phone is called again")
        record = switch.record()
        check(record["cause"] == "loop", f"the record says {record['cause']}")


@scenario("hand-made")
def a_contact_on_another_host_is_not_called(stage: Stage):
    with Switch(stage), Stream(STRANGER, SIP_PORT) as victim:
        callee, caller = Phone(202).registered(contact=f"<sip:202@{STRANGER}:{SIP_PORT}>"), Phone(205).registered()
        caller.invite("202")
        callee.respond(callee.expect("INVITE"), 486)
        check(caller.final("INVITE", 5).status == 486, "the caller does not get the 486")
        call = caller.call("600", headers={"Contact": f"<sip:205@{STRANGER}:{SIP_PORT}>"})
        call.bye()
        check(not victim.heard, f"a third host got {victim.heard[:1]}")


@scenario("hand-made")
def redirections_elsewhere_and_challenges_of_the_called_phone_are_not_followed(stage: Stage):
    with Switch(stage), Stream(STRANGER, SIP_PORT) as victim:
        callee, caller = Phone(202).registered(), Phone(205).registered()
        caller.cseq = 5
        for status, headers in (
            (302, {"Contact": f"<sip:404404@{STRANGER}:{SIP_PORT}>"}),
            (305, {"Contact": f"<sip:{STRANGER}:{SIP_PORT}>"}),
            (401, {"WWW-Authenticate": 'Digest realm="ringmaster", nonce="1"'}),
            (407, {"Proxy-Authenticate": 'Digest realm="ringmaster", nonce="1"'}),
            (699, {}),
        ):
            caller.cseq += 1
            caller.invite("202", cseq=caller.cseq)
            callee.respond(callee.expect("INVITE"), status, headers=headers)
            callee.expect("ACK")
            response = caller.final("INVITE", caller.cseq)
            check(400 <= response.status <= 699 and response.status not in (401, 407), f"{status} of the callee became {response.start}")
            check(not response.get("Contact") and not response.get("WWW-Authenticate"), f"the callee's words are passed on: {response}")
        check(callee.silence() and not victim.heard, "somebody is called again")


@scenario("hand-made")
def odd_answers_of_the_called_phone_end_the_call(stage: Stage):
    with Switch(stage) as switch:
        callee, caller = Phone(202).registered(), Phone(205).registered()
        number = 0
        for body in (b"", b"x", sdp(media="video"), sdp(port=0), sdp(formats="4"), sdp(address="239.1.2.3"), sdp(protocol="RTP/SAVP")):
            number += 1
            caller.invite("202", cseq=10 + number)
            call = callee.expect("INVITE")
            accepted = callee.respond(call, 200, body, tag=f"t{number}")
            callee.expect("ACK")
            Call(callee, call, accepted, called=True).is_ended()
            check(caller.final("INVITE", 10 + number).status in (480, 488), f"the caller of a phone that answers {body!r}")
            check(switch.record(number)["cause"] == "not-acceptable", f"the record says {switch.call_records()[-1]['cause']}")


@scenario("hand-made", waits=True)
def several_answers_to_one_invite_leave_one_call(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202).registered(), Phone(205).registered()
        caller.invite("202")
        call = callee.expect("INVITE")
        answers = [callee.respond(call, 200, sdp(), tag=f"fork{n}") for n in range(20)]
        ended = set()
        while message := callee.receive(1):
            if message.method == "BYE" and not message.status:
                callee.respond(message, 200)
                ended.add(message.tag("To"))
        check("fork0" not in ended and len(ended) >= 5, f"BYE for {sorted(ended)}")
        check(caller.final("INVITE", 5).status == 200, "the caller is not connected")
        Call(callee, call, answers[0], called=True).bye()


@scenario("hand-made", waits=True)
def an_ack_with_a_wrong_number_or_tag_acknowledges_nothing(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        call = phone.call("600", acks=False)
        phone.send(call.message("ACK", cseq=call.cseq + 1))
        phone.send(call.message("ACK", cseq=call.cseq, headers={"To": f"<{phone.uri('600')}>;tag=wrong"}))
        phone.send(call.message("ACK", cseq=call.cseq, headers={"From": f"<{phone.uri('205')}>;tag=wrong"}))
        phone.send(call.message("ACK", cseq=call.cseq, headers={"Call-ID": "wrong"}))
        check(phone.final("INVITE", call.cseq, 2).status == 200, "the 200 is not repeated")
        call.ack()
        phone.inbox.clear()
        phone.receive(0.3)
        check(phone.silence(4.5), "the 200 is repeated after its ACK")
        call.bye()


@scenario("hand-made", waits=True)
def a_call_without_ack_is_ended_after_32_seconds(stage: Stage):
    with Switch(stage) as switch, Stream() as mouth:
        phone = Phone(205).registered()
        call = phone.call("600", sdp(mouth.port), acks=False)
        mouth.talk(("127.0.0.1", call.description.port()))
        repeated = 0
        end = time.monotonic() + 35
        while time.monotonic() < end:
            message = phone.receive(1)
            repeated += bool(message and message.status == 200)
            if message and message.method == "BYE":
                phone.respond(message, 200)
                break
        check(9 <= repeated <= 11, f"the 200 was repeated {repeated} times")
        check(switch.record()["cause"] == "peer-gone", f"the record says {switch.call_records()}")


@scenario("hand-made")
def a_forged_cancel_cancels_nothing(stage: Stage):
    with Switch(stage):
        callee, caller, thief = Phone(202).registered(), Phone(205).registered(), Phone(206)
        original = caller.invite("202")
        ringing = callee.expect("INVITE")
        callee.respond(ringing, 180)
        cancel = caller.acknowledge(original, original)
        cancel.start = cancel.start.replace("ACK", "CANCEL")
        cancel.headers = [(name, value.replace("ACK", "CANCEL") if name == "CSeq" else value) for name, value in cancel.headers]
        for name, value in (("Via", f"SIP/2.0/UDP {caller.address};rport;branch=z9hG4bKwrong"), ("Via", original.get("Via").replace(caller.address, "127.0.0.1:1"))):
            forged = Message(cancel.start, [(key, value if key == name else old) for key, old in cancel.headers])
            thief.send(forged)
            check(thief.final("CANCEL", 5).status == 481, f"a CANCEL with {value} is taken")
        check(callee.silence(), "the callee's phone stops ringing")
        caller.send(cancel)
        check(caller.final("CANCEL", 5).status == 200 and caller.final("INVITE", 5).status == 487, "the true CANCEL is not taken")
        callee.respond(callee.expect("CANCEL"), 200)
        callee.respond(ringing, 487)


@scenario("hand-made")
def nobody_else_hangs_up(stage: Stage):
    with Switch(stage) as switch:
        phone = Phone(205).registered()
        call = phone.call("600")
        stranger, neighbour = Phone(206, host="127.0.0.2"), Phone(206)
        bye = call.message("BYE", cseq=call.cseq + 10)

        def forged(**changes):
            return Message(bye.start, [(name, changes.get(name.replace("-", "_"), fresh("SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK") if name == "Via" else value)) for name, value in bye.headers])

        stranger.send(forged())
        check(stranger.final("BYE", call.cseq + 10).status == 401, "a BYE from another host is taken")
        for changes in ({"To": f"<{phone.uri('600')}>"}, {"To": f"<{phone.uri('600')}>;tag=1"}, {"From": f"<{phone.uri('205')}>;tag=1"}, {"Call_ID": "1"}):
            neighbour.send(forged(**changes))
            check(neighbour.final("BYE", call.cseq + 10).status == 481, f"a BYE with {changes} is taken")
        check(not switch.call_records(), "the call has ended")
        call.bye()


@scenario("hand-made")
def a_phone_that_moved_to_another_host_hangs_up_with_its_password(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        call = phone.call("600")
        moved = Phone(205, host="127.0.0.2")
        call.phone = moved
        first = call.request("BYE")
        check(first.status == 401, f"BYE from elsewhere got {first.start}")
        moved.learn(first)
        check(call.request("BYE", headers={"Authorization": moved.authorization("BYE", call.target)}).status == 200, "it may not hang up")


@scenario("hand-made")
def requests_out_of_order_or_of_no_use_leave_the_call_standing(stage: Stage):
    with Switch(stage):
        phone = Phone(205).registered()
        call = phone.call("600")
        old = call.message("INFO", cseq=call.cseq)
        phone.send(old)
        check(phone.final("INFO", call.cseq).status == 500, "a CSeq that was used is taken")
        for method, status in {"OPTIONS": 200, "INFO": 200, "UPDATE": 200, "MESSAGE": 401, "SUBSCRIBE": 489, "PRACK": 400, "REFER": 400, "FROB": 501, "REGISTER": 401}.items():
            got = call.request(method).status
            check(got == status, f"{method} in the call got {got}")
        check(call.request("INFO", b"x", {"Content-Type": "text/plain"}).status == 415, "INFO with text")
        check(call.request("INFO", b"Signal=5\r\nDuration=160\r\n", {"Content-Type": "application/dtmf-relay"}).status == 200, "INFO with a key")
        check(call.request("UPDATE", sdp()).status == 200, "UPDATE with an offer")
        check(call.request("INVITE", sdp(formats="4")).status == 488, "a re-INVITE without a codec of ours")
        check(call.request("INVITE", b"x").status == 488, "a re-INVITE with nonsense")
        check(call.request("INVITE", sdp(), {"Require": "x-first"}).status == 420, "a re-INVITE that requires")
        call.bye()
        check(call.request("BYE").status == 481, "a second BYE")


@scenario("hand-made")
def two_thousand_reinvites_leave_the_call_standing(stage: Stage):
    with Switch(stage) as switch, Stream() as mouth:
        phone = Phone(205).registered()
        call = phone.call("600", sdp(mouth.port))
        mouth.talk(("127.0.0.1", call.description.port()))
        memory = switch.memory()
        for n in range(2000):
            call.cseq += 1
            phone.send(call.message("INVITE", sdp(mouth.port), cseq=call.cseq))
            if n % 50 == 0:
                while phone.receive(0):
                    pass
        time.sleep(0.5)
        while phone.receive(0.2):
            pass
        heard = mouth.count()
        time.sleep(1)
        check(mouth.count() - heard > 40, f"{mouth.count() - heard} packets in a second afterwards")
        grown = switch.memory() - memory
        check(grown < 32, f"memory grew by {grown:.0f} MiB")
        call.ack()
        call.bye()


@scenario("hand-made")
def overlapping_invites_in_one_dialog_are_told_to_wait(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202).registered(), Phone(205).registered()
        original = caller.invite("202")
        ringing = callee.expect("INVITE")
        callee.respond(ringing, 180)
        early = caller.receive(1)
        while early and early.status != 180:
            early = caller.receive(1)
        call = Call(caller, original, early)
        response = call.request("INVITE", sdp())
        check(response.status == 500 and response.get("Retry-After"), f"an INVITE in the early dialog got {response}")
        response = call.request("UPDATE", sdp())
        check(response.status in (491, 500), f"an UPDATE in the early dialog got {response.start}")
        check(call.request("UPDATE").status == 200, "an UPDATE without an offer in the early dialog")
        check(call.request("BYE").status == 200, "BYE in the early dialog")
        check(caller.final("INVITE", 5).status == 487, "the INVITE has no end")
        callee.respond(callee.expect("CANCEL"), 200)
        callee.respond(ringing, 487)


@scenario("hand-made")
def one_invite_by_two_ways_rings_once(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202).registered(), Phone(205).registered()
        original = caller.invite("202")
        ringing = callee.expect("INVITE")
        caller.send(original)
        uri = caller.uri("202")
        headers = [(name, f"SIP/2.0/UDP {caller.address};rport;branch={fresh('z9hG4bK')}" if name == "Via" else value) for name, value in original.headers if name != "Authorization"]
        caller.send(Message(original.start, [*headers, ("Authorization", caller.authorization("INVITE", uri))], original.body))
        check(caller.final("INVITE", 5).status == 482, "the same INVITE by another way is taken")
        check(callee.silence(), "it rings twice")
        callee.respond(ringing, 486)
        check(caller.final("INVITE", 5).status == 486, "the caller does not get the 486")


@scenario("hand-made")
def names_of_callers_come_through_whatever_they_hold(stage: Stage):
    with Switch(stage) as switch:
        callee, caller = Phone(202).registered(), Phone(205).registered()
        names = ['"\\"; DROP TABLE <b> %s %n \\\\"', '"J\u00fcrgen \u4e16\u754c \u202e"', '"' + "x" * 900 + '"', '"<sip:201@127.0.0.1>;tag=z"', "", "a.b!%*_+`'~ c-d", '"tab\there"']
        for n, name in enumerate(names, 1):
            caller.invite("202", {"From": f"{name} <sip:205@{caller.domain}>;tag=n{n}"}, cseq=10 + n)
            ringing = callee.expect("INVITE")
            check(ringing.get("From").count("<sip:205@") == 1 and ringing.tag("From"), f"{name!r} became {ringing.get('From')!r}")
            callee.respond(ringing, 486)
            check(caller.final("INVITE", 10 + n).status == 486, "the caller does not get the 486")
            switch.record(n)


@scenario("hand-made", waits=True)
def sound_is_not_aimed_at_a_third_host(stage: Stage):
    with Switch(stage), Stream(STRANGER) as victim:
        phone = Phone(205).registered()
        bodies = {"sendrecv": sdp(victim.port, STRANGER), "recvonly": sdp(victim.port, STRANGER, more="a=recvonly\r\n")}
        for what, body in bodies.items():
            call = phone.call("601", body)
            before = len(victim.heard)
            time.sleep(8)
            got = len(victim.heard) - before
            check(got <= 260, f"{what}: a host that said nothing got {got} packets in 8 s")
            call.bye()
