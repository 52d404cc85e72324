"""A phone in a browser: JsSIP in headless Chromium, driven over Chromium's debugging pipe. The page is in browser/."""

import base64
import contextlib
import fcntl
import functools
import http.server
import json
import os
import select
import shutil
import subprocess
import threading
import time
from pathlib import Path

from . import audio, process
from .scenario import Failed, check
from .switch import WSS_PORT, Switch, password

#: The folder of the page, and what npm installs there.
FOLDER = Path(__file__).resolve().parents[1] / "browser"
#: Where the page comes from: pages of other ports are of another origin.
PAGE_PORT = 25090

#: What keeps Chromium from asking the Internet for anything, and from asking anybody for a microphone.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    # Where there is no other network it would look for one for ever.
    "--allow-loopback-in-peer-connection",
    # Nobody clicks before sound is to be heard.
    "--autoplay-policy=no-user-gesture-required",
)
#: The tone that a browser says, in hertz, and for how long it lasts (it begins anew then).
HERTZ, TONE_SECONDS = 440, 30
#: Each request of the debugging protocol is answered within so long (s); a browser that starts on a busy machine takes a while.
PATIENCE = 30


def install():
    """JsSIP as one file, as the lock file says; npm fetches it where it is missing."""
    lock, done_for = FOLDER / "package-lock.json", FOLDER / "node_modules/bundled-lock.json"
    if done_for.exists() and done_for.read_bytes() == lock.read_bytes():
        return
    print("installing JsSIP", flush=True)
    for command in (["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["npm", "run", "bundle"]):
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    shutil.copy(lock, done_for)


def key_of(certificate: Path) -> str:
    """The hash of a certificate's public key, by which Chromium can be told to trust it."""
    openssl = functools.partial(subprocess.run, check=True, capture_output=True)
    public = openssl(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"]).stdout
    der = openssl(["openssl", "pkey", "-pubin", "-outform", "der"], input=public).stdout
    return base64.b64encode(openssl(["openssl", "dgst", "-sha256", "-binary"], input=der).stdout).decode()


class Pages:
    """Serves the page on a port. Use it in a `with`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    def __init__(self, port: int = PAGE_PORT):
        self.origin = f"http://127.0.0.1:{port}"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(self.Quiet, directory=FOLDER))

    def __enter__(self) -> "Pages":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind, error, trace):
        self.server.shutdown()
        self.server.server_close()


class Chromium:
    """A browser. Use it in a `with`. `trusts`: the hash of a public key whose certificate it takes though nobody signed it."""

    def __init__(self, folder: Path, trusts: str | None = None):
        profile = folder / f"chromium-{time.monotonic_ns()}"
        tone = folder / "microphone.wav"
        audio.write(tone, audio.tone(HERTZ, TONE_SECONDS, rate=48_000), rate=48_000)
        command = ["chromium", *FLAGS, f"--use-file-for-fake-audio-capture={tone}", f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        if trusts:
            command.append(f"--ignore-certificate-errors-spki-list={trusts}")
        there, self.requests = os.pipe()
        self.answers, back = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (there, back)]
        # It reads the descriptor 3 and writes to 4.
        pipes = ["bash", "-c", 'exec "${@:3}" 3<&$1 4>&$2', "bash", *ends]
        self.child = process.start([*pipes, *command, "about:blank"], folder, "chromium.log", pass_fds=ends)
        for end in (there, back, *ends):
            os.close(end)
        self.buffer, self.last = b"", 0

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            with contextlib.suppress(Failed):
                self.ask("Browser.close")
        process.end(self.child)
        os.close(self.requests)
        os.close(self.answers)

    def ask(self, method: str, session: str | None = None, **parameters) -> dict:
        """A request of the debugging protocol and its result; what else the browser tells is passed over."""
        self.last += 1
        request = {"id": self.last, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self.requests, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            message, found, rest = self.buffer.partition(b"\0")
            if not found:
                left = end - time.monotonic()
                check(left > 0 and select.select([self.answers], [], [], left)[0], f"the browser does not answer {method}")
                octets = os.read(self.answers, 65536)
                check(octets, "the browser ended: see chromium.log")
                self.buffer += octets
                continue
            self.buffer = rest
            answer = json.loads(message)
            if answer.get("id") == self.last:
                check("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]

    def open(self, address: str) -> str:
        """Opens a page in a tab of its own; gives the tab's session."""
        target = self.ask("Target.createTarget", url=address)["targetId"]
        return self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def run(self, session: str, script: str):
        """What a script comes to in a page."""
        result = self.ask("Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True)
        fault = result.get("exceptionDetails")
        check(not fault, f"{script}: {fault and fault.get('exception', {}).get('description', fault['text'])}")
        return result["result"].get("value")


class BrowserPhone:
    """A tab with a phone in it, which begins to register."""

    def __init__(self, browser: Chromium, number, page: Pages, word: str | None = None, port: int = WSS_PORT):
        self.browser, self.number, self.seen = browser, str(number), 0
        self.tab = browser.open(f"{page.origin}/phone.html")
        self.until("the page", lambda: browser.run(self.tab, "document.readyState === 'complete' && typeof start === 'function'"))
        settings = {"number": self.number, "password": word or password(number), "server": f"wss://127.0.0.1:{port}"}
        self.do(f"start({json.dumps(settings)})")

    def do(self, script: str):
        """Runs a script in the page; the functions of phone.js are there."""
        return self.browser.run(self.tab, script)

    def hears(self, what: str, seconds: float = 15, **like) -> dict:
        """The next event of that name after the last one heard; what came before it is passed over, and what is not `like` this."""
        wanted = {"what": what, **like}

        def found():
            events = self.do(f"happened.slice({self.seen})")
            return next(((at, event) for at, event in enumerate(events, 1) if wanted.items() <= event.items()), None)

        at, event = self.until(str(wanted), found, seconds)
        self.seen += at
        return event

    def until(self, what: str, condition, seconds: float = PATIENCE):
        """Waits until a condition gives something, and returns it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise Failed(f"the browser's phone {self.number} waits for {what}: {self.do('happened')}")
            time.sleep(0.02)
        return found


def trusting(switch: Switch) -> Chromium:
    """A browser that trusts the switch's own certificate."""
    return Chromium(switch.folder, key_of(switch.certificate))
