"""A customer and an agent, both baresip, through the queue: who hears what, and what the recording holds."""

from datetime import datetime

from harness import audio
from harness.baresip import Baresip
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import Switch

CUSTOMER, AGENT = 205, 201
CUSTOMER_HERTZ, AGENT_HERTZ = 440, 880
#: How far one side's tone must stand above the other's, in decibels.
APART = 20
#: How far the recording and the call record may disagree, in milliseconds.
TOLERANCE_MS = 100
#: A start sound of two seconds in the place of one of seven, for scenarios that are about what comes after it.
SOON = {("queues", "start_sound"): '"logged-in"'}
#: They talk for so long.
TALK_SECONDS = 3.0


def moment(text: str) -> float:
    """Milliseconds of an RFC 3339 time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def only_tone(samples, hertz: float, other: float, who: str):
    """One tone stands out, by APART decibels, and is loud."""
    own, stranger = audio.level(samples, hertz), audio.level(samples, other)
    check(own > -25, f"{who}: {hertz} Hz is at {own:.0f} dB only")
    check(own - stranger >= APART, f"{who}: {hertz} Hz at {own:.0f} dB, {other} Hz at {stranger:.0f} dB, less than {APART} dB apart")


def heard_at_the_end(ear, hertz: float, other: float, seconds: float):
    """In the second half of the last seconds of its call, which is over, it heard one tone and not the other. (A softphone on a busy
    machine loses sound: what it wrote is shorter than the time was.)"""
    heard = ear.heard()
    end = audio.seconds(heard)
    check(end > seconds / 2, f"{ear.number} heard {end:.1f} s in a call of {seconds:.1f} s")
    only_tone(audio.cut(heard, max(end - seconds / 2 - 0.2, 0), end - 0.2), hertz, other, f"what {ear.number} heard at the end")


def heard_each_other(one, other, seconds: float):
    """In the last seconds of their calls, which are over, each heard the other's tone and not its own."""
    for ear, mouth in [(one, other), (other, one)]:
        heard_at_the_end(ear, mouth.hertz, ear.hertz, seconds)


def converse(stage: Stage, transport: str, codec: str = "PCMU"):
    """A queue call from INVITE to recording, over one transport."""
    with Switch(stage) as switch:
        options = {"codec": codec}
        converse_in(switch, transport, options, options)


def converse_in(switch: Switch, transport: str, customer_options: dict, agent_options: dict):
    """The same with a switch that runs, and options of each softphone; returns the call record."""
    with Baresip(switch, CUSTOMER, CUSTOMER_HERTZ, transport, **customer_options) as customer, \
         Baresip(switch, AGENT, AGENT_HERTZ, transport, answers=True, **agent_options) as agent:
        customer.dial(700)
        agent.wait("CALL_ESTABLISHED", 20)
        agent.wait("CALL_RTPESTAB")
        customer.rest(TALK_SECONDS)
        customer.hang_up()
        agent.wait("CALL_CLOSED")
        record = switch.wait_for_records(1)[0]
        check_ears(customer, agent)
        check_record(record, transport)
        check_recording(switch, record)
        check_edges(switch, record)
        return record


@scenario("baresip", limit=90, waits=True)
def an_encrypted_customer_and_a_plain_agent_talk_and_are_recorded(stage: Stage):
    encrypted_call(stage, customer=True, agent=False)


@scenario("baresip", limit=90, waits=True)
def a_plain_customer_and_an_agent_whose_phone_must_encrypt_talk_and_are_recorded(stage: Stage):
    encrypted_call(stage, customer=False, agent=True)


@scenario("baresip", limit=90, waits=True)
def an_encrypted_customer_and_an_encrypted_agent_talk_and_are_recorded(stage: Stage):
    encrypted_call(stage, customer=True, agent=True)


def encrypted_call(stage: Stage, customer: bool, agent: bool):
    """A queue call over TLS in which these sides take SRTP and nothing else."""
    switch = Switch(stage, SOON)
    if agent:
        # The customer offers it, the agent's phone is offered it.
        switch.set_phone(AGENT, 'srtp = "required"')
    with switch:
        record = converse_in(switch, "tls", customer_options={"encrypted": customer}, agent_options={"encrypted": agent})
    suites = [leg["srtp"] for leg in record["legs"]]
    expected = ["AES_CM_128_HMAC_SHA1_80" if encrypted else None for encrypted in (customer, agent)]
    check(suites == expected, f"the record says of SRTP: {suites}")


