"""What a waiting customer hears: start sound, music, announcement; and the keys it presses."""

import contextlib
import shutil
import signal
import subprocess

from harness import audio
from harness.baresip import Baresip
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import Switch

#: Two sounds are the same above this likeness: mu-law and the encoder's frames cost a few hundredths.
SAME = 0.9
#: How much of a sound is looked for, in seconds: enough to be unmistakable.
SAMPLE_SECONDS = 0.6


def sound(stage: Stage, name: str):
    """A sound of sounds/, mono at 8 kHz, decoded by sox: not by what is tested."""
    source = next(path for path in (stage.checkout / "sounds").glob(f"{name}.*") if path.suffix in (".wav", ".mp3", ".flac", ".ogg"))
    decoded = stage.folder / f"{name}.wav"
    subprocess.run(["sox", source, "-r", "8000", "-c", "1", "-b", "16", decoded], check=True, capture_output=True, timeout=20)
    return audio.read(decoded)[0]


def heard_sound(heard, wanted, what: str, after: float = 0.0) -> float:
    """The second in which a sound begins, found by a stretch of its loudest part."""
    length = int(SAMPLE_SECONDS * audio.RATE)
    starts = range(0, max(len(wanted) - length, 1), length // 4)
    loudest = max(starts, key=lambda start: audio.loudness(wanted[start : start + length]))
    second, likeness = audio.found_at(wanted[loudest : loudest + length], audio.cut(heard, after, audio.seconds(heard)))
    check(likeness > SAME, f"the customer does not hear the {what} (likeness {likeness:.2f})")
    return after + second - loudest / audio.RATE


#: Longer than the announcement, so that the music comes back before the next one.
ANNOUNCE_SECONDS = 6


@scenario("baresip", limit=90, waits=True)
def a_customer_hears_start_sound_then_music_then_announcement(stage: Stage):
    settings = {("queues", "announce_frequency"): ANNOUNCE_SECONDS}
    start, music, announcement = (sound(stage, name) for name in ("start", "music", "announcement"))
    with Switch(stage, settings) as switch, Baresip(switch, 205, 440) as customer:
        customer.dial(700)
        customer.wait("CALL_ESTABLISHED")
        customer.rest(audio.seconds(start) + ANNOUNCE_SECONDS + audio.seconds(announcement) + 1.5)
        customer.hang_up()
        customer.wait("CALL_CLOSED")
        heard = customer.heard()
        start_at = heard_sound(heard, start, "start sound")
        check(start_at < 0.5, f"the start sound begins after {start_at:.1f} s")
        wait_at = start_at + audio.seconds(start)
        announced_at = heard_sound(heard, announcement, "announcement", wait_at)
        check(abs(announced_at - wait_at - ANNOUNCE_SECONDS) < 0.5, f"the announcement comes {announced_at - wait_at:.1f} s into the wait")
        before = heard_sound(audio.cut(heard, 0, announced_at), music[: int(3.5 * audio.RATE)], "music", wait_at)
        check(abs(before - wait_at) < 0.3, f"the music begins {before - wait_at:+.1f} s from the end of the start sound")
        # Music goes on where it was: what follows the announcement is what would have followed it in the music.
        played = int((announced_at - wait_at) * audio.RATE)
        resumed = announced_at + audio.seconds(announcement)
        second, likeness = audio.found_at(music[played + 2400 : played + 7200], audio.cut(heard, resumed, resumed + 2))
        check(likeness > SAME and abs(second - 0.3) < 0.2, f"the music does not go on where it was ({second - 0.3:+.2f} s, likeness {likeness:.2f})")
        record = switch.wait_for_records(1)[0]
        check(record["queues"][0]["outcome"] == "abandoned", f"the wait ended as {record['queues'][0]['outcome']}")


@scenario("baresip", limit=90, waits=True)
def the_exit_key_leads_a_customer_out_of_the_queue(stage: Stage):
    settings = {("queues", "exit_key"): '"0"', ("queues", "exit_transfer_dst"): '"206"', ("queues", "start_sound"): '"start"'}
    with Switch(stage, settings) as switch, Baresip(switch, 205, 440) as customer, Baresip(switch, 206, 880, answers=True) as other:
        customer.dial(700)
        customer.wait("CALL_ESTABLISHED")
        wait_for("the wait", lambda: "waits" in switch.log(), 15)
        customer.press("5")
        customer.rest(0.5)
        customer.press("0")
        other.wait("CALL_ESTABLISHED")
        customer.rest(1.5)
        customer.hang_up()
        other.wait("CALL_CLOSED")
        heard = other.heard()
        check(audio.level(heard[len(heard) // 3 :], 440) > -25, "the phone that the exit key leads to hears nothing of the customer")
        record = switch.wait_for_records(1)[0]
        check(record["queues"][0]["outcome"] == "exit-key", f"the wait ended as {record['queues'][0]['outcome']}")


@scenario("baresip")
def the_echo_number_gives_a_caller_itself_and_the_music_number_music(stage: Stage):
    with Switch(stage) as switch, Baresip(switch, 205, 440) as caller:
        caller.dial(600)
        caller.wait("CALL_ESTABLISHED")
        caller.rest(1.5)
        caller.hang_up()
        caller.wait("CALL_CLOSED")
        heard = caller.heard()
        check(audio.level(heard[len(heard) // 2 :], 440) > -25, "the echo test is silent")
        caller.dial(601)
        caller.wait("CALL_ESTABLISHED")
        caller.rest(2)
        caller.hang_up()
        caller.wait("CALL_CLOSED")
        heard_sound(caller.heard(), sound(stage, "music")[: 2 * audio.RATE], "music")


def sox(*arguments, seconds: float = 60):
    subprocess.run(["sox", *map(str, arguments)], check=True, capture_output=True, timeout=seconds)


def own_sounds(stage: Stage, switch: Switch):
    """Gives the switch, before it starts, a folder of sounds that may be changed."""
    folder = switch.folder / "sounds"
    shutil.copytree(stage.checkout / "sounds", folder)
    switch.set_folder("sounds", folder)
    return folder


@scenario("baresip", limit=90, waits=True)
def music_is_played_in_turn_and_a_changed_file_is_taken_at_reload(stage: Stage):
    switch = Switch(stage, {("queues", "start_sound"): '"start"', ("queues", "sound"): '["low", "high"]', ("queues", "announce_frequency"): 600})
    folder = own_sounds(stage, switch)
    # One much softer than the other, at other rates, and none of them what a phone line carries.
    for name, rate, hz, volume in (("low", 44100, 500, 0.02), ("high", 22050, 1500, 0.7), ("start", 16000, 700, 0.1)):
        sox("-n", "-r", rate, folder / f"{name}.wav", "synth", 2 if name != "start" else 1, "sine", hz, "vol", volume)
    with switch, Baresip(switch, 205, 440) as customer:
        customer.dial(700)
        customer.wait("CALL_ESTABLISHED")
        customer.rest(7.5)
        # Music that has not changed goes on where it was; what has is taken.
        sox("-n", "-r", 8000, folder / "start.wav", "synth", 1, "sine", 2200, "vol", 0.1)
        switch.signal(signal.SIGHUP)
        wait_for("the reload", lambda: "took the configuration" in switch.log())
        customer.rest(2.5)
        customer.hang_up()
        customer.wait("CALL_CLOSED")
        heard = customer.heard()
        begin = next(n / 10 for n in range(60) if audio.level(audio.cut(heard, n / 10, n / 10 + 0.1), 500) > -30)
        levels = []
        for second in range(8):
            wanted, other = (500, 1500) if second % 4 < 2 else (1500, 500)
            part = audio.cut(heard, begin + second + 0.25, begin + second + 0.75)
            levels.append(audio.level(part, wanted))
            check(levels[-1] > -30 and audio.level(part, other) < -45, f"second {second} of the music: {wanted} Hz at {levels[-1]:.1f} dB, {other} Hz at {audio.level(part, other):.1f} dB")
        check(max(levels) - min(levels) < 3, f"the music is not evenly loud: {[round(level, 1) for level in levels]} dB")
        customer.dial(700)
        customer.wait("CALL_ESTABLISHED")
        customer.rest(1.5)
        customer.hang_up()
        customer.wait("CALL_CLOSED")
        heard = customer.heard()
        check(audio.level(audio.cut(heard, 0.3, 0.8), 2200) > -30, "the changed start sound was not taken")


@scenario("baresip", limit=90, waits=True)
def waiting_customers_are_told_their_place_in_words(stage: Stage):
    settings = {("queues", "announce_position"): "true", ("queues", "language"): '"ru"', ("queues", "announce_frequency"): 60,
                ("queues", "start_sound"): '"logged-in"', ("queues", "announce_sound"): '"logged-out"'}
    parts = {name: (int(start), int(end)) for name, start, end in (line.split() for line in open(stage.checkout / "sounds/ru.parts"))}
    spoken = sound(stage, "ru")
    with Switch(stage, settings) as switch, Baresip(switch, 205, 440) as first, Baresip(switch, 206, 440) as second:
        for customer in (first, second):
            customer.dial(700)
            customer.wait("CALL_ESTABLISHED")
        second.rest(11)
        for customer, told in ((first, ["next"]), (second, ["position", "2"])):
            customer.hang_up()
            customer.wait("CALL_CLOSED")
            after = 0.0
            for part in told:
                start, end = parts[part]
                after = heard_sound(customer.heard(), spoken[start:end], f"part {part}", after) + 0.1


@scenario("baresip", limit=120)
def a_sound_that_eats_memory_is_refused_and_calls_go_on(stage: Stage):
    """An hour at 192 kHz in a few octets of FLAC."""
    switch = Switch(stage, provoked=["evil.flac", "was not taken", "config: 1 mistake"])
    folder = own_sounds(stage, switch)
    with switch, Baresip(switch, 205, 440) as caller:
        caller.dial(600)
        caller.wait("CALL_ESTABLISHED")
        sox("-D", "-n", "-r", 192000, "-b", 16, folder / "evil.flac", "trim", 0, 3590)
        switch.set("queues", "start_sound", '"evil"')
        switch.signal(signal.SIGHUP)
        wait_for("the refusal", lambda: "was not taken" in switch.log(), 60)
        check("MiB of memory" in switch.log(), "the refusal does not say why")
        peak = next(int(line.split()[1]) / 1024 for line in open(f"/proc/{switch.child.pid}/status") if line.startswith("VmHWM"))
        check(peak < 200, f"the switch itself had {peak:.0f} MiB")
        caller.rest(1)
        caller.hang_up()
        caller.wait("CALL_CLOSED")
        media = switch.wait_for_records(1)[0]["legs"][0]["media"]
        heard = caller.heard()
        parts = [audio.level(audio.cut(heard, n / 2, n / 2 + 0.5), 440) for n in range(2, int(2 * audio.seconds(heard)) - 2)]
        check(min(parts) > -25, f"the echo was not heard all the time: {min(parts):.1f} dB")
        check(media["lost"] == 0, f"{media['lost']} packets were lost")
        return f"{peak:.0f} MiB in the switch"


@scenario("baresip", limit=90, waits=True)
def phones_report_what_they_hear_and_the_record_tells_it(stage: Stage):
    """RTCP: on its own port, on that of RTP, and encrypted."""
    ways = {205: {}, 206: {"muxes": True}, 201: {"encrypted": True}}
    with Switch(stage) as switch, contextlib.ExitStack() as phones:
        phones = [phones.enter_context(Baresip(switch, number, 440, **options)) for number, options in ways.items()]
        for phone in phones:
            phone.dial(600)
            phone.wait("CALL_ESTABLISHED")
        # baresip reports each five seconds; a round trip takes a report of ours before.
        phone.rest(12)
        for phone in phones:
            phone.hang_up()
            phone.wait("CALL_CLOSED")
        for record in switch.wait_for_records(len(phones)):
            leg = record["legs"][0]
            media, who = leg["media"], leg["account"]
            check(media["reported"], f"{who} reported nothing: {media}")
            check(media["reported"]["lost"] <= 5 and media["reported"]["mos"] > 4, f"{who} reported {media['reported']}")
            # A round trip is told by the answer to a report of ours.
            check(media["round_trip_ms"] is not None and media["round_trip_ms"] < 50, f"{who}: a round trip of {media['round_trip_ms']} ms")
            # The first datagram of an encrypted baresip opens a way through a NAT, and is not encrypted.
            check(media["rejected"] <= (who == "201"), f"{who}: {media['rejected']} packets rejected")


@scenario("baresip")
def an_agent_logs_out_and_in_by_phone(stage: Stage):
    with Switch(stage) as switch, Baresip(switch, 201, 880) as agent:
        for code, name in [("*46", "logged-out"), ("*45", "logged-in")]:
            agent.dial(code)
            agent.wait("CALL_ESTABLISHED")
            agent.wait("CALL_CLOSED", 20)
            heard_sound(agent.heard(), sound(stage, name), f"confirmation of {code}")
