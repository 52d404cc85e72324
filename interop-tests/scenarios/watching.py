"""Lamps of desk phones, and messages between phones."""

import time

from harness.baresip import Baresip
from harness.scenario import Stage, check, scenario, wait_for
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
    with Switch(stage) as switch, Baresip(switch, 205, 440) as phone:
        phone.watch_for_messages(206)
        told = phone.wait("MWI_NOTIFY")["param"]
        check("Messages-Waiting: no" in told and "Message-Account: sip:206@" in told and "Voice-Message: 0/0" in told, f"the phone is told {told!r}")
