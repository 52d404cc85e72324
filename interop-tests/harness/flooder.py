"""Sends a flood: a program of its own, so that nobody else is held up. Called by flood.py."""

import itertools
import random
import select
import socket
import sys
import time

REQUEST = (
    "{method} sip:{user}127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n"
    "From: <sip:201@127.0.0.1>;tag=%d\r\nTo: <sip:{user}127.0.0.1>\r\nCall-ID: flood%d\r\nCSeq: 1 {method}\r\n"
    "Contact: <sip:201@{own}>\r\n{more}Content-Length: 0\r\n\r\n"
)

#: Datagrams in one go, before it is looked whether it is time for more.
BURST = 64


def sources(count: int) -> list[socket.socket]:
    """A socket on each of so many loopback addresses that are nobody else's."""
    opened = []
    for n in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((f"127.66.{n // 250}.{n % 250 + 1}", 0))
        opened.append(one)
    return opened


def datagrams(kind: str, own: str, port: int):
    """Endless datagrams from one source."""
    if kind == "junk":
        chance = random.Random(own)
        whole = REQUEST.format(method="INVITE", user="600@", port=port, own=own, more="").encode()
        pieces = [chance.randbytes(chance.randint(1, 600)) for _ in range(64)]
        pieces += [whole[: chance.randint(1, len(whole))] + chance.randbytes(20) for _ in range(64)]
        return itertools.cycle(pieces)
    user = "" if kind == "REGISTER" else "201@" if kind in ("SUBSCRIBE", "MESSAGE") else "600@"
    more = "Event: dialog\r\n" if kind == "SUBSCRIBE" else ""
    text = REQUEST.format(method=kind, user=user, port=port, own=own, more=more).encode()
    first = random.getrandbits(40)
    return (text % (n, n, n) for n in itertools.count(first))


def main(port: int, kind: str, rate: int, seconds: float, count: int):
    """Sends; tells how many datagrams and octets went and came."""
    opened = sources(count)
    poll = select.epoll()
    for one in opened:
        one.connect(("127.0.0.1", port))
        one.setblocking(False)
        poll.register(one, select.EPOLLIN)
    by_number = {one.fileno(): one for one in opened}
    pairs = itertools.cycle([(one, datagrams(kind, "%s:%d" % one.getsockname(), port)) for one in opened])
    sent = octets = answers = answered = 0
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        due = int((now - began) * rate) - sent
        if due <= 0:
            time.sleep(0.0005)
        for one, source in itertools.islice(pairs, max(min(due, BURST), 0)):
            try:
                octets += one.send(next(source))
            except OSError:
                pass
            sent += 1
        for number, _ in poll.poll(0):
            try:
                while came := by_number[number].recv(65535):
                    answers, answered = answers + 1, answered + len(came)
            except OSError:
                pass
    print(sent, octets, answers, answered)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
