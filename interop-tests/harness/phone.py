"""Hand-made SIP: a phone that says whatever it is told to, right or wrong, over UDP, TCP or TLS."""

import hashlib
import re
import select
import socket
import ssl
import time
from itertools import count
from urllib.parse import quote

from . import switch
from .scenario import Failed, check
from .switch import SIP_PORT, TLS_PORT

_numbers = count(int(time.time()) % 1_000_000 * 1000)


def fresh(prefix="") -> str:
    """A word that was not used before."""
    return f"{prefix}{next(_numbers):x}"


class Message:
    """A message as it came, or as it will be sent: a start line, header fields in order, a body."""

    def __init__(self, start: str, headers=(), body=b""):
        self.start, self.headers, self.body = start, list(headers), body if isinstance(body, bytes) else body.encode()

    @classmethod
    def parse(cls, octets: bytes) -> "Message":
        head, _, body = octets.partition(b"\r\n\r\n")
        start, *lines = head.decode("utf-8", "replace").split("\r\n")
        return cls(start, [tuple(part.strip() for part in line.split(":", 1)) for line in lines], body)

    def octets(self) -> bytes:
        """On the wire; Content-Length is added unless it was given."""
        headers = list(self.headers)
        if not any(name.lower() in ("content-length", "l") for name, _ in headers):
            headers.append(("Content-Length", len(self.body)))
        return "\r\n".join([self.start, *(f"{name}: {value}" for name, value in headers), "", ""]).encode() + self.body

    @property
    def status(self) -> int:
        """The status code of a response, 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method of a request, or that in the CSeq of a response."""
        return self.get("CSeq").split()[1] if self.status else self.start.split()[0]

    def get(self, name: str, default="") -> str:
        """The first value of a header field."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def all(self, name: str) -> list[str]:
        """All values of a header field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def tag(self, name: str) -> str:
        """The tag in From or To."""
        found = re.search(r";tag=([^;>\s]+)", self.get(name))
        return found.group(1) if found else ""

    def port(self) -> int:
        """The port of the first audio stream of the session description."""
        return int(re.search(rb"(?m)^m=audio (\d+) ", self.body).group(1))

    def __repr__(self):
        return self.octets().decode("utf-8", "replace")


def sdp(port=40000, address="127.0.0.1", formats="0 8 101", more="", family=None, media="audio", protocol="RTP/AVP") -> bytes:
    """A session description with one stream."""
    family = family or ("IP6" if ":" in address else "IP4")
    return (
        f"v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
        f"m={media} {port} {protocol} {formats}\r\na=rtpmap:101 telephone-event/8000\r\n{more}"
    ).encode()


def parameters(challenge: str) -> dict:
    """The parameters of a challenge."""
    return {name.lower(): value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', challenge)}


def digest(challenge: str, method: str, uri: str, user: str, password: str, nc=1, cnonce="c0ffee", qop="auth", **changes) -> str:
    """The value of Authorization. `changes` are parameters to write otherwise than right; None leaves one out."""
    given = parameters(challenge)
    algorithm = given.get("algorithm", "MD5")
    sha = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm.upper()]
    word = lambda text: sha(text.encode()).hexdigest()  # noqa: E731
    a1, a2 = word(f"{user}:{given['realm']}:{password}"), word(f"{method}:{uri}")
    middle = f":{nc:08x}:{cnonce}:{qop}" if qop else ""
    response = word(f"{a1}:{given['nonce']}{middle}:{a2}")
    values = {
        "username": f'"{user}"', "realm": f'"{given["realm"]}"', "nonce": f'"{given["nonce"]}"', "uri": f'"{uri}"',
        "response": f'"{response}"', "algorithm": algorithm,
    }
    if qop:
        values |= {"qop": qop, "nc": f"{nc:08x}", "cnonce": f'"{cnonce}"'}
    values |= changes
    return "Digest " + ", ".join(f"{name}={value}" for name, value in values.items() if value is not None)


#: How long a phone waits before it repeats a request, in seconds.
T1 = 0.5


