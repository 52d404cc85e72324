"""The messages of RFC 4475 and RFC 5118. The score is printed; a dead switch or a panic is a failure."""

import re
import subprocess
import sys

from harness.scenario import Skipped, Stage, check, scenario
from harness.switch import SIP_PORT, Switch

#: Where the tool and the messages are: a folder beside the checkout, or beside the folder of several checkouts.
PLACES = ("../shared", "../../shared")


def score(stage: Stage, messages: str, *options: str) -> str:
    """Sends every message; returns how many answers are as the RFC wants."""
    shared = next((place for name in PLACES if (place := (stage.checkout / name).resolve()).joinpath("tools/torture.py").exists()), None)
    if not shared:
        raise Skipped(f"there is no tools/torture.py in {' or '.join(PLACES)}")
    with Switch(stage) as switch:
        table = stage.folder / "verdicts.tsv"
        command = [sys.executable, shared / "tools/torture.py", shared / f"data/{messages}/index.tsv", "127.0.0.1", str(SIP_PORT), "--out", table]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=200)
        found = re.search(r"# (\d+)/(\d+) within the RFC; server alive after: (\w+)", done.stderr)
        check(found, f"torture.py failed: {done.stderr.strip()[-300:]}")
        check(found[3] == "True", "the switch does not answer any more")
        wrong = [line.split("\t")[0] for line in table.read_text().splitlines() if "\tFAIL" in line]
        return f"{found[1]} of {found[2]} answered as the RFC wants" + (f"; not: {', '.join(wrong)}" if wrong else "")


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
