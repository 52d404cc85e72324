"""What is played. Each file is one part of the main job; the order here is the order of the run."""

from . import first_minutes, phones, queue_audio, queue_load, queue_rules, sounds, recordings, supervision, conferences, linphone, watching, dialects, robustness, torture  # noqa: F401
from . import trunks, networks, transfers, kamailio, asterisk, browser, tracing  # noqa: F401
