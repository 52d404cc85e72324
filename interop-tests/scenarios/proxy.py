"""A proxy stands between the phones and the switch, and stays in every dialog."""

from harness import audio
from harness.baresip import Baresip
from harness.kamailio import Kamailio
from harness.scenario import Stage, check, scenario
from harness.switch import Switch

from .queue_audio import AGENT, AGENT_HERTZ, CUSTOMER, CUSTOMER_HERTZ, TALK_SECONDS, only_tone


@scenario("Kamailio")
def customer_and_agent_talk_and_hold_through_a_proxy(stage: Stage):
    with Switch(stage) as switch, Kamailio(switch) as proxy:
        with Baresip(switch, CUSTOMER, CUSTOMER_HERTZ, proxy=proxy.address) as customer, \
             Baresip(switch, AGENT, AGENT_HERTZ, answers=True, proxy=proxy.address) as agent:
            customer.dial(700)
            agent.wait("CALL_ESTABLISHED", 20)
            agent.wait("CALL_RTPESTAB")
            customer.rest(1)
            agent.hold()
            customer.rest(1)
            agent.resume()
            customer.rest(TALK_SECONDS)
            customer.hang_up()
            agent.wait("CALL_CLOSED")
            heard = customer.heard()
            end = audio.seconds(heard)
            only_tone(audio.cut(heard, end - TALK_SECONDS + 0.5, end - 0.3), AGENT_HERTZ, CUSTOMER_HERTZ, "after the hold, what the customer heard")
        record = switch.wait_for_records(1)[0]
        check(record["ended_by"] == "caller" and record["queues"][0]["outcome"] == "answered", f"the record says {record}")
        for leg in record["legs"]:
            check(leg["media"]["received"] > 100 and leg["media"]["lost"] == 0, f"{leg['account']}'s leg: {leg['media']}")
        # The customer hung up, so BYE went to the agent, whose answer was acknowledged.
        sent = proxy.routed_from_switch()
        check({"ACK", "BYE"} <= sent, f"the switch sent {sorted(sent)} along route sets")
        return f"the switch sent {', '.join(sorted(sent))} along route sets"
