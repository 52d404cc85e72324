"""A carrier that the switch connects to over TLS: made by hand, with a certificate that its own authority signed."""

import socket
import ssl
import subprocess
from pathlib import Path

from .phone import Phone
from .scenario import Failed


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, signed by itself, and its key."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", chain,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    return chain, key


class Carrier(Phone):
    """Listens; what it says goes over the connection that the switch opened last."""

    def __init__(self, folder: Path, name: str):
        self.certificate, self.key = certificate(folder, name)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, self.key)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(10)
        super().__init__("4930700", "tls")

    def open(self, port=0):
        """It connects to nobody."""
        self.host, self.port = self.listening.getsockname()
        self.address = f"{self.host}:{self.port}"

    def accept(self):
        """Waits for the switch, which must take its certificate."""
        self.close()
        stream, _ = self.listening.accept()
        stream.settimeout(5)
        try:
            self.socket = self.context.wrap_socket(stream, server_side=True)
        except ssl.SSLError as fault:
            raise Failed(f"the switch refused the carrier: {fault}") from None

    def is_refused(self) -> bool:
        """Whether the switch connects and leaves without a word."""
        try:
            self.accept()
            return not self.socket.recv(1)
        except (Failed, OSError):
            return True

    def end(self):
        """Closes all."""
        self.close()
        self.listening.close()
