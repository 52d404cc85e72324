"""What scanners of the Internet do, with their own tools: sipvicious looks for switches, accounts and passwords, sipsak floods."""

import re
import signal
import subprocess
import time

from harness import process
from harness.phone import Phone
from harness.scenario import Stage, check, scenario
from harness.sipp import free_port
from harness.switch import SIP_PORT, Switch, password

from .flooding import LONG, PATIENCE, Talk

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


@scenario("sipvicious", waits=True)
def a_cracker_does_not_find_a_password_that_stands_in_its_list(stage: Stage):
    # Only MD5: it knows nothing else. The password is its two hundredth guess.
    with Switch(stage, {("ringmaster", "digests"): '["md5"]'}) as switch:
        phone = Phone(201, host="127.0.0.7", algorithm="MD5").registered()
        guesses = [f"guess-{n}" for n in range(300)]
        guesses[199] = password(201)
        (stage.folder / "guesses").write_text("\n".join(guesses) + "\n")
        told = sipvicious(stage, "svcrack", "-u", "201", "-d", "guesses", "--maximumtime=3", "-t", "0.01")
        check("found nothing" in told and password(201) not in told, f"svcrack says {told}")
        check("banned: too many wrong passwords address=127.0.0.1 " in switch.log(), "the log does not tell of the ban")
        check(phone.register().status == 200, "the phone is locked out")


@scenario("sipsak", long=LONG)
def a_flood_of_sipsak_costs_no_call(stage: Stage):
    with Talk(stage) as talk:
        # It sends more than a core can read; what the kernel drops then, phones repeat.
        talk.withstands(Sipsak(stage, talk.lasts), within=PATIENCE)
    return talk.figures


class Sipsak:
    """sipsak floods as fast as it can, on what others leave of the machine; it has no end of its own."""

    def __init__(self, stage: Stage, lasts: float):
        self.began, self.lasts = time.monotonic(), lasts
        command = ["nice", "-n", 19, "sipsak", "-F", "-e", 1_000_000_000, "-s", f"sip:201@127.0.0.1:{SIP_PORT}"]
        self.child = process.start(command, stage.folder, "sipsak.txt")

    def runs(self) -> bool:
        """Whether it should go on."""
        return time.monotonic() < self.began + self.lasts

    def finish(self):
        """Stops it."""
        check(self.child.poll() is None, "sipsak ended early: see sipsak.txt")
        process.end(self.child, signal.SIGKILL)
        self.seconds = time.monotonic() - self.began

    def __str__(self):
        return f"{self.seconds:.0f} s of sipsak -F"
