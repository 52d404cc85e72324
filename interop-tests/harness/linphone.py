"""linphone: a softphone in a process of its own, steered by its console; it plays a file and writes what it hears to one."""

import subprocess

from . import audio, process
from .scenario import check, wait_for
from .sipp import free_port
from .switch import Switch, password

#: Longer than any scenario: at the end of its file it would fall silent.
TONE_SECONDS = 60

CONFIG = """\
[sip]
sip_port={sip}
sip_tcp_port=-1
sip_tls_port=-1
use_ipv6=1
ipv6_migration_done=1
auto_net_state_mon=0
register_only_when_network_is_up=0
default_proxy=0
root_ca={certificate}
verify_server_certs=1
verify_server_cn=0
[rtp]
audio_rtp_port={rtp}
[proxy_0]
reg_proxy=<sip:{server};transport={transport}>
reg_identity=sip:{number}@{server}
reg_expires=600
reg_sendregister=1
publish=0
[auth_info_0]
username={number}
passwd={password}
realm=ringmaster
"""


class Linphone:
    """A softphone. Use it in a `with`."""

    def __init__(self, switch: Switch, number, hertz: float, transport="udp", answers=False):
        self.number, self.hertz = str(number), hertz
        self.folder = switch.folder / f"linphone-{number}"
        # Without a place for its database it starts, but sends nothing.
        (self.folder / ".local/share/linphone").mkdir(parents=True)
        audio.write(self.folder / "tone.wav", audio.tone(hertz, TONE_SECONDS))
        text = CONFIG.format(
            sip=free_port(), rtp=free_port(), server=switch.tls_address if transport == "tls" else switch.address, transport=transport,
            number=number, password=password(number), certificate=switch.certificate,
        )
        (self.folder / "linphonerc").write_text(text)
        self.options = ["-a"] if answers else []

    def __enter__(self) -> "Linphone":
        command = ["env", f"HOME={self.folder}", "linphonec", "-c", self.folder / "linphonerc", "-d", 5, "-l", self.folder / "linphone.log", *self.options]
        self.child = process.start(command, self.folder, "output.log", stdin=subprocess.PIPE)
        for line in ("soundcard use files", "play tone.wav", "record heard.wav"):
            self._say(line)
        wait_for(f"linphone {self.number}'s registration", lambda: "Register refresher [200]" in self.log(), 15)
        return self

    def __exit__(self, kind, error, trace):
        process.end(self.child)

    def log(self) -> str:
        """What it tells its makers."""
        log = self.folder / "linphone.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def output(self) -> str:
        """What its console says."""
        return (self.folder / "output.log").read_text(errors="replace")

    def dial(self, number):
        """Calls a number."""
        self._say(f"call {number}")

    def hang_up(self):
        """Ends the call."""
        self._say("terminate")

    def hold(self):
        """Puts the call on hold."""
        self._say("pause")

    def connect(self, held: int, active: int):
        """Connects who is in the one call with who is in the other (REFER with Replaces); the ids count from 1."""
        self._say(f"transfer {held} --to-call {active}")

    def wait(self, words: str, seconds: float = 15, count: int = 1):
        """Waits until its console has said words, `connected` or `ended`, so many times."""
        wait_for(f"{words!r} at linphone {self.number}", lambda: self.output().count(words) >= count, seconds)

    def _say(self, line: str):
        self.child.stdin.write(f"{line}\n".encode())
        self.child.stdin.flush()

    def heard(self):
        """The samples of its call. Call it when the call is over."""
        file = self.folder / "heard.wav"
        check(file.exists(), f"linphone {self.number} wrote nothing of what it heard")
        return audio.read(file)[0]
