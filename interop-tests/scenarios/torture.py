"""The messages of RFC 4475 and RFC 5118. A wrong answer, a dead switch or a panic is a failure."""

import contextlib
import re
import subprocess
import sys

from harness.scenario import Skipped, Stage, check, scenario
from harness.bridge import Bridge
from harness.repeater import Repeater
from harness.switch import SIP_PORT, TLS_PORT, WS_PORT, Switch

#: Where the tool and the messages are: a folder beside the checkout, or beside the folder of several checkouts.
PLACES = ("../shared", "../../shared")


#: What the tool, which judges by UDP, does not know of streams: RFC 4475 section 3.1.2.2 wants `clerr` waited for, not answered,
#: since its end never comes. (That the switch ends such a connection after 10 s is proven by the tests of `net`.)
ON_STREAMS = {"clerr.dat": "-"}

#: Where a tool for TCP finds TLS and WebSockets.
BRIDGE_PORT = 25063


def score(stage: Stage, messages: str, *options: str, secure=False, web=False) -> str:
    """Sends every message; returns how many answers are as the RFC wants. `secure`, `web`: over TLS, over a WebSocket."""
    shared = next((place for name in PLACES if (place := (stage.checkout / name).resolve()).joinpath("tools/torture.py").exists()), None)
    if not shared:
        raise Skipped(f"there is no tools/torture.py in {' or '.join(PLACES)}")
    with Switch(stage) as switch, contextlib.ExitStack() as bridges:
        port = SIP_PORT
        if secure or web:
            port = BRIDGE_PORT
            bridges.enter_context(Bridge(port, SIP_PORT, WS_PORT if web else TLS_PORT, secure, web))
        elif "--tcp" not in options:
            port = BRIDGE_PORT
            bridges.enter_context(Repeater(port, SIP_PORT))
        table = stage.folder / "verdicts.tsv"
        command = [sys.executable, shared / "tools/torture.py", shared / f"data/{messages}/index.tsv", "127.0.0.1", str(port), "--out", table]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=200)
        found = re.search(r"# (\d+)/(\d+) within the RFC; server alive after: (\w+)", done.stderr)
        check(found, f"torture.py failed: {done.stderr.strip()[-300:]}")
        check(found[3] == "True", "the switch does not answer any more")
        streamed = "--tcp" in options and not web
        failed = [line.split("\t") for line in table.read_text().splitlines() if "\tFAIL" in line]
        wrong = [name for name, _, _, got, *_ in failed if not (streamed and ON_STREAMS.get(name) == got)]
        check(not wrong, f"not answered as the RFC wants: {', '.join(wrong)}")
        return f"{found[2]} of {found[2]} answered as the RFC wants"


@scenario("torture", limit=120, waits=True)
def rfc_4475_messages_over_udp(stage: Stage):
    return score(stage, "rfc4475")


@scenario("torture", limit=240, waits=True)
def rfc_4475_messages_over_tcp(stage: Stage):
    return score(stage, "rfc4475", "--tcp")


@scenario("torture", limit=120, waits=True)
def rfc_5118_messages_over_udp(stage: Stage):
    return score(stage, "rfc5118")


@scenario("torture", limit=120, waits=True)
def rfc_5118_messages_over_tcp(stage: Stage):
    return score(stage, "rfc5118", "--tcp")


@scenario("torture", limit=240, waits=True)
def rfc_4475_messages_over_tls(stage: Stage):
    return score(stage, "rfc4475", "--tcp", secure=True)


@scenario("torture", limit=240, waits=True)
def rfc_4475_messages_over_a_websocket(stage: Stage):
    return score(stage, "rfc4475", "--tcp", web=True)


@scenario("torture", limit=240, waits=True)
def rfc_4475_messages_over_tcp_octet_by_octet(stage: Stage):
    return score(stage, "rfc4475", "--tcp", "--bytewise")


@scenario("torture", limit=120, waits=True)
def rfc_5118_messages_over_tls(stage: Stage):
    return score(stage, "rfc5118", "--tcp", secure=True)


@scenario("torture", limit=120, waits=True)
def rfc_5118_messages_over_a_websocket(stage: Stage):
    return score(stage, "rfc5118", "--tcp", web=True)
