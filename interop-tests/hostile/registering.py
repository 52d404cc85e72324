"""REGISTER and digest: the door that everybody on the network may knock at."""

import random
import statistics
import time

from harness.phone import Call, Message, Phone, digest, fresh, parameters, sdp
from harness.scenario import Stage, check, scenario
from harness.switch import SIP_PORT, TRUSTING, Switch


def refusal(phone: Phone) -> Message:
    """The answer to a REGISTER with the phone's credentials, without what differs from answer to answer."""
    response = phone.register()
    kept = [(name, value) for name, value in response.headers if name not in ("Via", "From", "To", "Call-ID", "CSeq", "WWW-Authenticate")]
    challenges = [sorted(key for key in parameters(one)) for one in response.all("WWW-Authenticate")]
    return f"{response.start} {kept} {challenges}"


@scenario("hand-made")
def a_wrong_password_and_an_unknown_user_get_the_same_answer(stage: Stage):
    with Switch(stage):
        wrong, unknown = Phone(201, password="wrong"), Phone(999, password="wrong")
        answers = {refusal(phone) for phone in (wrong, unknown)}
        check(len(answers) == 1, f"the answers differ: {answers}")
        check("401" in answers.pop(), "the answer is not 401")


@scenario("hand-made")
def a_wrong_password_and_an_unknown_user_take_the_same_time(stage: Stage):
    with Switch(stage, TRUSTING):
        phones = [Phone(201, password="wrong"), Phone(999, password="wrong")]
        times = [[], []]
        for phone in phones:
            phone.register()
        for n in range(10_000):
            which = random.getrandbits(1)
            phone = phones[which]
            uri = phone.uri()
            message = phone.message("REGISTER", uri, {"Authorization": phone.authorization("REGISTER", uri)}, to=f"<{phone.uri(phone.number)}>")
            octets = message.octets()
            began = time.perf_counter_ns()
            phone.socket.sendto(octets, (phone.server, SIP_PORT))
            phone.socket.recv(4096)
            times[which].append(time.perf_counter_ns() - began)
        # How well a threshold tells them apart: 0.5 is chance (area under the ROC curve, by ranks).
        ranked = sorted((t, which) for which in (0, 1) for t in times[which])
        ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which)
        known, unknown = len(times[0]), len(times[1])
        area = (ranks - unknown * (unknown + 1) / 2) / (known * unknown)
        medians = [statistics.median(one) / 1000 for one in times]
        figures = f"area {area:.3f} after 10,000 answers, medians {medians[0]:.0f} and {medians[1]:.0f} us"
        check(abs(area - 0.5) < 0.05, f"an unknown user shows by the time of the answer: {figures}")
        return figures


@scenario("hand-made")
def a_nonce_count_serves_once(stage: Stage):
    with Switch(stage):
        phone = Phone(201).registered()
        uri = phone.uri()
        again = phone.register(headers={"Authorization": phone.authorization("REGISTER", uri, nc=1)})
        check(again.status == 401 and "stale=true" in again.get("WWW-Authenticate").lower(), f"a replayed nonce count got {again}")
        check(phone.register(headers={"Authorization": phone.authorization("REGISTER", uri, nc=7)}).status == 200, "a later count is not taken")
        # A count below the highest serves once, too: requests overtake each other.
        for count, status in ((6, 200), (6, 401), (7, 401)):
            got = phone.register(headers={"Authorization": phone.authorization("REGISTER", uri, nc=count)}).status
            check(got == status, f"count {count} after 7 got {got}")


@scenario("hand-made")
def a_whole_request_cannot_be_replayed_from_elsewhere(stage: Stage):
    with Switch(stage):
        phone, thief = Phone(201).registered(), Phone(201)
        stolen = Message(phone.sent.start, phone.sent.headers, phone.sent.body)
        stolen.headers = [(name, value.replace("z9hG4bK", "z9hG4bKx") if name == "Via" else value) for name, value in stolen.headers]
        thief.send(stolen)
        thief.expect(401)


