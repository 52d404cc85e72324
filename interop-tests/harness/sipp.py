"""SIPp: phones in XML, many at once. The XML files are in ../sipp."""

import csv
import itertools
import socket
import subprocess
from pathlib import Path

from . import process
from .audio import mu_law_tone
from .scenario import Failed
from .switch import Switch, password

SCENARIOS = Path(__file__).parent.parent / "sipp"

#: SIPp plays this tone from memory; a second in a loop is enough.
SIPP_HERTZ, TONE_SECONDS = 1000, 1


#: Ports for peers, in blocks, one for each that asks. Linux gives those from 32768 upwards to whoever connects, at any time: a
#: port that was free there may be somebody's a moment later.
PORT_BLOCKS = itertools.cycle(range(10_000, 20_000, 32))


def free_port() -> int:
    """A port that nobody has now, UDP and TCP; the 31 after it are nobody else's either."""
    return next(port for port in PORT_BLOCKS if is_free(port, socket.SOCK_DGRAM) and is_free(port, socket.SOCK_STREAM))


def is_free(port: int, kind: socket.SocketKind) -> bool:
    """Whether nobody has the port."""
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Sipp:
    """One run of one scenario file, already started."""

    def __init__(self, switch: Switch, name: str, numbers=(), dialled="", *, port=None, calls=None, rate=10, at_once=None,
                 hold_ms=1000, seconds=40, tcp=False, ipv6=False, right=True, **placeholders):
        """`numbers`: a call for each, as that phone. `calls`: how many, if not one for each number.
        `right`: with the right passwords. `placeholders` fill @NAME@."""
        self.name, self.seconds, self.port = name, seconds, port or free_port()
        folders = (switch.folder / f"sipp-{name}-{n}" for n in itertools.count(1))
        self.folder = next(folder for folder in folders if not folder.exists())
        self.folder.mkdir()
        self._write(numbers, dialled, right, placeholders)
        server, own = (switch.address6, "::1") if ipv6 else (switch.address, "127.0.0.1")
        command = [
            "sipp", server, "-sf", f"{name}.xml", "-i", own, "-mi", own, "-p", self.port,
            "-m", calls or max(len(numbers), 1), "-r", rate, "-d", hold_ms, "-nostdin", "-timeout", seconds, "-timeout_error",
            "-trace_err", "-error_file", "errors.log", "-trace_msg", "-message_file", "messages.log",
        ]
        if numbers:
            command += ["-inf", "phones.csv"]
        if at_once:
            command += ["-l", at_once]
        if ipv6:
            # Its own digest-uri would be the bare address, which is no URI (RFC 3261 section 25.1, IPv6reference).
            command += ["-auth_uri", server]
        if tcp:
            command += ["-t", "t1"]
        self.child = process.start(command, self.folder, "output.log")

    def _write(self, numbers, dialled, right, placeholders):
        text = (SCENARIOS / f"{self.name}.xml").read_text()
        for key, value in placeholders.items():
            text = text.replace(f"@{key}@", str(value))
        (self.folder / f"{self.name}.xml").write_text(text)
        (self.folder / "tone.ulaw").write_bytes(mu_law_tone(SIPP_HERTZ, TONE_SECONDS))
        with open(self.folder / "phones.csv", "w", newline="") as out:
            out.write("SEQUENTIAL\n")
            csv.writer(out, delimiter=";", lineterminator="\n").writerows([n, credentials(n, right), dialled] for n in numbers)

    def finish(self):
        """Waits for the end of all calls; one that went otherwise than its file says fails the scenario."""
        try:
            code = self.child.wait(self.seconds + 10)
        except subprocess.TimeoutExpired:
            raise Failed(f"SIPp {self.name} hangs") from None
        if code:
            raise Failed(f"SIPp {self.name} ended with {code}: {self._complaint()}")

    def _complaint(self) -> str:
        errors = self.folder / "errors.log"
        log = errors if errors.exists() else self.folder / "output.log"
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[:4])[:600]


def credentials(number, right: bool) -> str:
    """SIPp takes the names of its digest keyword from the file of phones as a whole only."""
    return f"[authentication username={number} password={password(number) if right else 'wrong'}]"


def register(switch: Switch, numbers, port=None, rate=50, tcp=False, ipv6=False) -> int:
    """Registers phones, and returns the port that they registered from: whoever answers for them must have it."""
    run = Sipp(switch, "register", list(numbers), port=port, rate=rate, tcp=tcp, ipv6=ipv6)
    run.finish()
    return run.port
