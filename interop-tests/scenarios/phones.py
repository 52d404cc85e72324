"""Phones call phones."""

from harness.scenario import Stage, check, scenario
from harness.sipp import Sipp, register
from harness.switch import Switch


def call(switch: Switch, caller_file: str, answer_file: str, **options) -> dict:
    """201 calls 202, both by SIPp; returns the call record."""
    register(switch, [201])
    port = register(switch, [202])
    callee = Sipp(switch, answer_file, port=port, hold_ms=options.get("hold_ms", 1000), seconds=options.get("seconds", 40))
    caller = Sipp(switch, caller_file, [201], "202", **options)
    caller.finish()
    callee.finish()
    return switch.wait_for_records(1)[0]


def callee_leg(record: dict) -> dict:
    """The leg of the phone that was called."""
    return next(leg for leg in record["legs"] if leg["role"] == "callee")


@scenario("SIPp")
def a_phone_calls_a_phone_and_hangs_up(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller", "answer")
        check((record["caller"], record["dialled"]) == ("201", "202"), f"the call record names {record['caller']} and {record['dialled']}")
        check(record["ended_by"] == "caller", f"the call record says that {record['ended_by']} ended the call")
        for leg in record["legs"]:
            received, sent = leg["media"]["received"], leg["media"]["sent"]
            check(received >= 40 and sent >= 40, f"{leg['account']}'s leg has {received} packets in, {sent} out, in a second")


@scenario("SIPp")
def the_called_phone_hangs_up(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller_stays", "answer_hangs_up")
        check(record["ended_by"] == "callee", f"the call record says that {record['ended_by']} ended the call")


@scenario("SIPp")
def a_phone_calls_a_phone_over_tcp(stage: Stage):
    with Switch(stage) as switch:
        port = register(switch, [202])
        callee = Sipp(switch, "answer", port=port)
        Sipp(switch, "caller", [201], "202", tcp=True).finish()
        callee.finish()
        flow = next(leg["flow"] for leg in switch.wait_for_records(1)[0]["legs"] if leg["role"] == "caller")
        check(flow.startswith("tcp "), f"the caller's leg came over {flow}")


@scenario("SIPp")
def a_phone_on_ipv6_calls_a_phone_on_ipv4(stage: Stage):
    with Switch(stage) as switch:
        port = register(switch, [202])
        register(switch, [201], ipv6=True)
        callee = Sipp(switch, "answer", port=port)
        Sipp(switch, "caller", [201], "202", ipv6=True).finish()
        callee.finish()
        record = switch.wait_for_records(1)[0]
        flows = [leg["flow"] for leg in record["legs"]]
        check("[::1]" in flows[0] and "127.0.0.1" in flows[1], f"the legs came over {flows}")
        for leg in record["legs"]:
            check(leg["media"]["received"] >= 40 and leg["media"]["sent"] >= 40, f"{leg['account']}'s leg: {leg['media']}")


@scenario("SIPp")
def a_phone_holds_and_resumes(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller_holds", "answer")
        check(record["ended_by"] == "caller", f"the call record says that {record['ended_by']} ended the call")


@scenario("SIPp")
def both_phones_ring_reliably_with_early_media(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller_reliable", "answer_reliable")
        check(record["ended_by"] == "caller", f"the call record says that {record['ended_by']} ended the call")


@scenario("SIPp")
def a_session_interval_that_is_too_short_gets_422(stage: Stage):
    with Switch(stage) as switch:
        register(switch, [201])
        Sipp(switch, "caller_too_short", [201], "202").finish()


@scenario("SIPp", limit=100, waits=True)
def a_call_that_nobody_refreshes_ends_a_third_before_its_interval(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller_never_refreshes", "answer", seconds=80)
        check(record["cause"] == "session-expired", f"the call record says {record['cause']}")
        check(abs(record["duration_ms"] - 60_000) < 1500, f"the call lasted {record['duration_ms']} ms instead of 60 s")


@scenario("SIPp")
def a_busy_phone_gives_486(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller_refused", "busy", status=486)
        check(callee_leg(record)["status"] == 486, f"the callee's leg has status {callee_leg(record)['status']}")


@scenario("SIPp")
def a_caller_gives_up_and_the_phone_stops_ringing(stage: Stage):
    with Switch(stage) as switch:
        record = call(switch, "caller_cancels", "ring_only")
        check(record["ended_by"] == "caller" and not record["answer"], f"{record['ended_by']} ended the call, answered {record['answer']}")


@scenario("SIPp")
def nobody_answers_and_the_caller_gets_480(stage: Stage):
    with Switch(stage, {("ringmaster", "ring_timeout"): 2}) as switch:
        register(switch, [201])
        port = register(switch, [202])
        callee = Sipp(switch, "ring_only", port=port)
        Sipp(switch, "caller_refused", [201], "202", status=480).finish()
        callee.finish()
        record = switch.wait_for_records(1)[0]
        check(1500 < record["duration_ms"] < 4000, f"it rang for {record['duration_ms']} ms instead of 2 s")


@scenario("SIPp")
def an_unregistered_phone_gives_480(stage: Stage):
    with Switch(stage) as switch:
        Sipp(switch, "caller_refused", [201], "203", status=480).finish()
        switch.wait_for_records(1)


@scenario("SIPp")
def an_unknown_number_gives_404(stage: Stage):
    with Switch(stage) as switch:
        Sipp(switch, "caller_refused", [201], "999", status=404).finish()


@scenario("SIPp")
def a_wrong_password_is_refused(stage: Stage):
    with Switch(stage) as switch:
        Sipp(switch, "register_refused", [201], right=False).finish()
