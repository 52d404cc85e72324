"""Who has stolen a password calls what costs money; who forwards calls sends them round in circles."""

import time

from harness.phone import Call, Message, Phone, sdp
from harness.scenario import Stage, check, scenario
from harness.switch import Switch

#: The carrier has an address of its own: from that of a trunk no phone calls.
CARRIER, CARRIER_PORT = "127.0.0.5", 25068
TRUNK = f"""
[trunks.carrier]
host = "{CARRIER}:{CARRIER_PORT}"
options = 0
caller = "4930700"

[routes.outside]
pattern = "0."
trunks = ["carrier"]
"""
#: What a thief dials: so many calls at home, and as many abroad.
CALLS = 50
#: Outside calls of an account at once; the default of `calls` of [outside].
AT_ONCE = 2
#: INVITEs of a call that goes round in circles, and how long it may last (s).
LEGS, LASTS = 10, 1


def dial(phone: Phone, number: str) -> Message:
    """Calls and acknowledges; gives the final response."""
    response = phone.request("INVITE", phone.uri(number), None, sdp(), 4)
    if response.status == 200:
        Call(phone, phone.sent, response).ack()
    return response


@scenario("hand-made")
def a_stolen_account_calls_two_numbers_at_once_and_none_abroad(stage: Stage):
    with Switch(stage, extra={"trunks": TRUNK}) as switch:
        carrier, thief = Phone("carrier", host=CARRIER, port=CARRIER_PORT), Phone(205, host="127.0.0.6").registered()
        abroad = [dial(thief, f"00{country}90012345").status for country in range(20, 20 + CALLS)]
        check(set(abroad) == {403} and carrier.silence(), f"calls abroad got {abroad}")
        for n in range(AT_ONCE):
            invite = thief.invite(f"0900{n}", cseq=10)
            call = carrier.answer()
            thief.send(Call(thief, invite, thief.final("INVITE", 10)).message("ACK", cseq=10))
            check(call.invite.start.startswith(f"INVITE sip:0900{n}@"), f"the carrier is asked for {call.invite.start}")
        more = [dial(thief, f"0900{n}").status for n in range(AT_ONCE, CALLS)]
        check(set(more) == {403} and carrier.silence(), f"a third call at once got {more}")
        causes = [record["cause"] for record in switch.wait_for_records(2 * CALLS - AT_ONCE)]
        check(causes == ["not-allowed"] * CALLS + ["account-limit"] * (CALLS - AT_ONCE), f"the records say {causes}")


@scenario("hand-made")
def phones_that_forward_to_each_other_ring_few_times_and_not_for_long(stage: Stage):
    with Switch(stage):
        one, other, caller = Phone(202).registered(), Phone(203).registered(), Phone(205).registered()
        began, legs, refused = time.monotonic(), 0, None
        caller.invite("202")
        while not refused and time.monotonic() < began + 5 * LASTS:
            for phone, target in ((one, other), (other, one)):
                message = phone.receive(0.005)
                if message and message.method == "INVITE" and not message.status:
                    legs += 1
                    phone.respond(message, 302, headers={"Contact": f"<sip:{target.number}@{phone.domain}>"})
            came = caller.receive(0)
            refused = came if came and came.status >= 200 else None
        took = time.monotonic() - began
        check(refused and refused.status in (482, 483), f"the caller got {refused and refused.start}")
        check(legs <= LEGS and took <= LASTS, f"{legs} phones rang in {took:.1f} s")
        return f"{legs} phones rang, {refused.status} after {took * 1000:.0f} ms"
