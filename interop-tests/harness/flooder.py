"""Sends a flood: a program of its own, so that nobody else is held up. Called by flood.py."""

import itertools
import random
import select
import socket
import ssl
import sys
import threading
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


def handshakes(port: int, rate: int, seconds: float):
    """TLS handshakes, one connection after the other; tells how many began, and how many came to their end."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    began, numbers, ended = time.monotonic(), itertools.count(), []

    def work():
        while (now := time.monotonic()) < began + seconds:
            due = began + next(numbers) / rate
            time.sleep(max(due - now, 0))
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain):
                    ended.append(due)
            except OSError:
                pass

    # The library lets go of the interpreter while it computes.
    workers = [threading.Thread(target=work) for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(next(numbers), 0, len(ended), 0)


def main(port: int, kind: str, rate: int, seconds: float, count: int):
    """Sends; tells how many datagrams and octets went and came."""
    if kind == "handshakes":
        return handshakes(port, rate, seconds)
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
