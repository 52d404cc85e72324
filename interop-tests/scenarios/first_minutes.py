"""What a newcomer does first: the demo, a configuration of one's own, its check, a start."""

import hashlib
import re
import ssl
import subprocess
from pathlib import Path

from harness import audio
from harness.scenario import Stage, check, scenario
from harness.switch import Switch

#: From the start of the process to its first answer, in seconds.
READY_WITHIN = 0.3


def ringmaster(stage: Stage, *words, seconds: int = 20) -> subprocess.CompletedProcess:
    """Runs a command of the binary to its end, and returns what it said."""
    return subprocess.run(
        [stage.binary, *words], cwd=stage.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
    )


@scenario("itself", limit=120)
def the_demo_tells_its_story_to_the_end(stage: Stage):
    told = ringmaster(stage, "demo", "--once", seconds=100)
    check(told.returncode == 0, f"the demo ended with {told.returncode}: {told.stdout[-400:]}")
    path = re.search(r"\S+\.wav\b", told.stdout)
    check(path, "the demo shows no recording")
    channels = audio.read(Path(path[0]))
    check(len(channels) == 2 and audio.seconds(channels[0]) > 1, f"{path[0]} is no stereo recording of a conversation")
    check(re.search(r"\S+\.jsonl\b", told.stdout), "the demo shows no call record")


@scenario("itself")
def a_new_configuration_has_no_mistake_and_no_guessable_password(stage: Stage):
    made = ringmaster(stage, "init", "office", "--address", "127.0.0.1", "--port", "25070")
    check(made.returncode == 0, f"init ended with {made.returncode}: {made.stdout}")
    certificate = ssl.PEM_cert_to_DER_cert((stage.folder / "office/tls/certificate.pem").read_text())
    fingerprint = hashlib.sha256(certificate).digest().hex(":").upper()
    check(fingerprint in made.stdout and "25071" in made.stdout, f"init does not tell of TLS: {made.stdout}")
    checked = ringmaster(stage, "check", "--config", "office")
    check(checked.returncode == 0, f"check finds mistakes in it: {checked.stdout}")
    passwords = re.findall(r'password = "([^"]+)"', (stage.folder / "office/phones.toml").read_text())
    check(len(passwords) == len(set(passwords)) >= 10 and min(map(len, passwords)) >= 12, f"the passwords are {passwords}")


@scenario("itself")
def check_tells_every_mistake_with_its_place(stage: Stage):
    Switch(stage, extra={"phones": '220 = { pasword = "x-ringmaster-220" }\n', "numbers": '702 = { queue = "suport" }\n'})
    told = ringmaster(stage, "check", "--config", "config")
    check(told.returncode == 1, f"check ended with {told.returncode}: {told.stdout}")
    for place, word in [(r"phones\.toml:\d+:\d+: ", "password"), (r"numbers\.toml:\d+:\d+: ", "support")]:
        line = next((line for line in told.stdout.splitlines() if re.search(place, line) and f"`{word}`" in line), None)
        check(line, f"no line with {place} names `{word}`: {told.stdout}")


@scenario("itself")
def a_start_is_ready_at_once(stage: Stage):
    with Switch(stage) as switch:
        check(switch.ready_after < READY_WITHIN, f"it answered after {switch.ready_after * 1000:.0f} ms")
        return f"first answer after {switch.ready_after * 1000:.0f} ms"
