"""Floods: many datagrams in a short time, from many addresses."""

import sys
import time
from pathlib import Path

from . import process


class Flood:
    """A flood that runs. `kind`: junk, or handshakes (of TLS, each on a connection of its own), or a method: then each datagram is a request
    without credentials, in a transaction and a dialog of its own; `rate`: datagrams in a second; `sources`: from so many addresses."""

    def __init__(self, folder: Path, port: int, kind: str, rate: int, seconds: float, sources: int = 1):
        self.kind, self.began = kind, time.monotonic()
        self.told = folder / f"flood-{kind}.txt"
        self.child = process.start([sys.executable, Path(__file__).with_name("flooder.py"), port, kind, rate, seconds, sources], folder, self.told.name)

    def runs(self) -> bool:
        """Whether it goes on."""
        return self.child.poll() is None

    def finish(self) -> "Flood":
        """Waits for its end, and learns what it did: `sent`, `octets` sent, `answers` and `answered` octets."""
        self.child.wait()
        self.sent, self.octets, self.answers, self.answered = map(int, self.told.read_text().split())
        self.seconds = time.monotonic() - self.began
        return self

    def __str__(self):
        return f"{self.sent / self.seconds:,.0f} {self.kind}/s, {self.answers / max(self.sent, 1):.0%} answered"
