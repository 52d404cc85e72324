"""A supervisor with an agent's phone: who hears whom, by listening."""

from harness import audio
from harness.baresip import Baresip
from harness.scenario import Stage, check, scenario
from harness.switch import Switch

from .queue_audio import SOON

CUSTOMER, AGENT, SUPERVISOR = 205, 201, 206
HERTZ = {CUSTOMER: 440, AGENT: 880, SUPERVISOR: 1320}
#: Who is heard stands above this, in decibels, who is not below that.
AUDIBLE, INAUDIBLE = -25, -45
#: A key is held for so long that what is heard in its last second is what it made.
KEY_SECONDS = 3.0


def heard_before_the_end(ear: Baresip, seconds: float) -> set:
    """Whom it heard in the second that ended so long before its call did."""
    heard = ear.heard()
    end = audio.seconds(heard) - seconds
    stretch = audio.cut(heard, end - 1, end)
    levels = {who: audio.level(stretch, hertz) for who, hertz in HERTZ.items()}
    unclear = {who: level for who, level in levels.items() if INAUDIBLE < level < AUDIBLE}
    check(not unclear, f"{ear.number} half hears {unclear}")
    return {who for who, level in levels.items() if level > AUDIBLE}


@scenario("baresip", limit=90, waits=True)
def a_supervisor_listens_whispers_and_barges_in(stage: Stage):
    switch = Switch(stage, SOON)
    switch.set_phone(SUPERVISOR, "supervisor = true")
    with switch, Baresip(switch, CUSTOMER, HERTZ[CUSTOMER]) as customer, \
         Baresip(switch, AGENT, HERTZ[AGENT], codec="PCMA", answers=True) as agent, \
         Baresip(switch, SUPERVISOR, HERTZ[SUPERVISOR]) as supervisor:
        customer.dial(700)
        agent.wait("CALL_ESTABLISHED", 20)
        supervisor.dial(f"*50{AGENT}")
        supervisor.wait("CALL_ESTABLISHED")
        supervisor.rest(KEY_SECONDS)
        for key in "23":
            supervisor.press(key)
            supervisor.rest(KEY_SECONDS)
        customer.hang_up()
        agent.wait("CALL_CLOSED")
        supervisor.rest(0.5)
        supervisor.hang_up()
        supervisor.wait("CALL_CLOSED")
        record = next(record for record in switch.wait_for_records(2) if record["dialled"] == "700")
        # Each call ended at another time, in seconds after the customer's.
        ears = [(customer, 0.0), (agent, 0.0), (supervisor, 0.5)]
        barge, whisper, listen = (0.7 + KEY_SECONDS * turn for turn in range(3))
        for what, before, expected in [
            ("listens", listen, [{AGENT}, {CUSTOMER}, {CUSTOMER, AGENT}]),
            ("whispers", whisper, [{AGENT}, {CUSTOMER, SUPERVISOR}, {CUSTOMER, AGENT}]),
            ("barges in", barge, [{AGENT, SUPERVISOR}, {CUSTOMER, SUPERVISOR}, {CUSTOMER, AGENT}]),
        ]:
            for (ear, late), wanted in zip(ears, expected):
                heard = heard_before_the_end(ear, before + late)
                check(heard == wanted, f"while {SUPERVISOR} {what}, {ear.number} hears {sorted(heard)}")
        check(record["supervisors"] == [str(SUPERVISOR)], f"the record names {record['supervisors']}")


@scenario("baresip", limit=90, waits=True)
def a_supervisor_is_rung_by_command_and_takes_the_agents_place(stage: Stage):
    switch = Switch(stage, SOON)
    switch.set_phone(SUPERVISOR, "supervisor = true")
    with switch, Baresip(switch, CUSTOMER, HERTZ[CUSTOMER]) as customer, \
         Baresip(switch, AGENT, HERTZ[AGENT], answers=True) as agent, \
         Baresip(switch, SUPERVISOR, HERTZ[SUPERVISOR], answers=True) as supervisor:
        customer.dial(700)
        agent.wait("CALL_ESTABLISHED", 20)
        refused = switch.do(CUSTOMER, "listen", AGENT)
        check("may not supervise" in refused.stderr, f"an agent is told: {refused.stdout}{refused.stderr}")
        done = switch.do(CUSTOMER, "listen", SUPERVISOR)
        check(done.returncode == 0, f"listen: {done.stdout}{done.stderr}")
        supervisor.wait("CALL_ESTABLISHED")
        supervisor.rest(KEY_SECONDS)
        supervisor.hang_up()
        supervisor.wait("CALL_CLOSED")
        heard = heard_before_the_end(supervisor, 0.7)
        check(heard == {CUSTOMER, AGENT}, f"the supervisor hears {sorted(heard)}")
        done = switch.do(CUSTOMER, "intercept", SUPERVISOR)
        check(done.returncode == 0, f"intercept: {done.stdout}{done.stderr}")
        agent.wait("CALL_CLOSED")
        customer.rest(KEY_SECONDS)
        customer.hang_up()
        supervisor.wait("CALL_CLOSED")
        heard = heard_before_the_end(customer, 0.7)
        check(heard == {SUPERVISOR}, f"the customer hears {sorted(heard)} when the agent's place is taken")
        record = next(record for record in switch.wait_for_records(2) if record["dialled"] == "700")
        check(record["supervisors"] == [str(SUPERVISOR)], f"the record says {record['supervisors']}")
        transfer = record["transfers"][0]
        told = (transfer["kind"], transfer["by"], transfer["to"], transfer["status"])
        check(told == ("intercept", str(SUPERVISOR), str(AGENT), 200), f"the record says {transfer}")
        check(record["queues"][0]["agent"] == str(AGENT), f"the record says {record['queues']}")
