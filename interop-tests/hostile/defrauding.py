"""Who has stolen a password calls what costs money."""

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
        calls = []
        for n in range(AT_ONCE):
            invite = thief.invite(f"0900{n}", cseq=10)
            call = carrier.answer()
            thief.send(Call(thief, invite, thief.final("INVITE", 10)).message("ACK", cseq=10))
            check(call.invite.start.startswith(f"INVITE sip:0900{n}@"), f"the carrier is asked for {call.invite.start}")
            calls.append(call)
        more = [dial(thief, f"0900{n}").status for n in range(AT_ONCE, CALLS)]
        check(set(more) == {403} and carrier.silence(), f"a third call at once got {more}")
        causes = [record["cause"] for record in switch.wait_for_records(2 * CALLS - AT_ONCE)]
        check(causes == ["not-allowed"] * CALLS + ["account-limit"] * (CALLS - AT_ONCE), f"the records say {causes}")
        for call in calls:
            call.bye()
            thief.respond(thief.expect("BYE"), 200)
