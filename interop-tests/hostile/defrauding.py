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
calls_per_second = 30
caller = "4930700"

[routes.outside]
pattern = "0."
trunks = ["carrier"]
"""
#: What a thief dials: so many calls at home, and as many abroad.
CALLS = 50
#: Outside calls of an account at once; the default of `calls` of [outside].
AT_ONCE = 2
#: So many calls at once use up a minute of talk in three seconds.
MANY, THREE_SECONDS = 20, 3


def dial(phone: Phone, number: str) -> Message:
    """Calls and acknowledges; gives the final response."""
    response = phone.request("INVITE", phone.uri(number), None, sdp(), 4)
    if response.status == 200:
        Call(phone, phone.sent, response).ack()
    return response


def outside(thief: Phone, carrier: Phone, number: str) -> tuple[Call, Call]:
    """A call over the trunk that stands: the thief's dialog and the carrier's."""
    invite = thief.invite(number, cseq=10)
    called = carrier.answer()
    calling = Call(thief, invite, thief.final("INVITE", 10))
    calling.ack()
    return calling, called


@scenario("hand-made")
def a_stolen_account_calls_two_numbers_at_once_and_none_abroad(stage: Stage):
    with Switch(stage, extra={"trunks": TRUNK}) as switch:
        carrier, thief = Phone("carrier", host=CARRIER, port=CARRIER_PORT), Phone(205, host="127.0.0.6").registered()
        abroad = [dial(thief, f"00{country}90012345").status for country in range(20, 20 + CALLS)]
        check(set(abroad) == {403} and carrier.silence(), f"calls abroad got {abroad}")
        calls = []
        for n in range(AT_ONCE):
            call = outside(thief, carrier, f"0900{n}")[1]
            check(call.invite.start.startswith(f"INVITE sip:0900{n}@"), f"the carrier is asked for {call.invite.start}")
            calls.append(call)
        more = [dial(thief, f"0900{n}").status for n in range(AT_ONCE, CALLS)]
        check(set(more) == {403} and carrier.silence(), f"a third call at once got {more}")
        causes = [record["cause"] for record in switch.wait_for_records(2 * CALLS - AT_ONCE)]
        check(causes == ["not-allowed"] * CALLS + ["account-limit"] * (CALLS - AT_ONCE), f"the records say {causes}")
        for call in calls:
            call.bye()
            thief.respond(thief.expect("BYE"), 200)


@scenario("hand-made")
def calls_that_stand_are_cut_when_the_account_has_talked_for_its_minutes_of_the_day(stage: Stage):
    limits = {("trunks", "calls"): MANY, ("trunks", "minutes_per_day"): 1}
    with Switch(stage, limits, extra={"trunks": TRUNK}) as switch:
        carrier, thief = Phone("carrier", host=CARRIER, port=CARRIER_PORT), Phone(205, host="127.0.0.6").registered()
        for n in range(MANY):
            outside(thief, carrier, f"0900{n}")
        for phone in (thief, carrier):
            for _ in range(MANY):
                bye = phone.expect("BYE", 3 * THREE_SECONDS)
                phone.respond(bye, 200)
                check("No talk left today" in bye.get("Reason"), f"{phone.number} is told {bye.get('Reason')}")
        records = switch.wait_for_records(MANY)
        check({record["cause"] for record in records} == {"talk-spent"}, f"the records say {[record['cause'] for record in records]}")
        talked = sum(record["duration_ms"] for record in records) / 1000
        check(55 < talked < 65, f"the account talked for {talked} s")
        check(switch.log().count("outside calls are cut") == 1, f"the log says {switch.log()[-600:]}")
        check(dial(thief, "09009").status == 403 and carrier.silence(), "the account calls again")
        # A new start gives nothing back, and takes nothing from others.
        switch.stop()
        switch.start()
        thief.registered()
        check(dial(thief, "09009").status == 403 and carrier.silence(), "after a new start the account calls again")
        calling, _ = outside(Phone(206, host="127.0.0.7").registered(), carrier, "09009")
        calling.bye()
        carrier.respond(carrier.expect("BYE"), 200)
        return f"{MANY} calls talked for {talked:.1f} s"
