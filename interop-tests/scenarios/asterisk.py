"""Asterisk as a trunk and as a phone: calls in both directions, health, transfers."""

import re
import time
from contextlib import contextmanager

from harness import audio
from harness.asterisk import CREDENTIALS, PHONE, PHONE_ROLE, PORT, TLS_PORT, Asterisk
from harness.baresip import Baresip
from harness.carrier import certificate
from harness.phone import Phone
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import Switch

from .queue_audio import AGENT, AGENT_HERTZ, CUSTOMER, CUSTOMER_HERTZ, SOON, check_recording, only_tone
from .transfers import TALK_SECONDS, check_transfer, consult, talk, talk_and_end
from .trunks import trunk

#: Who talks at the other end of Asterisk.
WORLD_HERTZ = 1200
#: A trunk that asks for a password at each call.
DIGEST = trunk(PORT, CREDENTIALS)


def is_registered(world: Asterisk):
    """Waits until Asterisk says that it is one of our phones."""
    wait_for("Asterisk's registration", lambda: "Registered" in world.command("pjsip show registrations"))


@scenario("Asterisk")
def the_switch_registers_at_asterisk_and_calls_out(stage: Stage):
    switch = Switch(stage, extra={"trunks": trunk(PORT, CREDENTIALS + "register = true\n")})
    with Asterisk(switch, WORLD_HERTZ) as world, switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as phone:
        wait_for("our registration at Asterisk", lambda: "alice/sip:" in world.command("pjsip show contacts"))
        phone.dial("0301234")
        phone.wait("CALL_ESTABLISHED")
        talk_and_end(phone, world)
        record = switch.record()
        leg = record["legs"][1]
        check((leg["account"], leg["number"]) == ("carrier", "49301234"), f"the call left as {leg['account']}, {leg['number']}")
        check(all(leg["media"]["lost"] == 0 for leg in record["legs"]), f"packets are lost: {record['legs']}")


@scenario("Asterisk")
def a_trunk_over_tcp_carries_calls_in_both_directions(stage: Stage):
    return both_directions(stage, "tcp", PORT)


@scenario("Asterisk")
def a_trunk_over_tls_carries_calls_in_both_directions(stage: Stage):
    tls = certificate(stage.folder, "asterisk.example")
    return both_directions(stage, "tls", TLS_PORT, f'tls_name = "asterisk.example"\ntls_authorities = "{tls[0]}"\n', tls)


@scenario("Asterisk")
def a_trunk_over_tls_and_the_switch_show_their_certificates_to_each_other(stage: Stage):
    theirs, ours = certificate(stage.folder, "asterisk.example"), certificate(stage.folder, "switch.example")
    lines = f'tls_name = "asterisk.example"\ntls_authorities = "{theirs[0]}"\ntls_certificate = "{ours[0]}"\ntls_key = "{ours[1]}"\n' \
            "tls_verify = true\n"
    return both_directions(stage, "tls", TLS_PORT, lines, (*theirs, ours[0]))


def both_directions(stage: Stage, transport: str, port: int, lines="", tls=None) -> str:
    """We register, a phone calls out, Asterisk calls the phone, all over one kind of connection."""
    switch = Switch(stage, extra={"trunks": trunk(port, f'{CREDENTIALS}register = true\ntransport = "{transport}"\n{lines}')})
    with Asterisk(switch, WORLD_HERTZ, transport=transport, tls=tls) as world, switch, \
         Baresip(switch, 202, CUSTOMER_HERTZ, answers=True) as phone:
        wait_for("our registration at Asterisk", lambda: "alice/sip:" in world.command("pjsip show contacts"))
        for who, number in [(phone, "0301234"), (world, "4930202")]:
            who.dial(number)
            phone.wait("CALL_ESTABLISHED")
            talk_and_end(phone, world)
        flows = [leg["flow"] for record in switch.wait_for_records(2) for leg in record["legs"] if leg["account"] == "carrier"]
        check(len(flows) == 2 and all(flow.startswith(f"{transport} ") for flow in flows), f"the trunk's legs came over {flows}")
        return f"over {flows[0]} and {flows[1]}"


