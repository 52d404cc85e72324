"""linphone, as a caller and as an agent."""

import time

from harness import audio
from harness.baresip import Baresip
from harness.linphone import Linphone
from harness.scenario import Stage, check, scenario
from harness.switch import Switch

from .queue_audio import AGENT, AGENT_HERTZ, CUSTOMER, CUSTOMER_HERTZ, SOON, TALK_SECONDS, heard_at_the_end, only_tone
from .transfers import OTHER, OTHER_HERTZ, check_transfer, talk_and_end


@scenario("linphone")
def linphone_registers_calls_and_hears_itself(stage: Stage):
    hear_oneself(stage, "udp")


@scenario("linphone")
def linphone_over_tls_registers_calls_and_hears_itself(stage: Stage):
    hear_oneself(stage, "tls")


def hear_oneself(stage: Stage, transport: str):
    """A call of the echo."""
    with Switch(stage) as switch, Linphone(switch, CUSTOMER, CUSTOMER_HERTZ, transport) as phone:
        phone.dial(600)
        phone.wait("connected")
        time.sleep(TALK_SECONDS)
        phone.hang_up()
        phone.wait("ended")
        heard = phone.heard()
        check(audio.level(audio.cut(heard, 1, 2.5), CUSTOMER_HERTZ) > -25, "the echo is silent")
        record = switch.wait_for_records(1)[0]
        check(record["ended_by"] == "caller" and record["legs"][0]["media"]["lost"] == 0, f"the record says {record}")
        check(record["legs"][0]["flow"].startswith(transport), f"the call came over {record['legs'][0]['flow']}")


@scenario("linphone")
def linphone_serves_a_customer_as_an_agent(stage: Stage):
    with Switch(stage) as switch:
        with Linphone(switch, AGENT, AGENT_HERTZ, answers=True) as agent, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer:
            customer.dial(700)
            agent.wait("connected", 20)
            customer.rest(TALK_SECONDS)
            customer.hang_up()
            customer.wait("CALL_CLOSED")
            agent.wait("ended")
            heard_at_the_end(customer, AGENT_HERTZ, CUSTOMER_HERTZ, TALK_SECONDS - 0.5)
            only_tone(audio.cut(agent.heard(), 1, TALK_SECONDS - 0.5), CUSTOMER_HERTZ, AGENT_HERTZ, "what the agent heard")
        record = switch.wait_for_records(1)[0]
        check(record["queues"][0]["outcome"] == "answered" and record["recordings"], f"the record says {record}")


@scenario("linphone")
def linphone_asks_a_colleague_and_hands_its_customer_over(stage: Stage):
    with Switch(stage, SOON) as switch, Linphone(switch, AGENT, AGENT_HERTZ, answers=True) as agent, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer, Baresip(switch, OTHER, OTHER_HERTZ, answers=True) as other:
        customer.dial(700)
        agent.wait("Call 1 with sip:205@127.0.0.1 connected", 20)
        agent.hold()
        agent.wait("is now paused")
        agent.dial(OTHER)
        other.wait("CALL_ESTABLISHED")
        agent.wait("connected", count=2)
        agent.connect(1, 2)
        agent.wait("ended", count=2)
        talk_and_end(customer, other)
        record = switch.record()
        check_transfer(record, "attended", AGENT, str(OTHER), joined=1)
        check([not one["error"] for one in record["recordings"]] == [True, True], f"the recordings are {record['recordings']}")
