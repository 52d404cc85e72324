"""What scanners of the Internet do, with their own tools: sipvicious looks for switches, accounts and passwords, sipsak floods."""

import re
import subprocess

from harness.phone import Phone
from harness.scenario import Stage, check, scenario
from harness.sipp import free_port
from harness.switch import SIP_PORT, Switch

#: The accounts of the sample, and as many numbers that are none.
ACCOUNTS = "195-215"


def sipvicious(stage: Stage, tool: str, *words, seconds: int = 30) -> str:
    """Runs one of its tools to its end; returns what it said, without colours."""
    command = [tool, "-v", "-p", SIP_PORT, "-P", free_port(), *words, "127.0.0.1"]
    done = subprocess.run([str(word) for word in command], cwd=stage.folder, capture_output=True, text=True, timeout=seconds)
    return re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr)


@scenario("sipvicious", waits=True)
def a_scanner_finds_one_switch_and_no_account(stage: Stage):
    with Switch(stage):
        Phone(201).registered()
        told = sipvicious(stage, "svmap")
        rows = [line for line in told.splitlines() if "|" in line and str(SIP_PORT) in line]
        check(len(rows) == 1 and "Ringmaster" in rows[0], f"svmap finds {told}")
        for method in ("REGISTER", "INVITE", "OPTIONS"):
            for force in ([], ["--force"]):
                told = sipvicious(stage, "svwar", "-m", method, "-e", ACCOUNTS, *force)
                found = re.findall(r"\b\d{3}\b(?=.*(?:reqauth|noauth|weird|exists))", told)
                check(not found, f"svwar -m {method} {force} finds {found}: {told}")
                check("found nothing" in told or "for an unknown extension" in told, f"svwar -m {method} says {told}")