@scenario("Asterisk", limit=90, waits=True)
def asterisk_by_dtls_without_ice_is_heard_and_hears_in_both_directions(stage: Stage):
    """Reports on a port of their own, with a handshake of their own, then on that of the sound."""
    for mux in ("no", "yes"):
        inner = Stage(stage.binary, stage.checkout, stage.folder / f"mux-{mux}")
        inner.folder.mkdir()
        endpoint = f"media_encryption = dtls\ndtls_auto_generate_cert = yes\ndtls_setup = actpass\nrtcp_mux = {mux}"
        switch = Switch(inner, extra={"trunks": trunk(PORT, CREDENTIALS + 'srtp = "dtls"\n')})
        with Asterisk(switch, WORLD_HERTZ, endpoint=endpoint) as world, switch, Baresip(switch, 202, CUSTOMER_HERTZ, answers=True) as phone:
            for who, number in [(phone, "0301234"), (world, "4930202")]:
                who.dial(number)
                phone.wait("CALL_ESTABLISHED")
                phone.rest(5)
                talk_and_end(phone, world)
            for record in switch.wait_for_records(2):
                leg = next(leg for leg in record["legs"] if leg["account"] == "carrier")
                check(leg["srtp"], f"the trunk's leg was not encrypted: {leg}")
                check(leg["media"]["reported"], f"with rtcp_mux = {mux} Asterisk's reports were not understood: {leg['media']}")
                check(leg["media"]["rejected"] == 0, f"{leg['media']['rejected']} packets of Asterisk were rejected")
    return leg["srtp"]


@scenario("Asterisk")
def a_key_reaches_asterisk_whose_early_media_was_heard(stage: Stage):
    # Asterisk wants its 183 acknowledged (PRACK), and goes on when it has read the key.
    lines = "exten => 49301234,1,Progress()\n same => n,Playback(${SHORT},noanswer)\n same => n,Answer(,i)\n" \
            " same => n,Read(KEY,,1,,1,10)\n same => n,GotoIf($[\"${KEY}\" = \"5\"]?talk,s,1)\n"
    switch = Switch(stage, extra={"trunks": DIGEST})
    with Asterisk(switch, WORLD_HERTZ, dialplan=lines, endpoint="100rel = required") as world, switch, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as phone:
        phone.dial("0301234")
        phone.wait("CALL_ESTABLISHED")
        check("\nPRACK sip:" in world.log(), "nothing acknowledged Asterisk's 183")
        phone.rest(0.5)
        phone.press("5")
        wait_for("the key at Asterisk", world.is_talking)
        talk_and_end(phone, world)
        only_tone(audio.cut(phone.heard(), 0.3, 1.3), WORLD_HERTZ, CUSTOMER_HERTZ, "what the phone heard before the answer")
        record = switch.record()
        check(record["answer"] > record["legs"][1]["ring"], f"the record says {record}")


@scenario("Asterisk")
def a_key_pressed_at_asterisk_leads_its_caller_out_of_the_queue(stage: Stage):
    settings = {**SOON, ("queues", "exit_key"): '"0"', ("queues", "exit_transfer_dst"): '"206"'}
    switch = Switch(stage, settings, {"trunks": DIGEST})
    with Asterisk(switch, WORLD_HERTZ) as world, switch, Baresip(switch, 206, AGENT_HERTZ, answers=True) as other:
        world.dial("4930700")
        wait_for("the wait", lambda: "waits" in switch.log(), 15)
        world.press("0")
        other.wait("CALL_ESTABLISHED")
        talk_and_end(other, world)
        outcome = switch.record()["queues"][0]["outcome"]
        check(outcome == "exit-key", f"the wait ended as {outcome}")


@scenario("Asterisk", limit=120, waits=True)
def a_session_that_we_begin_is_refreshed(stage: Stage):
    with refreshing(stage) as (world, phone):
        phone.dial("0301234")
        return is_refreshed(world, phone)


@scenario("Asterisk", limit=120, waits=True)
def a_session_that_asterisk_begins_is_refreshed(stage: Stage):
    with refreshing(stage) as (world, phone):
        world.dial("4930202")
        return is_refreshed(world, phone)


@contextmanager
def refreshing(stage: Stage):
    """Asterisk and a phone whose calls with each other need a sign of life each 90 s (RFC 4028)."""
    switch = Switch(stage, {("ringmaster", "session_expires"): 90}, {"trunks": DIGEST})
    endpoint = "timers = always\ntimers_min_se = 90\ntimers_sess_expires = 90"
    with Asterisk(switch, WORLD_HERTZ, endpoint=endpoint) as world, switch, Baresip(switch, 202, CUSTOMER_HERTZ, answers=True) as phone:
        yield world, phone


