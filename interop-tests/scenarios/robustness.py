"""Stops, kills and reloads, with calls standing."""

import re
import signal
import ssl
import time
from datetime import datetime

from harness import audio, process
from harness.carrier import certificate
from harness.phone import Phone
from harness.scenario import Stage, check, scenario, wait_for
from harness.sipp import Sipp, register
from harness.switch import TLS_PORT, Switch

from .first_minutes import ringmaster

#: At most so much of a recording may be lost by a kill, in seconds.
LOST_AT_MOST = 1.0


@scenario("SIPp")
def a_graceful_stop_refuses_new_calls_and_lets_standing_ones_end(stage: Stage):
    with Switch(stage) as switch:
        standing = Sipp(switch, "caller", [205], "600", hold_ms=4000)
        wait_for("the call", lambda: "begins" in switch.log())
        time.sleep(1)
        switch.signal(signal.SIGTERM)
        wait_for("the stop", lambda: "standing calls" in switch.log())
        Sipp(switch, "caller_drained", [206], "600").finish()
        standing.finish()
        ended = time.monotonic()
        check(switch.child.wait(10) == 0, f"the switch ended with {switch.child.returncode}")
        check(time.monotonic() - ended < 1.5, f"it ended {time.monotonic() - ended:.1f} s after its last call")
        records = switch.call_records()
        check(records and records[0]["ended_by"] == "caller", f"the call records say {records}")


@scenario("SIPp")
def a_graceful_stop_ends_calls_that_outlast_its_limit(stage: Stage):
    with Switch(stage, {("ringmaster", "drain_timeout"): 2}) as switch:
        standing = Sipp(switch, "caller_stays", [205], "600")
        wait_for("the call", lambda: "begins" in switch.log())
        time.sleep(1)
        stopped = time.monotonic()
        switch.signal(signal.SIGTERM)
        standing.finish()
        check(switch.child.wait(10) == 0, f"the switch ended with {switch.child.returncode}")
        took = time.monotonic() - stopped
        check(1.5 < took < 5, f"the stop took {took:.1f} s instead of 2")
        check(len(switch.call_records()) == 1, "the call that was ended has no record")


@scenario("hand-made", limit=60)
def a_kill_loses_nothing_of_what_agents_and_callers_did(stage: Stage):
    with Switch(stage, {("queues", "start_sound"): '"logged-in"'}) as switch:
        agents = {number: Phone(number).registered() for number in (201, 202, 203)}
        for number, code in ((202, "*47"), (203, "*46")):
            # A voice says that it is done, and hangs up.
            agents[number].call(code).is_ended(8)
        customer = Phone(205).registered()
        served = customer.call("700", seconds=8)
        answered = agents[201].answer(seconds=8)
        time.sleep(2)
        served.bye()
        answered.is_ended(4)
        switch.record(3)
        customer.call("700", seconds=8)
        agents[201].expect("INVITE", 8)
        switch.kill()
        switch.start()
        asked = {number: switch.why(number) for number in agents}
        check(all(answer.returncode == 0 for answer in asked.values()), f"`why` fails: {asked}")
        told = {number: answer.stdout for number, answer in asked.items()}
        check("available" in told[201] and "on break (lunch)" in told[202] and "logged out" in told[203], f"after the kill: {told}")
        report = ringmaster(stage, "report", "--config", "config").stdout
        check(re.search(r"(?m)^support +2 +1 ", report), f"two called, one was answered: {report}")
        check(re.search(r"(?m)^201 +1 ", report) and "lunch" in report, f"the report says of the agents: {report}")


