"""Asterisk 22 in a folder of its own (`benches/peers/asterisk.sh`): another switch, as a trunk of ours or as one of our phones. It
answers with a tone, writes down what it hears, and is steered over its manager interface (AMI)."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import audio, process
from .scenario import Skipped, check, wait_for
from .switch import Switch, password

#: Away from the ports of the switch and of Kamailio.
PORT, MANAGER_PORT, TLS_PORT = 25070, 25071, 25072
#: Longer than any scenario: at the end of its file it hangs up.
TONE_SECONDS = 60
#: What it plays where the dialplan says ${SHORT}.
SHORT_SECONDS = 2

#: How long it may take to start, or to answer, on a machine that is busy with other things.
PATIENCE = 20
#: Folders that it wants below its own.
FOLDERS = "etc var db keys spool run log".split()
#: What these calls need. All that there is would take seconds to load, and listen on ports of its own.
MODULES = """
app_dial app_mixmonitor app_playback app_read app_senddtmf app_transfer bridge_builtin_features bridge_native_rtp bridge_simple
chan_pjsip codec_ulaw format_wav pbx_config res_pjproject res_pjsip res_pjsip_authenticator_digest res_pjsip_caller_id
res_pjsip_dlg_options res_pjsip_endpoint_identifier_ip res_pjsip_logger res_pjsip_nat res_pjsip_outbound_authenticator_digest
res_pjsip_outbound_registration res_pjsip_pubsub res_pjsip_refer res_pjsip_registrar res_pjsip_rfc3326 res_pjsip_sdp_rtp
res_pjsip_session res_rtp_asterisk res_srtp res_sorcery_astdb res_sorcery_config res_sorcery_memory res_timing_timerfd
""".split()

#: What it registers and answers as, where the switch takes it for a phone.
PHONE = "208"
#: What the switch registers and calls as, where it takes Asterisk for a trunk. The realm is Asterisk's default.
CREDENTIALS = 'user = "alice"\npassword = "secret"\nrealm = "asterisk"\n'

FILES = {
    "asterisk.conf": """\
[directories]
astetcdir => {inside}/etc
astmoddir => {modules}
astvarlibdir => {inside}/var
astdbdir => {inside}/db
astkeydir => {inside}/keys
astdatadir => /usr/share/asterisk
astagidir => /usr/share/asterisk/agi-bin
astspooldir => {inside}/spool
astrundir => {inside}/run
astlogdir => {inside}/log
""",
    "modules.conf": "[modules]\nautoload = no\n{loads}",
    "logger.conf": "[general]\n[logfiles]\nmessages = notice,warning,error,verbose\n",
    "rtp.conf": "[general]\nrtpstart = 30000\nrtpend = 30999\n",
    "manager.conf": """\
[general]
enabled = yes
bindaddr = {host}
port = {manager}
[test]
secret = test
read = call,system
write = all
""",
    # Every number answers with the tone, unless the scenario says otherwise.
    "extensions.conf": """\
[globals]
SHORT = {inside}/short
[world]
{dialplan}
exten => _[+0-9]!,1,Goto(talk,s,1)
[talk]
exten => s,1,Answer(,i)
 same => n,MixMonitor(,r({inside}/heard-${{UNIQUEID}}.wav))
 same => n,Playback({inside}/tone)
 same => n,Hangup()
""",
    "pjsip.conf": """\
