"""Kamailio as a proxy between the phones and the switch, and as a carrier's; it stays in every dialog."""

from harness.baresip import Baresip
from harness.kamailio import CREDENTIALS, PORT, Kamailio
from harness.scenario import Stage, check, scenario, wait_for
from harness.sipp import SIPP_HERTZ, Sipp, free_port, register
from harness.switch import Switch

from .queue_audio import AGENT, AGENT_HERTZ, CUSTOMER, CUSTOMER_HERTZ, SOON, check_recording, heard_at_the_end
from .transfers import TALK_SECONDS, talk, talk_and_end
from .trunks import trunk

#: A phone behind the carrier.
WORLD, WORLD_HERTZ = 49301234, 1200


def carried(stage: Stage, hertz: float, answers=False, lines="") -> tuple[Switch, Baresip, Kamailio]:
    """A switch, a phone in the world, and the carrier between them that asks for a password."""
    switch = Switch(stage, SOON, {"trunks": trunk(PORT, CREDENTIALS + lines)})
    world = Baresip(switch, WORLD, hertz, answers=answers, server=f"127.0.0.1:{PORT}")
    return switch, world, Kamailio(switch, world.port)


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
            talk(customer)
            customer.hang_up()
            agent.wait("CALL_CLOSED")
            heard_at_the_end(customer, AGENT_HERTZ, CUSTOMER_HERTZ, TALK_SECONDS)
        record = switch.wait_for_records(1)[0]
        check(record["ended_by"] == "caller" and record["queues"][0]["outcome"] == "answered", f"the record says {record}")
        for leg in record["legs"]:
            check(leg["media"]["received"] > 100 and leg["media"]["lost"] == 0, f"{leg['account']}'s leg: {leg['media']}")
        # The customer hung up, so BYE went to the agent, whose answer was acknowledged.
        sent = proxy.routed_from_switch()
        check({"ACK", "BYE"} <= sent, f"the switch sent {sorted(sent)} along route sets")
        return f"the switch sent {', '.join(sorted(sent))} along route sets"


@scenario("Kamailio")
def a_phone_calls_the_world_through_a_proxy_that_asks_for_a_password(stage: Stage):
    switch, world, proxy = carried(stage, WORLD_HERTZ, answers=True)
    with switch, proxy, world, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as phone:
        phone.dial("0301234")
        for one in (phone, world):
            one.wait("CALL_ESTABLISHED")
        talk_and_end(phone, world)
        leg = switch.record()["legs"][1]
        check((leg["account"], leg["status"], leg["media"]["lost"]) == ("carrier", 200, 0), f"the leg on record is {leg}")
        sent = proxy.routed_from_switch()
        check(sent == {"ACK", "BYE"}, f"the switch sent {sorted(sent)} along route sets")


@scenario("Kamailio")
def the_world_calls_the_queue_through_a_proxy(stage: Stage):
    switch, world, proxy = carried(stage, CUSTOMER_HERTZ)
    with switch, proxy, world, Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
        world.dial(4930700)
        agent.wait("CALL_ESTABLISHED", 20)
        talk_and_end(agent, world)
        record = switch.record()
        check((record["caller"], record["queues"][0]["agent"]) == (str(WORLD), str(AGENT)), f"the record says {record}")
        check_recording(switch, record)
        sent = proxy.routed_from_switch()
        check("BYE" in sent, f"the switch sent {sorted(sent)} along route sets")


@scenario("Kamailio")
def a_carrier_calls_the_contact_that_we_registered_there(stage: Stage):
    switch, world, proxy = carried(stage, WORLD_HERTZ, lines="register = true\n")
    with proxy, switch, world, Baresip(switch, 202, CUSTOMER_HERTZ, answers=True) as phone:
        wait_for("our registration", lambda: "registered" in switch.log())
        world.dial(4930202)
        phone.wait("CALL_ESTABLISHED")
        talk_and_end(world, phone)
        record = switch.record()
        check((record["caller"], record["dialled"]) == (str(WORLD), "4930202"), f"{record['caller']} called {record['dialled']}")
        check(record["legs"][0]["account"] == "carrier", f"the record says {record}")


@scenario("Kamailio")
def a_proxy_that_cannot_gives_way_to_the_next_target_for_as_long_as_it_says(stage: Stage):
    port = free_port()
    targets = f'hosts = [{{ host = "127.0.0.1:{PORT}" }}, {{ host = "127.0.0.1:{port}", priority = 2 }}]'
    text = trunk(PORT, CREDENTIALS).replace(f'host = "127.0.0.1:{PORT}"', targets)
    with Switch(stage, extra={"trunks": text}) as switch, Kamailio(switch, port), Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as phone:
        for number, ways in [(1, [(PORT, 503), (port, 200)]), (2, [(port, 200)])]:
            second = Sipp(switch, "answer", port=port)
            phone.dial("0305503")
            phone.wait("CALL_ESTABLISHED")
            talk(phone)
            phone.hang_up()
            second.finish()
            phone.is_over()
            heard_at_the_end(phone, SIPP_HERTZ, CUSTOMER_HERTZ, TALK_SECONDS)
            legs = [(leg["flow"], leg["status"]) for leg in switch.record(number)["legs"][1:]]
            check(legs == [(f"udp 127.0.0.1:{way}", status) for way, status in ways], f"the legs of call {number} are {legs}")


@scenario("Kamailio")
def a_carrier_that_sends_a_call_elsewhere_does_not_do_so_at_our_cost(stage: Stage):
    switch, _, proxy = carried(stage, WORLD_HERTZ)
    with switch, proxy:
        register(switch, [201])
        Sipp(switch, "caller_refused", [201], "0305302", status=480).finish()
        legs = [(leg["number"], leg["status"]) for leg in switch.record()["legs"][1:]]
        check(legs == [("49305302", 302)], f"the legs on record are {legs}")