@scenario("hand-made")
def an_invented_nonce_is_worth_nothing(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        phone.learn(phone.register(headers={"Authorization": "Digest x"}))
        nonce = parameters(phone.challenge)["nonce"]
        invented = [nonce[:-1] + ("0" if nonce[-1] != "0" else "1"), "0" * len(nonce), nonce + "00", "", "f" * 4000, "\u00e9" * 22]
        for one in invented:
            challenge = f'Digest realm="ringmaster", nonce="{one}", algorithm=SHA-256, qop="auth"'
            value = digest(challenge, "REGISTER", phone.uri(), "201", phone.password)
            response = phone.register(headers={"Authorization": value})
            check(response.status == 401, f"nonce {one[:50]!r} got {response.start}")


@scenario("hand-made")
def credentials_for_another_uri_or_method_are_refused(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        phone.register(expires=0)
        uri = phone.uri()
        other = phone.register(headers={"Authorization": phone.authorization("REGISTER", "sip:elsewhere.example")})
        check(other.status == 400, f"a foreign digest-uri got {other.start}")
        other = phone.register(headers={"Authorization": phone.authorization("INVITE", uri)})
        check(other.status == 401, f"credentials of an INVITE got {other.start}")


@scenario("hand-made")
def odd_credentials_are_challenged_again(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        phone.register(expires=0)
        uri = phone.uri()

        def authorization(**changes):
            return phone.authorization("REGISTER", uri, **changes)

        odd = {
            "RFC 2069 style, without qop": authorization(qop=None),
            "auth-int": authorization(qop="auth-int"),
            "another realm": authorization(realm='"asterisk"'),
            "no response": authorization(response=None),
            "an empty response": authorization(response='""'),
            "a short response": authorization(response='"0123"'),
            "no username": authorization(username=None),
            "an empty username": authorization(username='""'),
            "a long username": authorization(username=f'"{"a" * 4000}"'),
            "nc not hexadecimal": authorization(**{"nc": 1}).replace("nc=00000001", "nc=zzzzzzzz"),
            "nc too long": authorization().replace("nc=0000", "nc=00000000000000000000"),
            "another scheme": "Basic MjAxOnJpbmdtYXN0ZXItMjAx",
            "nothing": "Digest",
            "only commas": "Digest ,,,,",
            "an open quote": 'Digest username="201',
            "an unknown algorithm": authorization(algorithm="SHA-512-256"),
        }
        for what, value in odd.items():
            response = phone.register(headers={"Authorization": value})
            check(response.status in (400, 401), f"{what}: {response.start}")


@scenario("hand-made")
def md5_and_sha_256_phones_register_and_sha_256_stands_first(stage: Stage):
    with Switch(stage):
        first = Phone(201, algorithm="MD5")
        response = first.register(headers={"Authorization": "Digest x"})
        order = [parameters(one)["algorithm"] for one in response.all("WWW-Authenticate")]
        check(order == ["SHA-256", "MD5"], f"the challenges are {order}")
        first.registered()
        Phone(202, algorithm="SHA-256").registered()


@scenario("hand-made")
def a_phone_does_not_register_or_call_for_another(stage: Stage):
    with Switch(stage):
        thief = Phone(205).registered()
        response = thief.register(to=f"<{thief.uri('201')}>")
        check(response.status == 403, f"205 registering 201 got {response.start}")
        response = thief.request("INVITE", thief.uri("600"), {"From": f"<sip:201@{thief.domain}>;tag=x"}, sdp())
        check(response.status == 403, f"205 calling as 201 got {response.start}")


@scenario("hand-made")
def a_star_needs_expires_0_and_nothing_beside_it(stage: Stage):
    with Switch(stage):
        phone = Phone(201).registered()
        check(phone.register(contact="*", expires=60).status == 400, "* with Expires 60")
        check(phone.register(contact=f"*, <sip:201@{phone.address}>", expires=0).status == 400, "* beside a Contact")
        response = phone.register(contact="*", expires=0)
        check(response.status == 200 and not response.get("Contact"), f"* with Expires 0: {response}")


@scenario("hand-made")
def eleven_contacts_are_refused_and_eleven_phones_leave_ten(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        many = ", ".join(f"<sip:201@127.0.0.1:{5000 + n}>" for n in range(11))
        check(phone.register(contact=many).status == 403, "eleven Contacts in one REGISTER")
        for n in range(11):
            response = phone.register(contact=f"<sip:201@127.0.0.1:{5000 + n}>")
            check(response.status == 200, f"Contact {n} got {response.start}")
        contacts = response.all("Contact")
        check(len(contacts) == 10 and not any(":5000>" in one for one in contacts), f"the bindings are {contacts}")


@scenario("hand-made")
def contacts_of_real_phones_are_kept_and_called(stage: Stage):
    with Switch(stage):
        callee, caller = Phone(202), Phone(205)
        contact = (
            f'"a, <b>; \\"c\\"" <sip:202;x=%41@{callee.address};transport=udp;line=a1b2>;reg-id=1;q=0.5'
            ';+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";audio;methods="INVITE,ACK"'
        )
        response = callee.register(contact=contact)
        check(response.status == 200 and ";line=a1b2>" in response.get("Contact"), f"REGISTER got {response}")
        caller.register(expires=0)
        caller.invite("202")
        invite = callee.expect("INVITE")
        check(invite.start == f"INVITE sip:202;x=%41@{callee.address};transport=udp;line=a1b2 SIP/2.0", f"the Request-URI is {invite.start}")
        callee.respond(invite, 486)
        check(caller.final("INVITE", 5).status == 486, "the caller does not get the 486")


@scenario("hand-made")
def compact_and_folded_header_fields_register(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        phone.register(expires=0)
        uri = phone.uri()
        authorization = phone.authorization("REGISTER", uri).replace(", ", ",\r\n\t ")
        phone.send(
            f"REGISTER {uri} SIP/2.0\r\nv : SIP/2.0/UDP\r\n {phone.address} ;rport ;branch={fresh('z9hG4bK')}\r\nMAX-FORWARDS:70\r\n"
            f"f:<sip:201@{phone.domain}>;tag=1\r\nt:\r\n <sip:201@{phone.domain}>\r\ni:{fresh()}\r\ncseq:\t9\r\n REGISTER\r\n"
            f"m:<sip:201@{phone.address}>;expires\r\n =\r\n 600\r\nAuthorization: {authorization}\r\nl:0\r\n\r\n".encode()
        )
        response = phone.expect(200)
        check("expires=600" in response.get("Contact"), f"the binding is {response.get('Contact')}")


@scenario("hand-made")
def every_expiry_has_its_answer(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        short = phone.register(expires=59)
        check(short.status == 423 and short.get("Min-Expires") == "60", f"59 s got {short}")
        for asked, granted in ((60, 60), (3600, 3600), (3601, 3600), (2**31, 3600), (2**32 - 1, 3600), (2**32, 3600), (10**30, 3600), ("soon", 3600), ("-5", 3600)):
            response = phone.register(expires=asked)
            check(f"expires={granted}" in response.get("Contact"), f"Expires {asked} got {response}")
        response = phone.register(expires=3600, contact=f"<sip:201@{phone.address}>;expires=60")
        check("expires=60" in response.get("Contact"), f"the Contact's own expiry: {response}")
        response = phone.register(expires=0)
        check(response.status == 200 and not response.get("Contact"), f"0 s got {response}")


@scenario("hand-made")
def an_account_on_two_phones_rings_on_both(stage: Stage):
    with Switch(stage):
        one, other, caller = Phone(202).registered(), Phone(202).registered(), Phone(205)
        caller.register()
        caller.invite("202")
        first, second = one.expect("INVITE"), other.expect("INVITE")
        one.respond(first, 180)
        other.respond(second, 180)
        accepted = other.respond(second, 200, sdp())
        one.respond(one.expect("CANCEL"), 200)
        one.respond(first, 487)
        other.expect("ACK")
        check(caller.final("INVITE", 5).status == 200, "the caller is not connected")
        Call(other, second, accepted, called=True).bye()


@scenario("hand-made")
def a_phone_that_comes_back_on_another_port_is_called_there(stage: Stage):
    with Switch(stage):
        old = Phone(202)
        contact = "<sip:202@127.0.0.1:5060>"
        old.registered(contact=contact)
        new, caller = Phone(202).registered(contact=contact), Phone(205)
        caller.register()
        caller.invite("202")
        new.respond(new.expect("INVITE"), 486)
        check(caller.final("INVITE", 5).status == 486 and old.silence(), "the old port is called as well")


@scenario("hand-made")
def an_old_register_that_comes_late_changes_nothing(stage: Stage):
    with Switch(stage):
        phone = Phone(201)
        call_id = fresh("call")
        check(phone.register(call_id=call_id, cseq=10).status == 200, "the first REGISTER")
        late = phone.register(call_id=call_id, cseq=3, expires=0)
        check(late.status in (400, 500), f"an older CSeq got {late.start}")
        check(phone.register(call_id=call_id, cseq=20).get("Contact"), "the binding is gone")
