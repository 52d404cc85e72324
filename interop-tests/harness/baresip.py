"""baresip: a softphone that sends a tone and writes down what it hears. Steered over its ctrl_tcp module."""

import contextlib
import json
import socket
import time
from pathlib import Path

from . import audio, process
from .scenario import check, wait_for
from .sipp import free_port
from .switch import Switch, password

#: Where Debian keeps the modules; other systems differ in the middle part.
MODULES = next(iter(Path("/usr/lib").glob("**/baresip/modules")), Path("/usr/lib/baresip/modules"))

#: Longer than any scenario: at the end of its file baresip would fall silent.
TONE_SECONDS = 60

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
rtp_ports {rtp}-{last_rtp}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,ear
audio_alert aubridge,bell
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels {channels}
auplay_channels {channels}
opus_inbandfec yes
jitter_buffer_type fixed
jitter_buffer_delay 1-5
snd_path {folder}/heard
ctrl_tcp_listen 127.0.0.1:{control}
module_path {modules}
module {codec}.so
module srtp.so
module aubridge.so
module aufile.so
module sndfile.so
module_app account.so
module_app menu.so
module_app debug_cmd.so
module_app ctrl_tcp.so
"""


#: Codecs as baresip names them -> its module, the rate and the channels that it works with.
CODECS = {
    "PCMU": ("g711", 8000, 1),
    "PCMA": ("g711", 8000, 1),
    "G722/16000/1": ("g722", 16000, 1),
    "opus/48000/2": ("opus", 48000, 2),
    "L16/16000/1": ("l16", 16000, 1),
    "L16/8000/1": ("l16", 8000, 1),
    "GSM": ("gsm", 8000, 1),
}


class Baresip:
    """A softphone in a process of its own. Use it in a `with`."""

    def __init__(self, switch: Switch, number, hertz: float, transport="udp", codec="PCMU", answers=False, proxy=None, server=None, encrypted=False, muxes=False):
        """`encrypted`: SRTP and nothing else, with keys in its session descriptions. `muxes`: it offers RTCP on the port of RTP. `proxy`: ADDRESS:PORT through which all goes. `server`: the one that it calls over in the place of the switch, unregistered."""
        self.number, self.hertz = str(number), hertz
        self.switch = switch
        self.server = server or (switch.tls_address if transport == "tls" else switch.address)
        self.registers = not server
        self.transport = transport
        self.folder = switch.folder / f"baresip-{number}"
        (self.folder / "heard").mkdir(parents=True)
        module, rate, channels = CODECS[codec]
        audio.write(self.folder / "tone.wav", audio.tone(hertz, TONE_SECONDS, rate=rate), rate, channels)
        self.control = free_port()
        self.port, rtp = free_port(), free_port()
        text = CONFIG.format(sip=self.port, rtp=rtp, last_rtp=rtp + 20, folder=self.folder, control=self.control, modules=MODULES, codec=module, rate=rate, channels=channels)
        if transport == "tls":
            # It trusts the switch's certificate and no other.
            text += f"sip_cafile {switch.certificate}\n"
        (self.folder / "config").write_text(text)
        mode = ";answermode=auto" if answers else ""
        way = f';outbound="sip:{proxy};transport={transport}"' if proxy else ""
        srtp = ";mediaenc=srtp-mand" if encrypted else ""
        mux = ";rtcp_mux=yes" if muxes else ""
        (self.folder / "accounts").write_text(f"{self._account(number)};audio_codecs={codec}{mode}{way}{srtp}{mux}\n")
        (self.folder / "contacts").touch()
        self.events: list[dict] = []
        self._unread = b""
        self.socket = None

    def __enter__(self) -> "Baresip":
        self.child = process.start(["baresip", "-f", self.folder, "-v"], self.folder, "output.log")
        self.socket = wait_for(f"baresip {self.number}'s control port", self._connect)
        if self.registers:
            wait_for(f"baresip {self.number}'s registration", lambda: "200 OK" in self.log())
        return self

    def __exit__(self, kind, error, trace):
        if self.socket:
            self.socket.close()
        process.end(self.child)

    def _connect(self):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", self.control), timeout=1)

    def log(self) -> str:
        """What it said."""
        return (self.folder / "output.log").read_text(errors="replace")

    # --- Commands ----------------------------------------------------------------------------------------------------

    def dial(self, number):
        """Calls a number."""
        self._command("dial", f"sip:{number}@{self.server};transport={self.transport}")

    def press(self, key: str):
        """Presses a key: telephone-event, RFC 4733."""
        self._command("sndcode", key)

    def hang_up(self):
        """Ends the call."""
        self._command("hangup", "")

    def hold(self):
        """Puts the call on hold."""
        self._command("hold", "")

    def resume(self):
        """Takes the call back."""
        self._command("resume", "")

    def transfer(self, number):
        """Has the other side connected with a number (REFER)."""
        self._command("transfer", f"sip:{number}@{self.server}")

    def watch_for_messages(self, number):
        """Registers another account, which subscribes to messages that wait. (The module that does so, loaded from the start,
        subscribes without end if a registration succeeds within its first millisecond.)"""
        self._command("insmod", "mwi")
        self._command("uanew", self._account(number))

    def _account(self, number) -> str:
        return f"<sip:{number}@{self.server};transport={self.transport}>;auth_user={number};auth_pass={password(number)};regint={600 if self.registers else 0}"

    def rest(self, seconds: float):
        """Lets the call go on for a while."""
        time.sleep(seconds)

    def _command(self, name: str, parameters: str):
        text = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self.socket.sendall(b"%d:%s," % (len(text), text))

    # --- Events ------------------------------------------------------------------------------------------------------

    def wait(self, event: str, seconds: float = 15) -> dict:
        """Waits for the next event of a kind (CALL_ESTABLISHED, CALL_CLOSED, ...) and returns it with its time, `at`."""

        def found():
            self._read()
            return next((one for one in self.events if one["type"] == event), None)

        one = wait_for(f"{event} at baresip {self.number}", found, seconds)
        self.events.remove(one)
        return one

    def is_over(self):
        """Waits for the end of its call."""
        self.wait("CALL_CLOSED")

    def _read(self):
        self.socket.settimeout(0.02)
        with contextlib.suppress(TimeoutError):
            octets = self.socket.recv(65536)
            check(octets, f"baresip {self.number} died: {self.log()[-300:]}")
            self._unread += octets
        while b":" in self._unread:
            length, rest = self._unread.split(b":", 1)
            if len(rest) <= int(length):
                return
            self._unread = rest[int(length) + 1 :]
            message = json.loads(rest[: int(length)])
            if message.get("event"):
                self.events.append({**message, "at": time.time()})

    # --- What it heard -----------------------------------------------------------------------------------------------

    def seconds_heard(self) -> float:
        """How much it has heard so far, in all its calls. On a busy machine it loses sound, and hears less than its calls last."""
        return sum(file.stat().st_size for file in self._ears()) / (2 * audio.RATE)

    def _ears(self) -> list[Path]:
        return sorted((self.folder / "heard").glob("dump-*-dec.wav"))

    def heard(self):
        """The samples of its last call. Call it when the call is over: baresip closes the file then."""
        files = self._ears()
        check(files, f"baresip {self.number} wrote nothing of what it heard")
        return audio.read(files[-1])[0]