def is_readable(one: socket.socket, seconds: float) -> bool:
    """Whether there is something to read in time. (Not by select: it knows 1,024 files only.)"""
    if isinstance(one, ssl.SSLSocket) and one.pending():
        return True
    poll = select.poll()
    poll.register(one, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Phone:
    """One phone: a socket, an account, and what it said last."""

    def __init__(self, number="201", transport="udp", host="127.0.0.1", port=0, password=None, algorithm="SHA-256", server=None,
                 server_port=None, shows=None):
        """`shows`: the files of the certificate and key that it shows over TLS."""
        self.number, self.transport, self.host = str(number), transport, host
        self.password = password if password is not None else switch.password(number)
        self.algorithm, self.challenge, self.nc = algorithm, None, 0
        #: Whether requests that nothing answers are sent again, as RFC 3261 wants: most attacks are clearer without.
        self.repeats = False
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.server = server or ("::1" if ":" in host else "127.0.0.1")
        self.server_port = server_port or (TLS_PORT if transport == "tls" else SIP_PORT)
        self.domain = f"[{self.server}]:{self.server_port}" if ":" in host else f"{self.server}:{self.server_port}"
        self.shows = shows
        self.buffer = b""
        self.inbox: list[Message] = []
        self.socket = None
        self.open(port)

    # --- Socket ------------------------------------------------------------------------------------------------------

    def open(self, port=0):
        """Opens the socket (again)."""
        self.close()
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(self.family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((self.host, port))
        self.buffer = b""
        if self.transport != "udp":
            self.socket.settimeout(5)
            self.socket.connect((self.server, self.server_port))
        if self.transport == "tls":
            # The certificate is the switch's own; who it is is not what hand-made phones test.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if self.shows:
                context.load_cert_chain(*self.shows)
            self.socket = context.wrap_socket(self.socket)
        self.port = self.socket.getsockname()[1]
        self.address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def send(self, message):
        """Sends a message or octets."""
        octets = message if isinstance(message, bytes) else message.octets()
        if self.transport == "udp":
            self.socket.sendto(octets, (self.server, self.server_port))
        else:
            self.socket.sendall(octets)

    def receive(self, seconds=1.0) -> Message | None:
        """The next message, if one comes in time."""
        if self.inbox:
            return self.inbox.pop(0)
        end = time.monotonic() + seconds
        while True:
            if self.transport != "udp" and (message := self._framed()):
                return message
            left = end - time.monotonic()
            if left <= 0 or not is_readable(self.socket, left):
                return None
            try:
                octets = self.socket.recv(65535)
            except TimeoutError:
                # What came belonged to TLS alone.
                continue
            if self.transport == "udp":
                return Message.parse(octets)
            if not octets:
                return None
            self.buffer += octets

    def _framed(self) -> Message | None:
        self.buffer = self.buffer.lstrip(b"\r\n")
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        found = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
        length = int(found.group(1)) if found else 0
        if not end or len(rest) < length:
            return None
        self.buffer = rest[length:]
        return Message.parse(head + end + rest[:length])

    def is_closed(self, seconds=1.0) -> bool:
        """Whether the switch closes the connection in time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if is_readable(self.socket, left):
                try:
                    octets = self.socket.recv(65535)
                except ConnectionError:
                    return True
                if not octets:
                    return True
                self.buffer += octets
        return False

    def expect(self, wanted, seconds=2.0) -> Message:
        """The next message of that method or status; others are kept for later, provisional responses are dropped."""
        end = time.monotonic() + seconds
        passed_over = []
        try:
            while (left := end - time.monotonic()) > 0 and (message := self.receive(left)):
                if message.status == wanted or (not message.status and message.method == wanted):
                    return message
                if message.status >= 200 or not message.status:
                    passed_over.append(message)
        finally:
            self.inbox = passed_over + self.inbox
        raise Failed(f"phone {self.number} waits for {wanted} and got {[m.start for m in passed_over] or 'nothing'}")

    def final(self, method: str, cseq: int, seconds=2.0, again=None) -> Message:
        """The final response to a request of ours. `again`: the request, to be repeated each T1 (RFC 3261 section 17.1.1.2)."""
        end = time.monotonic() + seconds
        passed_over = []
        try:
            while (left := end - time.monotonic()) > 0:
                message = self.receive(min(left, T1) if again else left)
                if not message and again:
                    self.send(again)
                    continue
                if not message:
                    break
                if message.status >= 200 and message.get("CSeq").split() == [str(cseq), method]:
                    return message
                if not message.status:
                    passed_over.append(message)
        finally:
            self.inbox = passed_over + self.inbox
        raise Failed(f"phone {self.number} got no final response to {method}")

    def silence(self, seconds=0.3) -> bool:
        """Whether nothing comes for so long."""
        return self.receive(seconds) is None

    # --- Messages ----------------------------------------------------------------------------------------------------

    def uri(self, user=None) -> str:
        return f"sip:{user}@{self.domain}" if user else f"sip:{self.domain}"

    def message(self, method: str, uri: str, headers=None, body=b"", cseq=1, call_id=None, to=None, tag=None, branch=None) -> Message:
        """A request with all that must be there; `headers` replaces or adds, None takes one away."""
        values = {
            "Via": f"SIP/2.0/{self.transport.upper()} {self.address};rport;branch={branch or fresh('z9hG4bK')}",
            "Max-Forwards": "70",
            "From": f"<sip:{self.number}@{self.domain}>;tag={tag or fresh('t')}",
            "To": to or f"<{uri}>",
            "Call-ID": call_id or fresh("call"),
            "CSeq": f"{cseq} {method}",
            "Contact": f"<sip:{self.number}@{self.address}>",
            # What desk phones say besides: over UDP an answer is at most a fifth longer than its request.
            "User-Agent": "Hand-Made Desk Phone 4.8.7.2316",
            "Organization": "phones tell which methods, events, types and extensions they know, who made them and what they are called",
        }
        if body:
            values["Content-Type"] = "application/sdp"
        values |= headers or {}
        return Message(f"{method} {uri} SIP/2.0", [(name, value) for name, value in values.items() if value is not None], body)

    def authorization(self, method: str, uri: str, **changes) -> str:
        """Answers the last challenge."""
        self.nc += 1
        return digest(self.challenge, method, uri, changes.pop("user", self.number), self.password, nc=changes.pop("nc", self.nc), **changes)

    def learn(self, response: Message):
        """Takes the challenge of our algorithm out of a 401."""
        challenges = response.all("WWW-Authenticate")
        wanted = [one for one in challenges if parameters(one).get("algorithm", "MD5").upper() == self.algorithm]
        check(wanted, f"the 401 has no challenge for {self.algorithm}: {challenges}")
        self.challenge, self.nc = wanted[0], 0

    def request(self, method: str, uri: str, headers=None, body=b"", seconds=2.0, **fields) -> Message:
        """Sends a request, answers one challenge, gives the final response. Keeps what was sent in `sent`."""
        fields.setdefault("call_id", fresh("call"))
        fields.setdefault("tag", fresh("t"))
        cseq = fields.pop("cseq", 1)
        for attempt in range(2):
            more = dict(headers or {})
            if self.challenge and method not in ("ACK", "CANCEL") and "Authorization" not in more:
                more["Authorization"] = self.authorization(method, uri)
            self.sent = self.message(method, uri, more, body, cseq=cseq, **fields)
            self.send(self.sent)
            response = self.final(method, cseq, seconds, self.sent if self.repeats else None)
            if method == "INVITE" and response.status >= 300:
                self.send(self.acknowledge(self.sent, response))
            if response.status != 401 or attempt or (headers and "Authorization" in headers):
                return response
            self.learn(response)
            cseq += 1
        return response

    def acknowledge(self, invite: Message, response: Message) -> Message:
        """The ACK of a refusal: same branch."""
        keep = [(name, value) for name, value in invite.headers if name in ("Via", "Max-Forwards", "From", "Call-ID")]
        cseq = invite.get("CSeq").split()[0]
        return Message("ACK " + invite.start.split(" ", 1)[1], [*keep, ("To", response.get("To")), ("CSeq", f"{cseq} ACK")])

    def respond(self, request: Message, status: int, body=b"", tag="callee", headers=None) -> Message:
        """Answers a request of the switch."""
        to = request.get("To")
        if status > 100 and ";tag=" not in to:
            to += f";tag={tag}"
        copied = [(name, value) for name, value in request.headers if name.lower() in ("via", "from", "call-id", "cseq")]
        more = {"Contact": f"<sip:{self.number}@{self.address}>"} if status < 300 else {}
        if body:
            more["Content-Type"] = "application/sdp"
        more |= headers or {}
        response = Message(f"SIP/2.0 {status} x", [*copied, ("To", to), *more.items()], body)
        self.send(response)
        return response

    # --- What phones do ----------------------------------------------------------------------------------------------

    def register(self, expires=3600, contact=None, headers=None, **fields) -> Message:
        """Registers; gives the final response."""
        more = {"Expires": expires, "Contact": contact or f"<sip:{self.number}@{self.address}>", **(headers or {})}
        fields.setdefault("to", f"<{self.uri(self.number)}>")
        return self.request("REGISTER", self.uri(), more, **fields)

    def registered(self, **fields) -> "Phone":
        """Registers, and must."""
        response = self.register(**fields)
        check(response.status == 200, f"REGISTER of {self.number} got {response.start}")
        return self

    def invite(self, number, headers=None, body=None, cseq=5, **fields) -> Message:
        """Sends an INVITE that is authorized at once; the phone must have seen a challenge. Waits for nothing."""
        uri = fields.pop("uri", self.uri(number))
        more = {"Authorization": self.authorization("INVITE", uri), **(headers or {})}
        self.sent = self.message("INVITE", uri, more, sdp() if body is None else body, cseq=cseq, **fields)
        self.send(self.sent)
        return self.sent

    def call(self, number, body=None, headers=None, seconds=4.0, acks=True, **fields) -> "Call":
        """Calls, is answered, acknowledges."""
        body = sdp() if body is None else body
        response = self.request("INVITE", self.uri(number), headers, body, seconds, **fields)
        check(response.status == 200, f"INVITE of {number} got {response.start}")
        call = Call(self, self.sent, response)
        if acks:
            call.ack()
        return call

    def answer(self, body=None, seconds=3.0) -> "Call":
        """Waits for an INVITE, answers it, waits for the ACK."""
        invite = self.expect("INVITE", seconds)
        self.respond(invite, 180)
        response = self.respond(invite, 200, sdp() if body is None else body)
        self.expect("ACK", seconds)
        return Call(self, invite, response, called=True)


class Call:
    """A standing dialog, seen from the phone."""

    def __init__(self, phone: Phone, invite: Message, response: Message, called=False):
        self.phone, self.invite, self.response = phone, invite, response
        self.cseq = 100 if called else int(invite.get("CSeq").split()[0])
        ours, theirs = (response.get("To"), invite.get("From")) if called else (invite.get("From"), response.get("To"))
        self.local, self.remote, self.call_id = ours, theirs, invite.get("Call-ID")
        contact = (invite if called else response).get("Contact")
        self.target = contact[contact.index("<") + 1 : contact.index(">")]
        self.description = invite if called else response

    def message(self, method: str, body=b"", headers=None, cseq=None) -> Message:
        """A request in the dialog."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        more = {"From": self.local, "To": self.remote, **(headers or {})}
        return self.phone.message(method, self.target, more, body, cseq=cseq, call_id=self.call_id)

    def ack(self, **changes):
        """Acknowledges the 200."""
        self.phone.send(self.message("ACK", cseq=self.cseq, **changes))

    def request(self, method: str, body=b"", headers=None, seconds=2.0) -> Message:
        """Sends a request in the dialog and gives the final response; a 2xx to INVITE is acknowledged."""
        message = self.message(method, body, headers)
        self.phone.send(message)
        response = self.phone.final(method, self.cseq, seconds, message if self.phone.repeats else None)
        if method == "INVITE":
            self.phone.send(self.message("ACK", cseq=self.cseq) if response.status < 300 else self.phone.acknowledge(message, response))
        return response

    def hold(self, port: int):
        """Holds the other side, whose sound still goes to that port."""
        response = self.request("INVITE", sdp(port, more="a=sendonly\r\n"))
        check(response.status == 200, f"holding got {response.start}")

    def refer(self, target: str, other: "Call" = None, seconds=10.0) -> list[str]:
        """Has the other side connected with a number, or with who is in that other call of the phone; gives what is reported of it."""
        replaces = ""
        if other:
            tags = [re.search(r";tag=([^;>\s]+)", party)[1] for party in (other.remote, other.local)]
            replaces = "?Replaces=" + quote(f"{other.call_id};to-tag={tags[0]};from-tag={tags[1]}", safe="")
        response = self.request("REFER", headers={"Refer-To": f"<{(other or self).phone.uri(target)}{replaces}>"})
        check(response.status == 202, f"REFER got {response.start}")
        reports = []
        while True:
            notify = self.phone.expect("NOTIFY", seconds)
            self.phone.respond(notify, 200)
            reports.append(notify.body.decode().strip())
            if notify.get("Subscription-State").startswith("terminated"):
                return reports

    def bye(self):
        """Hangs up, and must be answered."""
        response = self.request("BYE")
        check(response.status == 200, f"BYE got {response.start}")

    def is_ended(self, seconds=2.0):
        """The switch must hang up in time."""
        self.phone.respond(self.phone.expect("BYE", seconds), 200)


def connected(caller: Phone, callee: Phone, caller_body=None, callee_body=None) -> tuple[Call, Call]:
    """Two registered phones talk: the caller's dialog and the callee's."""
    invite = caller.invite(callee.number, body=caller_body)
    called = callee.answer(callee_body)
    calling = Call(caller, invite, caller.final("INVITE", 5))
    calling.ack()
    return calling, called
