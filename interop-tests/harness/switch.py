"""The real binary on a configuration of its own: the sample of config/, with other ports, more phones, and what a scenario changes."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import process
from .scenario import Failed, Stage, check, wait_for

#: Where the switch listens, and its RTP ports: away from the default ones, from those of the benchmarks, and from 32768
#: upwards, where Linux gives ports to programs.
SIP_PORT = 25060
TLS_PORT = 25061
WS_PORT = 25062
WSS_PORT = 25065
FIRST_RTP_PORT = 31000
LAST_RTP_PORT = 31999
#: For attacks on what lies behind the allowances and bans of [defence], which would otherwise end them early.
TRUSTING = {("ringmaster", "trusted"): '["127.0.0.0/8", "::1"]'}
#: From where it is asked whether it lives: an address that no scenario gets banned.
PROBE = "127.99.0.1"
#: As many as those ports hold, two legs of two ports each.
MAX_CALLS = 250


class Switch:
    """A running switch. Use it in a `with`: leaving it proves that it still answers, that it ends at once, so that no call was
    leaked, and that its log shows neither a panic nor an error that the scenario did not provoke."""

    def __init__(self, stage: Stage, settings=None, extra=None, phones=(), wrapper=(), ends=True, provoked=()):
        """`settings`: (file, key) -> TOML value, for keys that the sample has; `extra`: file -> text added at its end; `wrapper`: a
        command that starts ours; `ends`: whether leaving demands an end without calls; `provoked`: words of errors that must be
        in the log."""
        self.stage = stage
        self.wrapper, self.ends, self.provoked = list(wrapper), ends, list(provoked)
        self.folder = stage.folder
        self.address = f"127.0.0.1:{SIP_PORT}"
        self.address6 = f"[::1]:{SIP_PORT}"
        self.tls_address = f"127.0.0.1:{TLS_PORT}"
        self.ws_address = f"127.0.0.1:{WS_PORT}"
        self.wss_address = f"127.0.0.1:{WSS_PORT}"
        #: Self-signed, made by each switch at its first start.
        self.certificate = self.folder / "config/tls/certificate.pem"
        self.recordings = self.folder / "recordings"
        self.trace_socket = self.folder / "var/ringmaster.sock"
        self.child = None
        self.ready_after = None
        self._write({**self._own_settings(), **(settings or {})}, extra or {}, phones)

    # --- Configuration -----------------------------------------------------------------------------------------------

    def _own_settings(self) -> dict:
        return {
            ("ringmaster", "listen"): f'["udp:{self.address}", "tcp:{self.address}", "udp:{self.address6}", "tcp:{self.address6}", '
                                      f'"tls:{self.tls_address}", "ws:{self.ws_address}", "wss:{self.wss_address}"]',
            ("ringmaster", "addresses"): '["127.0.0.1", "::1"]',
            ("ringmaster", "first_port"): FIRST_RTP_PORT,
            ("ringmaster", "last_port"): LAST_RTP_PORT,
            ("ringmaster", "max_calls"): MAX_CALLS,
        }

    def _write(self, settings, extra, phones):
        shutil.copytree(self.stage.checkout / "config", self.folder / "config")
        for (file, key), value in settings.items():
            self.set(file, key, value)
        folders = {"recordings": self.recordings, "call_records": self.folder / "call-records", "queue_log": self.folder / "queue-log", "sounds": self.stage.checkout / "sounds"}
        for section, folder in folders.items():
            self.set_folder(section, folder)
        self.add("phones", "".join(f'{number} = {{ password = "{password(number)}" }}\n' for number in phones))
        for file, text in extra.items():
            self.add(file, text)

    def path(self, file: str) -> Path:
        """The configuration file of that name."""
        return self.folder / "config" / f"{file}.toml"

    def set(self, file: str, key: str, value):
        """Gives a setting another value, wherever it stands in the file; the sample names every setting."""
        text = self.path(file).read_text()
        line = re.compile(rf"^#?{re.escape(key)} = .*$", re.MULTILINE)
        check(line.search(text), f"config/{file}.toml has no setting `{key}` any more: mend the scenario")
        self.path(file).write_text(line.sub(f"{key} = {value}", text))

    def add(self, file: str, text: str):
        """Adds text to a file: tables at its end, lines to the table that has the file's name."""
        whole = self.path(file).read_text()
        table = re.search(rf"(?m)^\[{file}\]\n", whole)
        place = len(whole) if not table or text.lstrip().startswith("[") else table.end()
        self.path(file).write_text(whole[:place] + text + whole[place:])

    def set_phone(self, number, setting: str):
        """Gives a phone of the sample one more setting."""
        text = self.path("phones").read_text()
        text, count = re.subn(rf"(?m)^({number} = {{ .*) }}$", rf"\1, {setting} }}", text)
        check(count == 1, f"config/phones.toml has {count} phones {number}: mend the scenario")
        self.path("phones").write_text(text)

    def set_folder(self, section: str, folder: Path):
        """Several sections have a `folder`."""
        text = self.path("ringmaster").read_text()
        text, count = re.subn(rf'(?ms)^(\[{section}\]\n.*?)^folder = "[^"]*"', rf'\1folder = "{folder}"', text, count=1)
        check(count, f"config/ringmaster.toml has no folder in [{section}] any more: mend the harness")
        self.path("ringmaster").write_text(text)

    # --- Life --------------------------------------------------------------------------------------------------------

    def start(self) -> "Switch":
        """Starts the switch and waits until it answers OPTIONS."""
        began = time.monotonic()
        self.child = process.start([*self.wrapper, self.stage.binary, "run", "--config", self.folder / "config"], self.folder, "switch.log")
        while not self.answers(0.02):
            code = self.child.poll()
            check(code is None, f"the switch ended at its start with {code}: {self.log()[-600:]}")
            check(time.monotonic() < began + 5, "the switch does not answer OPTIONS 5 s after its start")
        self.ready_after = time.monotonic() - began
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        if kind is None and self.child.poll() is None:
            check(self.answers(), "the switch does not answer OPTIONS any more")
            if self.ends:
                self.stop()
        self.kill()
        if kind is None:
            self._check_log()

    def _check_log(self):
        """Nothing that nobody provoked went wrong."""
        errors = [line for line in self.log().splitlines() if "panicked" in line or " ERROR " in line]
        for words in self.provoked:
            check(any(words in line for line in errors), f"the log does not say {words!r}")
        unprovoked = [line for line in errors if not any(words in line for words in self.provoked)]
        check(not unprovoked, f"the log shows a fault: {unprovoked[:3]}")

    def kill(self):
        """kill -9."""
        process.end(self.child, signal.SIGKILL)

    def stop(self, seconds: float = 3):
        """Ends the switch with SIGTERM. With no call left it ends at once: a leaked call would hold it."""
        self.signal(signal.SIGTERM)
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"the switch still runs {seconds:g} s after SIGTERM: a call was leaked") from None
        check(code == 0, f"the switch ended with {code}")

    def signal(self, which: signal.Signals):
        """Sends a signal."""
        os.kill(self.child.pid, which)

    def answers(self, seconds: float = 1) -> bool:
        """Whether it answers OPTIONS."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.settimeout(seconds)
            phone.bind((PROBE, 0))
            phone.connect(("127.0.0.1", SIP_PORT))
            own, mark = "%s:%d" % phone.getsockname(), time.monotonic_ns()
            message = (
                f"OPTIONS sip:{self.address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{mark}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:probe@{own}>;tag=1\r\nTo: <sip:{self.address}>\r\n"
                f"Call-ID: probe{mark}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            try:
                phone.send(message.encode())
                phone.recv(4096)
                return True
            except ConnectionRefusedError:
                time.sleep(seconds)
                return False
            except TimeoutError:
                return False

    def why(self, name) -> subprocess.CompletedProcess:
        """What a shell is told of a call or an agent."""
        return subprocess.run([self.stage.binary, "why", str(name), "--socket", self.trace_socket], capture_output=True, text=True, timeout=20)

    def do(self, call, *order) -> subprocess.CompletedProcess:
        """`ringmaster do`: has it done."""
        command = [self.stage.binary, "do", str(call), *map(str, order), "--socket", self.trace_socket]
        return subprocess.run(command, capture_output=True, text=True, timeout=10)

    # --- What it leaves ----------------------------------------------------------------------------------------------

    def log(self) -> str:
        """What it said."""
        return (self.folder / "switch.log").read_text(errors="replace")

    def call_records(self) -> list[dict]:
        """All call records, by the start of their calls. (They are written by the calls' ends, and two ends may swap places.)"""
        files = sorted((self.folder / "call-records").glob("*.jsonl"))
        return sorted((json.loads(line) for file in files for line in file.read_text().splitlines()), key=lambda record: record["start"])

    def record(self, number: int = 1, seconds: float = 8) -> dict:
        """The record of the call of that number, counted from 1, as soon as so many are written."""
        return self.wait_for_records(number, seconds)[number - 1]

    def wait_for_records(self, count: int, seconds: float = 10) -> list[dict]:
        """Waits until so many calls are on record."""
        return wait_for(f"call record {count}", lambda: len(self.call_records()) >= count and self.call_records(), seconds)

    # --- What it uses ------------------------------------------------------------------------------------------------

    def open_files(self) -> int:
        """File descriptors that it has open, when they do not grow any more: the stock of RTP ports is bound by and by."""
        count = -1
        while count != (count := len(os.listdir(f"/proc/{self.child.pid}/fd"))):
            time.sleep(0.05)
        return count

    def memory(self) -> float:
        """Resident memory in MiB."""
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    def processor_time(self) -> float:
        """Seconds of processor time used so far, by all threads."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def password(number) -> str:
    """The password of a phone, by the rule of the sample."""
    return f"ringmaster-{number}"
