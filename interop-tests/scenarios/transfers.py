"""Transfers as desk phones make them: blind (REFER with a number) and attended (REFER with Replaces); who is left is heard."""

from harness import audio
from harness.baresip import Baresip
from harness.phone import Call, Phone, connected, sdp
from harness.rtp import Stream
from harness.scenario import Stage, check, scenario, wait_for
from harness.sipp import Sipp, register
from harness.switch import Switch

from .queue_audio import AGENT, AGENT_HERTZ, CUSTOMER, CUSTOMER_HERTZ, SOON, heard_at_the_end, heard_each_other

#: Whom the call is led to.
OTHER, OTHER_HERTZ = 207, 1200
#: Who transfers, where it is no agent.
DESK = 206
#: Those who are left hear each other for so long.
TALK_SECONDS = 2.0


def talk_and_end(one, other):
    """They talk until each has heard enough, `one` hangs up, and each has heard the other."""
    talk(one, other)
    one.hang_up()
    for phone in (one, other):
        phone.is_over()
    heard_each_other(one, other, TALK_SECONDS)


def talk(*phones):
    """The call goes on until each of them has heard enough."""
    before = [phone.seconds_heard() for phone in phones]
    enough = lambda: all(phone.seconds_heard() - so_far >= TALK_SECONDS for phone, so_far in zip(phones, before))  # noqa: E731
    wait_for("sound for everybody in the call", enough, 10 * TALK_SECONDS)


def consult(call: Call, number: str) -> Call:
    """Who talks holds its party, calls somebody else, connects both, and is out of both calls."""
    phone = call.phone
    call.hold(call.description.port())
    other = phone.call(number, seconds=10)
    reports = call.refer(number, other)
    check(reports[-1] == "SIP/2.0 200 OK", f"reported is {reports}")
    for _ in (call, other):
        phone.respond(phone.expect("BYE"), 200)
    return other


def hears(stream: Stream, octet: int):
    """Half a second of who says that octet arrives there."""
    wait_for(f"the voice {octet:x}", lambda: sum(octets[12:] == bytes([octet]) * 160 for _, octets, _ in stream.heard) > 25)


def check_transfer(record: dict, kind: str, by, to: str, joined=0):
    """The record tells one transfer that succeeded."""
    found = [(one["kind"], one["by"], one["to"], one["status"]) for one in record["transfers"]]
    check(found == [(kind, str(by), to, 200)], f"the transfers on record are {found}")
    check(len(record["joined_calls"]) == joined, f"the record joins {record['joined_calls']}")
    for leg in record["legs"]:
        check(leg["media"]["lost"] == 0, f"{leg['account']}'s leg lost packets: {leg['media']}")


@scenario("SIPp")
def who_transfers_is_told_how_it_goes_on(stage: Stage):
    with Switch(stage) as switch:
        callee = Sipp(switch, "answer", port=register(switch, [202]))
        other = Sipp(switch, "answer_hangs_up", port=register(switch, [203]))
        for run in (Sipp(switch, "caller_transfers", [201], "202", TARGET=203), other, callee):
            run.finish()
        record = switch.record()
        check_transfer(record, "blind", 201, "203")
        check(record["ended_by"] == "callee", f"the call record says that {record['ended_by']} ended the call")


@scenario("baresip")
def the_caller_and_the_called_phone_transfer_blind(stage: Stage):
    with Switch(stage) as switch, Baresip(switch, OTHER, OTHER_HERTZ, answers=True) as other, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller, Baresip(switch, DESK, AGENT_HERTZ, answers=True) as desk:
        for number, leaver, stays in [(1, caller, desk), (2, desk, caller)]:
            caller.dial(DESK)
            for phone in (caller, desk):
                phone.wait("CALL_ESTABLISHED")
            caller.rest(0.5)
            leaver.transfer(OTHER)
            other.wait("CALL_ESTABLISHED")
            leaver.wait("CALL_CLOSED")
            talk_and_end(stays, other)
            check_transfer(switch.record(number), "blind", leaver.number, str(OTHER))


