"""Lamps of desk phones, and messages between phones."""

import contextlib
import time

from harness.baresip import Baresip
from harness.scenario import Failed, Stage, check, scenario, wait_for
from harness.sipp import Sipp, register
from harness.switch import Switch


@scenario("SIPp")
def a_lamp_follows_a_call_and_is_watched_no_more(stage: Stage):
    with Switch(stage) as switch:
        register(switch, [201])
        port = register(switch, [202])
        watcher = Sipp(switch, "watcher", [203], "202")
        messages = watcher.folder / "messages.log"
        wait_for("the first NOTIFY", lambda: messages.exists() and "NOTIFY sip:203" in messages.read_text(errors="replace"))
        time.sleep(0.5)
        callee = Sipp(switch, "answer", port=port)
        Sipp(switch, "caller", [201], "202").finish()
        callee.finish()
        watcher.finish()


@scenario("SIPp")
def a_phone_writes_to_a_phone(stage: Stage):
    with Switch(stage) as switch:
        port = register(switch, [202])
        reader = Sipp(switch, "reader", port=port)
        time.sleep(0.5)
        Sipp(switch, "writer", [201], "202").finish()
        reader.finish()


@scenario("baresip")
def a_phone_asks_for_messages_that_wait_and_none_do(stage: Stage):
    # One try in three it subscribes without end instead (see `watch_for_messages`), and never listens.
    with Switch(stage) as switch:
        told = next(filter(None, (told_of_messages(switch, number) for number in range(205, 210))), "")
        check("Messages-Waiting: no" in told and "Message-Account: sip:206@" in told and "Voice-Message: 0/0" in told, f"the phone is told {told!r}")


def told_of_messages(switch: Switch, number: int) -> str:
    """What baresip is told of messages that wait for 206; nothing if it is not told within some seconds."""
    with Baresip(switch, number, 440) as phone, contextlib.suppress(Failed):
        phone.watch_for_messages(206)
        return phone.wait("MWI_NOTIFY", 4)["param"]
    return ""
