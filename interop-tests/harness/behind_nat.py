"""A network of its own for the switch, and one beyond a router that translates addresses (nftables)."""

import contextlib
import ctypes
import os
import shutil
import subprocess

from .scenario import Skipped
from .together import CLONE_NEWNET, own_network

#: The switch's own address, the router's address outside, and a phone's beyond it (RFC 1918, RFC 5737).
INSIDE, ROUTER, OUTSIDE = "192.168.7.5", "203.0.113.7", "203.0.113.9"

#: What comes to the router's address goes to the switch, what the switch sends outside comes from there.
RULES = f"""
table ip nat {{
  chain in {{ type nat hook prerouting priority dstnat; ip daddr {ROUTER} dnat to {INSIDE}; }}
  chain out {{ type nat hook postrouting priority srcnat; ip saddr {INSIDE} oifname "router" snat to {ROUTER}; }}
}}
"""

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(network: int):
    """This thread goes into a network: sockets that it opens from now are there."""
    if _libc.setns(network, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _run(*command: str, text=None):
    subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=10)


class BehindNat:
    """Use it in a `with`: the process is in the switch's network then, whose loopback has 127.0.0.1 and the inner address."""

    def __init__(self):
        if os.geteuid() or not shutil.which("nft") or not shutil.which("ip"):
            raise Skipped("only root may make networks, with ip and nft")
        self.before = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.beyond = None

    def __enter__(self) -> "BehindNat":
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as fault:
            self.__exit__(None, None, None)
            raise Skipped(f"this machine lets nobody make such networks: {fault}") from fault
        return self

    def _make(self):
        if not own_network():
            raise OSError("no network of its own")
        self.beyond = os.open("/proc/self/ns/net", os.O_RDONLY)
        if not own_network():
            raise OSError("no network of its own")
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        _run("ip", "link", "add", "router", "type", "veth", "peer", "name", "phone")
        # By the number of this process, whose descriptor of that network stays open.
        _run("ip", "link", "set", "phone", "netns", f"/proc/{os.getpid()}/fd/{self.beyond}")
        for words in (f"addr add {INSIDE}/32 dev lo", f"addr add {ROUTER}/24 dev router", "link set router up"):
            _run("ip", *words.split())
        _run("nft", "-f", "-", text=RULES)
        _enter(self.beyond)
        for words in (f"addr add {OUTSIDE}/24 dev phone", "link set phone up"):
            _run("ip", *words.split())
        _enter(home)
        os.close(home)

    @contextlib.contextmanager
    def outside(self):
        """What is opened within is beyond the router."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        _enter(self.beyond)
        try:
            yield
        finally:
            _enter(home)
            os.close(home)

    def __exit__(self, *_):
        # With the last process in them the networks go.
        _enter(self.before)
        for network in (self.before, self.beyond):
            if network is not None:
                os.close(network)
