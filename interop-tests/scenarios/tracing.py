"""What `ringmaster trace` and the HEP export tell, read by others: tshark, and a HEP3 decoder of our own."""

import contextlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from harness import process
from harness.baresip import Baresip
from harness.phone import Message, Phone, connected
from harness.scenario import Stage, check, scenario, wait_for
from harness.sipp import free_port
from harness.switch import SIP_PORT, TLS_PORT, Switch

from .queue_audio import SOON

#: A call as the called phone sees it.
CALLED = ["INVITE", "180", "200", "ACK", "BYE", "200"]

#: What tshark tells of each packet: its ports and its kind; what it finds wrong; whether the checksums hold (1).
FIELDS = ("udp.port", "sip.Method", "sip.Status-Code", "_ws.malformed", "_ws.expert.severity", "udp.checksum.status", "ip.checksum.status")
#: The severity of an error among tshark's findings.
ERROR = 0x80_0000


def tshark(file: Path) -> list[tuple[list[str], str]]:
    """The ports and the kind of each message that tshark reads; nothing may be wrong with any."""
    command = ["tshark", "-r", file, "-T", "fields", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    command += [word for port in (SIP_PORT, TLS_PORT) for word in ("-d", f"udp.port=={port},sip")]
    command += [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"tshark fails: {done.stderr[-500:]}")
    read = []
    for line in done.stdout.splitlines():
        ports, method, status, malformed, findings, *checksums = line.split("\t")
        errors = [finding for finding in findings.split(",") if finding and int(finding, 0) >= ERROR]
        check((method or status) and not malformed and not errors and checksums == ["1", "1"], f"tshark finds fault with {line!r}")
        read.append((ports.split(","), method or status))
    return read


@scenario("tshark")
def tshark_reads_the_same_calls_from_the_trace(stage: Stage):
    with Switch(stage) as switch:
        file = stage.folder / "calls.pcap"
        watcher = process.start([stage.binary, "trace", "--socket", switch.trace_socket, "--pcap", file], stage.folder, "trace.txt")
        lines = lambda: [line for line in (stage.folder / "trace.txt").read_text().splitlines() if line[:2].isdigit()]  # noqa: E731
        wait_for("the trace", lambda: switch.answers() and lines())
        phone = Phone(202).registered()
        with Baresip(switch, 205, 440, transport="tls") as caller:
            caller.dial("202")
            call = phone.answer(seconds=10)
            caller.wait("CALL_ESTABLISHED")
            call.bye()
            caller.wait("CALL_CLOSED")
        switch.record()
        wait_for("the last answer", lambda: [kind(line) for line in lines()][-1:] == ["200"])
        process.end(watcher, signal.SIGINT)
        read = tshark(file)
        kinds = Counter(kind for _, kind in read)
        check(kinds == Counter(map(kind, lines())), f"tshark reads {kinds}, the trace tells {lines()}")
        of = lambda port: [kind for ports, kind in read if str(port) in ports]  # noqa: E731
        check(of(phone.port)[-len(CALLED):] == CALLED, f"of the called phone tshark reads {of(phone.port)}")
        encrypted = of(TLS_PORT)
        check({"REGISTER", "INVITE", "401", "180", "200", "ACK", "BYE"} <= set(encrypted), f"of the call over TLS tshark reads {encrypted}")
        return f"{len(read)} messages, {len(encrypted)} of them decrypted"


def kind(line: str) -> str:
    """The method or status of a message, from its line of the trace: `TIME  udp FROM -> TO  INVITE sip:202@..`."""
    words = line.split("  ", 2)[2].split()
    return words[1] if words[0] == "SIP/2.0" else words[0]


class Collector:
    """Collects HEP3 packets as the paper describes them (HEP/EEP, revision 32): a decoder that shares nothing with the switch. Use it
    in a `with`."""

    #: Chunk number -> name and how to read its value.
    CHUNKS = {
        1: ("family", lambda value: value[0]), 2: ("protocol", lambda value: value[0]),
        3: ("source", socket.inet_ntoa), 4: ("destination", socket.inet_ntoa),
        7: ("source_port", lambda value: struct.unpack("!H", value)[0]), 8: ("destination_port", lambda value: struct.unpack("!H", value)[0]),
        9: ("seconds", lambda value: struct.unpack("!I", value)[0]), 10: ("microseconds", lambda value: struct.unpack("!I", value)[0]),
        11: ("payload_type", lambda value: value[0]), 12: ("agent", lambda value: struct.unpack("!I", value)[0]),
        15: ("payload", Message.parse), 17: ("correlation", bytes.decode),
    }

    def __init__(self, port: int):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.packets: list[dict] = []

    def __enter__(self) -> "Collector":
        threading.Thread(target=self._collect, daemon=True).start()
        return self

    def __exit__(self, kind, error, trace):
        self.socket.close()

    def _collect(self):
        with contextlib.suppress(OSError):
            while True:
                self.packets.append(self.decoded(self.socket.recv(65535)))

    def decoded(self, packet: bytes) -> dict:
        """The chunks of a packet by their names; a fault stands under `fault`."""
        magic, length = struct.unpack("!4sH", packet[:6])
        if magic != b"HEP3" or length != len(packet):
            return {"fault": f"{magic}, {length} octets of {len(packet)}"}
        at, found = 6, {}
        while at < length:
            vendor, number, size = struct.unpack("!HHH", packet[at : at + 6])
            if vendor or number not in self.CHUNKS or size < 6 or at + size > length:
                return {"fault": f"chunk {vendor}.{number} of {size} octets at {at}"}
            name, read = self.CHUNKS[number]
            found[name] = read(packet[at + 6 : at + size])
            at += size
        return found


@scenario("HEP3")
def a_collector_reads_every_message_of_a_call_and_no_secret(stage: Stage):
    port = free_port()
    settings = {("ringmaster", "hep"): f'"udp:127.0.0.1:{port}"', ("ringmaster", "capture_id"): 7}
    with Collector(port) as collector, Switch(stage, settings) as switch:
        callee, caller = Phone(202).registered(), Phone(205, transport="tcp").registered()
        calling, _ = connected(caller, callee)
        calling.bye()
        callee.respond(callee.expect("BYE"), 200)
        ends = lambda packet, phone: {packet["source_port"], packet["destination_port"]} == {SIP_PORT, phone.port}  # noqa: E731
        what = lambda packet: packet["payload"].start.split()[1 if packet["payload"].status else 0]  # noqa: E731

        def of(phone: Phone) -> list[dict]:
            return [packet for packet in list(collector.packets) if "fault" not in packet and ends(packet, phone)]

        def last(phone: Phone, count: int) -> list[str]:
            return [what(packet) for packet in of(phone)][-count:]

        wait_for("the last message", lambda: last(callee, len(CALLED)) == CALLED and last(caller, 2) == ["BYE", "200"])
        packets = list(collector.packets)
        check(not [packet for packet in packets if "fault" in packet], f"faults: {packets}")
        for packet in packets:
            check((packet["family"], packet["payload_type"], packet["agent"]) == (socket.AF_INET, 1, 7), f"a packet says {packet}")
            check("127.0.0.1" in (packet["source"], packet["destination"]), f"the addresses of {packet}")
            check(packet["protocol"] == (6 if ends(packet, caller) else 17), f"the transport of {packet}")
            check(abs(packet["seconds"] - time.time()) < 60 and packet["microseconds"] < 1_000_000, f"the time of {packet}")
            check(not re.search(r'response="[^*]', str(packet["payload"])), f"a secret leaves: {packet['payload']}")
        of_call = lambda packet: packet["payload"].get("CSeq").split()[1] in ("INVITE", "ACK", "BYE")  # noqa: E731
        legs = {packet["correlation"] for phone in (caller, callee) for packet in of(phone) if of_call(packet)}
        call = switch.record()["call"]
        check(legs == {call}, f"the legs of call {call} are under {legs}")
        return f"{len(packets)} messages"


@scenario("hand-made")
def a_shell_is_told_why_a_customer_waits_and_an_agent_is_offered_nobody(stage: Stage):
    with Switch(stage, SOON) as switch:
        customer, agent = Phone(205).registered(), Phone(201).registered()
        call = customer.call("700")
        ringing = agent.expect("INVITE", 10)
        told = switch.why("205")
        check(told.returncode == 0, f"`why 205` fails: {told.stderr}")
        for words in ("of 205 to 700", "waits in support at place 1", "agent 201 (level 1, position 1): its phone rings for this call", "agent 202", "its phone is not registered"):
            check(words in told.stdout, f"{words!r} is not in {told.stdout}")
        told = switch.why("201")
        check("agent 201: available; its phone rings" in told.stdout, f"`why 201` says {told.stdout}")
        agent.respond(ringing, 486)
        told = wait_for("the agent's rest", lambda: (text := switch.why("201").stdout) and "it was busy" in text and text)
        check("is offered nobody: rests for" in told, f"`why 201` says {told}")
        call.bye()
        unknown = switch.why("no-such-call")
        check(unknown.returncode == 1 and "no standing call and no agent is named `no-such-call`" in unknown.stderr, f"{unknown}")
