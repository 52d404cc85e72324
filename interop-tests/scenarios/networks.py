"""Phones of other networks than the switch's: beyond a router, and of the other family."""

from harness.behind_nat import INSIDE, OUTSIDE, ROUTER, BehindNat
from harness.phone import Phone, connected, sdp
from harness.rtp import Stream
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import FIRST_RTP_PORT, LAST_RTP_PORT, SIP_PORT, Switch

#: The sample's passwords are refused on a network.
PASSWORD = "correct-horse-"


def told_address(description: bytes) -> str:
    """The address of a session description."""
    return next(line.split()[-1] for line in description.decode().splitlines() if line.startswith("c="))


@scenario("a phone beyond NAT", waits=True)
def a_phone_beyond_a_router_calls_and_hears_itself_at_the_routers_address(stage: Stage):
    with BehindNat() as networks:
        settings = {
            ("ringmaster", "listen"): f'["udp:127.0.0.1:{SIP_PORT}", "udp:{INSIDE}:{SIP_PORT}"]',
            ("ringmaster", "addresses"): f'["{INSIDE}"]',
            ("ringmaster", "external"): f'["{ROUTER}"]',
        }
        switch = Switch(stage, settings)
        phones = switch.path("phones")
        phones.write_text(phones.read_text().replace('"ringmaster-', f'"{PASSWORD}'))
        with switch:
            with networks.outside():
                phone = Phone(205, host=OUTSIDE, server=ROUTER, password=f"{PASSWORD}205")
                stream = Stream(OUTSIDE)
            with stream:
                phone.registered()
                call = phone.call(600, body=sdp(stream.port, OUTSIDE))
                contact = call.response.get("Contact")
                check(f"@{ROUTER}:{SIP_PORT}" in contact, f"the Contact is {contact}")
                address, port = told_address(call.response.body), call.response.port()
                check(address == ROUTER, f"sound is to go to {address}")
                check(FIRST_RTP_PORT <= port <= LAST_RTP_PORT, f"sound is to go to port {port}")
                stream.talk((ROUTER, port))
                wait_for("its own sound", lambda: len(stream.heard) > 25)
                sources = {source for _, _, source in stream.heard}
                check(sources == {(ROUTER, port)}, f"the sound comes from {sources}")
                call.bye()
            # Who is at home is told the switch's own address.
            home = Phone(206, host=INSIDE, server=INSIDE, password=f"{PASSWORD}206").registered()
            call = home.call(600, body=sdp(40000, INSIDE))
            address = told_address(call.response.body)
            check(address == INSIDE, f"a phone at home sends its sound to {address}")
            call.bye()


@scenario("hand-made")
def a_phone_whose_signalling_is_ipv4_hears_itself_over_ipv6(stage: Stage):
    with Switch(stage) as switch, Stream("::1") as stream:
        phone = Phone(205).registered()
        call = phone.call(600, body=sdp(stream.port, "::1"))
        address = told_address(call.response.body)
        check(address == "::1", f"sound is to go to {address}")
        stream.talk(("::1", call.response.port()))
        wait_for("its own sound", lambda: len(stream.heard) > 25)
        call.bye()
        record = switch.record()
        check(record["legs"][0]["media"]["received"] > 25, f"the record says {record}")


@scenario("hand-made")
def a_phone_that_answers_with_an_ipv6_address_is_offered_one_and_both_hear_each_other(stage: Stage):
    with Switch(stage) as switch, Stream() as ours, Stream("::1") as theirs:
        caller, callee = Phone(205).registered(), Phone(206).registered()
        calling, called = connected(caller, callee, sdp(ours.port), sdp(theirs.port, "::1"))
        moved = callee.expect("INVITE")
        address = told_address(moved.body)
        check(address == "::1", f"its sound is to go to {address}")
        callee.respond(moved, 200, sdp(theirs.port, "::1"))
        callee.expect("ACK")
        ours.talk(("127.0.0.1", calling.response.port()))
        theirs.talk(("::1", moved.port()))
        for who, stream in (("caller", ours), ("called phone", theirs)):
            wait_for(f"sound for the {who}", lambda: len(stream.heard) > 25)
        called.bye()
        calling.is_ended()
        cause = switch.record()["cause"]
        check(cause == "hang-up", f"the record says {cause}")
