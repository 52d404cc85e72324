"""Trunks: SIPp is the carrier, or one made by hand."""

from harness.carrier import Carrier, certificate
from harness.phone import Call, Phone, sdp
from harness.scenario import Failed, Stage, check, scenario, wait_for
from harness.sipp import Sipp, free_port, register
from harness.switch import Switch

#: The address of carriers made by hand: from that of a trunk no phone calls.
CARRIER = "127.0.0.5"


def trunk(port: int, lines: str = "") -> str:
    """A trunk at this port of this machine, on the route of numbers that begin with 0."""
    return f"""
[trunks.carrier]
host = "127.0.0.1:{port}"
domain = "provider.example"
options = 0
number_out = [ {{ pattern = "0Z.", strip = 1, prepend = "49" }} ]
caller = "4930700"
{lines}
[trunks.carrier.numbers]
4930700 = {{ queue = "support" }}
4930202 = {{ phone = "202" }}

[routes.outside]
pattern = "0."
trunks = ["carrier"]
"""


@scenario("SIPp")
def a_phone_calls_out_over_a_trunk(stage: Stage):
    port = free_port()
    with Switch(stage, extra={"trunks": trunk(port)}) as switch:
        register(switch, [201])
        carrier = Sipp(switch, "answer", port=port)
        Sipp(switch, "caller", [201], "0301234").finish()
        carrier.finish()
        record = switch.wait_for_records(1)[0]
        leg = record["legs"][1]
        check((leg["account"], leg["number"]) == ("carrier", "49301234"), f"the call left as {leg['account']}, {leg['number']}")
        for leg in record["legs"]:
            received, sent = leg["media"]["received"], leg["media"]["sent"]
            check(received >= 40 and sent >= 40, f"{leg['account']}'s leg has {received} packets in, {sent} out, in a second")


@scenario("SIPp")
def a_trunk_calls_a_phone_by_its_number(stage: Stage):
    port = free_port()
    with Switch(stage, extra={"trunks": trunk(port)}) as switch:
        answers = Sipp(switch, "answer", port=register(switch, [202]))
        Sipp(switch, "trunk_calls", port=port, FROM="4915712345", DIALLED="4930202").finish()
        answers.finish()
        record = switch.wait_for_records(1)[0]
        check((record["caller"], record["dialled"]) == ("4915712345", "4930202"), f"{record['caller']} called {record['dialled']}")
        for leg in record["legs"]:
            received, sent = leg["media"]["received"], leg["media"]["sent"]
            check(received >= 40 and sent >= 40, f"{leg['account']}'s leg has {received} packets in, {sent} out, in a second")


@scenario("SIPp")
def a_trunk_calls_the_queue_and_an_agent_answers(stage: Stage):
    port = free_port()
    with Switch(stage, extra={"trunks": trunk(port)}) as switch:
        agent = Sipp(switch, "answer", port=register(switch, [201]))
        Sipp(switch, "trunk_calls", port=port, FROM="4915712345", DIALLED="4930700", hold_ms=15000).finish()
        agent.finish()
        visit = switch.wait_for_records(1)[0]["queues"][0]
        check(visit["agent"] == "201", f"{visit['agent']} served the call")


@scenario("SIPp")
def the_switch_registers_at_a_trunk(stage: Stage):
    port = free_port()
    lines = 'user = "alice"\npassword = "secret"\nregister = true\n'
    switch = Switch(stage, extra={"trunks": trunk(port, lines)})
    registrar = Sipp(switch, "trunk_registers", port=port)
    with switch:
        registrar.finish()
        wait_for("the line in the log that we are registered", lambda: "registered" in switch.log(), 5)


def over_tls(carrier: Carrier, name: str, lines="") -> str:
    """The trunk of that carrier, which is to show this name."""
    lines += f'transport = "tls"\ntls_name = "{name}"\ntls_authorities = "{carrier.certificate}"\n'
    return trunk(carrier.port, lines).replace("options = 0", "options = 1")


@scenario("a carrier over TLS")
def a_phone_calls_out_over_a_trunk_that_proves_its_name_over_tls(stage: Stage):
    carrier = Carrier(stage.folder, "sip.carrier.example")
    with Switch(stage, extra={"trunks": over_tls(carrier, "sip.carrier.example")}):
        carrier.accept()
        carrier.respond(carrier.expect("OPTIONS", 5), 200)
        caller = Phone(205).registered()
        invite = caller.invite("0301234")
        asked = carrier.expect("INVITE", 5)
        check(asked.start.startswith("INVITE sip:49301234@provider.example "), f"it asks for {asked.start}")
        check(asked.get("Via").startswith("SIP/2.0/TLS "), f"its Via is {asked.get('Via')}")
        carrier.inbox.insert(0, asked)
        called = carrier.answer()
        calling = Call(caller, invite, caller.final("INVITE", 5))
        calling.ack()
        # The carrier hangs up over the connection that the switch opened.
        called.bye()
        calling.is_ended()
    carrier.end()