[global]
type = global
[udp]
type = transport
protocol = udp
bind = {host}:{port}
[tcp]
type = transport
protocol = tcp
bind = {host}:{port}
{tls}
[switch]
type = endpoint
context = world
disallow = all
allow = ulaw
{endpoint}
{role}
[switch]
type = aor
contact = sip:{switch}\\;transport={transport}
qualify_frequency = 1
[switch]
type = identify
endpoint = switch
match = 127.0.0.1
""",
}

TLS = """\
[tls]
type = transport
protocol = tls
method = tlsv1_2
bind = {host}:{port}
cert_file = {inside}/certificate.pem
priv_key_file = {inside}/key.pem
{mutual}
"""

#: Who connects must show a certificate, too.
MUTUAL_TLS = """\
ca_list_file = {inside}/authorities.pem
verify_client = yes
require_client_cert = yes
"""

#: The switch proves itself by digest, and may register.
TRUNK_ROLE = """\
aors = switch,alice
auth = alice
[alice]
type = auth
auth_type = userpass
username = alice
password = secret
[alice]
type = aor
max_contacts = 1
"""

#: It registers at the switch, and proves itself there.
PHONE_ROLE = f"""\
aors = switch
outbound_auth = phone
from_user = {PHONE}
[phone]
type = auth
auth_type = userpass
username = {PHONE}
password = {password(PHONE)}
[phone]
type = registration
outbound_auth = phone
server_uri = sip:{{switch}}
client_uri = sip:{PHONE}@{{switch}}
contact_user = {PHONE}
retry_interval = 1
"""


def root() -> Path:
    """The folder that Asterisk is installed in."""
    return Path(os.environ.get("RINGMASTER_PEERS", "/var/tmp/ringmaster-peers")) / "asterisk"


def is_installed() -> bool:
    """Whether it is there."""
    return (root() / "usr/sbin/asterisk").exists()


#: Its installation takes two to three minutes where the mirror is near.
INSTALL_SECONDS = 900


def install(checkout: Path):
    """Installs it if it is missing. Where that cannot be done, its scenarios are skipped."""
    if is_installed():
        return
    print("installing Asterisk", flush=True)
    script = ["timeout", str(INSTALL_SECONDS), checkout / "benches/peers/asterisk.sh"]
    done = subprocess.run(script, capture_output=True, text=True)
    if not is_installed():
        print(f"Asterisk cannot be installed ({done.returncode}): {(done.stdout + done.stderr)[-1000:]}", flush=True)


class Asterisk:
    """Asterisk beside a switch. Use it in a `with`; leaving it proves that no channel of its own was left over."""

    def __init__(self, switch: Switch, hertz: float, host="127.0.0.1", role=TRUNK_ROLE, dialplan="", endpoint="", transport="udp", tls=None):
        """It answers with that tone. `dialplan`: lines for numbers that do something else. `endpoint`: settings for its calls with the
        switch. `transport`: of what it begins. `tls`: the files of its certificate and key, and of whom
        those must be from who connect."""
        if not is_installed():
            raise Skipped("Asterisk is not installed: benches/peers/asterisk.sh, which needs root and debootstrap, did not succeed")
        self.switch, self.number, self.hertz, self.host = switch, "Asterisk", hertz, host
        self.address = f"{host}:{PORT}"
        self.role = role.format(switch=switch.address)
        self.dialplan, self.endpoint, self.transport, self.tls = dialplan, endpoint, transport, tls
        # It sees nothing but its own root.
        name = f"{switch.folder.name}-{host}"
        self.folder, self.inside = root() / "tmp" / name, Path("/tmp") / name
        self.child = None

    def __enter__(self) -> "Asterisk":
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True)
        for name, seconds in [("tone", TONE_SECONDS), ("short", SHORT_SECONDS)]:
            audio.write(self.folder / f"{name}.wav", audio.tone(self.hertz, seconds))
        for file, name in zip(self.tls or [], ("certificate.pem", "key.pem", "authorities.pem")):
            shutil.copy(file, self.folder / name)
        modules = next(root().glob("usr/lib/*/asterisk/modules"))
        mutual = MUTUAL_TLS.format(inside=self.inside) if self.tls and len(self.tls) > 2 else ""
        values = {
            "inside": self.inside, "modules": Path("/") / modules.relative_to(root()), "host": self.host,
            "switch": self.switch.tls_address if self.transport == "tls" else self.switch.address,
            "tls": TLS.format(host=self.host, port=TLS_PORT, inside=self.inside, mutual=mutual) if self.tls else "",
            "port": PORT, "manager": MANAGER_PORT, "loads": "".join(f"load = {name}.so\n" for name in MODULES), "role": self.role,
            "dialplan": self.dialplan, "endpoint": self.endpoint, "transport": self.transport,
        }
        for name, text in FILES.items():
            (self.folder / "etc" / name).write_text(text.format(**values))
        try:
            self.start()
        except Exception:
            self._leave()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.child.poll() is None:
                self.is_over()
        finally:
            self._leave()

    def _leave(self):
        """What it wrote stays with what the others wrote."""
        self.stop()
        shutil.move(self.folder, self.switch.folder / f"asterisk-{self.host}")

    def start(self):
        """Starts it (again)."""
        command = ["chroot", root(), "/usr/sbin/asterisk", "-f", "-C", self.inside / "etc/asterisk.conf"]
        self.child = process.start(command, self.folder, "output.log")
        self.manager = Manager(wait_for("Asterisk's manager port", self._connect, PATIENCE))
        wait_for("the end of Asterisk's start", lambda: "fully booted" in self.command("core waitfullybooted"), PATIENCE)
        self.command("pjsip set logger on")

    def stop(self):
        """Kills it, as a machine dies."""
        process.end(self.child, signal.SIGKILL)

    def _connect(self):
        check(self.child.poll() is None, "Asterisk ended at its start")
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection((self.host, MANAGER_PORT), timeout=PATIENCE)

    def command(self, line: str) -> str:
        """What it answers to a line of its console."""
        return self.manager.ask("Command", Command=line)

    def channels(self) -> list[str]:
        """The names of its standing channels."""
        return re.findall(r"^Output: (PJSIP/[^!]+)!", self.command("core show channels concise"), re.MULTILINE)

    def dial(self, number, caller="4915712345"):
        """Calls a number of the switch; who answers hears the tone."""
        wait_for("Asterisk's sight of the switch", lambda: "Avail" in self.command("pjsip show contacts"))
        begun = self.manager.ask(
            "Originate", Channel=f"PJSIP/{number}@switch", Context="talk", Exten="s", Priority=1, CallerID=caller, Async="true"
        )
        check("Response: Success" in begun, f"Asterisk does not call: {begun}")

    def is_over(self):
        """Waits for the end of its calls."""
        wait_for("the end of all channels of Asterisk", lambda: not self.channels())

    def transfer(self, channel: str, number: str):
        """Its own blind transfer: who talks with that channel is led to a number."""
        done = self.manager.ask("BlindTransfer", Channel=channel, Context="world", Exten=number)
        check("Response: Success" in done, f"Asterisk does not transfer: {done}")

    def hang_up(self):
        """Ends all its calls."""
        self.command("channel request hangup all")

    def press(self, key: str):
        """Presses a key in its call: telephone-event, RFC 4733."""
        done = self.manager.ask("PlayDTMF", Channel=self.channels()[0], Digit=key)
        check("Response: Success" in done, f"Asterisk presses no key: {done}")

    def is_talking(self) -> bool:
        """Whether the tone was begun in a call."""
        return any(self.folder.glob("heard-*.wav"))

    def asked_again(self) -> int:
        """How many re-INVITEs it has sent: requests with a tag in To."""
        sent = re.findall(r"Transmitting SIP request .*\nINVITE sip:[^\n]*\n(?:(?!To:)[^\n]+\n)*To: [^\n]*;tag=", self.log())
        return len(sent)

    def log(self) -> str:
        """What it said, every SIP message among it."""
        log = self.folder / "log/messages"
        return log.read_text(errors="replace") if log.exists() else ""

    def seconds_heard(self) -> float:
        """A clock that goes on as long as it hears: it loses nothing, and writes it down late."""
        return time.monotonic()

    def heard(self):
        """The samples of what it heard in its last call that had the tone. Call it when the call is over."""
        self.is_over()
        files = sorted(self.folder.glob("heard-*.wav"))
        check(files, "Asterisk wrote nothing of what it heard")
        return audio.read(files[-1])[0]


class Manager:
    """A session of the manager interface: an action, and its response."""

    def __init__(self, connection: socket.socket):
        self.file = connection.makefile("rwb")
        self.file.readline()
        self.ask("Login", Username="test", Secret="test", Events="off")

    def ask(self, action: str, **fields) -> str:
        """Sends an action; gives the whole response."""
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.file.write("\r\n".join(lines).encode())
        self.file.flush()
        response = []
        while (line := self.file.readline().decode(errors="replace").rstrip("\r\n")) or not response:
            response.append(line)
        return "\n".join(response)
