"""A conference that phones dial: who hears whom, by listening."""

import contextlib

from harness import audio
from harness.baresip import Baresip
from harness.scenario import Stage, check, scenario
from harness.switch import Switch

from .supervision import AUDIBLE, INAUDIBLE

#: What each speaks, and how it is connected.
CONFEREES = {205: (440, {}), 206: (880, {"codec": "G722/16000/1"}), 207: (1320, {"encrypted": True})}


def heard_at(ear: Baresip, second: float) -> set:
    """Whom it heard around that second of its call, from the end."""
    heard = ear.heard()
    end = audio.seconds(heard) - second
    stretch = audio.cut(heard, end - 1, end)
    levels = {who: audio.level(stretch, hertz) for who, (hertz, _) in CONFEREES.items()}
    unclear = {who: level for who, level in levels.items() if INAUDIBLE < level < AUDIBLE}
    check(not unclear, f"{ear.number} half hears {unclear}")
    return {who for who, level in levels.items() if level > AUDIBLE}


@scenario("baresip", limit=90, waits=True)
def three_talk_in_a_conference_each_in_its_codec_and_two_when_one_has_gone(stage: Stage):
    with Switch(stage, {("ringmaster", "workers"): 2}) as switch, contextlib.ExitStack() as phones:
        ears = [phones.enter_context(Baresip(switch, number, hertz, **options)) for number, (hertz, options) in CONFEREES.items()]
        for ear in ears:
            ear.dial(900)
            ear.wait("CALL_ESTABLISHED")
        ears[0].rest(4)
        first, *others = ears
        first.hang_up()
        first.wait("CALL_CLOSED")
        first.rest(3)
        for ear in others:
            ear.hang_up()
            ear.wait("CALL_CLOSED")
        everybody = set(CONFEREES)
        for ear, late in [(ears[0], 0.7), (ears[1], 4.2), (ears[2], 4.2)]:
            heard = heard_at(ear, late)
            check(heard == everybody - {int(ear.number)}, f"of three, {ear.number} hears {sorted(heard)}")
        for ear in others:
            heard = heard_at(ear, 0.7)
            check(heard == everybody - {int(ear.number), int(first.number)}, f"of two, {ear.number} hears {sorted(heard)}")
        for record in switch.wait_for_records(3):
            check(record["cause"] == "hang-up" and not record["legs"][0]["media"]["trouble"], f"{record['caller']}: {record['cause']}, {record['legs'][0]['media']['trouble']}")
