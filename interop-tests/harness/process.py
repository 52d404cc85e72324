"""Child processes that never outlive their scenario."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_running: list[subprocess.Popen] = []


def start(command, folder: Path, log: str, stdin=subprocess.DEVNULL, pass_fds=()) -> subprocess.Popen:
    """Starts a process in `folder`; what it says goes to the file `log` there."""
    with open(folder / log, "ab") as output:
        words = [str(word) for word in command]
        child = subprocess.Popen(words, cwd=folder, stdin=stdin, stdout=output, stderr=output, pass_fds=pass_fds)
    _running.append(child)
    return child


def end(child: subprocess.Popen, by: signal.Signals = signal.SIGTERM, seconds: float = 5) -> int:
    """Ends a process, and returns its exit code; what does not heed the signal is killed."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, by)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return child.returncode


def end_all():
    """Ends whatever a scenario left behind."""
    while _running:
        end(_running.pop(), signal.SIGKILL)
