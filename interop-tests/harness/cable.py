"""A cable between a peer and the switch that can be pulled out: TCP octets go through as they are."""

import contextlib
import select
import socket
import threading


class Cable:
    """Listens on a port and connects to another. Use it in a `with`."""

    def __init__(self, port: int, target: int):
        self.port, self.target, self.plugged, self.sides = port, target, True, []
        self.door = socket.create_server(("127.0.0.1", port))

    def __enter__(self) -> "Cable":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind, error, trace):
        self.pull()
        # A close alone wakes no thread that waits in accept.
        with contextlib.suppress(OSError):
            self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()

    def pull(self):
        """Breaks all connections, and each that comes until `plug`."""
        self.plugged = False
        for side in self.sides:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        self.sides.clear()

    def plug(self):
        """Lets connections through again."""
        self.plugged = True

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.door.accept()
                if self.plugged:
                    threading.Thread(target=self._carry, args=(peer,), daemon=True).start()
                else:
                    peer.close()

    def _carry(self, peer: socket.socket):
        with contextlib.suppress(OSError), peer, socket.create_connection(("127.0.0.1", self.target)) as switch:
            self.sides += [peer, switch]
            while True:
                for one in select.select([peer, switch], [], [])[0]:
                    octets = one.recv(65536)
                    if not octets:
                        return
                    (switch if one is peer else peer).sendall(octets)