@scenario("baresip")
def a_transfer_to_a_busy_phone_gives_the_conversation_back(stage: Stage):
    # By hand: baresip hangs up when its transfer fails.
    with Switch(stage) as switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller, Stream(sound=audio.mu_law_tone(AGENT_HERTZ, 1)) as sound:
        desk = Phone(DESK).registered()
        busy = Sipp(switch, "busy", port=register(switch, [OTHER]))
        caller.dial(DESK)
        call = desk.answer(sdp(sound.port))
        sound.talk(("127.0.0.1", call.invite.port()))
        reports = call.refer(str(OTHER))
        check(reports[-1] == "SIP/2.0 486 Busy Here", f"reported is {reports}")
        busy.finish()
        talk(caller)
        call.bye()
        caller.wait("CALL_CLOSED")
        heard_at_the_end(caller, AGENT_HERTZ, CUSTOMER_HERTZ, TALK_SECONDS)
        transfer = switch.record()["transfers"][0]
        check((transfer["by"], transfer["status"]) == (str(DESK), 486), f"the transfer on record is {transfer}")


@scenario("baresip")
def a_phone_transfers_its_caller_into_the_queue(stage: Stage):
    with Switch(stage, SOON) as switch, Baresip(switch, AGENT, OTHER_HERTZ, answers=True) as agent, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller, Baresip(switch, DESK, AGENT_HERTZ, answers=True) as desk:
        caller.dial(DESK)
        desk.wait("CALL_ESTABLISHED")
        desk.transfer(700)
        desk.wait("CALL_CLOSED")
        agent.wait("CALL_ESTABLISHED", 20)
        talk_and_end(caller, agent)
        record = switch.record()
        check_transfer(record, "blind", DESK, "700")
        visit = record["queues"][0]
        check((visit["agent"], visit["outcome"]) == (str(AGENT), "answered"), f"the visit to the queue is {visit}")


@scenario("baresip")
def an_agent_transfers_its_customer_blind_and_is_free_for_the_next(stage: Stage):
    with Switch(stage, SOON) as switch, Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer, Baresip(switch, OTHER, OTHER_HERTZ, answers=True) as other:
        customer.dial(700)
        agent.wait("CALL_ESTABLISHED", 20)
        agent.rest(0.5)
        agent.transfer(OTHER)
        agent.wait("CALL_CLOSED")
        talk_and_end(customer, other)
        record = switch.record()
        check_transfer(record, "blind", AGENT, str(OTHER))
        recorded = [not one["error"] for one in record["recordings"]]
        check(recorded == [True, True], f"the recordings are {record['recordings']}")


@scenario("baresip")
def a_phone_gives_its_place_in_the_queue_to_its_caller(stage: Stage):
    with Switch(stage, SOON) as switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller:
        desk = Phone(DESK).registered()
        caller.dial(DESK)
        consult(desk.answer(), "700")
        with Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
            agent.wait("CALL_ESTABLISHED", 20)
            talk_and_end(caller, agent)
        record = switch.record()
        check_transfer(record, "attended", DESK, "", joined=1)
        check(record["queues"][0]["agent"] == str(AGENT), f"the visit to the queue is {record['queues']}")


@scenario("hand-made")
def two_callers_of_a_phone_whose_calls_are_on_different_rtp_workers_are_connected(stage: Stage):
    with Switch(stage, {("ringmaster", "workers"): 2}) as switch, Stream(octet=0x45) as one, Stream(octet=0x55) as other:
        desk, first, second = (Phone(number).registered() for number in (DESK, 205, OTHER))
        calls = [connected(caller, desk, sdp(stream.port)) for caller, stream in ((first, one), (second, other))]
        # Each worker has every second even port.
        ports = [called.description.port() for _, called in calls]
        check(ports[0] // 2 % 2 != ports[1] // 2 % 2, f"both calls are on one worker: ports {ports}")
        for (calling, _), stream in zip(calls, (one, other)):
            stream.talk(("127.0.0.1", calling.response.port()))
        reports = calls[0][1].refer(OTHER, calls[1][1])
        check(reports[-1] == "SIP/2.0 200 OK", f"reported is {reports}")
        for _ in calls:
            desk.respond(desk.expect("BYE"), 200)
        hears(one, 0x55)
        hears(other, 0x45)
        calls[0][0].bye()
        calls[1][0].is_ended()
        check_transfer(switch.record(), "attended", DESK, str(OTHER), joined=1)
