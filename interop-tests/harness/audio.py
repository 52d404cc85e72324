"""Ears: tones made, and sounds found again, with nothing but the standard library."""

import array
import math
import wave
from operator import mul
from pathlib import Path

RATE = 8000


def tone(hertz: float, seconds: float, level: float = 0.4, rate: int = RATE) -> array.array:
    """16-bit samples of a sine."""
    step = 2 * math.pi * hertz / rate
    return array.array("h", (round(32767 * level * math.sin(step * n)) for n in range(int(seconds * rate))))


def mu_law_tone(hertz: float, seconds: float) -> bytes:
    """The same as G.711 mu-law."""
    return bytes(_mu_law(sample) for sample in tone(hertz, seconds))


def _mu_law(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def write(path: Path, samples: array.array, rate: int = RATE, channels: int = 1):
    """Writes a WAV file with the same samples on all channels."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(array.array("h", (sample for sample in samples for _ in range(channels))).tobytes())


def read(path: Path) -> list[array.array]:
    """The channels of a 16-bit WAV file, as long as its header says: what any player would play. Those of a file of more than
    8 kHz are thinned to that: good enough for tones below 1 kHz."""
    with wave.open(str(path), "rb") as file:
        channels, rate, width = file.getnchannels(), file.getframerate(), file.getsampwidth()
        assert (rate % RATE, width) == (0, 2), f"{path} has {rate} Hz, {width * 8} bit"
        samples = array.array("h", file.readframes(file.getnframes()))
    return [_thinned(samples[channel::channels], rate // RATE) for channel in range(channels)]


def _thinned(samples: array.array, ratio: int) -> array.array:
    if ratio == 1:
        return samples
    return array.array("h", (sum(samples[n : n + ratio]) // ratio for n in range(0, len(samples) - ratio + 1, ratio)))


def seconds(samples) -> float:
    """How long they are."""
    return len(samples) / RATE


def cut(samples, start: float, end: float):
    """The stretch between two seconds."""
    return samples[int(start * RATE) : int(end * RATE)]


def level(samples, hertz: float) -> float:
    """The level of one tone in decibels of full scale (Goertzel over the whole stretch)."""
    if not samples:
        return -120.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / RATE)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    power = last * last + before * before - coefficient * last * before
    amplitude = 2 * math.sqrt(max(power, 0)) / len(samples) / 32767
    return 20 * math.log10(max(amplitude, 1e-6))


def loudness(samples) -> float:
    """The level of everything in decibels of full scale; silence is -120."""
    power = sum(sample * sample for sample in samples) / max(len(samples), 1)
    return 10 * math.log10(max(power / 32767**2, 1e-12))


def found_at(sound, within) -> tuple[float, float]:
    """Where a sound lies within a longer stretch: second, and likeness from 0 to 1 (normalised correlation)."""
    short, long = _thin(sound), _thin(within)
    likeness = [_likeness(short, long[offset : offset + len(short)]) for offset in range(len(long) - len(short) + 1)]
    best = max(range(len(likeness)), key=likeness.__getitem__, default=0) * THINNED
    # Thinned sounds meet only roughly; the best place is looked at again, sample by sample.
    near = range(max(best - THINNED, 0), min(best + THINNED, len(within) - len(sound)) + 1)
    place = max(near, key=lambda offset: _likeness(sound, within[offset : offset + len(sound)]), default=0)
    return place / RATE, _likeness(sound, within[place : place + len(sound)])


#: Samples that become one before two sounds are compared at every place: what is left, below 1 kHz, tells them apart.
THINNED = 4


def _thin(samples) -> list[float]:
    return [sum(samples[n : n + THINNED]) / THINNED for n in range(0, len(samples) - THINNED + 1, THINNED)]


def _likeness(one, other) -> float:
    energy = math.sqrt(sum(map(mul, one, one)) * sum(map(mul, other, other)))
    return abs(sum(map(mul, one, other))) / (energy or 1)
