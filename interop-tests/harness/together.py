"""Scenarios that mostly wait are played side by side, each in a process and in a network of its own."""

import ctypes
import fcntl
import json
import os
import socket
import struct
import time
from typing import Callable, Iterator

from .scenario import Scenario

#: So many at once: each uses a few hundredths of a core, and starts a switch now and then.
AT_ONCE = 8

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def own_network() -> bool:
    """Gives this process a network with nothing but loopback: the ports of others are not there. False where that is forbidden."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    return True


def can_play() -> bool:
    """Whether this machine gives a process a network of its own: root may, in most places."""
    child = os.fork()
    if not child:
        os._exit(0 if own_network() else 1)
    return os.waitpid(child, 0)[1] == 0


def play(chosen: list[Scenario], one_alone: Callable[[Scenario], tuple[str, str]]) -> Iterator[tuple[Scenario, str, str, float]]:
    """Plays all of them; gives each as it ends, with its verdict, its remark and its seconds."""
    waiting, running = list(chosen), {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            one = waiting.pop(0)
            child, results = begin(one, one_alone)
            running[child] = (one, results, time.monotonic())
        child, status = os.wait()
        if child not in running:
            continue
        one, results, began = running.pop(child)
        with results:
            told = results.read()
        verdict, remark = json.loads(told) if told else ("FAIL", f"its process ended with {status}")
        yield one, verdict, remark, time.monotonic() - began


def begin(one: Scenario, one_alone) -> tuple[int, object]:
    """Starts a scenario in a process of its own; gives its number and where it will tell how it went."""
    results, told = os.pipe()
    child = os.fork()
    if child:
        os.close(told)
        return child, os.fdopen(results)
    try:
        own_network()
        os.write(told, json.dumps(one_alone(one)).encode())
    finally:
        os._exit(0)