@scenario("baresip")
def gsm_is_passed_on_between_two_who_have_it_and_refused_where_it_would_have_to_be_spoken(stage: Stage):
    with Switch(stage, {("ringmaster", "codecs"): '["pcmu", "pcma", "gsm"]'}) as switch, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ, codec="GSM") as caller, \
         Baresip(switch, 206, AGENT_HERTZ, codec="GSM", answers=True) as called, Baresip(switch, 207, AGENT_HERTZ, answers=True) as other:
        caller.dial(206)
        called.wait("CALL_ESTABLISHED")
        caller.rest(3)
        caller.hang_up()
        called.wait("CALL_CLOSED")
        heard_each_other(caller, called, 3)
        record = switch.wait_for_records(1)[0]
        check([leg["codec"] for leg in record["legs"]] == ["GSM", "GSM"], f"the legs spoke {[leg['codec'] for leg in record['legs']]}")
        # Of a phone without it, of a queue and of the echo nothing is heard: they are refused, and said why.
        for number, cause in [(207, "not-acceptable"), (700, "not-acceptable"), (600, "not-acceptable")]:
            caller.dial(number)
            caller.wait("CALL_CLOSED")
            wait_for(f"the record of {number}", lambda number=number: switch.call_records()[-1]["dialled"] == str(number))
            record = switch.call_records()[-1]
            check(record["cause"] == cause, f"{number}: {record['cause']}")


def check_ears(customer: Baresip, agent: Baresip):
    """Each heard the other, and not itself. The customer heard start sound and music before: only its last seconds count."""
    agent_heard = agent.heard()
    check(audio.seconds(agent_heard) > TALK_SECONDS - 0.5, f"the agent heard {audio.seconds(agent_heard):.1f} s only")
    only_tone(audio.cut(agent_heard, 0.5, TALK_SECONDS - 0.5), CUSTOMER_HERTZ, AGENT_HERTZ, "what the agent heard")
    heard_at_the_end(customer, AGENT_HERTZ, CUSTOMER_HERTZ, TALK_SECONDS)


def check_record(record: dict, transport: str):
    """The call record tells this call."""
    visit = record["queues"][0]
    check(visit["queue"] == "support" and visit["agent"] == str(AGENT), f"the record names {visit['queue']} and agent {visit['agent']}")
    check(visit["outcome"] == "answered" and record["ended_by"] == "caller", f"{visit['outcome']}, ended by {record['ended_by']}")
    for leg in record["legs"]:
        check(leg["flow"].startswith(transport), f"{leg['account']}'s leg came over {leg['flow']}")
        check(leg["media"]["received"] > 0 and leg["media"]["lost"] == 0, f"{leg['account']}'s leg: {leg['media']}")


