"""The parts from which numbers and times are spoken: one file of sound for each language, and a list of where each part stands in it."""

import subprocess
import sys
import wave
from pathlib import Path

#: Between two parts, so that none is heard in another, in samples.
GAP = 400
RATE = 8000
VOICES = {"en": "en-us+f2", "ru": "ru+f2"}

ENGLISH = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
RUSSIAN = "один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать".split()
RUSSIAN_TENS = "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто".split()
RUSSIAN_HUNDREDS = "сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот".split()


def numbers(ones, tens, hundreds) -> dict:
    """The parts of all numbers below a thousand."""
    parts = {str(number): word for number, word in enumerate(ones, 1)}
    parts |= {str(10 * ten): word for ten, word in enumerate(tens, 2)}
    return parts | {str(100 * hundred): word for hundred, word in enumerate(hundreds, 1)}


PARTS = {
    "en": {
        "position": "You are caller number",
        "next": "You are next in line.",
        "wait": "The expected waiting time is about",
        "minute": "minute.",
        "minutes": "minutes.",
        "less-than-a-minute": "The expected waiting time is less than a minute.",
        "more-than-an-hour": "The expected waiting time is more than an hour.",
        "agent": "Your call is answered by agent number",
        "waited": "The caller has waited for",
        "waited-less-than-a-minute": "The caller has waited for less than a minute.",
        "waited-more-than-an-hour": "The caller has waited for more than an hour.",
        "0": "zero",
        **numbers(ENGLISH, ENGLISH_TENS, [f"{word} hundred" for word in ENGLISH[:9]]),
    },
    "ru": {
        "position": "Ваш номер в очереди",
        "next": "Ваша очередь следующая.",
        "wait": "Примерное время ожидания",
        "minute": "минута.",
        "minutes-few": "минуты.",
        "minutes": "минут.",
        "less-than-a-minute": "Время ожидания меньше минуты.",
        "more-than-an-hour": "Время ожидания больше часа.",
        "agent": "Вам отвечает оператор номер",
        "waited": "Время ожидания клиента",
        "waited-less-than-a-minute": "Клиент ждал меньше минуты.",
        "waited-more-than-an-hour": "Клиент ждал больше часа.",
        "0": "ноль",
        "1f": "одна",
        "2f": "две",
        **numbers(RUSSIAN, RUSSIAN_TENS, RUSSIAN_HUNDREDS),
    },
}


def speak(language: str, text: str, work: Path) -> bytes:
    """A part, brought to the band and level of a phone line, without silence at its ends."""
    spoken, part = work / "spoken.wav", work / "part.wav"
    subprocess.run(["espeak-ng", "-v", VOICES[language], "-s", "150", "-p", "45", "-g", "2", "-w", spoken, text], check=True)
    trim = "silence 1 0.01 0.1% reverse silence 1 0.01 0.1% reverse".split()
    band = f"highpass 200 lowpass 3500 rate -v {RATE} compand 0.005,0.1 6:-60,-60,-30,-18,-12,-12,0,-8 0 -60 0.005 norm -4 pad 0 0.04".split()
    subprocess.run(["sox", "-R", spoken, "-D", "-b", "16", "-c", "1", part, *trim, *band], check=True)
    with wave.open(str(part)) as file:
        return file.readframes(file.getnframes())


def main(work: Path):
    for language, parts in PARTS.items():
        sound, lines = bytearray(2 * GAP), []
        for name, text in parts.items():
            start = len(sound) // 2
            sound += speak(language, text, work)
            lines.append(f"{name} {start} {len(sound) // 2}\n")
            sound += bytes(2 * GAP)
        with wave.open(str(work / f"{language}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(sound)
        Path(f"{language}.parts").write_text("".join(lines))


main(Path(sys.argv[1]))
