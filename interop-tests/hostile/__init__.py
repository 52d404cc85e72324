"""Hostile, broken and odd peers, hand-made with the standard library alone. Each file is one door; the order here is the order of
the run."""

from . import registering, guessing, reflecting, calling, connecting, hearing, living, flooding, forging, scanning, defrauding  # noqa: F401