def is_refreshed(world: Asterisk, phone: Baresip) -> str:
    """The call is refreshed after half of the time, and goes on."""
    phone.wait("CALL_ESTABLISHED")
    wait_for("a refresh", lambda: refreshes(world), 60)
    talk_and_end(phone, world)
    return f"by {refreshes(world)[0]}"


def refreshes(world: Asterisk) -> list[str]:
    """The requests that refreshed the session, as Asterisk saw them."""
    found = re.findall(r"(Received|Transmitting) SIP request [^\n]*\n(INVITE|UPDATE) (?:[^\n]+\n)*To: [^\n]*;tag=", world.log())
    return [f"{method}, {way}" for way, method in found]


@scenario("Asterisk")
def asterisk_calls_the_queue_and_an_agent_answers(stage: Stage):
    switch = Switch(stage, SOON, {"trunks": DIGEST})
    with Asterisk(switch, CUSTOMER_HERTZ) as world, switch, Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
        world.dial("4930700")
        agent.wait("CALL_ESTABLISHED", 20)
        talk_and_end(world, agent)
        record = switch.record()
        visit = record["queues"][0]
        check((record["caller"], visit["agent"]) == ("4915712345", str(AGENT)), f"{record['caller']} was served by {visit['agent']}")
        check(record["ended_by"] == "caller" and record["legs"][0]["account"] == "carrier", f"the record says {record}")
        check_recording(switch, record)


@scenario("Asterisk", limit=120, waits=True)
def a_second_asterisk_takes_over_until_the_first_is_back(stage: Stage):
    second_hertz = 1600
    targets = f'hosts = [{{ host = "127.0.0.1:{PORT}" }}, {{ host = "127.0.0.2:{PORT}", priority = 2 }}]'
    # Both are asked each second whether they are there.
    text = DIGEST.replace(f'host = "127.0.0.1:{PORT}"', targets).replace("options = 0", "options = 1")
    switch = Switch(stage, extra={"trunks": text})
    with Asterisk(switch, WORLD_HERTZ) as first, Asterisk(switch, second_hertz, host="127.0.0.2") as second, switch, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as phone:
        def is_carried_by(one: Asterisk, number: int):
            phone.dial("0301234")
            phone.wait("CALL_ESTABLISHED")
            talk_and_end(phone, one)
            flows = [leg["flow"] for leg in switch.record(number)["legs"][1:]]
            check(flows == [f"udp {one.address}"], f"call {number} went over {flows}")

        is_carried_by(first, 1)
        first.stop()
        wait_for("the news that the first is gone", lambda: "does not answer" in switch.log(), 20)
        is_carried_by(second, 2)
        first.start()
        wait_for("the news that the first is back", lambda: "answers again" in switch.log(), 30)
        is_carried_by(first, 3)


@scenario("Asterisk")
def asterisk_registers_as_a_phone_is_called_and_calls(stage: Stage):
    with Switch(stage) as switch, Asterisk(switch, WORLD_HERTZ, role=PHONE_ROLE) as world, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ, answers=True) as phone:
        is_registered(world)
        check("algorithm=SHA-256" in world.log(), "Asterisk did not choose SHA-256")
        for who, number in [(phone, PHONE), (world, CUSTOMER)]:
            who.dial(number)
            phone.wait("CALL_ESTABLISHED")
            talk_and_end(phone, world)
        parties = [(record["caller"], record["dialled"]) for record in switch.wait_for_records(2)]
        check(parties == [(str(CUSTOMER), PHONE), (PHONE, str(CUSTOMER))], f"on record are {parties}")


@scenario("Asterisk")
def an_agent_asks_somebody_behind_asterisk_and_hands_its_customer_over(stage: Stage):
    switch = Switch(stage, SOON, {"trunks": DIGEST})
    with Asterisk(switch, WORLD_HERTZ) as world, switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer:
        agent = Phone(AGENT).registered()
        customer.dial(700)
        consult(agent.answer(seconds=20), "0301234")
        talk_and_end(customer, world)
        check_transfer(switch.record(), "attended", AGENT, "carrier", joined=1)


