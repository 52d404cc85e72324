"""A bridge for tools that know UDP and TCP alone: what comes over TCP goes on over TLS or a WebSocket, from the same address."""

import base64
import contextlib
import os
import select
import socket
import ssl
import struct
import threading

#: A message of a tool is whole when so long nothing more comes (s); only for WebSockets, which carry one message a frame.
QUIET = 0.15

#: How long the switch may go on speaking to who has closed its side (s).
LAST_WORDS = 2


class Bridge:
    """Listens on a port and connects to the switch. Use it in a `with`. UDP is passed on as it is."""

    def __init__(self, port: int, udp_port: int, target_port: int, secure=False, web=False):
        self.target_port, self.udp_port, self.secure, self.web = target_port, udp_port, secure, web
        self.tcp = socket.create_server(("127.0.0.1", port))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", port))

    def __enter__(self) -> "Bridge":
        for work in (self._accept, self._datagrams):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, kind, error, trace):
        # A close alone wakes no thread that waits in accept.
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()
        self.udp.close()

    def _datagrams(self):
        with contextlib.suppress(OSError):
            while True:
                octets, phone = self.udp.recvfrom(65535)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
                    way.settimeout(0.5)
                    way.sendto(octets, ("127.0.0.1", self.udp_port))
                    with contextlib.suppress(TimeoutError):
                        self.udp.sendto(way.recv(65535), phone)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                phone, address = self.tcp.accept()
                threading.Thread(target=self._serve, args=(phone, address[0]), daemon=True).start()

    def _serve(self, phone: socket.socket, address: str):
        with contextlib.suppress(OSError), phone, self._connect(address) as switch:
            # One thread for both ways: a TLS socket may not be read and written at the same time.
            sides = [phone, switch]
            while ready := select.select(sides, [], [], None if phone in sides else LAST_WORDS)[0]:
                if switch in ready and not self._back(switch, phone):
                    return
                if phone in ready:
                    if octets := self._message(phone):
                        switch.sendall(framed(octets) if self.web else octets)
                    else:
                        sides.remove(phone)

    def _connect(self, address: str) -> socket.socket:
        switch = socket.create_connection(("127.0.0.1", self.target_port), timeout=5, source_address=(address, 0))
        if self.secure:
            # The certificate is the switch's own; who it is is not what is tested here.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            switch = context.wrap_socket(switch)
        if self.web:
            key = base64.b64encode(os.urandom(16)).decode()
            switch.sendall(
                f"GET / HTTP/1.1\r\nHost: switch\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n".encode()
            )
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += switch.recv(1) or b"\r\n\r\n"
        return switch

    def _message(self, phone: socket.socket) -> bytes:
        octets = phone.recv(65535)
        if self.web and octets:
            phone.settimeout(QUIET)
            with contextlib.suppress(TimeoutError):
                while more := phone.recv(65535):
                    octets += more
            phone.settimeout(None)
        return octets

    def _back(self, switch: socket.socket, phone: socket.socket) -> bool:
        """Passes on what the switch has sent; false at its end."""
        if self.web:
            octets = unframed(switch)
        else:
            switch.settimeout(0)
            try:
                octets = switch.recv(65535)
            except ssl.SSLWantReadError:
                # A session ticket, or half of a record.
                return True
            finally:
                switch.settimeout(5)
        phone.sendall(octets)
        return bool(octets)


def framed(octets: bytes) -> bytes:
    """A binary WebSocket message of a client (RFC 6455 section 5.2); the mask is zeros."""
    length = len(octets)
    size = bytes([0x80 | length]) if length < 126 else bytes([0xFE]) + struct.pack("!H", length)
    return b"\x82" + size + bytes(4) + octets


def unframed(switch: socket.socket) -> bytes:
    """The next text or binary message of the switch; none at its end."""
    while True:
        head = exactly(switch, 2)
        if len(head) < 2 or head[0] & 0x0F == 8:
            return b""
        length = head[1]
        if length == 126:
            length = struct.unpack("!H", exactly(switch, 2))[0]
        body = exactly(switch, length)
        if head[0] & 0x0F in (1, 2):
            return body


def exactly(switch: socket.socket, length: int) -> bytes:
    """So many octets, or fewer at the end."""
    octets = b""
    while len(octets) < length and (more := switch.recv(length - len(octets))):
        octets += more
    return octets