@scenario("SIPp", limit=90)
def a_kill_loses_a_second_of_a_recording_at_most(stage: Stage):
    with Switch(stage) as switch:
        agent = Sipp(switch, "answer", port=register(switch, [201]), seconds=60)
        Sipp(switch, "caller_stays", [205], "700", seconds=60)
        wait_for("the conversation", lambda: "talks" in switch.log(), 20)
        time.sleep(5.6)
        talked = time.time() - talk_start(switch)
        process.end(switch.child, signal.SIGKILL)
        parts = list(switch.recordings.rglob("*.part"))
        check(len(parts) == 1, f"there are {len(parts)} unfinished recordings")
        left, right = audio.read(parts[0])
        kept = audio.seconds(left)
        check(talked - kept <= LOST_AT_MOST, f"{talked:.1f} s were recorded, {kept:.1f} s can be played")
        check(audio.level(left, 1000) > -25 and audio.level(right, 1000) > -25, "a side of the recording is silent")
        process.end(agent.child, signal.SIGKILL)
        switch.start()
        mended = wait_for("the mended recording", lambda: list(switch.recordings.rglob("*.wav")))
        check(audio.seconds(audio.read(mended[0])[0]) >= kept - 0.05, "the next start cut the recording")
        check(not list(switch.recordings.rglob("*.part")), "the next start left the unfinished recording as it was")
        return f"{talked:.2f} s talked, {kept:.2f} s kept"


def talk_start(switch: Switch) -> float:
    """The time of the log's line that says so, in seconds."""
    line = next(line for line in switch.log().splitlines() if "talks" in line)
    return datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()


@scenario("SIPp")
def a_reload_takes_all_or_nothing_and_drops_no_call(stage: Stage):
    with Switch(stage, provoked=["was not taken", "phones.toml", ": 2 mistakes"]) as switch:
        port = register(switch, [201])
        agent = Sipp(switch, "answer", port=port)
        customer = Sipp(switch, "caller", [205], "700", hold_ms=10_000)
        wait_for("the conversation", lambda: "talks" in switch.log(), 20)
        good = switch.path("phones").read_text()
        switch.path("phones").write_text(good + '299 = { password = "ringmaster-299" }\n298 = { pasword = "typo" }\n')
        switch.signal(signal.SIGHUP)
        wait_for("the refusal of the bad file", lambda: "phones.toml" in switch.log() and "pasword" in switch.log())
        Sipp(switch, "register_refused", [299]).finish()
        switch.path("phones").write_text(good + '299 = { password = "ringmaster-299" }\n')
        switch.signal(signal.SIGHUP)
        wait_for("the good file", lambda: "took the configuration" in switch.log())
        register(switch, [299])
        customer.finish()
        agent.finish()
        first = switch.wait_for_records(1)[0]
        check(first["ended_by"] == "caller", f"the reload ended the call: {first['cause']} by {first['ended_by']}")
        # The agent is still registered and logged in: after its wrap-up it is offered the next customer.
        again = Sipp(switch, "answer", port=port)
        Sipp(switch, "caller", [206], "700", hold_ms=12_000).finish()
        again.finish()
        check(switch.wait_for_records(2)[1]["queues"][0]["outcome"] == "answered", "after the reload the agent gets no customer")


@scenario("hand-made")
def a_renewed_certificate_is_shown_to_new_connections_and_a_broken_one_to_nobody(stage: Stage):
    with Switch(stage, provoked=["certificate.pem with ", "the configuration was not taken", "config: 1 mistake"]) as switch:
        shown = lambda: ssl.get_server_certificate(("127.0.0.1", TLS_PORT)).split()  # noqa: E731
        phone = Phone(205, transport="tls").registered()
        before = shown()
        chain, key = certificate(stage.folder, "pbx.example")
        switch.certificate.write_text(chain.read_text())
        switch.signal(signal.SIGHUP)
        # Its key is not there yet.
        wait_for("the refusal of half of a certificate", lambda: "the configuration was not taken" in switch.log())
        check(shown() == before, "the old certificate is not shown any more")
        switch.certificate.with_name("key.pem").write_text(key.read_text())
        switch.signal(signal.SIGHUP)
        wait_for("the new certificate", lambda: shown() == chain.read_text().split())
        check(phone.request("OPTIONS", phone.uri()).status == 200, "a connection was cut")
