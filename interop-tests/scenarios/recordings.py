"""Recordings after the call, and where the disk is full."""

import subprocess

from harness import audio
from harness.baresip import Baresip
from harness.scenario import Stage, check, scenario, wait_for
from harness.switch import Switch

from .queue_audio import AGENT, AGENT_HERTZ, CUSTOMER, CUSTOMER_HERTZ, SOON, heard_each_other, only_tone

#: How each kind of file becomes a WAV file again: not by what is tested.
DECODERS = {
    "flac": lambda file, wav: ["flac", "--silent", "--decode", file, "-o", wav],
    "mp3": lambda file, wav: ["lame", "--silent", "--decode", file, wav],
    "opus": lambda file, wav: ["opusdec", "--quiet", "--rate", "8000", file, wav],
}


@scenario("baresip", limit=120, waits=True)
def complete_recordings_become_flac_mp3_or_opus_and_the_record_names_them(stage: Stage):
    sizes = []
    for ending, decode in DECODERS.items():
        inner = Stage(stage.binary, stage.checkout, stage.folder / ending)
        inner.folder.mkdir()
        with Switch(inner, {**SOON, ("ringmaster", "format"): f'"{ending}"'}) as switch, \
             Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer, Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
            customer.dial(700)
            agent.wait("CALL_ESTABLISHED", 20)
            customer.rest(3)
            customer.hang_up()
            entry = switch.wait_for_records(1)[0]["recordings"][0]
            made = switch.recordings / entry["path"]
            check(made.suffix == f".{ending}", f"the record names {made.name}")
            wait_for(made.name, made.exists)
            wait_for("the end of the WAV file", lambda: [file.name for file in made.parent.iterdir()] == [made.name])
            wav = inner.folder / "decoded.wav"
            subprocess.run([str(part) for part in decode(made, wav)], check=True, capture_output=True, timeout=20)
            left, right = audio.read(wav)
            check(abs(audio.seconds(left) * 1000 - entry["duration_ms"]) < 150, f"{made.name} lasts {audio.seconds(left):.2f} s of {entry['duration_ms']} ms")
            middle = slice(len(left) // 6, -len(left) // 6)
            only_tone(left[middle], CUSTOMER_HERTZ, AGENT_HERTZ, f"the left channel of {made.name}")
            only_tone(right[middle], AGENT_HERTZ, CUSTOMER_HERTZ, f"the right channel of {made.name}")
            sizes.append(f"{ending} {made.stat().st_size / entry['duration_ms']:.1f} kB/s")
    return ", ".join(sizes)


@scenario("baresip", limit=90, waits=True)
def where_the_disk_is_full_the_call_goes_on_and_the_record_says_what_is_missing(stage: Stage):
    folder = stage.folder / "recordings"
    folder.mkdir()
    # 64 kB hold two seconds.
    small_disk = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', folder]
    with Switch(stage, SOON, wrapper=small_disk) as switch, \
         Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as customer, Baresip(switch, AGENT, AGENT_HERTZ, answers=True) as agent:
        customer.dial(700)
        agent.wait("CALL_ESTABLISHED", 20)
        customer.rest(6)
        customer.hang_up()
        agent.wait("CALL_CLOSED")
        record = switch.wait_for_records(1)[0]
        check(record["ended_by"] == "caller", f"the call ended by {record['cause']} of {record['ended_by']}")
        error = record["recordings"][0]["error"] or ""
        check("No space left" in error and ".partial.wav" in error, f"the record says: {error!r}")
        heard_each_other(customer, agent, 3)
        return error


@scenario("baresip", limit=60, waits=True)
def a_call_is_recorded_led_elsewhere_and_hung_up_by_command(stage: Stage):
    with Switch(stage) as switch, Baresip(switch, CUSTOMER, CUSTOMER_HERTZ) as caller, \
         Baresip(switch, 206, AGENT_HERTZ, answers=True) as called, Baresip(switch, 207, 1320, answers=True) as third:
        caller.dial(206)
        called.wait("CALL_ESTABLISHED")
        for order, ok in [("pause-recording", False), ("record", True), ("record", False)]:
            done = switch.do(CUSTOMER, order)
            check((done.returncode == 0) == ok, f"{order}: {done.stdout}{done.stderr}")
        caller.rest(2.5)
        check("MOS 4." in switch.why(CUSTOMER).stdout, f"why says {switch.why(CUSTOMER).stdout}")
        check(switch.do(CUSTOMER, "stop-recording").returncode == 0, "the recording does not end")
        check(switch.do(CUSTOMER, "transfer", 207).returncode == 0, "the caller is not led elsewhere")
        third.wait("CALL_ESTABLISHED")
        called.wait("CALL_CLOSED")
        caller.rest(2)
        check(switch.do(CUSTOMER, "hang-up").returncode == 0, "the call is not hung up")
        caller.wait("CALL_CLOSED")
        record = switch.wait_for_records(1)[0]
        check(record["cause"] == "ordered" and record["ended_by"] == "switch", f"the record says {record['cause']} by {record['ended_by']}")
        only_tone(audio.cut(third.heard(), 0.5, 1.5), CUSTOMER_HERTZ, AGENT_HERTZ, "what the third phone heard")
        left, right = audio.read(switch.recordings / record["recordings"][0]["path"])
        check(2 < audio.seconds(left) < 4, f"the recording lasts {audio.seconds(left):.1f} s")
        middle = slice(len(left) // 4, -len(left) // 4)
        only_tone(left[middle], CUSTOMER_HERTZ, AGENT_HERTZ, "the left channel")
        only_tone(right[middle], AGENT_HERTZ, CUSTOMER_HERTZ, "the right channel")
        check(switch.do(CUSTOMER, "hang-up").returncode == 1, "a call that is over is hung up again")