@scenario("Asterisk")
def an_agent_sends_its_customer_on_to_a_number_outside(stage: Stage):
    switch = Switch(stage, SOON, {"trunks": DIGEST})
    with Asterisk(switch, WORLD_HERTZ) as world, switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer, \
         Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
        customer.dial(700)
        agent.wait("CALL_ESTABLISHED", 20)
        agent.transfer("0301234")
        agent.is_over()
        talk_and_end(customer, world)
        check_transfer(switch.record(), "blind", AGENT, "0301234")


@scenario("Asterisk")
def asterisk_sends_its_caller_on_by_refer(stage: Stage):
    lines = f"exten => {PHONE},1,Answer(,i)\n same => n,Transfer(PJSIP/sip:206@127.0.0.1)\n same => n,Hangup()\n"
    with Switch(stage) as switch, Asterisk(switch, WORLD_HERTZ, role=PHONE_ROLE, dialplan=lines) as world, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller, Baresip(switch, 206, AGENT_HERTZ, answers=True) as other:
        is_registered(world)
        caller.dial(PHONE)
        other.wait("CALL_ESTABLISHED")
        wait_for("the end of Asterisk's part", lambda: not world.channels())
        talk_and_end(caller, other)
        check_transfer(switch.record(), "blind", PHONE, "206")


@scenario("Asterisk")
def a_trunk_may_not_have_its_caller_called_elsewhere_at_our_cost(stage: Stage):
    lines = "exten => 49301234,1,Answer(,i)\n same => n,Transfer(PJSIP/sip:4930202@127.0.0.1)\n same => n,Goto(talk,s,1)\n"
    switch = Switch(stage, extra={"trunks": DIGEST})
    with Asterisk(switch, WORLD_HERTZ, dialplan=lines) as world, switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as phone:
        phone.dial("0301234")
        phone.wait("CALL_ESTABLISHED")
        wait_for("the refusal of REFER", lambda: "SIP/2.0 403" in world.log())
        talk_and_end(phone, world)
        check(not switch.record()["transfers"], "a transfer is on record")


@scenario("Asterisk")
def asterisk_leaves_the_media_to_us_takes_it_back_and_transfers_by_itself(stage: Stage):
    lines = "exten => 49301202,1,Dial(PJSIP/4930202@switch)\n"
    switch = Switch(stage, extra={"trunks": DIGEST})
    with Asterisk(switch, WORLD_HERTZ, dialplan=lines) as world, switch, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller, Baresip(switch, 202, AGENT_HERTZ, answers=True) as callee:
        caller.dial("0301202")
        began = caller.wait("CALL_ESTABLISHED")["at"]
        callee.wait("CALL_ESTABLISHED")
        wait_for("Asterisk's re-INVITE on both legs", lambda: world.asked_again() >= 2)
        direct = time.time() - began
        talk(caller, callee)
        world.transfer(sorted(world.channels())[1], "4999")
        callee.is_over()
        talk_and_end(caller, world)
        for ear, mouth in [(caller, callee), (callee, caller)]:
            heard = audio.cut(ear.heard(), direct + 0.3, direct + TALK_SECONDS - 0.3)
            only_tone(heard, mouth.hertz, ear.hertz, f"what {ear.number} heard while Asterisk was out of the way")
        parties = sorted((record["caller"], record["dialled"], record["cause"]) for record in switch.wait_for_records(2))
        check(parties == [("205", "0301202", "hang-up"), ("4930700", "4930202", "hang-up")], f"on record are {parties}")


@scenario("Asterisk")
def asterisk_takes_the_place_of_a_phone_that_hands_its_call_over_to_it(stage: Stage):
    # The phone talks with our caller here and with somebody there; it tells Asterisk to connect both (RFC 3891).
    lines = "exten => 4998,1,Dial(Local/s@talk/n)\nexten => external_replaces,1,Dial(PJSIP/206@switch)\n"
    with Switch(stage) as switch, Asterisk(switch, WORLD_HERTZ, role=PHONE_ROLE, dialplan=lines) as world, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller:
        is_registered(world)
        here, there = Phone(206).registered(), Phone(206, server_port=PORT)
        caller.dial(206)
        call = here.answer()
        other = there.call(4998)
        wait_for("Asterisk's bridge", lambda: "simple_bridge" in world.command("bridge show all"))
        reports = other.refer("206", call)
        check(reports[-1] == "SIP/2.0 200 OK", f"Asterisk reports {reports}")
        call.is_ended()
        talk_and_end(caller, world)
        check_transfer(switch.record(), "pickup", PHONE, "206")
