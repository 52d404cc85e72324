"""Hand-made RTP: a stream that sends as it is told to and counts what comes."""

import socket
import struct
import threading
import time


def packet(sequence, timestamp, ssrc=0x1234, payload_type=0, payload=b"\xd5" * 160, marker=False, first=0x80) -> bytes:
    """One RTP packet."""
    return struct.pack("!BBHII", first, payload_type | marker << 7, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


class Stream:
    """A UDP port that sends RTP by its own thread, and keeps what comes."""

    def __init__(self, host="127.0.0.1", port=0, to=None, ssrc=0x1234, octet=0xD5, sound=b""):
        """It says that octet, or a sound in mu-law over and over."""
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.socket.settimeout(0.1)
        self.host, self.port = host, self.socket.getsockname()[1]
        self.to, self.ssrc, self.octet, self.sound = to, ssrc, octet, sound
        self.sequence, self.timestamp = 1000, 5000
        #: (arrival, octets, source) of all that came.
        self.heard: list[tuple[float, bytes, tuple]] = []
        self.running = True
        self.talking = threading.Event()
        self.milliseconds, self.rate = 20, 1.0
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._talk)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running = False
        self.talking.set()
        for thread in self.threads:
            thread.join()
        self.socket.close()

    def talk(self, to=None, milliseconds=20, rate=1.0):
        """Sends packets of that length from now, at `rate` times real time."""
        self.to = to or self.to
        self.milliseconds, self.rate = milliseconds, rate
        self.talking.set()

    def hush(self):
        """Stops sending."""
        self.talking.clear()

    def send(self, octets: bytes, to=None):
        """Sends octets as they are."""
        self.socket.sendto(octets, to or self.to)

    def say(self, payload=None, payload_type=0, **fields):
        """Sends one packet in order."""
        if payload is None:
            length = 8 * self.milliseconds
            at = self.timestamp % len(self.sound) if self.sound else 0
            payload = (self.sound[at:] + self.sound)[:length] if self.sound else bytes([self.octet]) * length
        self.send(packet(self.sequence, self.timestamp, self.ssrc, payload_type, payload, **fields))
        self.sequence += 1
        self.timestamp += len(payload)

    def press(self, key: int, packets=5, duration=160, ends=3, payload_type=101):
        """Presses a key as RFC 4733 says."""
        for n in range(packets + ends):
            end = n >= packets
            length = min(n + 1, packets) * duration
            self.send(packet(self.sequence, self.timestamp, self.ssrc, payload_type, struct.pack("!BBH", key, 0x80 * end | 10, length), marker=n == 0))
            self.sequence += 1
            time.sleep(0.01)
        self.timestamp += packets * duration

    def _talk(self):
        due = None
        while self.running:
            if not self.talking.is_set():
                due = None
                self.talking.wait(0.1)
                continue
            due = due or time.monotonic()
            self.say()
            due += self.milliseconds / 1000 / self.rate
            time.sleep(max(due - time.monotonic(), 0))

    def _listen(self):
        while self.running:
            try:
                octets, source = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                return
            self.heard.append((time.monotonic(), octets, source[:2]))

    def count(self, octet=None, since=0.0) -> int:
        """How many packets came; with `octet`, those whose payload begins with it."""
        return sum(1 for at, data, _ in list(self.heard) if at >= since and (octet is None or data[12:13] == bytes([octet])))
