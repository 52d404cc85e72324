"""Kamailio: a proxy that stays in every dialog (Record-Route), between phones and the switch or, as a carrier, behind it."""

from pathlib import Path

from . import process
from .scenario import check, wait_for
from .switch import SIP_PORT, Switch

#: Far from the switch and its RTP.
PORT = 25080

#: Where Debian keeps the modules.
MODULES = next(iter(Path("/usr/lib").glob("**/kamailio/modules")), Path("/usr/lib/kamailio/modules"))

HEAD = f"""\
debug=1
log_stderror=yes
fork=yes
children=2
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{PORT}
mpath="{MODULES}/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
"""

#: What belongs to a dialog takes the way of the dialog.
DIALOGS = """\
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    if (has_totag()) {
        # Whoever does not follow the route set of its dialog gets no further.
        if (loose_route()) { xlog("L_ERR", "routed $rm from $sp\\n"); t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        xlog("L_ERR", "no route $rm from $sp\\n");
        sl_send_reply("404", "Not here");
        exit;
    }
"""

#: Phones reach the switch over it, and the switch them.
PROXY = f"""\
request_route {{
{DIALOGS}
    # The Route that a phone's setting made.
    remove_hf("Route");
    if (is_method("INVITE")) {{ record_route(); }}
    # From the switch to a phone: to the Request-URI. From a phone: to the switch.
    if ($sp != {SIP_PORT}) {{ $du = "sip:127.0.0.1:{SIP_PORT}"; }}
    t_relay();
}}
"""

#: What the switch proves itself with to the carrier.
REALM, USER, SECRET = "provider.example", "alice", "secret"
CREDENTIALS = f'user = "{USER}"\npassword = "{SECRET}"\n'

#: The switch reaches a phone in the world over it once it has proved who it is, and the world the switch: at the Contact that it
#: registered, with the number in To alone, or else at its address.
CARRIER = f"""\
request_route {{
{DIALOGS}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{REALM}", "{SECRET}", "0") || $au != "{USER}") {{ www_challenge("{REALM}", "1"); exit; }}
        save("location");
        exit;
    }}
    if ($sp == {SIP_PORT}) {{
        if ($rU =~ "503$") {{ append_to_reply("Retry-After: 30\\r\\n"); sl_send_reply("503", "Service Unavailable"); exit; }}
        if ($rU =~ "302$") {{ append_to_reply("Contact: <sip:0304444@127.0.0.1:{PORT}>\\r\\n"); sl_send_reply("302", "Moved Temporarily"); exit; }}
        if (!pv_proxy_authenticate("{REALM}", "{SECRET}", "0") || $au != "{USER}") {{ proxy_challenge("{REALM}", "1"); exit; }}
        consume_credentials();
        $du = "sip:127.0.0.1:@WORLD@";
    }} else {{
        remove_hf("Route");
        $var(number) = $rU;
        $rU = "{USER}";
        if (!lookup("location")) {{ $rU = $var(number); $du = "sip:127.0.0.1:{SIP_PORT}"; }}
    }}
    record_route();
    t_relay();
}}
"""


class Kamailio:
    """The proxy. Use it in a `with`; leaving it proves that every request inside a dialog followed its route set."""

    def __init__(self, switch: Switch, world: int | None = None):
        """`world`: it is a carrier, and whoever is called there has this port."""
        self.routes = CARRIER.replace("@WORLD@", str(world)) if world else PROXY
        self.folder = switch.folder / "kamailio"
        self.address = f"127.0.0.1:{PORT}"

    def __enter__(self) -> "Kamailio":
        self.folder.mkdir()
        (self.folder / "kamailio.cfg").write_text(HEAD + self.routes)
        command = ["kamailio", "-f", self.folder / "kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "4", "-w", self.folder, "-Y", self.folder]
        self.child = process.start(command, self.folder, "kamailio.log")
        wait_for("Kamailio", lambda: "udp" in self.log())
        return self

    def __exit__(self, kind, error, trace):
        process.end(self.child)
        if kind is None:
            check("no route" not in self.log(), f"a request does not follow its route set: {self.log()[-500:]}")

    def log(self) -> str:
        """What it said."""
        return (self.folder / "kamailio.log").read_text(errors="replace")

    def routed_from_switch(self) -> set[str]:
        """The methods of requests inside dialogs that the switch sent through it."""
        lines = [line for line in self.log().splitlines() if line.endswith(f" from {SIP_PORT}") and "routed " in line]
        return {line.rsplit("routed ", 1)[1].split()[0] for line in lines}