def check_recording(switch: Switch, record: dict):
    """Left the customer, right the agent, as long as they talked, begun and ended when the record says they did."""
    entry, visit = record["recordings"][0], record["queues"][0]
    check(not entry["error"], f"the recording has an error: {entry['error']}")
    talk_start = moment(visit["joined"]) + visit["wait_ms"]
    talk_end = talk_start + visit["talk_ms"]
    for what, recorded, told in [("begins", moment(entry["start"]), talk_start), ("ends", moment(entry["end"]), talk_end)]:
        check(abs(recorded - told) <= TOLERANCE_MS, f"the recording {what} {recorded - told:+.0f} ms from the conversation")
    channels = audio.read(switch.recordings / entry["path"])
    check(len(channels) == 2, f"the recording has {len(channels)} channels")
    left, right = channels
    length = audio.seconds(left) * 1000
    check(abs(length - visit["talk_ms"]) <= TOLERANCE_MS, f"the file lasts {length:.0f} ms, the conversation {visit['talk_ms']} ms")
    check(abs(length - entry["duration_ms"]) <= TOLERANCE_MS, f"the file lasts {length:.0f} ms, the record says {entry['duration_ms']} ms")
    middle = slice(len(left) // 6, -len(left) // 6)
    only_tone(left[middle], CUSTOMER_HERTZ, AGENT_HERTZ, "the left channel")
    only_tone(right[middle], AGENT_HERTZ, CUSTOMER_HERTZ, "the right channel")


def check_edges(switch: Switch, record: dict):
    """The tones are there from end to end: the audio is in its place, not only of the right length."""
    left, right = audio.read(switch.recordings / record["recordings"][0]["path"])
    length = audio.seconds(left)
    edge = TOLERANCE_MS / 1000
    for channel, hertz, side in [(left, CUSTOMER_HERTZ, "left"), (right, AGENT_HERTZ, "right")]:
        head = audio.cut(channel, edge, edge * 2)
        tail = audio.cut(channel, length - edge * 2, length - edge)
        for where, stretch in [("begins", head), ("ends", tail)]:
            check(audio.level(stretch, hertz) > -25, f"the {side} channel's tone {where} more than {TOLERANCE_MS} ms off")


@scenario("baresip")
def customer_and_agent_hear_each_other_over_udp(stage: Stage):
    converse(stage, "udp")


@scenario("baresip")
def customer_and_agent_hear_each_other_over_tcp(stage: Stage):
    converse(stage, "tcp")


@scenario("baresip")
def customer_and_agent_hear_each_other_over_tls(stage: Stage):
    converse(stage, "tls")


@scenario("baresip")
def customer_and_agent_hear_each_other_in_a_law(stage: Stage):
    converse(stage, "udp", "PCMA")


def different_codecs(stage: Stage, customer: str, agent: str):
    """A queue call of two who speak one codec each."""
    with Switch(stage, SOON | {("ringmaster", "codecs"): '["pcmu", "pcma", "g722", "opus", "l16"]'}) as switch:
        record = converse_in(switch, "udp", {"codec": customer}, {"codec": agent})
    codecs = [leg["codec"] for leg in record["legs"]]
    expected = [codec.split("/")[0] for codec in (customer, agent)]
    check(codecs == expected, f"the record names the codecs {codecs}")


@scenario("baresip", limit=90, waits=True)
def a_customer_with_opus_and_an_agent_with_a_law_talk_and_are_recorded(stage: Stage):
    different_codecs(stage, "opus/48000/2", "PCMA")


@scenario("baresip", limit=90, waits=True)
def a_customer_with_g722_and_an_agent_with_mu_law_talk_and_are_recorded(stage: Stage):
    different_codecs(stage, "G722/16000/1", "PCMU")


@scenario("baresip", limit=90, waits=True)
def a_customer_with_l16_and_an_agent_with_mu_law_talk_and_are_recorded(stage: Stage):
    different_codecs(stage, "L16/16000/1", "PCMU")


@scenario("baresip", limit=90, waits=True)
def two_with_opus_talk_and_are_recorded(stage: Stage):
    different_codecs(stage, "opus/48000/2", "opus/48000/2")


@scenario("baresip", limit=90, waits=True)
def two_with_g722_talk_and_are_recorded(stage: Stage):
    different_codecs(stage, "G722/16000/1", "G722/16000/1")


@scenario("baresip", limit=90, waits=True)
def a_held_customer_hears_music_and_then_the_agent_again(stage: Stage):
    with Switch(stage) as switch:
        with Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer, Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
            customer.dial(700)
            agent.wait("CALL_ESTABLISHED", 20)
            agent.rest(1.5)
            agent.hold()
            agent.rest(2)
            agent.resume()
            agent.rest(2)
            customer.hang_up()
            agent.wait("CALL_CLOSED")
            heard = customer.heard()
            end = audio.seconds(heard)
            held, after = audio.cut(heard, end - 3.5, end - 2.5), audio.cut(heard, end - 1.5, end - 0.3)
            check(audio.loudness(held) > -45, f"while held, the customer hears nothing ({audio.loudness(held):.0f} dB)")
            check(audio.level(held, AGENT_HERTZ) < audio.loudness(held) - 10, "while held, the customer still hears the agent")
            only_tone(after, AGENT_HERTZ, CUSTOMER_HERTZ, "after the hold, what the customer heard")
