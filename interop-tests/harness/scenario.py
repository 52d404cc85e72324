"""A scenario: a function whose name is a sentence, and the peer it talks to."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable


class Failed(Exception):
    """What a scenario found wrong, as a sentence."""


class Skipped(Exception):
    """Why a scenario cannot be played here."""


@dataclass(frozen=True)
class Stage:
    """What a scenario gets: the release binary, the checkout, a folder that is kept when it fails, and whether it is played at its
    full length."""

    binary: Path
    checkout: Path
    folder: Path
    long: bool = False


@dataclass(frozen=True)
class Scenario:
    """A scenario as the runner sees it; what `play` returns is printed beside its name."""

    name: str
    peer: str
    limit: int
    long: int | None
    waits: bool
    play: Callable[[Stage], str | None]


ALL: list[Scenario] = []


def scenario(peer: str, limit: int = 60, waits: bool = False, long: int | None = None):
    """Registers a scenario. `limit`: seconds after which it has failed. `long`: the same at its full length, where it has one.
    `waits`: it takes long but does little, so that others of the kind may be played beside it."""

    def register(play):
        ALL.append(Scenario(play.__name__, peer, limit, long, waits, play))
        return play

    return register


def check(condition, otherwise: str):
    """Fails the scenario unless the condition holds."""
    if not condition:
        raise Failed(otherwise)


def wait_for(what: str, condition: Callable[[], object], seconds: float = 10):
    """Waits until the condition gives something, and returns it."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        check(time.monotonic() < until, f"{what} did not come within {seconds:g} s")
        time.sleep(0.02)