@scenario("a carrier over TLS")
def a_trunk_that_shows_another_name_gets_nothing_and_the_log_says_why(stage: Stage):
    carrier = Carrier(stage.folder, "sip.evil.example")
    with Switch(stage, extra={"trunks": over_tls(carrier, "sip.carrier.example")}) as switch:
        check(carrier.is_refused(), "the switch spoke to who showed another name")
        wait_for("the reason in the log", lambda: "sip.carrier.example" in switch.log() and "it gets no calls" in switch.log(), 5)
        caller = Phone(205).registered()
        caller.invite("0301234")
        refusal = caller.final("INVITE", 5)
        check(refusal.status == 503, f"a call over it gets {refusal.start}")
        caller.send(caller.acknowledge(caller.sent, refusal))
    carrier.end()


def outside(caller: Phone, carrier: Phone, number: str) -> tuple[Call, Call]:
    """A call over the trunk that stands: the caller's dialog and the carrier's."""
    invite = caller.invite(number)
    called = carrier.answer()
    calling = Call(caller, invite, caller.final("INVITE", 5))
    calling.ack()
    return calling, called


@scenario("hand-made")
def numbers_and_callers_are_rewritten_for_a_trunk_and_from_it(stage: Stage):
    carrier = Phone("carrier", host=CARRIER)
    lines = """identity = "asserted"
number_in = [ { pattern = "49.", strip = 2, prepend = "0" } ]
"""
    caller_rule = 'caller = { rewrite = [ { pattern = "2XX", prepend = "+4930123" } ], allowed = ["+4930123205"], otherwise = "+49301230" }'
    text = trunk(carrier.port, lines).replace("127.0.0.1:", f"{CARRIER}:").replace('caller = "4930700"', caller_rule).replace("4930202 =", "030202 =")
    with Switch(stage, extra={"trunks": text}) as switch:
        shown = {}
        for number in ("205", "206"):
            calling, called = outside(Phone(number, host="127.0.0.6").registered(), carrier, "0301234")
            check(called.invite.start.startswith("INVITE sip:49301234@provider.example "), f"it asks for {called.invite.start}")
            shown[number] = called.invite.get("P-Asserted-Identity")
            calling.bye()
            called.is_ended()
        check("+4930123205@" in shown["205"] and "+49301230@" in shown["206"], f"the trunk is told {shown}")
        phone = Phone(202).registered()
        carrier.send(carrier.message("INVITE", carrier.uri("4930202"), body=sdp(), cseq=1, tag="in"))
        phone.respond(phone.expect("INVITE"), 486)
        check(carrier.final("INVITE", 1).status == 486, "the carrier's call does not reach the phone of its number")
        dialled = [record["dialled"] for record in switch.wait_for_records(3)]
        check(dialled == ["0301234", "0301234", "4930202"], f"the records say {dialled}")


@scenario("hand-made")
def a_trunk_carries_no_more_calls_than_it_may(stage: Stage):
    carrier = Phone("carrier", host=CARRIER)
    text = trunk(carrier.port, "max_calls = 1\n").replace("127.0.0.1:", f"{CARRIER}:")
    with Switch(stage, extra={"trunks": text}) as switch:
        caller = Phone(205, host="127.0.0.6").registered()
        calling, called = outside(caller, carrier, "0301234")
        caller.invite("0301235", cseq=7)
        refusal = caller.final("INVITE", 7)
        check(refusal.status == 503 and carrier.silence(), f"a second call gets {refusal.start}")
        caller.send(caller.acknowledge(caller.sent, refusal))
        check(switch.record()["cause"] == "trunk-full", "the record names another cause")
        calling.bye()
        called.is_ended()
        calling, called = outside(caller, carrier, "0301236")
        called.bye()
        calling.is_ended()


@scenario("hand-made")
def an_agent_outside_is_rung_over_a_trunk(stage: Stage):
    carrier = Phone("carrier", host=CARRIER)
    text = trunk(carrier.port).replace("127.0.0.1:", f"{CARRIER}:")
    switch = Switch(stage, extra={"trunks": text})
    queues = switch.path("queues")
    queues.write_text(queues.read_text().replace('start_sound = "start"\n', "").replace('phone = "201"', 'number = "0171234567"'))
    with switch:
        customer = Phone(205, host="127.0.0.6").registered()
        calling = customer.call("700")
        called = carrier.answer(seconds=15)
        check(called.invite.start.startswith("INVITE sip:49171234567@"), f"the carrier is asked for {called.invite.start}")
        calling.bye()
        called.is_ended()
        visit = switch.record()["queues"][0]
        check(visit["agent"] == "201", f"{visit['agent']} served the call")


@scenario("a carrier over TLS")
def who_connects_from_the_address_of_a_carrier_that_proves_its_name_shows_its_certificate(stage: Stage):
    carrier, stranger = Carrier(stage.folder, "sip.carrier.example"), certificate(stage.folder, "sip.evil.example")

    def is_let_in(shows) -> bool:
        try:
            phone = Phone(205, "tls", shows=shows)
            return phone.request("OPTIONS", phone.uri()).status == 200
        except (OSError, Failed):
            return False

    with Switch(stage, extra={"trunks": over_tls(carrier, "sip.carrier.example", "tls_verify = true\n")}):
        carrier.accept()
        for who, shows, wanted in (("itself", (carrier.certificate, carrier.key), True), ("a stranger", stranger, False), ("nobody", None, False)):
            check(is_let_in(shows) == wanted, f"who shows the certificate of {who} is {'refused' if wanted else 'let in'}")
    carrier.end()
