"""The process: signals, kills, full disks, few files, odd files and clocks."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import wave
from pathlib import Path

from harness.phone import Call, Phone, connected, sdp
from harness.rtp import Stream
from harness.scenario import Skipped, Stage, check, scenario, wait_for
from harness.switch import FIRST_RTP_PORT, SIP_PORT, Switch

#: How long a freed RTP port is left alone, in seconds.
PORTS_REST = 2


def queue_call(customer: Phone, agent: Phone, mine: Stream, theirs: Stream) -> tuple[Call, Call]:
    """The customer calls the queue, the agent answers, both talk and are recorded."""
    calling = customer.call("700", sdp(mine.port))
    mine.talk(("127.0.0.1", calling.description.port()))
    called = agent.answer(sdp(theirs.port), 15)
    theirs.talk(("127.0.0.1", called.description.port()))
    return calling, called


def end(calling: Call, called: Call):
    """The customer hangs up."""
    calling.bye()
    called.is_ended()


def recordings(switch: Switch) -> list[Path]:
    """All files below the recordings folder, finished or not."""
    return sorted(path for path in switch.recordings.rglob("*") if path.is_file())


def run_again(switch: Switch, *wrapper) -> subprocess.CompletedProcess:
    """Starts a second switch on the same configuration; it must end by itself."""
    command = [*wrapper, switch.stage.binary, "run", "--config", switch.folder / "config"]
    return subprocess.run(command, capture_output=True, text=True, timeout=5)


def seconds_of(path: Path) -> float:
    """The length of a recording as a player sees it."""
    with wave.open(str(path), "rb") as file:
        check((file.getnchannels(), file.getframerate()) == (2, 8000), f"{path} has {file.getparams()}")
        check(len(file.readframes(file.getnframes())) == 4 * file.getnframes(), f"{path} is shorter than its header says")
        return file.getnframes() / 8000


@scenario("hand-made", waits=True)
def a_recording_survives_kill_9_and_the_next_start_says_so(stage: Stage):
    with Switch(stage, ends=False) as switch, Stream(octet=0x11) as mine, Stream(octet=0x22) as theirs:
        queue_call(Phone(205).registered(), Phone(201).registered(), mine, theirs)
        began = time.monotonic()
        time.sleep(4)
        switch.kill()
        lasted = time.monotonic() - began
        (part,) = recordings(switch)
        check(part.name.endswith(".wav.part") and lasted - seconds_of(part) < 1.2, f"{part.name}: {seconds_of(part):.1f} s of {lasted:.1f} s")
        switch.start()
        repaired = wait_for("repaired recording", lambda: [path for path in recordings(switch) if path.name.endswith(".partial.wav")])
        check(lasted - seconds_of(repaired[0]) < 1.2, f"{seconds_of(repaired[0]):.1f} s of {lasted:.1f} s are left")
        wait_for("the log's word", lambda: "made good" in switch.log() and "recordings=1" in switch.log())


@scenario("hand-made", waits=True)
def a_hundred_hangups_of_the_terminal_leave_a_call_standing(stage: Stage):
    with Switch(stage, provoked=["was not taken", "queues.toml", ": 1 mistake"]) as switch, Stream(octet=0x11) as mine, Stream(octet=0x22) as theirs:
        calling, called = queue_call(Phone(205).registered(), Phone(201).registered(), mine, theirs)
        file = switch.path("queues")
        good = file.read_text()
        # A good file, one that is being written, a wrong one.
        forms = [good, good[: len(good) // 2], good + "\n[queues.x]\nnonsense = 1\n"]
        for n in range(100):
            file.write_text(forms[n % 3])
            switch.signal(signal.SIGHUP)
            time.sleep(0.05)
        file.write_text(good)
        time.sleep(0.3)
        taken = switch.log().count("took the configuration")
        switch.signal(signal.SIGHUP)
        wait_for("the last good file", lambda: switch.log().count("took the configuration") > taken)
        before = mine.count(0x22)
        time.sleep(1)
        check(mine.count(0x22) - before > 45, f"{mine.count(0x22) - before} packets in a second")
        check(taken >= 10, f"{taken} reloads")
        end(calling, called)
        check(switch.record()["cause"] == "hang-up", f"the record says {switch.call_records()}")
        return f"{taken} good files taken"


@scenario("hand-made")
def the_second_sigterm_ends_standing_calls_at_once(stage: Stage):
    with Switch(stage, ends=False) as switch:
        phone, other = Phone(205).registered(), Phone(206).registered()
        call = phone.call("600")
        switch.signal(signal.SIGTERM)
        time.sleep(0.3)
        response = other.request("INVITE", other.uri("600"), None, sdp())
        check(response.status == 503 and response.get("Retry-After"), f"a new call got {response}")
        switch.signal(signal.SIGTERM)
        call.is_ended()
        check(switch.child.wait(3) == 0, f"it ended with {switch.child.returncode}")
        check(switch.record()["cause"] == "stopped", f"the record says {switch.call_records()}")


@scenario("hand-made")
def a_third_sigterm_does_not_wait_for_the_phone(stage: Stage):
    with Switch(stage, ends=False) as switch:
        phone = Phone(205).registered()
        phone.call("600")
        for _ in range(3):
            switch.signal(signal.SIGTERM)
            time.sleep(0.2)
        check(switch.child.wait(3) == 0 and switch.record()["cause"] == "stopped", f"{switch.child.returncode}, {switch.call_records()}")


@scenario("hand-made")
def a_taken_port_is_told_and_ends_the_start(stage: Stage):
    with Switch(stage) as switch:
        second = run_again(switch)
        check(second.returncode == 1 and f"127.0.0.1:{SIP_PORT}" in second.stderr and "another switch" in second.stderr, f"{second}")


@scenario("hand-made", waits=True)
def with_few_files_it_serves_calls_and_says_what_it_needs(stage: Stage):
    with Switch(stage, wrapper=["prlimit", "--nofile=160:160"]) as switch:
        check("limit on open files is 160" in switch.log(), "the log does not say so")
        phone = Phone(205).registered()
        crowd = [socket.socket() for _ in range(150)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", SIP_PORT))
        time.sleep(0.5)
        call = phone.call("600")
        check(switch.answers(), "no answer over UDP")
        call.bye()
        for one in crowd:
            one.close()
        late = Phone(206, transport="tcp")
        check(late.request("OPTIONS", late.uri(), seconds=12).status == 200, "no answer over TCP when files are free again")
        files = run_again(switch, "prlimit", "--nofile=64:64")
        check(files.returncode == 1 and "limit on open files is 64" in files.stderr, f"{files}")


@scenario("hand-made", waits=True)
def four_rtp_ports_carry_one_call_at_a_time(stage: Stage):
    settings = {"first_port": FIRST_RTP_PORT, "last_port": FIRST_RTP_PORT + 3, "max_calls": 1, "addresses": '["127.0.0.1"]', "listen": f'["udp:127.0.0.1:{SIP_PORT}"]'}
    with Switch(stage, {("ringmaster", key): value for key, value in settings.items()}):
        phone, other, callee = Phone(205).registered(), Phone(206).registered(), Phone(202).registered()
        for _ in range(3):
            calling, called = connected(phone, callee)
            response = other.request("INVITE", other.uri("600"), None, sdp())
            check(response.status == 503, f"a second call got {response.start}")
            end(calling, called)
            time.sleep(PORTS_REST + 0.5)


@contextlib.contextmanager
def small_disk(folder: Path, options: str):
    """A small file system of its own at that place."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True).returncode:
        raise Skipped("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


@scenario("hand-made", waits=True)
def a_full_disk_ends_a_recording_and_no_call(stage: Stage):
    with small_disk(stage.folder / "recordings", "size=100k"), Switch(stage) as switch, Stream(octet=0x11) as mine, Stream(octet=0x22) as theirs:
        calling, called = queue_call(Phone(205).registered(), Phone(201).registered(), mine, theirs)
        time.sleep(6)
        before = mine.count(0x22)
        time.sleep(1)
        check(mine.count(0x22) - before > 45, "the conversation suffered")
        end(calling, called)
        check("No space" in json.dumps(switch.record()), f"the record does not say it: {switch.record()}")
        (kept,) = recordings(switch)
        lasted = seconds_of(kept)
        check(kept.name.endswith(".partial.wav") and lasted > 1, f"{kept} is left, {lasted:.1f} s")
        # With room again the next call is recorded.
        kept.unlink()
        time.sleep(5.2)
        calling, called = queue_call(Phone(206).registered(), Phone(202).registered(), mine, theirs)
        time.sleep(1)
        end(calling, called)
        switch.record(2)
        check([path.suffix for path in recordings(switch)] == [".wav"], f"{recordings(switch)}")
        return f"{lasted:.1f} s were kept of 7"


@scenario("hand-made", waits=True)
def a_full_disk_holds_up_call_records_and_no_call(stage: Stage):
    folder = stage.folder / "call-records"
    filler = folder / "filler"
    with small_disk(folder, "size=64k"), Switch(stage, {("ringmaster", "max_calls"): 2}) as switch:
        phone = Phone(205).registered()
        phone.call("600").bye()
        switch.record(1)
        with open(filler, "wb", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(b"x" * 512):
                pass
        calls = 1
        # What is left of the page that the first record stands in takes some more.
        while "wait for the disk" not in switch.log():
            phone.call("600").bye()
            calls += 1
            check(calls < 50, "the disk takes 50 records though it is full")
            time.sleep(0.2)
        for _ in range(4):
            phone.call("600").bye()
        written = len(switch.call_records())
        check(written < calls, f"{written} of {calls} records are written")
        filler.unlink()
        switch.record(calls + 4)
        check(len({record["call"] for record in switch.call_records()}) == calls + 4, "records are double")
        return f"{calls + 4 - written} records waited for the disk"


@scenario("hand-made")
def folders_that_cannot_be_written_are_told_at_the_start(stage: Stage):
    switch = Switch(stage)
    for folder, name in (("call-records", "call records"), ("recordings", "recordings")):
        with small_disk(stage.folder / folder, "size=1m,ro"):
            started = run_again(switch)
            check(started.returncode == 1 and f"cannot write {name}" in started.stderr and "Read-only" in started.stderr, f"{started}")


@scenario("hand-made")
def configuration_with_windows_line_ends_and_a_byte_order_mark_is_taken(stage: Stage):
    switch = Switch(stage)
    for path in (switch.folder / "config").glob("*.toml"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    with switch:
        Phone(205).registered()


@scenario("hand-made")
def a_user_without_rights_starts_in_an_empty_folder(stage: Stage):
    if os.geteuid():
        raise Skipped("only root may become somebody else")
    stage.folder.chmod(0o777)
    binary = Path(shutil.copy(stage.binary, stage.folder))

    def run(*words):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i"]
        return subprocess.run([*nobody, binary, *words], cwd=stage.folder, capture_output=True, text=True, timeout=5)

    nothing = run("run")
    check(nothing.returncode == 1 and "config" in nothing.stderr and "init" in nothing.stderr, f"without a configuration: {nothing}")
    made = run("init", "pbx", "--address", "127.0.0.1")
    check(made.returncode == 0, f"init: {made}")
    checked = run("check", "--config", "pbx")
    check(checked.returncode == 0, f"check: {checked}")


@scenario("hand-made", waits=True)
def a_clock_that_jumps_changes_no_call(stage: Stage):
    library = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)
    check(library, "there is no libfaketime: interop-tests/run --install")
    clock = stage.folder / "clock"
    clock.write_text("+0")
    faked = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1}
    wrapper = ["env", *(f"{name}={value}" for name, value in faked.items())]
    with Switch(stage, wrapper=wrapper) as switch, Stream(octet=0x11) as mine, Stream(octet=0x22) as theirs:
        calling, called = queue_call(Phone(205).registered(), Phone(201).registered(), mine, theirs)
        for jump in ("+3600", "-86400", "+0"):
            clock.write_text(jump)
            time.sleep(1)
        end(calling, called)
        record = switch.record()
        check(record["cause"] == "hang-up" and record["duration_ms"] < 20_000, f"{record}")
        return f"the call's duration is {record['duration_ms']} ms"
