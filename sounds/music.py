#!/usr/bin/env python3
"""Composes the music on hold: twelve bars in G major for soft pads, a plucked
arpeggio, a few bell notes and a bass; 38.4 s, mono, 8 kHz, 16 bits.

    python3 music.py OUT.wav

Only the standard library is used, and nothing is random: the same samples come
out every time. Every note is added to a ring, so what still sounds at the end
of the last bar is heard over the first one and the loop has no seam.
"""

import array
import math
import sys
import wave

RATE = 8000  # Hz, what a phone line carries
BEAT = 0.8  # s: 75 beats a minute
BAR = 4 * BEAT
# A phone passes 300 to 3400 Hz: partials outside are left out, not filtered.
HIGHEST = 3300.0  # Hz
LEVEL = 10 ** (-21 / 20)  # RMS of the whole, of full scale

# Four notes a bar, low to high, as MIDI note numbers; then the bass note.
BARS = [
    ((59, 62, 66, 67), 43),  # G major seventh
    ((59, 62, 64, 67), 40),  # E minor seventh
    ((60, 64, 67, 71), 48),  # C major seventh
    ((57, 62, 64, 66), 50),  # D with a second
    ((59, 62, 66, 67), 43),  # G major seventh
    ((57, 62, 66, 71), 47),  # B minor seventh
    ((60, 64, 67, 69), 45),  # A minor seventh
    ((57, 60, 62, 67), 50),  # D suspended
    ((59, 64, 67, 71), 40),  # E minor
    ((60, 64, 67, 71), 48),  # C major seventh
    ((60, 64, 67, 69), 45),  # A minor seventh
    ((57, 60, 62, 66), 50),  # D seventh
]
# The order of the arpeggio's eighth notes inside the chord, one octave up.
ARPEGGIO = [(0, 2, 1, 3, 2, 1, 3, 2), (0, 1, 2, 3, 1, 2, 3, 1)]
# Bell notes: bar, beat, MIDI note.
MELODY = [
    (0, 1.0, 83), (0, 3.0, 81), (1, 0.0, 79), (2, 1.0, 83), (2, 2.5, 86),
    (3, 0.0, 81), (4, 1.0, 86), (4, 3.0, 83), (5, 0.0, 81), (6, 1.0, 79),
    (6, 2.5, 76), (7, 0.0, 79), (7, 2.0, 81), (8, 1.0, 83), (8, 2.5, 79),
    (9, 0.0, 76), (10, 1.0, 79), (10, 2.5, 81), (11, 0.0, 78), (11, 2.0, 74),
]


def frequency(note):
    """The frequency of a MIDI note in Hz."""
    return 440.0 * 2 ** ((note - 69) / 12)


def add(ring, start, seconds, envelope, partials):
    """Adds a note to the ring; `partials` are (frequency, amplitude, decay per second)."""
    first = round(start * RATE)
    for f, amplitude, decay in partials:
        if f > HIGHEST:
            continue
        step = 2 * math.pi * f / RATE
        fade = math.exp(-decay / RATE)
        for i in range(round(seconds * RATE)):
            ring[(first + i) % len(ring)] += (
                amplitude * envelope(i / RATE, seconds) * math.sin(step * i)
            )
            amplitude *= fade


def swell(t, seconds):
    """Comes and goes softly: 0.9 s up, 1.3 s down."""
    up = min(1.0, t / 0.9)
    down = min(1.0, (seconds - t) / 1.3)
    return 0.25 * (1 - math.cos(math.pi * up)) * (1 - math.cos(math.pi * down))


def pluck(t, seconds):
    """Struck in 6 ms, damped in the last 50 ms."""
    return min(1.0, t / 0.006, (seconds - t) / 0.05)


def compose():
    ring = [0.0] * round(len(BARS) * BAR * RATE)
    for number, (chord, bass) in enumerate(BARS):
        start = number * BAR
        for note in chord:
            f = frequency(note)
            # Two voices 1.6 cents apart to each side beat slowly: a warm pad.
            for detune in (0.99908, 1.00092):
                partials = [(f * detune * k, 0.05 / k**1.6, 0.0) for k in range(1, 7)]
                add(ring, start, BAR + 1.3, swell, partials)
        order = ARPEGGIO[number % 2]
        for eighth, index in enumerate(order):
            f = frequency(chord[index] + 12)
            loud = 0.085 if eighth % 4 == 0 else 0.06
            partials = [(f * k, loud / k**1.5, 2.2 + 1.4 * k) for k in range(1, 6)]
            add(ring, start + eighth * BEAT / 2, 1.4, pluck, partials)
        for beat in (0.0, 2.5):
            f = frequency(bass + 12)
            partials = [(f * k, 0.11 / k, 1.1 + 0.5 * k) for k in range(1, 8)]
            add(ring, start + beat * BEAT, 1.5, pluck, partials)
    for bar, beat, note in MELODY:
        f = frequency(note)
        partials = [(f, 0.085, 1.6), (2 * f, 0.02, 3.0), (3.01 * f, 0.008, 5.0)]
        add(ring, bar * BAR + beat * BEAT, 2.6, pluck, partials)
    return ring


def echo(ring):
    """Three soft repeats, a dotted eighth apart, round the ring."""
    gap = round(0.75 * BEAT * RATE)
    size = len(ring)
    return [
        ring[i] + sum(0.28**n * ring[(i - n * gap) % size] for n in (1, 2, 3))
        for i in range(size)
    ]


def main():
    ring = echo(compose())
    power = math.sqrt(sum(x * x for x in ring) / len(ring))
    scale = LEVEL / power
    samples = array.array("h", (round(32767 * scale * x) for x in ring))
    with wave.open(sys.argv[1], "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


if __name__ == "__main__":
    main()
