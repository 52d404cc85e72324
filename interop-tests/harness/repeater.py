"""Repeats the requests of a tool that sends them over UDP once, as phones do (RFC 3261 section 17.1.2.2): a stranger's request that
is too short for its answer gets it only then."""

import contextlib
import socket
import threading

#: Phones wait for half a second; the tool waits for three in all.
INTERVAL = 0.2

#: How often a request is sent.
TIMES = 3


class Repeater:
    """Listens on a port and sends on what comes there, from the same address. Use it in a `with`."""

    def __init__(self, port: int, target_port: int):
        self.target_port = target_port
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", port))
        # So that a close ends the thread.
        self.udp.settimeout(0.5)
        self.open = True

    def __enter__(self) -> "Repeater":
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.open = False
        self.thread.join()
        self.udp.close()

    def _listen(self):
        while self.open:
            with contextlib.suppress(TimeoutError):
                octets, phone = self.udp.recvfrom(65535)
                threading.Thread(target=self._repeat, args=(octets, phone), daemon=True).start()

    def _repeat(self, octets: bytes, phone):
        # An answer that goes to the port of Via finds the tool itself.
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.bind((phone[0], 0))
            way.settimeout(INTERVAL)
            for _ in range(TIMES):
                way.sendto(octets, ("127.0.0.1", self.target_port))
                with contextlib.suppress(TimeoutError):
                    self.udp.sendto(way.recv(65535), phone)
                    return
